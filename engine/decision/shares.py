"""Splits: which share of a policy's split a pod has, and what follows from it for the policy.

A pod keeps the share that its own constraints imply, or that it prefers already: it has been decided before, or its
author has chosen. Any other is dealt one, by its index or by chance. With `whenEmpty: deny` it has that one; where the
policy may be left out instead, it has the next one rather, if the first leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice, product
from math import prod
from typing import Any

from engine.decision.combine import Given, Met, PoliciesFailed, binding_terms, required_together
from engine.decision.intent import applied, holds_already
from engine.decision.weigh import preferred
from engine.evaluation import NodeSet, PolicyEvaluation, WeightedNodes, alive, intersection, node_terms, reach
from engine.names import PREFERRED
from engine.nodeselector import TRUE, Terms, TooMany, both
from engine.placement import MAX_WEIGHT, preferences, wishes_of
from engine.pods import IncomingPod, dealt, index_of
from engine.struct import replace

MOST_TRIED = 64
"""Choices of shares that are tried for a pod that has preferences of its own."""
MOST_PORTIONS = 16
"""Portions into which the pods of a workload are told apart."""


def with_shares(given: Given) -> Given:
    """What is given, each split decided: the pod's share is among what its policy requires. Raises PoliciesFailed."""
    options = {one.policy.name: _options(given, one) for one in given.evaluations if _splits(one)}
    first = [_in_share(given, one, options[one.policy.name][0]) if _splits(one) else one for one in given.evaluations]
    if all(len(several) == 1 for several in options.values()):
        return replace(given, evaluations=first)
    binding = binding_terms(given)
    everything = required_together(given, [one for one in first if _requires(one)])
    if everything is None or alive(everything, binding, given.pool_index, given.meter):
        return replace(given, evaluations=first)
    kept, settled = list[PolicyEvaluation](), list[PolicyEvaluation]()
    for evaluation, chosen in zip(given.evaluations, first, strict=True):
        several = options.get(evaluation.policy.name, ())
        for trial in (_in_share(given, evaluation, option) for option in several) if several else (chosen,):
            together = required_together(given, [*kept, trial]) if _requires(trial) else None
            if together is None or alive(together, binding, given.pool_index, given.meter):
                kept += [trial] if _requires(trial) else []
                settled.append(trial)
                break
        else:
            settled.append(chosen)
    return replace(given, evaluations=settled)


def _splits(evaluation: PolicyEvaluation) -> bool:
    return bool(evaluation.shares) and evaluation.outcome == "applied"


def _requires(evaluation: PolicyEvaluation) -> bool:
    return evaluation.outcome == "applied" and evaluation.nodes is not None


Option = tuple[int, bool]
"""The place of a share, and whether the pod keeps it."""


def _options(given: Given, evaluation: PolicyEvaluation) -> list[Option]:
    """The shares that a pod may have, the first by preference."""
    kept = None if _hopeless(given) else _kept(evaluation, given.own_terms, given)
    if kept is not None:
        return [(kept, True)]
    order = [(place, False) for place in _order(given, evaluation)]
    return order[:1] if evaluation.policy.policy.when_empty == "deny" else order


def _hopeless(given: Given) -> bool:
    """Whether the pod's own constraints match no known pool: they imply every share, or none."""
    return given.own_terms != TRUE and binding_terms(given) == TRUE


def _kept(evaluation: PolicyEvaluation, terms: Terms, given: Given) -> int | None:
    """The place of the share that these terms imply.

    Of several, which overlap then, it is the first of those that leave the fewest pools: a pod that has been in one of
    them is not led to pools that this one ruled out.
    """
    implied: list[int] = []
    for place, share in enumerate(evaluation.shares) if terms != TRUE else ():
        with suppress(TooMany):
            if holds_already(terms, share.nodes, given.pool_index, given.meter):
                implied.append(place)
    if len(implied) < 2:
        return implied[0] if implied else None

    def pools_left(place: int) -> int:
        return reach(evaluation.shares[place].nodes.groups, terms, given.pool_index, given.meter).bit_count()

    return min(implied, key=pools_left)


