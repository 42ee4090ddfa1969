"""The last good revisions of a source on disk, and what was decided about it: what a start without the source serves.

Every file is written beside the one that it replaces, carries a checksum, and takes its place in one step once the disk
has it: whatever moment a process is killed at, each file is whole, the old one or the new one. What is damaged all the
same is set aside and told of, and never stops anybody.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from delivery.content import Content, SignedObject
from delivery.files import read_file
from engine.bundle import Revision
from engine.struct import Marked, Struct

KEEP = 5
"""How many revisions are kept."""
MAX_BYTES = 64 << 20
"""Limit of a file: the bytes of a bundle are at most 16 MiB, and what else it holds is little."""
DAMAGED = ".damaged"
MOST_DAMAGED = 5
"""So many files that were set aside are left for somebody to look at."""
STALE_SECONDS = 600.0
"""A file that is being written is somebody's for so long; several processes may share a folder."""
REVISION, DECIDED = "bayplan-revision", "bayplan-decided"
FORM = 1
UNREACHABLE = frozenset(
    (errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOTDIR, errno.ESTALE)
)
"""What says nothing of a file, but that it can't be read now: it may be whole, and is left where it is."""
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What is raised of a file that is whole, and says something else than is written here."""


class DamagedError(Exception):
    """A file of the store is not what was written: the text says how that shows."""


class Kept(Marked, frozen=True):
    """A revision on disk. `activated` is when it last became active, in seconds since 1970; `vouched` is the time for
    which its signature was found good."""

    unprinted = ("content",)

    revision: Revision
    content: Content
    activated: float
    vouched: float


class Decided(Struct, frozen=True):
    """What people decided about a source, and what must not be forgotten.

    `pinned` is the digest of the revision that stays, whatever the source has; empty for none. `suspended` says that
    the source is not asked. `held_back` are digests of revisions that do not become active. `seen` is by bundle the
    newest version that somebody who is trusted vouched for.
    """

    pinned: str = ""
    suspended: bool = False
    held_back: frozenset[str] = frozenset()
    seen: Mapping[str, str] = {}


class Store:
    """What is kept of one source, in a folder of its own. Its methods raise OSError where they say so."""

    def __init__(self, folder: Path, source: str, keep: int = KEEP) -> None:
        """`source` is how the source is written: what is kept of one is never served for another."""
        self.folder = folder / hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:16]
        self._source, self._keep = source, keep
        self.complaints: list[str] = []

    def revisions(self) -> tuple[Kept, ...]:
        """What is there, the one that became active last first. What is damaged is set aside, and in `complaints`."""
        found = [self._kept(path) for path in self._files(".revision")]
        return tuple(sorted((kept for kept in found if kept), key=lambda kept: -kept.activated))

    def keep(self, kept: Kept, pinned: str = "") -> None:
        """Keep a revision, in place of the oldest if there are too many; not of the `pinned` one. Raises OSError."""
        meta = {
            "source": self._source,
            "name": kept.revision.name,
            "version": kept.revision.version,
            "digest": kept.revision.digest,
            "activated": kept.activated,
            "vouched": kept.vouched,
        }
        self._write(f"{kept.revision.digest}.revision", REVISION, {**meta, "content": _written(kept.content)})
        others = [one for one in self.revisions() if one.revision.digest not in (kept.revision.digest, pinned)]
        for old in others[max(0, self._keep - 1 - bool(pinned and pinned != kept.revision.digest)) :]:
            with contextlib.suppress(OSError):
                (self.folder / f"{old.revision.digest}.revision").unlink()

    def decided(self) -> Decided:
        """What was decided; nothing where that is damaged, which is in `complaints`."""
        path = self.folder / "decided"
        try:
            told = _read(path, DECIDED)
            return Decided(
                str(told["pinned"]), bool(told["suspended"]), frozenset(map(str, told["held_back"])), dict(told["seen"])
            )
        except FileNotFoundError:
            return Decided()
        except (DamagedError, OSError, *MALFORMED) as error:
            self._set_aside(path, error)
            return Decided()

    def decide(self, decided: Decided) -> None:
        """Keep what was decided. Raises OSError."""
        told = {
            "pinned": decided.pinned,
            "suspended": decided.suspended,
            "held_back": sorted(decided.held_back),
            "seen": dict(decided.seen),
        }
        self._write("decided", DECIDED, told)

    def _files(self, suffix: str) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(suffix))
        except FileNotFoundError:
            return []
        except OSError as error:
            self.complaints.append(f"`{self.folder}` can't be read: {error.strerror}")
            return []

    def _kept(self, path: Path) -> Kept | None:
        try:
            told = _read(path, REVISION)
            revision = Revision(str(told["name"]), str(told["version"]), str(told["digest"]))
            if path.name != f"{revision.digest}.revision" or told["source"] != self._source:
                raise DamagedError("it is another revision's, or another source's")
            return Kept(revision, _content(told["content"]), float(told["activated"]), float(told["vouched"]))
        except FileNotFoundError:
            return None
        except (DamagedError, OSError, *MALFORMED) as error:
            self._set_aside(path, error)
            return None

    def _set_aside(self, path: Path, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in UNREACHABLE:
            self.complaints.append(f"`{path}` can't be read: {error.strerror}")
            return
        why = (
            error.strerror
            if isinstance(error, OSError)
            else error
            if isinstance(error, DamagedError)
            else "it lacks something"
        )
        self.complaints.append(f"`{path}` is set aside: {why}")
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}{DAMAGED}"))
        old = sorted(self._files(DAMAGED), key=_changed)
        for one in old[:-MOST_DAMAGED]:
            with contextlib.suppress(OSError):
                one.unlink()

    def _write(self, name: str, kind: str, told: Mapping[str, Any]) -> None:
        body = json.dumps(told, separators=(",", ":")).encode()
        head = f"{kind} {FORM} sha256:{hashlib.sha256(body).hexdigest()}\n".encode()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        partial = self.folder / f".{name}.{secrets.token_hex(8)}"
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(head + body)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        _settle(self.folder)

    def _sweep(self) -> None:
        """Remove what was being written when somebody was killed."""
        for path in self.folder.glob(".*"):
            if time.time() - _changed(path) > STALE_SECONDS:
                with contextlib.suppress(OSError):
                    path.unlink()


def _settle(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _read(path: Path, kind: str) -> Any:
    """What a file says. Raises DamagedError or OSError."""
    data = bytes(read_file(path, MAX_BYTES))
    head, newline, body = data.partition(b"\n")
    if not newline or len(data) > MAX_BYTES:
        raise DamagedError("it is not whole" if not newline else "it is too large")
    words = head.split(b" ")
    if len(words) != 3 or words[0] != kind.encode():
        raise DamagedError("it is something else")
    if words[1] != str(FORM).encode():
        raise DamagedError("another version of bayplan wrote it")
    if words[2] != b"sha256:" + hashlib.sha256(body).hexdigest().encode():
        raise DamagedError("its checksum is another one")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DamagedError("it is no JSON") from error


def _written(content: Content) -> dict[str, Any]:
    return {
        "version": content.version,
        "origin": content.origin,
        "archive": content.archive,
        "manifest": content.manifest,
        "files": {name: _text(data) for name, data in content.files.items()},
        "attestations": [_text(one) for one in content.attestations],
        "objects": [[one.name, _text(one.payload), _text(one.signature)] for one in content.objects],
    }


def _content(told: Mapping[str, Any]) -> Content:
    return Content(
        version=str(told["version"]),
        origin=str(told["origin"]),
        files={str(name): _bytes(data) for name, data in told["files"].items()},
        archive=str(told["archive"]),
        manifest=str(told.get("manifest", "")),  # what was kept before there were any has none
        attestations=tuple(_bytes(one) for one in told["attestations"]),
        objects=tuple(SignedObject(str(name), _bytes(one), _bytes(by)) for name, one, by in told["objects"]),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
