"""What people read: tables, wrapped sentences, and colour where a terminal shows it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO, Any, cast

from engine.documents import printable, printable_lines

_OURS = os.urandom(8).hex()
"""Stands behind the escape character of our own colours: whoever wrote what is shown can't know it."""
EVERY_SECONDS = 0.2
"""Between two lines of progress."""
RED, GREEN, BOLD, FAINT = "31", "32", "1", "2"


def styled(text: str, style: str) -> str:
    """The text in a colour, if standard output is a terminal and nobody minds."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"\033{_OURS}[{style}m{text}\033{_OURS}[0m"


@contextmanager
def safely_shown() -> Iterator[None]:
    """What is printed meanwhile is shown with escapes for what a terminal would obey, our own colours aside."""
    with redirect_stdout(cast("IO[str]", _Safe(sys.stdout))), redirect_stderr(cast("IO[str]", _Safe(sys.stderr))):
        yield


class _Safe:
    """A stream that text is written to as `printable_lines`; all else is the stream's own."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable_lines(text).replace(f"\\u001b{_OURS}", "\033"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """What is called with how far something is, and shows it now and then in the last line of a terminal, if standard
    error is one; afterwards it is gone."""
    shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    again = f"\033{_OURS}[1G\033{_OURS}[K"
    last = 0.0

    def tell(text: str) -> None:
        nonlocal last
        if shown and time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            sys.stderr.write(f"{again}{text}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if last:
            sys.stderr.write(again)
            sys.stderr.flush()


def wrapped(text: str, indent: str = "", further: str = "") -> str:
    """Text in lines that fit the terminal; all but the first are indented `further`."""
    columns = min(shutil.get_terminal_size((100, 24)).columns, 120)
    lines = textwrap.wrap(
        text, max(40, columns), initial_indent=indent, subsequent_indent=indent + further, break_on_hyphens=False
    )
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), indent: str = "") -> str:
    """Left-aligned columns two blanks apart; the last one is as wide as it likes."""
    lines = [[printable(text) for text in line] for line in ([header] if header else []) + list(rows)]
    widths = [max((_width(line[i]) for line in lines), default=0) for i in range(len(lines[0]))] if lines else []
    return "\n".join(indent + "  ".join(_padded(line, widths)).rstrip() for line in lines)


def coloured(diff: Iterable[str]) -> Iterable[str]:
    """The lines of a unified diff, what is gone in red and what is new in green."""
    for line in diff:
        style = {"+": GREEN, "-": RED, "@": FAINT}.get(line[:1])
        yield styled(line, style) if style else line


def amount(number: int, one: str, many: str = "") -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _padded(line: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    return (text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
