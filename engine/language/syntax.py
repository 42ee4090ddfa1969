"""CEL's syntax tree, as values: what `parse` makes, `check` types, and everything later reads.

Offsets are code points into the expression's own text. Operators are calls under the names of cel-spec (`_+_`, `_&&_`,
`_?_:_`, `@in`, `!_`, `-_`, `_[_]` excepted: see Index). Macros stay what the author wrote, so that each reader of the
tree can do its best with them; `has(a.b)` is a Has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.language.types import DYN, Type
from engine.struct import Struct
from engine.struct import replace as replace


class Node(Struct, frozen=True, kw_only=True):
    """Any expression: where it stands in the expression's text, and its type (DYN until checked)."""

    start: int
    end: int
    type: Type = DYN


class Literal(Node, frozen=True):
    """A constant, as the runtime's value: see `engine.language.values`."""

    value: object


class Ident(Node, frozen=True):
    """A variable, a macro's variable, or a type's name. `name` may be qualified (`google.protobuf.Timestamp`)."""

    name: str


class Select(Node, frozen=True):
    """`operand.field`, or `operand.?field` where `optional`. `at` is the offset of the field's name."""

    operand: Node
    field: str
    optional: bool = False
    at: int = 0


class Has(Node, frozen=True):
    """`has(operand.field)`."""

    operand: Node
    field: str
    at: int = 0


class Index(Node, frozen=True):
    """`operand[index]`, or `operand[?index]` where `optional`."""

    operand: Node
    index: Node
    optional: bool = False


class Call(Node, frozen=True):
    """A function, a method (`target` is its receiver) or an operator. `at` is the offset of the function's name.

    After `check`, `overload` is the identifier of the one overload that fits, or empty where only run time can tell
    (an argument is `dyn`).
    """

    function: str
    target: Node | None
    args: tuple[Node, ...]
    at: int = 0
    overload: str = ""


class ListLiteral(Node, frozen=True):
    """`[a, ?b]`: `optional[i]` says that element i is written with a question mark."""

    elements: tuple[Node, ...]
    optional: tuple[bool, ...]


class MapLiteral(Node, frozen=True):
    """`{k: v, ?k: v}`: entries are key, value, and whether written with a question mark."""

    entries: tuple[tuple[Node, Node, bool], ...]


class StructLiteral(Node, frozen=True):
    """`Name{field: value}`: parsed, and refused by `check`, for nothing here has constructors."""

    name: str
    entries: tuple[tuple[str, Node, bool], ...]


class Comprehension(Node, frozen=True):
    """A macro that walks a range: `range.macro(variables…, body…)`. `at` is the offset of the macro's name.

    `macro` is one of all, exists, exists_one, map, filter, transformList, transformMap, transformMapEntry, sortBy.
    One variable is a list's element or a map's key; of two, the first is a list's index or a map's key, the second the
    element or value. `body` holds the macro's expressions in the order written: one, or a filter before the transform.
    """

    macro: str
    range: Node
    variables: tuple[str, ...]
    body: tuple[Node, ...]
    at: int = 0


class OptionalMap(Node, frozen=True):
    """`target.optMap(variable, body)`, and `optFlatMap` where `flat`."""

    target: Node
    variable: str
    body: Node
    flat: bool = False
    at: int = 0


class Bind(Node, frozen=True):
    """`cel.bind(variable, value, body)`."""

    variable: str
    value: Node
    body: Node
    at: int = 0


def children(node: Node) -> tuple[Node, ...]:
    """The expressions directly inside, in source order."""
    inside = _CHILDREN.get(type(node))
    return inside(node) if inside else ()


