"""YAML whose every value still knows where it stood.

A bundle is read in a small and safe part of YAML: no anchors, aliases, merge keys or tags, no duplicate keys, only text
as keys. Plain scalars mean what the core schema of YAML 1.2 says (https://yaml.org/spec/1.2.2/#103-core-schema): `yes`,
`on`, `010` and `1:30` are text, text, ten and text. Kubernetes' own manifests are read as kubectl reads them
(`parse_manifests`): YAML 1.1 scalars, and anchors where people use them.

Nothing here is an object of YAML's making: PyYAML gives events, we make three kinds of frozen values from them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import yaml

from engine.errors import Problem, ordered
from engine.text import Excerpt, Source, Span

MAX_CHARACTERS = 1 << 20
"""Of one file of a bundle."""
MAX_MANIFESTS = 1 << 29
"""Of one file of Kubernetes objects, say all pods of a cluster."""
MAX_DEPTH = 64
MAX_SKIPPED = 200
"""Levels of nesting that are read, and that are read over for the sake of what follows."""
MAX_ALIASED = 100_000
"""Values that aliases may add to a file of manifests, all together."""

Style = Literal["", "'", '"', "|", ">"]
Plain: TypeAlias = Any
"""What `json.loads` makes: dict, list, str, int, float, bool or None."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar: its characters, how it was written (`""`: plain, no quotes), and where."""

    text: str
    style: Style
    span: Span

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means in the core schema."""
        return self.text if self.style else core(self.text)

    @property
    def excerpt(self) -> Excerpt:
        """Its characters, each with its place; where the way back is not certain, the whole scalar's place."""
        return Excerpt(self.text, self.span, _offsets(self))


@dataclass(frozen=True, slots=True)
class List:
    """A sequence."""

    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping in source order; its keys are unique."""

    entries: tuple[tuple[Scalar, Value], ...]
    span: Span

    def get(self, name: str) -> Value | None:
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        return next((key for key, _ in self.entries if key.text == name), None)


Value: TypeAlias = Scalar | List | Map


def parse_documents(source: Source, limit: int = MAX_CHARACTERS) -> tuple[tuple[Value, ...], tuple[Problem, ...]]:
    """The documents of one file of a bundle, empty ones left out, and everything that is wrong with them as YAML.

    What is refused (a duplicate, an alias) is left out, so that reading can go on; after a syntax error nothing more is
    read. `limit` is in characters.
    """
    problems = _unreadable(source, limit)
    if problems:
        return (), problems
    composer = _Composer(source, strict=True)
    return composer.compose(), ordered(composer.problems)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object of a file: as plain data, and, where the file is YAML, with places."""

    source: Source
    data: Plain
    value: Value | None = None

    @property
    def positioned(self) -> Value | None:
        """The value with places; for a document of a JSON file the whole file is read once more, None if in vain."""
        return self.value or next(iter(_Composer(self.source, strict=False).compose()), None)


def parse_manifests(source: Source, limit: int = MAX_MANIFESTS) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    """The documents of a file of Kubernetes manifests, YAML or JSON (or JSON objects one after the other).

    They are read as kubectl reads them: anchors, aliases, merge keys and keys that are numbers may occur.
    """
    problems = _unreadable(source, limit)
    if problems:
        return (), problems
    objects = _json_objects(source.text)
    if objects is not None:
        return tuple(Manifest(source, data) for data in objects), ()
    composer = _Composer(source, strict=False)
    return tuple(Manifest(source, manifest(value), value) for value in composer.compose()), ordered(composer.problems)


def _json_objects(text: str) -> tuple[Plain, ...] | None:
    """The JSON objects that a text consists of; None if it does not, and may be YAML."""
    decoder, objects = json.JSONDecoder(), []
    at = _end_of(_SPACE, text, 0)
    while at < len(text):
        if text[at] != "{":
            return None
        try:
            data, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        objects.append(data)
        at = _end_of(_SPACE, text, at)
    return tuple(objects)


