"""Typed reading of documents: tables of fields instead of code that picks values apart.

A *shape* is a function that reads a positioned value and gives a plain or typed one, or appends a Problem and gives
`BAD`. A *record* is a shape made from a table of fields. Nothing stops at the first problem, and nothing is raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from engine.documents.problems import Problem, did_you_mean
from engine.documents.scalars import core
from engine.documents.schema import Described, JsonSchema, described, schema_of
from engine.documents.source import Span
from engine.documents.tree import List, Map, Plain, Scalar, Value, kind_of, older_meaning, plain
from engine.names import is_dns_label, is_identifier, is_label_key, is_label_value, is_subdomain
from engine.struct import Struct


class Bad:
    """What a shape gives for a value that it refused."""

    def __bool__(self) -> bool:
        return False


BAD: Final = Bad()
Problems: TypeAlias = list[Problem]
Shape: TypeAlias = Callable[[Value, Problems], Any]
"""Reads a value; appends what is wrong with it, and gives BAD then."""
Read: TypeAlias = dict[str, Any]
"""A record's fields by name; those that were refused are missing, those that were not given have their default."""

INT32 = 2**31 - 1
INT64 = 2**63 - 1


class Field(Struct, frozen=True):
    """One field of a record: how it is read, whether it must be there, what it is when it isn't, what it is about."""

    shape: Shape
    default: Any = None
    required: bool = False
    about: str = ""


def record(
    what: str, fields: Mapping[str, Field], make: Callable[[Read, Map, Problems], Any] = lambda read, _, __: read
) -> Shape:
    """The shape of a map with these fields, `what` for short in messages (`a policy`).

    `make` gets what was read, checks what concerns several fields, and gives the value, or BAD.
    """

    def read_record(value: Value, problems: Problems) -> Any:
        if not isinstance(value, Map):
            return _wrong_type(value, "a map", problems)
        for key, _ in value.entries:
            if key.text not in fields:
                _unknown(key, what, fields, problems)
        read: Read = {}
        for name, field in fields.items():
            given = value.get(name)
            if given is None and field.required:
                problems.append(Problem("missing-field", f"{what} needs `{name}`", head(value)))
            said = field.default if given is None else field.shape(given, problems)
            if said is not BAD and not (given is None and field.required):
                read[name] = said
        return make(read, value, problems)

    return Described(read_record, _schema(fields))


def _schema(fields: Mapping[str, Field]) -> JsonSchema:
    """The schema of a map with these fields."""
    properties = {
        name: {**schema_of(field.shape), **({"description": field.about} if field.about else {})}
        for name, field in fields.items()
    }
    required = [name for name, field in fields.items() if field.required]
    needed = {"required": required} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _unknown(key: Scalar, what: str, known: Iterable[str], problems: Problems) -> None:
    hint = did_you_mean(key.text, known)
    expected = "" if hint else "one of " + ", ".join(f"`{name}`" for name in sorted(known))
    problems.append(Problem("unknown-field", f"`{key.text}` is not a field of {what}", key.span, expected, hint))


def head(value: Value) -> Span:
    """The place to point at for a whole value: a map's first key, else the value itself, its first line."""
    if isinstance(value, Map) and value.entries:
        return value.entries[0][0].span
    return value.span


def _wrong_type(value: Value, expected: str, problems: Problems, hint: str = "") -> Bad:
    message = f"this is {kind_of(value)}" if kind_of(value) != "nothing" else "nothing is given here"
    problems.append(Problem("wrong-type", message, head(value), expected, hint))
    return BAD


def bad(problems: Problems, rule: str, message: str, span: Span, expected: str = "", hint: str = "") -> Bad:
    """Says what is wrong, and gives BAD."""
    problems.append(Problem(rule, message, span, expected, hint))
    return BAD


# Scalars


