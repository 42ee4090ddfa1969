"""engine.pools.pool: what is declared, what is seen, and what expressions see of it."""

from __future__ import annotations

import pytest

from engine.nodeselector import ABSENT, ANY, EXISTS, LabelStates, integers, one_of
from engine.pools.evidence import Declared, Seen, declared_pool, observed_pool
from engine.pools.membership import inventory_from_pools
from engine.pools.pool import UNKNOWN, Fact, Pool, Taint, capacity_types
from tests.engine.pools.inventories import facts

ZONE, KARPENTER = "topology.kubernetes.io/zone", "karpenter.sh/nodepool"
GPUS = "karpenter.k8s.aws/instance-gpu-count"
TAINT = Taint("a", "b", "NoSchedule")


def seen(
    labels: dict[str, str] | None = None,
    values: dict[str, tuple[str, ...]] | None = None,
    taints: tuple[Taint, ...] = (),
) -> Seen:
    known = facts(labels or {}, values, (*(labels or {}), *(values or {})))
    return Seen(known, taints, nodes=3, ready_nodes=2, cpu=4.0, memory=16, gpus=1)


@pytest.mark.parametrize(
    ("fact", "value", "values", "settled"),
    [
        (Fact(one_of(["a"])), "a", ("a",), True),
        (Fact(one_of(["a", "b"])), None, ("a", "b"), False),
        (Fact(one_of(["a"]), each=True), None, ("a",), False),
        (Fact(one_of(["a"]) | ABSENT), None, None, False),
        (Fact(EXISTS), None, None, False),
        (Fact(integers(1, 5)), None, None, False),
        (Fact(ABSENT), None, None, True),
        (Fact(ANY), None, None, False),
    ],
)
def test_five_kinds_of_facts(fact: Fact, value: str | None, values: tuple[str, ...] | None, settled: bool) -> None:
    assert (fact.value, fact.values, fact.settled) == (value, values, settled)


def test_what_is_known_of_a_label_that_nobody_mentions() -> None:
    selector = {"pool": "p"}
    assert Pool("p", "", selector, facts(selector)).fact("team") == UNKNOWN
    assert Pool("p", "", selector, facts(selector), declared=False).fact("team").states == ABSENT
    closed = Pool("p", "karpenter", selector, facts(selector), closed=True)
    assert closed.fact("team").states == closed.fact("example.com/team").states == ABSENT
    assert closed.fact("team").observed
    more = ("topology.ebs.csi.aws.com/zone", "karpenter.kwok.sh/instance-size", "karpenter.k8s.alibabacloud/x")
    for key in (
        ZONE,
        "karpenter.k8s.aws/instance-family",
        "nvidia.com/gpu.present",
        "node-role.kubernetes.io/x",
        *more,
    ):
        assert closed.fact(key) == UNKNOWN


def capacity_of(provider: str, **states: LabelStates) -> tuple[str, ...] | None:
    keys = {"spot": "cloud.google.com/gke-spot", "preemptible": "cloud.google.com/gke-preemptible"}
    keys |= {"eks": "eks.amazonaws.com/capacityType", "karpenter": "karpenter.sh/capacity-type"}
    return capacity_types(Pool("p", provider, {}, {keys[word]: Fact(each) for word, each in states.items()}))


def test_capacity_types_of_labels_and_values() -> None:
    assert capacity_of("gke", spot=one_of(["true"])) == ("spot",)
    assert capacity_of("gke", spot=ABSENT, preemptible=one_of(["true"])) == ("spot",)
    assert capacity_of("gke", spot=one_of(["true"]) | ABSENT, preemptible=ABSENT) == ("on-demand", "spot")
    assert capacity_of("gke", spot=ABSENT, preemptible=ABSENT) == ("on-demand",)
    assert capacity_of("gke") is capacity_of("gke", spot=ABSENT) is None
    assert capacity_of("eks", eks=one_of(["CAPACITY_BLOCK"])) == ("reserved",)
    assert capacity_of("karpenter", karpenter=one_of(["free", "spot"])) is None
    assert capacity_of("karpenter", karpenter=one_of(["on-demand", "spot"])) == ("on-demand", "spot")
    assert capacity_of("karpenter", karpenter=EXISTS) is capacity_of("karpenter") is capacity_of("kops") is None


