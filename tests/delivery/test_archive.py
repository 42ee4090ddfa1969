"""delivery.archive: archives that are the same whoever builds them, and what is refused of others."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery import tar
from delivery.archive import (
    MANIFEST,
    MAX_ARCHIVE,
    MAX_TAR,
    ArchiveSource,
    Manifest,
    files_of,
    opened,
    packed,
)
from delivery.content import SourceError
from delivery.deflate import gzipped
from delivery.folder import MAX_FILE, MAX_FILES, bundle_of, read_bundle
from tests.delivery.bad_bundles import BAD, Bad, archive_of, good, withstands, withstands_files
from tests.examples import examples

SMALL = Manifest("small", "1.0.0", requires={"bayplan": ">=0.1"})
FILES = good()
ARCHIVE = packed(FILES, SMALL)
ROOT = Path(__file__).parents[2]


def refused(data: bytes, step: str = "digest") -> str:
    with pytest.raises(SourceError) as caught:
        opened(data)
    assert caught.value.step == step
    text = str(caught.value)
    assert text.startswith("the archive can't be taken: ")
    assert "; " in text
    return text


# What is built


def test_what_went_in_comes_out() -> None:
    archive = opened(ARCHIVE)
    assert archive.files == files_of(ARCHIVE) == FILES
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    assert archive.manifest == Manifest("small", "1.0.0", "", {"bayplan": ">=0.1"}, digests)
    with_commit = opened(packed(FILES, Manifest("small", "1.0.0", "c" * 40))).manifest
    assert with_commit.revision == "c" * 40


def test_other_tools_read_it(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as opened_by_python:
        members = opened_by_python.getmembers()
    assert [one.name for one in members] == [MANIFEST, *sorted(FILES)]
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    (tmp_path / "a.tar.gz").write_bytes(ARCHIVE)
    subprocess.run(["tar", "-xzf", "a.tar.gz", "--warning=all"], cwd=tmp_path, check=True)
    there = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    assert there == FILES


def test_the_bytes_do_not_change_from_version_to_version() -> None:
    """Signatures are over them: a change makes every bundle another one."""
    assert ARCHIVE[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    data = packed({"bundle.yaml": b"a: 1\n", "policies/a.yaml": b"b: 2\n" * 100}, Manifest("a", "1.0.0"))
    assert hashlib.sha256(gzip.decompress(data)).hexdigest() == TAR
    assert hashlib.sha256(data).hexdigest() == GZIPPED


TAR = "54588b5ce433e6a3d7e9a9308ede9c09a2630d0a635a4b954164e0baee0987e3"
GZIPPED = "71185fa0d498f907e2d786c11ffb32282fe7e0661d61ec3838a6b0e7837242ad"


@given(st.dictionaries(st.text("abz-/.\u00e9", min_size=1, max_size=9), st.binary(max_size=900), max_size=9))
@examples(100)
def test_whatever_the_order_the_archive_is_the_same(contents: dict[str, bytes]) -> None:
    files = {f"a/x{name.replace('/', 'a').replace('.', '-')}.yaml": data for name, data in contents.items()}
    shuffled = list(files.items())
    random.Random(len(files)).shuffle(shuffled)
    assert packed(dict(shuffled), SMALL) == (data := packed(files, SMALL))
    assert files_of(data) == files


@given(st.binary(max_size=400).map(lambda one: one * 5) | st.text("ab \n", max_size=3000).map(str.encode))
@examples(200)
def test_zlib_reads_what_is_compressed(data: bytes) -> None:
    assert gzip.decompress(gzipped(data)) == data


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 6, 7, 8, 255, 256, 257, 4096, 8193, 24576, 32767, 32768, 32769])
@pytest.mark.parametrize("length", [4, 10, 11, 114, 257, 258, 259, 600])
def test_every_length_and_distance(distance: int, length: int) -> None:
    noise = random.Random(1).randbytes(distance)
    data = (noise + noise * (length // distance + 1))[: distance + length] + b"end"
    assert zlib.decompress(gzipped(data), wbits=31) == data


def test_text_is_compressed() -> None:
    text = b"".join(path.read_bytes() for path in sorted(ROOT.glob("policies/*/policies/*.yaml")))
    assert len(gzipped(text)) < len(text) / 2


BUILD = """
import os, sys
from pathlib import Path
from delivery.archive import Manifest, packed
from delivery.folder import files_of
os.umask(int(sys.argv[2], 8))
files, _ = files_of(sys.argv[1])
Path(sys.argv[3]).write_bytes(packed(files, Manifest("small", "1.0.0")))
"""


def test_two_machines_build_the_same(tmp_path: Path) -> None:
    """Other hash seeds, umasks, times and modes, and files that were made in another order."""
    built = []
    for at, (seed, umask, order) in enumerate((("1", "022", 1), ("2", "077", -1))):
        folder = tmp_path / f"machine-{at}"
        for name in sorted(FILES)[::order]:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FILES[name])
            path.chmod(0o600 + at * 0o55)
            os.utime(path, (at * 1e9, at * 1e9))
        target = tmp_path / f"{at}.tar.gz"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC-{at}", "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", BUILD, folder, umask, target], check=True, env=environment, cwd=tmp_path)
        built.append(target.read_bytes())
    assert built[0] == built[1] == packed(FILES, Manifest("small", "1.0.0"))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "policies").glob("*/bundle.yaml")))
def test_a_folder_and_its_archive_are_one_bundle(tmp_path: Path, name: str) -> None:
    folder = ROOT / "policies" / name
    from delivery.folder import files_of as files_in

    files, _ = files_in(folder)
    (tmp_path / "a.tar.gz").write_bytes(archive_of({name: bytes(data) for name, data in files.items()}))
    content = ArchiveSource(tmp_path / "a.tar.gz").fetch()
    there, here = bundle_of(content.files, content.problems), read_bundle(folder)
    assert there == here
    assert there[0] is not None
    assert here[0] is not None
    assert there[0].revision == here[0].revision


# What is refused


def tarred(name: str, data: bytes = b"a: 1\n", form: Literal[0, 1, 2] = tarfile.USTAR_FORMAT, **fields: Any) -> bytes:
    """An archive of one file, after a manifest, as Python's tarfile writes it."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return raw(HEAD, info.tobuf(form), data, bytes(-len(data) % 512), END)


