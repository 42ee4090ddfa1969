"""Audit mode changes nothing and decides the same."""

from __future__ import annotations

import json

import pytest

from .controlplane import ApiError, ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import Json, pod
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


def noted(cluster: ControlPlane, namespace: str) -> list[dict[str, str]]:
    """What the API server's audit log keeps of Bayplan's decisions about a namespace's pods, in order."""
    prefix = f"bayplan-{namespace}.tests.bayplan.dev/"
    events = cluster.audit_events(namespace)
    return [{k.removeprefix(prefix): v for k, v in e["annotations"].items() if k.startswith(prefix)} for e in events]


def test_api_servers_audit_log_names_revision_and_policies(cluster: ControlPlane, namespace: str) -> None:
    add_gpu(cluster, "gpu-1")
    networker: Json = pod("net", labels={"workload": "web"}, spec={"hostNetwork": True})
    with admission(cluster, namespace) as serving:
        cluster.create_pod(namespace, TRAINEE)
        with pytest.raises(ApiError):
            cluster.create_pod(namespace, networker)
        cluster.create_pod(namespace, pod("other"))
        (logged,) = wait_for(lambda: serving.decisions(namespace, "trainee"), "the decision to be logged")
    patched, refused, other = noted(cluster, namespace)
    assert logged["revision"].startswith("cluster-tests@1.0.0+sha256:")
    assert {note["revision"] for note in (patched, refused, other)} == {logged["revision"]}
    assert [note["outcome"] for note in (patched, refused, other)] == ["mutated", "denied", "unchanged"]
    assert "training=applied" in patched["policies"]
    assert "no-host-network=denied" in refused["policies"]
    assert "patch" not in patched


def test_api_servers_audit_log_keeps_what_audit_mode_kept_from_happening(cluster: ControlPlane, namespace: str) -> None:
    add_gpu(cluster, "gpu-1")
    networker: Json = pod("net", labels={"workload": "web"}, spec={"hostNetwork": True})
    with admission(cluster, namespace, mode="audit") as serving:
        cluster.create_pod(namespace, TRAINEE)
        cluster.create_pod(namespace, networker)
        (decision,) = wait_for(lambda: serving.decisions(namespace, "trainee"), "the decision to be logged")
    patched, refused = noted(cluster, namespace)
    assert (patched["mode"], patched["outcome"]) == ("audit", "mutated")
    assert json.loads(patched["patch"]) == decision["patch"] != []
    assert (refused["mode"], refused["outcome"]) == ("audit", "denied")
    assert "hostNetwork is not for workloads" in refused["message"]
