"""Whose pod it is: the workload behind a pod."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.pods.incoming import IncomingPod, Owner

_HASHES = {
    "pod-template-hash": ("apps/v1", "Deployment"),
    "rollouts-pod-template-hash": ("argoproj.io/v1alpha1", "Rollout"),
}
"""By the label that ends a ReplicaSet's name: who made it. Argo Rollouts do as Deployments do."""

_SCHEDULED = re.compile(r"-\d{8,}$")


def owner_of(incoming: IncomingPod) -> Owner | None:
    """The workload as its author knows it: the Deployment rather than its ReplicaSet, the CronJob rather than its Job.

    A ReplicaSet is called like its Deployment, a dash and the label `pod-template-hash`; the Job of a CronJob ends in
    the minute that it was scheduled for (https://kubernetes.io/docs/concepts/workloads/controllers/).
    """
    return incoming.owner or owner_in_pod(incoming.pod.get("metadata") or {})


def owner_in_pod(metadata: Mapping[str, Any]) -> Owner | None:
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
