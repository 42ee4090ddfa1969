"""Minimal valid objects; a test says only what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any
IMAGE = "registry.invalid/app:1"


def pod_spec(spec: Mapping[str, Json] | None = None) -> Json:
    """The least that a pod needs, with `spec` laid over it."""
    return {"containers": [{"name": "app", "image": IMAGE}], **(spec or {})}


def pod(name: str, *, labels: Mapping[str, str] | None = None, spec: Mapping[str, Json] | None = None) -> Json:
    """A bare pod, of no namespace yet."""
    metadata = {"name": name, "labels": dict(labels or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(spec)}


def deployment(
    name: str,
    namespace: str,
    *,
    replicas: int = 1,
    labels: Mapping[str, str] | None = None,
    spec: Mapping[str, Json] | None = None,
) -> Json:
    """A Deployment whose pods carry `app: <name>` and `labels`."""
    return _workload("Deployment", name, namespace, labels, spec, {"replicas": replicas})


def daemon_set(
    name: str, namespace: str, *, labels: Mapping[str, str] | None = None, spec: Mapping[str, Json] | None = None
) -> Json:
    """A DaemonSet whose pods carry `app: <name>` and `labels`."""
    return _workload("DaemonSet", name, namespace, labels, spec, {})


def _workload(
    kind: str,
    name: str,
    namespace: str,
    labels: Mapping[str, str] | None,
    spec: Mapping[str, Json] | None,
    more: Mapping[str, Json],
) -> Json:
    own = {"app": name}
    template = {"metadata": {"labels": {**own, **(labels or {})}}, "spec": pod_spec(spec)}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": own}, "template": template, **more},
    }
