"""engine.language.syntax: what is inside of an expression, in which order, and how much work it is to ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.documents import Excerpt
from engine.language.parser import parse
from engine.language.syntax import Call, Ident, Literal, Node, children, free_names, reads, walk
from tests.engine.decision.test_hostile import counted


def tree(text: str) -> Node:
    node, problems = parse(Excerpt.of(text))
    assert node is not None
    assert not problems
    return node


def chain(parts: int) -> Node:
    """`x == 0 || x == 1 || …`, as deep as it is long: no parser would give it."""
    whole: Node | None = None
    for number in range(parts):
        value = Literal(start=0, end=0, value=number)
        one = Call(start=0, end=0, function="_==_", target=None, args=(Ident(start=0, end=0, name="x"), value))
        whole = one if whole is None else Call(start=0, end=0, function="_||_", target=None, args=(whole, one))
    assert whole is not None
    return whole


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("true", ""),
        ("a", "a"),
        ("a.b[c].startsWith(d)", "a c d"),
        ("has(a.b) && {c: d}[e] in [f, g]", "a c d e f g"),
        ("a.all(x, x == b)", "a b"),
        ("a.all(x, x.all(y, x == y && z)) || x", "a x z"),
        ("x.all(x, x == 1)", "x"),
        ("a.all(x, .x == x)", "a x"),
        ("cel.bind(v, a.b, v == v && w)", "a w"),
        ("cel.bind(v, v, v)", "v"),
        ("a.?b.optMap(x, x + y).orValue(z)", "a y z"),
    ],
)
def test_free_names_are_those_that_nothing_binds(text: str, names: str) -> None:
    assert free_names(tree(text)) == set(names.split())


@pytest.mark.parametrize(
    "text",
    ["a.b[c].d(e, [f, {g: h}])", "a.all(x, x ? y : z)", "cel.bind(v, a, [v, b])", "{'a': b}.c", "a.?b.optMap(x, x)"],
)
def test_a_walk_sees_each_part_once_before_what_is_inside(text: str) -> None:
    def parts(node: Node) -> list[Node]:
        return [node, *(inner for child in children(node) for inner in parts(child))]

    whole = tree(text)
    assert [id(part) for part in walk(whole)] == [id(part) for part in parts(whole)]
    assert len(parts(whole)) > 3


@pytest.mark.parametrize("ask", [free_names, lambda node: list(walk(node))])
def test_twice_as_deep_takes_twice_the_work(ask: Callable[[Node], object]) -> None:
    def work(parts: int) -> int:
        node = chain(parts)
        return counted(lambda: ask(node))

    assert work(6000) <= 2.1 * work(3000)


@pytest.mark.parametrize(
    ("text", "name", "read"),
    [
        ("a.b[c]", "a", True),
        ("a.b[c]", "c", True),
        ("a.b[c]", "b", False),
        (".a", "a", True),
        ("[1].exists(a, a > 1)", "a", False),
        ("[1].exists(a, .a > 1)", "a", True),
        ("a.exists(a, a > 1)", "a", True),
        ("[1].exists(x, x > a)", "a", True),
        ("[1].exists(x, [x].all(a, a == x))", "a", False),
        ("b.optMap(a, a + c)", "a", False),
        ("b.optMap(a, a + c)", "c", True),
        ("cel.bind(a, a + 1, a + 2)", "a", True),
        ("cel.bind(a, 1, a + 2)", "a", False),
        ("{a: 1}", "a", True),
        ('"a"', "a", False),
    ],
)
def test_what_reads_a_variable_has_it_among_its_free_names(text: str, name: str, read: bool) -> None:
    node = tree(text)
    assert reads(node, name) is read
    assert (name in free_names(node)) is read
