"""Karpenter's NodePools as declarations of pools.

What a NodePool's template says every node of it will carry. Start-up taints are gone by the time a pod may run, and are
left out (https://karpenter.sh/docs/concepts/nodepools/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.documents import RequestError
from engine.pools.evidence import Declared
from engine.pools.pool import Taint

Object = Mapping[str, Any]
POOL_LABEL = "karpenter.sh/nodepool"
_OWN_ANNOTATIONS = ("karpenter.sh/", "kubectl.kubernetes.io/")


def is_node_pool(data: object) -> bool:
    """Whether this is a NodePool of Karpenter, of any version."""
    return (
        isinstance(data, Mapping)
        and data.get("kind") == "NodePool"
        and str(data.get("apiVersion", "")).startswith("karpenter.sh/")
    )


def declared(node_pool: Object) -> Declared:
    """What a NodePool says about its nodes. Raises RequestError where it is not shaped like one."""
    metadata = _map(node_pool, "metadata", "")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError("metadata.name", "a NodePool needs a name")
    spec, status = _map(node_pool, "spec", ""), _map(node_pool, "status", "")
    template = _map(spec, "template", "spec")
    inner = _map(template, "spec", "spec.template")
    labels = {POOL_LABEL: name, **_node_class_label(inner), **_labels(template)}
    possible = _requirements(inner)
    return Declared(
        name=name,
        selector={POOL_LABEL: name},
        provider="karpenter",
        labels={**{key: values[0] for key, values in possible.items() if len(values) == 1}, **labels},
        values={key: values for key, values in possible.items() if len(values) != 1 and key not in labels},
        annotations=_annotations(metadata),
        taints=tuple(sorted(_taints(inner, "taints"))),
        startup_taints=tuple(sorted(_taints(inner, "startupTaints"))),
        templated=True,
        nodes=_count(status.get("nodes")),
        weight=_count(spec.get("weight")),
    )


def _labels(template: Object) -> dict[str, str]:
    labels = _map(_map(template, "metadata", "spec.template"), "labels", "spec.template.metadata")
    return {str(key): str(value) for key, value in labels.items()}


def _node_class_label(inner: Object) -> dict[str, str]:
    """Karpenter labels each node with its node class: `<group>/<kind in lower case>`."""
    reference = _map(inner, "nodeClassRef", "spec.template.spec")
    group, kind, name = (reference.get(key) for key in ("group", "kind", "name"))
    return {f"{group}/{str(kind).lower()}": str(name)} if group and kind and name else {}


def _requirements(inner: Object) -> dict[str, tuple[str, ...]]:
    """The values that labels may have, where that is a list: the `In` requirements met, less the `NotIn` ones."""
    possible: dict[str, set[str]] = {}
    excluded: dict[str, set[str]] = {}
    for at, each in enumerate(_list(inner, "requirements", "spec.template.spec")):
        path = f"spec.template.spec.requirements[{at}]"
        if not isinstance(each, Mapping) or not isinstance(each.get("key"), str):
            raise RequestError(path, "a requirement needs a key")
        values = {str(value) for value in _list(each, "values", path)}
        key, operator = each["key"], each.get("operator")
        if operator == "In":
            possible[key] = possible[key] & values if key in possible else values
        elif operator == "NotIn":
            excluded.setdefault(key, set()).update(values)
    return {key: tuple(sorted(values - excluded.get(key, set()))) for key, values in possible.items()}


def _taints(inner: Object, field: str) -> list[Taint]:
    taints = []
    for at, each in enumerate(_list(inner, field, "spec.template.spec")):
        if not isinstance(each, Mapping) or not isinstance(each.get("key"), str):
            raise RequestError(f"spec.template.spec.{field}[{at}]", "a taint needs a key")
        taints.append(Taint(each["key"], str(each.get("value") or ""), str(each.get("effect") or "")))
    return taints


def _annotations(metadata: Object) -> dict[str, str]:
    annotations = _map(metadata, "annotations", "metadata")
    return {str(key): str(said) for key, said in annotations.items() if not str(key).startswith(_OWN_ANNOTATIONS)}


def _map(value: Object, key: str, path: str) -> Object:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise RequestError(f"{path}.{key}".lstrip("."), "this must be a map")
    return found


def _list(value: Object, key: str, path: str) -> Sequence[Any]:
    found = value.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise RequestError(f"{path}.{key}", "this must be a list")
    return found


def _count(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None
