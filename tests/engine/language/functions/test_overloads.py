"""engine.language.functions: the table of functions: what every entry promises."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.documents import Excerpt
from engine.language.checker import check
from engine.language.evaluate import compile_expression
from engine.language.functions import OVERLOADS
from engine.language.overload import Overload
from engine.language.parser import parse
from engine.language.values import Budget

ALL = [overload for group in OVERLOADS.values() for overload in group]


def test_identifiers_are_unique() -> None:
    assert [name for name, count in Counter(overload.id for overload in ALL).items() if count > 1] == []


@pytest.mark.parametrize("overload", ALL, ids=lambda overload: overload.id)
def test_example_is_true(overload: Overload) -> None:
    excerpt = Excerpt.of(overload.example)
    node, problems = parse(excerpt)
    assert node is not None, problems
    checked, problems = check(node, excerpt, {})
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    assert compile_expression(checked, ())(Budget(10_000)) is True


@pytest.mark.parametrize("overload", ALL, ids=lambda overload: overload.id)
def test_example_shows_the_function(overload: Overload) -> None:
    symbol = overload.function.strip("_@!-?:[]").rpartition(".")[2].strip("_")
    assert symbol in overload.example


def test_beyond_kubernetes() -> None:
    beyond = {overload.library for overload in ALL if not overload.kubernetes}
    assert beyond == {"math", "encoders", "strings"}
    assert {overload.function for overload in ALL if overload.library == "strings" and not overload.kubernetes} == {
        "reverse"
    }
