"""Whose doing a patch is: what a placement adds to a pod, and which policies asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.evaluation import PolicyEvaluation
from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import Term, parse_term
from engine.placement import (
    Identity,
    Placement,
    Toleration,
    combined_constraints,
    constraint_identity,
    counted_labels,
    labels_of,
    placed,
    term_identity,
)
from engine.program import CompiledPolicy

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
        return frozenset(term_identity(term, labels_of(pod)) for term in (*fresh(field, REQUIRED), *wishes))

    return Added(
        frozenset(parse_term(one["preference"]) for one in fresh("nodeAffinity", PREFERRED)),
        pod_terms("podAffinity"),
        pod_terms("podAntiAffinity"),
        (new.get("tolerations") or ())[len(old.get("tolerations") or ()) :],
        new.get("topologySpreadConstraints") or (),
    )


def asked(
    evaluation: PolicyEvaluation, pod: Json, this: Added, wished: Iterable[Term], tolerations: Iterable[Toleration]
) -> bool:
    """Whether a policy asked for something of this. `wished` and `tolerations` are what it names."""
    labels = labels_of(pod)
    near, apart = (
        {term_identity(term, labels) for _, term in terms}
        for terms in (evaluation.pod_affinity, evaluation.pod_anti_affinity)
    )
    return not (
        this.preferred.isdisjoint(one for term in wished for one in (term, *term.split()))
        and this.pod_affinity.isdisjoint(near)
        and this.pod_anti_affinity.isdisjoint(apart)
        and not any(one in this.tolerations for one in tolerations)
        and not any(_spreads(one, pod, this) for one in evaluation.spread)
    )


def _spreads(constraint: Json, pod: Json, this: Added) -> bool:
    """Whether a constraint changes the pod, and is not overruled by another of its identity."""
    labels, existing = labels_of(pod), (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    alone, _ = combined_constraints(existing, (constraint,), labels)
    there = next(one for one in this.spread if constraint_identity(one) == constraint_identity(constraint))
    return list(alone) != list(existing) and counted_labels(there, labels) == counted_labels(constraint, labels)


def _overruled_spread(applied: Sequence[PolicyEvaluation], pod: Mapping[str, Any]) -> dict[str, str]:
    """Policies whose spread constraint gave way to another of the same identity, and why."""
    wanted = [(f.policy.name, constraint) for f in applied for constraint in f.spread]
    if not wanted:
        return {}
    existing = (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    _, overruled = combined_constraints(existing, [constraint for _, constraint in wanted], labels_of(pod))
    return {wanted[index][0]: reason for index, reason in overruled}


def _without_effect(
    applied: Sequence[PolicyEvaluation], unspread: Mapping[str, str], pod: Mapping[str, Any], placement: Placement
) -> dict[str, str]:
    """Policies that do nothing but spread, and gave way with all of it; and why."""
    if not unspread:
        return {}
    existing, labels = (pod.get("spec") or {}).get("topologySpreadConstraints") or (), labels_of(pod)
    merged, _ = combined_constraints(existing, placement.spread, labels)
    counts = {constraint_identity(one): counted_labels(one, labels) for one in merged}
    return {
        evaluation.policy.name: unspread[evaluation.policy.name]
        for evaluation in applied
        if evaluation.policy.name in unspread
        and _only_spreads(evaluation.policy)
        and all(counts[constraint_identity(one)] != counted_labels(one, labels) for one in evaluation.spread)
    }


def _only_spreads(policy: CompiledPolicy) -> bool:
    others = (policy.require, policy.prefer, policy.fallback, policy.tolerate)
    return not any((*others, policy.pod_affinity, policy.pod_anti_affinity))
