"""CEL's syntax tree, as values: what `parse` makes, `check` types, and everything later reads.

Offsets are code points into the expression's own text. Operators are calls under the names of cel-spec (`_+_`, `_&&_`,
`_?_:_`, `@in`, `!_`, `-_`, `_[_]` excepted: see Index). Macros stay what the author wrote, so that each reader of the
tree can do its best with them; `has(a.b)` is a Has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace as replace

from engine.language.types import DYN, Type


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
    match node:
        case Select() | Has():
            return (node.operand,)
        case Index():
            return (node.operand, node.index)
        case Call():
            return node.args if node.target is None else (node.target, *node.args)
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return tuple(part for key, value, _ in node.entries for part in (key, value))
        case StructLiteral():
            return tuple(value for _, value, _ in node.entries)
        case Comprehension():
            return (node.range, *node.body)
        case OptionalMap():
            return (node.target, node.body)
        case Bind():
            return (node.value, node.body)
        case _:
            return ()


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


def free_names(node: Node, bound: frozenset[str] = frozenset()) -> frozenset[str]:
    """The variables that an expression reads and does not bind itself; `.x` is never one that it binds."""
    match node:
        case Ident():
            return frozenset() if node.name in bound else frozenset((node.name.removeprefix("."),))
        case Comprehension():
            inner = bound.union(node.variables)
            return free_names(node.range, bound).union(*(free_names(part, inner) for part in node.body))
        case OptionalMap():
            return free_names(node.target, bound) | free_names(node.body, bound | {node.variable})
        case Bind():
            return free_names(node.value, bound) | free_names(node.body, bound | {node.variable})
        case _:
            return frozenset().union(*(free_names(child, bound) for child in children(node)))


def shape(node: Node) -> str:
    """A text that two expressions share exactly when they say the same in the same words, wherever they stand."""
    inside = ",".join(shape(child) for child in children(node))
    match node:
        case Literal():
            return f"{type(node.value).__name__}:{node.value!r}"
        case Ident():
            return node.name
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
    """An expression and all its parts."""
    yield node
    for child in children(node):
        yield from walk(child)


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
