"""engine.pools.pool: what is declared, what is seen, and what expressions see of it."""

from __future__ import annotations

from engine.pools.evidence import Declared, Seen, declared_pool, observed_pool
from engine.pools.membership import inventory_from_pools
from engine.pools.pool import Pool, Taint, capacity_types

ZONE, KARPENTER = "topology.kubernetes.io/zone", "karpenter.sh/nodepool"
TAINT = Taint("a", "b", "NoSchedule")


def seen(
    labels: dict[str, str] | None = None,
    values: dict[str, tuple[str, ...]] | None = None,
    taints: tuple[Taint, ...] = (),
) -> Seen:
    return Seen(labels or {}, values or {}, taints, nodes=3, ready_nodes=2, cpu=4.0, memory=16, gpus=1)


def test_what_an_expression_sees() -> None:
    pool = Pool(
        name="p",
        provider="karpenter",
        selector={KARPENTER: "p"},
        labels={KARPENTER: "p", "kubernetes.io/arch": "arm64"},
        values={ZONE: ("a", "b"), "karpenter.sh/capacity-type": ("on-demand", "spot")},
        annotations={"note": "x"},
        taints=(TAINT,),
        nodes=3,
        ready_nodes=2,
        cpu=4,
        memory=1024,
        gpus=8,
        weight=10,
    )
    assert pool.view == {
        "name": "p",
        "provider": "karpenter",
        "labels": {KARPENTER: "p", "kubernetes.io/arch": "arm64"},
        "values": {ZONE: ["a", "b"], "karpenter.sh/capacity-type": ["on-demand", "spot"]},
        "annotations": {"note": "x"},
        "taints": [{"key": "a", "value": "b", "effect": "NoSchedule", "partial": False}],
        "zones": ["a", "b"],
        "regions": [],
        "instanceTypes": [],
        "architectures": ["arm64"],
        "operatingSystems": [],
        "capacityTypes": ["on-demand", "spot"],
        "nodes": 3,
        "readyNodes": 2,
        "cpu": 4.0,
        "memory": 1024,
        "gpus": 8,
        "weight": 10,
    }
    assert type(pool.view["cpu"]) is float


def test_a_price_is_there_only_if_somebody_said_it() -> None:
    assert "price" not in Pool("p", "", {"a": "b"}, {}).view
    assert Pool("p", "", {"a": "b"}, {}, price=2).view["price"] == 2.0


def test_capacity_types_of_labels_and_values() -> None:
    spot, preemptible = "cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible"
    assert capacity_types("gke", {spot: "true"}, {}) == ["spot"]
    assert capacity_types("gke", {preemptible: "true"}, {}) == ["spot"]
    assert capacity_types("gke", {}, {spot: ("true",)}) == ["on-demand", "spot"]
    assert capacity_types("gke", {}, {}) == ["on-demand"]
    assert capacity_types("eks", {"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, {}) == ["reserved"]
    assert capacity_types("karpenter", {}, {"karpenter.sh/capacity-type": ("free", "spot")}) == ["spot"]
    assert capacity_types("karpenter", {}, {}) == []
    assert capacity_types("kops", {}, {}) == []


def test_what_is_declared_wins_and_what_is_seen_is_marked() -> None:
    said = Declared("p", {"pool": "p"}, labels={"team": "x"}, values={ZONE: ("a", "b")}, taints=())
    pool = declared_pool(said, seen({ZONE: "a", "team": "y", "new": "1"}, {"rack": ("1", "2")}, (TAINT,)), "eks")
    assert pool.labels == {"new": "1", "pool": "p", "team": "x"}
    assert pool.values == {"rack": ("1", "2"), ZONE: ("a", "b")}
    assert pool.observed == {"new", "rack"}
    assert (pool.taints, pool.nodes, pool.ready_nodes, pool.cpu, pool.provider) == ((TAINT,), 3, 2, 4.0, "eks")
    assert pool.declared


def test_what_is_not_declared_is_taken_from_nodes() -> None:
    pool = declared_pool(Declared("p", {"pool": "p"}, nodes=2, cpu=8.0), seen(taints=(TAINT,)), "")
    assert (pool.taints, pool.nodes, pool.ready_nodes, pool.cpu, pool.gpus) == ((TAINT,), 2, 2, 8.0, 1)


def test_a_declared_pool_without_nodes() -> None:
    pool = declared_pool(Declared("p", {"pool": "p"}, nodes=5, provider="x"), None, "eks")
    assert (pool.nodes, pool.ready_nodes, pool.cpu, pool.provider, pool.observed) == (5, 5, 0.0, "x", frozenset())


def test_two_declarations_of_one_pool() -> None:
    first = Declared("p", {"pool": "p"}, labels={"a": "1"}, values={"b": ("1", "2")}, cpu=8.0, annotations={"x": "1"})
    second = Declared(
        "q",
        {"pool": "p"},
        provider="karpenter",
        labels={"b": "1", "c": "1"},
        values={"a": ("1",), "d": ("1",)},
        taints=(TAINT,),
        cpu=2.0,
        weight=7,
        annotations={"x": "2", "y": "2"},
    )
    both = first.over(second)
    assert (both.name, both.provider, both.cpu, both.weight, both.taints) == ("p", "karpenter", 8.0, 7, (TAINT,))
    assert both.labels == {"a": "1", "c": "1"}
    assert both.values == {"b": ("1", "2"), "d": ("1",)}
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
        assert [(pool.name, pool.view["name"], dict(pool.selector)) for pool in found.pools] == [
            ("eks/p", "eks/p", {"eks.amazonaws.com/nodegroup": "p"}),
            ("karpenter/p", "karpenter/p", {KARPENTER: "p"}),
            ("p", "p", {"other": "p"}),
            ("pool=p", "pool=p", {"pool": "p"}),
        ]
        assert found.strays == 4


def test_a_pool_lacks_the_labels_by_which_others_claim_its_nodes() -> None:
    karpenter = declared_pool(Declared("k", {KARPENTER: "k"}, labels={"pool": "general"}), None, "karpenter")
    varying = declared_pool(Declared("v", {KARPENTER: "v"}, values={"pool": ("general", "other")}), None, "karpenter")
    own = observed_pool("general", "", {"pool": "general"}, seen())
    other = observed_pool("special", "", {"pool": "special"}, seen())
    for first in (karpenter, varying):
        found = {pool.name: pool.without for pool in inventory_from_pools([first, own, other], 0, ["pool"]).pools}
        assert found == {first.name: (), "general": (KARPENTER,), "special": ()}
