"""YAML events to values that know where they stood. The one module of the engine that imports yaml.

A bundle is read in a small and safe part of YAML: no anchors, aliases, merge keys or tags, no duplicate keys, only text
as keys. Manifests (`strict` is false) may have anchors, aliases and merge keys. Plain scalars mean what `scalars.py`
says.

Nothing here is an object of YAML's making: PyYAML gives events, the Composer makes the three kinds of frozen values of
`tree.py` from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from engine.documents.problems import Problem, ordered
from engine.documents.showing import hidden
from engine.documents.source import Source, Span
from engine.documents.tree import List, Map, Scalar, Style, Value, kind_of
from engine.struct import Struct, field

MAX_CHARACTERS = 1 << 20
"""Characters of one file of a bundle."""
MAX_DEPTH = 64
MAX_SKIPPED = 200
"""Levels of nesting that are read, and that are read over for the sake of what follows."""
MAX_READ = 400_000
"""What the files of a bundle may hold together: values, keys and ends of maps and lists. Two to three seconds."""
PROBLEM = 10
"""Something that is wrong takes as much as so many of these, to be told."""
MAX_ALIASED = 100_000
"""Values that aliases may add to a file of manifests, all together."""


class Reading(Struct):
    """How much may still be read of files, counted as `MAX_READ` is; `left` is below zero once that was too much."""

    left: int = MAX_READ

    @property
    def spent(self) -> bool:
        return self.left < 0


def parse_documents(
    source: Source, limit: int = MAX_CHARACTERS, reading: Reading | None = None
) -> tuple[tuple[Value, ...], tuple[Problem, ...]]:
    """The documents of one file of a bundle, empty ones left out, and everything that is wrong with them as YAML.

    What is refused (a duplicate, an alias) is left out, so that reading can go on; after a syntax error nothing more is
    read, nor once `reading` is spent. `limit` is in characters.
    """
    problems = unreadable(source, limit)
    if problems:
        return (), problems
    composer = Composer(source, strict=True, reading=reading or Reading())
    documents, told = composer.compose(), composer.problems
    for problem in _hidden_characters(source):
        if not composer.affords(PROBLEM, problem.span.start):
            break
        told.append(problem)
    return documents, ordered(told)


_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def unreadable(source: Source, limit: int) -> tuple[Problem, ...]:
    """Why a text is not read as YAML at all: more than `limit` characters, or one that can't stand there."""
    if len(source.text) > limit:
        return (oversize(source, f"{len(source.text):,} characters", f"{limit:,} characters"),)
    match = _FORBIDDEN.search(source.text)
    if not match:
        return ()
    where = Span(source, match.start(), match.end())
    message = f"the character U+{ord(match[0]):04X} can't stand in YAML"
    return (Problem("yaml-character", message, where, hint='in a double quoted text it can be written "\\u…"'),)


def _hidden_characters(source: Source) -> Iterator[Problem]:
    """A warning for each line with a character that shows as nothing, or changes how others are shown."""
    start = 0
    while match := hidden(source.text, start):
        where = Span(source, match.start(), match.end())
        message = f"the character U+{ord(match[0]):04X} does not show, and may hide what stands here"
        hint = 'leave it out; where it is meant, write it as "\\u…" in a double quoted text'
        yield Problem("hidden-character", message, where, hint=hint, severity="warning")
        start = source.text.find("\n", match.end()) % (len(source.text) + 1)


def oversize(source: Source, size: str, limit: str) -> Problem:
    """The problem of a file that is too large to be read; `source` may hold its beginning only."""
    return Problem("oversize", f"the file is too large: {size}", Span(source, 0, 0), f"at most {limit}")


_MOST = f"at most {MAX_READ:,} values, keys and ends of maps and lists in all files, and fewer where much is wrong"


class _Open(Struct):
    """A collection whose end has not been seen."""

    start: int
    flow: bool
    values: list[Value]
    keys: list[Scalar | None] | None
    anchor: str | None
    expects_key: bool = True


