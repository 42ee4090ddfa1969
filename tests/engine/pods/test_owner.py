"""engine.pods.owner: whose pod it is, and its side of a rollout, the same from a file as from the API server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from engine.documents import Source, parse_manifests
from engine.pods.incoming import IncomingPod, Owner
from engine.pods.manifests import pods_from_documents
from engine.pods.owner import owner_of
from engine.pods.rollout import rolled_out

TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def workload(kind: str, name: str, spec: dict[str, Any] | None = None, **metadata: Any) -> IncomingPod:
    """The pod of a workload in a file."""
    group = {"Job": "batch/v1", "CronJob": "batch/v1", "Rollout": "argoproj.io/v1alpha1"}.get(kind, "apps/v1")
    data = {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec or {"template": TEMPLATE},
    }
    manifests, problems = parse_manifests(Source("file.yaml", yaml.safe_dump(data)))
    assert not problems
    (incoming,) = pods_from_documents(manifests)
    return incoming


def side(incoming: IncomingPod) -> int:
    """The first percentage that reaches it."""
    return next(percent for percent in range(101) if rolled_out("policy", percent, incoming))


@pytest.mark.parametrize(
    "incoming",
    [
        workload("Deployment", "web"),
        workload("ReplicaSet", "web-abc"),
        workload("StatefulSet", "db"),
        workload("Job", "backup-20240101"),
        workload("Job", "by-hand", ownerReferences=[{"kind": "CronJob", "name": "nightly", "controller": True}]),
        workload("CronJob", "nightly", {"jobTemplate": {"spec": {"template": TEMPLATE}}}),
        workload("Rollout", "web"),
    ],
)
def test_a_workload_in_a_file_falls_on_the_side_of_its_pod(incoming: IncomingPod) -> None:
    """A webhook is not told whose template it was."""
    assert side(incoming) == side(IncomingPod(incoming.pod, incoming.namespace, incoming.request))


@pytest.mark.parametrize(
    ("label", "owner"),
    [
        ("pod-template-hash", Owner("apps/v1", "Deployment", "web")),
        ("rollouts-pod-template-hash", Owner("argoproj.io/v1alpha1", "Rollout", "web")),
    ],
)
def test_revisions_of_a_workload_fall_on_one_side(label: str, owner: Owner) -> None:
    """Though each has a ReplicaSet of its own."""
    incoming_pods = [
        IncomingPod(
            {
                "metadata": {
                    "labels": {label: revision},
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"web-{revision}", "controller": True}
                    ],
                }
            },
            {"metadata": {"name": "default"}},
            {},
        )
        for revision in ("5d9f", "77b6")
    ]

    assert [owner_of(incoming) for incoming in incoming_pods] == [owner, owner]
    assert side(incoming_pods[0]) == side(incoming_pods[1])
    if owner.kind == "Rollout":
        assert side(incoming_pods[0]) == side(workload("Rollout", "web"))
