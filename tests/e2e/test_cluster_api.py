"""Cluster API's pools: what of a MachineDeployment reaches its Nodes, and pods that policies place on them.

The first half is about Cluster API alone: what `engine.pools` takes for granted of it. In the other half the webhook
watches the MachineDeployments, and each pod ends in a pool that its decision predicted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .cluster_api import (
    CAPACITY,
    GROUP,
    ClusterApi,
    fake,
    machine_deployment,
    machine_pool,
    machine_template,
)
from .controlplane import ControlPlane, Json, wait_for
from .placing import Placing, placing

OWN = "node.cluster.x-k8s.io/pool"
"""A label that always reaches Nodes."""
REACHING = {
    OWN: "a",
    "team.node.cluster.x-k8s.io/pool": "b",
    "node-role.kubernetes.io/worker": "",
    "node-restriction.kubernetes.io/tenant": "blue",
    "team.node-restriction.kubernetes.io/tenant": "green",
}
STAYING = {
    "pool": "a",
    "example.com/pool": "a",
    "topology.kubernetes.io/zone": "zone-a",
    "xnode.cluster.x-k8s.io/pool": "a",
    "team.node-role.kubernetes.io/worker": "",
}
NO_SCHEDULE = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
AT_FIRST = {"key": "starting", "value": "yes", "effect": "NoExecute"}


@pytest.fixture
def cluster(cluster_api: ClusterApi) -> ControlPlane:
    """The control plane that Cluster API acts on."""
    return cluster_api.cluster


def test_labels_of_some_domains_reach_nodes_and_others_do_not(cluster_api: ClusterApi, cluster: ControlPlane) -> None:
    cluster.apply(machine_deployment("md", 2, labels=REACHING | STAYING))
    for node in cluster_api.wait_nodes("md", 2):
        labels = node["metadata"]["labels"]
        assert REACHING.items() <= labels.items()
        assert labels.keys().isdisjoint(STAYING)
        assert labels.keys().isdisjoint({f"{GROUP}/deployment-name", f"{GROUP}/set-name"})
        assert node["metadata"]["annotations"][f"{GROUP}/labels-from-machine"] == ",".join(sorted(REACHING))


def test_other_labels_reach_nodes_where_the_manager_is_told_so(cluster_api: ClusterApi, cluster: ControlPlane) -> None:
    cluster.apply(machine_deployment("md", labels=REACHING | STAYING))
    with cluster_api.flags("--additional-sync-machine-labels=^pool$"):
        (node,) = wait_for(
            lambda: [one for one in cluster_api.wait_nodes("md", 1) if "pool" in one["metadata"]["labels"]],
            "the label to be synchronised",
            cluster_api.tail,
        )
    carried = node["metadata"]["labels"].keys() & (REACHING | STAYING).keys()
    assert carried == {"pool", *REACHING}


def test_a_label_that_changes_in_the_template_changes_on_nodes_in_place(
    cluster_api: ClusterApi, cluster: ControlPlane
) -> None:
    cluster.apply(machine_deployment("md", labels={OWN: "before"}))
    (before,) = cluster_api.wait_nodes("md", 1)
    cluster.apply(machine_deployment("md", labels={OWN: "after"}))
    (after,) = wait_for(
        lambda: [one for one in cluster_api.wait_nodes("md", 1) if one["metadata"]["labels"].get(OWN) == "after"],
        "the label to change",
        cluster_api.tail,
    )
    assert after["metadata"]["name"] == before["metadata"]["name"]


def test_taints_reach_nodes_behind_a_feature_gate_alone(cluster_api: ClusterApi, cluster: ControlPlane) -> None:
    taints = [{**NO_SCHEDULE, "propagation": "Always"}, {**AT_FIRST, "propagation": "OnInitialization"}]
    cluster.apply(machine_deployment("without", taints=taints))
    (node,) = cluster_api.wait_nodes("without", 1)
    assert node["spec"].get("taints", []) == []
    with cluster_api.flags("--feature-gates=MachineTaintPropagation=true"):
        cluster.apply(machine_deployment("with", taints=taints))
        (node,) = cluster_api.wait_nodes("with", 1)
        assert node["spec"]["taints"] == [NO_SCHEDULE, AT_FIRST]
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        cluster.api("PATCH", path, {"spec": {"taints": None}}, content_type="application/merge-patch+json")
        wait_for(
            lambda: cluster.api("GET", path)["spec"].get("taints") == [NO_SCHEDULE],
            "the lasting taint alone to come back",
            cluster_api.tail,
        )


def test_a_nodes_pool_is_known_from_its_annotations(cluster_api: ClusterApi, cluster: ControlPlane) -> None:
    cluster.apply(machine_deployment("blue", 2), machine_deployment("green", 1))
    for name, count in {"blue": 2, "green": 1}.items():
        for node in cluster_api.wait_nodes(name, count):
            assert cluster_api.owner(node) == ("MachineDeployment", name)
            assert name not in node["metadata"]["labels"].values()


def test_nodes_of_a_machine_pool_name_it(cluster_api: ClusterApi, cluster: ControlPlane) -> None:
    """And its template's labels reach none of them."""
    cluster.apply(fake("FakeMachinePool", "mp", {"labels": {"role": "batch"}}))
    cluster.apply(machine_pool("mp", 2, labels=REACHING))

    def marked() -> list[Json]:
        nodes: list[Json] = cluster.api("GET", "/api/v1/nodes")["items"]
        said = [one for one in nodes if f"{GROUP}/owner-kind" in one["metadata"].get("annotations", {})]
        return said if len(said) == 2 else []

    for node in wait_for(marked, "the nodes to be marked", cluster_api.tail):
        assert cluster_api.owner(node) == ("MachinePool", "mp")
        assert node["metadata"]["labels"].keys().isdisjoint(REACHING)