class Composer(Struct):
    """Makes values of one source's events; `problems` is what is wrong so far. `strict` is for a bundle's files.
    `reading` is what may be read of it, all where there is none.
    """

    source: Source
    strict: bool
    problems: list[Problem] = field(default_factory=list)
    reading: Reading | None = None
    _stack: list[_Open] = field(default_factory=list)
    _documents: list[Value] = field(default_factory=list)
    _anchors: dict[str, Value] = field(default_factory=dict)
    _aliased: int = 0
    _too_deep: int = 0

    def compose(self) -> tuple[Value, ...]:
        """The documents, empty ones left out; after a syntax error nothing more is read."""
        loader = _Loader(self.source.text)
        try:
            # scanning takes time in proportion to the square of the depth
            while self._too_deep < MAX_SKIPPED and loader.check_event():
                event = loader.get_event()
                if not self.affords(1, event.start_mark.index):
                    break
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self.problems.append(_syntax_problem(self.source, error))
        finally:
            loader.dispose()
        return tuple(self._documents)

    def affords(self, count: int, at: int) -> bool:
        """Whether so much more may be read; that it is too much is told once, of the place that was reached."""
        reading = self.reading
        if reading is None:
            return True
        if reading.spent:
            return False
        reading.left -= count
        if reading.left >= 0:
            return True
        message = "there is too much in the files up to here to be read together"
        hint = "make two bundles of it, or name what is not of it in `.bayplanignore`"
        self.problems.append(Problem("too-much-to-read", message, Span(self.source, at, at + 1), _MOST, hint))
        return False

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if not self._too_deep:
                self._scalar(event)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            self._close(event)
        elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            if self._too_deep:
                self._too_deep += 1
            else:
                self._open(event)
        elif kind is yaml.AliasEvent and not self._too_deep:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._anchors.clear()

    def _span(self, start: int, end: int) -> Span:
        """Less the white space at its end."""
        text = self.source.text
        while end > start and text[end - 1] in " \t\r\n":
            end -= 1
        return Span(self.source, start, end)

    def _problem(self, rule: str, message: str, span: Span, expected: str = "", hint: str = "") -> None:
        if self.affords(PROBLEM, span.start):
            self.problems.append(Problem(rule, message, span, expected, hint))

    def _properties(self, event: Any) -> int:
        """Refuses or takes what stands before a value, and gives the place where the value itself begins."""
        text, start = self.source.text, event.start_mark.index
        end = len(text) if isinstance(event, yaml.CollectionStartEvent) else event.end_mark.index
        begin = _after_properties(text, start, end)
        if event.tag is not None:
            hint = "quote a value that begins with `!`" if self.strict else "leave it out, or quote the value"
            self._problem(
                "yaml-tag", f"`{event.tag}` is a tag, and tags are not allowed", self._span(start, begin), hint=hint
            )
        if event.anchor is not None and self.strict:
            hint = "write the value out where it is used, or quote a value that begins with `&`"
            self._problem(
                "yaml-alias",
                f"`&{event.anchor}` is an anchor, and anchors are not allowed",
                self._span(start, begin),
                hint=hint,
            )
        return begin

    def _scalar(self, event: Any) -> None:
        plain = event.anchor is None and event.tag is None
        start = event.start_mark.index if plain else self._properties(event)
        style: Style = event.style or ""
        scalar = Scalar(event.value, style, self._span(start, event.end_mark.index))
        self._add(scalar, event.anchor)

    def _open(self, event: Any) -> None:
        plain = event.anchor is None and event.tag is None
        start = event.start_mark.index if plain else self._properties(event)
        if len(self._stack) >= MAX_DEPTH:
            self._problem("too-deep", f"more than {MAX_DEPTH} levels of nesting", Span(self.source, start, start + 1))
            self._too_deep = 1
            return
        is_map = isinstance(event, yaml.MappingStartEvent)
        flow = bool(event.flow_style)
        self._stack.append(_Open(start, flow, [], [] if is_map else None, event.anchor))

    def _close(self, event: Any) -> None:
        if self._too_deep:
            self._too_deep -= 1
            if not self._too_deep:
                self._add(Scalar("", "", Span(self.source, event.end_mark.index, event.end_mark.index)), None)
            return
        opened = self._stack.pop()
        end = event.end_mark.index if opened.flow else self._end_of(opened)
        span = self._span(opened.start, max(end, opened.start))
        if opened.keys is None:
            self._add(List(tuple(opened.values), span), opened.anchor)
        else:
            self._add(Map(self._entries(opened.keys, opened.values), span), opened.anchor)

    def _end_of(self, opened: _Open) -> int:
        """The end of its last value, aliases aside: theirs stand elsewhere."""
        ends = (value.span.end for value in reversed(opened.values) if value.span.start >= opened.start)
        return next(ends, opened.start + 1)

    def _alias(self, event: Any) -> None:
        span = self._span(event.start_mark.index, event.end_mark.index)
        if self.strict:
            hint = "write the value out, or quote a value that begins with `*`"
            self._problem("yaml-alias", f"`*{event.anchor}` is an alias, and aliases are not allowed", span, hint=hint)
            return self._add(Scalar("", "", span), None)
        value = self._anchors.get(event.anchor)
        self._aliased += _size(value, MAX_ALIASED - self._aliased) if value else 0
        if value is None:
            self._problem("yaml-alias", f"`*{event.anchor}` refers to nothing before it", span)
        elif self._aliased > MAX_ALIASED:
            self._problem(
                "yaml-alias", "the aliases of this file stand for too much", span, f"at most {MAX_ALIASED:,} values"
            )
        else:
            return self._add(value, None)
        return self._add(Scalar("", "", span), None)

    def _add(self, value: Value, anchor: str | None) -> None:
        if anchor is not None and not self.strict:
            self._anchors[anchor] = value
        if not self._stack:
            if not (isinstance(value, Scalar) and not value.style and not value.text):
                self._documents.append(value)
            return
        top = self._stack[-1]
        if top.keys is None:
            top.values.append(value)
        elif top.expects_key:
            top.keys.append(self._key(value))
            top.expects_key = False
        else:
            top.values.append(value)
            top.expects_key = True

    def _key(self, value: Value) -> Scalar | None:
        if not isinstance(value, Scalar):
            self._problem("key-type", f"a key can't be {kind_of(value)}", value.span, "text")
            return None
        if self.strict and value.text == "<<" and not value.style:
            self._problem("yaml-alias", "`<<` is a merge key, and merge keys are not allowed", value.span)
            return None
        if self.strict and not isinstance(value.value, str):
            hint = f'quote it: "{value.text}"' if value.text else ""
            self._problem("key-type", f"a key can't be {kind_of(value)}", value.span, "text", hint)
            return None
        return value

    def _entries(self, keys: Sequence[Scalar | None], values: Sequence[Value]) -> tuple[tuple[Scalar, Value], ...]:
        seen: dict[str, tuple[Scalar, Value]] = {}
        merged: list[tuple[Scalar, Value]] = []
        for key, value in zip(keys, values, strict=True):
            if key is None:
                continue
            if not self.strict and key.text == "<<" and not key.style:
                merged += self._merged(value)
            elif key.text in seen:
                first = seen[key.text][0].span.line
                self._problem("duplicate-key", f"`{key.text}` is given twice, first in line {first}", key.span)
            else:
                seen[key.text] = (key, value)
        for key, value in merged:
            seen.setdefault(key.text, (key, value))
        return tuple(seen.values())

    def _merged(self, value: Value) -> Iterator[tuple[Scalar, Value]]:
        for each in value.items if isinstance(value, List) else (value,):
            if isinstance(each, Map):
                yield from each.entries
            else:
                self._problem("yaml-alias", f"`<<` can't merge {kind_of(each)}", each.span, "a map, or a list of maps")


