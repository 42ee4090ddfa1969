"""Pools with parts that Cluster API and Karpenter make, side by side in one cluster, known by two labels."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .cluster_api import CAPACITY, ClusterApi, machine_deployment, machine_template
from .controlplane import ControlPlane, Json, wait_for
from .karpenter import FAMILY, POOL_LABEL, Karpenter, node_pool, requirement
from .placing import Placing, placing
from .pods import deployment

GENERAL = requirement(FAMILY, "In", "general")
BASE = {"pool": "general", "pool-provider": "cluster-api"}
ELASTIC = {"pool": "general", "pool-provider": "karpenter"}
MOVING = {"key": "pool-provider", "value": "karpenter", "effect": "NoSchedule"}
IN_GENERAL = """require: [{expression: 'pool.labels["pool"] == "general"'}]"""
WORKLOADS = 16
Place = Callable[..., AbstractContextManager[Placing]]


@pytest.fixture
def cluster(karpenter_beside: Karpenter, cluster_api: ClusterApi) -> ControlPlane:
    """The control plane that both act on."""
    assert karpenter_beside.cluster is cluster_api.cluster
    return cluster_api.cluster


@pytest.fixture
def place(cluster_api: ClusterApi, namespace: str, tmp_path: Path) -> Place:
    """Have policies, given by their specs in YAML, patch the pods of the namespace."""

    def pool_of(node: Json) -> str:
        return node["metadata"]["labels"].get(POOL_LABEL) or cluster_api.owner(node)[1]

    return functools.partial(placing, cluster_api.cluster, namespace, tmp_path, pool_of=pool_of)


def add_base(cluster_api: ClusterApi, replicas: int, cpu: str, labels: Mapping[str, str] = BASE) -> None:
    """Cluster API's part of the pool; its kubelets bring the labels, as the autoscaler is told."""
    told = {f"{CAPACITY}/labels": ",".join(f"{key}={value}" for key, value in labels.items())}
    cluster_api.cluster.apply(
        machine_template("base", labels, allocatable={"cpu": cpu}),
        machine_deployment("general-base", replicas, own_annotations=told, template="base"),
    )
    cluster_api.wait_nodes("general-base", replicas)


def test_both_parts_are_the_pool_and_the_one_takes_what_the_other_has_no_room_for(
    cluster_api: ClusterApi, karpenter_beside: Karpenter, place: Place
) -> None:
    add_base(cluster_api, 1, "2")
    karpenter_beside.add(
        node_pool("general-elastic", GENERAL, labels=ELASTIC),
        node_pool("other", GENERAL, labels={"pool": "other", "pool-provider": "karpenter"}, weight=90),
    )
    with place(IN_GENERAL) as on:
        assert [on.placed(f"p{number}")["pool-provider"] for number in range(2)] == ["cluster-api"] * 2
        assert on.placed("late")["pool-provider"] == "karpenter"
        assert on.predicted("late") == {"general-base", "general-elastic"}


def test_a_part_that_goes_leaves_the_pool_to_the_other(
    cluster_api: ClusterApi, karpenter_beside: Karpenter, place: Place
) -> None:
    add_base(cluster_api, 1, "8")
    karpenter_beside.add(node_pool("general-elastic", GENERAL, labels=ELASTIC))
    base_first = """prefer: [{expression: 'pool.labels["pool-provider"] == "cluster-api"', weight: 100}]"""
    with place(IN_GENERAL, base_first) as on:
        assert on.placed("early")["pool-provider"] == "cluster-api"
        on.cluster.api("DELETE", f"/api/v1/namespaces/{on.namespace}/pods", gracePeriodSeconds="0")
        cluster_api.remove("general-base")
        on.wait_seen(lambda admitted: "cluster-api" not in str(admitted["spec"]["affinity"]))
        assert on.placed("late")["pool-provider"] == "karpenter"
        assert "general-elastic" in on.predicted("late")


def migrate(percent: int) -> str:
    """The policy of policies/karpenter-migration, for a share of the workloads."""
    return f"""
    require:
      - expression: 'pool.labels[?"pool-provider"].orValue("") == "karpenter"'
    tolerate:
      - expression: 'taint.key == "pool-provider" && taint.value == "karpenter"'
    whenEmpty: warn
    rollout: {percent}
    """


