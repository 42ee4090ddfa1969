"""What a first policy may ask for in a cluster: whatever tells its pools, or its nodes, apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cli.pools import LOGICAL
from engine.pools import HARD_EFFECTS, NODE_WORDS, POOL_FIELDS, Inventory, Taint, capacity_types, is_own_label
from engine.struct import Struct

ZONE = POOL_FIELDS["zones"]
MOST = 5
"""Of how many values of a label, and of how many pools, there is an idea."""
USUAL = ("linux", "amd64")
"""The values for which images are made if they are made for one."""
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
GPU_PRESENT = "nvidia.com/gpu.present"
"""What NVIDIA's feature discovery labels nodes with."""


class Idea(NamedTuple):
    """Where pods may be meant to run: in words that follow on "critical pods run", and as an expression.

    `firm` says that it may be required, for there are nodes that take such a pod now, or will be made for it. Pods get
    there if they tolerate taints with the key `tolerated`, if it is not empty.
    """

    where: str
    expression: str
    params: Mapping[str, Any] = {}
    tolerated: str = ""
    firm: bool = True


class Kind(Struct, frozen=True):
    """Nodes that are alike: those of a pool, or one of no pool.

    `labels` has the values that each label may have. Of a kind that `grows` there may be more than `nodes`: nobody has
    counted them, or they are made when they are asked for.
    """

    name: str
    labels: Mapping[str, Sequence[str]]
    taints: Sequence[Taint]
    nodes: int
    grows: bool
    gpus: int | None = None
    capacity_types: Sequence[str] = ()

    def takes(self, tolerated: str = "") -> bool:
        """Whether there are nodes for a pod that tolerates taints with this key and no others, or may be."""
        hard = {taint.key for taint in self.taints if taint.effect in HARD_EFFECTS}
        return (self.nodes > 0 or self.grows) and hard <= {tolerated}


def ideas(found: Inventory) -> Iterator[Idea]:
    """Ideas for a first policy on these pools and nodes of no pool, the most telling first, each of them true of some.

    The last is true wherever anything is known, so there is one.
    """
    pools, strays = _pools(found), _strays(found)
    every = [*pools, *strays]
    yield from _capacity(pools)
    for word in ("os", "arch"):
        yield from _machine(word, every)
    yield from _labels(every, "node" if strays else "pool")
    yield from _zones(every)
    yield from _gpus(pools, strays)
    yield from _taints(pools)
    yield from _names(pools)
    yield Idea("off the control plane", f"!({_quoted(CONTROL_PLANE)} in node.labels)", firm=False)


def zones(found: Inventory) -> Sequence[str]:
    """The zones that nodes are known to be in, sorted."""
    return sorted(_carriers([*_pools(found), *_strays(found)], ZONE))


def _pools(found: Inventory) -> list[Kind]:
    return [
        Kind(
            pool.name,
            {**{key: (value,) for key, value in pool.labels.items()}, **pool.values},
            pool.taints,
            pool.nodes or 0,
            pool.nodes is None or pool.provider == "karpenter",
            pool.gpus,
            capacity_types(pool) or (),
        )
        for pool in found.pools
    ]


def _strays(found: Inventory) -> list[Kind]:
    return [
        Kind(node.name, {key: (value,) for key, value in node.labels.items()}, node.taints, 1, grows=False)
        for node in found.stray_nodes
    ]


def _carriers(kinds: Iterable[Kind], key: str) -> Mapping[str, Sequence[Kind]]:
    """By value of a label, those whose nodes may carry it."""
    found: dict[str, list[Kind]] = {}
    for kind in kinds:
        for value in kind.labels.get(key, ()):
            found.setdefault(value, []).append(kind)
    return found


def _size(kinds: Iterable[Kind], tolerated: str = "") -> tuple[bool, int]:
    """A sort key: first what takes pods, then what has most nodes."""
    taking = [kind.nodes for kind in kinds if kind.takes(tolerated)]
    return not taking, -sum(taking)


def _takes(kinds: Iterable[Kind], tolerated: str = "") -> bool:
    return any(kind.takes(tolerated) for kind in kinds)


