"""rollout: a workload stays on its side while the percentage grows, wherever and whenever it is asked about."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.pods import IncomingPod, rolled_out

WORKLOADS = 100_000
STEPS = (10, 25, 50)
ROOT = Path(__file__).parents[3]


def controlled(kind: str, name: str, **labels: str) -> dict[str, Any]:
    """What a pod says of the controller that made it."""
    version = {"ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1"}[kind]
    reference = {"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": True}
    return {"labels": labels, "ownerReferences": [reference]}


def in_namespace(metadata: dict[str, Any], namespace: str = "team") -> IncomingPod:
    return IncomingPod({"metadata": metadata, "spec": {}}, {"metadata": {"name": namespace}}, {})


def workload(number: int) -> IncomingPod:
    """One of many workloads, of each kind as many, in a few hundred namespaces."""
    name, namespace = f"app-{number}", f"team-{number % 317}"
    match number % 4:
        case 0:
            metadata = controlled("ReplicaSet", f"{name}-5d9c", **{"pod-template-hash": "5d9c"})
        case 1:
            metadata = controlled("StatefulSet", name)
        case 2:
            metadata = controlled("Job", f"{name}-28912345")
        case _:
            metadata = {"name": name}
    return in_namespace(metadata, namespace)


def sides(percent: int) -> bytes:
    """On which side each of the workloads is, one character each."""
    return b"".join(b"1" if rolled_out("policy", percent, workload(i)) else b"0" for i in range(WORKLOADS))


def test_nobody_falls_back_while_the_percentage_grows_and_shares_are_what_was_asked_for() -> None:
    before: set[int] = set()
    workloads = [workload(i) for i in range(WORKLOADS)]
    for percent in STEPS:
        now = {i for i, one in enumerate(workloads) if rolled_out("policy", percent, one)}
        assert before <= now, percent
        assert abs(len(now) / WORKLOADS - percent / 100) < 0.01, percent
        before = now


def test_replicas_agree_on_every_workload() -> None:
    """Three processes, each with hash seeds of its own, as replicas and restarts have them."""
    words = "import hashlib; from tests.engine.pods.test_rollout import sides; "
    words += "print(hashlib.sha256(sides(25)).hexdigest())"
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2", "3")
    ]
    found = {replica.communicate(timeout=120)[0].strip() for replica in replicas}
    assert found == {hashlib.sha256(sides(25)).hexdigest()}


PAIRS = {
    "a Deployment's next revision": (
        controlled("ReplicaSet", "web-5d9c", **{"pod-template-hash": "5d9c"}),
        controlled("ReplicaSet", "web-77bf", **{"pod-template-hash": "77bf"}),
    ),
    "an Argo Rollout's next revision": (
        controlled("ReplicaSet", "web-5d9c", **{"rollouts-pod-template-hash": "5d9c"}),
        controlled("ReplicaSet", "web-77bf", **{"rollouts-pod-template-hash": "77bf"}),
    ),
    "a CronJob's next Job": (controlled("Job", "tidy-28912345"), controlled("Job", "tidy-28912346")),
    "a StatefulSet's pods": (
        {"name": "db-0", **controlled("StatefulSet", "db")},
        {"name": "db-1", **controlled("StatefulSet", "db")},
    ),
    "a bare pod with a generated name, before and after": (
        {"generateName": "run-"},
        {"generateName": "run-", "name": "run-x8kqp"},
    ),
    "a bare pod, created again": ({"name": "shell"}, {"name": "shell", "labels": {"app": "other"}, "uid": "7"}),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pods_of_one_workload_are_on_one_side(case: str) -> None:
    one, other = PAIRS[case]
    by_policy = [
        (rolled_out(f"policy-{i}", 50, in_namespace(one)), rolled_out(f"policy-{i}", 50, in_namespace(other)))
        for i in range(200)
    ]
    assert all(first == second for first, second in by_policy)
    assert {first for first, _ in by_policy} == {True, False}


@pytest.mark.parametrize(
    "other",
    [
        in_namespace({"name": "web"}, "b"),
        in_namespace({"name": "api"}, "a"),
        in_namespace(controlled("Job", "web"), "a"),
    ],
    ids=["namespace", "name", "kind"],
)
def test_workloads_that_differ_are_on_sides_of_their_own(other: IncomingPod) -> None:
    one = in_namespace({"name": "web"}, "a")
    same = [rolled_out(f"policy-{i}", 50, one) == rolled_out(f"policy-{i}", 50, other) for i in range(1_000)]
    assert 400 < sum(same) < 600


def test_none_and_all() -> None:
    some = [workload(i) for i in range(1_000)]
    assert not any(rolled_out("policy", 0, one) for one in some)
    assert all(rolled_out("policy", 100, one) for one in some)
