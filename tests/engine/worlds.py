# ruff: noqa: ARG005 - what atoms mean are lines of a table
"""A universe so small that everything collides, and what policies mean in it: a second telling, not the engine's.

Its parts are drawn from a `random.Random`, so that a seed says which; Hypothesis' `randoms()` draws them too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from math import inf
from typing import Any

from engine.bundle import parse_bundle
from engine.decision import Decider, Decision
from engine.documents import Manifest, Source, parse_documents
from engine.documents.tree import plain
from engine.placement import constraint_identity, spread_constraint
from engine.pods import IncomingPod
from engine.pools import Inventory, inventory_from_documents
from engine.program import compile_bundle
from engine.struct import replace
from tests.engine.matching import PREFERRED, REQUIRED, Labels, matches_expression

Json = dict[str, Any]

KARPENTER, GKE = "karpenter.sh/nodepool", "cloud.google.com/gke-nodepool"
ZONE, TIER, SIZE = "topology.kubernetes.io/zone", "tier", "size"
CAPACITY = "karpenter.sh/capacity-type"
SPOT, PREEMPTIBLE = "cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible"
STATES: Mapping[str, tuple[str | None, ...]] = {
    KARPENTER: (None, "p", "q", "z"),
    GKE: (None, "g", "h"),
    ZONE: (None, "a", "b", "c", "d"),
    TIER: (None, "gold", "base", "tin", "lead"),
    SIZE: (None, "0", "1", "01", "2", "02", "3", "x", "y"),
    CAPACITY: (None, "spot", "on-demand", "reserved", "other"),
    SPOT: (None, "true", "false"),
    PREEMPTIBLE: (None, "true", "false"),
}
"""By label the states that a node may be in, None for absent: enough to tell all conditions of this universe apart."""

ALPHABET: Mapping[str, tuple[str, ...]] = {
    KARPENTER: ("p", "q"),
    GKE: ("g",),
    ZONE: ("a", "b"),
    TIER: ("gold", "base"),
    SIZE: ("1", "2", "x"),
    CAPACITY: ("spot", "on-demand"),
    SPOT: ("true",),
    PREEMPTIBLE: ("true",),
}
"""By label the values that pods ask for."""

WORDS = {ZONE: "zone", TIER: "ier", SIZE: "size", CAPACITY: "apacity", SPOT: "apacity", PREEMPTIBLE: "apacity"}
NAMES = ("n1", "n2", "n3")
EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")
TAINTS = [
    {"key": key, "value": value, "effect": effect} for key, value, effect in product("kj", ("", "v", "7"), EFFECTS)
]
TIMED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
DEFAULTS = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in TIMED]
"""What the API server's admission adds to a pod that says nothing of these taints."""
LIFECYCLE = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
SELECTORS: list[Json] = [
    {"matchLabels": {"app": "web"}},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
]


# Pools