def _size(value: Value, limit: int) -> int:
    """How many values a value consists of; may stop counting at `limit`."""
    count, left = 0, [value]
    while left and count <= limit:
        here = left.pop()
        count += 1
        if isinstance(here, List):
            left.extend(here.items)
        elif isinstance(here, Map):
            left.extend(item for _, item in here.entries)
    return count


_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*|#[^\n]*|\s+")


def _after_properties(text: str, start: int, end: int) -> int:
    """Where the value begins that an anchor or a tag at `start` belongs to."""
    while start < end and (match := _PROPERTY.match(text, start, end)):
        start = match.end()
    return start


# What is wrong with text that is no YAML

_QUOTE_IT = "put the whole value in quotes, or write it as a block after `|`"


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    text, said = source.text, f"{error.problem or error.context or 'unreadable'}"
    at = _index(error.problem_mark, error.context_mark)
    began = _index(error.context_mark, error.problem_mark)
    context = error.context or ""
    if "tab character" in said or text[at : at + 1] == "\t":
        at = max(at, text.find("\t", at))
        return Problem("yaml-tab", "a tab can't be used here", Span(source, at, at + 1), "spaces")
    if "quoted scalar" in context and "end of stream" in said:
        quote = text[began : began + 1]
        return _syntax(source, began, f"the quote {quote} is never closed")
    if "escape" in said or "hexdecimal" in said or "hexadecimal" in said:
        return _syntax(
            source, at, "no such escape in a double quoted text", "use single quotes, or write `\\\\` for one backslash"
        )
    if "mapping values" in said:
        return _syntax(
            source,
            at,
            "a `:` where no key can be",
            f"if it belongs to a value, {_QUOTE_IT}; else check the indentation",
        )
    if "scanning a tag" in context:
        return _syntax(source, began, "an unquoted value can't begin with `!`", _QUOTE_IT)
    if "scanning an a" in context:
        return _syntax(source, began, f"an unquoted value can't begin with `{text[began : began + 1]}`", _QUOTE_IT)
    if "cannot start any token" in said:
        return _syntax(source, at, f"an unquoted value can't begin with `{text[at : at + 1]}`", _QUOTE_IT)
    if "parsing a flow" in context:
        if text[began : began + 1] not in ("[", "{"):  # the parser was at a value inside
            began = max(text.rfind("[", 0, began), text.rfind("{", 0, began), 0)
        bracket = text[began : began + 1]
        if not text[at:].strip():
            return _syntax(source, began, f"the `{bracket}` is never closed")
        closing = "}" if bracket == "{" else "]"
        return _syntax(source, at, f"neither `,` nor `{closing}` follows", f"if this is an expression, {_QUOTE_IT}")
    if "parsing a block" in context:
        return _syntax(
            source, at, "this belongs to nothing", f"if it continues a value, {_QUOTE_IT}; else check the indentation"
        )
    return _syntax(source, at, f"not YAML: {said}")


def _syntax(source: Source, at: int, message: str, hint: str = "") -> Problem:
    """A problem at `at`, or at the last visible character before where nothing is there to see."""
    text = source.text
    if not text[at : at + 1].strip():
        at = max(0, len(text[:at].rstrip()) - 1) if not text[at:].strip() else at
    return Problem("yaml-syntax", message, Span(source, at, at + 1), hint=hint)


def _index(*marks: Any) -> int:
    return next((int(mark.index) for mark in marks if mark is not None), 0)
