"""Files and folders as they are found on a disk, where anything may stand in the place of a file, and change meanwhile.

Nothing here waits for somebody else: a named pipe, a socket or a device is not opened. Nothing is left out in silence:
a folder that can't be listed is told of as a file that can't be read is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from delivery.membership import IGNORE_FILE, MAX_IGNORE, Membership, membership

CHUNK = 1 << 20
MAX_ENTRIES = 100_000
MAX_DEPTH = 64
"""Limits of a folder: files and folders in it, at any depth; and how deep."""

EVERY_FILE = Membership()

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a named pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


class Found(NamedTuple):
    """What stands in a folder: a file to read, or what is in the way of looking further.

    `name` is its path below the folder, with `/`; `path` leads there from here. `linked` says that it, or a folder on
    the way, is a symbolic link. `trouble` is why it can't be read, empty for a file.
    """

    name: str
    path: str
    linked: bool
    trouble: str = ""


def read_file(path: str | os.PathLike[str], limit: int) -> bytearray:
    """The bytes of a file; more than `limit` where there are more, but not all of them. Raises OSError."""
    with open_regular(path) as file:
        return read_stream(file, limit)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A file, to be read. Raises OSError with the reason; what is no regular file is not opened."""
    _regular(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    try:
        _regular(os.fstat(file.fileno()))  # it may be another one by now
    except OSError:
        file.close()
        raise
    return file


def read_stream(stream: BinaryIO, limit: int) -> bytearray:
    """As `read_file`, from what is open already, to its end."""
    data = bytearray()
    while len(data) <= limit and (more := stream.read(CHUNK)):
        data += more
    return data


def membership_in(root: str | os.PathLike[str]) -> Membership:
    """What belongs to the bundle in a folder, by the `.bayplanignore` in it.

    Raises BundleError for what is wrong with that file, OSError where it can't be read.
    """
    path = os.path.join(root, IGNORE_FILE)
    return membership(bytes(read_file(path, MAX_IGNORE)) if os.path.lexists(path) else None)


def found_in(root: str | os.PathLike[str], belongs: Membership = EVERY_FILE) -> tuple[Found, ...]:
    """The YAML and JSON files under a folder, and its folders that can't be looked into, sorted by name.

    Hidden ones are left out, and what does not belong to the bundle, if it is one. A link to a folder is followed where
    it leads to a hidden folder inside the root, each target once: a kubelet lays out a ConfigMap that way. What is not
    hidden is found without the link. Where the root itself can't be listed, or holds too much, that is all that is
    found, without a name.
    """
    found = tuple(sorted(_walk(os.fspath(root), belongs)))
    return found[:1] if found and not found[0].name else found


def reason(error: OSError) -> str:
    """Why something can't be read, in words."""
    if error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    return error.strerror or str(error)


def _regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((what for is_kind, what in _KINDS if is_kind(found.st_mode)), "it is something else")
        raise OSError(errno.EINVAL, f"{kind}, not a file")


def _walk(root: str, belongs: Membership) -> Iterator[Found]:
    inside = os.path.realpath(root)
    followed: set[str] = set()
    folders, seen = [Found("", root, linked=False)], 0
    while folders:
        folder = folders.pop()
        if folder.name.count("/") >= MAX_DEPTH:
            yield folder._replace(trouble=f"folders are nested more than {MAX_DEPTH} deep")
            continue
        try:
            with os.scandir(folder.path) as listed:
                entries = sorted(
                    (entry for entry in listed if not entry.name.startswith(".")), key=lambda one: one.name
                )
        except OSError as error:
            yield folder._replace(trouble=reason(error))
            continue
        seen += len(entries)
        if seen > MAX_ENTRIES:
            yield Found("", root, linked=False, trouble=f"there are more than {MAX_ENTRIES:,} files and folders in it")
            return
        below = []
        for entry in entries:
            is_link = _asked(entry.is_symlink)
            name = f"{folder.name}/{entry.name}" if folder.name else entry.name
            one = Found(name, entry.path, folder.linked or is_link)
            if not _asked(entry.is_dir):
                if belongs.takes(name):
                    yield one
            elif not belongs.enters(name):
                continue
            elif not is_link:
                below.append(one)
            elif (target := os.path.realpath(entry.path)) not in followed and _is_hidden(target, inside):
                followed.add(target)
                below.append(one)
        folders += reversed(below)


def _asked(question: Callable[[], bool]) -> bool:
    """The answer about an entry; of one that can't be asked, no: what is wrong with it is told when it is read."""
    try:
        return question()
    except OSError:
        return False


def _is_hidden(target: str, inside: str) -> bool:
    """Whether a path is inside a folder, and it or a folder on the way there is hidden."""
    parts = os.path.relpath(target, inside).split(os.sep) if is_inside(target, inside) else []
    return any(part.startswith(".") and part != "." for part in parts)


def is_inside(target: str, folder: str) -> bool:
    """Whether a path without links is a folder's, or the folder itself."""
    return target == folder or target.startswith(folder.rstrip(os.sep) + os.sep)
