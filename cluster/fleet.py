"""What pools are known from in a cluster: its Nodes, and the custom resources of those who make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cluster.client import Cluster, ClusterError, InCluster, connect
from cluster.listing import RefusedError, kept
from cluster.objects import NODES, RESOURCES
from cluster.reflector import Reflector, Timing
from telemetry import Metrics

Json = dict[str, Any]


class Fleet(NamedTuple):
    """The Nodes of a cluster at one time, the custom resources, and what could not be read of them, in words."""

    nodes: Sequence[Json]
    resources: Sequence[Json]
    unread: tuple[str, ...] = ()


def fleet_of(kubeconfig: str | None, context: str | None, in_cluster: InCluster = "no") -> Fleet:
    """What there is now, read once. Raises ClusterError where the Nodes can't be read."""
    cluster = connect(kubeconfig, context, in_cluster)
    resources: list[Json] = []
    unread: list[str] = []
    try:
        nodes = kept(cluster, NODES, NODES.path)
        for kind in RESOURCES:
            for path in kind.paths:
                try:
                    resources += kept(cluster, kind, path)
                except RefusedError as refusal:
                    if refusal.status == 404:
                        continue
                    unread.append(f"{kind.name} can't be read: {refusal}")
                except ClusterError as error:
                    unread.append(f"{kind.name} can't be read: {error}")
                break
    finally:
        cluster.close()
    return Fleet(nodes, resources, tuple(unread))


class FleetWatch:
    """What there is, followed while it changes. `changed` is called from other threads after each change."""

    def __init__(
        self, cluster: Cluster, changed: Callable[[], None], metrics: Metrics, timing: Timing | None = None
    ) -> None:
        kinds = (NODES, *RESOURCES)
        self.reflectors = tuple(Reflector(cluster, kind, changed, metrics, timing) for kind in kinds)

    def take(self) -> Fleet | None:
        """What there is now: the same object as long as it has not changed. None until it is known what there is."""
        if not all(each.answered for each in self.reflectors):
            return None
        nodes, *others = self.reflectors
        resources = [resource for reflector in others for resource in reflector.items()]
        return Fleet(nodes.items(), resources, tuple(self._unread()))

    def _unread(self) -> Sequence[str]:
        return [f"{each.kind.name} can't be read: {each.problem}" for each in self.reflectors[1:] if not each.readable]
