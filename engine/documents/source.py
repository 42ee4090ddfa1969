"""Source, Span and Excerpt: where something stands in a file, and how to show it to its author.

Offsets count code points; lines and columns count from 1.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from engine.struct import Marked, Struct

WIDTH = 100
"""Characters of a line that are shown round a problem."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a bundle: its name as the author knows it (relative to the bundle) and its text."""

    name: str
    text: str = field(repr=False)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = self.text.split("\n")
        starts = accumulate((len(line) + 1 for line in lines[:-1]), initial=0)
        object.__setattr__(self, "_starts", tuple(starts))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a code point offset into the text."""
        line = bisect_right(self._starts, max(0, offset))
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


class Span(Struct, frozen=True):
    """A stretch of a source: code point offsets, `start` included, `end` not."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def snippet(self) -> str:
        """The line that the span begins on, and carets under the span.

        Of a line of more than WIDTH characters only what is round the span is shown, between `…`; a tab is shown as
        spaces, and a character that can't be printed as `�`.
        """
        line, column = self.source.position(self.start)
        cells = [_shown(character) for character in self.source.line(line)]
        start, stop = column - 1, column - 1 + max(1, self.end - self.start)
        first = max(0, min(start - WIDTH // 3, len(cells) - WIDTH))
        last = min(first + WIDTH, len(cells))
        before, after = "…" if first else "", "…" if last < len(cells) else ""
        pad = " " * sum(map(_width, [before, *cells[first:start]]))
        carets = "^" * max(1, sum(map(_width, cells[start : min(stop, last)])))
        return f"{before}{''.join(cells[first:last])}{after}\n{pad}{carets}"


class Excerpt(Marked, frozen=True):
    """A string value read from a source (a YAML scalar, say an expression) that still knows where it stood.

    `offsets[i]` is the offset in the source of the value's character `i`; one entry more than the value is long, for
    its end. Where the way from value to source is not known, `offsets` is None and `whole` is the best answer.
    """

    unprinted = ("offsets",)

    value: str
    whole: Span
    offsets: tuple[int, ...] | None = None

    def span(self, start: int, end: int) -> Span:
        """Where the characters `start` (included) to `end` (not) of the value stand in the source."""
        if self.offsets is None:
            return self.whole
        first = self.offsets[min(start, len(self.value))]
        last = self.offsets[min(max(end, start + 1), len(self.value)) - 1] + 1 if self.value else first
        return Span(self.whole.source, first, max(first, last))

    @staticmethod
    def of(text: str, name: str = "expression") -> Excerpt:
        """A value that is a source of its own, as on a command line or in a test."""
        return Excerpt(text, Span(Source(name, text), 0, len(text)), tuple(range(len(text) + 1)))


def _shown(character: str) -> str:
    if character == "\t":
        return "    "
    return character if character.isprintable() or unicodedata.combining(character) else "�"


def _width(text: str) -> int:
    wide = (unicodedata.east_asian_width(character) in "WF" for character in text)
    return sum(0 if unicodedata.combining(c) else 1 + w for c, w in zip(text, wide, strict=True))