def _order(given: Given, evaluation: PolicyEvaluation) -> list[int]:
    """The shares as the pod is dealt them, without those that its own constraints rule out, if any are left then."""
    policy = evaluation.policy
    percents = [share.percent for share in policy.split]
    if _hopeless(given):
        return sorted(range(len(percents)), key=lambda place: -percents[place])
    order = dealt(policy.name, percents, given.incoming)
    chosen = given.choices.get(policy.name)
    if chosen is not None:
        order = (chosen, *(place for place in order if place != chosen))
    ruled_out = _ruled_out(given, evaluation)
    return [place for place in order if place not in ruled_out] or list(order)


def _ruled_out(given: Given, evaluation: PolicyEvaluation) -> set[int]:
    """The places of shares that have nodes, none of which the pod's own constraints admit."""
    binding, pool_index = binding_terms(given), given.pool_index
    return {
        place
        for place, share in enumerate(evaluation.shares if binding != TRUE else ())
        if not alive(share.nodes, binding, pool_index, given.meter)
        and alive(share.nodes, TRUE, pool_index, given.meter)
    }


def _in_share(given: Given, evaluation: PolicyEvaluation, option: Option) -> PolicyEvaluation:
    """The evaluation of a pod in a share. Raises PoliciesFailed."""
    place, kept = option
    share, nodes = evaluation.shares[place], evaluation.nodes
    if evaluation.policy.split[place].strict:
        try:
            nodes = share.nodes if nodes is None else intersection(nodes, share.nodes, given.meter)
        except TooMany as error:
            raise PoliciesFailed({evaluation.policy.name: str(error)}) from error
    settled = evaluation._replace(nodes=nodes, share=place, kept=kept, error=evaluation.error or share.error)
    return settled._replace(message=settled.wanted)


# Shares that are only wished for


def with_wishes(given: Given, met: Met) -> Given:
    """What is given, with the wishes of those whose share is not strict.

    Among such shares the one is chosen again, for some may have no node left, and the pod may prefer one already.
    """
    given = _implied(given, met)
    soft = [one for one in given.evaluations if _wishes(met, one) and not one.kept]
    places = {one.policy.name: several for one in soft if (several := _reachable(given, met, one))}
    if not places:
        return given
    chosen: dict[str, Option] | None = None
    if _own_wishes(given):
        votes = {one.policy.name: _votes(given, one) for one in soft}
        chosen = _preferred_already(given, met, places, votes) or {
            name: _favourite(several, votes[name]) for name, several in places.items()
        }
    return _wishing(given, chosen or {name: (several[0], False) for name, several in places.items()})


def _wishes(met: Met, evaluation: PolicyEvaluation) -> bool:
    """Whether a policy wishes for the nodes of the pod's share."""
    if evaluation.share is None or evaluation.policy.split[evaluation.share].strict:
        return False
    return evaluation.policy.name not in met.overruled


def _implied(given: Given, met: Met) -> Given:
    """What is given; a pod that can't go anywhere but to nodes of a share that is wished for has that one."""
    if met.unsatisfiable or not any(_wishes(met, one) for one in given.evaluations):
        return given
    left = given.own_terms
    if met.nodes is not None:
        with suppress(TooMany):
            left = both(left, node_terms(met.nodes, met.after, given.pool_index, given.meter), given.meter)

    def keeping(evaluation: PolicyEvaluation) -> PolicyEvaluation:
        place = _kept(evaluation, left, given)
        return evaluation._replace(share=evaluation.share if place is None else place, kept=place is not None)

    return replace(given, evaluations=[keeping(one) if _wishes(met, one) else one for one in given.evaluations])


