"""Strings: the standard functions, and the strings extension that Kubernetes offers. Positions count code points."""

from __future__ import annotations

from collections.abc import Callable

from engine.language.functions.formatting import format_string
from engine.language.overload import A, B, Overload, by_length, content
from engine.language.regex import MAX_PRICE, compile_pattern, matching, price
from engine.language.types import BOOL, BYTES, DYN, INT, STRING, Type, list_of, map_of
from engine.language.values import MAX_SIZE, BudgetExceeded, CelError, NoSuchOverload

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}
_ESCAPES = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
})  # fmt: skip


def size(value: str | bytes | list[object] | dict[object, object]) -> int:
    """Code points of a string, bytes, elements, entries."""
    return len(value)


def contains(text: str, part: str) -> bool:
    return part in text


def starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


def ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern is found anywhere in the text."""
    return compile_pattern(pattern).matches(text)


def find(text: str, pattern: str) -> str:
    """The leftmost match, or an empty string."""
    return compile_pattern(pattern).find(text)


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    """The matches, at most `limit` of them where it is not negative."""
    found: list[str] = []
    for match in compile_pattern(pattern).find_all(text):
        if 0 <= limit <= len(found):
            break
        found.append(match)
    return found


def char_at(text: str, index: int) -> str:
    """The character at a position; an empty string right after the last one."""
    _within(index, text)
    return text[index : index + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    """Where the part first begins at or after `start`, or -1."""
    if part == "":
        return start
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return text.find(part, start)


def last_index_of(text: str, part: str, start: int | None = None) -> int:
    """Where the part last begins at or before `start`, or -1."""
    if part == "":
        return len(text) if start is None else start
    if start is None:
        return text.rfind(part)
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def lower_ascii(text: str) -> str:
    return text.translate(_LOWER)


def upper_ascii(text: str) -> str:
    return text.translate(_UPPER)


def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    """The first `limit` occurrences replaced; all of them if it is negative."""
    count = text.count(old) if limit < 0 else min(limit, text.count(old))
    _bounded(len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, max(limit, -1))


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    """At most `limit` parts, the last one unsplit; all if it is negative. An empty separator splits characters."""
    if limit == 0:
        return []
    if separator == "":
        cut = len(text) if limit < 0 else min(limit - 1, len(text))
        return [*text[:cut], *([text[cut:]] if cut < len(text) else [])]
    return text.split(separator, -1 if limit < 0 else limit - 1)


def substring(text: str, start: int, end: int | None = None) -> str:
    """From `start`, included, to `end`, not."""
    if end is not None and start > end:
        raise CelError(f"invalid substring range: start {start}, end {end}")
    _within(start, text)
    if end is not None:
        _within(end, text)
    return text[start:end]


def trim(text: str) -> str:
    return text.strip(_SPACE)


def reverse(text: str) -> str:
    return text[::-1]


def join(parts: list[object], separator: str = "") -> str:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        raise NoSuchOverload("join", parts)
    _bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def quote(text: str) -> str:
    """In double quotes, with CEL's escapes, so that it prints on one line."""
    return f'"{text.translate(_ESCAPES)}"'


def _within(index: int, text: str) -> None:
    if not 0 <= index <= len(text):
        raise CelError(f"index out of range: {index}")


def _bounded(length: int) -> None:
    if length > MAX_SIZE:
        raise BudgetExceeded(f"a string grew beyond {MAX_SIZE} characters")


def by_result(*arguments: object) -> int:
    """What repeats or splits: at most as many parts as characters."""
    return sum(len(argument) >> 3 for argument in arguments if isinstance(argument, (str, list, tuple)))


def by_formatting(template: str, arguments: list[object]) -> int:
    """What writes out values: all that is in them."""
    return (len(template) >> 3) + 8 * content(arguments)


def by_match(text: str, pattern: str) -> int:
    """What compiles a pattern, and looks for it once."""
    return _by_pattern(text, pattern)


def by_matches(text: str, pattern: str, limit: int = -1) -> int:
    """What looks for a pattern until the text ends: there may be a match for each character."""
    found = len(text) + 1 if limit < 0 else min(limit, len(text) + 1)
    return _by_pattern(text, pattern) + 16 * found


def _by_pattern(text: str, pattern: str) -> int:
    units = price(pattern)
    try:
        return units + matching(text, compile_pattern(pattern)) if units < MAX_PRICE else units
    except CelError:
        return units


