"""What is written for Karpenter's eyes, before a real Karpenter: static nodes and NodePools that are one logical pool.

Both carry the label `example.com/pool: memory`. The static node is full unless a test says otherwise, so that a pod
only runs if Karpenter looks at it and can serve it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .controlplane import ControlPlane, Json
from .karpenter import CAPACITY_TYPE, FAMILY, POOL_LABEL, ZONE, Karpenter, node_pool, requirement
from .placing import Placing, placing

OWN = "example.com/pool"
GENERAL = requirement(FAMILY, "In", "general")
ON_DEMAND = requirement(CAPACITY_TYPE, "In", "on-demand")
MEMORY = f'require: [{{expression: \'pool.labels[?"{OWN}"].orValue("") == "memory"\'}}]'
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

Place = Callable[..., AbstractContextManager[Placing]]


@pytest.fixture
def cluster(karpenter: Karpenter) -> ControlPlane:
    """The control plane that Karpenter acts on."""
    return karpenter.cluster


def pool_of(node: Json) -> str:
    """The pool of a Node: the NodePool that it was made for, or else the static pool that its label names."""
    labels = node["metadata"]["labels"]
    pool: str = labels.get(POOL_LABEL, labels.get(OWN, ""))
    return pool


@pytest.fixture
def place(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Place:
    """Have policies, given by their specs in YAML, patch the pods of the namespace."""
    more = ("--pool-label", OWN)
    return functools.partial(placing, cluster, namespace, tmp_path, pool_of=pool_of, more=more)


def add_static(cluster: ControlPlane, cpu: str = "100m", **labels: str) -> None:
    cluster.add_node("static-0", {OWN: "memory", **labels}, allocatable={"cpu": cpu})


def test_full_static_nodes_of_a_logical_pool(karpenter: Karpenter, place: Place) -> None:
    add_static(karpenter.cluster, "1500m")
    karpenter.add(node_pool("mem", GENERAL, labels={OWN: "memory"}), node_pool("other", GENERAL, weight=90))
    with place(MEMORY) as on:
        assert on.placed("early").get(POOL_LABEL) is None
        assert on.placed("late")[POOL_LABEL] == "mem"
        assert on.predicted("late") == {"memory", "mem"}


@pytest.mark.parametrize(
    "wish",
    [
        "prefer: [{expression: 'pool.provider != \"karpenter\"', weight: 60}]",
        "prefer: [{expression: 'pool.provider != \"karpenter\"', weight: 100}]",
        "fallback: [{expression: 'pool.provider != \"karpenter\"'}, {expression: 'pool.provider == \"karpenter\"'}]",
    ],
    ids=["prefer", "prefer-100", "fallback"],
)
def test_static_nodes_first(karpenter: Karpenter, place: Place, wish: str) -> None:
    """A wish against each NodePool that is left, which Karpenter must not take as required."""
    add_static(karpenter.cluster, "1500m")
    karpenter.add(node_pool("mem", GENERAL, labels={OWN: "memory"}))
    with place(f"{MEMORY}\n{wish}") as on:
        assert on.placed("early").get(POOL_LABEL) is None
        assert on.placed("late")[POOL_LABEL] == "mem"


def test_a_wish_that_can_not_be_had_costs_no_alternative(karpenter: Karpenter, place: Place) -> None:
    """Karpenter gives up the first alternative, the NodePool, before the wish; it stands last once more."""
    add_static(karpenter.cluster)
    karpenter.add(node_pool("mem", GENERAL, ON_DEMAND, labels={OWN: "memory"}))
    with place(f"{MEMORY}\nprefer: [{{expression: 'node.capacityType == \"spot\"', weight: 50}}]") as on:
        assert on.placed("p")[CAPACITY_TYPE] == "on-demand"


def test_of_alternatives_the_preferred_node_pool_stands_first(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("a", GENERAL), node_pool("b", GENERAL))
    policy = """
    require:
      - expression: '(pool.name == "a" && node.zone == "eu-1a") || (pool.name == "b" && node.zone == "eu-1b")'
    prefer: [{expression: 'pool.name == "b"', weight: 10}]
    """
    with place(policy) as on:
        labels = on.placed("p")
        assert (labels[POOL_LABEL], labels[ZONE]) == ("b", "eu-1b")


def test_the_pod_s_own_alternatives(karpenter: Karpenter, place: Place) -> None:
    """The first is met by static nodes alone; Karpenter could have served the second before it was narrowed."""
    add_static(karpenter.cluster, site="here")
    karpenter.add(node_pool("mem", GENERAL, labels={OWN: "memory", "site": "cloud"}))
    terms = [{"matchExpressions": [{"key": "site", "operator": "In", "values": [site]}]} for site in ("here", "cloud")]
    with place(MEMORY) as on:
        asked = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
        assert on.placed("p", affinity=asked)[POOL_LABEL] == "mem"


def test_a_preference_of_the_pod_for_a_node_pool_that_is_excluded(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("mem", GENERAL, labels={OWN: "memory"}), node_pool("other", GENERAL))
    other = {"matchExpressions": [{"key": POOL_LABEL, "operator": "In", "values": ["other"]}]}
    asked = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, "preference": other}]}}
    with place(MEMORY) as on:
        assert on.placed("p", affinity=asked)[POOL_LABEL] == "mem"


def test_karpenter_makes_no_node_for_a_hostname(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL))
    with place("""require: [{expression: 'node.labels["kubernetes.io/hostname"] != "old"'}]""") as on:
        on.create("p")
        assert "kubernetes.io/hostname" in karpenter.wait_told(on.namespace, "p")
        (decision,) = on.serving.decisions(on.namespace, "p")
        assert any("Karpenter makes no node" in warning for warning in decision["warnings"])
    assert karpenter.claims() == []