@dataclass(frozen=True)
class PoolSpec:
    """A pool: `declared` in a file, a Karpenter `nodepool`, only `seen` on its nodes, or `both`: tier and capacity
    seen, the rest declared.

    `tier` is what is known of that label: a value, several between bars, and of a NodePool `*` (present), `!` (absent)
    or `~gold` (anything but). `size` is a bound of a NodePool's: `>1` or `<2`. A Karpenter pool that is `under` GKE's
    has nodes with the label of GKE's pool `g`, too. Only some nodes have the taints
    `partial`: they are declared so, or the first of several nodes has them. Of what is seen on nodes, the labels `gaps`
    are on some of them only, not on the last one.
    """

    name: str
    key: str = KARPENTER
    known: str = "declared"
    tier: str = ""
    zones: tuple[str, ...] = ()
    gpus: int = 0
    capacity: tuple[str, ...] = ()
    taints: tuple[tuple[str, str, str], ...] = ()
    under: bool = False
    partial: tuple[tuple[str, str, str], ...] = ()
    size: str = ""
    gaps: tuple[str, ...] = ()

    def owns(self, node: Labels) -> bool:
        """Whether a node that could exist belongs to this pool: Karpenter's label is the first that counts."""
        return node.get(self.key) == self.name and (self.key == KARPENTER or KARPENTER not in node)

    def states(self, key: str) -> tuple[str | None, ...]:
        """In which states of a label this pool's nodes may be, given what is declared."""
        if key == self.key:
            return (self.name,)
        if key == KARPENTER:
            return (None,)
        promised: tuple[str, ...] = ()
        if self.known != "seen":
            promised = self.zones if key == ZONE else ("g",) if key == GKE and self.under else ()
        if self.known in ("declared", "nodepool"):
            if key == TIER and self.tier:
                return self.tiers()
            if key == SIZE and self.size:
                return tuple(s for s in STATES[SIZE] if s and s.isdigit() and (int(s) > 1) == (self.size == ">1"))
            if self.key == KARPENTER:
                promised = promised or (self.capacity if key == CAPACITY else ())
            else:
                promised = promised or (("true",) if key == SPOT and self.capacity == ("spot",) else ())
        return promised or STATES[key]

    def tiers(self) -> tuple[str | None, ...]:
        """The states of the tier that are declared."""
        match self.tier:
            case "*":
                return tuple(state for state in STATES[TIER] if state)
            case "!":
                return (None,)
            case "~gold":
                return tuple(state for state in STATES[TIER] if state != "gold")
        return tuple(self.tier.split("|"))

    def tier_of(self, node: Labels) -> dict[str, str]:
        """What `pool.labels` says of the tier: what is the same for all nodes, or else what the node says."""
        if self.tier_seen() and TIER not in self.gaps and "|" not in self.tier:
            return {TIER: self.tier} if self.tier else {}
        if self.known == "nodepool" and self.tier in ("", "!"):
            return {}
        if self.tier and len(self.tiers()) == 1 and TIER not in self.gaps:
            return {TIER: self.tier}
        return {TIER: node[TIER]} if TIER in node else {}

    def tier_seen(self) -> bool:
        """Whether what is known of the tier is what nodes show."""
        return self.known == "seen" or (self.known == "both" and bool(self.tier))

    def tier_listed(self) -> bool:
        """Whether the values of the tier are known, be it that there is none."""
        if TIER in self.gaps:
            return False
        if self.known in ("declared", "both"):
            return bool(self.tier)
        return self.tier not in ("*", "~gold")

    def size_of(self, node: Labels) -> dict[str, str]:
        """As `tier_of`: what `pool.labels` says of the size."""
        if self.known == "seen" or (self.known == "nodepool" and not self.size):
            return {}
        return {SIZE: node[SIZE]} if SIZE in node else {}

    def types(self) -> tuple[str, ...] | None:
        """The pool's capacity types, None where they are not known; GKE labels spot nodes only."""
        if self.key == KARPENTER:
            return (CAPACITY not in self.gaps and self.capacity) or None
        if self.capacity == ("spot",):
            return ("spot",)
        return ("on-demand",) if self.known == "seen" and "spot" not in self.capacity else None

    def type_of(self, node: Labels) -> str | None:
        """The capacity type of a node of this pool."""
        if self.key == GKE:
            return "spot" if "true" in (node.get(SPOT), node.get(PREEMPTIBLE)) else "on-demand"
        said = node.get(CAPACITY)
        return None if said == "other" else said

    def objects(self) -> Iterator[Json]:
        """The pool as an Inventory, or the Nodes that show it, or both."""
        label = {GKE: "g"} if self.under else {}
        if self.known == "nodepool":
            yield self._node_pool()
            return
        taints = [as_taint(taint) for taint in self.taints]
        some = [as_taint(taint) for taint in self.partial]
        if self.known != "seen":
            pool: Json = {"name": self.name, "selector": {self.key: self.name}, "gpus": self.gpus}
            pool |= {"taints": [*taints, *({**taint, "partial": True} for taint in some)]}
            labels, values = dict(label), {ZONE: list(self.zones)} if self.zones else {}
            if self.known == "declared":
                labels |= {TIER: self.tier} if self.tier and "|" not in self.tier else {}
                labels |= self._marked(self.capacity[0]) if len(self.capacity) == 1 else {}
                values |= {CAPACITY: list(self.capacity)} if len(self.capacity) > 1 else {}
                values |= {TIER: self.tier.split("|")} if "|" in self.tier else {}
            pool |= {"labels": labels, "values": values}
            yield {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [pool]}
        tiers = self.tier.split("|")
        count = max(len(self.zones), len(self.capacity), len(tiers), 2 if self.partial else 1)
        count += bool(self.gaps)
        for i in range(count if self.known != "declared" else 0):
            labels = {self.key: self.name, **label, **({TIER: tiers[i % len(tiers)]} if self.tier else {})}
            labels |= {ZONE: self.zones[i % len(self.zones)]} if self.zones else {}
            labels |= self._marked(self.capacity[i % len(self.capacity)]) if self.capacity else {}
            labels = {key: value for key, value in labels.items() if key not in self.gaps or i < count - 1}
            yield {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"{self.name}-{i}", "labels": labels},
                "spec": {"taints": [*taints, *(some if i == 0 else ()), LIFECYCLE]},
                "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": str(self.gpus)}},
            }

    def _node_pool(self) -> Json:
        required: list[Json] = []
        if self.tier:
            operators = {"*": ("Exists", []), "!": ("DoesNotExist", []), "~gold": ("NotIn", ["gold"])}
            operator, values = operators.get(self.tier, ("In", self.tier.split("|")))
            required.append({"key": TIER, "operator": operator, "values": values})
        if self.size:
            required.append({"key": SIZE, "operator": "Gt" if self.size == ">1" else "Lte", "values": ["1"]})
        required += [{"key": ZONE, "operator": "In", "values": list(self.zones)}] if self.zones else []
        required += [{"key": CAPACITY, "operator": "In", "values": list(self.capacity)}] if self.capacity else []
        taints = [dict(zip(("key", "value", "effect"), taint, strict=True)) for taint in self.taints]
        template: Json = {"spec": {"requirements": required, "taints": taints}}
        template |= {"metadata": {"labels": {GKE: "g"}}} if self.under else {}
        head = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": self.name}}
        return head | {"spec": {"template": template}}

    def _marked(self, capacity_type: str) -> dict[str, str]:
        if self.key == KARPENTER:
            return {CAPACITY: capacity_type}
        return {SPOT: "true"} if capacity_type == "spot" else {}


def a_pool(dice: random.Random, name: str, *, gaps: bool = False) -> PoolSpec:
    """`gaps`: also with labels that only some of the nodes that are seen carry."""
    key = GKE if name == "g" else KARPENTER
    known = dice.choice(["declared", "seen", "both", *(["nodepool"] if key == KARPENTER else [])])
    taints = tuple(sorted({as_triple(a_taint(dice)) for _ in range(dice.randint(0, 2))}))
    partial = tuple(sorted({as_triple(a_taint(dice)) for _ in range(dice.choice([0, 0, 1]))}.difference(taints)))
    partial = () if known == "nodepool" else partial
    tiers = {"declared": ["gold|base"], "nodepool": ["gold|base", "*", "!", "~gold"]}.get(known, [])
    mixed = [] if key == GKE and known == "declared" else [("on-demand", "spot")]
    tier = dice.choice(["", "gold", "base", *tiers])
    return PoolSpec(
        name,
        key,
        known,
        tier,
        dice.choice([(), ("a",), ("b",), ("a", "b")]),
        dice.choice([0, 2]),
        dice.choice([(), (), ("spot",), ("on-demand",), *mixed]),
        taints,
        key == KARPENTER and dice.random() < 0.1,
        partial,
        dice.choice(["", ">1", "<2"]) if known == "nodepool" else "",
        tuple(gap for gap in _GAPS[known] if gaps and (gap != TIER or tier) and dice.random() < 0.15),
    )