def plain(value: Value) -> Plain:
    """The value as `json.loads` would give it, without positions."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, List):
        return [plain(item) for item in value.items]
    return {key.text: plain(item) for key, item in value.entries}


def manifest(value: Value) -> Plain:
    """A Kubernetes manifest as kubectl would send it: its scalars, keys too, are YAML 1.1's."""
    if isinstance(value, Scalar):
        return value.text if value.style else kubectl(value.text)
    if isinstance(value, List):
        return [manifest(item) for item in value.items]
    return {_manifest_key(key): manifest(item) for key, item in value.entries}


def _manifest_key(key: Scalar) -> str:
    meaning = key.text if key.style else kubectl(key.text)
    if isinstance(meaning, bool):
        return str(meaning).lower()
    return str(meaning) if isinstance(meaning, int) else key.text


def kind_of(value: Value) -> str:
    """What a value is, in words an author knows: `a list`, `text`, `true`."""
    if isinstance(value, List):
        return "a list"
    if isinstance(value, Map):
        return "a map"
    meaning = value.value
    if isinstance(meaning, str):
        return "text"
    if isinstance(meaning, bool):
        return "true or false"
    return "nothing" if meaning is None else "a number"


# What plain scalars mean

_CORE_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS = 400

_OLD_WORDS = {
    **_CORE_WORDS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_OLD_OCTAL = re.compile(r"([-+]?)0o?([0-7]+)")
_OLD_BINARY = re.compile(r"([-+]?)0b([01]+)")


def core(text: str) -> str | int | float | bool | None:
    """What a plain scalar means in YAML 1.2's core schema."""
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    if not (text[0] in "-+.0123456789" and len(text) <= _MAX_DIGITS):
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(f"{special[1]}inf" if special[2] else "nan") if special else text


def kubectl(text: str) -> str | int | float | bool | None:
    """What a plain scalar means to kubectl (YAML 1.1 as go-yaml reads it): `yes` is true, `0644` is 420."""
    if text in _OLD_WORDS:
        return _OLD_WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    digits = text.replace("_", "")
    if octal := _OLD_OCTAL.fullmatch(digits):
        return int(octal[1] + octal[2], 8)
    if binary := _OLD_BINARY.fullmatch(digits):
        return int(binary[1] + binary[2], 2)
    meaning = core(digits)
    return text if isinstance(meaning, str) else meaning


def older_meaning(scalar: Scalar) -> str:
    """What YAML 1.1 made of a plain scalar that means something else now, in words; empty where both agree."""
    if scalar.style:
        return ""
    now, then = scalar.value, kubectl(scalar.text)
    if now == then and type(now) is type(then):
        return ""
    return ("true" if then else "false") if isinstance(then, bool) else str(then)


# From events to values

_SPACE = re.compile(r"\s*")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _unreadable(source: Source, limit: int) -> tuple[Problem, ...]:
    if len(source.text) > limit:
        return (oversize(source, f"{len(source.text):,} characters", f"{limit:,} characters"),)
    match = _FORBIDDEN.search(source.text)
    if not match:
        return ()
    where = Span(source, match.start(), match.end())
    message = f"the character U+{ord(match[0]):04X} can't stand in YAML"
    return (Problem("yaml-character", message, where, hint='in a double quoted text it can be written "\\u…"'),)


def oversize(source: Source, size: str, limit: str) -> Problem:
    """The problem of a file that is too large to be read; `source` may hold its beginning only."""
    return Problem("oversize", f"the file is too large: {size}", Span(source, 0, 0), f"at most {limit}")


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been seen."""

    start: int
    flow: bool
    values: list[Value]
    keys: list[Scalar | None] | None
    anchor: str | None
    expects_key: bool = True


@dataclass(slots=True)
class _Composer:
    source: Source
    strict: bool
    problems: list[Problem] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _documents: list[Value] = field(default_factory=list)
    _anchors: dict[str, Value] = field(default_factory=dict)
    _aliased: int = 0
    _too_deep: int = 0

    def compose(self) -> tuple[Value, ...]:
        loader = _Loader(self.source.text)
        try:
            # scanning takes time in proportion to the square of the depth
            while self._too_deep < MAX_SKIPPED and loader.check_event():
                self._take(loader.get_event())
        except yaml.MarkedYAMLError as error:
            self.problems.append(_syntax_problem(self.source, error))
        finally:
            loader.dispose()
        return tuple(self._documents)

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


# From a scalar's characters back to the source's

Placed: TypeAlias = list[tuple[str, int]]
"""Characters of a value, each with the offset in the source that it came from."""


def _offsets(scalar: Scalar) -> tuple[int, ...] | None:
    text, span = scalar.span.source.text, scalar.span
    for placed in _decodings(scalar, text, span.start, span.end):
        if "".join(character for character, _ in placed) == scalar.text:
            end = placed[-1][1] + 1 if placed else span.start + bool(scalar.style)
            return (*(offset for _, offset in placed), end)
    return None


def _decodings(scalar: Scalar, text: str, start: int, end: int) -> Iterable[Placed]:
    """The ways to read the scalar's source, of which the right one gives its value."""
    if scalar.style == "":
        yield _flow(text, start, end, lambda at: (text[at], 1))
    elif scalar.style == "'":
        yield _flow(text, start + 1, end - 1, lambda at: (text[at], 2 if text[at] == "'" else 1))
    elif scalar.style == '"':
        yield _flow(text, start + 1, end - 1, lambda at: _escaped(text, at))
    else:
        yield from _block(scalar, text, start)


_BLANKS = re.compile(r"[ \t]*(?:(?:\r\n|\r|\n)[ \t]*)*")
_BREAK = re.compile(r"\r\n|\r|\n")


def _flow(text: str, start: int, end: int, character: Callable[[int], tuple[str, int]]) -> Placed:
    """Plain and quoted scalars: white space with line breaks is folded; `character` gives what stands at an offset, and
    the length of how it is written (an empty character: an escaped line break, after which blanks are dropped)."""
    placed: Placed = []
    at = start
    while at < end:
        if text[at] in " \t\r\n":
            stop = min(_end_of(_BLANKS, text, at), end)
            placed += _folded(text, at, stop)
            at = stop
            continue
        said, length = character(at)
        if said:
            placed.append((said, at))
            at += length
            continue
        stop = min(_end_of(_BLANKS, text, at + length), end)
        placed += [("\n", match.start()) for match in _BREAK.finditer(text, at + length, stop)]
        at = stop
    return placed


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _folded(text: str, start: int, stop: int) -> Placed:
    breaks = [match.start() for match in _BREAK.finditer(text, start, stop)]
    if not breaks:
        return [(text[at], at) for at in range(start, stop)]
    return [("\n", at) for at in breaks[1:]] or [(" ", breaks[0])]


_ESCAPES = dict(zip('0abt\tnvfre "/\\N_LP', '\0\a\b\t\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', strict=True))
_HEX = {"x": 2, "u": 4, "U": 8}


def _escaped(text: str, at: int) -> tuple[str, int]:
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


def _block(scalar: Scalar, text: str, start: int) -> Iterator[Placed]:
    """Literal and folded scalars, for every indentation that their first lines allow: only one gives the value."""
    header = _HEADER.match(text, start)
    if not header:
        return
    begin = _end_of(_BREAK, text, header.end())
    deepest = max(len(line[1]) for line in _LEADING_SPACES.finditer(text, begin, _end_of(_ALL_LEADING, text, begin)))
    for indent in range(deepest + 1, -1, -1):
        yield _block_indented(text, begin, indent, header[1], folded=scalar.style == ">")


def _block_indented(text: str, at: int, indent: int, chomping: str, *, folded: bool) -> Placed:
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
        trailing, at = _blank_lines(text, _end_of(_BREAK, text, stop), indent)
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
