"""What of a MachineDeployment or MachinePool reaches its Nodes: what Bayplan takes for granted of Cluster API."""

from __future__ import annotations

import pytest

from .cluster_api import GROUP, ClusterApi, fake, machine_deployment, machine_pool
from .controlplane import ControlPlane, Json, wait_for

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