def _own_wishes(given: Given) -> Sequence[Mapping[str, Any]]:
    """The preferred node terms that a pod has already."""
    affinity = ((given.incoming.pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
    return affinity.get(PREFERRED) or ()


def _reachable(given: Given, met: Met, evaluation: PolicyEvaluation) -> list[int]:
    """The places of the shares that are wished for and have nodes that are left, the pod's own first."""
    binding = binding_terms(given)
    order = sorted(_order(given, evaluation), key=lambda place: place != evaluation.share)
    return [place for place in order if _is_left(evaluation.shares[place].nodes, binding, given, met)]


def _is_left(nodes: NodeSet, binding: Terms, given: Given, met: Met) -> bool:
    """Whether any of these nodes is left; True where that takes too many terms to say."""
    try:
        left = nodes if met.nodes is None else intersection(nodes, met.nodes, given.meter)
    except TooMany:
        return True
    return alive(left, binding, given.pool_index, given.meter)


def _preferred_already(
    given: Given, met: Met, places: Mapping[str, Sequence[int]], votes: Mapping[str, Mapping[int, int]]
) -> dict[str, Option] | None:
    """The choice by which no wish is missing from the pod, if there is one among MOST_TRIED: it was made before."""
    likely = [
        sorted(several, key=lambda place, name=name: -votes[name].get(place, 0))  # type: ignore[misc]
        for name, several in places.items()
    ]
    for choice in islice(product(*likely), MOST_TRIED):
        chosen = {name: (place, True) for name, place in zip(places, choice, strict=True)}
        try:
            trial = _wishing(given, chosen)
            if not preferences(preferred(trial, applied(trial, met), met.after), _own_wishes(given), given.meter):
                return chosen
        except TooMany:
            continue
    return None


def _votes(given: Given, evaluation: PolicyEvaluation) -> dict[int, int]:
    """By place of a share that is wished for, how much the pod prefers some of its nodes already, and of no other."""
    votes: dict[int, int] = {}
    for weight, term in wishes_of(_own_wishes(given), given.meter):
        with suppress(TooMany):
            wish = both((term,), given.own_terms, given.meter)
            meant = [
                place
                for place, share in enumerate(evaluation.shares)
                if alive(share.nodes, wish, given.pool_index, given.meter)
            ]
            if len(meant) == 1:
                votes[meant[0]] = votes.get(meant[0], 0) + weight
    return votes


def _favourite(several: Sequence[int], votes: Mapping[int, int]) -> Option:
    """The share that a pod prefers before all others, or else the one that it is dealt."""
    most = max(several, key=lambda place: votes.get(place, 0))
    alone = votes.get(most, 0) > max((votes.get(place, 0) for place in several if place != most), default=0)
    return (most, True) if alone else (several[0], False)


def _wishing(given: Given, chosen: Mapping[str, Option]) -> Given:
    """What is given, with wishes for the nodes of these shares."""

    def wishing(evaluation: PolicyEvaluation) -> PolicyEvaluation:
        place, kept = chosen[evaluation.policy.name]
        share = evaluation.shares[place]
        wish = WeightedNodes(share.nodes, MAX_WEIGHT, len(evaluation.policy.prefer))
        error = evaluation.error or share.error
        return evaluation._replace(wishes=(*evaluation.wishes, wish), share=place, kept=kept, error=error)

    evaluations = [wishing(one) if one.policy.name in chosen else one for one in given.evaluations]
    return replace(given, evaluations=evaluations)


# Pods of one template


def told_apart(incoming: IncomingPod) -> bool:
    """Whether a pod is one of those of its workload, which has one share of each split."""
    return bool(incoming.uid) or (incoming.owner is None and index_of(incoming) is not None)


def portions(given: Given) -> Iterator[tuple[float, dict[str, int]]]:
    """Of pods that are not told apart yet, per cent by per cent the places of the shares that they are dealt.

    Not for a pod that is `told_apart`.
    """
    several: dict[str, list[tuple[int, int]]] = {}
    for one in given.evaluations:
        left = _dealt_to(given, one) if _splits(one) else []
        if len(left) > 1 and len(left) * prod(map(len, several.values())) <= MOST_PORTIONS:
            several[one.policy.name] = left
    for choice in product(*several.values()) if several else ():
        total = prod(sum(percent for _, percent in left) for left in several.values())
        chosen = {name: place for name, (place, _) in zip(several, choice, strict=True)}
        yield 100 * prod(percent for _, percent in choice) / total, chosen


def _dealt_to(given: Given, evaluation: PolicyEvaluation) -> list[tuple[int, int]]:
    """The shares that pods like this one are dealt, with their per cents; none if each keeps one."""
    split = evaluation.policy.split
    if _hopeless(given) or _kept(evaluation, given.own_terms, given) is not None:
        return []
    if not split[0].strict and _own_wishes(given) and any(_votes(given, evaluation).values()):
        return []
    places = sorted(_order(given, evaluation))
    return [(place, split[place].percent) for place in places if split[place].percent]
