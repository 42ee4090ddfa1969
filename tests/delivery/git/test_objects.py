"""delivery.git.objects: what leads from a commit to files, and what is signed of it, are the same bytes."""

from __future__ import annotations

import pytest

from delivery.content import SourceError
from delivery.git.objects import entries_of, signed_commit, signed_tag, tag_of, tree_of

TREE = "a" * 40
HEAD = f"tree {TREE}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n"


def test_a_signature_is_taken_out_of_what_it_signs() -> None:
    """As git does: that for the other kind of names is left out of both."""
    signature = "gpgsig -----BEGIN SSH SIGNATURE-----\n one\n \n two\n -----END SSH SIGNATURE-----\n"
    other = "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n three\n"
    found = signed_commit("x", f"{HEAD}{signature}{other}encoding UTF-8\n\nA message\n\ngpgsig not\n".encode())
    assert found is not None
    assert found.payload == f"{HEAD}encoding UTF-8\n\nA message\n\ngpgsig not\n".encode()
    assert found.signature == b"-----BEGIN SSH SIGNATURE-----\none\n\ntwo\n-----END SSH SIGNATURE-----\n"
    assert found.name == "commit x"
    assert signed_commit("x", f"{HEAD}\ngpgsig no header\n".encode()) is None


def test_the_last_signature_of_a_tag_counts() -> None:
    begin, end = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
    before = f"object {TREE}\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\n{begin}old\n{end}"
    found = signed_tag("v1", f"{before}{begin}new\n{end}".encode())
    assert found is not None
    assert (found.payload, found.signature) == (before.encode(), f"{begin}new\n{end}".encode())
    assert signed_tag("v1", b"object x\n\nnot -----BEGIN SSH SIGNATURE-----\n") is None


def test_only_first_lines_lead_on() -> None:
    assert tree_of(HEAD.encode()) == TREE
    assert tag_of(f"object {TREE}\ntype commit\ntag v1\n".encode()) == (TREE, "commit", "v1")
    for wrong in (f"author A\ntree {TREE}\n", f"gpgsig x\ntree {TREE}\n", f"tree {TREE[1:]}\n", "", f" tree {TREE}\n"):
        with pytest.raises(SourceError, match="names no tree in its first line"):
            tree_of(wrong.encode())
    for wrong in (f"type commit\nobject {TREE}\ntag v1\n", f"object {TREE}\ntag v1\ntype commit\n", ""):
        with pytest.raises(SourceError, match="does not say what it is about"):
            tag_of(wrong.encode())


def test_entries_of_a_tree() -> None:
    name = bytes(range(20))
    tree = b"100644 a b.yaml\0" + name + b"40000 c\0" + name
    assert [tuple(one) for one in entries_of(tree, 20)] == [
        (0o100644, "a b.yaml", name.hex()),
        (0o40000, "c", name.hex()),
    ]
    for wrong in (tree[:-1], b"100644a\0" + name, b"x", b"100648 a\0" + name, b"100644 .\0" + name, b"1 a\0" + name):
        with pytest.raises(SourceError) as caught:
            list(entries_of(wrong, 20))
        assert caught.value.step == "digest"
