"""Pools made from live Nodes: nodes that carry the same identifying label, and what they have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from math import ceil
from typing import Any

from engine.documents import parse_quantity
from engine.nodeselector import ANY, one_of
from engine.pools.evidence import Seen, observed_pool
from engine.pools.membership import inventory_from_pools
from engine.pools.pool import Fact, Facts, Inventory, Labels, Pool, Stray, Taint
from engine.pools.providers import BY_POOL_LABEL, HOSTNAME, INSTANCE_TYPE, REGION, ZONE, pool_label_of, pool_label_order
from engine.pools.taints import lasting, taints_seen

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
NODE_RESOURCES = ("cpu", "memory", *GPU_RESOURCES)


def is_machine_label(key: str) -> bool:
    """Whether a label belongs to one machine, so that it is never a pool's constant by observation."""
    return key in MACHINE_LABELS or is_of_instance_type(key)


@lru_cache(maxsize=4096)
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


def annotations_of(node: Node) -> Mapping[str, Any]:
    """A node's annotations; a watch keeps those that say whose pool of Cluster API's it is of."""
    metadata: Mapping[str, Any] = node.get("metadata") or {}
    annotations = metadata.get("annotations")
    return annotations if annotations and isinstance(annotations, Mapping) else _NO_ANNOTATIONS


def text_in(annotations: Mapping[str, Any], key: str) -> str:
    """What an annotation says, where that is text; empty where there is none."""
    said = annotations.get(key)
    return said if isinstance(said, str) else ""


def see(nodes: Sequence[Node]) -> Seen:
    """What these nodes, at least one, have in common, and in what they differ."""
    resources = [_allocatable(node) for node in nodes]
    return Seen(
        facts=_facts([labels_of(node) for node in nodes]),
        taints=taints_seen([taints_of(node) for node in nodes]),
        nodes=len(nodes),
        ready_nodes=sum(map(_is_ready, nodes)),
        cpu=float(cores) if (cores := _most(resources, ("cpu",))) is not None else None,
        memory=ceil(memory) if (memory := _most(resources, ("memory",))) is not None else None,
        gpus=int(gpus) if (gpus := _most(resources, GPU_RESOURCES, zero=True)) is not None else None,
    )


def _facts(all_labels: Sequence[Labels]) -> Facts:
    """What the labels of nodes show, by key: one value, or some; of a label that only some nodes carry, nothing."""
    values: dict[str, dict[str, int]] = {}
    for (key, value), count in Counter(chain.from_iterable(labels.items() for labels in all_labels)).items():
        values.setdefault(key, {})[value] = count
    source = f"{len(all_labels)} nodes" if len(all_labels) > 1 else "one node"
    found = {}
    for key in sorted(values):
        carried = values[key]
        seen, carriers = tuple(sorted(carried)), sum(carried.values())
        if carriers < len(all_labels):
            found[key] = Fact(ANY, True, f"{carriers} of {source}", seen)
        else:
            found[key] = Fact(one_of(seen), True, source, seen, is_machine_label(key))
    return found


def _most(resources: Iterable[Mapping[str, Any]], names: Sequence[str], *, zero: bool = False) -> Fraction | None:
    """The most of some resources together that a node has, None where none says; `zero` where one says others only."""
    amounts = {tuple(map(each.get, names)) for each in resources if each}
    told = (some for some in amounts if zero or any(said is not None for said in some))
    return max(map(_together, told), default=None)


def _together(amounts: Iterable[Any]) -> Fraction:
    """The sum of amounts, without those of which nothing is said."""
    said = [amount_of(str(amount)) for amount in amounts if amount is not None]
    return said[0] if len(said) == 1 else sum(said, _NOTHING)


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


_NO_ANNOTATIONS: Mapping[str, Any] = {}
_NOTHING = Fraction(0)
amount_of = lru_cache(maxsize=16_384)(parse_quantity)
"""A quantity, as `parse_quantity` reads it; the same few are read again and again."""
