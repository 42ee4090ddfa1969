"""Shapes that say what they read, too: as a JSON Schema, of which editors and custom resources are made.

A schema is in the words of JSON Schema (`type`, `enum`, `minimum`, `items`, `properties`, …); an empty one stands for
any data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from engine.struct import Struct

JsonSchema: TypeAlias = Mapping[str, Any]
Reads: TypeAlias = Callable[[Any, list[Any]], Any]


class Described(Struct, frozen=True):
    """A Shape and the schema of what it reads."""

    read: Reads
    schema: JsonSchema

    def __call__(self, value: Any, problems: list[Any]) -> Any:
        return self.read(value, problems)


def described(schema: JsonSchema) -> Callable[[Reads], Described]:
    """Has a Shape say what it reads."""
    return lambda read: Described(read, schema)


def schema_of(shape: Reads) -> JsonSchema:
    """What a Shape reads. Raises TypeError for one that does not say."""
    if not isinstance(shape, Described):
        raise TypeError(f"{shape} does not say what it reads")
    return shape.schema
