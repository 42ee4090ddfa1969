"""What a source of bundles is, and what it gives.

A folder, a Git repository, a registry and an archive differ in how they are asked, in nothing else: each can say
cheaply what its state is called now (`look`), and hand out the files of a bundle in that state, with what speaks for
them (`fetch`). Who activates bundles needs to know no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from engine.documents import Problem
from engine.struct import Marked, Struct

Step = Literal["look", "fetch", "limits", "digest"]
"""What a source does, in the order in which it can fail: ask, transfer, measure, compare."""


class SignedObject(Struct, frozen=True):
    """A commit or an annotated tag of Git with its signature: `payload` is what was signed, without the signature."""

    name: str
    payload: bytes
    signature: bytes


class Content(Marked, frozen=True):
    """The files of a bundle as a source has them at one time, and what speaks for them.

    `files` are the bytes of what belongs to a bundle, by path below it with `/`; `problems` are those of reading them,
    where a source is read file by file. `version` is how the source calls this state: a commit, a digest; equal as long
    as nothing has changed. `origin` says for people where it is from, with the version and without credentials.

    `archive` is the SHA-256 (hexadecimal) of the archive that the files were in, empty where there was none, and
    `manifest` that of what a registry keeps of it, which names the archive by its digest; `attestations` are the
    sigstore bundles (JSON) that came with it, not verified yet; `objects` the signed objects of Git that lead to the
    files: the tag, if one was asked for, and the commit.
    """

    unprinted = ("attestations", "objects")

    version: str
    origin: str
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...] = ()
    archive: str = ""
    attestations: tuple[bytes, ...] = ()
    objects: tuple[SignedObject, ...] = ()
    manifest: str = ""


class SourceError(Exception):
    """A source can't say what it has, or hand it out: the text says why, and what to do, without credentials.

    `retry_after` are seconds that the other side asks to be left alone; 0 where it does not.
    """

    def __init__(self, step: Step, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.step, self.retry_after = step, retry_after


class Source(Protocol):
    """Where a bundle comes from. Its methods may be called from any one thread at a time, and take a bounded time."""

    @property
    def origin(self) -> str:
        """What was asked for, for people: an address with a branch, tag or range, without credentials."""

    def look(self) -> str:
        """The version that there is now, as cheaply as can be. Raises SourceError."""

    def fetch(self) -> Content:
        """What there is now. Raises SourceError."""

    def close(self) -> None:
        """Let go of connections. A source that was closed may be asked again."""