_CHILDREN: dict[type[Node], Callable[[Any], tuple[Node, ...]]] = {
    Select: lambda node: (node.operand,),
    Has: lambda node: (node.operand,),
    Index: lambda node: (node.operand, node.index),
    Call: lambda node: node.args if node.target is None else (node.target, *node.args),
    ListLiteral: lambda node: node.elements,
    MapLiteral: lambda node: tuple(part for key, value, _ in node.entries for part in (key, value)),
    StructLiteral: lambda node: tuple(value for _, value, _ in node.entries),
    Comprehension: lambda node: (node.range, *node.body),
    OptionalMap: lambda node: (node.target, node.body),
    Bind: lambda node: (node.value, node.body),
}
"""By kind, for each part of each expression is looked at many times. What is not here has nothing inside."""


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with each expression directly inside changed; the node itself where none is."""
    match node:
        case Select() | Has():
            return replace(node, operand=change(node.operand))
        case Index():
            return replace(node, operand=change(node.operand), index=change(node.index))
        case Call():
            target = None if node.target is None else change(node.target)
            return replace(node, target=target, args=tuple(map(change, node.args)))
        case ListLiteral():
            return replace(node, elements=tuple(map(change, node.elements)))
        case MapLiteral():
            return replace(node, entries=tuple((change(key), change(value), some) for key, value, some in node.entries))
        case Comprehension():
            return replace(node, range=change(node.range), body=tuple(map(change, node.body)))
        case OptionalMap():
            return replace(node, target=change(node.target), body=change(node.body))
        case Bind():
            return replace(node, value=change(node.value), body=change(node.body))
        case _:
            return node


def substituted(node: Node, variable: str, value: Node) -> Node:
    """The expression with a value in place of a variable that it does not bind itself."""
    match node:
        case Ident(name=name):
            return value if name == variable else node
        case Comprehension(variables=names) if variable in names:
            return replace(node, range=substituted(node.range, variable, value))
        case OptionalMap(variable=name) if name == variable:
            return replace(node, target=substituted(node.target, variable, value))
        case Bind(variable=name) if name == variable:
            return replace(node, value=substituted(node.value, variable, value))
        case _:
            return rebuilt(node, lambda child: substituted(child, variable, value))


def free_names(node: Node) -> frozenset[str]:
    """The variables that an expression reads and does not bind itself; `.x` is never one that it binds."""
    return frozenset(name.removeprefix(".") for name in _names(node))


def _names(node: Node) -> set[str]:
    """As `free_names`, each with its dot."""
    names: set[str] = set()
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, Ident):
            names.add(part.name)
        elif type(part) in _BINDERS:
            names |= _outside(part)
        else:
            left += children(part)
    return names


def _outside(binder: Node) -> set[str]:
    """The names that a node reads which binds some for a part of it."""
    match binder:
        case Comprehension(range=outside, variables=bound, body=inside):
            return _names(outside) | set[str]().union(*map(_names, inside)).difference(bound)
        case OptionalMap(target=outside, variable=name, body=body) | Bind(value=outside, variable=name, body=body):
            return _names(outside) | (_names(body) - {name})
        case _:
            raise AssertionError(f"{type(binder).__name__} binds nothing")


_BINDERS = frozenset((Comprehension, OptionalMap, Bind))


def reads(node: Node, name: str) -> bool:
    """Whether a variable is among the `free_names`: the same, found where it stands first."""
    left = [node]
    while left:
        part = left.pop()
        if isinstance(part, Ident):
            if part.name.removeprefix(".") == name:
                return True
        elif type(part) in _BINDERS:
            if any(each.removeprefix(".") == name for each in _outside(part)):
                return True
        else:
            left += children(part)
    return False


def shape(node: Node) -> str:
    """A text that two expressions share exactly when they say the same in the same words, wherever they stand."""
    if isinstance(node, Literal):
        return f"{type(node.value).__name__}:{node.value!r}"
    if isinstance(node, Ident):
        return node.name
    inside = ",".join([shape(child) for child in children(node)])
    match node:
        case Select():
            return f"({inside}).{'?' if node.optional else ''}{node.field!r}"
        case Has():
            return f"has({inside}).{node.field!r}"
        case Index():
            return f"({inside})[{'?' if node.optional else ''}]"
        case Call():
            return f"{node.function}{'.' if node.target else ''}<{node.overload}>({inside})"
        case ListLiteral():
            return f"[{inside}|{node.optional}]"
        case MapLiteral():
            return f"{{{inside}|{[optional for _, _, optional in node.entries]}}}"
        case StructLiteral():
            return f"{node.name}{{{inside}|{[(name, optional) for name, _, optional in node.entries]}}}"
        case Comprehension():
            return f"{node.macro}<{','.join(node.variables)}>({inside})"
        case OptionalMap():
            return f"optMap{node.flat}<{node.variable}>({inside})"
        case Bind():
            return f"bind<{node.variable}>({inside})"
        case _:
            raise AssertionError(f"no shape for {type(node).__name__}")


def walk(node: Node) -> Iterator[Node]:
    """An expression and all its parts, in source order: each before what is inside."""
    left = [node]
    while left:
        part = left.pop()
        yield part
        left += reversed(children(part))


OPERATORS = {
    "<": "_<_",
    "<=": "_<=_",
    ">": "_>_",
    ">=": "_>=_",
    "==": "_==_",
    "!=": "_!=_",
    "in": "@in",
    "+": "_+_",
    "-": "_-_",
    "*": "_*_",
    "/": "_/_",
    "%": "_%_",
    "&&": "_&&_",
    "||": "_||_",
}
"""cel-spec's name of each operator between two operands."""


def qualified(node: Node) -> str | None:
    """`a.b.c`, if the node is nothing but names."""
    names: list[str] = []
    while isinstance(node, Select) and not node.optional:
        names.append(node.field)
        node = node.operand
    return ".".join([node.name, *reversed(names)]) if isinstance(node, Ident) else None
