"""Karpenter beside a control plane: its own core, with the provider that makes Nodes without machines (KWOK).

It sees a cluster's pending pods and NodePools and makes NodeClaims and Nodes, as on a cloud; what it may choose from
are the `INSTANCE_TYPES` below. `Karpenter` is what a test can do with it, `node_pool` and the like are the objects.

What differs from a cloud, and why:
- Nodes stay without a kubelet, so they are never Ready; the scheduler binds pods to them all the same.
- A Node's label `kubernetes.io/hostname` is the name of its NodeClaim, and its capacity is wrong (allocatable is not).
- Every offering is always available: what is out of stock is a NodePool whose `limits` are reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .controlplane import ControlPlane, Json, wait_for
from .processes import Process, free_ports

API = "/apis/karpenter.sh/v1"
POOL_LABEL = "karpenter.sh/nodepool"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
ARCH = "kubernetes.io/arch"
FAMILY = "karpenter.kwok.sh/instance-family"
CPU = "karpenter.kwok.sh/instance-cpu"
ZONES = {"eu-1a": "eu-1", "eu-1b": "eu-1", "us-1a": "us-1"}
"""Zones of all instance types, with their regions."""
SPOT_PRICE = 0.3
"""Of an on-demand instance's price."""
NODE_CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
TAIL = 4_000
SYSTEM = "kube-system"
"""The namespace that Karpenter takes for its own; it must exist."""


def instance_type(name: str, cpu: int, *, arch: str = "amd64", gpus: int = 0, dearer: float = 1.0) -> Json:
    """A type of machine with 4 GiB for each CPU, spot and on-demand in every zone; its family is what its name begins
    with.
    """
    price = cpu * 0.05 * dearer
    offerings = [
        {
            "Price": price * (SPOT_PRICE if capacity == "spot" else 1.0),
            "Available": True,
            "Requirements": [
                {"key": CAPACITY_TYPE, "operator": "In", "values": [capacity]},
                {"key": ZONE, "operator": "In", "values": [zone]},
                {"key": REGION, "operator": "In", "values": [region]},
            ],
        }
        for zone, region in ZONES.items()
        for capacity in ("spot", "on-demand")
    ]
    resources = {"cpu": str(cpu), "memory": f"{cpu * 4}Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    return {
        "name": name,
        "architecture": arch,
        "operatingSystems": ["linux"],
        "resources": {**resources, **({"nvidia.com/gpu": str(gpus)} if gpus else {})},
        "offerings": offerings,
    }


INSTANCE_TYPES = [
    instance_type("general-4x", 4),
    instance_type("general-16x", 16),
    instance_type("arm-8x", 8, arch="arm64", dearer=1.5),
    instance_type("gpu-8x", 8, gpus=4, dearer=10.0),
    instance_type("gpu-32x", 32, gpus=8, dearer=10.0),
]


def requirement(key: str, operator: str, *values: str, min_values: int | None = None) -> Json:
    """A requirement of a NodePool."""
    needed = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    return {**needed, **({"minValues": min_values} if min_values is not None else {})}


