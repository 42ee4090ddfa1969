"""Which fields of the pod, its Namespace and the request an expression's text says that it reads.

Two uses: a policy that fails for a pod names the field that made it fail, and `check` tries what an author of pods may
write there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from engine.language import (
    Bind,
    Call,
    Comprehension,
    Has,
    Ident,
    Index,
    Literal,
    Node,
    OptionalMap,
    Select,
    children,
    free_names,
)

FieldPath: TypeAlias = tuple[str | int | None, ...]
EACH = None
"""The step of a FieldPath to every element of a list, to every value of a map, and to what a computed key names."""

_ROOTS = frozenset(("pod", "namespaceObject", "request", "requests"))
_BEGINNINGS = _ROOTS | {"variables"}
_THROUGH = frozenset(("orValue", "dyn", "value"))
_ELEMENTS = frozenset(("filter", "sortBy", "sort", "reverse", "distinct", "slice"))


class FieldsRead(NamedTuple):
    """What an expression reads, in the order of its text, each once; and the field that it is the value of, if any.

    A path is the variable's name, then fields, keys and indexes.
    """

    paths: tuple[FieldPath, ...] = ()
    whole: FieldPath = ()


Names: TypeAlias = Mapping[str, FieldPath]
Variables: TypeAlias = Mapping[str, FieldsRead]


def fields_read(node: Node, variables: Variables) -> FieldsRead:
    """What a checked expression reads, given what the policy's variables do."""
    if not free_names(node) & _BEGINNINGS:
        return FieldsRead()
    return FieldsRead(tuple(dict.fromkeys(_read(node, {}, variables))), _path(node, {}, variables))


def _read(node: Node, names: Names, variables: Variables) -> Iterator[FieldPath]:
    path = _path(node, names, variables)
    if path:
        yield path
    inner, skipped = names, bool(path)
    match node:
        case Ident(name=name) if name in names:
            return
        case Select(operand=Ident(name="variables" | ".variables"), field=name) if name in variables:
            yield from variables[name].paths
            return
        case Comprehension(range=outside, variables=local):
            inside = _path(outside, names, variables)
            is_map = outside.type.name == "map" or not inside
            element = () if is_map and len(local) == 1 else (*inside, EACH) if inside else ()
            inner = {**names, **dict.fromkeys(local, ()), local[-1]: element}
        case OptionalMap(target=outside, variable=variable) | Bind(value=outside, variable=variable):
            inner = {**names, variable: _path(outside, names, variables)}
    for place, child in enumerate(children(node)):
        if place == 0 and skipped:
            yield from _computed(child, names, variables)
        else:
            yield from _read(child, names if place == 0 else inner, variables)


def _computed(node: Node, names: Names, variables: Variables) -> Iterator[FieldPath]:
    """What is read beside the parts of a path: to compute keys on its way, and by a variable that it begins with."""
    match node:
        case Select(operand=Ident(name="variables" | ".variables"), field=name) if name in variables:
            yield from variables[name].paths
            return
    for place, child in enumerate(children(node)):
        yield from _computed(child, names, variables) if place == 0 else _read(child, names, variables)


def _path(node: Node, names: Names, variables: Variables) -> FieldPath:
    """The field that an expression is the value of; empty where it is anything else."""
    match node:
        case Ident(name=name):
            root = name.removeprefix(".")
            return names.get(name, (root,) if root in _ROOTS else ())
        case Select(operand=Ident(name="variables" | ".variables"), field=name) if name in variables:
            return variables[name].whole
        case Select(operand=operand, field=name) | Has(operand=operand, field=name):
            return _extended(_path(operand, names, variables), name)
        case Index(operand=operand, index=index):
            known = isinstance(index, Literal) and isinstance(index.value, (str, int))
            return _extended(_path(operand, names, variables), index.value if known else EACH)  # type: ignore[attr-defined]
        case Call(function=function, target=target, args=args) if function in _THROUGH:
            inner = target or (args[0] if args else None)
            return _path(inner, names, variables) if inner else ()
        case Call(function=function, target=Node() as target) if function in _ELEMENTS:
            return _path(target, names, variables)
        case Comprehension(macro=macro, range=outside) if macro in _ELEMENTS:
            return _path(outside, names, variables)
    return ()


def _extended(path: FieldPath, step: str | int | None) -> FieldPath:
    return (*path, step) if path else ()
