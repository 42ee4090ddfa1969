"""What is kept of the objects that are watched: of a Node what pools are made of, of a Namespace its labels.

A Node of a real cluster has nine kilobytes, most of it images and managed fields; kept is about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from cluster.client import Cluster
from cluster.reflector import Kind, Reflector, Timing
from telemetry import Metrics

Json = dict[str, Any]
FETCH_SECONDS = 1.0


class _Metadata(Struct, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Taint(Struct, frozen=True):
    key: str = ""
    value: str = ""
    effect: str = ""


class _NodeSpec(Struct, frozen=True):
    taints: list[_Taint] | None = None


class _Condition(Struct, frozen=True):
    type: str = ""
    status: str = ""


class _NodeStatus(Struct, frozen=True):
    allocatable: dict[str, str] | None = None
    capacity: dict[str, str] | None = None
    conditions: list[_Condition] | None = None


class _Node(Struct, frozen=True):
    metadata: _Metadata
    spec: _NodeSpec = _NodeSpec()
    status: _NodeStatus = _NodeStatus()


class _Namespace(Struct, frozen=True):
    metadata: _Metadata


def _kept_node(node: _Node) -> Json:
    conditions = [asdict(c) for c in node.status.conditions or () if c.type == "Ready"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.metadata.name, "labels": node.metadata.labels or {}},
        "spec": {"taints": [asdict(taint) for taint in node.spec.taints or ()]},
        "status": {"allocatable": node.status.allocatable or node.status.capacity or {}, "conditions": conditions},
    }


def _kept_namespace(namespace: _Namespace) -> Json:
    metadata = namespace.metadata
    kept = {"name": metadata.name, "labels": metadata.labels or {}, "annotations": metadata.annotations or {}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": kept}


NODES: Kind[Json] = Kind("nodes", "/api/v1/nodes", _Node, _kept_node)
NAMESPACES: Kind[Json] = Kind("namespaces", "/api/v1/namespaces", _Namespace, _kept_namespace)


class Namespaces:
    """The Namespaces of a cluster: from memory, or, for one that is younger than the watch, from the API server."""

    def __init__(self, cluster: Cluster, metrics: Metrics, timing: Timing | None = None) -> None:
        self.reflector = Reflector(cluster, NAMESPACES, lambda: None, metrics, timing)
        self._cluster = cluster

    def get(self, name: str) -> Mapping[str, Any] | None:
        return self.reflector.get(name)

    def fetch(self, name: str) -> Mapping[str, Any] | None:
        return self.reflector.fetch(name, FETCH_SECONDS)
