"""Files as they were written, to be read here and there: what is packed, or can be read but once, is laid out first."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from audit.database import UnusableError

STANDARD_INPUT = Path("-")
MOST_BYTES = 8 << 30
"""Bytes that a file may have unpacked: what is packed well has a thousand times as many as it takes."""
PIECE = 1 << 20
GZIP, ZSTANDARD, SQLITE = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"SQLite format 3\0"


def called(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STANDARD_INPUT else f"`{path}`"


def begins(path: Path, magic: bytes) -> bool:
    """Whether a file begins so; of what can be read but once, nothing is read."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def opened(path: Path) -> tuple[BinaryIO, str]:
    """A file to read and to seek in, and what of it could not be unpacked, if so. Raises OSError, UnusableError."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:  # closed by `<&-`
            raise UnusableError("standard input is closed")
        file, _ = _laid_out(sys.stdin.buffer, path)
    elif path.is_file():
        file = open(path, "rb")  # noqa: SIM115 - for who reads it
    else:
        with open(path, "rb") as once:
            file, _ = _laid_out(once, path)
    try:
        start, complaint = _start(file), ""
        if start.startswith(ZSTANDARD):
            raise UnusableError(f"{called(path)} is packed by zstd: pipe what `zstdcat` makes of it into `--log -`")
        if start.startswith(GZIP):
            file, complaint = _unpacked(file, path)
            start = _start(file)
        if start == SQLITE:
            raise UnusableError(f"{called(path)} is a database: unpack it into a file, and say that one")
    except BaseException:
        file.close()
        raise
    return file, complaint


def _start(file: BinaryIO) -> bytes:
    start = file.read(len(SQLITE))
    file.seek(0)
    return start


def _unpacked(packed: BinaryIO, path: Path) -> tuple[BinaryIO, str]:
    import gzip  # only who reads what is packed needs it

    with packed, gzip.GzipFile(fileobj=packed) as source:
        return _laid_out(cast("BinaryIO", source), path)


def _laid_out(once: BinaryIO, path: Path) -> tuple[BinaryIO, str]:
    """What can be read but once, as a file that nobody else sees, and how it ended early, if so."""
    import gzip
    import tempfile

    complaint, copied = "", 0
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - for who reads it
    try:
        while piece := once.read(PIECE):
            copied += len(piece)
            if copied > MOST_BYTES:
                raise UnusableError(f"{called(path)} has more than {MOST_BYTES >> 30} GiB unpacked")
            file.write(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        complaint = f"{called(path)} is damaged or cut short where it is packed"
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file, complaint
