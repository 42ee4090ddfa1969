"""Karpenter's NodePools as declarations of pools.

What a NodePool's template says every node of it will carry. Start-up taints are gone by the time a pod may run, and are
left out (https://karpenter.sh/docs/concepts/nodepools/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.documents import RequestError
from engine.nodeselector import ANY, LabelStates, from_expression, integers
from engine.pools.evidence import Declared
from engine.pools.instance_types import gpus_of
from engine.pools.objects import Object, list_at, map_at, taints_at, text_at, text_of, texts_at
from engine.pools.pool import Fact, Facts, constants
from engine.pools.providers import GPU_COUNTS, INSTANCE_TYPE

POOL_LABEL = "karpenter.sh/nodepool"
SOURCE = "the NodePool"
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
    metadata = map_at(node_pool, "metadata", "")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError("metadata.name", "a NodePool needs a name")
    spec, status = map_at(node_pool, "spec", ""), map_at(node_pool, "status", "")
    template = map_at(spec, "template", "spec")
    inner = map_at(template, "spec", "spec.template")
    labels = {POOL_LABEL: name, **_node_class_label(inner), **_labels(template)}
    possible = _requirements(inner)
    facts = {key: Fact(states, source=SOURCE) for key, states in possible.items() if not states.impossible}
    facts |= constants(labels, source=SOURCE)
    return Declared(
        name=name,
        selector={POOL_LABEL: name},
        provider="karpenter",
        facts=facts,
        annotations=_annotations(metadata),
        taints=tuple(sorted(taints_at(inner, "taints", "spec.template.spec"))),
        startup_taints=tuple(sorted(taints_at(inner, "startupTaints", "spec.template.spec"))),
        templated=True,
        nodes=_count(status.get("nodes")),
        cpu=_largest(facts, "cpu"),
        memory=_bytes(_largest(facts, "memory")),
        gpus=_gpus(facts),
        weight=_count(spec.get("weight")),
        closed=True,
        least=dict(_least(inner)),
        source=SOURCE,
    )


def _labels(template: Object) -> dict[str, str]:
    return texts_at(map_at(template, "metadata", "spec.template"), "labels", "spec.template.metadata")


def _node_class_label(inner: Object) -> dict[str, str]:
    """Karpenter labels each node with its node class: `<group>/<kind in lower case>`."""
    path = "spec.template.spec.nodeClassRef"
    reference = map_at(inner, "nodeClassRef", "spec.template.spec")
    group, kind, name = (text_at(reference, key, path) for key in ("group", "kind", "name"))
    return {f"{group}/{kind.lower()}": name} if group and kind and name else {}


def _requirements(inner: Object) -> dict[str, LabelStates]:
    """The states that labels may be in, by what is required of them: all operators that a NodePool has.

    Karpenter's `Gte` and `Lte` include their bound. Of a `NotIn` it is not said whether the label is there.
    """
    possible: dict[str, LabelStates] = {}
    for at, each in enumerate(list_at(inner, "requirements", "spec.template.spec")):
        path = f"spec.template.spec.requirements[{at}]"
        if not isinstance(each, Mapping) or not isinstance(each.get("key"), str):
            raise RequestError(path, "a requirement needs a key")
        given = enumerate(list_at(each, "values", path))
        values = [text_of(value, f"{path}.values[{place}]") for place, value in given]
        key = _NORMALIZED.get(each["key"], each["key"])
        possible[key] = possible.get(key, ANY) & _states(str(each.get("operator")), values, path)
    return possible


def _least(inner: Object) -> Iterator[tuple[str, int]]:
    """How many values of a label the types of machines must have that are left (`minValues`); the most counts."""
    found: dict[str, int] = {}
    for each in list_at(inner, "requirements", "spec.template.spec"):
        key, least = _NORMALIZED.get(each["key"], each["key"]), _count(each.get("minValues"))
        if least:
            found[key] = max(least, found.get(key, 0))
    yield from sorted(found.items())


def _states(operator: str, values: Sequence[str], path: str) -> LabelStates:
    if operator in ("Gte", "Lte"):
        bound = _integer(values, path)
        return integers(max(bound, 0)) if operator == "Gte" else integers(0, bound)
    if operator in ("Gt", "Lt"):
        _integer(values, path)
    elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        raise RequestError(f"{path}.operator", f"`{operator}` is not an operator of a requirement")
    return from_expression({"operator": operator, "values": list(values)})


def _integer(values: Sequence[str], path: str) -> int:
    try:
        (bound,) = map(int, values)
    except ValueError:
        raise RequestError(f"{path}.values", "a bound must be one integer") from None
    return bound


_NORMALIZED: Mapping[str, str] = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
"""Karpenter reads the old names of labels as the new ones (pkg/apis/v1/labels.go, NormalizedLabels)."""

_SIZES: Mapping[str, Sequence[str]] = {
    "cpu": ("karpenter.k8s.aws/instance-cpu", "karpenter.azure.com/sku-cpu", "karpenter.k8s.gcp/instance-cpu"),
    "memory": (
        "karpenter.k8s.aws/instance-memory",
        "karpenter.azure.com/sku-memory",
        "karpenter.k8s.gcp/instance-memory",
    ),
    "gpus": GPU_COUNTS,
}
"""The labels that say how large an instance is, as Karpenter's providers name them: cores, MiB, GPUs."""


def _largest(facts: Facts, what: str) -> int | None:
    """The most that a requirement lists of something; None where it lists nothing, or has bounds only."""
    for key in _SIZES[what]:
        values = facts[key].values if key in facts else None
        if values and all(value.isdigit() for value in values):
            return max(map(int, values))
    return None


def _bytes(mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes << 20


def _gpus(facts: Facts) -> int | None:
    """The GPUs of the largest node: as a requirement lists them, else those of the instance types that it lists."""
    listed = _largest(facts, "gpus")
    if listed is not None or INSTANCE_TYPE not in facts:
        return listed
    counts = [gpus_of(each) for each in facts[INSTANCE_TYPE].values or ()]
    known = [count for count in counts if count is not None]
    return max(known) if known and len(known) == len(counts) else None


def _annotations(metadata: Object) -> dict[str, str]:
    annotations = texts_at(metadata, "annotations", "metadata")
    return {key: said for key, said in annotations.items() if not key.startswith(_OWN_ANNOTATIONS)}


def _count(said: object) -> int | None:
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None
