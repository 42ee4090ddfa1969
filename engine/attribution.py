"""Whose doing a patch is: what a placement adds to a pod, and which policies asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from engine import spread
from engine.judge import Finding
from engine.placement import Placement, labels_of, placed
from engine.podaffinity import PREFERRED, REQUIRED, Identity, identity
from engine.requirement import Term, parse_term
from engine.tolerations import Toleration

Json = Mapping[str, Any]


class Added(NamedTuple):
    """What a placement adds to a pod, its required node terms aside; `spread` are the constraints there are then."""

    preferred: frozenset[Term]
    pod_affinity: frozenset[Identity]
    pod_anti_affinity: frozenset[Identity]
    tolerations: Sequence[Toleration]
    spread: Sequence[Json]


def added(pod: Json, placement: Placement) -> Added:
    """What a placement that can be written adds to a pod."""
    old, new = pod.get("spec") or {}, placed(pod, placement).get("spec") or {}
    before, after = old.get("affinity") or {}, new.get("affinity") or {}

    def fresh(field: str, kind: str) -> Sequence[Json]:
        there = len((before.get(field) or {}).get(kind) or ())
        return ((after.get(field) or {}).get(kind) or ())[there:]

    def pod_terms(field: str) -> frozenset[Identity]:
        wishes = [one["podAffinityTerm"] for one in fresh(field, PREFERRED)]
        return frozenset(identity(term, labels_of(pod)) for term in (*fresh(field, REQUIRED), *wishes))

    return Added(
        frozenset(parse_term(one["preference"]) for one in fresh("nodeAffinity", PREFERRED)),
        pod_terms("podAffinity"),
        pod_terms("podAntiAffinity"),
        (new.get("tolerations") or ())[len(old.get("tolerations") or ()) :],
        new.get("topologySpreadConstraints") or (),
    )


def asked(finding: Finding, pod: Json, this: Added, wished: Iterable[Term], tolerations: Iterable[Toleration]) -> bool:
    """Whether a policy asked for something of this. `wished` and `tolerations` are what it names."""
    labels = labels_of(pod)
    near, apart = (
        {identity(term, labels) for _, term in terms} for terms in (finding.pod_affinity, finding.pod_anti_affinity)
    )
    return not (
        this.preferred.isdisjoint(one for term in wished for one in (term, *term.split()))
        and this.pod_affinity.isdisjoint(near)
        and this.pod_anti_affinity.isdisjoint(apart)
        and not any(one in this.tolerations for one in tolerations)
        and not any(_spreads(one, pod, this) for one in finding.spread)
    )


def _spreads(constraint: Json, pod: Json, this: Added) -> bool:
    """Whether a constraint changes the pod, and is not overruled by another of its identity."""
    labels, existing = labels_of(pod), (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    alone, _ = spread.combine(existing, (constraint,), labels)
    there = next(one for one in this.spread if spread.identity(one) == spread.identity(constraint))
    return list(alone) != list(existing) and spread.counted(there, labels) == spread.counted(constraint, labels)
