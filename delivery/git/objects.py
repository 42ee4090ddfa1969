"""What objects of Git say: commits, tags, trees and their signatures, from the bytes that their names are hashes of.

Commits and tags are headers, an empty line and a message. Only what leads on is read, and only where git looks for it:
what is signed and what is followed are the same lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from delivery.content import SignedObject, SourceError

FILE_MODES = (0o100644, 0o100755, 0o100664)
FOLDER, LINK, SUBMODULE = 0o040000, 0o120000, 0o160000
_TREE = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")
_TAG = re.compile(rb"object ([0-9a-f]{40}|[0-9a-f]{64})\ntype ([a-z]+)\ntag ([^\n]+)\n")
_SIGNATURES = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----$", re.MULTILINE)


class Tag(NamedTuple):
    """What an annotated tag is about: an object and its kind, and how it is called itself."""

    target: str
    kind: str
    called: str


class Entry(NamedTuple):
    """What a tree says of one name in it."""

    mode: int
    name: str
    target: str


def tree_of(commit: bytes) -> str:
    """The name of a commit's tree. Raises SourceError."""
    found = _TREE.match(commit)
    if not found:
        raise SourceError("digest", "the commit that was sent names no tree in its first line")
    return found[1].decode()


def tag_of(data: bytes) -> Tag:
    """What a tag object is about. Raises SourceError."""
    found = _TAG.match(data)
    if not found:
        raise SourceError("digest", "the tag that was sent does not say what it is about in its first lines")
    return Tag(found[1].decode(), found[2].decode(), os.fsdecode(found[3]))


def entries_of(tree: bytes, width: int) -> Iterator[Entry]:
    """The entries of a tree; `width` are the bytes of a name of an object. Raises SourceError."""
    at, seen = 0, set()
    while at < len(tree):
        space = tree.find(b" ", at, at + 8)
        end = tree.find(b"\0", space)
        if space < 0 or end < 0 or end + 1 + width > len(tree):
            raise SourceError("digest", "a tree that was sent is damaged")
        mode, name = tree[at:space], os.fsdecode(tree[space + 1 : end])
        if not re.fullmatch(rb"[0-7]{5,6}", mode) or name in ("", ".", "..") or "/" in name or name in seen:
            raise SourceError("digest", f"a tree that was sent has an entry that git refuses: `{name!r}`")
        seen.add(name)
        yield Entry(int(mode, 8), name, tree[end + 1 : end + 1 + width].hex())
        at = end + 1 + width


def signed_commit(name: str, data: bytes) -> SignedObject | None:
    """A commit and its signature; None for one that has none."""
    headers, empty, message = data.partition(b"\n\n")
    payload, signature = bytearray(), bytearray()
    within: bytearray | None = payload
    for line in headers.split(b"\n"):
        key, _, value = line.partition(b" ")
        if not line.startswith(b" "):
            within = signature if key == b"gpgsig" else None if key.startswith(b"gpgsig") else payload
        else:
            value = line[1:]
        if within is not None:
            within += (value if within is signature else line) + b"\n"
    payload = payload[:-1] + empty + message
    return SignedObject(f"commit {name}", bytes(payload), bytes(signature)) if signature else None


def signed_tag(called: str, data: bytes) -> SignedObject | None:
    """An annotated tag and its signature; None for one that has none. As git does, the last signature counts."""
    starts = [found.start() for found in _SIGNATURES.finditer(data)]
    return SignedObject(f"tag {called}", data[: starts[-1]], data[starts[-1] :]) if starts else None