def _capacity(pools: Sequence[Kind]) -> Iterator[Idea]:
    steady = [pool for pool in pools if "on-demand" in pool.capacity_types]
    if steady and any("spot" in pool.capacity_types for pool in pools):
        yield Idea("on capacity that nobody takes away", 'node.capacityType == "on-demand"', firm=_takes(steady))


def _machine(word: str, kinds: Sequence[Kind]) -> Iterator[Idea]:
    """What images are made for, where nodes differ in it."""
    key = next(each.label for each in NODE_WORDS if each.word == word)
    found = _carriers(kinds, key or "")
    if len(found) > 1:
        value = min(found, key=lambda each: (*_size(found[each]), each not in USUAL, each))
        yield Idea(
            f"on {value}, which their images are made for",
            f"node.{word} == {_quoted(value)}",
            firm=_takes(found[value]),
        )


def _labels(kinds: Sequence[Kind], subject: str) -> Iterator[Idea]:
    """Labels of the cluster's own, first those that all nodes carry, with few values."""
    told = []
    for key in {key for kind in kinds for key in kind.labels if is_own_label(key)}:
        found = _carriers(kinds, key)
        lacking = sum(key not in kind.labels for kind in kinds)
        everywhere = len(found) + bool(lacking) < 2  # the same on all
        of_each = len(found) > 2 and len(found) == sum(kind.nodes for some in found.values() for kind in some)
        if "" not in found and not everywhere and not of_each:
            told.append((key != LOGICAL, lacking, len(found), key, found))
    for *_, key, found in sorted(told, key=lambda each: each[:4]):
        for value, some in sorted(found.items(), key=lambda each: (*_size(each[1]), each[0]))[:MOST]:
            asked = f'{subject}.labels[?{_quoted(key)}].orValue("") == {_quoted(value)}'
            yield Idea(f"on nodes with {key}={value}", asked, firm=_takes(some))


def _zones(kinds: Sequence[Kind]) -> Iterator[Idea]:
    """All zones: for people to leave some out. As a wish it would be no wish."""
    found = sorted(_carriers(kinds, ZONE))
    if len(found) > 1 and _takes(kind for kind in kinds if ZONE in kind.labels):
        yield Idea("in the zones of our data", "node.zone in params.zones", {"zones": found})


def _gpus(pools: Sequence[Kind], strays: Sequence[Kind]) -> Iterator[Idea]:
    """Nodes whose GPUs are left to pods that ask for them; on those of no pool a label says so."""
    where = "on nodes without GPUs"
    without = [pool for pool in pools if pool.gpus == 0]
    if without and any(pool.gpus for pool in pools):
        yield Idea(where, "pool.gpus == 0", firm=_takes(without))
    without = [node for node in (*pools, *strays) if GPU_PRESENT not in node.labels]
    if without and any(GPU_PRESENT in node.labels for node in strays):
        yield Idea(where, f"!({_quoted(GPU_PRESENT)} in node.labels)", firm=_takes(without))


def _taints(pools: Sequence[Kind]) -> Iterator[Idea]:
    """Nodes that are kept for something, by a taint of the cluster's own; not those of which some are kept for each."""
    taints = {taint for pool in pools for taint in pool.taints if taint.effect in HARD_EFFECTS}
    values = Counter(key for key, _ in {(taint.key, taint.value) for taint in taints})
    for key in sorted(key for key, count in values.items() if count == 1 and is_own_label(key)):
        kept = [pool for pool in pools if any(taint.key == key for taint in pool.taints)]
        asked = f"pool.taints.exists(one, one.key == {_quoted(key)})"
        yield Idea(f"on the nodes that are tainted with {key}", asked, {}, key, _takes(kept, key))


def _names(pools: Sequence[Kind]) -> Iterator[Idea]:
    for pool in sorted(pools, key=lambda each: (*_size([each]), each.name))[:MOST]:
        yield Idea(f"on the nodes of {pool.name}", f"pool.name == {_quoted(pool.name)}", firm=_takes([pool]))


def _quoted(text: str) -> str:
    """Text as a string of CEL."""
    return json.dumps(text, ensure_ascii=False)
