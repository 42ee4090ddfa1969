"""Whose pod it is: the workload behind a pod, and on which side of a rollout it falls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from engine.subject import Owner, Subject

_SCHEDULED = re.compile(r"-\d{8,}$")


def owner_of(subject: Subject) -> Owner | None:
    """The workload as its author knows it: the Deployment rather than its ReplicaSet, the CronJob rather than its Job.

    A ReplicaSet is called like its Deployment, a dash and the label `pod-template-hash`; the Job of a CronJob ends in
    the minute that it was scheduled for (https://kubernetes.io/docs/concepts/workloads/controllers/).
    """
    if subject.owner is not None:
        return subject.owner
    metadata: Mapping[str, Any] = subject.pod.get("metadata") or {}
    reference = controller(metadata)
    if reference is None:
        return None
    kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
    version = str(reference.get("apiVersion", ""))
    suffix = "-" + str((metadata.get("labels") or {}).get("pod-template-hash", ""))
    if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
        return Owner(version, "Deployment", name.removesuffix(suffix))
    if kind == "Job" and _SCHEDULED.search(name):
        return Owner(version, "CronJob", _SCHEDULED.sub("", name))
    return Owner(version, kind, name)


def controller(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of the controller that made a pod, None for a bare pod."""
    references = metadata.get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def rolled_out(policy: str, percent: int, subject: Subject) -> bool:
    """Whether a policy has reached a workload, which stays on its side while the percentage grows."""
    if percent >= 100:
        return True
    owner = owner_of(subject)
    identity = (
        policy,
        subject.namespace_name,
        owner.kind if owner else "Pod",
        subject.name if owner is None else owner.name,
    )
    digest = hashlib.sha256("\0".join(identity).encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 < percent << 64
