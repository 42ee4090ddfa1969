"""Pool, what is known of nodes that are alike; Fact, what of one label; Taint; Inventory, all pools of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.nodeselector import ABSENT, ANY, LabelStates, one_of
from engine.pools.providers import POOL_LABELS, capacity, is_anybodys
from engine.struct import Marked

Labels = Mapping[str, str]
LabelValues = Mapping[str, tuple[str, ...]]


TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


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


class Fact(NamedTuple):
    """What is known of one label of a pool's nodes: the states that it may be in.

    One string: all nodes carry this value. Several: one of these. More, without absence: all carry it, perhaps within
    bounds. Absence alone: none carries it. ANY: nothing is known. An `observed` fact holds of the nodes that are there
    now, and may not hold of the next one; others are declared. `source` says in words who says so. `seen` are the
    values on the nodes that are there, sorted, also where not all of them carry the label. A label that is `each`
    machine's own is never one value by observation, however few the nodes are. What was written `by_hand` counts also
    where nodes contradict it. An `open` fact decides nothing: what makes the nodes leaves the label open, and `states`
    are only what the nodes that are there carry.
    """

    states: LabelStates
    observed: bool = False
    source: str = ""
    seen: tuple[str, ...] = ()
    each: bool = False
    by_hand: bool = False
    open: bool = False

    @property
    def value(self) -> str | None:
        """The value that all nodes carry, and the next one will; None where there is not one."""
        if self.states.absent or self.each or self.open or len(self.states.finite or ()) != 1:
            return None
        return next(iter(self.states.odd))

    @property
    def values(self) -> tuple[str, ...] | None:
        """The values, sorted, one of which all nodes carry; None where they are not known."""
        finite = None if self.states.absent or self.open else self.states.finite
        return tuple(sorted(finite)) if finite else None

    @property
    def settled(self) -> bool:
        """Whether the label is the same on all nodes: one value, or absent."""
        return self.states == ABSENT or self.value is not None


Facts = Mapping[str, Fact]
UNKNOWN = Fact(ANY)
UNSEEN = Fact(ABSENT, observed=True, source="no node carries it")
UNMENTIONED = Fact(
    ABSENT, observed=True, source="Karpenter makes no node with a label that the NodePool does not mention"
)


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of nodes that are alike for scheduling.

    `facts` has what is known of its nodes' labels, the selector's included; `fact` answers for every label. `cpu` is in
    cores and `memory` in bytes, `gpus` a count, each of the node that has most of it; these and the counts of nodes are
    None where nobody knows. `price` is per hour. `declared` is false for a pool made from nodes alone, where what no
    node carries is observed, too. On a `closed` one, nodes carry no label of its author's that is not mentioned. A node
    with one of the labels `without` belongs to another pool, also if the selector matches. Karpenter makes a node only
    where types of machines with at least so many values of a label are left (`least`, its minValues). `contradictions`
    are what one source says against another, in words.

    `labels` are those that all nodes carry with one value, `values` those that vary, and `choices` both.
    """

    name: str
    provider: str
    selector: Labels
    facts: Facts
    annotations: Labels = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    nodes: int | None = None
    ready_nodes: int | None = None
    cpu: float | None = None
    memory: int | None = None
    gpus: int | None = None
    weight: int = 0
    price: float | None = None
    declared: bool = True
    closed: bool = False
    without: tuple[str, ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    contradictions: tuple[str, ...] = ()
    labels: Labels = field(init=False, repr=False, compare=False)
    values: LabelValues = field(init=False, repr=False, compare=False)
    choices: Mapping[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        constants = {key: value for key, fact in self.facts.items() if (value := fact.value) is not None}
        known = {key: values for key, fact in self.facts.items() if (values := fact.values)}
        object.__setattr__(self, "labels", constants)
        object.__setattr__(self, "values", {key: some for key, some in known.items() if key not in constants})
        object.__setattr__(self, "choices", {key: list(some) for key, some in known.items()})

    def fact(self, key: str) -> Fact:
        """What is known of a label of the pool's nodes."""
        known = self.facts.get(key)
        if known is not None:
            return known
        if not self.declared:
            return UNSEEN
        return UNMENTIONED if self.closed and not is_anybodys(key) else UNKNOWN

    @property
    def inferred(self) -> bool:
        """Whether anything about a label, or about its absence, may be different on the next node."""
        return not self.declared or self.closed or any(fact.observed for fact in self.facts.values())


class Remark(NamedTuple):
    """What is worth knowing of how an inventory came about: an `unusable` or `unread` source, a `contradiction`, what
    is `leaving`.

    `about` is a pool or an object, empty for all of them.
    """

    kind: str
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}" if self.about else self.text


class Inventory(Marked, frozen=True):
    """The pools of a cluster, sorted by name; `strays` counts the nodes that belong to none.

    `stray_nodes` are those, `stray_names` their names, `stray_keys` the labels by which they could be told apart, with
    how many carry what.
    `order` are the labels that identify a pool in the order in which they are looked for on a node.
    """

    unprinted = ("stray_nodes",)
    uncompared = ("remarks", "stray_names", "stray_keys")

    pools: tuple[Pool, ...] = ()
    strays: int = 0
    order: tuple[str, ...] = POOL_LABELS
    remarks: tuple[Remark, ...] = ()
    stray_names: tuple[str, ...] = ()
    stray_keys: Mapping[str, Mapping[str, int]] = {}
    stray_nodes: tuple[Stray, ...] = ()


def capacity_types(pool: Pool) -> tuple[str, ...] | None:
    """The capacity types that a pool's nodes may have, sorted; None where that is not known."""
    rule = capacity(pool.provider)
    if rule is None:
        return None
    some: set[str] = set()
    for marker in rule.markers:
        fact = pool.fact(marker.key)
        states = fact.states
        if states.finite is None or fact.open:
            return None
        meanings = {marker.types.get(value, "") for value in states.finite}
        some |= meanings - {""}
        if not states.absent and "" not in meanings:  # this one speaks on every node
            return tuple(sorted(some))
    return tuple(sorted({*some, rule.otherwise})) if rule.otherwise else None


def open_marker(pool: Pool) -> str:
    """A label that says capacity types and that the pool leaves open; empty where none is."""
    rule = capacity(pool.provider)
    return next((key for key in (rule.keys if rule else ()) if pool.fact(key).open), "")


def constants(labels: Labels, *, observed: bool = False, source: str = "") -> dict[str, Fact]:
    """The facts of labels that all nodes carry with one value."""
    return {key: Fact(one_of([value]), observed, source) for key, value in labels.items()}
