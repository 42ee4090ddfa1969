"""engine.pools.index: what is answered of pools, by an index alone and by one that took over from another."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector import ABSENT, EXISTS, none_of, one_of, term_of
from engine.pools.attested import attested
from engine.pools.index import CarriedOver, PoolIndex
from engine.pools.pool import Inventory, Pool
from engine.pools.reads import Read
from tests.engine import builders
from tests.engine.builders import decider
from tests.engine.pools.inventories import COMPUTED, POOLS, described, pool

ZONE = "topology.kubernetes.io/zone"


@pytest.mark.parametrize(
    ("given_pool", "inferred"),
    [(pool(), False), (pool("a", a="1"), True), (pool(declared=False), True), (pool("a", a="1", declared=False), True)],
)
def test_whether_anything_is_only_observed(given_pool: Pool, inferred: bool) -> None:
    assert PoolIndex(Inventory((given_pool,))).inferred is inferred


TERMS = [
    term_of({key: values})
    for key, values in product(
        ("np", "tier", ZONE, "other"), (one_of(["p1"]), one_of(["gold"]), one_of("a"), one_of("c"), ABSENT, EXISTS)
    )
] + [term_of({"tier": none_of(["gold"]), ZONE: one_of("b")})]


@given(st.lists(POOLS, min_size=2, max_size=4))
def test_a_fleet_that_took_over_answers_as_a_new_one(inventories: list[Inventory]) -> None:
    """Whatever the one before was asked, and had not been asked."""
    pool_index = PoolIndex(inventories[0])
    for asked, inventory in enumerate(inventories[1:]):
        for one in TERMS[asked :: len(inventories)]:
            pool_index.possible(one)
        for i in range(0, len(pool_index.pools), 2):
            pool_index.known(i)
        new, pool_index = PoolIndex(inventory), PoolIndex(inventory, pool_index)
        assert [pool_index.possible(one) for one in TERMS] == [new.possible(one) for one in TERMS]
        assert [pool_index.known(i) for i in range(len(pool_index.pools))] == [
            new.known(i) for i in range(len(new.pools))
        ]
        assert pool_index.selector(pool_index.every) == new.selector(new.every)


@given(POOLS, POOLS)
def test_what_is_kept_is_equal_and_the_rest_is_fresh(before: Inventory, after: Inventory) -> None:
    old, new = PoolIndex(before), PoolIndex(after)
    carried_over = CarriedOver.between(old, new)
    pairs = [(a + n, b + n) for a, length, b in carried_over.moves for n in range(length)]
    assert sorted([b for _, b in pairs] + list(carried_over.fresh)) == list(range(len(new.pools)))
    assert all(old.pools[a] == new.pools[b] for a, b in pairs)
    assert {new.pools[b].name for b in carried_over.fresh}.isdisjoint(
        {one.name for one in old.pools if one in new.pools}
    )
    for mask in range(1 << len(old.pools)):
        assert carried_over.moved(mask) == sum(1 << b for a, b in pairs if mask >> a & 1)


def test_what_is_known_moves_with_several_runs_of_pools() -> None:
    """Two pools are gone: the rest moved in two runs, and what was read of them by computed keys with them."""
    nodes = [{"karpenter.sh/nodepool": f"p{i}", "tier": "gold" if i % 2 else "tin"} for i in range(6)]
    before, after = described(nodes=nodes), described(nodes=[nodes[i] for i in (1, 2, 4, 5)])
    old = PoolIndex(before)
    for i in range(6):
        old.known(i)
    new = PoolIndex(after, old)
    assert new.carried_over == CarriedOver(((1, 2, 0), (4, 2, 2)), ())
    assert new.carried_over.moved(0b111111) == 0b1111
    assert [new.carried_over.moved(1 << i) for i in range(6)] == [0, 1, 2, 0, 4, 8]
    assert len(new._known) == 4
    assert [new.known(i) for i in range(4)] == [PoolIndex(after).known(i) for i in range(4)]
    engine = decider(*COMPUTED, bundle="{params: {key: tier}}", pools=before)
    (settled,) = engine.renewed(after).pool_facts.settled.values()
    assert settled.computed == {i: frozenset({Read("labels", "tier")}) for i in range(4)}
    (fewer,) = engine.renewed(described(nodes=[nodes[1]])).pool_facts.settled.values()
    assert fewer.computed == {0: frozenset({Read("labels", "tier")})}


def test_nothing_is_kept_where_labels_are_looked_for_in_another_order() -> None:
    nodes = [{"karpenter.sh/nodepool": "k"}]
    old, new = PoolIndex(described(nodes=nodes)), described(nodes=nodes, order=("team",))
    assert PoolIndex(new, old).carried_over == CarriedOver((), (0,))


def test_what_nobody_attests_is_told_of_each_pool_and_of_thousands_of_labels_in_one_walk() -> None:
    """Whoever makes a pod may ask for as many labels as it holds."""
    index = PoolIndex(builders.inventory())
    asked = {"tier": one_of(["gold"]), "topology.kubernetes.io/zone": one_of(["a", "c"])}
    asked |= {f"unheard.of/{i:04}": one_of(["x"]) for i in range(3000)}
    for keys in (["tier"], ["tier", "topology.kubernetes.io/zone"], sorted(asked)):
        term = term_of({key: asked[key] for key in keys})
        expected = set()
        for i in range(len(index.pools)):
            missing = [key for key in keys if not attested(index.pools[i], key, asked[key])]
            expected.add(term_of({key: asked[key] for key in missing}))
        assert index.unattested(index.every, term) == expected
