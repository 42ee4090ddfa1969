"""delivery.folder: folders and files, and what is refused of them."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from delivery.files import MAX_DEPTH, read_file
from delivery.fingerprint import fingerprint_of
from delivery.folder import MAX_FILE, MAX_FILES, load_bundle, read_bundle, read_documents, streamed_documents
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


def test_what_is_left_out_on_purpose(folder: Path) -> None:
    write(folder, "deploy/pod.yaml", b"kind: Pod\n")
    write(folder, "more/two.YML", POLICY.replace(b"one", b"two"))
    before = fingerprint_of(folder)
    assert rules(folder) == ["deploy/pod.yaml: stray-document"]
    write(folder, ".bayplanignore", b"/deploy/\n")
    assert rules(folder) == []
    assert [policy.name for policy in load_bundle(folder).policies] == ["one", "two"]
    assert fingerprint_of(folder) != before
    before = fingerprint_of(folder)
    write(folder, "deploy/pod.yaml", b"kind: Pods\n")
    assert fingerprint_of(folder) == before


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"# none\n!\n", 2, "`!` names no files"),
        (b"a\xff\n", 1, "the byte 0xff is not UTF-8"),
        (b"#" * 70_000, 1, "the file is too large"),
    ],
)
def test_what_is_left_out_must_be_readable(folder: Path, content: bytes, line: int, message: str) -> None:
    """Nothing is known of such a bundle: a policy that was to be left out would decide."""
    write(folder, ".bayplanignore", content)
    bundle, (problem,) = read_bundle(folder)
    assert bundle is None
    assert (problem.rule, problem.message, problem.span.line) == ("ignore-file", message, line)
    assert fingerprint_of(folder) == fingerprint_of(folder)


def test_what_is_left_out_is_no_pipe(folder: Path) -> None:
    os.mkfifo(folder / ".bayplanignore")
    assert rules(folder) == [".bayplanignore: unreadable"]


def test_names_that_differ_in_case_only_are_one_file_elsewhere(folder: Path) -> None:
    write(folder, "policies/One.yaml", POLICY.replace(b"one", b"two"))
    write(folder, "policies/caf\u00e9.yaml", POLICY.replace(b"one", b"three"))
    write(folder, "policies/cafe\u0301.yaml", POLICY.replace(b"one", b"four"))
    assert [rule.split(": ")[1] for rule in rules(folder)] == ["file-name", "file-name"]


def test_a_pointer_of_git_lfs_is_not_the_file(folder: Path) -> None:
    write(folder, "pools/big.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert rules(folder) == ["pools/big.json: lfs-pointer"]


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


def no_file(kind: str, path: Path) -> None:
    """Something else than a file, in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        path.symlink_to(path.name)
    else:
        path.symlink_to("other.yaml")
        path.with_name("other.yaml").symlink_to(path.name)


NO_FILES = {
    "named pipe": "it is a named pipe, not a file",
    "socket": "it is a socket, not a file",
    "device": "it is a device, not a file",
    "link": "it is a link that leads back to itself",
    "links": "it is a link that leads back to itself",
}


@pytest.mark.parametrize(("kind", "why"), NO_FILES.items())
def test_what_is_no_file_is_told_and_not_opened(folder: Path, kind: str, why: str) -> None:
    """Whoever opens a pipe waits for its writer, and `/dev/zero` has no end."""
    no_file(kind, folder / "policies" / "odd.yaml")
    bundle, problems = read_bundle(folder)
    assert bundle
    told = [str(problem) for problem in problems if problem.span.source.name == "policies/odd.yaml"]
    if kind == "device":  # it is a link out of the bundle, which is found first
        assert told == [
            "policies/odd.yaml:1:1: error: `policies/odd.yaml` is a symbolic link out of the bundle [outside-link]\n"
            "  expected a file, or a link inside the bundle"
        ]
    else:
        assert told == [f"policies/odd.yaml:1:1: error: the file can't be read: {why} [unreadable]"]
    path = folder / "policies" / "odd.yaml"
    for root in (path, path.parent):
        with pytest.raises(BundleError) as caught:
            read_documents(root)
        assert f"{path}:1:1: error: the file can't be read: {why} [unreadable]" in str(caught.value).splitlines()


def test_a_pipe_in_the_place_of_a_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bundle")
    (tmp_path / "loop").symlink_to("loop")
    _, (problem,) = read_bundle(tmp_path / "bundle")
    assert problem.message == f"`{tmp_path}/bundle` is not a folder"
    _, (problem,) = read_bundle(tmp_path / "loop")
    assert problem.message == f"`{tmp_path}/loop` can't be read: it is a link that leads back to itself"


