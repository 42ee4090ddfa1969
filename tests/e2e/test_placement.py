"""Policies place pods, on a real API server with the real scheduler and controllers."""

from __future__ import annotations

import pytest

from .controlplane import ApiError, ControlPlane, Json, wait_for
from .fleet import ZONE, add_general, add_gpu
from .pods import daemon_set, deployment, pod
from .serving import admission

TRAINING = {"workload": "training"}
PERSONAL = {"data": "personal"}
OWN_POOL = {"nodeSelector": {"cloud.google.com/gke-nodepool": "general"}}


def test_unmodified_deployment_lands_on_the_right_pool(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace):
        cluster.apply(deployment("train", namespace, replicas=3, labels=TRAINING), deployment("web", namespace))
        assert set(cluster.wait_all_bound(namespace, "app=train", 3).values()) == {"gpu-1"}
        assert set(cluster.wait_all_bound(namespace, "app=web", 1).values()) == {"general-1"}
    (web,) = cluster.pods(namespace, "app=web")
    assert "affinity" not in web["spec"]
    assert len(cluster.admission_patches(namespace)) == 3


def test_own_affinity_is_narrowed_and_never_widened(cluster: ControlPlane, namespace: str) -> None:
    """Each node holds one pod and there are as many pods as nodes, so the nodes that are taken are those admitted."""
    universe = [(zone, disk) for zone in ("eu-1a", "eu-1b", "us-1a") for disk in ("ssd", "hdd")]
    for zone, disk in universe:
        cluster.add_node(f"{zone}-{disk}", {ZONE: zone, "disk": disk}, allocatable={"pods": "1"})
    terms = [
        {
            "matchExpressions": [
                {"key": "disk", "operator": "In", "values": ["ssd"]},
                {"key": ZONE, "operator": "In", "values": ["eu-1a", "us-1a"]},
            ]
        },
        {
            "matchExpressions": [
                {"key": "disk", "operator": "In", "values": ["hdd"]},
                {"key": ZONE, "operator": "NotIn", "values": ["eu-1a"]},
            ]
        },
    ]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    workload = deployment("own", namespace, replicas=len(universe), labels=PERSONAL, spec={"affinity": affinity})
    admitted_alone = admitted(cluster, namespace, workload)
    assert admitted_alone == {"eu-1a-ssd", "us-1a-ssd", "eu-1b-hdd", "us-1a-hdd"}
    with admission(cluster, namespace):
        assert admitted(cluster, namespace, workload) == {"eu-1a-ssd", "eu-1b-hdd"}


def admitted(cluster: ControlPlane, namespace: str, workload: Json) -> set[str]:
    """The nodes that take the pods of a Deployment which is gone again afterwards."""
    name = workload["metadata"]["name"]
    cluster.apply(workload)
    settled = cluster.wait_settled(namespace, f"app={name}", workload["spec"]["replicas"])
    cluster.api("DELETE", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", propagationPolicy="Background")

    def empty() -> bool:
        cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds="0")
        return not cluster.pods(namespace)

    wait_for(empty, "the pods to be gone")
    return {node for node in settled.values() if node}


def test_refusal_reaches_kubectl_and_names_the_policy(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    with admission(cluster, namespace):
        refused = cluster.kubectl(
            *("apply", "-n", namespace, "-f", "-"),
            stdin=pod("net", labels={"workload": "web"}, spec={"hostNetwork": True}),
            check=False,
        )
        assert refused.returncode == 1
        assert "no-host-network" in refused.stderr
        assert "hostNetwork is not for workloads" in refused.stderr


def test_pod_for_which_no_pool_is_left_is_refused_with_the_reason(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    with admission(cluster, namespace):
        refused = cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("t", labels=TRAINING), check=False)
        assert refused.returncode == 1
        assert "training needs A100 nodes" in refused.stderr
        cluster.apply(deployment("train", namespace, labels=TRAINING))

        def told() -> bool:
            events = cluster.api("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
            return any(e["reason"] == "FailedCreate" and "training needs A100 nodes" in e["message"] for e in events)

        wait_for(told, "the ReplicaSet's event")
        add_gpu(cluster, "gpu-1")
        assert set(cluster.wait_all_bound(namespace, "app=train", 1).values()) == {"gpu-1"}


def test_daemon_set_is_left_alone(cluster: ControlPlane, namespace: str) -> None:
    for number in range(3):
        add_general(cluster, f"general-{number}")
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace):
        cluster.apply(daemon_set("agent", namespace, labels=TRAINING))
        bound = cluster.wait_all_bound(namespace, "app=agent", 3)
        assert set(bound.values()) == {"general-0", "general-1", "general-2"}
    assert cluster.admission_patches(namespace) == []


def test_patched_pod_submitted_again_is_not_patched_again(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace):
        first = cluster.create_pod(namespace, pod("first", labels=TRAINING))
        assert len(cluster.admission_patches(namespace)) == 1
        metadata = {key: first["metadata"][key] for key in ("labels", "annotations") if key in first["metadata"]}
        again = {**first, "metadata": {**metadata, "name": "again"}, "status": {}}
        second = cluster.create_pod(namespace, again)
        assert len(cluster.admission_patches(namespace)) == 1
    assert second["spec"]["affinity"] == first["spec"]["affinity"]
    assert second["spec"]["tolerations"] == first["spec"]["tolerations"]


def test_pod_that_contradicts_a_policy_is_told_both_sides(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace), pytest.raises(ApiError, match="training needs A100 nodes") as refused:
        cluster.create_pod(namespace, pod("t", labels=TRAINING, spec=OWN_POOL))
    assert refused.value.status == 403
    assert "the pod's nodeSelector asks for" in refused.value.message


def test_pod_whose_own_wish_nothing_meets_stays_that_way_and_is_told(cluster: ControlPlane, namespace: str) -> None:
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace):
        wish = pod("t", labels=TRAINING, spec=OWN_POOL)
        told = cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=wish)
    assert "the pod's own constraints match no known pool" in told.stderr
    cluster.wait_unschedulable(namespace, "t")


def test_namespace_is_known_by_its_labels(cluster: ControlPlane) -> None:
    for tenant in ("blue", "red"):
        cluster.add_node(tenant, {"tenant": tenant})
    cluster.add_namespace("early", {"tenant": "red"})
    with admission(cluster, "early", "late"):
        cluster.create_pod("early", pod("t"))
        assert cluster.wait_bound("early", "t") == "red"
        cluster.add_namespace("late", {"tenant": "blue"})
        cluster.create_pod("late", pod("t"))
        assert cluster.wait_bound("late", "t") == "blue"
