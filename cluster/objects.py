"""What is kept of the objects that are watched: of those that pools are known from what is read of them, of a Namespace
what policies are shown.

A Node of a real cluster has ten kilobytes, most of it images and managed fields; kept are two, for what many Nodes say
alike is kept once. Custom resources
may have any shape, for not every definition has a schema: what is looked for is kept as it is, and judged by who reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from functools import lru_cache, partial
from sys import intern
from typing import Any

from msgspec import Struct, defstruct
from msgspec.structs import asdict, astuple

from cluster.client import Cluster
from cluster.lookup import SECONDS, Lookups
from cluster.reflector import Kind, Reflector, Timing
from engine.pods import namespace_object
from engine.pools import NODE_RESOURCES
from telemetry import Metrics

Json = dict[str, Any]


class _Metadata(Struct, frozen=True, gc=False):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Taint(Struct, frozen=True, gc=False):
    key: str = ""
    value: str = ""
    effect: str = ""


class _NodeSpec(Struct, frozen=True, gc=False):
    taints: list[_Taint] | None = None


class _Condition(Struct, frozen=True, gc=False):
    type: str = ""
    status: str = ""


_Amounts: type[Struct] = defstruct(
    "_Amounts",
    [(f"of_{n}", str | None, None) for n, _ in enumerate(NODE_RESOURCES)],
    rename={f"of_{n}": name for n, name in enumerate(NODE_RESOURCES)},
    frozen=True,
    gc=False,
)
"""How much there is of what is read of a Node."""


class _NodeStatus(Struct, frozen=True, gc=False):
    allocatable: dict[str, str] | None = None
    capacity: _Amounts | None = None  # type: ignore[valid-type]
    conditions: list[_Condition] | None = None


class _Node(Struct, frozen=True, gc=False):
    metadata: _Metadata
    spec: _NodeSpec = _NodeSpec()
    status: _NodeStatus = _NodeStatus()


_MEMBERSHIP = frozenset(
    f"cluster.x-k8s.io/{name}" for name in ("cluster-name", "cluster-namespace", "owner-kind", "owner-name")
)
"""The annotations by which Cluster API says whose a Node is."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""A copy of the whole object."""


class _Namespace(Struct, frozen=True):
    metadata: Json
    spec: Json | None = None
    status: Json | None = None


def _kept_node(node: _Node) -> Json:
    labels = node.metadata.labels or {}
    metadata: Json = {
        "name": intern(node.metadata.name),
        "labels": {intern(key): intern(said) for key, said in labels.items()},
    }
    annotations = node.metadata.annotations or {}
    if not _MEMBERSHIP.isdisjoint(annotations):
        kept = sorted(_MEMBERSHIP & annotations.keys())
        metadata["annotations"] = {intern(key): intern(annotations[key]) for key in kept}
    amounts = node.status.allocatable or _by_name(node.status.capacity)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": _tainted(tuple(node.spec.taints)) if node.spec.taints else _UNTAINTED,
        "status": {
            "allocatable": {name: intern(amounts[name]) for name in NODE_RESOURCES if name in amounts},
            "conditions": next((_ready(c.status) for c in node.status.conditions or () if c.type == "Ready"), []),
        },
    }


_UNTAINTED: Json = {"taints": []}


def _by_name(amounts: Struct | None) -> dict[str, str]:
    said = astuple(amounts) if amounts else ()
    return {name: amount for name, amount in zip(NODE_RESOURCES, said, strict=False) if amount is not None}


@lru_cache(maxsize=1024)
def _tainted(taints: tuple[_Taint, ...]) -> Json:
    """What is kept of a Node's spec, the same object for all Nodes of which it is the same."""
    return {"taints": [asdict(taint) for taint in taints]}


@lru_cache(maxsize=8)
def _ready(status: str) -> list[Json]:
    """The one condition that is kept, the same object for all Nodes of which it is the same."""
    return [{"type": "Ready", "status": status}]


def _kept_namespace(namespace: _Namespace) -> Json:
    return dict(namespace_object({"metadata": namespace.metadata, "spec": namespace.spec, "status": namespace.status}))


def _model(tree: Json) -> type[Struct]:
    """What is decoded of a custom resource: the fields of its metadata that a tree names, for these have known shapes;
    else the parts that it names, whatever they are."""
    about = defstruct("_About", [(name, Any, None) for name in tree["metadata"]])
    parts = [(name, about if name == "metadata" else Any, None) for name in tree]
    return defstruct("_Resource", [("apiVersion", Any, None), *parts])