def test_what_is_declared_wins_and_what_is_seen_is_marked() -> None:
    by_hand = {key: fact._replace(by_hand=True) for key, fact in facts({"team": "x"}, {ZONE: ("a", "b")}).items()}
    said = Declared("p", {"pool": "p"}, facts=by_hand, taints=())
    pool = declared_pool(said, seen({ZONE: "a", "team": "y", "new": "1"}, {"rack": ("1", "2")}, (TAINT,)), "eks")
    assert pool.labels == {"new": "1", "pool": "p", "team": "x"}
    assert pool.values == {"rack": ("1", "2"), ZONE: ("a", "b")}
    assert {key for key, fact in pool.facts.items() if fact.observed} == {"new", "rack"}
    assert (pool.taints, pool.nodes, pool.ready_nodes, pool.cpu, pool.provider) == ((TAINT,), 3, 2, 4.0, "eks")
    assert pool.declared
    assert [one.partition(":")[0] for one in pool.contradictions] == ["`team`"]


@pytest.mark.parametrize(
    ("shown", "states"),
    [
        ({"tier": "critical"}, one_of(["critical"])),
        ({"tier": "base"}, one_of(["base", "critical"])),
        ({}, one_of(["critical"]) | ABSENT),
    ],
)
def test_nodes_from_before_a_template_was_edited(shown: dict[str, str], states: LabelStates) -> None:
    """They are of the pool as well, so what it says is not the same for all; but by hand one may say so."""
    for by_hand in (False, True):
        fact = Fact(one_of(["critical"]), source="the NodePool", by_hand=by_hand)
        pool = declared_pool(Declared("p", {"pool": "p"}, facts={"tier": fact}), seen(shown), "karpenter")
        assert pool.fact("tier").states == (fact.states if by_hand else states)
        assert bool(pool.contradictions) == (states != fact.states)


def test_what_a_template_no_longer_mentions_is_not_on_the_next_node() -> None:
    said = Declared("p", {"pool": "p"}, closed=True)
    pool = declared_pool(said, seen({"tier": "gold", "kubernetes.io/arch": "arm64"}), "karpenter")
    assert pool.fact("tier").states == one_of(["gold"]) | ABSENT
    arch = pool.fact("kubernetes.io/arch")
    assert (arch.open, arch.value, arch.values, arch.settled, arch.seen) == (True, None, None, False, ("arm64",))
    assert "kubernetes.io/arch" not in {*pool.labels, *pool.values, *pool.choices}


def test_only_what_is_written_by_hand_counts_against_nodes() -> None:
    """Not what a template narrows of it."""
    by_hand = Declared("p", {"pool": "p"}, facts={"z": Fact(one_of(["a", "b"]), by_hand=True)})
    template = Declared("p", {"pool": "p"}, facts={"z": Fact(one_of(["a"]))})
    assert declared_pool(by_hand.over(template), seen({"z": "b"}), "").fact("z").states == one_of(["a", "b"])


@pytest.mark.parametrize(
    ("counted", "gpus"),
    [
        ({}, 0),
        ({GPUS: Fact(integers(1))}, None),
        ({GPUS: Fact(one_of(["4"]), seen=("4",))}, 4),
        ({GPUS: Fact(ABSENT)}, 0),
    ],
)
def test_gpus_of_nodes_whose_device_plugin_has_not_spoken(counted: dict[str, Fact], gpus: int | None) -> None:
    shown = Seen({}, (), nodes=1, ready_nodes=1, cpu=4.0, memory=16, gpus=0)
    if counted.get(GPUS, Fact(ABSENT)).seen:
        shown = Seen(counted, (), nodes=1, ready_nodes=1, cpu=4.0, memory=16, gpus=0)
        counted = {}
    assert declared_pool(Declared("p", {"pool": "p"}, facts=counted), shown, "karpenter").gpus == gpus


