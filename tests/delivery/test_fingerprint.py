"""delivery.fingerprint: every way in which files change is seen, and nothing else."""

from __future__ import annotations

from pathlib import Path

from delivery.fingerprint import fingerprint_of


def test_equal_until_something_changes(tmp_path: Path) -> None:
    file = tmp_path / "policies" / "a.yaml"
    file.parent.mkdir()
    file.write_text("a: 1\n")
    before = fingerprint_of(tmp_path)
    assert fingerprint_of(tmp_path) == before
    file.write_text("a: 10\n")
    assert fingerprint_of(tmp_path) != before
    before = fingerprint_of(tmp_path)
    file.rename(file.with_name("b.yaml"))
    assert fingerprint_of(tmp_path) != before
    before = fingerprint_of(tmp_path)
    file.with_name("b.yaml").unlink()
    assert fingerprint_of(tmp_path) != before


def test_what_is_missing_may_appear(tmp_path: Path) -> None:
    before = fingerprint_of(tmp_path / "later")
    (tmp_path / "later").mkdir()
    assert fingerprint_of(tmp_path / "later") != before


def test_a_config_map_is_swapped_by_one_link(tmp_path: Path) -> None:
    """A kubelet writes a new folder and renames a link over `..data`; the files' own links stay as they are."""
    mount = tmp_path / "bundle"
    first, second = mount / "..2026_1", mount / "..2026_2"
    for folder in (first, second):
        (folder / "policies").mkdir(parents=True)
        (folder / "policies" / "a.yaml").write_text("same length")
    (mount / "..data").symlink_to(first.name)
    (mount / "policies").symlink_to("..data/policies")
    before = fingerprint_of(mount)
    (mount / "..data_tmp").symlink_to(second.name)
    (mount / "..data_tmp").rename(mount / "..data")
    assert fingerprint_of(mount) != before


def test_a_link_above_is_turned(tmp_path: Path) -> None:
    """git-sync turns a link to the checkout of another commit."""
    for commit in ("1", "2"):
        (tmp_path / commit).mkdir()
    link = tmp_path / "current"
    link.symlink_to("1")
    before = fingerprint_of(link)
    link.unlink()
    link.symlink_to("2")
    assert fingerprint_of(link) != before


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    assert fingerprint_of(tmp_path) == fingerprint_of(tmp_path)
