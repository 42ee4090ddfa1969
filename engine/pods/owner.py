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

_TEMPLATED = frozenset(
    {
        ("", "ReplicationController"),
        ("apps", "DaemonSet"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("argoproj.io", "Rollout"),
        ("batch", "Job"),
    }
)
"""Group and kind of what makes all its pods of one template, and adds labels that are known."""

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


def free_owner(metadata: Mapping[str, Any]) -> str:
    """The owner of a pod, if it may label each of its pods as it likes; empty where all carry their template's labels.

    A pod without any owner has the labels that its author gave it. Operators (Strimzi, Spark, CloudNativePG) make pods
    one by one, and write the pod's own name into its labels.
    """
    references = metadata.get("ownerReferences") or ()
    owner = controller(metadata) or next(iter(references), None)
    if owner is None:
        return ""
    group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
    kind = str(owner.get("kind", ""))
    return "" if (group, kind) in _TEMPLATED and version else f"{kind} {owner.get('name', '')}"
