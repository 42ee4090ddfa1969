"""Where each character of a scalar's text stands in its file, through quotes, escapes and folded lines.

PyYAML tells only where a scalar begins and ends. So its source is decoded once more, each character with its offset;
if that gives another text than PyYAML's, the offsets are not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from engine.documents.source import Span

Placed: TypeAlias = list[tuple[str, int]]
"""Characters of a value, each with the offset in the source that it came from."""


def offsets_of(text: str, style: str, span: Span) -> tuple[int, ...] | None:
    """The offset in the source of each character of a scalar's text, and of its end; None where that is not certain.

    `style` is the sign that the scalar begins with, empty for a plain one.
    """
    source = span.source.text
    for placed in _decodings(source, style, span.start, span.end):
        if "".join(character for character, _ in placed) == text:
            end = placed[-1][1] + 1 if placed else span.start + bool(style)
            return (*(offset for _, offset in placed), end)
    return None


def _decodings(text: str, style: str, start: int, end: int) -> Iterable[Placed]:
    """The ways to read the scalar's source, of which the right one gives its value."""
    if style == "":
        yield _flow(text, start, end, lambda at: (text[at], 1))
    elif style == "'":
        yield _flow(text, start + 1, end - 1, lambda at: (text[at], 2 if text[at] == "'" else 1))
    elif style == '"':
        yield _flow(text, start + 1, end - 1, lambda at: _escaped(text, at))
    else:
        yield from _block(text, start, folded=style == ">")


_BLANKS = re.compile(r"[ \t]*(?:(?:\r\n|\r|\n)[ \t]*)*")
_BREAK = re.compile(r"\r\n|\r|\n")


def _flow(text: str, start: int, end: int, character: Callable[[int], tuple[str, int]]) -> Placed:
    """Plain and quoted scalars: white space with line breaks is folded; `character` gives what stands at an offset, and
    the length of how it is written (an empty character: an escaped line break, after which blanks are dropped)."""
    placed: Placed = []
    at = start
    while at < end:
        if text[at] in " \t\r\n":
            stop = min(end_of_match(_BLANKS, text, at), end)
            placed += _folded(text, at, stop)
            at = stop
            continue
        said, length = character(at)
        if said:
            placed.append((said, at))
            at += length
            continue
        stop = min(end_of_match(_BLANKS, text, at + length), end)
        placed += [("\n", match.start()) for match in _BREAK.finditer(text, at + length, stop)]
        at = stop
    return placed


def end_of_match(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a pattern's match at an offset ends; the offset itself where there is none."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _folded(text: str, start: int, stop: int) -> Placed:
    """White space of a flow scalar: one line break is a space, of several all but the first stay."""
    breaks = [match.start() for match in _BREAK.finditer(text, start, stop)]
    if not breaks:
        return [(text[at], at) for at in range(start, stop)]
    return [("\n", at) for at in breaks[1:]] or [(" ", breaks[0])]


_ESCAPES = dict(zip('0abt\tnvfre "/\\N_LP', '\0\a\b\t\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', strict=True))
_HEX = {"x": 2, "u": 4, "U": 8}


def _escaped(text: str, at: int) -> tuple[str, int]:
    """The character at an offset of a double quoted scalar, and the length of how it is written."""
    if text[at] != "\\":
        return text[at], 1
    letter = text[at + 1]
    if letter in _HEX:
        digits = _HEX[letter]
        return chr(int(text[at + 2 : at + 2 + digits], 16)), 2 + digits
    if letter in "\r\n":
        return "", 3 if text.startswith("\r\n", at + 1) else 2
    return _ESCAPES.get(letter, letter), 2


_ALL_LEADING = re.compile(r"(?:[ ]*(?:\r\n|\r|\n))*[ ]*")
_LEADING_SPACES = re.compile(r"([ ]*)(?:\r\n|\r|\n|$)?")
_HEADER = re.compile(r"[|>]([-+0-9]*)[^\r\n]*")


def _block(text: str, start: int, *, folded: bool) -> Iterator[Placed]:
    """Literal and folded scalars, for every indentation that their first lines allow: only one gives the value."""
    header = _HEADER.match(text, start)
    if not header:
        return
    begin = end_of_match(_BREAK, text, header.end())
    deepest = max(
        len(line[1]) for line in _LEADING_SPACES.finditer(text, begin, end_of_match(_ALL_LEADING, text, begin))
    )
    for indent in range(deepest + 1, -1, -1):
        yield _block_indented(text, begin, indent, header[1], folded=folded)


def _block_indented(text: str, at: int, indent: int, chomping: str, *, folded: bool) -> Placed:
    """A block scalar whose lines are indented by `indent` spaces; `chomping` is its header's indicators."""
    placed: Placed = []
    trailing, at = _blank_lines(text, at, indent)
    leading: Placed = []
    after_blank = False
    while (
        at < len(text) and _indented(text, at, indent) and text[at + indent : at + indent + 1] not in ("", "\r", "\n")
    ):
        at += indent
        blank = text[at] in " \t"
        if folded and leading and not after_blank and not blank:
            leading = [] if trailing else [(" ", leading[0][1])]
        placed += leading + trailing
        after_blank = blank
        stop = next((match.start() for match in [_BREAK.search(text, at)] if match), len(text))
        placed += [(text[i], i) for i in range(at, stop)]
        leading = [("\n", stop)] if stop < len(text) else []
        trailing, at = _blank_lines(text, end_of_match(_BREAK, text, stop), indent)
        if at >= len(text) or _document_marker(text, at):
            break
    if "-" in chomping:
        return placed
    return placed + leading + (trailing if "+" in chomping else [])


def _document_marker(text: str, at: int) -> bool:
    return text[at : at + 3] in ("---", "...") and text[at + 3 : at + 4] in ("", " ", "\t", "\r", "\n")


def _indented(text: str, at: int, indent: int) -> bool:
    return text[at : at + indent] == " " * indent


def _blank_lines(text: str, at: int, indent: int) -> tuple[Placed, int]:
    """The line breaks of the blank lines at `at`, and the beginning of the first line that is none."""
    breaks: Placed = []
    while True:
        stop = at
        while stop < len(text) and stop - at < indent and text[stop] == " ":
            stop += 1
        match = _BREAK.match(text, stop)
        if not match:
            return breaks, at
        breaks.append(("\n", stop))
        at = match.end()
