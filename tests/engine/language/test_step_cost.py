"""engine.language.step_cost: what a step of a loop costs: at least one unit, more for a longer or slower body."""

from __future__ import annotations

import pytest

from engine.documents import Excerpt
from engine.language.checker import check
from engine.language.evaluate import compile_expression
from engine.language.parser import parse
from engine.language.step_cost import per_step
from engine.language.syntax import Comprehension, Node, children
from engine.language.types import DYN, INT, STRING, list_of
from engine.language.values import Budget

ROOTS = {"n": list_of(INT), "s": list_of(STRING), "d": DYN}


def compiled(text: str) -> Node:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, problems
    node, problems = check(node, excerpt, ROOTS)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    return node


def steps(text: str) -> list[int]:
    """What the loops of an expression take, from the outermost."""
    found: list[int] = []

    def walk(node: Node) -> None:
        if isinstance(node, Comprehension):
            found.append(per_step(node))
        for child in children(node):
            walk(child)

    walk(compiled(text))
    return found


@pytest.mark.parametrize("text", ["n.all(x, true)", "n.all(x, x > 1)", "s.exists(x, x == 'a')", "n.map(x, x)"])
def test_a_step_takes_a_unit(text: str) -> None:
    assert steps(text) == [1]


def test_a_loop_inside_pays_for_its_own_steps() -> None:
    outer, inner = steps("n.all(x, n.all(y, x + y + x + y + x + y > 0))")
    assert steps("n.all(x, n.all(y, true))") == [outer, 1]
    assert inner > 1


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("s.all(x, x.matches('a'))", "s.all(x, x.startsWith('a'))"),
        ("s.all(x, x.upperAscii() == 'A')", "s.all(x, x == 'A')"),
        ("d.all(x, x + x == x)", "n.all(x, x + x == x)"),
        ("s.map(x, x + x)", "n.map(x, x + x)"),
        ("n.map(x, {'a': x, 'b': x, 'c': x})", "n.map(x, {'a': x})"),
        (f"n.all(x, {' && '.join(['x > 1'] * 200)})", "n.all(x, x > 1)"),
        ("n.all(x, string(timestamp(x)) == '')", "n.all(x, string(x) == '')"),
    ],
)
def test_what_takes_longer_takes_more(more: str, less: str) -> None:
    assert steps(more) > steps(less)


def test_steps_are_paid_for_in_advance() -> None:
    function = compile_expression(compiled("s.exists(x, x.upperAscii() == 'A')"), tuple(ROOTS))
    (each,) = steps("s.exists(x, x.upperAscii() == 'A')")
    budget = Budget(10_000)
    assert function(budget, [], ["a", *["b"] * 99], None) is True
    assert 10_000 - budget.left == 101 * each
