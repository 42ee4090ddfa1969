"""Pools made of evidence: what a file or an object declares of one, and what its nodes are seen to carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from engine.names import is_label_value
from engine.nodeselector import ABSENT, one_of
from engine.pools.pool import Fact, Facts, Labels, Pool, Taint, constants
from engine.pools.providers import GPU_COUNTS, is_anybodys
from engine.pools.taints import taints_together
from engine.struct import Struct, field

T = TypeVar("T")


class Declared(Struct, frozen=True):
    """What somebody said about a pool; None where nothing was said. Units and words are those of Pool.

    `facts` are never observed ones. `source` is what said it, in words.

    `startup_taints` are gone by the time a pod may run. It is `templated` where the next node is made as this says.
    """

    name: str
    selector: Labels
    provider: str | None = None
    facts: Facts = field(default_factory=dict)
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
    closed: bool = False
    least: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    contradictions: tuple[str, ...] = ()

    def over(self, other: Declared) -> Declared:
        """What both say about one pool: what they agree on; this one counts where they contradict each other."""
        facts = {**other.facts, **self.facts}
        disputed: list[str] = []
        for key in sorted(self.facts.keys() & other.facts.keys()):
            mine, its = self.facts[key], other.facts[key]
            agreed = mine.states & its.states
            if agreed.impossible:
                said = f"{mine.states} says {mine.source}, {its.states} says {its.source}"
                disputed.append(f"`{key}`: {said}; the former counts")
            elif agreed != mine.states:
                facts[key] = Fact(agreed, source=f"{mine.source}, {its.source}")
        return Declared(
            name=self.name,
            selector=self.selector,
            provider=_first(self.provider, other.provider),
            facts=facts,
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
            closed=self.closed or other.closed,
            least={**other.least, **self.least},
            source=f"{self.source}, {other.source}",
            contradictions=(*self.contradictions, *other.contradictions, *disputed),
        )


class Seen(Struct, frozen=True):
    """What the nodes of a pool show: observed facts of their labels, taints, some of them `partial`.

    `cpu` (cores), `memory` (bytes) and `gpus` are those of the node that has most of each, None where no node says.
    """

    facts: Facts
    taints: tuple[Taint, ...]
    nodes: int
    ready_nodes: int
    cpu: float | None
    memory: int | None
    gpus: int | None


def declared_pool(said: Declared, seen: Seen | None, provider: str) -> Pool:
    """A pool that was declared, with what its nodes add.

    What was written by hand counts whatever nodes show. A template says what the next node will be like; nodes that are
    there from before may differ, and then it is not the same for all. Of the labels that a closed pool does not mention
    the next node has none, but for those that others than its author give: these it leaves open.
    """
    own = constants(said.selector, source=said.source or "its selector")
    declared = {**said.facts, **own}
    facts = {**(seen.facts if seen else {}), **declared}
    if seen and said.closed:
        facts |= {key: _unmentioned(key, fact) for key, fact in seen.facts.items() if key not in declared}
    if seen:
        facts |= {key: _borne_out(fact, seen.facts.get(key)) for key, fact in said.facts.items() if key not in own}
    nodes = _first(said.nodes, seen.nodes if seen else None)
    ready = _first(said.ready_nodes, seen.ready_nodes if seen else nodes)
    return Pool(
        name=said.name,
        provider=_first(said.provider, provider) or "",
        selector=dict(sorted(said.selector.items())),
        facts=dict(sorted(facts.items())),
        annotations=dict(sorted(said.annotations.items())),
        taints=taints_together(said.taints, said.startup_taints, seen.taints if seen else (), templated=said.templated),
        nodes=nodes,
        ready_nodes=ready if ready is None or nodes is None else min(ready, nodes),
        cpu=_first(said.cpu, seen.cpu if seen else None),
        memory=_first(said.memory, seen.memory if seen else None),
        gpus=_first(said.gpus, _gpus(said.facts, seen)),
        weight=said.weight or 0,
        price=said.price,
        closed=said.closed,
        least=said.least,
        contradictions=(*said.contradictions, *(_denied(said.facts, seen.facts) if seen else ())),
    )


def _gpus(declared: Facts, seen: Seen | None) -> int | None:
    """The GPUs that nodes show. Where none does that has some by a label, their device plugin has not spoken yet."""
    if seen is None or seen.gpus:
        return seen.gpus if seen else None
    values = (value for key in GPU_COUNTS if key in seen.facts for value in seen.facts[key].seen)
    told = [value for value in values if is_label_value(value) and value.isdigit()]  # a file may say anything
    if any(map(int, told)):
        return max(map(int, told))
    some = (declared[key].states for key in GPU_COUNTS if key in declared)
    return None if any(not states.absent and not states.holds("0") for states in some) else seen.gpus


def _unmentioned(key: str, fact: Fact) -> Fact:
    """What nodes show of a label that their template does not mention: the next has none, unless it is anybody's."""
    return fact._replace(open=True) if is_anybodys(key) else fact._replace(states=fact.states | ABSENT)


def _borne_out(fact: Fact, seen: Fact | None) -> Fact:
    """What is declared of a label, widened by what nodes show besides, unless it was written by hand."""
    values = seen.seen if seen else ()
    if fact.by_hand:
        return fact._replace(seen=values)
    states = fact.states | one_of(value for value in values if not fact.states.holds(value))
    if seen is None or seen.states.absent:
        states |= ABSENT
    return fact._replace(states=states, seen=values)


def _denied(declared: Facts, seen: Facts) -> Iterator[str]:
    """What is declared of labels, and nodes that are there do not bear out."""
    for key, fact in sorted(declared.items()):
        others = [f"with {value}" for value in seen[key].seen if not fact.states.holds(value)] if key in seen else []
        if not fact.states.absent and (key not in seen or seen[key].states.absent):
            others.append("without it")
        if others:
            what = "the former counts" if fact.by_hand else "so a node is asked"
            yield f"`{key}`: {fact.states} says {fact.source}, there are nodes {' and '.join(others)}; {what}"


def observed_pool(name: str, provider: str, selector: Labels, seen: Seen) -> Pool:
    """A pool that is known from its nodes alone."""
    own = {key: Fact(one_of([value]), source="its selector", seen=(value,)) for key, value in selector.items()}
    return Pool(
        name=name,
        provider=provider,
        selector=selector,
        facts=dict(sorted({**seen.facts, **own}.items())),
        taints=seen.taints,
        nodes=seen.nodes,
        ready_nodes=seen.ready_nodes,
        cpu=seen.cpu,
        memory=seen.memory,
        gpus=seen.gpus,
        declared=False,
    )


def _first(said: T | None, otherwise: T | None) -> T | None:
    return otherwise if said is None else said
