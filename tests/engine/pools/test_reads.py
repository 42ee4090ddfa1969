"""engine.pools.reads: what was read of a pool that was only observed is demanded of its nodes again."""

from __future__ import annotations

import pytest

from engine.nodeselector import ABSENT, TRUE, LabelStates, Terms, one_of, term_of
from engine.pools.index import PoolIndex
from engine.pools.pool import Inventory, Pool
from engine.pools.reads import Read
from tests.engine.pools.inventories import pool


def only(key: str, values: LabelStates) -> Terms:
    return (term_of({key: values}),)


BOTH = (term_of({"a": one_of("1"), "b": one_of(["2", "3"])}),)


@pytest.mark.parametrize(
    ("given_pool", "reads", "demanded"),
    [
        (pool(a="1"), Read("labels", "a"), TRUE),
        (pool("a", a="1"), Read("labels", "a"), only("a", one_of("1"))),
        (pool("a", a="1"), Read("values", "a"), only("a", one_of("1"))),
        (pool("b", a="1", b="2"), Read("labels", "a"), TRUE),
        # what varies: that a label has one of these values was read of `values` only
        (pool("b", b=("2", "3")), Read("values", "b"), only("b", one_of(["2", "3"]))),
        (pool("b", b=("2", "3")), Read("labels", "b"), TRUE),
        (pool(b=("2", "3")), Read("values", "b"), TRUE),
        # absence: certain where the pool was declared
        (pool(), Read("labels", "z"), TRUE),
        (pool(declared=False), Read("labels", "z"), only("z", ABSENT)),
        (pool(declared=False), Read("values", "z"), only("z", ABSENT)),
        (pool(declared=False), Read("labels", "not a key!"), TRUE),
        # everything
        (pool("a", "b", a="1", b=("2", "3")), Read("all"), BOTH),
        (pool("a", a="1", b=("2", "3")), Read("all"), only("a", one_of("1"))),
        (pool(a="1"), Read("all"), TRUE),
        (pool("z", z=("1",)), Read("listed", "z"), only("z", one_of("1"))),
        (pool(declared=False), Read("listed", "z"), TRUE),
    ],
)
def test_what_was_read_is_demanded_if_it_was_observed(given_pool: Pool, reads: Read, demanded: Terms) -> None:
    assert list(PoolIndex(Inventory((given_pool,))).demands(frozenset({reads}), 1)) == [(1, demanded)]


def test_all_that_was_read_is_demanded_together() -> None:
    pool_index = PoolIndex(Inventory((pool("a", "b", a="1", b=("2", "3")),)))
    assert list(pool_index.demands(frozenset({Read("labels", "a"), Read("values", "b")}), 1)) == [(1, BOTH)]
    assert list(pool_index.demands(frozenset(), 1)) == [(1, TRUE)]
    assert list(pool_index.demands(frozenset({Read("labels", "a")}), 0)) == []
