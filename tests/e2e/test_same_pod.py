"""A pod is the same everywhere: what is made of a file is what the API server sends a webhook, in every field."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from engine.documents import Manifest, Source
from engine.pods import pods_from_documents

from . import hooks
from .controlplane import ControlPlane, Json
from .processes import free_ports
from .random_pods import Maker

COUNT = 2000 if os.environ.get("BAYPLAN_NIGHTLY") else 300
THREADS = 8
CREATED_BY_SERVER = ("managedFields", "uid", "creationTimestamp")
TOKEN = "kube-api-access-"


@contextmanager
def echoing(cluster: ControlPlane, namespace: str) -> Iterator[list[Json]]:
    """A webhook that changes nothing, and keeps what it is sent."""
    (port,) = free_ports(1)
    with hooks.serving(cluster, port, lambda _: []) as asked:
        configuration = cluster.webhook_configuration("echo", f"https://127.0.0.1:{port}/", namespaces=[namespace])
        cluster.activate(configuration, namespace)
        yield asked


def comparable(pod: Json) -> Json:
    """A pod without what only the API server can know, and with one name for the volume of its token."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in CREATED_BY_SERVER}
    spec = dict(pod["spec"])
    made = next(
        (v["name"] for v in spec.get("volumes") or () if v["name"].startswith(TOKEN) and "projected" in v), None
    )
    if made and len(made) == len(TOKEN) + 5:
        spec = _renamed(spec, made)
    return {**{key: value for key, value in pod.items() if key != "status"}, "metadata": metadata, "spec": spec}


def _renamed(value: Json, name: str) -> Json:
    if isinstance(value, dict):
        return {key: _renamed(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name) for item in value]
    return f"{TOKEN}any" if value == name else value


def sent(cluster: ControlPlane, namespace: str, pods: list[Json], asked: list[Json]) -> dict[str, Json]:
    """What a webhook saw of each pod, by name; whether the API server takes it in the end does not matter."""

    def create(pod: Json) -> httpx.Response:
        path = f"/api/v1/namespaces/{namespace}/pods"
        return cluster.request("POST", path, pod, dryRun="All", fieldValidation="Ignore")

    with ThreadPoolExecutor(THREADS) as threads:
        answers = dict(zip((pod["metadata"]["name"] for pod in pods), threads.map(create, pods), strict=True))
    seen = {pod["metadata"].get("name"): pod for pod in list(asked)}
    lost = {name: answer.text for name, answer in answers.items() if name not in seen}
    assert not lost, f"{len(lost)} pods never came to the webhook: {next(iter(lost.items()))}"
    return seen


def completed(pod: Json, namespace: str) -> Json:
    (incoming,) = pods_from_documents([Manifest(Source("pod.yaml", ""), pod)], namespace=namespace)
    return incoming.pod


@pytest.mark.timeout(600)
def test_random_pods_are_completed_as_the_api_server_does(cluster: ControlPlane, namespace: str) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", **Maker(seed, (15, 30, 50, 80)[seed % 4]).pod(f"p{seed}")}
        for seed in range(COUNT)
    ]
    with echoing(cluster, namespace) as asked:
        seen = sent(cluster, namespace, pods, asked)
    different = [
        (pod, ours, theirs)
        for pod in pods
        if (ours := comparable(completed(pod, namespace))) != (theirs := comparable(seen[pod["metadata"]["name"]]))
    ]
    assert not different, f"{len(different)} of {COUNT} differ, the first in {list(differences(*different[0][1:]))}"


OWNER = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "1"}
A = {"name": "a", "image": "a"}
ODD: dict[str, Json] = {
    "mirror": {
        "metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"containers": [A], "nodeName": "n"},
    },
    "bound": {"spec": {"containers": [A], "nodeName": "nowhere"}},
    "tokenless": {"spec": {"containers": [A], "automountServiceAccountToken": False}},
    "owned": {
        "metadata": {"ownerReferences": [OWNER, {**OWNER, "controller": True}, OWNER]},
        "spec": {"containers": [A]},
    },
    "old": {
        "metadata": {"annotations": {"pod.alpha.kubernetes.io/init-containers": "[]"}},
        "spec": {"containers": [A]},
    },
    "sandboxed": {"spec": {"containers": [A], "runtimeClassName": "sandbox", "overhead": {"cpu": "0.25"}}},
    "empty": {
        "metadata": {"labels": {}, "annotations": {}},
        "spec": {"containers": [A], "tolerations": [], "volumes": []},
    },
    "null": {
        "metadata": {"labels": None},
        "spec": {"containers": [{**A, "env": None, "resources": None}]},
        "status": None,
    },
}


def test_odd_pods_too(cluster: ControlPlane, namespace: str) -> None:
    runtime = {"kind": "RuntimeClass", "apiVersion": "node.k8s.io/v1", "metadata": {"name": "sandbox"}, "handler": "x"}
    cluster.apply({**runtime, "overhead": {"podFixed": {"cpu": "250m"}}})
    pods = [
        {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**pod.get("metadata", {}), "name": name}}
        for name, pod in ODD.items()
    ]
    with echoing(cluster, namespace) as asked:
        seen = sent(cluster, namespace, pods, asked)
    for pod in pods:
        name = pod["metadata"]["name"]
        ours, theirs = comparable(completed(pod, namespace)), comparable(seen[name])
        assert not list(differences(ours, theirs)), name


def differences(ours: Json, theirs: Json, path: str = "") -> Iterator[str]:
    """Where two objects differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(key, "(absent)"), theirs.get(key, "(absent)"), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(mine, its, f"{path}[{at}]")
    elif ours != theirs:
        yield f"{path}: we say {ours!r}, the API server {theirs!r}"
