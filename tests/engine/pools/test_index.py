"""What a fleet answers of its pools: by itself, and after another fleet that it took over from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents import Source, parse_manifests
from engine.evaluation.pool_facts import _by_pool
from engine.evaluation.read_tracking import is_inferred
from engine.evaluation.verdicts import ByPool
from engine.nodeselector import ABSENT, EVERYWHERE, EXISTS, FALSE, TRUE, LabelStates, Terms, none_of, one_of, term_of
from engine.nodeselector.term import admits
from engine.pools.index import CarriedOver, PoolIndex
from engine.pools.inventory import inventory_from_documents
from engine.pools.pool import Inventory, Pool
from engine.pools.reads import Read
from engine.program import Arguments, Leaf
from tests.engine.builders import decide, decider, incoming, outcomes
from tests.engine.pools.test_renewal import POOLS

GKE = "cloud.google.com/gke-nodepool"
ZONE = "topology.kubernetes.io/zone"
SELECTOR = {"np": "p"}


def pool(*observed: str, declared: bool = True, **labels: str | tuple[str, ...]) -> Pool:
    """A pool with these labels, several values where they vary; those that are observed are named."""
    constants = {key: value for key, value in labels.items() if isinstance(value, str)}
    values = {key: value for key, value in labels.items() if isinstance(value, tuple)}
    return Pool("p", "", SELECTOR, {**SELECTOR, **constants}, values, observed=frozenset(observed), declared=declared)


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
        (pool("a", a="not a label value"), Read("labels", "a"), FALSE),
    ],
)
def test_what_was_read_is_demanded_if_it_was_observed(given_pool: Pool, reads: Read, demanded: Terms) -> None:
    assert list(PoolIndex(Inventory((given_pool,))).demands(frozenset({reads}), 1)) == [(1, demanded)]


def test_all_that_was_read_is_demanded_together() -> None:
    pool_index = PoolIndex(Inventory((pool("a", "b", a="1", b=("2", "3")),)))
    assert list(pool_index.demands(frozenset({Read("labels", "a"), Read("values", "b")}), 1)) == [(1, BOTH)]
    assert list(pool_index.demands(frozenset(), 1)) == [(1, TRUE)]
    assert list(pool_index.demands(frozenset({Read("labels", "a")}), 0)) == []


@pytest.mark.parametrize(
    ("given_pool", "inferred"),
    [(pool(), False), (pool("a", a="1"), True), (pool(declared=False), True), (pool("a", a="1", declared=False), True)],
)
def test_whether_anything_is_only_observed(given_pool: Pool, inferred: bool) -> None:
    assert PoolIndex(Inventory((given_pool,))).inferred is inferred
    assert is_inferred(given_pool) is inferred


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


COMPUTED = ("require: [{expression: 'pool.labels[params.key] == \"gold\"'}]",)


@given(POOLS, POOLS)
def test_reads_through_computed_keys_move_with_their_pools(before: Inventory, after: Inventory) -> None:
    engine = decider(*COMPUTED, bundle="{params: {key: tier}}", pools=before)
    (leaf,) = engine.program.leaves
    assert leaf.computed
    nobody = engine._no_pod
    known = _by_pool(leaf, PoolIndex(before), nobody())
    old = PoolIndex(before)
    moved = _by_pool(leaf, PoolIndex(after, old), nobody(), known)
    fresh = _by_pool(leaf, PoolIndex(after), nobody())
    assert moved == fresh
    renewed = engine.renewed(after)
    anew = decider(*COMPUTED, bundle="{params: {key: tier}}", pools=after)
    assert renewed.pool_facts.settled == anew.pool_facts.settled


@given(POOLS, POOLS)
def test_indexes_move_with_their_pools(before: Inventory, after: Inventory) -> None:
    spec = 'require: [{expression: \'pod.metadata.labels["app"] == pool.labels["tier"]\'}]'
    engine = decider(spec, pools=before)
    assert engine.pool_facts.indexes
    for renewed, anew in zip(
        engine.renewed(after).pool_facts.indexes.values(),
        decider(spec, pools=after).pool_facts.indexes.values(),
        strict=True,
    ):
        assert (renewed.known, renewed.masks, renewed.values) == (anew.known, anew.masks, anew.values)


def test_a_renewed_decider_keeps_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what makes it fast: an expression over pools is evaluated on fresh ones only."""
    known: list[object] = []

    def spy(leaf: Leaf, pool_index: PoolIndex, arguments: Arguments, before: ByPool | None = None) -> ByPool:
        known.append(before)
        return _by_pool(leaf, pool_index, arguments, before)

    monkeypatch.setattr("engine.evaluation.pool_facts._by_pool", spy)
    pools = tuple(Pool(f"p{i}", "", {"np": f"p{i}"}, {"np": f"p{i}"}, gpus=i) for i in range(4))
    engine = decider("require: [{expression: pool.gpus > 1}]", pools=Inventory(pools))
    engine.decide(incoming())
    again = engine.renewed(Inventory(pools[1:]))
    assert again.pool_index.carried_over == CarriedOver(((1, 3, 0),), ())
    assert known == [None, *engine.pool_facts.settled.values()]
    (before,), (after,) = engine.pool_facts.settled.values(), again.pool_facts.settled.values()
    assert (before.true, after.true) == (0b1100, 0b110)
    assert again.decide(incoming()).pools.after == ("p2", "p3")