_GAPS: Mapping[str, tuple[str, ...]] = {
    "declared": (),
    "nodepool": (),
    "seen": (TIER, ZONE, CAPACITY),
    "both": (TIER, CAPACITY),
}


# Expressions: a text for the engine, and what it means


class EvaluationError(Exception):
    """CEL's error."""


Meaning = Callable[[str, Any, Labels], Any]
Demand = Callable[[PoolSpec, Labels], bool]


@dataclass(frozen=True)
class Atom:
    """A leaf: its text, what it depends on (`pod`, `pool`, `node`), its value given pod, pool and node.

    What parameters and constants decide counts as the pod's: it is the same for all pools.

    `demand` says what of the pool must be so again on the node, because it was read and may have been only seen.
    """

    text: str
    reads: str
    value: Meaning = field(repr=False)
    demand: Demand | None = field(default=None, repr=False)


def need(mapping: Mapping[str, str], key: str) -> str:
    """A label that must be there."""
    if key not in mapping:
        raise EvaluationError(key)
    return mapping[key]


def whole(said: str) -> int:
    """CEL's int of a string."""
    if not said.isdigit():
        raise EvaluationError(said)
    return int(said)


def tier_again(pool: PoolSpec, node: Labels) -> bool:
    if pool.tier_seen():
        return TIER in pool.gaps or "|" in pool.tier or node.get(TIER, "") == pool.tier
    return pool.known != "nodepool" or bool(pool.tier) or TIER not in node  # nobody has said that it is there


def size_again(pool: PoolSpec, node: Labels) -> bool:
    return SIZE not in node if pool.known == "seen" or (pool.known == "nodepool" and not pool.size) else True


def zones_again(pool: PoolSpec, node: Labels) -> bool:
    return pool.known != "seen" or not pool.zones or ZONE in pool.gaps or node.get(ZONE) in pool.zones


def capacity_again(pool: PoolSpec, node: Labels) -> bool:
    types = pool.types()
    return types is None or pool.known in ("declared", "nodepool") or pool.type_of(node) in types


def zones_of(pool: PoolSpec, node: Labels) -> tuple[str, ...]:
    """`pool.zones`: those of the pool, or else the node's own."""
    return (ZONE not in pool.gaps and pool.zones) or (need(node, ZONE),)


def types_of(pool: PoolSpec, node: Labels) -> tuple[str, ...]:
    """`pool.capacityTypes`, likewise."""
    return pool.types() or (type_of(pool, node),)


def gpus_of(pool: PoolSpec) -> int:
    if pool.known == "nodepool":
        raise EvaluationError("nobody says how many there are")
    return pool.gpus


def listed_zones(pool: PoolSpec) -> tuple[str, ...]:
    if not pool.zones or ZONE in pool.gaps:
        raise EvaluationError("which zones is not known")
    return pool.zones


def listed_tier(pool: PoolSpec, node: Labels) -> str:
    """The tier where it is computed with, value by value: an error where they are not known, or others."""
    said = need(pool.tier_of(node), TIER) if pool.tier_listed() else ""
    if not said or ("|" in pool.tier and said not in pool.tier.split("|")):
        raise EvaluationError(TIER)
    return said


def differs_from_pools(pool: PoolSpec, node: Labels) -> bool:
    said = listed_tier(pool, node)
    return need(node, TIER) != said


def type_of(pool: PoolSpec, node: Labels) -> str:
    said = pool.type_of(node)
    if said is None:
        raise EvaluationError("capacityType")
    return said


ATOMS = [
    Atom('pod.metadata.labels["app"] == "web"', "pod", lambda d, p, n: d == "web"),
    Atom('pod.metadata.labels["none"] == "x"', "pod", lambda d, p, n: need({}, "none") == "x"),
    Atom("params.on", "pod", lambda d, p, n: True),
    Atom("params.off", "pod", lambda d, p, n: False),
    Atom("true", "pod", lambda d, p, n: True),
    Atom('pool.labels["tier"] == "gold"', "pool", lambda d, p, n: need(p.tier_of(n), TIER) == "gold", tier_again),
    Atom('"tier" in pool.labels', "pool", lambda d, p, n: TIER in p.tier_of(n), tier_again),
    Atom(
        'pool.labels[?"tier"].orValue("base") != "gold"',
        "pool",
        lambda d, p, n: p.tier_of(n).get(TIER, "base") != "gold",
        tier_again,
    ),
    Atom('pool.labels["tier"].startsWith("g")', "pool", lambda d, p, n: listed_tier(p, n).startswith("g"), tier_again),
    Atom('int(pool.labels["size"]) > 1', "pool", lambda d, p, n: whole(need(p.size_of(n), SIZE)) > 1, size_again),
    Atom(
        'pool.labels[?"size"].orValue("x") in ["x", "2"]',
        "pool",
        lambda d, p, n: p.size_of(n).get(SIZE, "x") in ("x", "2"),
        size_again,
    ),
    Atom('"a" in pool.zones', "pool", lambda d, p, n: "a" in zones_of(p, n), zones_again),
    Atom('pool.zones.all(z, z in ["a", "c"])', "pool", lambda d, p, n: set(zones_of(p, n)) <= {"a", "c"}, zones_again),
    Atom('"spot" in pool.capacityTypes', "pool", lambda d, p, n: "spot" in types_of(p, n), capacity_again),
    Atom("pool.gpus > 0", "pool", lambda d, p, n: gpus_of(p) > 0),
    Atom("has(pool.gpus)", "pool", lambda d, p, n: p.known != "nodepool"),
    Atom(
        "pool.gpus == (pod.metadata.labels.app == 'web' ? 2 : 0)",
        "pool",
        lambda d, p, n: gpus_of(p) == 2 * (d == "web"),
    ),
    Atom('pool.name in ["p", "g"]', "pool", lambda d, p, n: p.name in ("p", "g")),
    Atom(
        'pool.taints.exists(t, t.key == "k" && !t.partial)', "pool", lambda d, p, n: any(t[0] == "k" for t in p.taints)
    ),
    Atom("node.zone in pool.zones", "pool", lambda d, p, n: need(n, ZONE) in listed_zones(p), zones_again),
    Atom('node.capacityType == "spot"', "pool", lambda d, p, n: type_of(p, n) == "spot"),
    Atom('node.capacityType != "spot"', "pool", lambda d, p, n: type_of(p, n) != "spot"),
    Atom('node.labels["tier"] == "gold"', "node", lambda d, p, n: need(n, TIER) == "gold"),
    Atom('node.labels["tier"] != "gold"', "node", lambda d, p, n: need(n, TIER) != "gold"),
    Atom(
        'node.labels[?"tier"].orValue("tin") in ["gold", "tin"]',
        "node",
        lambda d, p, n: n.get(TIER, "tin") in ("gold", "tin"),
    ),
    Atom("has(node.labels.tier)", "node", lambda d, p, n: TIER in n),
    Atom('node.zone in ["a", "c"]', "node", lambda d, p, n: need(n, ZONE) in ("a", "c")),
    Atom('node.zone == pod.metadata.labels["zone"]', "node", lambda d, p, n: need(n, ZONE) == "b"),
    Atom('int(node.labels["size"]) > 1', "node", lambda d, p, n: whole(need(n, SIZE)) > 1),
    Atom(f'node.labels["{KARPENTER}"] == "p"', "node", lambda d, p, n: need(n, KARPENTER) == "p"),
]
COMPUTED = [
    Atom('pool.labels["t" + "ier"] == "gold"', "pool", lambda d, p, n: need(p.tier_of(n), TIER) == "gold", tier_again),
    Atom(
        'node.labels["tier"] != pool.labels["t" + "ier"]',
        "pool",
        lambda d, p, n: differs_from_pools(p, n),
        tier_again,
    ),
]
"""Alone only: what is read by a computed key depends on how far an expression is evaluated."""

