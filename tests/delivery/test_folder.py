"""delivery.folder: folders and files, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.folder import MAX_FILE, MAX_FILES, load_bundle, read_bundle, read_documents
from engine.documents import BundleError

BUNDLE = b"apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: sample}\nspec: {version: 1.0.0}\n"
POLICY = (
    b"apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: one}\n"
    b"spec: {require: [{expression: 'true'}]}\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    write(root, "bundle.yaml", BUNDLE)
    write(root, "policies/one.yaml", POLICY)
    return root


def write(root: Path, name: str, content: bytes) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def rules(root: Path) -> list[str]:
    _, problems = read_bundle(root)
    return [f"{problem.span.source.name}: {problem.rule}" for problem in problems]


def test_a_folder_is_a_bundle(folder: Path) -> None:
    write(folder, "tests/data.txt", b"\xff")
    write(folder, ".hidden.yaml", b"\xff")
    write(folder, ".git/config.yaml", b"a: [")
    write(folder, "pools/a.json", b"")
    bundle = load_bundle(folder)
    assert [policy.name for policy in bundle.policies] == ["one"]
    assert [source.name for source in bundle.sources] == ["bundle.yaml", "policies/one.yaml", "pools/a.json"]
    assert load_bundle(str(folder)).revision == bundle.revision


def test_line_ends_are_part_of_the_revision_and_a_byte_order_mark_is_not_text(folder: Path) -> None:
    before = load_bundle(folder).revision
    write(folder, "policies/one.yaml", POLICY.replace(b"\n", b"\r\n"))
    assert load_bundle(folder).revision != before
    write(folder, "policies/one.yaml", b"\xef\xbb\xbf" + POLICY)
    assert load_bundle(folder).revision == before


def test_errors_are_raised_all_together(folder: Path) -> None:
    write(folder, "policies/two.yaml", b"a: 1\n")
    write(folder, "bundle.yaml", BUNDLE.replace(b"1.0.0", b"one"))
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert [problem.rule for problem in caught.value.problems] == ["version", "missing-field"]


def test_a_bundles_inventories_are_looked_at(folder: Path) -> None:
    head = b"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n"
    write(folder, "pools/good.yaml", head + b"- {name: a, selector: {pool: a}}\n")
    write(folder, "pools/wrong.yaml", head + b"- {name: a, selector: {}}\n")
    write(folder, "pools/broken.yaml", b"a: [\n")
    write(folder, "pools/other.yaml", b"kind: Node\nmetadata: []\n")
    assert rules(folder) == [
        "pools/broken.yaml: yaml-syntax",
        "pools/other.yaml: inventory",
        "pools/wrong.yaml: empty-selector",
    ]


def test_warnings_are_kept_with_the_bundle(folder: Path) -> None:
    write(folder, "policies/two.yaml", b"# not yet\n")
    assert [problem.rule for problem in load_bundle(folder).warnings] == ["empty-file"]


def test_what_is_no_folder(tmp_path: Path) -> None:
    file = write(tmp_path, "x.yaml", BUNDLE)
    for path, message in ((file, "is not a folder"), (tmp_path / "none", "does not exist")):
        with pytest.raises(BundleError, match=message):
            load_bundle(path)
    assert rules(tmp_path / "none") == [f"{tmp_path / 'none'}: no-bundle"]


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    write(folder, "policies/big.yaml", b"a: b\n" * 2_000_000)
    _, problems = read_bundle(folder)
    assert [str(problem) for problem in problems] == [
        "policies/big.yaml:1:1: error: the file is too large: 10,000,000 bytes [oversize]\n"
        "  expected at most 1,048,576 bytes"
    ]


def test_a_bundle_that_is_too_large_in_all(folder: Path) -> None:
    for number in range(17):
        write(folder, f"examples/{number}.yaml", b"# " + b"x" * (MAX_FILE - 2))
    assert rules(folder) == ["bundle.yaml: too-large"]


def test_too_many_files(folder: Path) -> None:
    for number in range(MAX_FILES):
        write(folder, f"examples/{number}.yaml", b"")
    assert [rule.split(": ")[1] for rule in rules(folder)] == ["too-many-files"]


def test_bytes_that_are_not_utf_8_are_pointed_at(folder: Path) -> None:
    write(folder, "policies/two.yaml", POLICY.replace(b"one", "zw\u00f6lf".encode("latin-1")))
    (problem,) = (problem for problem in read_bundle(folder)[1] if problem.rule == "encoding")
    assert (str(problem.span), problem.message) == ("policies/two.yaml:3:20", "the byte 0xf6 is not UTF-8")


def test_links_may_lead_anywhere_inside_and_nowhere_outside(folder: Path) -> None:
    """As a mounted ConfigMap has it: the files are links into a hidden folder beside them."""
    write(folder, "..data/two.yaml", POLICY.replace(b"one", b"two"))
    (folder / "policies" / "two.yaml").symlink_to("../..data/two.yaml")
    assert [policy.name for policy in load_bundle(folder).policies] == ["one", "two"]
    write(folder.parent, "secret.yaml", POLICY.replace(b"one", b"three"))
    (folder / "policies" / "three.yaml").symlink_to("../../secret.yaml")
    assert rules(folder) == ["policies/three.yaml: outside-link"]


def test_links_to_folders_outside_or_to_what_is_found_anyway_are_not_followed(folder: Path) -> None:
    write(folder.parent, "outside/three.yaml", POLICY.replace(b"one", b"three"))
    (folder / "policies" / "more").symlink_to("../../outside")
    (folder / "policies" / "loop").symlink_to(".")
    (folder / "another").symlink_to("policies")
    assert [source.name for source in load_bundle(folder).sources] == ["bundle.yaml", "policies/one.yaml"]


def test_a_mounted_config_map_with_folders(folder: Path) -> None:
    write(folder, "..2024_01/tests/two.yaml", b"# none\n")
    write(folder, "..2024_01/tests/deep/loop.yaml", b"# none\n")
    (folder / "..data").symlink_to("..2024_01")
    (folder / "tests").symlink_to("..data/tests")
    (folder / "again").symlink_to("..data/tests")
    (folder / "..2024_01" / "tests" / "deep" / "up").symlink_to("..")
    names = [source.name for source in load_bundle(folder).sources]
    assert names == ["again/deep/loop.yaml", "again/two.yaml", "bundle.yaml", "policies/one.yaml"]


def test_a_link_to_nothing_is_told(folder: Path) -> None:
    (folder / "policies" / "two.yaml").symlink_to("gone.yaml")
    assert rules(folder) == ["policies/two.yaml: unreadable"]


def test_documents_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", b"kind: B\n---\nkind: C\n")
    write(tmp_path, "a/x.json", b'{"kind": "A"}')
    write(tmp_path, "a/notes.md", b"no: [yaml")
    assert [document.data["kind"] for document in read_documents(tmp_path)] == ["A", "B", "C"]
    assert [document.data["kind"] for document in read_documents(tmp_path / "b.yaml")] == ["B", "C"]


def test_documents_that_are_no_yaml(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", b"a: [\n")
    write(tmp_path, "b.yaml", b"b: 1\nb: 2\n")
    with pytest.raises(BundleError) as caught:
        read_documents(tmp_path)
    assert [problem.rule for problem in caught.value.problems] == ["yaml-syntax", "duplicate-key"]
    with pytest.raises(BundleError, match="can't be read"):
        read_documents(tmp_path / "none.yaml")
