"""DaemonSets narrowed by their template: the real controller makes pods on the right nodes, and nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from engine.names import REQUIRED

from .controlplane import CONTEXT, ApiError, ControlPlane, Json, wait_for
from .fleet import add_general, add_gpu
from .pods import daemon_set
from .serving import BUNDLE, Serving, running

TRAINING = {"workload": "training"}
JANE = {"username": "jane", "groups": ["team"]}
IN_EU = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-1a"]}]}
MERGE = "application/merge-patch+json"


@pytest.fixture
def serving(
    cluster: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serving]:
    """The webhook as `--dev` has it called, with `handsOn: {daemonSets: template}`."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLE, bundle)
    whole = yaml.safe_load((bundle / "bundle.yaml").read_text())
    whole["spec"]["handsOn"] = {"daemonSets": "template"}
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(whole))
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    add_gpu(cluster, "gpu-2")
    cluster.grant(namespace, "edit", "team")
    strictly = ("--dev", "--failure-policy", "Fail", "--log-decisions", "all")
    with running(cluster, ["serve", "--bundle", bundle, "--context", CONTEXT, *strictly]) as started:
        printed = started.output()
        cluster.kubectl("apply", "-f", "-", stdin=printed[: printed.index("\n{")] if "\n{" in printed else printed)
        cluster.wait_called("bayplan-dev", namespace)
        yield started


def path_of(namespace: str, name: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}".rstrip("/")


def create(cluster: ControlPlane, namespace: str, name: str, **more: Json) -> Json:
    given = daemon_set(name, namespace, labels=TRAINING, spec=more)
    return cluster.api("POST", path_of(namespace), given, user=JANE)


def nodes_of(cluster: ControlPlane, namespace: str, name: str, wanted: set[str]) -> None:
    """Wait until it has a pod on each of these nodes, and its controller wants no others."""

    def settled() -> bool:
        status = cluster.api("GET", path_of(namespace, name))["status"]
        pods = cluster.pods(namespace, f"app={name}")
        there = {one["spec"].get("nodeName") for one in pods if "deletionTimestamp" not in one["metadata"]}
        return status.get("desiredNumberScheduled") == len(wanted) and there == wanted

    wait_for(settled, f"pods of {name} on {wanted}", lambda: cluster.pods(namespace, f"app={name}"))


def test_pods_are_made_on_the_nodes_that_policies_allow(
    serving: Serving, cluster: ControlPlane, namespace: str
) -> None:
    """Also those of a DaemonSet that tolerates everything, and it follows nodes as they come."""
    made = create(cluster, namespace, "agents", tolerations=[{"operator": "Exists"}])
    (term,) = made["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert "nvidia-a100" in str(term)
    nodes_of(cluster, namespace, "agents", {"gpu-1", "gpu-2"})
    add_gpu(cluster, "gpu-3")
    add_general(cluster, "general-2")
    nodes_of(cluster, namespace, "agents", {"gpu-1", "gpu-2", "gpu-3"})
    assert not any(serving.decisions(namespace, pod["metadata"]["name"]) for pod in cluster.pods(namespace))
    lines = wait_for(lambda: serving.decisions(namespace, "agents"), "the decision to be logged", serving.output)
    assert lines[0]["template"] is True


@pytest.mark.usefixtures("serving")
def test_tolerations_are_computed_for_it(cluster: ControlPlane, namespace: str) -> None:
    create(cluster, namespace, "agents")
    nodes_of(cluster, namespace, "agents", {"gpu-1", "gpu-2"})


@pytest.mark.usefixtures("serving")
def test_a_change_is_narrowed_again_and_applying_the_same_again_changes_nothing(
    cluster: ControlPlane, namespace: str
) -> None:
    file = daemon_set("agents", namespace, labels=TRAINING)
    cluster.apply(file)
    nodes_of(cluster, namespace, "agents", {"gpu-1", "gpu-2"})
    before = cluster.api("GET", path_of(namespace, "agents"))
    cluster.apply(file)
    cluster.api("PATCH", path_of(namespace, "agents"), {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    again = cluster.api("GET", path_of(namespace, "agents"))
    assert again["metadata"]["generation"] == before["metadata"]["generation"]
    widened = {"spec": {"template": {"spec": {"affinity": None, "terminationGracePeriodSeconds": 1}}}}
    changed = cluster.api("PATCH", path_of(namespace, "agents"), widened, content_type=MERGE, user=JANE)
    assert changed["spec"]["template"]["spec"]["affinity"] == before["spec"]["template"]["spec"]["affinity"]
    host = {"spec": {"template": {"spec": {"hostNetwork": True}}}}
    with pytest.raises(ApiError, match="hostNetwork is not for workloads"):
        cluster.api("PATCH", path_of(namespace, "agents"), host, content_type=MERGE, user=JANE)
    with pytest.raises(ApiError, match="training"):
        create(cluster, namespace, "elsewhere", nodeSelector={"cloud.google.com/gke-nodepool": "general"})


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("own", [{}, {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [IN_EU]}}}}])
def test_server_side_apply_by_gitops_is_stable(cluster: ControlPlane, namespace: str, own: Json) -> None:
    """Whether it says an affinity of its own or not: applied again, nothing changes, and no pod restarts."""
    given = daemon_set("agents", namespace, labels=TRAINING, spec=own)
    path, kind = path_of(namespace, "agents"), "application/apply-patch+yaml"
    first = cluster.api("PATCH", path, given, content_type=kind, fieldManager="gitops")
    for _ in range(2):
        again = cluster.api("PATCH", path, given, content_type=kind, fieldManager="gitops")
        assert again["spec"]["template"] == first["spec"]["template"]
        assert again["metadata"]["generation"] == first["metadata"]["generation"]
    assert "nvidia-a100" in str(first["spec"]["template"]["spec"]["affinity"])
    nodes_of(cluster, namespace, "agents", {"gpu-1", "gpu-2"})
