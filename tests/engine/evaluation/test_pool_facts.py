"""engine.evaluation.pool_facts: what is known of all pools before any pod comes, kept when the pools change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.pool_facts import Inputs, PoolFacts, _by_pool
from engine.evaluation.verdicts import ByPool, Verdict
from engine.language import Budget
from engine.pools.index import CarriedOver, PoolIndex
from engine.pools.pool import Inventory, Pool
from engine.program import NO, UNKNOWN, YES, Arguments, Both, Choice, Leaf, Not, Tree
from tests.engine.builders import decide, decider, incoming, inventory, pools_of_nodes, required
from tests.engine.evaluation.builders import COUNT, EVERY, NODEPOOL, verdicts
from tests.engine.pools.inventories import COMPUTED, POOLS, facts

Plain = tuple[ByPool, int]


@given(POOLS, POOLS)
def test_reads_through_computed_keys_move_with_their_pools(before: Inventory, after: Inventory) -> None:
    engine = decider(*COMPUTED, bundle="{params: {key: tier}}", pools=before)
    (leaf,) = engine.program.leaves
    assert leaf.computed
    nobody = engine.parts[0]._no_pod
    old = PoolFacts(PoolIndex(before), (), nobody)
    known = _by_pool(leaf, old, nobody())
    moved = _by_pool(leaf, PoolFacts(PoolIndex(after, old.pool_index), (), nobody, old), nobody(), known)
    fresh = _by_pool(leaf, PoolFacts(PoolIndex(after), (), nobody), nobody())
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

    def spy(leaf: Leaf, pool_facts: PoolFacts, arguments: Arguments, before: Plain | None = None) -> Plain:
        known.append(before)
        return _by_pool(leaf, pool_facts, arguments, before)

    monkeypatch.setattr("engine.evaluation.pool_facts._by_pool", spy)
    pools = tuple(Pool(f"p{i}", "", {"np": f"p{i}"}, facts({"np": f"p{i}"}), gpus=i) for i in range(4))
    engine = decider("require: [{expression: pool.gpus > 1}]", pools=Inventory(pools))
    engine.decide(incoming())
    again = engine.renewed(Inventory(pools[1:]))
    assert again.pool_index.carried_over == CarriedOver(((1, 3, 0),), ())
    assert known == [None, *((verdict, 0) for verdict in engine.pool_facts.settled.values())]
    (before,), (after,) = engine.pool_facts.settled.values(), again.pool_facts.settled.values()
    assert isinstance(before, ByPool)
    assert isinstance(after, ByPool)
    assert (before.true, after.true) == (0b1100, 0b110)
    assert again.decide(incoming()).pools.after == ("p2", "p3")


def possible(tree: Tree, place: int, seen: Mapping[int, Verdict]) -> set[bool | None]:
    """What an expression can be on a pool, or, past the last of them, on a node of none."""
    match tree:
        case Leaf():
            verdict = seen[tree.number]
            here = [truth for mask, truth in verdict.cases(EVERY) if mask >> place & 1]
            if place == COUNT:
                here = [verdict.anywhere] if verdict.anywhere else [YES, NO]
            found = {value for truth in here for value, terms in zip((True, False), truth, strict=True) if terms}
            return found | ({None} if UNKNOWN in here else set())
        case Not():
            return {None if value is None else not value for value in possible(tree.inner, place, seen)}
        case Both():
            pairs = product(possible(tree.left, place, seen), possible(tree.right, place, seen))
            return {False if False in pair else None if None in pair else True for pair in pairs}
        case Choice():
            tests = possible(tree.test, place, seen)
            yes = possible(tree.yes, place, seen) if True in tests else set()
            no = possible(tree.no, place, seen) if False in tests else set()
            return yes | no | tests & {None}


LEAVES = st.integers(0, 3).map(lambda number: Leaf(number, reads_pod=False, reads_pool=True))

TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Both, inner, inner), st.builds(Choice, inner, inner, inner)
    ),
    max_leaves=6,
)


@given(TREES, st.lists(verdicts(), min_size=4, max_size=4))
def test_where_an_expression_can_be_true_false_or_an_error(tree: Tree, leaves: list[Verdict]) -> None:
    seen = dict(enumerate(leaves))
    pool_facts = PoolFacts(PoolIndex(pools_of_nodes(*({NODEPOOL: name} for name in "klm"))), (), lambda: (Budget(0),))
    outlook = Inputs(pool_facts, (Budget(0),), seen)._outlook(tree)
    for place in range(COUNT + 1):
        found = {value for value, mask in zip((True, False, None), outlook, strict=True) if mask >> place & 1}
        assert found == possible(tree, place, seen)


def test_a_pool_and_its_node_are_compared_in_the_words_of_its_provider() -> None:
    declared = [
        {"name": "g", "selector": {"cloud.google.com/gke-nodepool": "g"}, "labels": {"want": "spot"}},
        {"name": "k", "selector": {NODEPOOL: "k"}, "labels": {"want": "on-demand"}},
    ]
    pools = inventory(json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": declared}))
    terms = required(decide("require: [{expression: node.capacityType == pool.labels.want}]", pools=pools))
    assert [{e["key"]: e["values"] for e in one["matchExpressions"]} for one in terms] == [
        {"cloud.google.com/gke-nodepool": ["g"], "cloud.google.com/gke-preemptible": ["true"]},
        {"cloud.google.com/gke-nodepool": ["g"], "cloud.google.com/gke-spot": ["true"]},
        {NODEPOOL: ["k"], "karpenter.sh/capacity-type": ["on-demand"]},
    ]