@pytest.mark.parametrize("odd", ["²", "9" * 5000, "many"])
def test_a_file_may_say_anything_of_how_many_gpus_a_node_has(odd: str) -> None:
    shown = Seen({GPUS: Fact(ANY, True, seen=(odd, "4"))}, (), nodes=2, ready_nodes=1, cpu=4.0, memory=16, gpus=0)
    assert declared_pool(Declared("p", {"pool": "p"}), shown, "karpenter").gpus == 4


def test_what_is_not_declared_is_taken_from_nodes() -> None:
    pool = declared_pool(Declared("p", {"pool": "p"}, nodes=2, cpu=8.0), seen(taints=(TAINT,)), "")
    assert (pool.taints, pool.nodes, pool.ready_nodes, pool.cpu, pool.gpus) == ((TAINT,), 2, 2, 8.0, 1)


def test_a_declared_pool_without_nodes() -> None:
    pool = declared_pool(Declared("p", {"pool": "p"}, nodes=5, provider="x"), None, "eks")
    assert (pool.nodes, pool.ready_nodes, pool.cpu, pool.provider, pool.inferred) == (5, 5, None, "x", False)


def test_two_declarations_of_one_pool() -> None:
    """They agree where both speak; where they contradict each other, the first counts, and it is told."""
    first = Declared(
        "p",
        {"pool": "p"},
        facts=facts({"a": "1", "e": "1"}, {"b": ("1", "2"), "f": ("1", "2")}),
        cpu=8.0,
        annotations={"x": "1"},
    )
    second = Declared(
        "q",
        {"pool": "p"},
        provider="karpenter",
        facts={**facts({"b": "1", "c": "1", "e": "2"}, {"a": ("1", "3"), "d": ("1",)}), "f": Fact(EXISTS)},
        taints=(TAINT,),
        cpu=2.0,
        weight=7,
        annotations={"x": "2", "y": "2"},
    )
    both = first.over(second)
    assert (both.name, both.provider, both.cpu, both.weight, both.taints) == ("p", "karpenter", 8.0, 7, (TAINT,))
    assert {key: fact.states for key, fact in both.facts.items()} == {
        "a": one_of("1"),
        "b": one_of("1"),
        "c": one_of("1"),
        "d": one_of("1"),
        "e": one_of("1"),
        "f": one_of("12"),
    }
    assert [one.partition(":")[0] for one in both.contradictions] == ["`e`"]
    assert both.annotations == {"x": "1", "y": "2"}


def test_pools_of_one_name_are_told_apart() -> None:
    made = [
        observed_pool("p", "eks", {"eks.amazonaws.com/nodegroup": "p"}, seen()),
        observed_pool("p", "karpenter", {KARPENTER: "p"}, seen()),
        observed_pool("p", "", {"pool": "p"}, seen()),
        declared_pool(Declared("p", {"other": "p"}), None, ""),
    ]
    for order in (made, made[::-1]):
        found = inventory_from_pools(order, 4, ["pool"])
        assert [(pool.name, dict(pool.selector)) for pool in found.pools] == [
            ("eks/p", {"eks.amazonaws.com/nodegroup": "p"}),
            ("karpenter/p", {KARPENTER: "p"}),
            ("p", {"other": "p"}),
            ("pool=p", {"pool": "p"}),
        ]
        assert found.strays == 4


def test_a_pool_lacks_the_labels_by_which_others_claim_its_nodes() -> None:
    karpenter = declared_pool(Declared("k", {KARPENTER: "k"}, facts=facts({"pool": "general"})), None, "karpenter")
    varying = declared_pool(
        Declared("v", {KARPENTER: "v"}, facts=facts({}, {"pool": ("general", "other")})), None, "karpenter"
    )
    own = observed_pool("general", "", {"pool": "general"}, seen())
    other = observed_pool("special", "", {"pool": "special"}, seen())
    for first in (karpenter, varying):
        found = {pool.name: pool.without for pool in inventory_from_pools([first, own, other], 0, ["pool"]).pools}
        assert found == {first.name: (), "general": (KARPENTER,), "special": ()}