Place = Callable[..., AbstractContextManager[Placing]]


@pytest.fixture
def place(cluster_api: ClusterApi, namespace: str, tmp_path: Path) -> Place:
    """Have policies, given by their specs in YAML, patch the pods of the namespace."""

    def pool_of(node: Json) -> str:
        """As its annotations say, which Bayplan's term can't ask for."""
        return cluster_api.owner(node)[1]

    return functools.partial(placing, cluster_api.cluster, namespace, tmp_path, pool_of=pool_of)


def in_pool(name: str) -> str:
    """A policy that wants one pool."""
    return f"""require: [{{expression: 'pool.name == "{name}"'}}]"""


def test_a_pool_is_chosen_by_a_label_that_reaches_its_nodes(
    cluster_api: ClusterApi, cluster: ControlPlane, place: Place
) -> None:
    cluster.apply(machine_deployment("blue", labels={OWN: "b"}), machine_deployment("green", labels={OWN: "g"}))
    for name in ("blue", "green"):
        cluster_api.wait_nodes(name, 1)
    with place(in_pool("blue")) as on:
        assert on.placed("p")[OWN] == "b"
        assert on.predicted("p") == {"blue"}


def test_a_pool_whose_nodes_nothing_but_annotations_tell_apart_is_no_pool_to_choose(
    cluster_api: ClusterApi, cluster: ControlPlane, place: Place
) -> None:
    """Until a label of theirs does."""
    cluster.apply(machine_deployment("blue", 2), machine_deployment("green", 2))
    (first, second), _ = (cluster_api.wait_nodes(name, 2) for name in ("blue", "green"))
    with place(in_pool("blue")) as on:
        assert on.dry_run() is None
        for node in (first, second):
            labels = {"metadata": {"labels": {"colour": "blue"}}}
            path = f"/api/v1/nodes/{node['metadata']['name']}"
            cluster.api("PATCH", path, labels, content_type="application/merge-patch+json")
        on.wait_refused(False)
        assert on.placed("p")["colour"] == "blue"


def test_a_pool_is_chosen_by_what_its_kubelets_register_with(
    cluster_api: ClusterApi, cluster: ControlPlane, place: Place
) -> None:
    cluster.apply(
        machine_template("red", {"role": "batch"}, [NO_SCHEDULE]), machine_deployment("batch", template="red")
    )
    cluster.apply(machine_deployment("web"))
    for name in ("batch", "web"):
        cluster_api.wait_nodes(name, 1)
    policy = """
    require: [{expression: 'pool.labels["role"] == "batch"'}]
    tolerate: [{expression: 'taint.key == "gpu"'}]
    """
    with place(policy) as on:
        assert on.placed("p")["role"] == "batch"
        assert on.predicted("p") == {"batch"}


def test_a_pool_without_machines_is_chosen_and_the_autoscaler_makes_one(
    cluster_api: ClusterApi, cluster: ControlPlane, place: Place
) -> None:
    """What its annotations say of the next node is what it is chosen for; the test plays the autoscaler."""
    told = {
        f"{CAPACITY}/cpu": "32",
        f"{CAPACITY}/memory": "128Gi",
        f"{CAPACITY}/gpu-count": "4",
        f"{CAPACITY}/gpu-type": "nvidia.com/gpu",
        f"{CAPACITY}/labels": "accelerator=a100",
        f"{CAPACITY}/taints": "gpu=yes:NoSchedule",
    }
    gpus = {"nvidia.com/gpu": "4"}
    cluster.apply(
        machine_template("a100", {"accelerator": "a100"}, [NO_SCHEDULE], gpus),
        machine_deployment("gpu", 0, labels={OWN: "gpu"}, own_annotations=told, template="a100"),
        machine_deployment("web", labels={OWN: "web"}),
    )
    cluster_api.wait_nodes("web", 1)
    policy = """
    require: [{expression: 'pool.labels["accelerator"] == "a100" && pool.gpus >= 4 && pool.cpu >= 32.0'}]
    tolerate: [{expression: 'taint.key == "gpu"'}]
    """
    with place(policy) as on:
        on.create("p")
        assert on.predicted("p") == {"gpu"}
        cluster.wait_unschedulable(on.namespace, "p")
        cluster_api.scale("gpu", 1)
        assert on.bound("p")["metadata"]["labels"]["accelerator"] == "a100"


def test_a_pool_that_is_made_again_under_another_name(
    cluster_api: ClusterApi, cluster: ControlPlane, place: Place
) -> None:
    cluster.apply(machine_deployment("old", labels={OWN: "shared"}), machine_deployment("web", labels={OWN: "web"}))
    cluster_api.wait_nodes("old", 1)
    with place(in_pool("new")) as on:
        assert on.dry_run() is None
        cluster_api.remove("old")
        cluster.apply(machine_deployment("new", labels={OWN: "shared"}))
        on.wait_refused(False)
        assert on.placed("p")[OWN] == "shared"
        assert on.predicted("p") == {"new"}
        cluster.api("DELETE", f"/api/v1/namespaces/{on.namespace}/pods", gracePeriodSeconds="0")
        cluster_api.remove("new")
        on.wait_refused(True)
