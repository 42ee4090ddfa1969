"""`namespaceObject`: a Namespace as Kubernetes shows it to its own policies.

Source: k8s.io/apiserver/pkg/admission/plugin/cel (CreateNamespaceObject, BuildNamespaceType), v1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any
Object = Mapping[str, Json]

NAME_LABEL = "kubernetes.io/metadata.name"

SHOWN = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
)
"""What is shown of a Namespace's metadata; of `spec` and `status`, everything."""


def namespace_object(given: Object) -> Object:
    """A Namespace without what policies are not shown, and without fields that are empty, as the API server writes it.

    Moments are texts, as in JSON: so they are to Kubernetes' own policies, whatever their type says.
    """
    metadata: Object = given.get("metadata") or {}
    shown = {key: metadata[key] for key in SHOWN if metadata.get(key) not in (None, "", 0, {}, [])}
    if metadata.get("deletionGracePeriodSeconds") == 0:
        shown["deletionGracePeriodSeconds"] = 0
    rest = {key: _without_empty(given[key]) for key in ("spec", "status") if given.get(key) is not None}
    return {"metadata": shown, **rest}


def named(name: str, given: Object | None = None) -> Object:
    """The `namespaceObject` of a Namespace by its name: with the label that the API server gives it."""
    metadata: Object = (given or {}).get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), NAME_LABEL: name}
    return namespace_object({**(given or {}), "metadata": {**metadata, "name": name, "labels": labels}})


def _without_empty(part: Json) -> Json:
    return {key: value for key, value in part.items() if value not in (None, "", [])}
