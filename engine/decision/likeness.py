"""Whether two decisions about one pod come to the same: the same answer, or a patch to the same effect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.decision.decision import Decision
from engine.names import PREFERRED
from engine.nodeselector import Term, TooMany, implies, parse_term
from engine.placement import Operation, own

Json = Mapping[str, Any]


def placed_alike(one: Decision, other: Decision) -> bool:
    """Whether the API server is told the same about a pod: refused by both, or let in to run on the same nodes, with
    the same preferences, tolerations, spread constraints and pod affinity. Words and warnings do not count.
    """
    if one.refused or other.refused:
        return one.refused == other.refused
    same = _sent(one) == _sent(other) or same_wishes(_answered(one), _answered(other))
    return same and _portions_alike(one, other, placed_alike)


def decided_alike(one: Decision, other: Decision) -> bool:
    """As `placed_alike`, of what would be if both were enforced, and of what their audited policies would do."""
    if one.allowed != other.allowed:
        return False
    if one.allowed and one.placement_patch != other.placement_patch and not same_wishes(one.patched, other.patched):
        return False
    if not _portions_alike(one, other, decided_alike):
        return False
    if one.audited is None or other.audited is None:
        return one.audited is other.audited
    return decided_alike(one.audited, other.audited)


def _portions_alike(one: Decision, other: Decision, alike: Callable[[Decision, Decision], bool]) -> bool:
    """Whether as many of a workload's pods fare alike."""
    if [portion.percent for portion in one.portions] != [portion.percent for portion in other.portions]:
        return False
    return all(alike(a.decision, b.decision) for a, b in zip(one.portions, other.portions, strict=True))


def same_wishes(one: Json, other: Json) -> bool:
    """Whether two pods, alike but for what policies write, may run on the same nodes and prefer the same ones.

    False where that takes too long to say.
    """
    a, b = _spec(one), _spec(other)
    lists = ("tolerations", "topologySpreadConstraints")
    if any(_counted(a.get(name)) != _counted(b.get(name)) for name in lists):
        return False
    mine, its = a.get("affinity") or {}, b.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        kinds = {*(mine.get(name) or {}), *(its.get(name) or {})}
        if any(_counted((mine.get(name) or {}).get(k)) != _counted((its.get(name) or {}).get(k)) for k in kinds):
            return False
    if _preferred(mine) != _preferred(its):
        return False
    try:
        wide, narrow = own(one), own(other)
    except TooMany:
        return False
    return wide == narrow or (implies(wide, narrow) and implies(narrow, wide))


def _sent(decision: Decision) -> Sequence[Operation]:
    """What is sent to the API server, but for the names of revision and policies."""
    return decision.placement_patch if decision.answer_patch else ()


def _answered(decision: Decision) -> Json:
    return decision.patched if decision.answer_patch else decision.incoming.pod


def _spec(pod: Json) -> Json:
    """A pod's, or that of the template of a DaemonSet."""
    spec: Json = pod.get("spec") or {}
    return spec


def _counted(items: Iterable[Json] | None) -> Counter[str]:
    return Counter(json.dumps(item, sort_keys=True) for item in items or ())


def _preferred(affinity: Json) -> dict[Term, int]:
    """Weights by what they are for."""
    weights: dict[Term, int] = {}
    for one in (affinity.get("nodeAffinity") or {}).get(PREFERRED) or ():
        term = parse_term(one.get("preference") or {})
        weights[term] = weights.get(term, 0) + (one.get("weight") or 0)
    return weights