def raw(*blocks: bytes) -> bytes:
    return gzip.compress(b"".join(blocks))


MANIFEST_OF_NONE = Manifest("small", "1.0.0").data()
HEAD = tar.header(MANIFEST, len(MANIFEST_OF_NONE)) + MANIFEST_OF_NONE + bytes(-len(MANIFEST_OF_NONE) % 512)
END = bytes(1024)


def _changed(change: Callable[[dict[str, bytes]], object], manifest: Mapping[str, Any] | None = None) -> bytes:
    """The small archive, something of it changed after its manifest was made."""
    files = dict(FILES)
    said = json.loads(Manifest("small", "1.0.0", digests=_digests(FILES)).data()) | (manifest or {})
    change(files)
    return gzip.compress(tar.written([(MANIFEST, json.dumps(said).encode()), *sorted(files.items())]))


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _as(text: bytes) -> bytes:
    return gzip.compress(tar.written([(MANIFEST, text), *sorted(FILES.items())]))


def _nothing(_: dict[str, bytes]) -> None:
    """Leave the files as they are."""


LARGE = [(f"{at:02}.yaml", b"#" * MAX_FILE) for at in range(40)]
HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no gzip": (lambda: b"PK\3\4" + bytes(100), "digest", "it is no gzip file, or damaged"),
    "empty": (lambda: b"", "digest", "it is cut off"),
    "plain tar": (lambda: gzip.decompress(ARCHIVE), "digest", "it is no gzip file, or damaged"),
    "no tar": (
        lambda: gzip.compress(b"policies are not here" * 100),
        "digest",
        "it is no tar inside, or it is damaged",
    ),
    "two gzip files": (lambda: ARCHIVE + ARCHIVE, "digest", "there is something after its end"),
    "bytes after the end": (lambda: ARCHIVE + b"x", "digest", "there is something after its end"),
    "zeros after the end": (lambda: raw(HEAD, END, bytes(512)), "digest", "there is something after its end"),
    "a second tar": (lambda: raw(HEAD, END, HEAD, END), "digest", "there is something after its end"),
    "half an end": (lambda: raw(HEAD, bytes(512)), "digest", "it ends in the middle of its end"),
    "no end": (lambda: raw(HEAD), "digest", "it ends in the middle of a header"),
    "a gzip bomb": (lambda: gzip.compress(HEAD + bytes(512) + bytes(1 << 28)), "digest", "after its end"),
    "a bomb of a manifest": (
        lambda: raw(tar.header(MANIFEST, 1 << 32), bytes(1 << 24)),
        "limits",
        "`.manifest.json`: the file is too large: 4,294,967,296 bytes",
    ),
    "a large file": (
        lambda: packed({"a.yaml": b"#" * (MAX_FILE + 1)}, SMALL),
        "limits",
        "`a.yaml`: the file is too large: 1,048,577 bytes",
    ),
    "large in all": (
        lambda: gzip.compress(tar.written([(MANIFEST, b""), *LARGE[:17]]), 1),
        "limits",
        "the bundle is too large: ",
    ),
    "larger still": (
        lambda: gzip.compress(tar.written(LARGE), 1),
        "limits",
        "the bundle is too large",
    ),
    "many files": (
        lambda: packed({f"{at:04}.yaml": b"" for at in range(MAX_FILES + 1)}, SMALL),
        "limits",
        f"there are too many files in it: more than {MAX_FILES:,}",
    ),
    "large by itself": (lambda: bytes(MAX_ARCHIVE + 1), "limits", "too large"),
    "another bundle's name": (
        lambda: _changed(_nothing, {"name": "large"}),
        "digest",
        "its manifest says `large` where `bundle.yaml` says `small`",
    ),
    "another version": (
        lambda: _changed(_nothing, {"version": "9.0.0"}),
        "digest",
        "its manifest says `9.0.0` where `bundle.yaml` says `1.0.0`",
    ),
    "a name that is more than a name": (  # `bayplan bundle` writes it into a comment of what kubectl applies
        lambda: _changed(_nothing, {"name": "small\n---\nkind: Namespace"}),
        "digest",
        "in `.manifest.json` is no name, version or commit",
    ),
    "a commit that is more than one": (
        lambda: _changed(_nothing, {"revision": "0123abc\x1b[2J"}),
        "digest",
        "in `.manifest.json` is no name, version or commit",
    ),
    "a symbolic link": (
        lambda: tarred("policies/a.yaml", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "digest",
        "`policies/a.yaml` is a symbolic link in it; an archive holds files only",
    ),
    "a hard link": (
        lambda: tarred("policies/a.yaml", b"", type=tarfile.LNKTYPE, linkname="bundle.yaml"),
        "digest",
        "`policies/a.yaml` is a hard link",
    ),
    "a device": (lambda: tarred("a.yaml", b"", type=tarfile.CHRTYPE), "digest", "`a.yaml` is a device in it"),
    "a block device": (lambda: tarred("a.yaml", b"", type=tarfile.BLKTYPE), "digest", "`a.yaml` is a device in it"),
    "a pipe": (lambda: tarred("a.yaml", b"", type=tarfile.FIFOTYPE), "digest", "`a.yaml` is a named pipe in it"),
    "a folder": (lambda: tarred("policies/", b"", type=tarfile.DIRTYPE), "digest", "`policies/` is a folder in it"),
    "a sparse file": (
        lambda: tarred("a.yaml", type=tarfile.GNUTYPE_SPARSE),
        "digest",
        "`a.yaml` is a sparse file in it",
    ),
    "an old kind": (lambda: tarred("a.yaml", type=tarfile.AREGTYPE), "digest", "`a.yaml` is no file in it"),
    "a contiguous file": (lambda: tarred("a.yaml", type=tarfile.CONTTYPE), "digest", "`a.yaml` is no file in it"),
    "a header of pax": (
        lambda: tarred("a.yaml", b"", tarfile.PAX_FORMAT, pax_headers={"path": "../../b.yaml"}),
        "digest",
        "is a header of pax in it",
    ),
    "a global header of pax": (
        lambda: raw(
            tarfile.TarInfo.create_pax_global_header({"path": "b.yaml"}),
            HEAD,
            END,
        ),
        "digest",
        "is a header of pax in it",
    ),
    "a long name of GNU": (
        lambda: tarred("a/" * 100 + "b.yaml", b"", tarfile.GNU_FORMAT),
        "digest",
        "is a long name of GNU tar in it",
    ),
    "upwards": (lambda: tarred("../a.yaml"), "digest", "`../a.yaml` leads out of the bundle, or nowhere"),
    "upwards inside": (lambda: tarred("a/../../b.yaml"), "digest", "`a/../../b.yaml` leads out of the bundle"),
    "absolute": (lambda: tarred("/etc/a.yaml"), "digest", "`/etc/a.yaml` leads out of the bundle, or nowhere"),
    "a dot": (lambda: tarred("./a.yaml"), "digest", "`./a.yaml` leads out of the bundle, or nowhere"),
    "two slashes": (lambda: tarred("a//b.yaml"), "digest", "`a//b.yaml` leads out of the bundle, or nowhere"),
    "no name": (lambda: raw(HEAD, tar.header("x", 0).replace(b"x", b"\0"), END), "digest", "`` leads out"),
    "twice": (
        lambda: raw(HEAD, tar.header("a.yaml", 0), tar.header("a.yaml", 0), END),
        "digest",
        "`a.yaml` is in it twice",
    ),
    "another mode": (
        lambda: raw(HEAD, tar.header("a.yaml", 0).replace(b"0000644", b"0004755"), END),
        "digest",
        "what it says of `a.yaml` is not as `bayplan build` writes it",
    ),
    "a negative size": (
        lambda: raw(HEAD, tar.header("a.yaml", 0).replace(b"00000000000\0", b"\xff" * 12), END),
        "digest",
        "what it says of `a.yaml`",
    ),
    "out of order": (
        lambda: raw(HEAD, tar.header("b.yaml", 0), tar.header("a.yaml", 0), END),
        "digest",
        "its files are not in order of their names",
    ),
    "something in the gap": (
        lambda: raw(HEAD, tar.header("a.yaml", 1), b"a" + b"b" * 511, END),
        "digest",
        "there is something after the end of `a.yaml`",
    ),
    "no manifest": (
        lambda: gzip.compress(tar.written(sorted(FILES.items()))),
        "digest",
        "it does not begin with `.manifest.json`; `bayplan build` makes archives of bundles",
    ),
    "a hidden file": (lambda: packed({".a.yaml": b""}, SMALL), "digest", "`.a.yaml` does not belong to a bundle"),
    "what is no YAML": (lambda: packed({"run.sh": b""}, SMALL), "digest", "`run.sh` does not belong to a bundle"),
    "a file more": (
        lambda: _changed(lambda files: files.update({"policies/b.yaml": b"b: 1\n"})),
        "digest",
        "`policies/b.yaml` is in the archive, and not in its manifest",
    ),
    "a file less": (
        lambda: _changed(lambda files: files.pop("policies/training.yaml")),
        "digest",
        "`policies/training.yaml` is in the manifest, and not in the archive",
    ),
    "another file": (
        lambda: _changed(lambda files: files.update({"policies/training.yaml": b"a: 1\n"})),
        "digest",
        "`policies/training.yaml` has another digest than the manifest says",
    ),
    "a manifest that is no JSON": (lambda: _as(b"{"), "digest", "`.manifest.json` is not JSON"),
    "a manifest that is deep": (lambda: _as(b"[" * 100_000), "digest", "`.manifest.json` is not JSON"),
    "a manifest that is not UTF-8": (lambda: _as(b"\xff"), "digest", "`.manifest.json` is not JSON"),
    "a manifest with a key twice": (lambda: _as(b'{"a": 1, "a": 2}'), "digest", "a key is given twice"),
    "a manifest of something else": (lambda: _as(b"{}"), "digest", "is no BundleManifest of bayplan.dev/v1alpha1"),
    "a manifest that is a list": (lambda: _as(b"[]"), "digest", "is no BundleManifest of bayplan.dev/v1alpha1"),
    "a name that is no text": (lambda: _changed(_nothing, {"name": 1}), "digest", "is no text"),
    "requirements that are none": (lambda: _changed(_nothing, {"requires": [1]}), "digest", "is no map of texts"),
    "no files": (lambda: _changed(_nothing, {"files": None}), "digest", "`files` of `.manifest.json` is no map"),
    "no digest": (
        lambda: _changed(_nothing, {"files": {"bundle.yaml": {"sha256": "abc"}}}),
        "digest",
        "has no SHA-256 of `bundle.yaml`",
    ),
}


