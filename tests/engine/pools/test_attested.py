"""engine.pools.attested: what somebody has declared or seen of a pool's nodes."""

from __future__ import annotations

import pytest

from engine.nodeselector import ABSENT, ANY, EXISTS, NODE_NAME, LabelStates, integers, none_of, one_of, term_of
from engine.nodeselector.term import named
from engine.pools import Fact, Pool, PoolIndex
from engine.pools.attested import attested
from engine.pools.membership import inventory_from_pools

FACTS = {
    "pool": Fact(one_of(["a"])),
    "one": Fact(one_of(["1"])),
    "some": Fact(one_of(["1", "2"]), True, seen=("1", "2")),
    "there": Fact(EXISTS),
    "bounds": Fact(integers(low=5)),
    "none": Fact(ABSENT),
    "partly": Fact(ANY, True, seen=("1",)),
    "kubernetes.io/arch": Fact(one_of(["amd64"]), True, seen=("amd64",)),
}
POOL = Pool("a", "karpenter", {"pool": "a"}, FACTS)
SEEN = Pool("b", "", {"pool": "b"}, {"pool": Fact(one_of(["b"]))}, declared=False)
CLOSED = Pool("c", "karpenter", {"pool": "c"}, {"pool": Fact(one_of(["c"]))}, closed=True)


@pytest.mark.parametrize(
    ("key", "states", "known"),
    [
        ("one", one_of(["1"]), True),
        ("one", one_of(["2"]), False),
        ("one", ABSENT, False),
        ("some", one_of(["2", "3"]), True),
        ("some", none_of(["1", "2"]), False),
        ("there", one_of(["whatever"]), True),
        ("there", ABSENT, False),
        ("bounds", integers(high=4), False),
        ("bounds", integers(low=9), True),
        ("none", ABSENT, True),
        ("none", one_of(["1"]), False),
        ("partly", one_of(["1"]), True),
        ("partly", one_of(["2"]), False),
        ("partly", ABSENT, True),
        ("nothing", one_of(["1"]), False),
        ("nothing", EXISTS, False),
        ("nothing", none_of(["1"]), True),
        ("kubernetes.io/os", one_of(["linux"]), True),
        ("kubernetes.io/os", one_of(["beos"]), False),
        ("kubernetes.io/os", EXISTS, True),
        ("kubernetes.io/arch", one_of(["arm64"]), False),
        ("karpenter.sh/capacity-type", one_of(["spot"]), True),
        ("karpenter.k8s.aws/instance-cpu", integers(low=64), True),
        ("topology.kubernetes.io/region", one_of(["eu"]), False),
        (NODE_NAME, named(["n1"]), True),
    ],
)
def test_what_is_known_of_a_pool(key: str, states: LabelStates, known: bool) -> None:
    assert attested(POOL, key, states) is known


def test_what_no_node_carries_nobody_has_seen() -> None:
    assert not attested(SEEN, "x", EXISTS)
    assert attested(SEEN, "x", ABSENT)
    assert not attested(SEEN, "karpenter.k8s.aws/instance-cpu", EXISTS)
    assert not attested(CLOSED, "x", EXISTS)
    assert attested(CLOSED, "karpenter.k8s.aws/instance-cpu", EXISTS)


def test_pools_are_told_apart_by_what_is_not_known_of_them() -> None:
    index = PoolIndex(inventory_from_pools([POOL, SEEN, CLOSED]))
    term = term_of({"one": one_of(["1"]), "nothing": EXISTS})
    assert index.names(index.attested(term_of({"one": one_of(["1"])}))) == ("a",)
    assert index.attested(term) == 0
    assert index.unattested(index.every, term) == {term_of({"nothing": EXISTS}), term}
    assert index.unattested(0, term) == set()


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("kubernetes.io/arch", "amd64", True),
        ("kubernetes.io/arch", "arm64", True),
        ("kubernetes.io/arch", "z80", False),
        ("topology.kubernetes.io/zone", "eu-a", True),
        ("topology.kubernetes.io/zone", "eu-b", False),
        ("karpenter.sh/capacity-type", "on-demand", True),
    ],
)
def test_of_what_is_left_open_usual_values_are_nothing_strange(key: str, value: str, known: bool) -> None:
    seen = {
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": "eu-a",
        "karpenter.sh/capacity-type": "spot",
    }
    facts = {each: Fact(one_of([said]), True, seen=(said,), open=True) for each, said in seen.items()}
    assert attested(Pool("a", "karpenter", {"pool": "a"}, facts, closed=True), key, one_of([value])) is known


KEYS = (
    *FACTS,
    *("nothing", "unheard.of/x", "topology.kubernetes.io/region", "karpenter.sh/capacity-type", "kubernetes.io/os"),
    *("karpenter.k8s.aws/instance-cpu", "node.kubernetes.io/instance-type", "eks.amazonaws.com/capacityType"),
)
STATES = (ABSENT, ANY, EXISTS, one_of(["1"]), one_of(["linux"]), one_of(["spot"]), none_of(["1"]), integers(low=4))


@pytest.mark.parametrize("key", KEYS)
def test_an_index_says_the_same_as_each_pool_also_of_labels_that_none_tells_of(key: str) -> None:
    """Which an index answers for all pools at once, without looking at them."""
    index = PoolIndex(inventory_from_pools([POOL, SEEN, CLOSED]))
    for states in STATES:
        term = term_of({key: states})
        expected = [pool.name for pool in index.pools if attested(pool, key, states)]
        if term.impossible or not term.requirements:
            continue
        assert list(index.names(index.attested(term))) == expected, states
        beside = index.unattested(index.every, term)
        assert beside == {term for pool in index.pools if pool.name not in expected} | (
            {term_of({})} if expected else set()
        )


def test_a_label_of_which_no_pool_tells_costs_next_to_nothing() -> None:
    """As much as it takes: it is looked up once, and remembered nowhere."""
    index = PoolIndex(inventory_from_pools([POOL, SEEN, CLOSED]))
    unheard = term_of({f"unheard.of/{i}": one_of(["x"]) for i in range(1000)})
    assert index.price(unheard) == 1000
    assert index.price(term_of({"one": one_of(["1"])})) > 4
    assert index.possible(unheard) == index.every
    assert index.attested(unheard) == 0
    assert (len(index._possible), len(index._attested)) == (0, 0)
