"""Files in a tar, in the one way in which `bayplan build` writes it (POSIX.1-1988, ustar), and read in no other.

Regular files by name, in order; no owners, no times, no links, no extensions. A reader that knows one form only has
nothing to interpret: whatever else a tar can say (devices, links, sparse files, headers that rename what follows) is
refused by name. Sizes are looked at before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

BLOCK = 512
MOST_NAME, MOST_ABOVE = 100, 155
"""Bytes of a name in UTF-8, and of the folders above it where it is longer, which are written by themselves."""
_END = bytes(2 * BLOCK)
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a named pipe",
    b"S": "a sparse file",
    b"L": "a long name of GNU tar",
    b"K": "a long link of GNU tar",
    b"x": "a header of pax",
    b"g": "a header of pax",
}


class TarError(Exception):
    """What is wrong with a tar, in words that name the file."""


class TarLimitError(TarError):
    """A tar that holds more than it may."""


class Stream(Protocol):
    """Bytes that are read from the beginning on."""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""


def written(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of these files, in this order. Raises TarError for a name that has no place there."""
    parts = []
    for name, data in files:
        parts += [header(name, len(data)), data, bytes(-len(data) % BLOCK)]
    return b"".join([*parts, _END])


def read(stream: Stream, most_files: int, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The files of a tar, one by one, none larger than `most_bytes`; each name once. Raises TarError."""
    seen: set[str] = set()
    while True:
        block = _taken(stream, BLOCK, "a header")
        if block == bytes(BLOCK):
            break
        name, size = _named(block)
        if name in seen:
            raise TarError(f"`{name}` is in it twice")
        if len(seen) >= most_files:
            raise TarLimitError(f"there are too many files in it: more than {most_files - 1:,}")
        if size > most_bytes:
            raise TarLimitError(f"`{name}`: the file is too large: {size:,} bytes, at most {most_bytes:,} may be")
        seen.add(name)
        data = _taken(stream, size, f"`{name}`")
        if _taken(stream, -size % BLOCK, f"`{name}`").strip(b"\0"):
            raise TarError(f"there is something after the end of `{name}`")
        yield name, data
    if _taken(stream, BLOCK, "its end") != bytes(BLOCK) or stream.read(1):
        raise TarError("there is something after its end")


def header(name: str, size: int) -> bytes:
    """The block before a file. Raises TarError for a name that is too long."""
    above, below = _split(name)
    fields = b"".join(
        (
            below.ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,
            b"%011o\0" % size,
            b"0" * 11 + b"\0",
            b" " * 8,
            b"0" + bytes(100),
            b"ustar\x0000" + bytes(64),
            b"0000000\0" * 2,
            above.ljust(155, b"\0"),
        )
    ).ljust(BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _split(name: str) -> tuple[bytes, bytes]:
    whole = name.encode()
    if len(whole) <= MOST_NAME:
        return b"", whole
    at = whole.find(b"/", len(whole) - MOST_NAME - 1)
    if 0 < at <= MOST_ABOVE and at < len(whole) - 1:
        return whole[:at], whole[at + 1 :]
    raise TarError(
        f"the name `{name}` is too long for an archive: at most {MOST_NAME} bytes, or {MOST_ABOVE} of folders before it"
    )


def _named(block: bytes) -> tuple[str, int]:
    """The name and size of the file that follows. Raises TarError for whatever is not as `header` has it."""
    below, above = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    whole = above + b"/" + below if above else below
    shown = whole.decode(errors="backslashreplace")
    if block[257:262] != b"ustar" and block[156:157] not in _KINDS:
        raise TarError("it is no tar inside, or it is damaged")
    if block[156:157] != b"0":
        kind = _KINDS.get(block[156:157], "no file")
        raise TarError(f"`{shown}` is {kind} in it; an archive holds files only")
    _check_name(whole, shown)
    try:
        name, size = whole.decode(), int(block[124:135], 8)
        expected = header(name, size)
    except ValueError:
        expected = b""
    if block != expected:
        raise TarError(f"what it says of `{shown}` is not as `bayplan build` writes it")
    return name, size


def _check_name(whole: bytes, shown: str) -> None:
    if any(part in (b"", b".", b"..") for part in whole.split(b"/")):
        raise TarError(f"`{shown}` leads out of the bundle, or nowhere")


def _taken(stream: Stream, size: int, what: str) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) < size:
        raise TarError(f"it ends in the middle of {what}")
    return data
