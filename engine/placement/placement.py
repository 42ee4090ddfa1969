"""Placement, what policies intend for one pod, and the pod with it worked in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import TRUE, Meter, Term, Terms
from engine.placement import pod_affinity, spread
from engine.placement.pod_affinity import WeightedPodTerm
from engine.placement.preferred import preferences
from engine.placement.required import Json, narrowed
from engine.placement.spread import Constraint
from engine.placement.tolerations import Toleration, united_tolerations
from engine.struct import Struct


class Placement(Struct, frozen=True):
    """What follows from policies for one pod.

    `required` is where it may run, `preferred` are (weight, term) pairs; `tolerations`, `spread` and the pod terms are
    in Kubernetes' own fields: see `toleration_for`, `spread_constraint` and `pod_term`. Weights are those of policies,
    of any size: `placed` makes them 1 to 100.
    Of spread constraints with one identity the first wins.
    """

    required: Terms = TRUE
    preferred: tuple[tuple[int, Term], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    spread: tuple[Constraint, ...] = ()
    pod_affinity: tuple[WeightedPodTerm, ...] = ()
    pod_anti_affinity: tuple[WeightedPodTerm, ...] = ()


NOTHING = Placement()


def labels_of(pod: Json) -> Mapping[str, str]:
    """A pod's labels."""
    return (pod.get("metadata") or {}).get("labels") or {}


def placed(pod: Json, placement: Placement, meter: Meter | None = None, meant: tuple[Term, ...] | None = None) -> Json:
    """A pod with the placement worked in. The given one is not changed, and returned where there is nothing to write.

    The meter pays for it; `meant` are the `meanings` of the pod's terms, where they are known. Raises TooMany.
    """
    spec = pod.get("spec") or {}
    parts = {
        "affinity": _affinity(pod, placement, meter, meant),
        "tolerations": united_tolerations(spec.get("tolerations"), placement.tolerations, meter),
        "topologySpreadConstraints": _spread(pod, placement, meter),
    }
    changed = {field: value for field, value in parts.items() if value is not spec.get(field)}
    return {**pod, "spec": {**spec, **changed}} if changed else pod


def _affinity(pod: Json, placement: Placement, meter: Meter | None, meant: tuple[Term, ...] | None) -> Json | None:
    affinity = (pod.get("spec") or {}).get("affinity")
    terms = narrowed(pod, placement.required, meter, meant)
    node = _part(affinity, "nodeAffinity")
    required = {} if terms is None else {REQUIRED: {"nodeSelectorTerms": terms}}
    wished = preferences(placement.preferred, node.get(PREFERRED) or (), meter)
    changed = {"nodeAffinity": required | ({PREFERRED: _grown(node.get(PREFERRED), wished)} if wished else {})}
    for field, wanted in (("podAffinity", placement.pod_affinity), ("podAntiAffinity", placement.pod_anti_affinity)):
        if not wanted:
            continue
        part = _part(affinity, field)
        demands, wishes = pod_affinity.added_terms(part, wanted, labels_of(pod), meter)
        changed[field] = {
            kind: _grown(part.get(kind), items) for kind, items in ((REQUIRED, demands), (PREFERRED, wishes)) if items
        }
    parts = {field: {**_part(affinity, field), **change} for field, change in changed.items() if change}
    return {**(affinity or {}), **parts} if parts else affinity


def _spread(pod: Json, placement: Placement, meter: Meter | None) -> Sequence[Constraint] | None:
    existing: Sequence[Constraint] | None = (pod.get("spec") or {}).get("topologySpreadConstraints")
    if not placement.spread:
        return existing
    merged, _ = spread.combined_constraints(existing or (), placement.spread, labels_of(pod), meter)
    return existing if list(merged) == list(existing or ()) else list(merged)


def _part(value: Json | None, field: str) -> Json:
    part: Json = (value or {}).get(field) or {}
    return part


def _grown(existing: Sequence[Any] | None, more: Sequence[Any]) -> Sequence[Any] | None:
    """A list with more at its end; the very same one where there is no more."""
    return [*(existing or ()), *more] if more else existing
