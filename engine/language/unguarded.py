"""Which reads of optional fields can fail, for nothing around them asks whether the field is there.

What is known where: in `has(x.f) && …` the field is there on the right, in `!has(x.f) || …` too, in
`has(x.f) ? … : …` in the middle. As `&&` and `||` absorb the error of one side if the other decides, a question may
also stand on the right. What `filter` asked of an element holds in the macro that walks over the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.language.syntax import (
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
    walk,
)
from engine.language.types import ObjectType
from engine.struct import Struct

_Path = tuple[str, ...]  # a variable's name, then `.field` or `[key]`, each with its kind
_Known = frozenset[_Path]
_NOTHING: _Known = frozenset()


class _Names(Struct, frozen=True):
    """What a macro's variables are called in paths: each scope's own, so that none is mistaken for another."""

    names: tuple[tuple[str, str], ...] = ()

    def of(self, name: str) -> str:
        return next((alias for local, alias in reversed(self.names) if local == name), name.removeprefix("."))

    def add(self, name: str, place: int) -> _Names:
        return _Names((*self.names, (name, f"{name}@{place}")))


def unguarded(node: Node, given: Iterable[Node] = ()) -> Iterator[Select]:
    """The first read of each optional field that is read without asking for it, in source order.

    `given` are conditions that are true wherever the expression is evaluated.
    """
    if not any(map(_optional, walk(node))):
        return
    known = _NOTHING.union(*(_facts(condition, True, _Names()) for condition in given))
    seen: set[_Path] = set()
    for select, path in sorted(_reads(node, known, _Names()), key=lambda read: read[0].at):
        if path is None or path not in seen:
            if path is not None:
                seen.add(path)
            yield select


def _optional(node: Node) -> bool:
    """Whether a node is a field that may be absent, asked for or not."""
    if not isinstance(node, Select):
        return False
    owner = node.operand.type
    return isinstance(owner, ObjectType) and node.field in owner.optional


def _reads(node: Node, known: _Known, names: _Names) -> Iterator[tuple[Select, _Path | None]]:
    match node:
        case Call(function="_&&_" | "_||_", args=(left, right)):
            truth = node.function == "_&&_"
            yield from _reads(left, known | _facts(right, truth, names, deep=False), names)
            yield from _reads(right, known | _facts(left, truth, names), names)
        case Call(function="_?_:_", args=(condition, then, otherwise)):
            yield from _reads(condition, known, names)
            yield from _reads(then, known | _facts(condition, True, names), names)
            yield from _reads(otherwise, known | _facts(condition, False, names), names)
        case Comprehension():
            yield from _reads(node.range, known, names)
            inner = _entered(node, names)
            for number, part in enumerate(node.body):
                before = known | _walked(node, names, inner)
                if number:
                    before |= _facts(node.body[0], True, inner)
                yield from _reads(part, before, inner)
        case OptionalMap():
            yield from _reads(node.target, known, names)
            yield from _reads(node.body, known, names.add(node.variable, node.at))
        case Bind():
            yield from _reads(node.value, known, names)
            yield from _reads(node.body, known, names.add(node.variable, node.at))
        case Select(optional=True, operand=operand):
            # `.?f` asks for f itself; what it is read from must still be there
            yield from _reads(operand, known, names)
        case Select():
            yield from _reads(node.operand, known, names)
            path = _path(node, names)
            if _optional(node) and (path is None or path not in known):
                yield node, path
        case _:
            for child in children(node):
                yield from _reads(child, known, names)


def _entered(node: Comprehension, names: _Names) -> _Names:
    for variable in node.variables:
        names = names.add(variable, node.at)
    return names


def _walked(node: Comprehension, outer: _Names, inner: _Names) -> _Known:
    """What a filter before has made sure of, said of this macro's variable."""
    source, known = node.range, _NOTHING
    element = inner.of(node.variables[-1])
    while isinstance(source, Comprehension) and source.macro in ("filter", "sortBy"):
        if source.macro == "filter":
            filtered = _entered(source, outer)
            old = filtered.of(source.variables[0])
            facts = _facts(source.body[0], True, filtered)
            known |= {(element, *path[1:]) for path in facts if path[0] == old}
        source = source.range
    return known


def _path(node: Node, names: _Names) -> _Path | None:
    """`pod.metadata.labels["app"]` as a path, or None for what is not a plain way from a variable."""
    match node:
        case Ident():
            return (names.of(node.name),)
        case Select(operand=operand, field=field):
            path = _path(operand, names)
            return None if path is None else (*path, f".{field}")
        case Index(operand=operand, index=Literal(value=str() | int() as key)):
            path = _path(operand, names)
            # a map's key and a field of the same name are the same place
            return None if path is None else (*path, f".{key}" if isinstance(key, str) else f"[{key}]")
        case _:
            return None


def _facts(node: Node, truth: bool, names: _Names, deep: bool = True) -> _Known:
    """The places that are there if the condition has that truth; with `deep`, also those on the way to them."""
    match node:
        case Call(function="!_", args=(inner,)):
            return _facts(inner, not truth, names, deep)
        case Call(function="_&&_" | "_||_", args=(left, right)):
            both = _facts(left, truth, names, deep), _facts(right, truth, names, deep)
            return both[0] | both[1] if truth == (node.function == "_&&_") else both[0] & both[1]
        case Call(function="_?_:_", args=(condition, then, otherwise)):
            first = _facts(condition, True, names, deep) | _facts(then, truth, names, deep)
            second = _facts(condition, False, names, deep) | _facts(otherwise, truth, names, deep)
            if _never(then, truth) or _never(otherwise, truth):
                return second if _never(then, truth) else first
            return first & second
        case Has() if truth:
            return _known(_path(node.operand, names), f".{node.field}", deep)
        case Call(function="@in", args=(Literal(value=str() as key), container)) if truth:
            return _known(_path(container, names), f".{key}", deep)
        case Call(function="hasValue", target=Select(optional=True) | Index(optional=True)) if truth:
            path = _path(node.target, names) if node.target is not None else None
            return _known(path and path[:-1], path[-1] if path else "", deep)
        case _:
            return _NOTHING


def _never(node: Node, truth: bool) -> bool:
    return isinstance(node, Literal) and node.value is (not truth)


def _known(container: _Path | None, last: str, deep: bool) -> _Known:
    if container is None:
        return _NOTHING
    path = (*container, last)
    return frozenset(path[:size] for size in range(1, len(path) + 1)) if deep else frozenset((path,))