def test_pools_whose_selectors_cross_are_told_apart() -> None:
    """A node that both match is of the declared one; of two such, of the one that says more, or comes first."""
    crossing = described(
        {"name": "pci", "selector": {"compliance": "pci"}},
        nodes=[{GKE: "g", "compliance": "pci"}, {GKE: "g"}],
    )
    assert selected(crossing) == {
        "g": [{GKE: ["g"], "compliance": "not pci"}],
        "pci": [{"compliance": ["pci"]}],
    }
    declared = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "1"}}, {"name": "B", "selector": {"y": "1"}}
    )
    assert selected(declared) == {"A": [{"x": ["1"]}], "B": [{"x": "not 1", "y": ["1"]}]}
    longer = described(
        {"name": "A", "selector": {"x": "1"}, "values": {"y": ["1", "2"]}, "labels": {"z": "1"}},
        {"name": "B", "selector": {"y": "1", "z": "1"}},
    )
    apart = [{"x": ["1"], "y": ["1"], "z": "not 1"}, {"x": ["1"], "y": "not 1"}]
    assert selected(longer) == {"A": apart, "B": [{"y": ["1"], "z": ["1"]}]}
    unlike = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "2"}}, {"name": "B", "selector": {"y": "1"}}
    )
    barred = described(
        {"name": "gke", "selector": {GKE: "b"}},
        {"name": "team", "selector": {"team": "a"}},
        nodes=[{"karpenter.sh/nodepool": "k", GKE: "b", "team": "a"}],
    )
    gke, team = barred.pools
    assert (gke.nodes, team.nodes, gke.without) == (0, 1, ("karpenter.sh/nodepool",))
    pool_index = PoolIndex(barred)
    for labels, home in (
        ({"karpenter.sh/nodepool": "k", GKE: "b", "team": "a"}, 0b10),
        ({GKE: "b", "team": "a"}, 0b01),
        ({"team": "a"}, 0b10),
        ({GKE: "b"}, 0b01),
    ):
        assert [admits(pool_index.selector(mask), labels) for mask in (0b01, 0b10)] == [home == 0b01, home == 0b10], (
            labels
        )
    assert selected(unlike) == {"A": [{"x": ["1"]}], "B": [{"y": ["1"]}]}
    partly = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "1"}}, {"name": "B", "selector": {"y": "1", "z": "1"}}
    )
    assert selected(partly) == {"A": [{"x": ["1"]}], "B": [{"y": ["1"], "z": ["1"]}]}
    first = described(
        {"name": "gke", "selector": {GKE: "b"}},
        {"name": "team", "selector": {"team": "a"}},
        nodes=[{GKE: "b", "team": "a"}],
    )
    assert selected(first)["team"] == [{GKE: "not b", "team": ["a"]}]


def test_a_pool_all_of_whose_nodes_are_another_ones_is_counted_nowhere() -> None:
    """Neither before nor after something is written that says so."""
    for own in ({"labels": {"kind": "u", "tier": "gold"}}, {"values": {"kind": ["u"]}, "labels": {"tier": "gold"}}):
        found = described({"name": "p0", "selector": {"kind": "u"}}, {"name": "p1", "selector": {"team": "y"}, **own})
        pool_index = PoolIndex(found)
        assert (pool_index.shadowed, pool_index.possible(EVERYWHERE), pool_index.possible(term_of({"x": EXISTS}))) == (
            0b10,
            0b01,
            0b01,
        )
        assert PoolIndex(found, pool_index).shadowed == 0b10
        decision = decide("require: [{expression: pool.labels.tier == 'gold'}]\nwhenEmpty: ignore", pools=found)
        assert (outcomes(decision), decision.pools.before, decision.patch) == ({"one": "overruled"}, ("p0",), ())
    varying = {"name": "p1", "selector": {"team": "y"}, "values": {"kind": ["u", "v"]}}
    several = described({"name": "p0", "selector": {"kind": "u"}}, varying)
    assert (PoolIndex(several).shadowed, PoolIndex(several).possible(EVERYWHERE)) == (0, 0b11)


def test_the_configured_order_says_which_label_a_node_of_a_pool_lacks() -> None:
    """Its node may carry a label that comes later in the order, and none that comes before."""
    nodes = [{"kops.k8s.io/instancegroup": "a", "eks.amazonaws.com/nodegroup": "e"}]
    found = described(nodes=nodes, order=("kops.k8s.io/instancegroup",))
    pool_index = PoolIndex(found)
    assert pool_index.possible(term_of({"eks.amazonaws.com/nodegroup": one_of(["e"])})) == 1
    assert pool_index.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 0
    labelled = PoolIndex(described({"name": "t", "selector": {"team": "t"}}))
    assert labelled.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 1
    own = PoolIndex(described(nodes=[{"team": "t"}], order=("team",)))
    assert own.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 0
    assert own.possible(term_of({GKE: one_of(["e"])})) == 1


def described(*pools: dict[str, Any], nodes: Sequence[dict[str, str]] = (), order: Sequence[str] = ()) -> Inventory:
    documents: list[dict[str, Any]] = []
    documents += [{"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": list(pools)}] * bool(pools)
    documents += [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{i}", "labels": labels}, "spec": {}}
        for i, labels in enumerate(nodes)
    ]
    text = "\n---\n".join(json.dumps(one) for one in documents)
    return inventory_from_documents(parse_manifests(Source("pools.yaml", text))[0], order)


def selected(inventory: Inventory) -> dict[str, list[dict[str, Any]]]:
    """What tells each pool's nodes from all others: values, or the one that must not be."""
    pool_index = PoolIndex(inventory)
    return {
        pool.name: [
            {k: sorted(v.odd) if not v.others else f"not {next(iter(v.odd))}" for k, v in one.requirements}
            for one in pool_index.selector(1 << i)
        ]
        for i, pool in enumerate(inventory.pools)
    }


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
