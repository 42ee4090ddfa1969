"""The types that the API server insists on in a pod or workload, where the engine reads it. Others are not checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.documents import RequestError
from engine.names import PREFERRED, REQUIRED

Json = Any
Object = Mapping[str, Json]


Check = Any
"""A type, `[check]` for a list, `{"*": check}` for a map, `{field: check}` for an object that may have other fields."""

_LABELS = {"*": str}
_REQUIREMENT = {"key": str, "operator": str, "values": [str]}
_SELECTOR = {"matchLabels": _LABELS, "matchExpressions": [_REQUIREMENT]}
_NODE_TERM = {"matchExpressions": [_REQUIREMENT], "matchFields": [_REQUIREMENT]}
_POD_TERM = {
    "topologyKey": str,
    "labelSelector": _SELECTOR,
    "namespaceSelector": _SELECTOR,
    "namespaces": [str],
    "matchLabelKeys": [str],
    "mismatchLabelKeys": [str],
}
_POD_AFFINITY = {
    REQUIRED: [_POD_TERM],
    PREFERRED: [{"weight": int, "podAffinityTerm": _POD_TERM}],
}
QUANTITY = (str, int, float)
_AMOUNTS = {"limits": {"*": QUANTITY}, "requests": {"*": QUANTITY}}
_CONTAINER = {"name": str, "image": str, "env": [{}], "resources": _AMOUNTS, "ports": [{}]}
METADATA = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "uid": str,
    "generation": int,
    "labels": _LABELS,
    "annotations": _LABELS,
    "finalizers": [str],
    "ownerReferences": [{"apiVersion": str, "kind": str, "name": str, "controller": bool}],
}
POD: Check = {
    "metadata": METADATA,
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "volumes": [{"name": str}],
        "resources": _AMOUNTS,
        "overhead": {"*": QUANTITY},
        "nodeName": str,
        "nodeSelector": _LABELS,
        "priorityClassName": str,
        "serviceAccountName": str,
        "schedulerName": str,
        "affinity": {
            "nodeAffinity": {
                REQUIRED: {"nodeSelectorTerms": [_NODE_TERM]},
                PREFERRED: [{"weight": int, "preference": _NODE_TERM}],
            },
            "podAffinity": _POD_AFFINITY,
            "podAntiAffinity": _POD_AFFINITY,
        },
        "tolerations": [{"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}],
        "topologySpreadConstraints": [
            {
                "topologyKey": str,
                "whenUnsatisfiable": str,
                "maxSkew": int,
                "minDomains": int,
                "labelSelector": _SELECTOR,
                "matchLabelKeys": [str],
            }
        ],
    },
}


NAMESPACE: Check = {
    "metadata": {
        **METADATA,
        "resourceVersion": str,
        "creationTimestamp": str,
        "deletionTimestamp": str,
        "deletionGracePeriodSeconds": int,
    },
    "spec": {"finalizers": [str]},
    "status": {"phase": str, "conditions": [{"*": str}]},
}


WORKLOAD: Check = {
    "apiVersion": str,
    "metadata": METADATA,
    "spec": {
        "serviceName": str,
        "ordinals": {"start": int},
        "volumeClaimTemplates": [{"metadata": {"name": str}}],
        "completionMode": str,
        "manualSelector": bool,
    },
}


def check_pod(pod: Object) -> None:
    """Raises RequestError, with the field's path, where the API server could not decode a pod or a pod template."""
    check_object(pod, POD, "")


def check_object(given: Object, wanted: Check, place: str) -> None:
    """Raises RequestError, with the field's path after `place`, where an object does not pass a check."""
    try:
        _check(given, wanted, "")
    except RequestError as error:
        raise RequestError(f"{place}{error.path}", error.message) from None
    spec: Object = given.get("spec") or {}
    if wanted is POD and not spec.get("containers"):
        raise RequestError(f"{place}spec.containers", "a pod needs a container")


_TYPES = {str: "text", int: "a whole number", bool: "true or false"}


def _check(value: Json, wanted: Check, path: str) -> None:
    if value is None:
        return
    if isinstance(wanted, list):
        if not isinstance(value, list):
            raise RequestError(path, "this must be a list")
        for at, item in enumerate(value):
            if item is None:
                raise RequestError(f"{path}[{at}]", "an item of a list can't be null")
            _check(item, wanted[0], f"{path}[{at}]")
    elif isinstance(wanted, dict):
        if not isinstance(value, Mapping):
            raise RequestError(path, "this must be a map")
        for key, item in value.items():
            _check(item, wanted.get("*", wanted.get(key, object)), f"{path}.{key}" if path else str(key))
    elif not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
        scalar = isinstance(value, (bool, int, float))
        quote = f": quote `{str(value).lower()}`" if wanted is str and scalar else ""
        raise RequestError(path, f"this must be {_TYPES.get(wanted, 'a quantity')}{quote}")
