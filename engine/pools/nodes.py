"""Pools made from live Nodes: nodes that carry the same identifying label, and what they have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, TypeVar

from engine.documents import parse_quantity
from engine.nodeselector import ANY, one_of
from engine.pools.evidence import Seen, observed_pool
from engine.pools.membership import inventory_from_pools
from engine.pools.pool import Fact, Facts, Inventory, Labels, Pool, Stray, Taint
from engine.pools.providers import BY_POOL_LABEL, HOSTNAME, INSTANCE_TYPE, REGION, ZONE, pool_label_of, pool_label_order
from engine.pools.taints import lasting, taints_seen

T = TypeVar("T", int, float)
Node = Mapping[str, Any]
NodeGroup = tuple[str, str]
"""The identifying label that nodes share: key and value."""

MACHINE_LABELS = frozenset(
    {
        HOSTNAME,
        ZONE,
        REGION,
        INSTANCE_TYPE,
        "beta.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "karpenter.sh/capacity-type",
        "topology.k8s.aws/zone-id",
    }
)
"""Labels that belong to one machine. That all nodes carry the same value now says nothing about the next node."""

_MACHINE_FAMILIES = re.compile(r"(karpenter\.k8s\.[^/]+|eks\.amazonaws\.com)/instance-.+|karpenter\.azure\.com/sku-.+")

GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")


def is_machine_label(key: str) -> bool:
    """Whether a label belongs to one machine, so that it is never a pool's constant by observation."""
    return key in MACHINE_LABELS or is_of_instance_type(key)


def is_of_instance_type(key: str) -> bool:
    """Whether Karpenter says by a label what the instance type of a machine offers."""
    return _MACHINE_FAMILIES.fullmatch(key) is not None


def is_of_one_value(key: str) -> bool:
    """Whether each instance type has one value of a label: its name, and what Karpenter says of it."""
    return key == INSTANCE_TYPE or is_of_instance_type(key)


def inventory_from_nodes(nodes: Iterable[Node], pool_labels: Sequence[str] = ()) -> Inventory:
    """The pools of these Nodes (JSON as the API server prints it; labels, taints, allocatable and conditions do).

    `pool_labels` are the operator's own identifying labels: looked for after Karpenter's, before the other providers'.
    """
    groups, strays = group(nodes, pool_labels)
    pools = (pool_of(label, members) for label, members in groups.items())
    return inventory_from_pools(pools, len(strays), pool_labels, strays_of(strays))


def group(nodes: Iterable[Node], pool_labels: Sequence[str] = ()) -> tuple[dict[NodeGroup, list[Node]], list[Node]]:
    """Nodes by the first identifying label that they carry, and those that carry none."""
    order = pool_label_order(pool_labels)
    groups: dict[NodeGroup, list[Node]] = {}
    strays: list[Node] = []
    for node in nodes:
        labels = labels_of(node)
        key = pool_label_of(labels, order)
        members = strays if key is None else groups.setdefault((key, labels[key]), [])
        members.append(node)
    return groups, strays


def pool_of(label: NodeGroup, nodes: Sequence[Node]) -> Pool:
    """The pool of these nodes, which share an identifying label."""
    key, value = label
    known = BY_POOL_LABEL.get(key)
    return observed_pool(value, known.name if known else "", {key: value}, see(nodes))


def strays_of(nodes: Iterable[Node]) -> tuple[Stray, ...]:
    """Nodes of no pool as an inventory keeps them, by name."""
    each = ((node.get("metadata") or {}, node) for node in nodes)
    kept = (Stray(meta.get("name") or "", labels_of(node), lasting(taints_of(node))) for meta, node in each)
    return tuple(sorted(kept, key=lambda stray: (stray.name, sorted(stray.labels.items()), stray.taints)))


def labels_of(node: Node) -> Mapping[str, str]:
    """A node's labels."""
    metadata: Mapping[str, Any] = node.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    return labels


def name_of(node: Node) -> str:
    """A node's name."""
    metadata: Mapping[str, Any] = node.get("metadata") or {}
    return str(metadata.get("name") or "")


def annotations_of(node: Node) -> Mapping[str, str]:
    """A node's annotations that are text. A watch keeps those that say to which pool of Cluster API it belongs."""
    metadata: Mapping[str, Any] = node.get("metadata") or {}
    annotations = metadata.get("annotations")
    found = annotations.items() if isinstance(annotations, Mapping) else ()
    return {key: said for key, said in found if isinstance(said, str)}


def see(nodes: Sequence[Node]) -> Seen:
    """What these nodes, at least one, have in common, and in what they differ."""
    resources = [_allocatable(node) for node in nodes]
    return Seen(
        facts=_facts([labels_of(node) for node in nodes]),
        taints=taints_seen([taints_of(node) for node in nodes]),
        nodes=len(nodes),
        ready_nodes=sum(_is_ready(node) for node in nodes),
        cpu=_most(float(_amount(each, "cpu")) for each in resources if "cpu" in each),
        memory=_most(ceil(_amount(each, "memory")) for each in resources if "memory" in each),
        gpus=_most(
            int(sum(_amount(each, name) for name in GPU_RESOURCES if name in each)) for each in resources if each
        ),
    )


def _facts(all_labels: Sequence[Labels]) -> Facts:
    """What the labels of nodes show, by key: one value, or some; of a label that only some nodes carry, nothing."""
    values: dict[str, set[str]] = {}
    carriers: Counter[str] = Counter()
    for labels in all_labels:
        carriers.update(labels.keys())
        for key, value in labels.items():
            values.setdefault(key, set()).add(value)
    source = f"{len(all_labels)} nodes" if len(all_labels) > 1 else "one node"
    found = {}
    for key in sorted(values):
        seen = tuple(sorted(values[key]))
        if carriers[key] < len(all_labels):
            found[key] = Fact(ANY, True, f"{carriers[key]} of {source}", seen)
        else:
            found[key] = Fact(one_of(seen), True, source, seen, is_machine_label(key))
    return found


def _most(amounts: Iterable[T]) -> T | None:
    return max(amounts, default=None)


def taints_of(node: Node) -> list[Taint]:
    """A node's taints, transient ones included."""
    spec: Mapping[str, Any] = node.get("spec") or {}
    taints: Sequence[Mapping[str, str]] = spec.get("taints") or ()
    return [Taint(taint["key"], taint.get("value") or "", taint.get("effect") or "") for taint in taints]


def _is_ready(node: Node) -> bool:
    status: Mapping[str, Any] = node.get("status") or {}
    conditions: Sequence[Mapping[str, str]] = status.get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _allocatable(node: Node) -> Mapping[str, Any]:
    status: Mapping[str, Any] = node.get("status") or {}
    resources: Mapping[str, Any] = status.get("allocatable") or {}
    return resources


def _amount(resources: Mapping[str, Any], name: str) -> Fraction:
    said = resources.get(name)
    return _parsed(str(said)) if said is not None else _NOTHING


_NOTHING = Fraction(0)
_parsed = lru_cache(maxsize=16_384)(parse_quantity)