@functools.cache
def hostile(name: str) -> tuple[bytes, str, str]:
    """The bytes, the step that refuses them, and words of the reason."""
    made, step, words = HOSTILE[name]
    return made(), step, words


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused(name: str) -> None:
    data, step, words = hostile(name)
    tracemalloc.start()
    try:
        assert words in refused(data, step)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2 * MAX_TAR + (8 << 20)


def test_where_it_is_cut_or_damaged_it_is_refused() -> None:
    """At every 64th byte; bytes of the header of gzip that mean nothing may differ."""
    for at in range(0, len(ARCHIVE), 64):
        refused(ARCHIVE[:at])
        damaged = bytearray(ARCHIVE)
        damaged[at] ^= 0x55
        refused(bytes(damaged))
    for size in range(1, 10):
        refused(ARCHIVE[:-size])


@given(st.data())
@examples(150)
def test_whatever_is_changed_what_is_taken_is_what_was_built(data: st.DataObject) -> None:
    """Of the tar, too, where no checksum of gzip helps."""
    plain = bytearray(gzip.decompress(ARCHIVE))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, len(plain) - 1))] = data.draw(st.integers(0, 255))
    try:
        archive = opened(gzip.compress(plain, 1))
    except SourceError:
        return
    assert archive.files == FILES


