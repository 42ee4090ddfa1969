"""Pools come and go while the webhook runs."""

from __future__ import annotations

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import admission

FRESH_SECONDS = 2.0
"""Within which a new node must reach decisions: a promise of the product, not a measurement."""


def test_pool_that_appears_is_used_and_one_that_disappears_is_not(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    trainee = pod("trainee", labels={"workload": "training"})

    def admitted() -> bool:
        return cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", trainee, dryRun="All").is_success

    with admission(cluster, namespace):
        assert not admitted()
        add_gpu(cluster, "gpu-1")
        wait_for(admitted, "the new pool to be used", seconds=FRESH_SECONDS)
        cluster.create_pod(namespace, trainee)
        assert cluster.wait_bound(namespace, "trainee") == "gpu-1"
        cluster.remove_node("gpu-1")
        wait_for(lambda: not admitted(), "the pool that is gone to be refused", seconds=FRESH_SECONDS)
