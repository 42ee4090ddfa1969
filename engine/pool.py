"""What a pool is known by: declared by a file or an object, or seen on the nodes that are there now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from engine.providers import ARCH, INSTANCE_TYPE, OS, POOL_LABELS, REGION, ZONE, capacity, pool_label_order

Labels = Mapping[str, str]
LabelValues = Mapping[str, tuple[str, ...]]
T = TypeVar("T")


class Taint(NamedTuple):
    """A taint of a node: NoSchedule, PreferNoSchedule or NoExecute. `value` may be empty."""

    key: str
    value: str
    effect: str


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


@dataclass(frozen=True, slots=True)
class Inventory:
    """The pools of a cluster, sorted by name; `strays` counts the nodes that belong to none.

    `order` are the labels that identify a pool in the order in which they are looked for on a node.
    """

    pools: tuple[Pool, ...] = ()
    strays: int = 0
    order: tuple[str, ...] = POOL_LABELS


@dataclass(frozen=True, slots=True)
class Declared:
    """What somebody said about a pool; None where nothing was said."""

    name: str
    selector: Labels
    provider: str | None = None
    labels: Labels = field(default_factory=dict)
    values: LabelValues = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None
    nodes: int | None = None
    ready_nodes: int | None = None
    cpu: float | None = None
    memory: int | None = None
    gpus: int | None = None
    weight: int | None = None
    price: float | None = None

    def over(self, other: Declared) -> Declared:
        """What both say about one pool; this one wins where they differ."""
        labels = {key: value for key, value in other.labels.items() if key not in self.values} | dict(self.labels)
        values = {key: some for key, some in {**other.values, **self.values}.items() if key not in labels}
        return Declared(
            name=self.name,
            selector=self.selector,
            provider=_first(self.provider, other.provider),
            labels=labels,
            values=values,
            annotations={**other.annotations, **self.annotations},
            taints=_first(self.taints, other.taints),
            nodes=_first(self.nodes, other.nodes),
            ready_nodes=_first(self.ready_nodes, other.ready_nodes),
            cpu=_first(self.cpu, other.cpu),
            memory=_first(self.memory, other.memory),
            gpus=_first(self.gpus, other.gpus),
            weight=_first(self.weight, other.weight),
            price=_first(self.price, other.price),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the nodes of a pool show: labels that all carry, values of those that vary, taints that all have."""

    labels: Labels
    values: LabelValues
    taints: tuple[Taint, ...]
    nodes: int
    ready_nodes: int
    cpu: float
    memory: int
    gpus: int


def declared_pool(said: Declared, seen: Seen | None, provider: str) -> Pool:
    """A pool that was declared, with what its nodes add. What is declared is never corrected by what is seen."""
    labels = {**said.labels, **said.selector}
    told = labels.keys() | said.values.keys()
    more = {key: value for key, value in seen.labels.items() if key not in told} if seen else {}
    varying = {key: some for key, some in seen.values.items() if key not in told} if seen else {}
    nodes = _first(said.nodes, seen.nodes if seen else 0) or 0
    ready = _first(said.ready_nodes, min(seen.ready_nodes, nodes) if seen else nodes) or 0
    return Pool(
        name=said.name,
        provider=_first(said.provider, provider) or "",
        selector=dict(sorted(said.selector.items())),
        labels=dict(sorted({**more, **labels}.items())),
        values=dict(sorted({**varying, **said.values}.items())),
        annotations=dict(sorted(said.annotations.items())),
        taints=tuple(sorted(set(_first(said.taints, seen.taints if seen else ()) or ()))),
        nodes=nodes,
        ready_nodes=ready,
        cpu=_first(said.cpu, seen.cpu if seen else 0.0) or 0.0,
        memory=_first(said.memory, seen.memory if seen else 0) or 0,
        gpus=_first(said.gpus, seen.gpus if seen else 0) or 0,
        weight=said.weight or 0,
        price=said.price,
        observed=frozenset(more) | frozenset(varying),
        declared=True,
    )


def observed_pool(name: str, provider: str, selector: Labels, seen: Seen) -> Pool:
    """A pool that is known from its nodes alone."""
    return Pool(
        name=name,
        provider=provider,
        selector=selector,
        labels={**seen.labels, **selector},
        values=seen.values,
        taints=seen.taints,
        nodes=seen.nodes,
        ready_nodes=seen.ready_nodes,
        cpu=seen.cpu,
        memory=seen.memory,
        gpus=seen.gpus,
        observed=(frozenset(seen.labels) | frozenset(seen.values)) - frozenset(selector),
        declared=False,
    )


def inventory(pools: Iterable[Pool], strays: int = 0, pool_labels: Sequence[str] = ()) -> Inventory:
    """Pools with unique names, sorted by name.

    Where two pools have one name, a declared one keeps it, else the one whose label comes first in the order; the
    others are called `<provider>/<name>`, or by their selector.
    """
    order = pool_label_order(pool_labels)
    apart = _set_apart(tuple(pools), order)
    taken: dict[str, Pool] = {}
    for pool in sorted(apart, key=lambda pool: (not pool.declared, _place(pool, order), _said(pool.selector))):
        names = (pool.name, f"{pool.provider}/{pool.name}" if pool.provider else "", _said(pool.selector))
        name = next((name for name in names if name and name not in taken), _said(pool.selector))
        taken[name] = pool if name == pool.name else replace(pool, name=name)
    return Inventory(tuple(taken[name] for name in sorted(taken)), strays, order)


def precedence(pool: Pool | Declared, order: Sequence[str], *, declared: bool = True) -> tuple[bool, int, int, str]:
    """A sort key: of several pools whose selectors match a node, the first is the node's.

    That is a declared one, then the one whose selector says most, whose label comes first in the order.
    """
    return not declared, -len(pool.selector), _place(pool, order), _said(pool.selector)


def _place(pool: Pool | Declared, order: Sequence[str]) -> int:
    return next((at for at, key in enumerate(order) if key in pool.selector), len(order))


def _set_apart(pools: Sequence[Pool], order: Sequence[str]) -> list[Pool]:
    """Each pool with the labels that its nodes lack, because with one of them they would be of another pool.

    Nodes of a Karpenter pool may carry `pool: general` as those of another pool do that has this selector.
    """
    carriers: dict[tuple[str, str], set[str]] = {}
    for pool in pools:
        carried = {key: {pool.labels.get(key), *pool.values.get(key, ())} - {None} for key in order}
        identifying = {key for key, values in carried.items() if values}
        for key in identifying:
            for value in carried[key]:
                carriers.setdefault((key, str(value)), set()).update(identifying)
    made = []
    for pool in pools:
        place = _place(pool, order)
        others = carriers.get((order[place], pool.selector[order[place]]), set()) if place < len(order) else set()
        without = tuple(key for key in order[:place] if key in others)
        made.append(replace(pool, without=without) if without else pool)
    return made


def _said(selector: Labels) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def _first(said: T | None, otherwise: T | None) -> T | None:
    return otherwise if said is None else said


def _view(pool: Pool) -> dict[str, object]:
    view: dict[str, object] = {
        "name": pool.name,
        "provider": pool.provider,
        "labels": dict(pool.labels),
        "values": {key: list(some) for key, some in pool.values.items()},
        "annotations": dict(pool.annotations),
        "taints": [taint._asdict() for taint in pool.taints],
        "zones": _said_by(pool, ZONE),
        "regions": _said_by(pool, REGION),
        "instanceTypes": _said_by(pool, INSTANCE_TYPE),
        "architectures": _said_by(pool, ARCH),
        "operatingSystems": _said_by(pool, OS),
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