def node_pool(
    name: str,
    *requirements: Json,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    startup_taints: Sequence[Mapping[str, str]] = (),
    weight: int | None = None,
    limits: Mapping[str, str] | None = None,
) -> Json:
    """A NodePool whose nodes are neither consolidated nor do they expire; `labels` are those of its template."""
    spec: dict[str, Any] = {
        "template": {
            "metadata": {"labels": dict(labels or {})},
            "spec": {
                "nodeClassRef": NODE_CLASS,
                "requirements": list(requirements),
                "taints": [dict(taint) for taint in taints],
                "startupTaints": [dict(taint) for taint in startup_taints],
                "expireAfter": "Never",
            },
        },
        "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"},
    }
    spec |= {"weight": weight} if weight is not None else {}
    spec |= {"limits": dict(limits)} if limits is not None else {}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Karpenter:
    """A running Karpenter, and what a test does with it."""

    cluster: ControlPlane
    """The control plane that it acts on, and nobody else's."""
    _process: Process

    def output(self) -> str:
        """Its log so far: JSON lines."""
        return self._process.output()

    def tail(self) -> str:
        """The end of its log so far."""
        return self.output()[-TAIL:]

    def add(self, *pools: Json) -> None:
        """Create NodePools, or change them, and wait until Karpenter takes them for ready."""
        self.cluster.apply(*pools)
        names = [pool["metadata"]["name"] for pool in pools]
        wait_for(lambda: all(self._ready(name) for name in names), f"NodePools {names} to be ready", self.pools)

    def remove(self, name: str) -> None:
        """Delete a NodePool, and wait until it is gone with its nodes: pods on them lose their place."""
        self.cluster.api("DELETE", f"{API}/nodepools/{name}")
        wait_for(lambda: self.cluster.request("GET", f"{API}/nodepools/{name}").status_code == 404, f"`{name}` to go")
        wait_for(lambda: name not in self.nodes().values(), f"the nodes of `{name}` to go", self.nodes)

    def remove_all(self) -> None:
        """Have all NodePools deleted, without waiting."""
        self.cluster.api("DELETE", f"{API}/nodepools")

    def pool(self, name: str) -> Json:
        """A NodePool as it is now."""
        return self.cluster.api("GET", f"{API}/nodepools/{name}")

    def pools(self) -> list[Json]:
        """The NodePools as they are now."""
        found: list[Json] = self.cluster.api("GET", f"{API}/nodepools")["items"]
        return found

    def claims(self) -> list[Json]:
        """The NodeClaims as they are now."""
        found: list[Json] = self.cluster.api("GET", f"{API}/nodeclaims")["items"]
        return found

    def nodes(self) -> dict[str, str]:
        """The Nodes that are there now and not about to go, with the NodePool that each was made for, "" if none."""
        return {
            node["metadata"]["name"]: node["metadata"].get("labels", {}).get(POOL_LABEL, "")
            for node in self.cluster.api("GET", "/api/v1/nodes")["items"]
        }

    def node(self, name: str) -> Json:
        """A Node as it is now."""
        return self.cluster.api("GET", f"/api/v1/nodes/{name}")

    def wait_told(self, namespace: str, pod: str) -> str:
        """Wait until Karpenter has said why it makes no node for a pod; the last of what it said."""

        def told() -> str:
            events = self.cluster.api("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
            about = [event for event in events if event["involvedObject"].get("name") == pod]
            said = [event["message"] for event in about if event["source"].get("component") == "karpenter"]
            return next((message for message in reversed(said) if "Failed to schedule" in message), "")

        return wait_for(told, f"Karpenter to say why it makes no node for `{pod}`", self.tail)

    def sweep(self) -> None:
        """Remove what a test left behind: pods, NodePools, their nodes and what `ControlPlane.sweep` removes."""
        self.remove_all()
        self.cluster.sweep()
        wait_for(lambda: not (self.pools() or self.claims() or self.nodes()), "Karpenter to clear up", self.tail)

    def _ready(self, name: str) -> bool:
        pool = self.pool(name)
        conditions = pool.get("status", {}).get("conditions", [])
        return any(
            one["type"] == "Ready"
            and one["status"] == "True"
            and one.get("observedGeneration", 0) >= pool["metadata"]["generation"]
            for one in conditions
        )


@contextmanager
def start(cluster: ControlPlane, feature_gates: str = "NodeOverlay=true") -> Iterator[Karpenter]:
    """Run Karpenter on a control plane, to which its resource definitions are added, and end it at the end."""
    program = cluster.programs["karpenter-kwok"]
    cluster.define(program.with_name(f"{program.name}.crds"))
    cluster.apply(
        {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": NODE_CLASS["kind"], "metadata": {"name": "default"}}
    )
    types = cluster.folder / "instance-types.json"
    types.write_text(json.dumps(INSTANCE_TYPES))
    metrics, health = free_ports(2)
    environment: dict[str, str | Path] = {
        "KUBECONFIG": cluster.kubeconfig,
        "SYSTEM_NAMESPACE": SYSTEM,
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(metrics),
        "HEALTH_PROBE_PORT": str(health),
        "BATCH_IDLE_DURATION": "200ms",
        "BATCH_MAX_DURATION": "1s",
        "INSTANCE_TYPES_FILE_PATH": types,
        "FEATURE_GATES": feature_gates,
    }
    process = Process([program], cluster.folder / "karpenter.log", environment=environment)
    try:
        wait_for(lambda: healthy(process, health), "Karpenter", process.output)
        yield Karpenter(cluster, process)
    finally:
        process.kill()


def healthy(process: Process, port: int) -> bool:
    """Whether a controller says on a port of its own that it is ready; fails if it has ended."""
    assert process.exit_status is None, f"{process.command} ended\n{process.output()}"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False
