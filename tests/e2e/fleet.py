"""The nodes that the tests place pods on, labelled as GKE labels those of a node pool."""

from __future__ import annotations

from collections.abc import Mapping

from .controlplane import ControlPlane

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
ZONE = "topology.kubernetes.io/zone"


def add_general(cluster: ControlPlane, name: str, labels: Mapping[str, str] | None = None) -> None:
    """A node of the pool `general`."""
    cluster.add_node(name, {"cloud.google.com/gke-nodepool": "general", ZONE: "eu-1a", **(labels or {})})


def add_gpu(cluster: ControlPlane, name: str, labels: Mapping[str, str] | None = None) -> None:
    """A node of the pool `gpu`, which other pods are kept off."""
    own = {"cloud.google.com/gke-nodepool": "gpu", "accelerator": "nvidia-a100", ZONE: "eu-1a"}
    cluster.add_node(name, {**own, **(labels or {})}, [GPU_TAINT], {"nvidia.com/gpu": "8"})
