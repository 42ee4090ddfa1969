"""Whose doing a patch is: what a placement adds to a pod, and which policies asked for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.decision import words
from engine.decision.combine import Given, Met
from engine.decision.decision import PolicyOutcome, policy_outcome
from engine.decision.intent import TaintAnswers, Written, holds_already, tolerated
from engine.decision.weigh import of_pools, ranks, room, wished
from engine.evaluation import PolicyEvaluation, WeightedNodes
from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import FALSE, TRUE, Meter, Term, Terms, TooMany, parse_term
from engine.placement import (
    COVERING,
    Identity,
    Toleration,
    combined_constraints,
    constraint_identity,
    counted_labels,
    labels_of,
    term_identity,
)
from engine.program import CompiledPolicy

Json = Mapping[str, Any]


def outcomes(
    given: Given,
    met: Met,
    written: Written,
    left_out: Mapping[str, str],
    gave_way: Mapping[str, str],
    answers: TaintAnswers,
) -> tuple[PolicyOutcome, ...]:
    """Every outcome. A policy that applies is satisfied where nothing that it asks for is in the patch.

    `left_out` are the policies that do nothing at all, `gave_way` those whose spread constraint did; and why.
    """
    writing = _writing(given, met, written, answers) if written.operations else ()
    said = []
    for evaluation in given.evaluations:
        name = evaluation.policy.name
        if name in left_out:
            said.append(policy_outcome(evaluation, "overruled", left_out[name]))
        elif evaluation.outcome != "applied" or name in writing:
            said.append(policy_outcome(evaluation))
        else:
            message = _unchanged(given, met, written, evaluation, gave_way, answers)
            said.append(policy_outcome(evaluation, "satisfied", message))
    return tuple(said)


def _writing(given: Given, met: Met, written: Written, answers: TaintAnswers) -> Collection[str]:
    """The policies that ask for something that is written, be it that others ask for it, too."""
    applied = written.applied
    if len(applied) == 1:
        return (applied[0].policy.name,)
    names = _narrowing(given, applied)
    rest = [one for one in applied if one.policy.name not in names and not one.policy.only_requires]
    if rest:
        pod = given.incoming.pod
        pay_for_reading(pod, written, given)
        this = added(pod, written.patched)
        for evaluation in rest:
            terms = (
                term for wish in (*evaluation.tiers, *evaluation.wishes) for term in _named_by(given, wish, met.after)
            )
            if asked(evaluation, pod, this, terms, tolerated(given, met, evaluation, answers)):
                names.add(evaluation.policy.name)
    # nobody narrows the pod, but those that say so together have ruled out pools that it does not name
    return names or {evaluation.policy.name for evaluation in applied if evaluation.nodes is not None}


def _narrowing(given: Given, applied: Iterable[PolicyEvaluation]) -> set[str]:
    """The policies that require what the pod does not ask for itself: any nodes but all, where it asks for none."""
    if given.own_terms == TRUE:
        return {one.policy.name for one in applied if one.nodes is not None and one.nodes.anywhere != TRUE}
    return {one.policy.name for one in applied if _narrows(given, one)}


def _narrows(given: Given, evaluation: PolicyEvaluation) -> bool:
    """Whether a policy requires what the pod does not ask for itself."""
    nodes = evaluation.nodes
    try:
        return nodes is not None and not holds_already(given.own_terms, nodes, given.pool_index, given.meter)
    except TooMany:
        return True


def _named_by(given: Given, wish: WeightedNodes, after: int) -> Terms:
    """The terms of a wish; none of one that takes too many, which is only left where it weighs nothing."""
    try:
        return wished(given, wish.nodes, after)
    except TooMany:
        return FALSE


def _unchanged(
    given: Given,
    met: Met,
    written: Written,
    evaluation: PolicyEvaluation,
    gave_way: Mapping[str, str],
    answers: TaintAnswers,
) -> str:
    """Why nothing of a policy is written."""
    if evaluation.policy.only_denies:
        return words.DENIES_NOTHING
    if evaluation.policy.name in gave_way:
        return gave_way[evaluation.policy.name]
    if evaluation.nodes is not None or evaluation.spread or evaluation.pod_affinity or evaluation.pod_anti_affinity:
        return words.HELD
    if tolerated(given, met, evaluation, answers) or of_pools(evaluation.tiers, met.after):
        return words.HELD
    if evaluation.share is not None and evaluation.kept:
        return words.HELD
    wishes = [wish for wish in evaluation.wishes if of_pools((wish,), met.after)]
    if wishes:
        tiers = ranks(written.applied)
        light = bool(tiers) and not any(wish.weight for wish in room(tiers, written.applied).lighter(wishes))
        return words.TOO_LIGHT if light else words.HELD
    wishing = evaluation.policy.split or evaluation.policy.prefer or evaluation.policy.fallback
    return words.ABOUT_NONE if wishing else words.NO_TAINT


def pay_for_reading(pod: Json, written: Written, given: Given) -> None:
    """Pays for looking at what was written, once more by each policy that applies."""
    if given.meter:
        own, made = ((each.get("spec") or {}).get("tolerations") or () for each in (pod, written.patched))
        fresh = 1 + len(made) - len(own)
        given.meter.spend(COVERING * fresh * len(written.applied) + len(made))


class Added(NamedTuple):
    """What a placement adds to a pod, its required node terms aside; `spread` are the constraints there are then."""

    preferred: frozenset[Term]
    pod_affinity: frozenset[Identity]
    pod_anti_affinity: frozenset[Identity]
    tolerations: Sequence[Toleration]
    spread: Sequence[Json]


def added(pod: Json, patched: Json) -> Added:
    """What a placement adds to a pod; `patched` is the pod with it worked in."""
    old, new = pod.get("spec") or {}, patched.get("spec") or {}
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
        _fresh(old.get("tolerations") or (), new.get("tolerations") or ()),
        new.get("topologySpreadConstraints") or (),
    )


def tolerating_policies(given: Given, met: Met, written: Written, answers: TaintAnswers) -> frozenset[str]:
    """The names of the policies that ask for a toleration which is written."""
    asking = [one for one in written.applied if one.policy.tolerate] if written.operations else []
    if not asking:
        return frozenset()
    old, new = ((pod.get("spec") or {}).get("tolerations") or () for pod in (given.incoming.pod, written.patched))
    fresh = _fresh(old, new)
    return frozenset(
        one.policy.name for one in asking if any(each in fresh for each in tolerated(given, met, one, answers))
    )


def _fresh(old: Sequence[Json], new: Sequence[Json]) -> Sequence[Json]:
    """The entries of a list that are not as they were."""
    return [one for place, one in enumerate(new) if place >= len(old) or one != old[place]]


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


def overruled_spread(applied: Iterable[PolicyEvaluation], pod: Json, meter: Meter | None = None) -> dict[str, str]:
    """Policies whose spread constraint gave way to another of the same identity, and why."""
    wanted = [(each.policy.name, constraint) for each in applied for constraint in each.spread]
    if not wanted:
        return {}
    existing = (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    _, overruled = combined_constraints(existing, [constraint for _, constraint in wanted], labels_of(pod), meter)
    return {wanted[index][0]: reason for index, reason in overruled}


def without_effect(pod: Json, written: Written, gave_way: Mapping[str, str]) -> dict[str, str]:
    """Policies that do nothing but spread, and gave way with all of it; and why. `gave_way` are all that did."""
    if not gave_way:
        return {}
    existing, labels = (pod.get("spec") or {}).get("topologySpreadConstraints") or (), labels_of(pod)
    merged, _ = combined_constraints(existing, written.placement.spread, labels)
    counts = {constraint_identity(one): counted_labels(one, labels) for one in merged}
    return {
        evaluation.policy.name: gave_way[evaluation.policy.name]
        for evaluation in written.applied
        if evaluation.policy.name in gave_way
        and _only_spreads(evaluation.policy)
        and all(counts[constraint_identity(one)] != counted_labels(one, labels) for one in evaluation.spread)
    }


def _only_spreads(policy: CompiledPolicy) -> bool:
    others = (policy.require, policy.split, policy.prefer, policy.fallback, policy.tolerate)
    return not any((*others, policy.pod_affinity, policy.pod_anti_affinity))
