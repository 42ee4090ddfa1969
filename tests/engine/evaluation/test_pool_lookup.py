"""engine.evaluation.pool_lookup: a pod's value is compared with that of every pool at once."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.pool_lookup import PoolLookup
from engine.program import CONTAINS

COMPARED: dict[str, Callable[[Any, Any], bool]] = {"_==_": eq, "_!=_": ne, "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge}


@pytest.mark.parametrize("operator", COMPARED)
@given(values=st.lists(st.one_of(st.none(), st.sampled_from([0, 1, 2, 2.5, 7])), max_size=5))
def test_an_index_compares_with_every_pool(operator: str, values: list[float | None]) -> None:
    """A pool without a value is neither true nor false."""
    masks: dict[Any, int] = {}
    for i, value in enumerate(values):
        if value is not None:
            masks[value] = masks.get(value, 0) | 1 << i
    index = PoolLookup(operator, masks, sum(1 << i for i, value in enumerate(values) if value is not None))
    for mine in (-1, 0, 1, 2, 2.25, 2.5, 7, 8):
        said = {i: COMPARED[operator](mine, value) for i, value in enumerate(values) if value is not None}
        true, false = index(mine)
        assert true == sum(1 << i for i, one in said.items() if one)
        assert false == sum(1 << i for i, one in said.items() if not one)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=2), max_size=4), st.sampled_from("abcd"))
def test_an_index_finds_the_pools_whose_list_has_a_value(lists: list[list[str]], mine: str) -> None:
    masks: dict[Any, int] = {}
    for i, values in enumerate(lists):
        for value in set(values):
            masks[value] = masks.get(value, 0) | 1 << i
    every = (1 << len(lists)) - 1
    true = sum(1 << i for i, values in enumerate(lists) if mine in values)
    assert PoolLookup("@in", masks, every)(mine) == (true, every & ~true)


def test_an_index_of_a_pods_list() -> None:
    """The pool's one value in the list of the pod."""
    index = PoolLookup(CONTAINS, {"a": 0b001, "b": 0b110}, 0b111)
    assert index(["a"]) == (0b001, 0b110)
    assert index(["a", "b", "z"]) == (0b111, 0)
    assert index([]) == (0, 0b111)


def test_what_has_no_place_in_the_order_is_neither() -> None:
    index = PoolLookup("_<_", {1: 0b01, nan: 0b10}, 0b11)
    assert index(0) == (0b01, 0)
    assert index(nan) == (0, 0)
