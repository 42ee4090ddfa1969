"""engine.evaluation.alike: what is decided once for pools that are alike is what each of them alone comes to."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision import Decider
from engine.evaluation.alike import each_alike
from engine.evaluation.open_pools import open_truths
from engine.evaluation.pool_facts import PoolFacts, _by_pool
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import ABSENT, ANY, one_of
from engine.pools import Fact, Inventory, Pool, PoolIndex, Read
from engine.program import Arguments, Leaf
from engine.struct import replace
from tests.engine.builders import decider
from tests.engine.pools.inventories import facts

ZONE = "topology.kubernetes.io/zone"
TEXTS = (
    'pool.labels["tier"] == "gold"',
    'pool.labels["tier"] == "gold" || pool.cpu >= 4.0',
    '"tier" in pool.labels && pool.labels["tier"].startsWith("g")',
    'pool.labels[?"tier"].orValue("none") != "gold"',
    "has(pool.labels.tier)",
    'size(pool.labels["tier"]) > 3',
    '"a" in pool.zones',
    'pool.zones.all(z, z in ["a", "b"]) && pool.gpus > 0',
    "size(pool.zones) == 1",
    'pool.labels["tier"].matches("g.*d") && pool.provider != "karpenter"',
    'pool.labels["tier"] == pool.labels["other"]',
    'pool.labels["topology.kubernetes.io/zone"] == "a"',
    "pool.price > 0.5 || pool.weight > 1",
)
COMPARED = 'pod.metadata.labels["app"] == pool.labels["tier"]'
SEVERAL = one_of(["gold", "base"])
FACTS = st.sampled_from(
    [
        None,
        *(Fact(one_of([value]), observed) for value in ("gold", "base") for observed in (False, True)),
        *(Fact(one_of(["gold"]), source=source) for source in ("a", "b")),
        *(Fact(one_of(["gold"]), observed=True, each=each, open=not each) for each in (False, True)),
        *(Fact(SEVERAL, observed) for observed in (False, True)),
        *(Fact(SEVERAL | ABSENT, observed, open=opened) for observed in (False, True) for opened in (False, True)),
        *(Fact(states, observed) for states in (ABSENT, ANY) for observed in (False, True)),
    ]
)


@st.composite
def pools(draw: st.DrawFn) -> Inventory:
    """Pools of which few things are known, so that many are alike in them."""
    found = []
    for n in range(draw(st.integers(0, 7))):
        drawn = {key: draw(FACTS) for key in ("tier", "other", ZONE)}
        known = {key: fact for key, fact in drawn.items() if fact is not None}
        declared = draw(st.booleans())
        pool = Pool(
            f"p{n}",
            draw(st.sampled_from(["", "karpenter"])),
            {"np": f"p{n}"},
            {**facts({"np": f"p{n}"}), **known},
            cpu=draw(st.sampled_from([None, 2.0, 8.0])),
            price=draw(st.sampled_from([None, 1.0])),
            gpus=draw(st.sampled_from([None, 0, 1])),
            declared=declared,
            closed=declared and draw(st.booleans()),
        )
        found.append(pool)
    return Inventory(tuple(found))


@cache
def compiled(text: str) -> Decider:
    """A decider of one expression, on no pools."""
    return decider(f"require: [{{expression: '{text}'}}]", pools=Inventory())


def leaf_of(text: str) -> Leaf:
    """The one leaf of an expression."""
    (leaf,) = compiled(text).program.leaves
    return leaf


def nobody(limit: int = 10**6) -> Arguments:
    """The arguments of a function that is called without a pod."""
    return (Budget(limit), *compiled(TEXTS[0]).parts[0]._no_pod()[1:])


def outcome(leaf: Leaf, pool_facts: PoolFacts, limit: int) -> object:
    """What a leaf comes to on all pools, and what is left of a budget."""
    arguments = nobody(limit)
    budget = arguments[0]
    assert isinstance(budget, Budget)
    try:
        known, undecided = _by_pool(leaf, pool_facts, arguments)
        truths = open_truths(leaf, pool_facts.pool_index, pool_facts.views, undecided, arguments) if undecided else {}
    except BudgetExceeded as error:
        return str(error)
    return known, undecided, truths, budget.left


@given(pools(), st.sampled_from(TEXTS), st.sampled_from([10**6, 10**6, 100, 60, 40]))
def test_pools_that_are_alike_come_to_the_same_at_the_same_cost(inventory: Inventory, text: str, limit: int) -> None:
    leaf = leaf_of(text)
    assert leaf.seen
    index = PoolIndex(inventory)
    pool_facts = PoolFacts(index, (), nobody)
    for one in (leaf, replace(leaf, asked=None)):
        assert outcome(one, pool_facts, limit) == outcome(replace(one, seen=None), pool_facts, limit)


@given(pools())
def test_so_do_lookups(inventory: Inventory) -> None:
    leaf = leaf_of(COMPARED)
    alone = replace(leaf, seen=None)
    index = PoolIndex(inventory)
    one, other = (PoolFacts(index, [each], nobody).indexes[leaf.number] for each in (leaf, alone))
    assert (one.known, one.undecided, one.masks, one.values) == (
        other.known,
        other.undecided,
        other.masks,
        other.values,
    )


def test_pools_are_told_apart_by_no_more_than_what_is_seen() -> None:
    tiers = ("gold", "base", "gold", "gold")
    some = [
        Pool(f"p{n}", "", {"np": f"p{n}"}, facts({"np": f"p{n}", "tier": tier}), gpus=n) for n, tier in enumerate(tiers)
    ]
    index = PoolIndex(Inventory(tuple(some)))
    tier, gpus = Read("labels", "tier"), Read("field", "gpus")
    assert index.indistinct(frozenset({tier})) == (0b1101, 0b10)
    assert index.indistinct(frozenset({tier, gpus})) == index.indistinct(None) == (1, 2, 4, 8)
    assert index.indistinct(frozenset()) == (0b1111,)


def test_each_other_pool_is_paid_for() -> None:
    index = PoolIndex(Inventory(tuple(Pool(f"p{n}", "", {"np": f"p{n}"}, facts({"np": f"p{n}"})) for n in range(4))))
    budget = Budget(100)
    for i, mask in each_alike(index, frozenset(), 0b1110, (budget,)):
        assert (i, mask) == (1, 0b1110)
        budget.spend(10)
    assert budget.left == 70
    budget = Budget(100)
    groups = each_alike(index, frozenset(), 0b1111, (budget,))
    next(groups)
    budget.spend(30)
    with pytest.raises(BudgetExceeded):
        next(groups)