def test_a_file_that_becomes_a_pipe_between_two_looks_is_not_waited_for(folder: Path) -> None:
    """A writer that never comes: opening does not wait, and what was opened is looked at once more."""
    pipe = folder / "odd.yaml"
    os.mkfifo(pipe)
    before = os.stat(folder / "bundle.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("delivery.files.os.stat", lambda _: before)
        with pytest.raises(OSError, match="named pipe"):
            read_file(pipe, 10)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 300])
def test_folders_below_folders_end(folder: Path, depth: int) -> None:
    """Also where the way there is longer than a path may be."""
    there = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=there)
        below = os.open("d", os.O_RDONLY, dir_fd=there)
        os.close(there)
        there = below
    deep = os.open("deep.yaml", os.O_CREAT | os.O_WRONLY, dir_fd=there)
    os.write(deep, POLICY.replace(b"one", b"deep"))
    os.close(deep)
    os.close(there)
    bundle, problems = read_bundle(folder)
    assert bundle
    if depth <= MAX_DEPTH:
        assert not problems
        assert len(bundle.sources) == 3
    else:
        name = "/".join("d" * (MAX_DEPTH + 1))
        said = (
            f"{name}:1:1: error: the folder can't be read: folders are nested more than {MAX_DEPTH} deep [unreadable]"
        )
        assert [str(problem) for problem in problems] == [said]
    assert fingerprint_of(folder) == fingerprint_of(folder)


def test_a_folder_that_can_not_be_listed_is_told(folder: Path) -> None:
    """Its policies would be missing otherwise, in silence; here the way there is longer than a path may be."""
    there = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=there)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=there)
        os.close(there)
        there = below
    os.close(there)
    (problem,) = read_bundle(folder)[1]
    assert (problem.rule, problem.message) == ("unreadable", "the folder can't be read: File name too long")
    with pytest.raises(BundleError, match="File name too long"):
        read_documents(folder)


@pytest.mark.parametrize(
    ("name", "shown", "what"),
    [
        (b"tw\xf6.yaml", r"policies/tw\udcf6.yaml", "is not UTF-8"),
        (b"a\nb.yaml", r"policies/a\u000ab.yaml", "holds a character that does not show"),
        ("\u202ea.yaml".encode(), r"policies/\u202ea.yaml", "holds a character that does not show"),
    ],
)
def test_names_of_files_can_be_read_by_a_reviewer(folder: Path, name: bytes, shown: str, what: str) -> None:
    path = os.path.join(os.fsencode(folder), b"policies", name)
    with open(path, "wb") as file:
        file.write(POLICY)
    assert [str(problem) for problem in read_bundle(folder)[1]] == [
        f"{shown}:1:1: error: the name of the file {what} [file-name]\n  expected a name that a reviewer can read"
    ]
    (one, two) = read_documents(folder / "policies")
    assert f"{folder}/{shown}" in (one.source.name, two.source.name)


def test_a_folder_with_no_end_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are: they are looked at twice a second."""
    monkeypatch.setattr("delivery.files.MAX_ENTRIES", 50)
    for number in range(50):
        write(folder, f"notes/{number}.txt", b"")
    (problem,) = read_bundle(folder)[1]
    assert "there are more than 50 files and folders in it" in problem.message
    with pytest.raises(BundleError, match="more than 50 files"):
        read_documents(folder)
    assert fingerprint_of(folder) == fingerprint_of(folder)


def test_many_links_to_a_hidden_folder_are_found_in_the_same_order(folder: Path) -> None:
    for link in ("z", "b", "m"):
        (folder / link).symlink_to("..data")
    write(folder, "..data/two.yaml", b"# none\n")
    assert next(source.name for source in load_bundle(folder).sources) == "b/two.yaml"


def test_documents_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.data for one in streamed_documents(io.BytesIO(b"a: 1\n---\nb: 2\n"), "it")] == [{"a": 1}, {"b": 2}]
    monkeypatch.setattr("delivery.folder.MAX_MANIFESTS", 10)
    with pytest.raises(BundleError, match=r"^it:1:1: error: the file is too large: its end is not seen \[oversize\]"):
        streamed_documents(io.BytesIO(b"# 34567890\n"), "it")
    with pytest.raises(BundleError, match=r"^it:1:4: error: the byte 0xff is not UTF-8"):
        streamed_documents(io.BytesIO(b"a: \xff"), "it")


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
