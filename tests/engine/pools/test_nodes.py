"""engine.pools.nodes: pools made from live Nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector import ANY
from engine.pools.nodes import (
    MACHINE_LABELS,
    inventory_from_nodes,
    is_machine_label,
    see,
    taints_of,
)
from engine.pools.pool import Fact, Pool, Stray, Taint

NODEPOOL, NODEGROUP, ZONE = "karpenter.sh/nodepool", "eks.amazonaws.com/nodegroup", "topology.kubernetes.io/zone"
SPOT = Taint("spot", "true", "NoSchedule")


def node(
    labels: Mapping[str, str],
    *,
    taints: Sequence[Taint] = (),
    ready: bool = True,
    allocatable: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A Node as little as the API server would print it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "labels": dict(labels)},
        "spec": {"taints": [{k: v for k, v in taint._asdict().items() if v} for taint in taints]},
        "status": {
            "allocatable": dict(allocatable or {"cpu": "3920m", "memory": "16Gi"}),
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def pools(*nodes: dict[str, Any], labels: Sequence[str] = ()) -> dict[str, Pool]:
    return {pool.name: pool for pool in inventory_from_nodes(nodes, labels).pools}


def test_nodes_are_grouped_by_their_identifying_label() -> None:
    found = inventory_from_nodes(
        [
            node({NODEGROUP: "a", NODEPOOL: "k"}),
            node({NODEGROUP: "a"}),
            node({NODEGROUP: "a"}),
            node({"kops.k8s.io/instancegroup": "nodes"}),
            node({"cloud.google.com/gke-nodepool": "g"}),
            node({"kubernetes.azure.com/agentpool": "z"}),
            node({"pool": "own"}),
            node({NODEGROUP: ""}),
        ]
    )
    assert [(p.name, p.provider, p.nodes, dict(p.selector)) for p in found.pools] == [
        ("a", "eks", 2, {NODEGROUP: "a"}),
        ("g", "gke", 1, {"cloud.google.com/gke-nodepool": "g"}),
        ("k", "karpenter", 1, {NODEPOOL: "k"}),
        ("nodes", "kops", 1, {"kops.k8s.io/instancegroup": "nodes"}),
        ("z", "aks", 1, {"kubernetes.azure.com/agentpool": "z"}),
    ]
    assert found.strays == 2


def test_an_operators_own_label_comes_after_karpenters() -> None:
    nodes = [node({NODEPOOL: "k", "pool": "x"}), node({NODEGROUP: "g", "pool": "x"}), node({NODEGROUP: "g"})]
    found = pools(*nodes, labels=["pool"])
    assert {name: dict(pool.selector) for name, pool in found.items()} == {
        "k": {NODEPOOL: "k"},
        "x": {"pool": "x"},
        "g": {NODEGROUP: "g"},
    }
    assert found["x"].provider == ""
    assert found["x"].without == (NODEPOOL,)
    assert found["g"].without == ("pool",)
    assert found["k"].without == ()


def test_labels_that_all_carry_are_constants_and_others_are_values() -> None:
    shared = {NODEGROUP: "a", "team": "x", "kubernetes.io/arch": "amd64"}
    first = node({**shared, ZONE: "z1", "kubernetes.io/hostname": "h1", "rack": "1", "only": "here"})
    second = node({**shared, ZONE: "z1", "kubernetes.io/hostname": "h2", "rack": "2"})
    pool = pools(first, second)["a"]
    assert pool.labels == shared
    assert pool.values == {
        "kubernetes.io/hostname": ("h1", "h2"),
        "rack": ("1", "2"),
        ZONE: ("z1",),
    }
    assert {key for key, fact in pool.facts.items() if fact.observed} == {*shared, *pool.values, "only"} - {NODEGROUP}
    assert pool.facts["only"] == Fact(ANY, True, "1 of 2 nodes", ("here",))
    assert not pool.declared


@pytest.mark.parametrize(
    "key",
    [
        *sorted(MACHINE_LABELS),
        "karpenter.k8s.aws/instance-cpu",
        "karpenter.k8s.gcp/instance-family",
        "eks.amazonaws.com/instance-category",
        "karpenter.azure.com/sku-name",
    ],
)
def test_labels_of_one_machine_are_never_constants(key: str) -> None:
    assert is_machine_label(key)
    pool = pools(node({NODEPOOL: "a", key: "x"}), node({NODEPOOL: "a", key: "x"}))["a"]
    assert (pool.labels, pool.values) == ({NODEPOOL: "a"}, {key: ("x",)})


@pytest.mark.parametrize(
    "key", ["kubernetes.io/arch", "eks.amazonaws.com/capacityType", "karpenter.k8s.aws/ec2nodeclass"]
)
def test_labels_of_a_pool_may_be_constants(key: str) -> None:
    assert not is_machine_label(key)


def test_taints_of_some_nodes_are_partial() -> None:
    other = Taint("gpu", "", "NoExecute")
    pool = pools(node({NODEGROUP: "a"}, taints=[SPOT, other]), node({NODEGROUP: "a"}, taints=[other]))["a"]
    assert pool.taints == (other, SPOT._replace(partial=True))


def test_nodes_of_no_pool_are_kept_with_their_taints() -> None:
    """Only those that last; by name."""
    found = inventory_from_nodes(
        [
            {
                "metadata": {"name": "b", "labels": {"x": "y"}},
                "spec": {"taints": [{"key": "k", "effect": "NoExecute"}]},
            },
            {
                "metadata": {"name": "a"},
                "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]},
            },
        ]
    )
    assert found.stray_nodes == (Stray("a", {}), Stray("b", {"x": "y"}, (Taint("k", "", "NoExecute"),)))


def test_resources_are_those_of_the_node_with_most() -> None:
    small = {"cpu": "3920m", "memory": "15Gi", "nvidia.com/gpu": "0"}
    large = {"cpu": "15", "memory": "100500Ki", "nvidia.com/gpu": "8", "amd.com/gpu": "1"}
    pool = pools(node({NODEGROUP: "a"}, allocatable=small), node({NODEGROUP: "a"}, allocatable=large))["a"]
    assert (pool.cpu, pool.memory, pool.gpus) == (15.0, 15 * 2**30, 9)
    bare: dict[str, Any] = {"metadata": {"labels": {NODEGROUP: "b"}}}
    assert (pools(bare)["b"].cpu, pools(bare)["b"].memory, pools(bare)["b"].gpus) == (None, None, None)


def test_what_is_allocatable_counts_and_not_capacity() -> None:
    each = node({NODEGROUP: "a"})
    each["status"] = {"capacity": {"cpu": "2"}}
    assert pools(each)["a"].cpu is None
    each["status"] = {"capacity": {"cpu": "1"}, "allocatable": {"cpu": "7600m"}}
    assert (pools(each)["a"].cpu, pools(each)["a"].gpus) == (7.6, 0)


def test_ready_nodes_are_counted() -> None:
    pool = pools(
        node({NODEGROUP: "a"}), node({NODEGROUP: "a"}, ready=False), {"metadata": {"labels": {NODEGROUP: "a"}}}
    )["a"]
    assert (pool.nodes, pool.ready_nodes) == (3, 1)


def test_nodes_without_anything() -> None:
    found = inventory_from_nodes([{}, {"metadata": {}}, {"metadata": {"labels": None}, "spec": None, "status": None}])
    assert (found.pools, found.strays) == ((), 3)
    assert taints_of({"spec": None}) == []


KEYS = ["a", "b", ZONE, NODEPOOL, NODEGROUP]
NODES = st.lists(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["", "x", "y"])).map(node), max_size=6)


@given(NODES, st.randoms())
def test_order_of_nodes_does_not_matter(nodes: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(nodes)
    random.shuffle(shuffled)
    assert inventory_from_nodes(shuffled) == inventory_from_nodes(nodes)


@given(NODES)
def test_each_node_is_of_one_pool_and_is_as_its_pool_says(nodes: list[dict[str, Any]]) -> None:
    found = inventory_from_nodes(nodes)
    assert sum(pool.nodes or 0 for pool in found.pools) + found.strays == len(nodes)
    for each in nodes:
        labels = each["metadata"]["labels"]
        homes = [
            pool
            for pool in found.pools
            if pool.selector.items() <= labels.items() and not any(key in labels for key in pool.without)
        ]
        empty = {key for key in (NODEPOOL, NODEGROUP) if labels.get(key) == ""}
        if empty:
            continue
        assert len(homes) == (1 if NODEPOOL in labels or NODEGROUP in labels else 0)
        for home in homes:
            assert home.labels.items() <= labels.items()
            assert all(home.fact(key).states.holds(value) for key, value in labels.items())
            assert all(home.fact(key).states.holds(labels.get(key)) for key in KEYS)


@given(NODES.filter(bool))
def test_a_constant_is_carried_by_all_and_nothing_is_lost(nodes: list[dict[str, Any]]) -> None:
    seen = see(nodes)
    carried = [each["metadata"]["labels"] for each in nodes]
    assert seen.facts.keys() == {key for labels in carried for key in labels}
    for key, fact in seen.facts.items():
        assert set(fact.seen) == {labels[key] for labels in carried if key in labels}
        assert fact.observed
        assert (fact.states == ANY) == any(key not in labels for labels in carried)
        assert all(fact.states.holds(labels.get(key)) for labels in carried)
        assert fact.settled == (len(fact.seen) == 1 and fact.states != ANY and not is_machine_label(key))
