"""Pods on their way into a cluster, from files: bare ones, those in lists, and those that workloads would make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.controllers import pod_of_workload, pod_template, user_of, workload_name
from engine.defaults import defaulted
from engine.document import Manifest
from engine.errors import RequestError
from engine.subject import Owner, Subject

Json = Any
Object = Mapping[str, Json]
DEFAULT_NAMESPACE = "default"
NAME_LABEL = "kubernetes.io/metadata.name"


def pods_from_documents(
    documents: Iterable[Manifest], *, namespace: str | None = None, request: Object | None = None
) -> tuple[Subject, ...]:
    """The pods in these documents, and those that the workloads in them would make, as a webhook would see them.

    Namespaces among the documents are matched by name. Objects of other kinds are left out. `namespace` is where a pod
    goes that does not say, `default` if None; `request` is laid over the request that is made up for each pod.
    Raises RequestError (file and field path) for a pod or workload that the API server would not take.
    """
    objects = [(place, data) for document in documents for place, data in _objects(document)]
    namespaces = {
        str(data["metadata"]["name"]): named(str(data["metadata"]["name"]), data)
        for place, data in objects
        if data.get("kind") == "Namespace" and _has_name(data, place)
    }
    subjects = (
        _subject(place, data, namespaces, namespace or DEFAULT_NAMESPACE, request or {}) for place, data in objects
    )
    return tuple(subject for subject in subjects if subject is not None)


def named(name: str, given: Object | None = None) -> Object:
    """A Namespace as the API server shows it: with the label that holds its name."""
    metadata: Object = (given or {}).get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), NAME_LABEL: name}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        **(given or {}),
        "metadata": {**metadata, "name": name, "labels": labels},
    }


def _objects(document: Manifest) -> Iterator[tuple[str, Object]]:
    """The objects of a document, those in lists one by one, each with its place for messages."""
    if not isinstance(document.data, Mapping):
        raise RequestError(document.source.name, "the document is not an object")
    yield from _unlisted(f"{document.source.name}: ", document.data)


def _unlisted(place: str, data: Object) -> Iterator[tuple[str, Object]]:
    kind, items = str(data.get("kind") or ""), data.get("items")
    if not (kind.endswith("List") and isinstance(items, list)):
        yield place, data
        return
    for at, item in enumerate(items):
        inside = f"{place}items[{at}]."
        if not isinstance(item, Mapping):
            raise RequestError(inside.rstrip("."), "this is not an object")
        typed = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield from _unlisted(inside, typed if kind != "List" else item)


def _has_name(data: Object, place: str) -> bool:
    _checked(data, {"metadata": _METADATA}, place)
    metadata = data.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str):
        return True
    raise RequestError(f"{place}metadata.name", "the namespace has no name")


def _subject(
    place: str, data: Object, namespaces: Mapping[str, Object], namespace: str, request: Object
) -> Subject | None:
    template = None if data.get("kind") == "Pod" else pod_template(data)
    if template is None and data.get("kind") != "Pod":
        return None
    inside = place if template is None else f"{place}{_path_of(data)}"
    if template is not None:
        _checked(data, WORKLOAD, place)
    _checked(data if template is None else template, POD, inside)
    return _made(place, inside, data, template, namespaces, namespace, request)


def _made(
    place: str,
    inside: str,
    data: Object,
    template: Object | None,
    namespaces: Mapping[str, Object],
    namespace: str,
    request: Object,
) -> Subject:
    metadata: Object = data.get("metadata") or {}
    where = str(metadata.get("namespace") or namespace)
    owner: Owner | None = None
    pod: Object
    if template is None:
        pod = {"apiVersion": "v1", "kind": "Pod", **data, "metadata": {**metadata, "namespace": where}}
    else:
        try:
            pod, owner = pod_of_workload(data, template, workload_name(data), where)
        except RequestError as error:
            raise RequestError(f"{place}{error.path}", error.message) from None
    pod = defaulted(pod, inside)
    return Subject(pod, namespaces.get(where) or named(where), _request(pod, where, request), owner)


def _path_of(workload: Object) -> str:
    return "spec.jobTemplate.spec.template." if workload.get("kind") == "CronJob" else "spec.template."


def _request(pod: Object, namespace: str, given: Object) -> Object:
    user = {**user_of(pod), **(given.get("userInfo") or {})}
    return {"operation": "CREATE", "namespace": namespace, "dryRun": False, **given, "userInfo": user}


# The shape that the API server insists on, where placement reads a pod

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
    "requiredDuringSchedulingIgnoredDuringExecution": [_POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": int, "podAffinityTerm": _POD_TERM}],
}
_AMOUNTS = {"limits": {"*": (str, int, float)}, "requests": {"*": (str, int, float)}}
_CONTAINER = {"name": str, "image": str, "env": [{}], "resources": _AMOUNTS, "ports": [{}]}
_METADATA = {
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
    "metadata": _METADATA,
    "spec": {
        "containers": [_CONTAINER],
        "initContainers": [_CONTAINER],
        "volumes": [{"name": str}],
        "resources": _AMOUNTS,
        "overhead": {"*": (str, int, float)},
        "nodeName": str,
        "nodeSelector": _LABELS,
        "priorityClassName": str,
        "serviceAccountName": str,
        "schedulerName": str,
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_NODE_TERM]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": int, "preference": _NODE_TERM}],
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


WORKLOAD: Check = {
    "apiVersion": str,
    "metadata": _METADATA,
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
    _checked(pod, POD, "")


def _checked(given: Object, wanted: Check, place: str) -> None:
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
