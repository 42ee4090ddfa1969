"""Audit mode changes nothing and decides the same."""

from __future__ import annotations

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import admission

# without a token, for its volume gets a random name and two pods would never be equal
TRAINEE = pod("trainee", labels={"workload": "training"}, spec={"automountServiceAccountToken": False})


def test_audit_logs_exactly_the_patch_that_enforcing_makes(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    plain = cluster.create_pod(namespace, TRAINEE, dry_run=True)
    with admission(cluster, namespace, mode="audit") as audit:
        audited = cluster.create_pod(namespace, TRAINEE)
        (decision,) = wait_for(lambda: audit.decisions(namespace, "trainee"), "the decision to be logged", audit.output)
    assert audited["spec"] == plain["spec"]
    assert cluster.admission_patches(namespace) == []
    cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/trainee", gracePeriodSeconds="0")

    with admission(cluster, namespace, mode="enforce"):
        cluster.create_pod(namespace, TRAINEE)
    (enforced,) = cluster.admission_patches(namespace)
    assert decision["patch"] == enforced
    assert decision["mode"] == "audit"
    assert cluster.wait_bound(namespace, "trainee") == "gpu-1"