SCORES = [
    Atom("pool.gpus * 20", "pool", lambda d, p, n: gpus_of(p) * 20),
    Atom(
        'pool.labels["tier"] == "gold" ? 50 : 5',
        "pool",
        lambda d, p, n: 50 if need(p.tier_of(n), TIER) == "gold" else 5,
        tier_again,
    ),
    Atom('node.zone == "a" ? 40 : 10', "node", lambda d, p, n: 40 if need(n, ZONE) == "a" else 10),
    Atom("has(node.labels.tier) ? 30 : -1", "node", lambda d, p, n: 30 if TIER in n else 0),
    Atom('node.capacityType == "spot" ? 35.5 : 0.4', "pool", lambda d, p, n: 36 if type_of(p, n) == "spot" else 0),
]
Tree = Any
"""An Atom, or an operator with its operands: `!`, `&&`, `||`, `?`."""


def a_tree(dice: random.Random, leaves: int = 4) -> Tree:
    if leaves < 2 or dice.random() < 0.35:
        return dice.choice(ATOMS)
    operator = dice.choice(["&&", "&&", "||", "||", "!", "?"])
    count = {"!": 1, "?": 3}.get(operator, 2)
    return (operator, *(a_tree(dice, leaves // count) for _ in range(count)))


def text_of(tree: Tree) -> str:
    """The tree in CEL."""
    if isinstance(tree, Atom):
        return f"({tree.text})"
    parts = [text_of(part) for part in tree[1:]]
    if tree[0] == "!":
        return f"!{parts[0]}"
    return f"({parts[0]} ? {parts[1]} : {parts[2]})" if tree[0] == "?" else f"({parts[0]} {tree[0]} {parts[1]})"


ERROR = "error"


def residue(tree: Tree, pod: str) -> Tree:
    """The tree without what is the same on all nodes of all pools: True, False, ERROR, or what is left."""
    left = _folded(tree, pod)
    if isinstance(left, tuple) and all(atom.reads == "node" for atom in atoms(left)):
        return _constant(left)
    return left


@cache
def _constant(tree: Tree) -> Tree:
    """A tree over nodes alone: its value if it has only one."""
    keys = {key for atom in atoms(tree) for key in STATES if key in atom.text or WORDS.get(key, key) in atom.text}
    found = set()
    for states in product(*(STATES[key] for key in keys)):
        labels = {key: state for key, state in zip(keys, states, strict=True) if state is not None}
        found.add(value(tree, "", None, labels))
        if len(found) > 1:
            return tree
    return found.pop()


def _folded(tree: Tree, pod: str) -> Tree:
    if isinstance(tree, Atom):
        return _of_the_pod(tree, pod) if tree.reads == "pod" else tree
    parts = [residue(part, pod) for part in tree[1:]] if tree[0] != "?" else [residue(tree[1], pod)]
    if tree[0] == "!":
        return not parts[0] if isinstance(parts[0], bool) else parts[0] if parts[0] is ERROR else ("!", parts[0])
    if tree[0] == "?":
        if isinstance(parts[0], bool):
            return residue(tree[2] if parts[0] else tree[3], pod)
        return ERROR if parts[0] is ERROR else ("?", parts[0], residue(tree[2], pod), residue(tree[3], pod))
    absorbing = tree[0] == "||"
    if any(part is absorbing for part in parts):
        return absorbing
    left = [part for part in parts if part is not (not absorbing)]
    if len(left) < 2:
        return left[0] if left else not absorbing
    return ERROR if all(part is ERROR for part in left) else (tree[0], *left)


def _of_the_pod(atom: Atom, pod: str) -> Any:
    try:
        return atom.value(pod, None, {})
    except EvaluationError:
        return ERROR


def atoms(tree: Tree) -> list[Atom]:
    """The leaves that are left."""
    if isinstance(tree, Atom):
        return [tree]
    return [atom for part in tree[1:] for atom in atoms(part)] if isinstance(tree, tuple) else []


def value(tree: Tree, pod: str, pool: PoolSpec | None, node: Labels) -> Any:
    """True, False or ERROR on one node."""
    if tree is ERROR or isinstance(tree, bool):
        return tree
    if isinstance(tree, Atom):
        try:
            return tree.value(pod, pool, node)
        except EvaluationError:
            return ERROR
    first = value(tree[1], pod, pool, node)
    if tree[0] == "!":
        return ERROR if first is ERROR else not first
    if tree[0] == "?":
        return ERROR if first is ERROR else value(tree[2] if first else tree[3], pod, pool, node)
    second, absorbing = value(tree[2], pod, pool, node), tree[0] == "||"
    if absorbing in (first, second):
        return absorbing
    return ERROR if ERROR in (first, second) else not absorbing


def outcome(tree: Tree, pod: str, pool: PoolSpec | None, node: Labels) -> Any:
    """What an expression is on a node: nothing on one of no pool where pools matter, or where what was read is not so.

    `pool` is the one that the node belongs to.
    """
    left, about_pools, demands = _left(tree, pod)
    if not about_pools:
        return value(left, pod, None, node)
    if pool is None or not all(demand(pool, node) for demand in demands):
        return None
    return value(left, pod, pool, node)


@cache
def _left(tree: Tree, pod: str) -> tuple[Tree, bool, frozenset[Demand]]:
    left = residue(tree, pod)
    leaves = atoms(left)
    demands = frozenset(atom.demand for atom in leaves if atom.demand)
    return left, any(atom.reads == "pool" for atom in leaves), demands


# Policies


Triple = tuple[str, str, str]
"""A taint: key, value, effect."""


@dataclass(frozen=True)
class Entry:
    """An entry of `tolerate`: its text, and whether it names a taint of a pool (None: of a node in no pool)."""

    text: str
    said: Callable[[PoolSpec | None, Triple], bool] = field(repr=False)
    seconds: int | None = None

    def names(self, pool: PoolSpec | None, taint: Triple, *, partial: bool = False) -> bool:
        """Whether it does, also where only some nodes of the pool have the taint."""
        if taint[0] in TIMED:
            return self.seconds is not None and "taint.key" in self.text and self.said(pool, taint)
        return ("taint.key" in self.text or not partial) and self.said(pool, taint)

    def document(self) -> Json:
        return {"expression": self.text} | ({} if self.seconds is None else {"seconds": self.seconds})


def has_gpus(pool: PoolSpec) -> bool:
    """Whether anybody says that a pool has GPUs."""
    return pool.known != "nodepool" and pool.gpus > 0


ENTRIES = [
    Entry('taint.key == "k"', lambda pool, taint: taint[0] == "k"),
    Entry('taint.key == "k" && taint.value == "v"', lambda pool, taint: taint[:2] == ("k", "v")),
    Entry(
        'taint.key in ["k", "j"] && taint.effect == "NoExecute"',
        lambda pool, taint: taint[0] in "kj" and taint[2] == "NoExecute",
    ),
    Entry(
        'taint.key == "j" && pool.?gpus.orValue(0) > 0',
        lambda pool, taint: pool is not None and taint[0] == "j" and has_gpus(pool),
    ),
    Entry('taint.key != ""', lambda pool, taint: True),
    Entry('taint.key == "never"', lambda pool, taint: False),
    Entry('taint.key == "k" || taint.key.startsWith("node.")', lambda pool, taint: taint[0] != "j", 60),
    Entry(f'taint.key in ["k", "{TIMED[0]}"]', lambda pool, taint: taint[0] in ("k", TIMED[0]), 30),
    Entry(
        'taint.key != "k" && pool.?gpus.orValue(0) > 0',
        lambda pool, taint: pool is not None and taint[0] != "k" and has_gpus(pool),
        0,
    ),
]
KEYLESS = [
    Entry('taint.effect == "NoExecute"', lambda pool, taint: taint[2] == "NoExecute", 90),
    Entry("pool.?gpus.orValue(0) > 0", lambda pool, taint: pool is not None and has_gpus(pool)),
]
"""Entries that read no key: only beside `require`."""


@dataclass(frozen=True)
class WishSpec:
    """An item of `prefer`: a weight, or a score, where a condition holds."""

    tree: Tree
    weight: int = 1
    score: Atom | None = None

    def document(self) -> Json:
        weight: Json = {"weight": self.weight} if self.score is None else {"score": self.score.text}
        return {"expression": text_of(self.tree), **weight}

    def weighs(self, pod: str, pool: PoolSpec | None, node: Labels) -> int:
        """How much the node is preferred."""
        if outcome(self.tree, pod, pool, node) is not True:
            return 0
        if self.score is None:
            return self.weight
        said = outcome(self.score, pod, pool, node)
        return said if isinstance(said, int) else 0


@dataclass(frozen=True)
class ShareSpec:
    """An entry of `split`."""

    percent: int
    tree: Tree
    strict: bool = True

    def document(self) -> Json:
        soft = {} if self.strict else {"whenUnsatisfiable": "ScheduleAnyway"}
        return {"share": self.percent, "expression": text_of(self.tree), **soft}


@dataclass(frozen=True)
class PolicySpec:
    """A policy. `app` is the label of the pods that it is about, empty for all."""

    name: str
    require: tuple[Tree, ...] = ()
    priority: int = 0
    when_empty: str = "deny"
    tolerate: tuple[Entry, ...] = ()
    prefer: tuple[WishSpec, ...] = ()
    fallback: tuple[Tree, ...] = ()
    app: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    split: tuple[ShareSpec, ...] = ()
    share: int | None = None

    def document(self) -> Json:
        """The policy as the engine reads it; `more` are spread and pod (anti-)affinity as they are."""
        spec: Json = {"priority": self.priority, "whenEmpty": self.when_empty, **self.more}
        spec |= {"podSelector": {"matchLabels": {"app": self.app}}} if self.app else {}
        lists = {
            "require": [{"expression": text_of(tree)} for tree in self.require],
            "split": [share.document() for share in self.split],
            "tolerate": [entry.document() for entry in self.tolerate],
            "prefer": [wish.document() for wish in self.prefer],
            "fallback": [{"expression": text_of(tree)} for tree in self.fallback],
        }
        spec |= {name: items for name, items in lists.items() if items}
        head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": self.name}}
        return head | {"spec": spec}

    def in_share(self, place: int | None) -> PolicySpec:
        """The policy for a pod that has this share of its split."""
        return replace(self, share=place)

    @property
    def required(self) -> tuple[Tree, ...]:
        """What all nodes must satisfy, the share's among it."""
        strict = self.share is not None and self.split[self.share].strict
        return (*self.require, self.split[self.share].tree) if strict and self.share is not None else self.require

    @property
    def wishes(self) -> tuple[WishSpec, ...]:
        """What is preferred, the share's among it."""
        soft = self.share is not None and not self.split[self.share].strict
        return (
            (*self.prefer, WishSpec(self.split[self.share].tree, 100))
            if soft and self.share is not None
            else self.prefer
        )

    def eligible(self, pod: str, pool: PoolSpec | None, node: Labels) -> bool:
        """Whether the node, which belongs to `pool`, satisfies all of `require`, and the share that the pod has."""
        strict = self.required[len(self.require) :]
        if any(outcome(tree, pod, pool, node) is not True for tree in strict):
            return False
        if not self.require:
            return True
        conjunction = self.require[0]
        for tree in self.require[1:]:
            conjunction = ("&&", conjunction, tree)
        return outcome(conjunction, pod, pool, node) is True

    def tier(self, pod: str, pool: PoolSpec | None, node: Labels) -> int:
        """The first fallback tier that the node is of; one past the last if of none."""
        tiers = (i for i, tree in enumerate(self.fallback) if outcome(tree, pod, pool, node) is True)
        return next(tiers, len(self.fallback))

    def names(self, pool: PoolSpec | None, taint: Triple, *, partial: bool = False) -> bool:
        """Whether the policy has this taint of this pool tolerated, or of a node in none."""
        return any(entry.names(pool, taint, partial=partial) for entry in self.tolerate)

    def seconds(self, pool: PoolSpec | None, taint: Triple, *, partial: bool = False) -> list[float]:
        """For how long, by each of the entries that name the taint."""
        said = [entry.seconds for entry in self.tolerate if entry.names(pool, taint, partial=partial)]
        return [inf if one is None else one for one in said]


def a_policy(dice: random.Random, name: str, *, topology: bool = True) -> PolicySpec:
    """`topology`: also with constraints that depend on where other pods are."""
    require = tuple(a_tree(dice) for _ in range(dice.choice([0, 1, 1, 1, 2])))
    tolerate = tuple(dice.sample(ENTRIES + KEYLESS if require else ENTRIES, dice.choice([0, 0, 1, 2])))
    wishes = tuple(a_wish(dice) for _ in range(dice.choice([0, 0, 1, 2])))
    tiers = tuple(a_tree(dice, 2) for _ in range(dice.choice([0, 0, 0, 1, 2])))
    more = a_topology(dice) if topology and dice.random() < 0.3 else {}
    split = a_split(dice) if dice.random() < 0.25 else ()
    if not (require or tolerate or wishes or tiers or more or split):
        require = (a_tree(dice),)
    when_empty = dice.choice(["deny", "warn", "ignore"])
    app = dice.choice(["", "", "", "web"])
    return PolicySpec(name, require, dice.choice([0, 0, 5]), when_empty, tolerate, wishes, tiers, app, more, split)


def a_split(dice: random.Random) -> tuple[ShareSpec, ...]:
    """Two or three shares; they may overlap, and are all strict or all not."""
    percents = dice.choice([(70, 30), (50, 50), (0, 100), (34, 33, 33), (80, 10, 10)])
    strict = dice.choice([True, False])
    return tuple(ShareSpec(percent, a_tree(dice, 2), strict) for percent in percents)


def a_wish(dice: random.Random) -> WishSpec:
    score = dice.choice(SCORES) if dice.random() < 0.4 else None
    return WishSpec(a_tree(dice, 2), dice.randint(1, 60), score)


def a_topology(dice: random.Random) -> Json:
    """Spread and pod (anti-)affinity, as a policy says it."""
    selector: Json = dice.choice([{}, {"labelSelector": dice.choice(SELECTORS)}, {"matchLabelKeys": ["app"]}])
    key = dice.choice(["zone", "host"])
    unsatisfiable = dice.choice(["ScheduleAnyway", "DoNotSchedule"])
    strength: Json = dice.choice([{"required": True}, {"weight": dice.randint(1, 100)}])
    return {
        dice.choice(["podAffinity", "podAntiAffinity"]): [{"topologyKey": key, **selector, **strength}],
        "spread": [{"topologyKey": key, "maxSkew": dice.randint(1, 3), "whenUnsatisfiable": unsatisfiable, **selector}],
    }


# Pods


def an_expression(
    dice: random.Random, alphabet: Mapping[str, Sequence[str]], bounds: Mapping[str, Sequence[str]]
) -> Json:
    """A match expression over labels with values; Gt and Lt only for the labels that have bounds."""
    key = dice.choice(list(alphabet))
    operator = dice.choice(["In", "In", "NotIn", "Exists", "DoesNotExist", *(["Gt", "Lt"] if key in bounds else [])])
    if operator in ("Exists", "DoesNotExist"):
        return {"key": key, "operator": operator}
    if operator in ("Gt", "Lt"):
        return {"key": key, "operator": operator, "values": [dice.choice(bounds[key])]}
    return {"key": key, "operator": operator, "values": dice.choices(alphabet[key], k=dice.randint(1, 3))}


def a_term(
    dice: random.Random,
    empty: float = 0.1,
    alphabet: Mapping[str, Sequence[str]] = ALPHABET,
    bounds: Mapping[str, Sequence[str]] = {SIZE: ("1", "2")},
) -> Json:
    """A node selector term, sometimes empty, sometimes with matchFields."""
    if dice.random() < empty:
        return {}
    term: Json = {"matchExpressions": [an_expression(dice, alphabet, bounds) for _ in range(dice.randint(1, 3))]}
    if dice.random() < 0.15:
        values = [dice.choice(NAMES[:2])]
        term["matchFields"] = [{"key": "metadata.name", "operator": dice.choice(["In", "NotIn"]), "values": values}]
    return term


def a_toleration(dice: random.Random) -> Json:
    if dice.random() < 0.05:
        return {"operator": "Exists"}
    toleration: Json = {"key": dice.choice("kj")}
    if dice.random() < 0.15:
        toleration |= {"operator": dice.choice(["Gt", "Lt"]), "value": dice.choice(["-1", "7", "12"])}
    elif dice.random() < 0.4:
        toleration["operator"] = "Exists"
    else:
        toleration |= {"operator": dice.choice(["", "Equal"]), "value": dice.choice(["", "v", "7"])}
    if dice.random() < 0.7:
        toleration["effect"] = dice.choice(EFFECTS)
    if toleration.get("effect") == "NoExecute" and dice.random() < 0.3:
        toleration["tolerationSeconds"] = dice.choice([0, 45])
    return toleration


def tolerations(dice: random.Random) -> list[Json]:
    """Some, with those that the API server adds for pods that say nothing of not-ready and unreachable nodes."""
    own = [a_toleration(dice) for _ in range(dice.randint(0, 2))]
    if dice.random() < 0.5:
        own += [{**default, "tolerationSeconds": dice.choice([300, 300, 300, 20])} for default in DEFAULTS]
    return own


def a_taint(dice: random.Random) -> dict[str, str]:
    return {"key": dice.choice("kj"), "value": dice.choice(["", "v", "7"]), "effect": dice.choice(EFFECTS)}


def as_triple(taint: Mapping[str, str]) -> Triple:
    return taint["key"], taint["value"], taint["effect"]


def as_taint(taint: Triple) -> dict[str, str]:
    return dict(zip(("key", "value", "effect"), taint, strict=True))


def a_spread(dice: random.Random) -> Json:
    unsatisfiable = dice.choice(["ScheduleAnyway", "DoNotSchedule"])
    domains = dice.choice([None, 2, 3])
    return spread_constraint(
        dice.choice(["zone", "host"]), dice.randint(1, 3), unsatisfiable, dice.choice(SELECTORS), min_domains=domains
    )


def meant(pod: Json) -> Iterator[list[Json]]:
    """The match expressions of each of a pod's terms that can match a node, its nodeSelector's among them."""
    selector = pod["spec"].get("nodeSelector") or {}
    selecting = [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    if required is None:
        yield selecting
        return
    for term in required["nodeSelectorTerms"]:
        expressions, fields = [*selecting, *term.get("matchExpressions", ())], term.get("matchFields", ())
        named = any(all((name in f["values"]) == (f["operator"] == "In") for f in fields) for name in NAMES)
        if term and named and all(states_left(expressions, one["key"]) for one in expressions):
            yield expressions


def states_left(
    expressions: Iterable[Mapping[str, Any]], key: str, states: Sequence[str | None] | None = None
) -> list[str | None]:
    """The states of a label in which all expressions hold that are about it."""
    about = [one for one in expressions if one["key"] == key]
    return [
        state
        for state in states or STATES.get(key, (None, "linux"))
        if all(matches_expression(one, {} if state is None else {key: state}) for one in about)
    ]


Draw = Callable[[random.Random], Json]


def a_pod(
    dice: random.Random,
    term: Draw = a_term,
    alphabet: Mapping[str, Sequence[str]] = ALPHABET,
    *,
    topology: bool = True,
    most: int = 3,
) -> Json:
    """A pod as the API server sends it, with up to `most` terms of its own."""
    node: Json = {}
    if dice.random() < 0.7:
        node[REQUIRED] = {"nodeSelectorTerms": [term(dice) for _ in range(dice.randint(1, most))]}
    if dice.random() < 0.3:
        node[PREFERRED] = [{"weight": dice.randint(1, 100), "preference": term(dice)} for _ in range(2)]
    spec: Json = {"containers": [{"name": "main", "image": "image"}]}
    if dice.random() < 0.4:
        key = dice.choice(list(alphabet))
        spec["nodeSelector"] = {key: dice.choice(alphabet[key])}
    if node or dice.random() < 0.5:
        spec["affinity"] = dice.choice([{"nodeAffinity": node}, {"nodeAffinity": node, "podAffinity": {}}])
    if dice.random() < 0.5:
        spec["tolerations"] = tolerations(dice)
    if topology and dice.random() < 0.3:
        spread = [a_spread(dice) for _ in range(2)]
        spec["topologySpreadConstraints"] = list({constraint_identity(one): one for one in spread}.values())
    labels = {"app": dice.choice(["web", "web", "db"]), "rev": "1", "zone": "b"}
    return {"metadata": {"name": "pod", "namespace": "default", "labels": labels}, "spec": spec}


# All of it together


@dataclass(frozen=True)
class World:
    """Policies over pools, and nodes to look at: the Nodes that could come, some of which could not.

    If there are `strays`, one node of no pool is known, which has no labels, and taints.
    """

    pools: tuple[PoolSpec, ...]
    policies: tuple[PolicySpec, ...]
    nodes: tuple[Json, ...]
    strays: bool = False
    stray_taints: tuple[Triple, ...] = ()
    _eligible: dict[tuple[str, int | None, str, int], bool] = field(default_factory=dict, compare=False, repr=False)

    def home(self, node: Labels) -> PoolSpec | None:
        """The pool that a node belongs to."""
        return next((pool for pool in self.pools if pool.owns(node)), None)

    def states(self, pool: PoolSpec, key: str) -> tuple[str | None, ...]:
        """As the pool's; a node has labels of two providers only where some pool's nodes are known to have them."""
        if key == GKE and pool.key == KARPENTER and not any(other.under for other in self.pools):
            return (None,)
        return pool.states(key)

    def possible(self, node: Labels) -> bool:
        """Whether a node like this could exist, given what pools promise."""
        pool = self.home(node)
        if pool is None:
            return not (KARPENTER in node and GKE in node) or any(other.under for other in self.pools)
        return all(node.get(key) in self.states(pool, key) for key in STATES)

    def within_reach(self, node: Labels) -> bool:
        """Whether a node like this counts where it is asked if any is left: those of no pool do if there are any."""
        return self.possible(node) and (self.home(node) is not None or self.strays or not self.pools)

    def eligible(self, policy: PolicySpec, app: str, place: int) -> bool:
        """Whether the node at a place satisfies a policy that is about a pod of this app."""
        key = (policy.name, policy.share, app, place)
        known = self._eligible.get(key)
        if known is None:
            labels = self.nodes[place]["metadata"]["labels"]
            known = self._eligible[key] = policy.eligible(app, self.home(labels), labels)
        return known

    def witness(self, pool: PoolSpec, pod: Json | None, policies: Iterable[PolicySpec]) -> bool:
        """Whether the pool may have a node that the pod's own constraints admit and that satisfies the policies."""
        wanting = [policy for policy in policies if policy.required]
        said = "".join(text_of(tree) for policy in wanting for tree in policy.required)
        read = {key for key in STATES if key in said or WORDS.get(key, key) in said}
        app = pod["metadata"]["labels"]["app"] if pod else ""
        for term in [[]] if pod is None else meant(pod):
            choices = [states_left(term, key, pool.states(key)) for key in STATES]
            for states in product(*(c if key in read else c[:1] for key, c in zip(STATES, choices, strict=True))):
                labels = {key: state for key, state in zip(STATES, states, strict=True) if state is not None}
                if all(policy.eligible(app, pool, labels) for policy in wanting):
                    return True
        return False

    def objects(self) -> list[Json]:
        """What tells of the pools, and of the stray node."""
        objects = [each for pool in self.pools for each in pool.objects()]
        if self.strays:
            taints = [as_taint(taint) for taint in self.stray_taints]
            stray = {"metadata": {"name": "stray"}, "spec": {"taints": [*taints, LIFECYCLE]}}
            objects.append({"apiVersion": "v1", "kind": "Node", **stray})
        return objects

    def decider(self, dice: random.Random | None = None, *, mode: str = "enforce") -> Decider:
        """The engine over this world; with dice everything is given to it in another order."""
        policies, objects = list(self.policies), self.objects()
        if dice is not None:
            dice.shuffle(policies)
            dice.shuffle(objects)
        return Decider(compile_bundle(_bundle(policies)), _inventory(objects), mode=mode)


def _bundle(policies: Iterable[PolicySpec]) -> Any:
    head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "laws"}}
    files = {f"policies/{policy.name}.yaml": json.dumps(policy.document()) for policy in policies}
    spec = {"version": "1.0.0", "params": {"on": True, "off": False}}
    bundle, problems = parse_bundle({"bundle.yaml": json.dumps(head | {"spec": spec}), **files})
    assert not problems, problems
    return bundle


def _inventory(objects: Iterable[Json]) -> Inventory:
    source = Source("pools.yaml", "\n---\n".join(map(json.dumps, objects)))
    values, problems = parse_documents(source)
    assert not problems
    return inventory_from_documents([Manifest(source, plain(each), each) for each in values])


def incoming(pod: Mapping[str, Any], uid: str = "1") -> IncomingPod:
    """The pod on its way into a namespace, by a request of this uid."""
    namespace = {"metadata": {"name": "team", "labels": {"kubernetes.io/metadata.name": "team"}}}
    request = {"operation": "CREATE", "namespace": "team", "dryRun": False, "userInfo": {"username": "u", "groups": []}}
    return IncomingPod(pod, namespace, request, uid=uid)


def a_world(dice: random.Random, *, nodes: int = 24, topology: bool = True) -> World:
    """Up to three pools, one to three policies, and nodes: mostly such as the pools could have."""
    pools = tuple(a_pool(dice, name, gaps=True) for name in dice.sample("pqg", dice.choice([0, 1, 2, 2, 3])))
    policies = tuple(
        a_policy(dice, name, topology=topology) for name in dice.sample(["one", "two", "three"], dice.randint(1, 3))
    )
    strays = dice.random() < 0.3
    taints = tuple(sorted({as_triple(a_taint(dice)) for _ in range(dice.randint(0, 2) if strays else 0)}))
    bare = World(pools, policies, (), strays, taints)
    more = random.Random(dice.getrandbits(32))
    return World(pools, policies, tuple(a_node(more, bare) for _ in range(nodes)), strays, taints)


def a_node(dice: random.Random, world: World) -> Json:
    """A node, mostly one that a pool could have."""
    pool = dice.choice(world.pools) if world.pools and dice.random() < 0.75 else None
    states = {key: dice.choice(world.states(pool, key) if pool else STATES[key]) for key in STATES}
    taints = list(
        {one["key"] + one["effect"]: one for one in (a_taint(dice) for _ in range(dice.randint(0, 2)))}.values()
    )
    if pool and dice.random() < 0.7:
        taints = [as_taint(taint) for taint in pool.taints]
    return node(states, dice.choice(NAMES), taints)


def node(states: Mapping[str, str | None], name: str = NAMES[2], taints: Sequence[Mapping[str, str]] = ()) -> Json:
    """A Node with labels in these states."""
    labels = {key: state for key, state in states.items() if state is not None}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": list(taints)}}


TAINTED = [node({}, taints=[taint]) for taint in TAINTS]
"""A node for each taint."""


def as_text(decision: Decision) -> str:
    """The whole decision but its revision, which says what the files are."""
    return json.dumps(decision.as_json() | {"revision": ""}, sort_keys=True)
