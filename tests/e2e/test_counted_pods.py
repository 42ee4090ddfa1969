"""Which pods spread constraints and pod (anti-)affinity count: on a real API server, by the real scheduler."""

from __future__ import annotations

from pathlib import Path

from tests.engine.matching import REQUIRED

from .controlplane import ControlPlane, Json
from .fleet import ZONE, add_general
from .pods import deployment, pod
from .serving import admission

CASES = Path(__file__).parents[1] / "cases"


def test_a_node_is_of_the_tenant_that_comes_first_in_all_namespaces(cluster: ControlPlane, namespace: str) -> None:
    other = f"{namespace}-other"
    cluster.add_namespace(other)
    for name in ("general-1", "general-2"):
        add_general(cluster, name)
    with admission(cluster, namespace, other, bundle=CASES / "sole-tenancy" / "bundle"):
        made = cluster.create_pod(namespace, pod("blue-1", labels={"tenant": "blue"}))
        blues = cluster.wait_bound(namespace, "blue-1")
        cluster.create_pod(other, pod("green-1", labels={"tenant": "green"}))
        greens = cluster.wait_bound(other, "green-1")
        cluster.create_pod(other, pod("blue-2", labels={"tenant": "blue"}))
        assert cluster.wait_bound(other, "blue-2") == blues
        cluster.create_pod(namespace, pod("red-1", labels={"tenant": "red"}))
        assert "anti-affinity" in cluster.wait_unschedulable(namespace, "red-1")
        cluster.create_pod(namespace, pod("agent"))
        cluster.wait_bound(namespace, "agent")
    assert {blues, greens} == {"general-1", "general-2"}
    (term,) = made["spec"]["affinity"]["podAntiAffinity"][REQUIRED]
    assert term == {
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {},
        "labelSelector": {
            "matchExpressions": [
                {"key": "tenant", "operator": "Exists"},
                {"key": "tenant", "operator": "NotIn", "values": ["blue"]},
            ]
        },
    }


def broker(place: int) -> Json:
    """A broker as Strimzi makes it: no controller adds labels to it, and each has its own name among them."""
    name = f"orders-kafka-{place}"
    labels = {"app.kubernetes.io/instance": "orders", "app.kubernetes.io/name": "kafka", "strimzi.io/pod-name": name}
    made = pod(name, labels=labels)
    owner = {"apiVersion": "core.strimzi.io/v1beta2", "kind": "StrimziPodSet", "name": "orders-kafka", "uid": "1"}
    made["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    return made


def test_pods_that_an_operator_labels_one_by_one_are_spread(cluster: ControlPlane, namespace: str) -> None:
    """A fourth broker would fit wherever it is alone, if each counted itself alone."""
    cluster.kubectl("label", "namespace", namespace, "spread=zones")
    for zone in ("eu-1a", "eu-1b", "eu-1c"):
        add_general(cluster, zone, {ZONE: zone})
    add_general(cluster, "roomy", {ZONE: "eu-1a"})
    with admission(cluster, namespace, bundle=CASES / "strimzi-zone-spread" / "bundle"):
        zones = []
        for place in range(6):
            cluster.create_pod(namespace, broker(place))
            node = cluster.wait_bound(namespace, f"orders-kafka-{place}")
            zones.append("eu-1a" if node == "roomy" else node)
        assert sorted(zones[:3]) == sorted(zones[3:]) == ["eu-1a", "eu-1b", "eu-1c"]
        cluster.apply(deployment("web", namespace, replicas=6, labels={"version": "1"}))
        bound = cluster.wait_all_bound(namespace, "app=web", 6)
    spread = sorted("eu-1a" if node == "roomy" else node for node in bound.values())
    assert spread == ["eu-1a", "eu-1a", "eu-1b", "eu-1b", "eu-1c", "eu-1c"]
