"""IncomingPod, what a decision is about: one pod on its way into the cluster. And Owner, the workload that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.struct import Marked

Json = Any
Object = Mapping[str, Json]


class Owner(NamedTuple):
    """The workload that a pod belongs to, as its author knows it (the Deployment, not its ReplicaSet)."""

    api_version: str
    kind: str
    name: str


class IncomingPod(Marked, frozen=True):
    """A pod with what surrounds it; all three objects are plain JSON as the API server prints it.

    `request` has the keys of `request` in expressions: `operation`, `namespace`, `dryRun` and `userInfo` (`username`,
    `uid`, `groups`). `owner` is the workload whose template made the pod, None for a bare pod or where it is not known.
    `uid` is the admission request's, which each has for itself, or that of a pod in a file; empty for a template.
    `namespace_unknown` says why nothing but the name is known of the Namespace, and is empty where all of it is: then
    `namespace` holds just that, and a policy that reads more than it fails.
    `unread` says why nothing but the name of a pod is known, and its node's if it names one, and is empty where it is:
    then a policy that may be about it fails.
    `template` is that of the DaemonSet which the pod stands for, as it is written there; None for all others.
    """

    unprinted = ("pod", "template")

    pod: Object
    namespace: Object
    request: Object
    owner: Owner | None = None
    uid: str = ""
    namespace_unknown: str = ""
    template: Object | None = None
    unread: str = ""

    @property
    def name(self) -> str:
        """The workload's name, or the pod's own, or what it is generated from."""
        metadata: Object = self.pod.get("metadata") or {}
        return self.owner.name if self.owner else str(metadata.get("name") or metadata.get("generateName") or "")

    @property
    def namespace_name(self) -> str:
        """The name of the namespace that the pod is created in."""
        metadata: Object = self.namespace.get("metadata") or {}
        return str(metadata.get("name") or self.request.get("namespace") or "")