def _standard() -> list[Overload]:
    sizes = (("string", STRING, 'size("ÿ") == 1', '"abc".size() == 3'),
             ("bytes", BYTES, 'size(b"ab") == 2', 'b"ab".size() == 2'),
             ("list", list_of(A), "size([1, 2]) == 2", "[1, 2].size() == 2"),
             ("map", map_of(A, B), 'size({"a": 1}) == 1', '{"a": 1}.size() == 1'))  # fmt: skip
    found = [Overload("size", f"size_{word}", (t,), INT, size, example=plain) for word, t, plain, _ in sizes]
    found += [Overload("size", f"{word}_size", (t,), INT, size, method=True, example=of) for word, t, _, of in sizes]
    tests = (
        ("contains", "contains_string", contains, '"abc".contains("b")'),
        ("startsWith", "starts_with_string", starts_with, '"abc".startsWith("ab")'),
        ("endsWith", "ends_with_string", ends_with, '"abc".endsWith("bc")'),
        ("matches", "matches_string", matches, '"gpu-17".matches("^gpu-[0-9]+$")'),
    )
    pair = (STRING, STRING)
    costs = {"matches": by_match}
    found += [
        Overload(f, key, pair, BOOL, impl, method=True, cost=costs.get(f, by_length), example=ex)
        for f, key, impl, ex in tests
    ]
    example = 'matches("gpu-17", "[0-9]")'
    return [*found, Overload("matches", "matches", pair, BOOL, matches, cost=by_match, example=example)]


def _extension() -> list[Overload]:
    texts = list_of(STRING)
    table: tuple[tuple[str, str, tuple[Type, ...], Type, Callable[..., object], str], ...] = (
        ("charAt", "string_char_at_int", (STRING, INT), STRING, char_at, '"abc".charAt(1) == "b"'),
        ("indexOf", "string_index_of_string", (STRING, STRING), INT, index_of, '"abcb".indexOf("b") == 1'),
        ("indexOf", "string_index_of_string_int", (STRING, STRING, INT), INT, index_of, '"abcb".indexOf("b", 2) == 3'),
        ("lastIndexOf", "string_last_index_of_string", (STRING, STRING), INT, last_index_of,
         '"abcb".lastIndexOf("b") == 3'),
        ("lastIndexOf", "string_last_index_of_string_int", (STRING, STRING, INT), INT, last_index_of,
         '"abcb".lastIndexOf("b", 2) == 1'),
        ("lowerAscii", "string_lower_ascii", (STRING,), STRING, lower_ascii, '"ABÇ".lowerAscii() == "abÇ"'),
        ("upperAscii", "string_upper_ascii", (STRING,), STRING, upper_ascii, '"abç".upperAscii() == "ABç"'),
        ("replace", "string_replace_string_string", (STRING, STRING, STRING), STRING, replace,
         '"aab".replace("a", "c") == "ccb"'),
        ("replace", "string_replace_string_string_int", (STRING, STRING, STRING, INT), STRING, replace,
         '"aab".replace("a", "c", 1) == "cab"'),
        ("split", "string_split_string", (STRING, STRING), texts, split, '"a,b".split(",") == ["a", "b"]'),
        ("split", "string_split_string_int", (STRING, STRING, INT), texts, split,
         '"a,b,c".split(",", 2) == ["a", "b,c"]'),
        ("substring", "string_substring_int", (STRING, INT), STRING, substring, '"abcd".substring(2) == "cd"'),
        ("substring", "string_substring_int_int", (STRING, INT, INT), STRING, substring,
         '"abcd".substring(1, 3) == "bc"'),
        ("trim", "string_trim", (STRING,), STRING, trim, '"  a\\t".trim() == "a"'),
        ("join", "list_join", (texts,), STRING, join, '["a", "b"].join() == "ab"'),
        ("join", "list_join_string", (texts, STRING), STRING, join, '["a", "b"].join("-") == "a-b"'),
        ("format", "string_format", (STRING, list_of(DYN)), STRING, format_string,
         '"%s has %d".format(["a", 2]) == "a has 2"'),
    )  # fmt: skip
    quotes = 'strings.quote("a\\n") == "\\"a\\\\n\\""'
    backwards = '"abc".reverse() == "cba"'
    return [
        *(
            Overload(f, key, parameters, result, impl, method=True, library="strings", example=example,
                     cost=by_formatting if f == "format" else by_result)
            for f, key, parameters, result, impl, example in table
        ),
        Overload("strings.quote", "strings_quote", (STRING,), STRING, quote, library="strings", cost=by_result,
                 example=quotes),
        Overload("reverse", "string_reverse", (STRING,), STRING, reverse, method=True, library="strings",
                 kubernetes=False, cost=by_result, example=backwards),
    ]  # fmt: skip


def _regex() -> list[Overload]:
    table: tuple[tuple[str, str, tuple[Type, ...], Type, Callable[..., object], str], ...] = (
        ("find", "string_find_string", (STRING, STRING), STRING, find, '"abc 123".find("[0-9]+") == "123"'),
        ("findAll", "string_find_all_string", (STRING, STRING), list_of(STRING), find_all,
         '"1 22".findAll("[0-9]+") == ["1", "22"]'),
        ("findAll", "string_find_all_string_int", (STRING, STRING, INT), list_of(STRING), find_all,
         '"1 22".findAll("[0-9]+", 1) == ["1"]'),
    )  # fmt: skip
    return [
        Overload(f, key, parameters, result, impl, method=True, library="regex", example=example,
                 cost=by_match if f == "find" else by_matches)
        for f, key, parameters, result, impl, example in table
    ]  # fmt: skip


OVERLOADS: tuple[Overload, ...] = (*_standard(), *_extension(), *_regex())
