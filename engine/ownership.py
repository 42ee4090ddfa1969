"""Whose pod it is: the workload behind a pod, and on which side of a rollout it falls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from engine.subject import Owner, Subject

_HASHES = {
    "pod-template-hash": ("apps/v1", "Deployment"),
    "rollouts-pod-template-hash": ("argoproj.io/v1alpha1", "Rollout"),
}
"""By the label that ends a ReplicaSet's name: who made it. Argo Rollouts do as Deployments do."""

_SCHEDULED = re.compile(r"-\d{8,}$")


def owner_of(subject: Subject) -> Owner | None:
    """The workload as its author knows it: the Deployment rather than its ReplicaSet, the CronJob rather than its Job.

    A ReplicaSet is called like its Deployment, a dash and the label `pod-template-hash`; the Job of a CronJob ends in
    the minute that it was scheduled for (https://kubernetes.io/docs/concepts/workloads/controllers/).
    """
    return subject.owner or _owner_shown(subject.pod.get("metadata") or {})


def _owner_shown(metadata: Mapping[str, Any]) -> Owner | None:
    """The workload as far as the pod itself shows it."""
    reference = controller(metadata)
    if reference is None:
        return None
    kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
    version = str(reference.get("apiVersion", ""))
    for label, (group, owner) in _HASHES.items() if kind == "ReplicaSet" else ():
        suffix = f"-{(metadata.get('labels') or {}).get(label, '')}"
        if len(suffix) > 1 and name.endswith(suffix):
            return Owner(group, owner, name.removesuffix(suffix))
    if kind == "Job" and _SCHEDULED.search(name):
        return Owner(version, "CronJob", _SCHEDULED.sub("", name))
    return Owner(version, kind, name)


def controller(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of the controller that made a pod, None for a bare pod."""
    references = metadata.get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def rolled_out(policy: str, percent: int, subject: Subject) -> bool:
    """Whether a policy has reached a workload, which stays on its side while the percentage grows.

    Only what the pod itself shows counts, for a webhook sees nothing else: a file must not fall on another side. Nor
    must a pod once the API server has given it a name: of one that asks for that, `generateName` is what counts.
    """
    if percent >= 100:
        return True
    metadata: Mapping[str, Any] = subject.pod.get("metadata") or {}
    owner = _owner_shown(metadata)
    name = owner.name if owner else str(metadata.get("generateName") or metadata.get("name") or "")
    identity = (policy, subject.namespace_name, owner.kind if owner else "Pod", name)
    digest = hashlib.sha256("\0".join(identity).encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 < percent << 64
