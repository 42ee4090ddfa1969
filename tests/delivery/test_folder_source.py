"""delivery.folder_source: a folder is seen to change once it has come to rest, and is read whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from delivery import folder_source
from delivery.content import SourceError
from delivery.folder_source import FolderSource
from tests.delivery import bad_bundles, bundles
from tests.delivery.bad_bundles import BAD, Bad, good, withstands, withstands_files

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_source, "SETTLE_SECONDS", 0.01)


class Folder:
    """A folder to which bundles are published as git-sync does: another one takes its place."""

    def __init__(self, path: Path) -> None:
        self.path = path / "bundle"
        self.source = FolderSource(self.path)

    def publish(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        for name, data in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


class ConfigMap:
    """A mounted ConfigMap: links through `..data`, which is turned to the next folder."""

    def __init__(self, path: Path) -> None:
        self.path = path / "mount"
        self.path.mkdir()
        self.source = FolderSource(self.path)
        self._number = 0

    def publish(self, files: Mapping[str, bytes]) -> None:
        self._number += 1
        folder = self.path / f"..{self._number}"
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        folder.mkdir(exist_ok=True)
        (self.path / "..next").symlink_to(folder.name)
        (self.path / "..next").rename(self.path / "..data")
        wanted = {name.partition("/")[0] for name in files}
        for link in [one for one in self.path.iterdir() if not one.name.startswith("..")]:
            if link.name not in wanted:
                link.unlink()
        for name in wanted:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_what_is_wrong_with_a_bundle_is_refused(tmp_path: Path, bad: Bad, first: bool) -> None:
    folder = Folder(tmp_path)
    withstands_files(folder, bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", BAD if NIGHTLY else BAD[::12], ids=lambda bad: bad.name)
def test_so_it_is_in_a_config_map(tmp_path: Path, bad: Bad, first: bool) -> None:
    withstands_files(ConfigMap(tmp_path), bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("what", ["gone", "a file", "a link to itself"])
def test_what_is_no_folder_is_refused_until_it_is_one(tmp_path: Path, what: str, first: bool) -> None:
    folder = Folder(tmp_path)

    def spoil() -> None:
        shutil.rmtree(folder.path, ignore_errors=True)
        if what == "a file":
            folder.path.write_bytes(b"kind: Bundle\n")
        elif what == "a link to itself":
            folder.path.symlink_to(folder.path)

    words = {"gone": "does not exist", "a file": "is not a folder", "a link to itself": "leads back to itself"}[what]
    good_place = Replaced(folder)
    withstands(good_place, spoil, "fetch", words, first=first)


class Replaced:
    """A folder in whose place something else may stand."""

    def __init__(self, folder: Folder) -> None:
        self._folder, self.source = folder, folder.source

    def publish(self, files: Mapping[str, bytes]) -> None:
        if self._folder.path.is_symlink() or self._folder.path.is_file():
            self._folder.path.unlink()
        self._folder.publish(files)


LINKS = {
    "out": ("../../secret.yaml", "parse", "is a symbolic link out of the bundle"),
    "absolute": ("/etc/passwd", "parse", "is a symbolic link out of the bundle"),
    "to a device": ("/dev/zero", "parse", "policies/bad.yaml:1:1"),
    "to nothing": ("nothing.yaml", "fetch", "policies/bad.yaml:1:1"),
    "to itself": ("bad.yaml", "fetch", "it is a link that leads back to itself"),
}


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", LINKS)
def test_a_link_that_leads_to_no_file_inside_is_refused(tmp_path: Path, name: str, first: bool) -> None:
    folder, (target, step, words) = Folder(tmp_path), LINKS[name]
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")

    def spoil() -> None:
        folder.publish(good("6.6.6"))
        (folder.path / "policies" / "bad.yaml").symlink_to(target)

    withstands(folder, spoil, step, words, first=first)


def test_what_could_not_be_read_is_tried_again_though_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.publish(good("1.0.0"))
    serving = bad_bundles.Serving(folder.source)
    serving.ask()
    folder.publish(good("1.1.0"))

    def failing(*_: object) -> bytearray:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("delivery.folder.read_file", failing)
        status = serving.ask()
        assert (status.step, serving.version) == ("fetch", "1.0.0")
        assert "Input/output error" in status.message
    assert serving.ask().step == ""
    assert serving.version == "1.1.0"


def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles.write(tmp_path / "bundle")
    source = FolderSource(tmp_path / "bundle")
    source.look()

    def changing(*_: object) -> bytearray:
        bundles.write(tmp_path / "bundle", "1.1.0")
        return bytearray()

    with monkeypatch.context() as patched:
        patched.setattr("delivery.folder.read_file", changing)
        with pytest.raises(SourceError, match="changed while it was read") as raised:
            source.fetch()
    assert raised.value.step == "fetch"
    assert b"1.1.0" in source.fetch().files["bundle.yaml"]


def test_a_folder_at_rest_keeps_its_version(tmp_path: Path) -> None:
    source = FolderSource(bundles.write(tmp_path / "bundle"))
    version = source.look()
    assert source.look() == source.fetch().version == version
    bundles.write(tmp_path / "bundle", "1.1.0")
    assert source.look() != version
    assert source.origin == str(tmp_path / "bundle")
    source.close()
    assert source.look()
