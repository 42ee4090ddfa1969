"""engine.evaluation.nodeset, by brute force: each pool of a small fleet, each state of two labels, nodes of no pool."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.nodeset import NodeSet, alive, intersection, node_terms, plain_meet, reach
from engine.nodeselector import ABSENT, EXISTS, FALSE, TRUE, Term, Terms, one_of, simplify, term_of
from engine.pools import Inventory, Pool, PoolIndex
from tests.engine.pools.inventories import facts
from tests.engine.terms import admits

POOLS = tuple(
    Pool(name=name, provider="", selector={"pool": name}, facts=facts({"pool": name, **labels}), declared=True)
    for name, labels in [("a", {"tier": "gold"}), ("b", {"tier": "base"}), ("c", {})]
)
FLEET = PoolIndex(Inventory(POOLS))
STATES = [
    {key: value for key, value in (("x", x), ("tier", tier)) if value}
    for x, tier in product(("", "1", "2"), ("", "gold", "base"))
]
NODES = [(i, {**state, **pool.labels}) for i, pool in enumerate(POOLS) for state in STATES]
STRAYS = [{**state, "pool": "none"} for state in STATES]

some_terms = st.fixed_dictionaries(
    {}, optional={"x": st.sampled_from([one_of("1"), one_of("12"), ABSENT, EXISTS]), "tier": st.just(one_of(["gold"]))}
).map(term_of)
conditions = st.lists(some_terms, max_size=2).map(simplify)


@st.composite
def node_sets(draw: st.DrawFn) -> NodeSet:
    """Disjoint groups of pools with conditions, perhaps none; and perhaps nodes of no pool."""
    groups: dict[int, int] = {}
    for i in range(len(POOLS)):
        group = draw(st.sampled_from([None, 0, 1]))
        if group is not None:
            groups[group] = groups.get(group, 0) | 1 << i
    said = tuple((mask, draw(st.one_of(st.just(TRUE), conditions))) for mask in groups.values())
    return NodeSet(said, draw(st.one_of(st.none(), st.just(TRUE), conditions)))


def inside(nodes: NodeSet) -> set[int]:
    """Which of NODES are in a region, as it says itself."""
    return {
        n
        for n, (i, labels) in enumerate(NODES)
        if any(mask >> i & 1 and admits(terms, labels) for mask, terms in nodes.groups)
    }


def outside(nodes: NodeSet) -> set[int] | None:
    """Which nodes of no pool are; None where none are meant."""
    return None if nodes.anywhere is None else {n for n, one in enumerate(STRAYS) if admits(nodes.anywhere, one)}


@given(node_sets(), node_sets())
def test_what_is_in_both(a: NodeSet, b: NodeSet) -> None:
    both = intersection(a, b)
    assert inside(both) == inside(a) & inside(b)
    mine, its = outside(a), outside(b)
    assert outside(both) == (None if mine is None or its is None else mine & its)
    masks = [mask for mask, _ in both.groups]
    assert all(masks)
    assert sum(masks) == sum(set(masks)) <= FLEET.every
    assert all(terms != FALSE for _, terms in both.groups)


@given(st.lists(st.integers(0, FLEET.every), max_size=3))
def test_whole_pools_meet_at_once(masks: list[int]) -> None:
    given_node_sets = [NodeSet(((mask, TRUE),) if mask else ()) for mask in masks]
    together = plain_meet(given_node_sets)
    if not masks or not all(masks):
        assert together is None
        return
    one_by_one = given_node_sets[0]
    for nodes in given_node_sets[1:]:
        one_by_one = intersection(one_by_one, nodes)
    assert together == one_by_one
    assert together.groups == () or all(mask for mask, _ in together.groups)


WHOLE = NodeSet(((1, TRUE),))


@pytest.mark.parametrize(
    "other",
    [
        None,
        NodeSet(((1, TRUE),), TRUE),
        NodeSet(((1, (term_of({"x": EXISTS}),)),)),
        NodeSet(((1, TRUE), (2, (term_of({"x": EXISTS}),)))),
        NodeSet(()),
    ],
)
def test_anything_but_whole_pools_meets_one_by_one(other: NodeSet | None) -> None:
    assert plain_meet([WHOLE, other]) is None
    assert plain_meet([other, WHOLE]) is None


@given(node_sets(), st.integers(0, FLEET.every))
def test_terms_match_exactly_the_nodes(nodes: NodeSet, pools: int) -> None:
    terms = node_terms(nodes, pools, FLEET)
    if nodes.anywhere is not None:
        assert terms == nodes.anywhere
        return
    matched = {n for n, (_, labels) in enumerate(NODES) if admits(terms, labels)}
    assert matched == {n for n in inside(nodes) if pools >> NODES[n][0] & 1}
    assert not any(admits(terms, labels) for labels in STRAYS)


@given(node_sets(), conditions)
def test_the_pools_that_are_reached(nodes: NodeSet, own: Terms) -> None:
    reached = reach(nodes.groups, own, FLEET)
    assert reached == sum({1 << NODES[n][0] for n in inside(nodes) if admits(own, NODES[n][1])})


def test_pools_are_reached_by_any_of_the_terms() -> None:
    labels = [{"pool": name, **dict.fromkeys("xyz", "0"), key: "1"} for name, key in zip("abc", "xyz", strict=True)]
    pool_index = PoolIndex(Inventory(tuple(Pool(one["pool"], "", {"pool": one["pool"]}, facts(one)) for one in labels)))
    terms = tuple(term_of({key: one_of("1")}) for key in "xyz")
    assert reach(((0b111, terms),), TRUE, pool_index) == 0b111
    assert reach(((0b111, terms),), (term_of({"z": one_of("0")}),), pool_index) == 0b011
    assert reach(((0b111, terms),), (term_of({"z": ABSENT}),), pool_index) == 0


@pytest.mark.parametrize("strays", [0, 2])
@given(nodes=node_sets(), own=conditions)
def test_alive_is_any_node_at_all(strays: int, nodes: NodeSet, own: Terms) -> None:
    pool_index = PoolIndex(Inventory(POOLS, strays))
    there = outside(nodes) or set()
    beside = strays > 0 and any(admits(own, STRAYS[n]) for n in there)
    assert alive(nodes, own, pool_index) == (beside or any(admits(own, NODES[n][1]) for n in inside(nodes)))


def test_without_pools_only_nodes_of_no_pool_are_left() -> None:
    empty = PoolIndex(Inventory())
    only: Term = term_of({"x": one_of("1")})
    assert alive(NodeSet((), TRUE), TRUE, empty)
    assert alive(NodeSet((), (only,)), (only,), empty)
    assert not alive(NodeSet((), (only,)), (term_of({"x": one_of("2")}),), empty)
    assert not alive(NodeSet(()), TRUE, empty)
