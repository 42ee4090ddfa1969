"""Schema, what a bundle says its constants are: a small part of the schemas of Kubernetes' custom resources.

Without a schema the constants' own types hold. With one, an empty list has a type, a constant may be left to the
clusters that need it, and what a test or a cluster lays over the bundle's constants is known to fit its expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.documents import (
    BAD,
    Field,
    List,
    Map,
    Problems,
    Read,
    Value,
    bad,
    choice,
    described,
    filled,
    head,
    items,
    mapping,
    record,
    text,
)
from engine.struct import Struct, field

SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
}
"""By the kind's word in a schema: what a value of it is read as, and how it is called."""

ANYTHING = "anything"
"""The kind of a schema that takes whatever there is; no author can write it."""


class Schema(Struct, frozen=True):
    """One value: `kind` is its JSON type; an array has `items`, an object `properties`, or `values` of one kind."""

    kind: str = "object"
    items: Schema | None = None
    properties: Mapping[str, Schema] = field(default_factory=dict)
    values: Schema | None = None
    required: frozenset[str] = frozenset()


def _schema(read: Read, value: Map, problems: Problems) -> Any:
    kind = read.get("type", "object")
    for name, owner in (("items", "array"), ("properties", "object"), ("additionalProperties", "object")):
        entry = value.key(name)
        if entry and kind != owner:
            bad(problems, "unknown-field", f"`{name}` is a field of type `{owner}` only", entry.span)
    for name in read.get("required", ()):
        if name not in read.get("properties", {}):
            entry = value.key("required")
            bad(problems, "unknown-field", f"`{name}` is not among `properties`", entry.span if entry else head(value))
    return Schema(
        kind,
        read.get("items"),
        read.get("properties") or {},
        read.get("additionalProperties"),
        frozenset(read.get("required", ())),
    )


@described({"type": "object"})
def _inner(value: Value, problems: Problems) -> Any:
    return _shape(value, problems)


_FIELDS = {
    "type": Field(choice("object", "array", *SCALARS), "object", about="What it is. Default: object."),
    "description": Field(text, "", about="For people: what it is for."),
    "items": Field(_inner, about="Of an array: what its items are, a schema like this one."),
    "properties": Field(mapping(filled, _inner), {}, about="Of an object: what its fields are, by name."),
    "additionalProperties": Field(_inner, about="Of an object: what fields of any name are."),
    "required": Field(items(filled), (), about="The fields that must be there."),
}
_shape = record("a schema", _FIELDS, _schema)
schema_of_params = _shape
"""Reads the schema of a bundle's `params`; its top is an object."""


def fitted(schema: Schema, said: Any, value: Value, problems: Problems, *, partial: bool = False) -> Any:
    """The constant, with whole numbers made numbers where the schema says so; a problem or BAD where it does not fit.

    `partial` is for constants that are laid over others: none of them has to be there.
    """
    if schema.kind == ANYTHING:
        return said
    if schema.kind in SCALARS:
        return _scalar(schema.kind, said, value, problems)
    if schema.kind == "array":
        if not isinstance(said, list) or not isinstance(value, List):
            return bad(problems, "wrong-type", "the schema says otherwise", head(value), "a list")
        inside = schema.items
        if inside is None:
            return said
        return [fitted(inside, each, place, problems) for each, place in zip(said, value.items, strict=False)]
    if not isinstance(said, Mapping) or not isinstance(value, Map):
        return bad(problems, "wrong-type", "the schema says otherwise", head(value), "a map")
    return _object(schema, said, value, problems, partial)


def _scalar(kind: str, said: Any, value: Value, problems: Problems) -> Any:
    classes, expected = SCALARS[kind]
    if said.__class__ not in classes:
        return bad(problems, "wrong-type", "the schema says otherwise", head(value), expected)
    return float(said) if isinstance(said, int) and kind == "number" else said


def _object(schema: Schema, said: Mapping[str, Any], value: Map, problems: Problems, partial: bool) -> dict[str, Any]:
    for name in sorted(schema.required - said.keys()):
        if not partial and value.get(name) is None:
            bad(problems, "missing-field", f"the schema needs `{name}`", head(value))
    result = {}
    for name, each in said.items():
        inner = schema.properties.get(name, schema.values)
        place = value.get(name)
        if place is None:
            continue
        if inner is None and schema.properties:
            key = value.key(name)
            bad(problems, "unknown-field", f"`{name}` is not in the schema", key.span if key else head(value))
            continue
        fit = each if inner is None else fitted(inner, each, place, problems)
        if fit is not BAD:
            result[name] = fit
    return result


def schema_like(said: Any) -> Schema:
    """The schema of what may take the place of a constant where a bundle has none: data of the same kind.

    Of null nothing is known: anything may take its place.
    """
    if said is None:
        return Schema(ANYTHING)
    if isinstance(said, Mapping):
        return Schema("object", values=_alike(said.values()))
    if isinstance(said, list):
        return Schema("array", items=_alike(said))
    return Schema(next(kind for kind, (classes, _) in SCALARS.items() if said.__class__ in classes))


def _alike(values: Iterable[Any]) -> Schema | None:
    """The schema of all of these, None where they have none in common, or there is none."""
    schemas = [schema_like(each) for each in values if each is not None]
    return schemas[0] if schemas and all(schema == schemas[0] for schema in schemas) else None