@given(st.binary(max_size=3000))
@examples(200)
def test_whatever_is_sent_ends(data: bytes) -> None:
    for one in (data, gzip.compress(data, 1)):
        with pytest.raises(SourceError):
            opened(one)


def test_a_name_that_no_archive_can_hold() -> None:
    long = "policies/" + "x" * 120 + ".yaml"
    with pytest.raises(tar.TarError, match="is too long for an archive"):
        packed({long: b""}, SMALL)
    fits = "x" * 90 + "/" + "y" * 60 + "/" + "z" * 90 + ".yaml"
    assert files_of(packed({fits: b""}, SMALL)) == {fits: b""}


@pytest.mark.parametrize("name", ["Bundle.yaml", "a\nb.yaml", "a\u202eb.yaml"])
def test_names_are_judged_as_in_a_folder(name: str) -> None:
    content = files_of(packed({**FILES, name: b"# none\n"}, SMALL))
    assert [problem.rule for problem in bundle_of(content)[1] if problem.severity == "error"] == ["file-name"]


# As a source


class Place:
    """A file that is replaced as `mv` does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bundle.tar.gz"
        self.source = ArchiveSource(self.path)

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.put(archive_of(files))

    def put(self, data: bytes) -> None:
        aside = self.path.with_suffix(".new")
        aside.write_bytes(data)
        aside.replace(self.path)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.source.close()


def test_a_source_is_known_by_its_digest(place: Place) -> None:
    place.put(ARCHIVE)
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    assert place.source.look() == place.source.look() == f"sha256:{digest}"
    content = place.source.fetch()
    assert (content.version, content.archive, content.attestations) == (f"sha256:{digest}", digest, ())
    assert content.files == FILES
    assert content.origin == f"{place.path} (small 1.0.0)"
    place.put(packed({**FILES, "more.yaml": b"# none\n"}, SMALL))
    assert place.source.look() != content.version


def test_what_signs_an_archive_is_beside_it(place: Place) -> None:
    place.put(ARCHIVE)
    before = place.source.look()
    (place.path.parent / "bundle.tar.gz.sigstore.json").write_text("{}")
    content = place.source.fetch()
    assert content.attestations == (b"{}",)
    assert content.version == place.source.look() != before
    (place.path.parent / "bundle.tar.gz.sigstore.json").write_bytes(bytes(1 << 19))
    with pytest.raises(SourceError, match=r"sigstore.json` is too large"):
        place.source.look()


def test_what_is_not_there_is_told(place: Place) -> None:
    for ask in (place.source.look, place.source.fetch):
        with pytest.raises(SourceError, match="can't be read: No such file or directory"):
            ask()
    os.mkfifo(place.path)
    with pytest.raises(SourceError, match="it is a named pipe, not a file"):
        place.source.fetch()


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_what_is_wrong_with_a_bundle_is_refused(place: Place, bad: Bad, first: bool) -> None:
    withstands_files(place, bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_with_an_archive_is_refused(place: Place, name: str, first: bool) -> None:
    data, step, words = hostile(name)
    withstands(place, lambda: place.put(data), step, words, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_is_being_written_is_waited_for(place: Place, part: float, first: bool) -> None:
    whole = archive_of(good("6.6.6"))
    withstands(place, lambda: place.put(whole[: int(part * len(whole))]), "digest", "cut off", first=first)
