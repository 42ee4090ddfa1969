"""Pools made of evidence: what a file or an object declares of one, and what its nodes are seen to carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from engine.pools.pool import Labels, LabelValues, Pool, Taint
from engine.pools.taints import taints_together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Declared:
    """What somebody said about a pool; None where nothing was said. Units are those of Pool.

    `startup_taints` are gone by the time a pod may run. It is `templated` where the next node is made as this says.
    """

    name: str
    selector: Labels
    provider: str | None = None
    labels: Labels = field(default_factory=dict)
    values: LabelValues = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None
    startup_taints: tuple[Taint, ...] = ()
    templated: bool = False
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
            startup_taints=(*self.startup_taints, *other.startup_taints),
            templated=self.templated or other.templated,
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
    """What the nodes of a pool show: labels that all carry, values of those that vary, taints, some of them `partial`.

    `cpu` (cores), `memory` (bytes) and `gpus` are those of the node that has most of each.
    """

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
        taints=taints_together(said.taints, said.startup_taints, seen.taints if seen else (), templated=said.templated),
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


def _first(said: T | None, otherwise: T | None) -> T | None:
    return otherwise if said is None else said