def _kept_resource(kind: str, version: str, tree: Json, resource: Struct) -> Json:
    """What a tree of fields names of a custom resource: everything under a field that stands for itself (None).

    `version` is that of the API, where the resource does not say it.
    """
    said = asdict(resource)
    metadata = said["metadata"]
    pruned = _pruned(tree, {**said, "metadata": asdict(metadata) if metadata else None})
    annotations = pruned.get("metadata", {}).get("annotations")
    if isinstance(annotations, dict):
        annotations.pop(_APPLIED, None)
    return {"apiVersion": said["apiVersion"] or version, "kind": kind, **pruned}


def _pruned(tree: Json, value: Json) -> Json:
    return {
        key: _pruned(inner, value[key]) if inner is not None and isinstance(value[key], dict) else value[key]
        for key, inner in tree.items()
        if value.get(key) is not None
    }


def _resource(kind: str, path: str, tree: Json, *others: str) -> Kind[Json]:
    """A kind of custom resources, called by its plural: the last word of the path."""
    version, _, name = path.removeprefix("/apis/").rpartition("/")
    keep = partial(_kept_resource, kind, version, tree)
    return Kind(name, path, _model(tree), keep, tuple(f"/apis/{other}/{name}" for other in others), optional=True)


_ABOUT: Json = {"name": None, "namespace": None, "labels": None, "annotations": None, "deletionTimestamp": None}
_MACHINE: Json = {"metadata": {"labels": None}, "spec": {"failureDomain": None, "taints": None}}
_MACHINES: Json = {
    "metadata": _ABOUT,
    "spec": {"clusterName": None, "replicas": None, "template": _MACHINE, "failureDomains": None},
}

NODES: Kind[Json] = Kind("nodes", "/api/v1/nodes", _Node, _kept_node)
NAMESPACES: Kind[Json] = Kind("namespaces", "/api/v1/namespaces", _Namespace, _kept_namespace)
NODE_POOLS = _resource(
    "NodePool",
    "/apis/karpenter.sh/v1/nodepools",
    {
        "metadata": _ABOUT,
        "spec": {
            "weight": None,
            "replicas": None,
            "template": {
                "metadata": {"labels": None},
                "spec": {"nodeClassRef": None, "requirements": None, "taints": None, "startupTaints": None},
            },
        },
        "status": {"nodes": None},
    },
)
NODE_CLAIMS = _resource(
    "NodeClaim",
    "/apis/karpenter.sh/v1/nodeclaims",
    {
        "metadata": {"name": None, "labels": None},
        "status": {"nodeName": None, "allocatable": None},
    },
)
MACHINE_DEPLOYMENTS = _resource(
    "MachineDeployment", "/apis/cluster.x-k8s.io/v1beta2/machinedeployments", _MACHINES, "cluster.x-k8s.io/v1beta1"
)
MACHINE_POOLS = _resource(
    "MachinePool", "/apis/cluster.x-k8s.io/v1beta2/machinepools", _MACHINES, "cluster.x-k8s.io/v1beta1"
)
MACHINE_SETS = _resource(
    "MachineSet", "/apis/cluster.x-k8s.io/v1beta2/machinesets", _MACHINES, "cluster.x-k8s.io/v1beta1"
)
RESOURCES: tuple[Kind[Json], ...] = (NODE_POOLS, NODE_CLAIMS, MACHINE_DEPLOYMENTS, MACHINE_POOLS, MACHINE_SETS)
"""The custom resources that pools are known from, besides Nodes. NodeOverlays are not among them: what they change is
the price and the extended resources by which Karpenter chooses among instance types, no label of a node."""


class Namespaces:
    """The Namespaces of a cluster: from memory, or, for one that is younger than the watch, from the API server."""

    def __init__(
        self, cluster: Cluster, metrics: Metrics, timing: Timing | None = None, seconds: float = SECONDS
    ) -> None:
        self.reflector = Reflector(cluster, NAMESPACES, lambda: None, metrics, timing)
        self._lookups = Lookups(cluster, NAMESPACES, metrics, seconds)

    def get(self, name: str) -> Mapping[str, Any] | None:
        """The Namespace from memory, or None."""
        return self.reflector.get(name)

    def find(self, name: str) -> Future[Json]:
        """The Namespace from the API server, in a second or two, or LookupFailedError."""
        return self._lookups.find(name)