def test_a_growing_share_of_workloads_moves_and_moves_back(
    cluster_api: ClusterApi, karpenter_beside: Karpenter, place: Place
) -> None:
    """Karpenter's part is tainted meanwhile, so that only what has moved gets there."""
    add_base(cluster_api, 2, "32")
    karpenter_beside.add(node_pool("general-elastic", GENERAL, labels=ELASTIC, taints=[MOVING]))
    names = [f"w{number}" for number in range(WORKLOADS)]

    def moved(on: Placing) -> set[str]:
        """Make all pods again; the workloads whose pods are on Karpenter's nodes now."""
        old = {pod["metadata"]["uid"] for pod in on.cluster.pods(on.namespace)}
        on.cluster.api("DELETE", f"/api/v1/namespaces/{on.namespace}/pods", gracePeriodSeconds="0")
        found: dict[str, str] = {}

        def settled() -> bool:
            pods = [pod for pod in on.cluster.pods(on.namespace) if pod["metadata"]["uid"] not in old]
            found.clear()
            found.update({pod["metadata"]["labels"]["app"]: pod["spec"].get("nodeName", "") for pod in pods})
            return len(pods) == WORKLOADS and all(found.values())

        wait_for(settled, "all workloads to be placed again", karpenter_beside.tail)
        nodes = karpenter_beside.nodes()
        return {name for name, node in found.items() if nodes[node] == "general-elastic"}

    with place(IN_GENERAL, migrate(0)) as on:
        on.cluster.apply(*(deployment(name, on.namespace) for name in names))
        on.cluster.wait_all_bound(on.namespace, "", WORKLOADS)
        steps = [moved(on)]
        for percent in (50, 100, 50, 0):
            on.change(IN_GENERAL, migrate(percent))
            steps.append(moved(on))
    none, half, everybody, half_again, none_again = steps
    assert none == none_again == set()
    assert set() < half < everybody == {*names}
    assert half == half_again


def test_nothing_is_known_of_a_part_that_nobody_described(
    cluster_api: ClusterApi, karpenter_beside: Karpenter, place: Place
) -> None:
    """A part without labels of its own is told apart by nothing, and so is left out; the other part serves the pool."""
    cluster_api.cluster.apply(machine_deployment("general-base", labels={"pool": "general"}))
    cluster_api.wait_nodes("general-base", 1)
    karpenter_beside.add(node_pool("general-elastic", GENERAL, labels=ELASTIC))
    with place(IN_GENERAL) as on:
        assert on.placed("p")["pool-provider"] == "karpenter"
        assert on.predicted("p") == {"general-elastic"}


def split(karpenter: int) -> str:
    """A policy that gives Karpenter's part so many per cent of each workload's pods, and the other part the rest."""
    return f"""
    require: [{{expression: 'pool.labels["pool"] == "general"'}}]
    split:
      - {{share: {karpenter}, expression: 'pool.labels["pool-provider"] == "karpenter"'}}
      - {{share: {100 - karpenter}, expression: 'pool.labels["pool-provider"] == "cluster-api"'}}
    """


def test_a_share_of_each_workloads_pods_moves(
    cluster_api: ClusterApi, karpenter_beside: Karpenter, place: Place
) -> None:
    """Pods with an index are dealt out exactly; when the shares change, pods move as they are made again."""
    add_base(cluster_api, 1, "32")
    karpenter_beside.add(node_pool("general-elastic", GENERAL, labels=ELASTIC))
    with place(split(30)) as on:
        on.cluster.apply(stateful_set("db", on.namespace, 10))
        assert shares(on, "app=db", 10) == {"karpenter": 3, "cluster-api": 7}
        on.change(split(80))
        assert shares(on, "app=db", 10) == {"karpenter": 3, "cluster-api": 7}
        on.cluster.api("DELETE", f"/api/v1/namespaces/{on.namespace}/pods", gracePeriodSeconds="0")
        assert shares(on, "app=db", 10) == {"karpenter": 8, "cluster-api": 2}


def stateful_set(name: str, namespace: str, replicas: int) -> Json:
    """A StatefulSet that makes all its pods at once, for none of them will ever be ready."""
    workload = deployment(name, namespace, replicas=replicas)
    own = {"serviceName": name, "podManagementPolicy": "Parallel"}
    return {**workload, "kind": "StatefulSet", "spec": {**workload["spec"], **own}}


def shares(on: Placing, selector: str, count: int) -> Counter[str]:
    """How many of the pods of a workload are on whose nodes."""
    bound = on.cluster.wait_all_bound(on.namespace, selector, count)
    nodes = {node: on.cluster.api("GET", f"/api/v1/nodes/{node}") for node in {*bound.values()}}
    return Counter(nodes[node]["metadata"]["labels"]["pool-provider"] for node in bound.values())
