"""CEL's types, as values. `check` computes with them; nothing at run time needs them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.struct import Marked, Struct, field


class Type(Marked, frozen=True):
    """A type: its name as CEL prints it and its parameters (`list(int)`, `map(string, dyn)`, `optional_type(T)`)."""

    name: str
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        inside = ", ".join(str(parameter) for parameter in self.parameters)
        return f"{self.name}({inside})" if inside else self.name


class ObjectType(Type, frozen=True):
    """A type with fields, known by name alone: `Pod`, `Pool`. Closed: a field that is not here is an error.

    `optional` holds the fields that an object may lack, so that reading one without `has`, `.?` or `[?]` can fail.
    With `others` it is a map too, whose name and parameters it has.
    """

    unprinted = ("fields", "optional", "others")
    uncompared = ("fields", "optional", "others")

    fields: Mapping[str, Type] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    others: Others | None = None

    def member(self, key: str) -> Type | None:
        """The type of a field, None where there can be none of that name."""
        known = self.fields.get(key)
        others = self.others
        return known or (others.type if others is not None and re.fullmatch(others.pattern, key) else None)


class Others(Struct, frozen=True):
    """The keys of an object besides its fields: all that match a regular expression, and their type.

    `title` is what the object is called in messages, `expected` which keys it can have.
    """

    pattern: str
    type: Type
    title: str
    expected: str


class TypeParameter(Type, frozen=True):
    """`A`, `K` or `V` in a function's signature: whatever the arguments make it."""


DYN = Type("dyn")
BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null_type")
TIMESTAMP = Type("google.protobuf.Timestamp")
DURATION = Type("google.protobuf.Duration")
ERROR = Type("*error*")  # of an expression that has been reported already: fits everywhere, so nothing is said twice


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of a type: `type(1)` is `type(int)`."""
    return Type("type", (value,))