@described({"type": "string"})
def text(value: Value, problems: Problems) -> str | Bad:
    """Text. A number or `true` must be quoted to be one."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return value.value
    hint = f'quote it: "{value.text}"' if isinstance(value, Scalar) and value.text else ""
    return _wrong_type(value, "text", problems, hint)


@described({"type": "string", "minLength": 1})
def filled(value: Value, problems: Problems) -> str | Bad:
    """Text that is not empty."""
    said: str | Bad = text(value, problems)
    if isinstance(said, str) and not said.strip():
        return bad(problems, "empty-text", "the text is empty", value.span)
    return said


@described({"type": ["string", "boolean", "number"], "minLength": 1})
def expression(value: Value, problems: Problems) -> Any:
    """An expression of CEL, unparsed: an Excerpt. Any scalar will do, `true` and `50` are expressions."""
    if not isinstance(value, Scalar):
        return _wrong_type(value, "an expression", problems, "put it in quotes, or write it as a block after `|`")
    if not value.text.strip():
        return bad(problems, "empty-expression", "the expression is empty", value.span)
    return value.excerpt


@described({"type": "boolean"})
def boolean(value: Value, problems: Problems) -> bool | Bad:
    """`true` or `false`, of which YAML 1.1 has more spellings."""
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return value.value
    older = older_meaning(value) if isinstance(value, Scalar) else ""
    hint = f"write `{older}`" if older in ("true", "false") else ""
    return _wrong_type(value, "true or false", problems, hint)


def integer(low: int, high: int) -> Shape:
    """A whole number, both bounds included."""
    expected = f"a whole number from {low:,} to {high:,}" if high < INT32 else f"a whole number, at least {low:,}"
    expected = "a whole number" if low <= -INT32 else expected

    def read_integer(value: Value, problems: Problems) -> int | Bad:
        number = value.value if isinstance(value, Scalar) else None
        if isinstance(number, bool) or not isinstance(number, int):
            hint = "leave the quotes out" if isinstance(value, Scalar) and isinstance(core(value.text), int) else ""
            return _wrong_type(value, expected, problems, hint)
        if isinstance(value, Scalar) and older_meaning(value):
            other = older_meaning(value)
            message = f"`{value.text}` is {number} here and {other} in older YAML"
            return bad(problems, "ambiguous-number", message, value.span, hint=f"write `{number}` or `{other}`")
        if not low <= number <= high:
            return bad(problems, "out-of-range", f"{number:,} is out of range", value.span, expected)
        return number

    return Described(read_integer, {"type": "integer", "minimum": low, "maximum": high})


@described({"type": "number", "minimum": 0})
def number(value: Value, problems: Problems) -> float | int | Bad:
    """A number that is not negative, and finite."""
    said = value.value if isinstance(value, Scalar) else None
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return _wrong_type(value, "a number", problems)
    if not (0 <= said < math.inf):
        return bad(problems, "out-of-range", f"{said} is out of range", value.span, "a number that is not negative")
    return said


def choice(*words: str) -> Shape:
    """One of a few words."""

    def read_choice(value: Value, problems: Problems) -> str | Bad:
        if isinstance(value, Scalar) and value.text in words:
            return value.text
        if not isinstance(value, Scalar):
            return _wrong_type(value, _alternatives(words), problems)
        older = older_meaning(value)
        hint = did_you_mean(value.text, words) if not older else ""
        return bad(problems, "unknown-word", f"`{value.text}` is not a choice", value.span, _alternatives(words), hint)

    return Described(read_choice, {"type": "string", "enum": list(words)})


def _alternatives(words: Iterable[str]) -> str:
    quoted = [f"`{word}`" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


def checked(test: Callable[[str], bool], rule: str, what: str, expected: str) -> Shape:
    """Text that passes a test; else it is said not to be `what`."""

    def read_checked(value: Value, problems: Problems) -> str | Bad:
        if isinstance(value, Scalar) and isinstance(value.value, str):
            said = value.value
            return said if test(said) else bad(problems, rule, f"`{said}` is not {what}", value.span, expected)
        fits = isinstance(value, Scalar) and bool(value.text) and test(value.text)
        hint = f'quote it: "{value.text}"' if isinstance(value, Scalar) and fits else ""
        return _wrong_type(value, f"text: {expected}", problems, hint)

    return Described(read_checked, {"type": "string"})


label_key = checked(
    is_label_key,
    "label-key",
    "a label's key",
    "`name` or `prefix/name`: at most 63 letters, digits, `-`, `_`, `.` after a DNS name",
)
label_value = checked(
    is_label_value,
    "label-value",
    "a label's value",
    "at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at either end",
)
object_name = checked(
    is_subdomain, "name", "an object's name", "lower case letters, digits, `-` and `.`, at most 253 (RFC 1123)"
)
namespace_name = checked(
    is_dns_label, "name", "a namespace's name", "lower case letters, digits and `-`, at most 63 (RFC 1123)"
)
identifier = checked(
    is_identifier, "name", "an identifier", "letters, digits and `_`, no digit first, and no reserved word of CEL"
)


# Collections


def items(shape: Shape) -> Shape:
    """A list, read as a tuple of those items that were not refused."""

    def read_items(value: Value, problems: Problems) -> tuple[Any, ...] | Bad:
        if not isinstance(value, List):
            return _wrong_type(value, "a list", problems)
        return tuple(said for item in value.items if (said := shape(item, problems)) is not BAD)

    return Described(read_items, {"type": "array", "items": schema_of(shape)})


def some(shape: Shape) -> Shape:
    """A list that is not empty."""

    def read_some(value: Value, problems: Problems) -> tuple[Any, ...] | Bad:
        if isinstance(value, List) and not value.items:
            return bad(problems, "empty-list", "the list is empty", value.span)
        said: tuple[Any, ...] | Bad = items(shape)(value, problems)
        return said

    return Described(read_some, {"type": "array", "items": schema_of(shape), "minItems": 1})


def distinct(shape: Shape) -> Shape:
    """A list in which no value occurs twice."""

    def read_distinct(value: Value, problems: Problems) -> tuple[Any, ...] | Bad:
        said = items(shape)(value, problems)
        if isinstance(value, List):
            seen: set[str] = set()
            for item in value.items:
                if isinstance(item, Scalar) and item.text in seen:
                    problems.append(Problem("duplicate-value", f"`{item.text}` is given twice", item.span))
                seen.add(item.text if isinstance(item, Scalar) else "")
        return tuple(dict.fromkeys(said)) if isinstance(said, tuple) else BAD

    return Described(read_distinct, {"type": "array", "items": schema_of(shape), "uniqueItems": True})


def mapping(key: Shape, shape: Shape) -> Shape:
    """A map with any keys of one shape, and values of another."""

    def read_mapping(value: Value, problems: Problems) -> dict[str, Any] | Bad:
        if not isinstance(value, Map):
            return _wrong_type(value, "a map", problems)
        read = ((key(name, problems), shape(item, problems)) for name, item in value.entries)
        return {name: item for name, item in read if name is not BAD and item is not BAD}

    return Described(read_mapping, {"type": "object", "additionalProperties": schema_of(shape)})


@described({})
def constant(value: Value, problems: Problems) -> Plain | Bad:
    """Any data, as CEL can hold it: integers of 64 bits; warns where older YAML reads something else."""
    if isinstance(value, List):
        return list(items(constant)(value, problems))
    if isinstance(value, Map):
        return mapping(lambda key, _: key.text if isinstance(key, Scalar) else BAD, constant)(value, problems)
    said = value.value
    if isinstance(said, int) and not -INT64 - 1 <= said <= INT64:
        return bad(problems, "out-of-range", f"{said} is out of range", value.span, "an integer of 64 bits")
    if then := older_meaning(value):
        message = f"`{value.text}` is {kind_of(value)} here and `{then}` in older YAML"
        hint = f'write "{value.text}" or {then}'
        problems.append(Problem("ambiguous-scalar", message, value.span, hint=hint, severity="warning"))
    return said


@described({"type": "object"})
def any_object(value: Value, problems: Problems) -> Plain | Bad:
    """A Kubernetes object or a part of one, as plain data, unchecked but for being a map."""
    return plain(value) if isinstance(value, Map) else _wrong_type(value, "a map", problems)


API_VERSION = "bayplan.dev/v1alpha1"
