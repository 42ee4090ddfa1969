"""`bayplan audit` of a real cluster: what it says is what then happens, and it changes nothing."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import Json, deployment, pod, pod_spec
from .serving import BUNDLE, admission

TRAINING = {"workload": "training"}
SPEC = {"automountServiceAccountToken": False}


def audit(cluster: ControlPlane, *words: str) -> subprocess.CompletedProcess[str]:
    """`bayplan audit` of the cluster, with the bundle that the tests serve."""
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "audit",
        "--bundle",
        str(BUNDLE),
        "--kubeconfig",
        str(cluster.kubeconfig),
    ]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=300)


def findings(cluster: ControlPlane, *words: str) -> dict[str, Json]:
    """What is found, by the workload's name."""
    ran = audit(cluster, "-o", "jsonl", *words)
    assert ran.stderr == ""
    found = map(json.loads, ran.stdout.splitlines())
    return {one["workload"]["name"]: one for one in found if one["kind"] == "Finding"}


def asleep(namespace: str) -> Json:
    template = {"metadata": {"labels": TRAINING}, "spec": pod_spec({**SPEC, "restartPolicy": "Never"})}
    job = {"spec": {"template": template}}
    spec = {"schedule": "0 0 * * *", "suspend": True, "jobTemplate": job}
    metadata = {"name": "nightly", "namespace": namespace}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def test_what_drifted_is_moved_by_the_commands_and_comes_back_as_was_said(
    cluster: ControlPlane, namespace: str
) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.apply(
        deployment("train", namespace, replicas=3, labels=TRAINING, spec=SPEC),
        deployment("web", namespace, replicas=2, spec=SPEC),
        deployment("idle", namespace, replicas=0, labels=TRAINING, spec=SPEC),
        asleep(namespace),
    )
    cluster.create_pod(namespace, pod("alone", labels=TRAINING, spec=SPEC))
    cluster.wait_all_bound(namespace, "app=train", 3)
    cluster.wait_all_bound(namespace, "app=web", 2)
    cluster.wait_bound(namespace, "alone")
    before = cluster.pods(namespace)
    found = findings(cluster, "-n", namespace)
    assert cluster.pods(namespace) == before

    told = {name: (one["workload"]["kind"], one["outcome"], one["pods"]) for name, one in found.items()}
    assert told == {
        "train": ("Deployment", "changed", 3),
        "web": ("Deployment", "unchanged", 2),
        "idle": ("Deployment", "changed", 0),
        "nightly": ("CronJob", "changed", 0),
        "alone": ("Pod", "changed", 1),
    }
    train = found["train"]
    assert train["placed"] == {"general": 3}
    assert [(one["what"], one["pods"], one["pools"]) for one in train["follows"]] == [("leaves", 3, ["general"])]
    assert findings(cluster, "-n", namespace, "-l", "app=web").keys() == {"web"}

    script = audit(cluster, "-n", namespace, "-o", "restarts").stdout.splitlines()
    commands = [shlex.split(line) for line in script if line.startswith("kubectl ")]
    assert commands == [["kubectl", "rollout", "restart", "deployment/train", "-n", namespace]]
    assert any("nobody would make them again" in line and "Pod" in line for line in script)
    with admission(cluster, namespace):
        cluster.kubectl(*commands[0][1:])

        def moved() -> bool:
            nodes = [one["spec"].get("nodeName") for one in cluster.pods(namespace, "app=train")]
            return nodes == ["gpu-1"] * 3 or without_kubelets(cluster, namespace)

        wait_for(moved, "the pods to run on gpu-1", lambda: cluster.pods(namespace, "app=train"))
    patches = cluster.admission_patches(namespace)
    assert len(patches) >= 3
    assert all(on_spec(patch) == on_spec(train["patch"]) != [] for patch in patches)
    again = findings(cluster, "-n", namespace)["train"]
    assert (again["outcome"], again["placed"], again["follows"]) == ("unchanged", {"gpu": 3}, [])


def on_spec(patch: list[Json]) -> list[Json]:
    """The operations on a pod's spec; of its annotations there are some more since it was restarted."""
    return [one for one in patch if one["path"].startswith("/spec")]


def without_kubelets(cluster: ControlPlane, namespace: str) -> bool:
    """Does what kubelets do: new pods become ready, and those that are to go are gone."""
    for one in cluster.pods(namespace, "app=train"):
        name = one["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if one["metadata"].get("deletionTimestamp"):
            cluster.request("DELETE", path, gracePeriodSeconds="0")
        elif one["spec"].get("nodeName") and one["status"]["phase"] == "Pending":
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            cluster.request(
                "PATCH", f"{path}/status", {"status": status}, content_type="application/strategic-merge-patch+json"
            )
    return False


OWNERS, REPLICAS, NODES, TEAMS = 1_500, 14, 30, 40


@pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="takes minutes")
@pytest.mark.timeout(1200)
def test_a_large_cluster_is_replayed_by_one_command(cluster: ControlPlane, namespace: str) -> None:
    """21,000 pods of 1,500 Deployments, bound already: memory grows with these, and not with their pods."""
    for number in range(NODES):
        add_general(cluster, f"general-{number}")

    def create(number: int) -> None:
        labels = {**(TRAINING if number % 3 == 0 else {}), "team": f"team-{number % TEAMS}"}
        given = deployment(f"app-{number}", namespace, replicas=0, labels=labels, spec=SPEC)
        made = cluster.api("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", given)
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"app-{number}", "uid": made["metadata"]["uid"]}
        for replica in range(REPLICAS):
            one = pod(f"app-{number}-{replica}", labels={"app": f"app-{number}", **labels}, spec=SPEC)
            one["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
            one["spec"]["nodeName"] = f"general-{(number + replica) % NODES}"
            cluster.create_pod(namespace, one)

    with ThreadPoolExecutor(8) as several:
        list(several.map(create, range(OWNERS)))
    started = time.monotonic()
    ran = audit(cluster, "-n", namespace, "--fail-on", "none")
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{OWNERS * REPLICAS} pods of {OWNERS} workloads: {seconds:.1f} s, at most {memory} MiB in any child")
    for team in range(TEAMS):  # all at once takes the API server longer than a request may
        path = f"/api/v1/namespaces/{namespace}/pods"
        cluster.api("DELETE", path, labelSelector=f"team=team-{team}", gracePeriodSeconds="0")
    assert ran.returncode == 0, ran.stderr
    assert f"{OWNERS * REPLICAS:,} pods of {OWNERS:,} workloads: " in ran.stdout
    assert f"ready to enforce: {OWNERS * 2 // 3:,} workloads unchanged, " in ran.stdout
