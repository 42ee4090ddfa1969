"""A second opinion on engine.pods.controllers and defaults: what the real controllers and API server make."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from engine.documents import Manifest, Source
from engine.pods import pods_from_documents
from engine.pods.controllers import NODE

from .controlplane import ControlPlane, wait_for

Json = Any
SPEC: Json = {
    "terminationGracePeriodSeconds": 5,
    "nodeSelector": {"nowhere": "yes"},
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    "overhead": None,
    "initContainers": [{"name": "i", "image": "r:5000/i", "resources": {"limits": {"cpu": "1000m"}}}],
    "containers": [
        {
            "name": "a",
            "image": "a",
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"memory": "0.5Gi"}},
        },
        {"name": "b", "image": "b:1@sha256:" + "0" * 64, "resources": {"requests": {"ephemeral-storage": "1e3"}}},
    ],
}
METADATA: Json = {"labels": {"app": "web"}, "annotations": {"note": "x"}}


def workload(kind: str, version: str = "apps/v1", template: Json = None, **spec: Json) -> Json:
    made = {"template": {"metadata": METADATA, "spec": {**SPEC, **(template or {})}}, **spec}
    if kind not in ("Job", "CronJob"):
        made["selector"] = {"app": "web"} if version == "v1" else {"matchLabels": {"app": "web"}}
    if kind == "CronJob":
        made = {"schedule": "* * * * *", "jobTemplate": {"spec": made}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": made}


CLAIMS = [
    {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": 1}}},
    }
]
NEVER = {"restartPolicy": "Never"}
WORKLOADS = {
    "deployments": workload("Deployment"),
    "replicasets": workload("ReplicaSet"),
    "replicationcontrollers": workload("ReplicationController", "v1"),
    "statefulsets": workload("StatefulSet", serviceName="svc", volumeClaimTemplates=CLAIMS, ordinals={"start": 2}),
    "jobs": workload("Job", "batch/v1", NEVER),
    "indexed": workload("Job", "batch/v1", NEVER, completionMode="Indexed", completions=1),
    "daemonsets": workload("DaemonSet", template={"nodeSelector": None, "hostNetwork": True, "tolerations": None}),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_pod_that_a_controller_makes(cluster: ControlPlane, namespace: str, name: str) -> None:
    given = WORKLOADS[name]
    cluster.add_node(NODE)
    group = "/api/v1" if given["apiVersion"] == "v1" else f"/apis/{given['apiVersion']}"
    cluster.api("POST", f"{group}/namespaces/{namespace}/{'jobs' if name == 'indexed' else name}", given)
    real = wait_for(lambda: next(iter(cluster.pods(namespace)), None), f"a pod of {given['kind']}")
    (incoming,) = pods_from_documents([Manifest(Source("f", ""), given)], namespace=namespace)
    assert without_chance(incoming.pod) == without_chance(real)
    assert incoming.owner is not None
    assert (incoming.owner.kind, incoming.owner.name) == (given["kind"], "web")


def test_a_bare_pod(cluster: ControlPlane, namespace: str) -> None:
    given = {"apiVersion": "v1", "kind": "Pod", "metadata": {**METADATA, "name": "web"}, "spec": SPEC}
    real = cluster.create_pod(namespace, given)
    (incoming,) = pods_from_documents([Manifest(Source("f", ""), given)], namespace=namespace)
    assert without_chance(incoming.pod) == without_chance(real)


def without_chance(pod: Mapping[str, Json]) -> Json:
    """A pod less what depends on the moment: names and hashes that are made up, and what comes after admission."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in _AFTERWARDS}
    if "generateName" in metadata and metadata["ownerReferences"][0]["kind"] != "StatefulSet":
        metadata.pop("name", None)
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    spec["volumes"] = [each for each in spec.get("volumes") or () if not each["name"].startswith("kube-api-access")]
    for kind in ("containers", "initContainers"):
        for container in spec[kind]:
            container.pop("volumeMounts", None)
    text = json.dumps({"metadata": metadata, "spec": spec}, sort_keys=True)
    for made_up in _made_up(pod["metadata"]):
        text = text.replace(made_up, "*")
    return json.loads(text)


_AFTERWARDS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def _made_up(metadata: Mapping[str, Json]) -> list[str]:
    labels = metadata.get("labels", {})
    hashes = [labels.get("pod-template-hash"), labels.get("controller-revision-hash")]
    uids = [reference["uid"] for reference in metadata.get("ownerReferences", ())]
    return [re.sub(r"^web-", "", each) for each in [*hashes, *uids] if each]
