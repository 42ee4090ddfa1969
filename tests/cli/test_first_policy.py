"""cli.first_policy: what tells pools and nodes apart, in clusters as people have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cli.first_bundle import first_draft, start_from
from cli.first_policy import ideas, zones
from engine.documents import Manifest, Source, parse_manifests
from engine.pools import Inventory, inventory_from_documents

ZONE, ARCH, GPU = "topology.kubernetes.io/zone", "kubernetes.io/arch", "nvidia.com/gpu"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
Object = Mapping[str, Any]


def node(labels: Mapping[str, str], *taints: str, gpus: int = 0) -> Object:
    """A Node whose NoSchedule taints have these keys, the value after `=`."""
    pairs = [taint.partition("=") for taint in taints]
    allocatable = {"cpu": "8", "memory": "32Gi", **({GPU: str(gpus)} if gpus else {})}
    return {
        "kind": "Node",
        "metadata": {"labels": {ARCH: "amd64", "kubernetes.io/os": "linux", **labels}},
        "spec": {"taints": [{"key": key, "value": value, "effect": "NoSchedule"} for key, _, value in pairs]},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def node_pool(name: str, labels: Mapping[str, str] | None = None, **requirements: Sequence[str]) -> Object:
    """A NodePool with requirements of architecture (`arch`) and capacity type (`capacity`)."""
    keys = {"arch": ARCH, "capacity": "karpenter.sh/capacity-type"}
    asked = [{"key": keys[word], "operator": "In", "values": [*values]} for word, values in requirements.items()]
    template = {"metadata": {"labels": {**(labels or {})}}, "spec": {"requirements": asked}}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"template": template},
    }


def machine_deployment(name: str, **labels: str) -> Object:
    reaching = {f"node.cluster.x-k8s.io/{key}": value for key, value in labels.items()}
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {"name": name, "namespace": "default", "labels": {}},
        "spec": {
            "clusterName": "c",
            "replicas": 2,
            "template": {"metadata": {"labels": reaching}, "spec": {"clusterName": "c"}},
        },
    }


def inventory(*objects: Object) -> Inventory:
    named = [
        {**each, "metadata": {"name": f"n{at}", **each["metadata"]}} if each["kind"] == "Node" else each
        for at, each in enumerate(objects)
    ]
    return inventory_from_documents([Manifest(Source("pools", ""), {"kind": "List", "items": named})])


def eks(group: str, capacity: str = "ON_DEMAND", **more: str) -> Mapping[str, str]:
    return {"eks.amazonaws.com/nodegroup": group, "eks.amazonaws.com/capacityType": capacity, **more}


def aks(pool: str, **more: str) -> Mapping[str, str]:
    return {"kubernetes.azure.com/agentpool": pool, "agentpool": pool, "storageprofile": f"{pool}-x", **more}


def gke(pool: str, **more: str) -> Mapping[str, str]:
    return {"cloud.google.com/gke-nodepool": pool, **more}


ON_DEMAND = 'node.capacityType == "on-demand"'
OFF_THE_CONTROL_PLANE = f'!("{CONTROL_PLANE}" in node.labels)'
CLUSTERS: Mapping[str, tuple[Sequence[Object], str, str]] = {
    "kubeadm": (
        [node({CONTROL_PLANE: ""}, CONTROL_PLANE), node({}), node({})],
        "prefer",
        OFF_THE_CONTROL_PLANE,
    ),
    "k3s, one node": ([node({CONTROL_PLANE: "true"})], "prefer", OFF_THE_CONTROL_PLANE),
    "k3s, two architectures": (
        [node({ARCH: "arm64"}), node({ARCH: "arm64"}), node({})],
        "require",
        'node.arch == "arm64"',
    ),
    "nodes with a label on some": (
        [node({CONTROL_PLANE: ""}, CONTROL_PLANE), node({"disktype": "ssd"}), node({}), node({})],
        "require",
        'node.labels[?"disktype"].orValue("") == "ssd"',
    ),
    "only tainted nodes have the label": (
        [node({"disktype": "ssd"}, "dedicated=db"), node({})],
        "prefer",
        'node.labels[?"disktype"].orValue("") == "ssd"',
    ),
    "nodes in zones": ([node({ZONE: "b"}), node({ZONE: "a"})], "require", "node.zone in params.zones"),
    "bare metal with GPUs": (
        [node({"nvidia.com/gpu.present": "true"}, GPU), node({})],
        "require",
        '!("nvidia.com/gpu.present" in node.labels)',
    ),
    "EKS with spot": ([node(eks("a", "SPOT")), node(eks("b"))], "require", ON_DEMAND),
    "EKS whose on-demand nodes are kept for others": (
        [node(eks("a", "SPOT")), node(eks("b"), "dedicated=db")],
        "require",
        'pool.taints.exists(one, one.key == "dedicated")',
    ),
    "EKS where every node is kept for the same": (
        [node(eks("a"), "dedicated=db"), node(eks("b"), "dedicated=db")],
        "require",
        'pool.taints.exists(one, one.key == "dedicated")',
    ),
    "AKS, labels of its own making": ([node(aks("a")), node(aks("b")), node(aks("b"))], "require", 'pool.name == "b"'),
    "AKS with spot": (
        [
            node(aks("a")),
            node(
                aks("s", **{"kubernetes.azure.com/scalesetpriority": "spot"}),
                "kubernetes.azure.com/scalesetpriority=spot",
            ),
        ],
        "require",
        ON_DEMAND,
    ),
    "GKE with GPUs": ([node(gke("a")), node(gke("g"), GPU, gpus=4)], "require", "pool.gpus == 0"),
    "GKE with a pool for each tenant": (
        [node(gke("a"), "tenant=a"), node(gke("b"), "tenant=b"), node(gke("c"))],
        "require",
        'pool.name == "c"',
    ),
    "GKE, a label of its own": (
        [node(gke("a", team="x")), node(gke("b", team="y")), node(gke("b", team="y"))],
        "require",
        'pool.labels[?"team"].orValue("") == "y"',
    ),
    "Karpenter without nodes": (
        [node_pool("a", capacity=["spot"]), node_pool("b", capacity=["spot", "on-demand"])],
        "require",
        ON_DEMAND,
    ),
    "Karpenter, two architectures": (
        [node_pool("a", arch=["arm64"]), node_pool("b", arch=["amd64", "arm64"])],
        "require",
        'node.arch == "amd64"',
    ),
    "Karpenter, one pool of which nothing is said": ([node_pool("default")], "require", 'pool.name == "default"'),
    "Cluster API": (
        [machine_deployment("a", purpose="web"), machine_deployment("b", purpose="db")],
        "require",
        'pool.labels[?"node.cluster.x-k8s.io/purpose"].orValue("") == "db"',
    ),
    "a logical pool of two providers": (
        [
            node_pool("mem", {"pool": "memory", "pool-provider": "karpenter", "a": "1"}),
            node_pool("gen", {"pool": "general", "pool-provider": "karpenter", "a": "2"}),
        ],
        "require",
        'pool.labels[?"pool"].orValue("") == "general"',
    ),
    "nodes in pools and nodes in none": (
        [node(gke("a", team="x")), node({"team": "y"}), node({"team": "y"})],
        "require",
        'node.labels[?"team"].orValue("") == "x"',
    ),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_is_made_of_a_cluster(name: str) -> None:
    """It holds: nothing is wrong with it, and a critical pod has nodes that take it."""
    objects, intent, expression = CLUSTERS[name]
    found = inventory(*objects)
    draft = first_draft("mine", start_from(found))
    assert (draft.idea.expression, "require" if draft.required else "prefer") == (expression, intent)
    assert draft.holds()
    decision = draft.decision(found)
    assert decision.allowed
    assert not decision.pools.waits


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_order_of_objects_does_not_matter(name: str) -> None:
    objects = CLUSTERS[name][0]
    named = [
        {**each, "metadata": {"name": f"m{at}", **each["metadata"]}} if each["kind"] == "Node" else each
        for at, each in enumerate(objects)
    ]
    assert list(ideas(inventory(*named))) == list(ideas(inventory(*named[::-1])))


def test_labels_that_name_each_node_tell_no_groups_apart() -> None:
    found = inventory(*(node({"serial": f"{at}"}) for at in range(4)))
    assert [idea.expression for idea in ideas(found)] == [OFF_THE_CONTROL_PLANE]


def test_names_and_values_of_any_kind_are_quoted() -> None:
    entry = {"name": 'a "b" \\ c: {d} #é', "selector": {"p": "1"}, "nodes": 2}
    document = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [entry]}
    found = inventory_from_documents(parse_manifests(Source("p.yaml", json.dumps(document)))[0])
    draft = first_draft("mine", start_from(found))
    assert draft.required
    assert draft.holds()


def test_zones_of_pools_and_of_nodes_in_none() -> None:
    assert zones(inventory(node(gke("a", **{ZONE: "c"})), node({ZONE: "a"}), node({}))) == ["a", "c"]
