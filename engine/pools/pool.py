"""Pool, what is known of nodes that are alike; Taint; Inventory, the pools of a cluster together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.pools.providers import POOL_FIELDS, POOL_LABELS, capacity

Labels = Mapping[str, str]
LabelValues = Mapping[str, tuple[str, ...]]


class Taint(NamedTuple):
    """A taint of a node: NoSchedule, PreferNoSchedule or NoExecute. `value` may be empty.

    A pool's taint is `partial` where only some of its nodes have it: nothing follows for the others.
    """

    key: str
    value: str
    effect: str
    partial: bool = False

    def __str__(self) -> str:
        """As kubectl writes it: `key=value:effect`."""
        return f"{self.key}{'=' if self.value else ''}{self.value}:{self.effect}"


class Stray(NamedTuple):
    """A node that belongs to no pool: its name, labels, and taints that last."""

    name: str
    labels: Labels
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of nodes that are alike for scheduling.

    `labels` is what every node of it carries, the selector's labels included; `values` maps each label that varies to
    the values that nodes may carry, sorted. `cpu` is in cores and `memory` in bytes, `gpus` a count, each of the node
    that has most of it; 0 where nobody knows. `price` is per hour. `observed` has the keys of `labels` and `values`
    that are known from nodes alone; `declared` is false for a pool made from nodes alone, where what no node carries
    is observed, too. A node with one of the labels `without` belongs to another pool, also if the selector matches.
    """

    name: str
    provider: str
    selector: Labels
    labels: Labels
    values: LabelValues = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    nodes: int = 0
    ready_nodes: int = 0
    cpu: float = 0.0
    memory: int = 0
    gpus: int = 0
    weight: int = 0
    price: float | None = None
    observed: frozenset[str] = frozenset()
    declared: bool = True
    without: tuple[str, ...] = ()
    view: Mapping[str, object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", _view(self))


class Remark(NamedTuple):
    """What is worth knowing of how an inventory came about: an `unusable` or `unread` source, a `contradiction`.

    `about` is a pool or an object, empty for all of them.
    """

    kind: str
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}" if self.about else self.text


@dataclass(frozen=True, slots=True)
class Inventory:
    """The pools of a cluster, sorted by name; `strays` counts the nodes that belong to none.

    `stray_nodes` are those, `stray_names` their names, `stray_keys` the labels by which they could be told apart, with
    how many carry what.
    `order` are the labels that identify a pool in the order in which they are looked for on a node.
    """

    pools: tuple[Pool, ...] = ()
    strays: int = 0
    order: tuple[str, ...] = POOL_LABELS
    remarks: tuple[Remark, ...] = field(default=(), compare=False)
    stray_names: tuple[str, ...] = field(default=(), compare=False)
    stray_keys: Mapping[str, Mapping[str, int]] = field(default_factory=dict, compare=False)
    stray_nodes: tuple[Stray, ...] = field(default=(), repr=False)


def _view(pool: Pool) -> dict[str, object]:
    """The pool as expressions read it: the fields of `pool`, values of CEL."""
    view: dict[str, object] = {
        "name": pool.name,
        "provider": pool.provider,
        "labels": dict(pool.labels),
        "values": {key: list(some) for key, some in pool.values.items()},
        "annotations": dict(pool.annotations),
        "taints": [taint._asdict() for taint in pool.taints],
        **{name: _said_by(pool, label) for name, label in POOL_FIELDS.items()},
        "capacityTypes": capacity_types(pool.provider, pool.labels, pool.values),
        "nodes": pool.nodes,
        "readyNodes": pool.ready_nodes,
        "cpu": float(pool.cpu),
        "memory": pool.memory,
        "gpus": pool.gpus,
        "weight": pool.weight,
    }
    return view if pool.price is None else {**view, "price": float(pool.price)}


def _said_by(pool: Pool, key: str) -> list[str]:
    """The values that a label may have on the pool's nodes, sorted."""
    return [pool.labels[key]] if key in pool.labels else list(pool.values.get(key, ()))


def capacity_types(provider: str, labels: Labels, values: LabelValues) -> list[str]:
    """The capacity types that nodes with these labels, and some of these values, may have; sorted."""
    rule = capacity(provider)
    if rule is None:
        return []
    some: set[str] = {rule.otherwise} if rule.otherwise else set()
    for marker in rule.markers:
        constant = marker.types.get(labels.get(marker.key, ""))
        if constant:
            return [constant]
        some |= {marker.types[value] for value in values.get(marker.key, ()) if value in marker.types}
    return sorted(some)
