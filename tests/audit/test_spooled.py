"""audit.spooled: what is packed, or can be read but once, is read as what was written; and what can't be is told."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from audit import spooled
from audit.database import UnusableError
from audit.spooled import STANDARD_INPUT, begins, opened

TEXT = b"one\ntwo\n"


def read(path: Path) -> tuple[bytes, str]:
    file, complaint = opened(path)
    with file:
        file.seek(4)
        end = file.read()
        file.seek(0)
        return file.read(4) + end, complaint


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["file", "pipe", "standard input"])
def test_all_is_read_here_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, packed: bool) -> None:
    text = gzip.compress(TEXT) if packed else TEXT
    path = tmp_path / "log"
    if kind == "file":
        path.write_bytes(text)
    elif kind == "pipe":
        os.mkfifo(path)
        threading.Thread(target=path.write_bytes, args=(text,)).start()
    else:
        path = STANDARD_INPUT
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert read(path) == (TEXT, "")


def test_members_of_a_packed_file_follow_each_other(tmp_path: Path) -> None:
    """As those do that a log was rotated into, joined by `cat`."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(TEXT))
    assert read(path) == (2 * TEXT, "")


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: text[:200] + b"\0" * 50 + text[250:]])
def test_what_is_damaged_is_read_as_far_as_it_is_not(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = tmp_path / "log.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(5_000))))
    _, complaint = read(path)
    assert complaint == f"`{path}` is damaged or cut short where it is packed"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\x28\xb5\x2f\xfd", "is packed by zstd: pipe what `zstdcat` makes of it"),
        (gzip.compress(b"SQLite format 3\0"), "is a database: unpack it into a file"),
        (b"SQLite format 3\0", "is a database: unpack it into a file"),
    ],
)
def test_what_can_not_be_read_so_is_told(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(text)
    with pytest.raises(UnusableError, match=told):
        opened(path)
    assert begins(path, text[:2])
    assert not begins(tmp_path / "nowhere", b"")


def test_what_is_packed_well_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "MOST_BYTES", 1 << 20)
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(bytes(2 << 20)))
    with pytest.raises(UnusableError, match="has more than"):
        opened(path)


def test_what_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        opened(tmp_path / "nowhere")


def test_a_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UnusableError, match="standard input is closed"):
        opened(STANDARD_INPUT)
