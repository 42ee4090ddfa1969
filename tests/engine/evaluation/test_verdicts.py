"""engine.evaluation.verdicts: against three-valued logic, pool by pool and node by node."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from engine.evaluation.verdicts import ByNode, ByPool, Verdict, both_hold, choice, invert, truths
from engine.language import Budget
from engine.pools import PoolIndex
from engine.program import NO, UNKNOWN, YES, Reads, Truth
from tests.engine.builders import pools_of_nodes
from tests.engine.evaluation.builders import (
    COUNT,
    EVERY,
    NODEPOOL,
    NODES,
    NONE,
    ONE,
    verdicts,
)
from tests.engine.terms import admits


def said(truth: Truth, node: dict[str, str]) -> bool | None:
    return True if admits(truth[0], node) else False if admits(truth[1], node) else None


def table(verdict: Verdict) -> list[bool | None]:
    """What it is on every node of every pool; each pool is in exactly one case."""
    rows: list[bool | None] = []
    for i in range(COUNT):
        (truth,) = (truth for mask, truth in verdict.cases(EVERY) if mask >> i & 1)
        rows += [said(truth, node) for node in NODES]
    return rows


def anywhere(verdict: Verdict) -> list[bool | None] | None:
    return None if verdict.anywhere is None else [said(verdict.anywhere, node) for node in NODES]


def conjunction(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


def chosen(test: bool | None, yes: bool | None, no: bool | None) -> bool | None:
    return None if test is None else yes if test else no


def united(*many: Verdict) -> tuple[Reads, dict[int, Reads]]:
    """All that was read of the pools."""
    by_pool: dict[int, Reads] = {}
    for one in many:
        for pool, read in one.computed.items():
            by_pool[pool] = by_pool.get(pool, frozenset()) | read
    return frozenset().union(*(one.reads for one in many)), by_pool


@given(verdicts())
def test_not(verdict: Verdict) -> None:
    opposite = invert(verdict)
    assert table(opposite) == [None if one is None else not one for one in table(verdict)]
    mine = anywhere(verdict)
    assert anywhere(opposite) == (None if mine is None else [None if one is None else not one for one in mine])
    assert united(opposite) == united(verdict)
    assert invert(opposite) == verdict


@given(verdicts(), verdicts())
def test_and(a: Verdict, b: Verdict) -> None:
    both = both_hold(a, lambda: b, EVERY, Budget(10**6))
    assert table(both) == [conjunction(x, y) for x, y in zip(table(a), table(b), strict=True)]
    if NO in (a.anywhere, b.anywhere):
        assert (anywhere(both), united(both)) == ([False] * len(NODES), (frozenset(), {}))
        return
    mine, its = anywhere(a), anywhere(b)
    neither = mine is None or its is None
    expected = None if neither else [conjunction(x, y) for x, y in zip(mine or (), its or (), strict=True)]
    assert anywhere(both) == expected
    assert united(both) == united(a, b)


def test_two_errors_that_no_pool_decides_are_one() -> None:
    unknown = ByPool(0, 0, UNKNOWN)
    assert both_hold(unknown, lambda: unknown, EVERY, Budget(10**6)) == unknown


def test_pools_on_which_it_is_false_do_not_hide_those_on_which_it_is_true() -> None:
    verdict = ByNode(((0b001, NO), (0b010, YES), (0b100, (ONE, NONE))))
    pool_index = PoolIndex(pools_of_nodes(*({NODEPOOL: name} for name in "klm")))
    assert truths(verdict, pool_index, Budget(10**6)) == [(0b010, YES[0]), (0b100, ONE)]


def test_and_does_not_ask_for_what_can_not_matter() -> None:
    def asked() -> Verdict:
        raise AssertionError

    no = ByPool(0, EVERY, NO)
    assert both_hold(no, asked, EVERY, Budget(10**6)) == no


@given(verdicts(), verdicts(), verdicts())
def test_choice(test: Verdict, yes: Verdict, no: Verdict) -> None:
    whole = choice(test, yes, no, EVERY, Budget(10**6))
    assert table(whole) == [chosen(*three) for three in zip(table(test), table(yes), table(no), strict=True)]
    parts = [anywhere(part) for part in (test, yes, no)]
    known = [part for part in parts if part is not None]
    expected = [chosen(*three) for three in zip(*known, strict=True)] if len(known) == len(parts) else None
    assert anywhere(whole) == expected
    assert united(whole) == united(test, yes, no)


@pytest.mark.parametrize("truths", list(product((YES, NO, UNKNOWN), repeat=3)))
def test_a_choice_that_no_pool_decides(truths: tuple[Truth, Truth, Truth]) -> None:
    test, yes, no = (ByPool(EVERY * (truth == YES), EVERY * (truth == NO), truth) for truth in truths)
    whole = choice(test, yes, no, EVERY, Budget(10**6))
    assert anywhere(whole) == table(whole)[: len(NODES)]
    assert anywhere(whole) == [chosen(*(said(truth, node) for truth in truths)) for node in NODES]
