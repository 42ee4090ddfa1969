"""What is written into a pod: the policies' combined intent, held against what the pod says already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from engine.decision.combine import Given, Met, PoliciesFailed, multiplied, required_together
from engine.decision.karpenter import alternatives_in_order, heavier_than_all, made_by_karpenter, shown
from engine.decision.weigh import preferred
from engine.evaluation import NodeSet, PolicyEvaluation, node_terms
from engine.language import BudgetExceeded, CelError
from engine.nodeselector import TRUE, Terms, TooMany, affordable, implies
from engine.placement import Operation, Placement, Toleration, patch, placed, tolerates, toleration_for
from engine.pools import HARD_EFFECTS, PoolIndex, Taint, members


@dataclass(frozen=True, slots=True)
class Written:
    """What is written: the policies that apply and are not overruled, and what they come to.

    `patched` is the pod with the placement worked in, the pod itself where nothing changes; `operations` lead there.
    """

    applied: Sequence[PolicyEvaluation]
    placement: Placement
    patched: Mapping[str, Any]
    operations: tuple[Operation, ...]


class TaintAnswers:
    """Which policy names which taint of which pool, as far as it was asked.

    Each is asked once, for asking spends of the policy's budget; what raises is asked again. Every try at combining the
    policies of a pod begins without any.
    """

    __slots__ = ("_answers", "_pool_index")

    def __init__(self, pool_index: PoolIndex) -> None:
        self._pool_index = pool_index
        self._answers: dict[tuple[str, int, Taint], bool] = {}

    def names(self, evaluation: PolicyEvaluation, index: int, taint: Taint) -> bool:
        """Whether a policy names a taint of the pool at an index. Raises PoliciesFailed."""
        question = evaluation.policy.name, index, taint
        if question not in self._answers:
            self._answers[question] = _named(evaluation, self._pool_index.pools[index].view, taint)
        return self._answers[question]


def _named(evaluation: PolicyEvaluation, pool: Mapping[str, object], taint: Taint) -> bool:
    view = taint._asdict()
    for entry in evaluation.policy.tolerate:
        try:
            if entry.function(*evaluation.arguments, pool, view) is True:
                return True
        except (CelError, BudgetExceeded) as error:
            raise PoliciesFailed({evaluation.policy.name: f"{entry.place}: {error}"}) from error
    return False


def written(given: Given, met: Met, answers: TaintAnswers) -> Written:
    """What the policies come to, and how it is written.

    Raises PoliciesFailed: of policies that bring more than a pod can carry, and of one whose tolerations can't be told.
    """
    holding = applied(given, met)
    try:
        return _carried(given, met, holding, answers)
    except TooMany as error:
        failed = _too_much(given, met, holding, answers)
        assert failed  # the last that it tried are all of them
        raise PoliciesFailed(failed) from error


def applied(given: Given, met: Met) -> list[PolicyEvaluation]:
    """The policies that apply and are not overruled."""
    return [one for one in given.evaluations if one.outcome == "applied" and one.policy.name not in met.overruled]


def _carried(given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers) -> Written:
    """What these policies come to. Raises TooMany if a pod can't carry it."""
    placement = _placement(given, met, applied, answers)
    affordable(placement.required)
    pod = given.incoming.pod
    patched = placed(pod, placement)
    karpenter = made_by_karpenter(given.pool_index, met.left)
    if karpenter and patched is not pod:
        patched = shown(pod, patched, given, karpenter)
    return Written(applied, placement, patched, patch(pod, patched))


def _too_much(given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers) -> dict[str, str]:
    """The policies that bring more than a pod can carry, given those before them that don't; and why."""
    failed: dict[str, str] = {}
    kept, rest, step = list[PolicyEvaluation](), list(applied), 1
    while rest:
        error = _excess(given, met, [*kept, *rest[:step]], answers)
        if error is None:
            kept, rest, step = kept + rest[:step], rest[step:], step * 2
        elif step > 1:
            step //= 2
        else:
            failed[rest[0].policy.name] = multiplied(given, error, [*kept, rest[0]])
            rest = rest[1:]
    return failed


def _excess(given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers) -> TooMany | None:
    """What these policies together bring too much of. Raises PoliciesFailed."""
    try:
        nodes = required_together(given, [one for one in applied if one.nodes is not None])
        _carried(given, replace(met, nodes=nodes), applied, answers)
    except TooMany as error:
        return error
    return None


def _placement(given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers) -> Placement:
    nodes, after, pool_index = met.nodes, met.after, given.pool_index
    required = TRUE if nodes is None or _held(given, met, nodes) else node_terms(nodes, after, pool_index)
    wishes = preferred(given, applied, after)
    karpenter = made_by_karpenter(pool_index, met.left)
    if karpenter:
        wishes = heavier_than_all(wishes, required, given, karpenter)
        required = alternatives_in_order(required, wishes, given, karpenter)
    return Placement(
        required,
        wishes,
        tuple(_tolerations(given, met, applied, answers)),
        tuple(constraint for one in applied for constraint in one.spread),
        tuple(term for one in applied for term in one.pod_affinity),
        tuple(term for one in applied for term in one.pod_anti_affinity),
    )


def _held(given: Given, met: Met, nodes: NodeSet) -> bool:
    """Whether the pod says already what is required, also of pools that are not left."""
    if met.after == given.pool_index.every or met.unsatisfiable:
        return False
    elsewhere = met.before
    for mask, _ in nodes.groups:
        elsewhere &= ~mask
    return not elsewhere and holds_already(given.own_terms, nodes, given.pool_index)


def holds_already(own_terms: Terms, wanted: NodeSet, pool_index: PoolIndex) -> bool:
    """Whether the pod's own constraints keep it on these nodes; one that has none is kept nowhere. Raises TooMany."""
    if own_terms == TRUE:
        return wanted.anywhere == TRUE
    return implies(own_terms, node_terms(wanted, pool_index.every, pool_index))


def _tolerations(
    given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers
) -> list[Toleration]:
    """For each taint of the pools that are left that an entry of a policy names. Raises PoliciesFailed."""
    wanted: dict[Taint, Toleration] = {}
    for evaluation in applied:
        for index, taint in _taints(met.left, given.pool_index) if evaluation.policy.tolerate else ():
            if taint not in wanted and answers.names(evaluation, index, taint):
                wanted[taint] = toleration_for(taint._asdict())
    return [wanted[taint] for taint in sorted(wanted)]


def tolerated(given: Given, met: Met, evaluation: PolicyEvaluation, answers: TaintAnswers) -> list[Toleration]:
    """Those that one policy names. Where that is an error, nobody asked it: another one had named the taint."""
    wanted: dict[Taint, Toleration] = {}
    for index, taint in _taints(met.left, given.pool_index) if evaluation.policy.tolerate else ():
        with suppress(PoliciesFailed):
            if taint not in wanted and answers.names(evaluation, index, taint):
                wanted[taint] = toleration_for(taint._asdict())
    return list(wanted.values())


def _taints(pools: int, pool_index: PoolIndex) -> Iterator[tuple[int, Taint]]:
    """The taints of these pools that keep pods off, each with its pool's index."""
    for index in members(pools):
        yield from ((index, taint) for taint in pool_index.pools[index].taints if taint.effect in HARD_EFFECTS)


def untolerated(given: Given, pools: int, placement: Placement) -> tuple[str, ...]:
    """The names of those of these pools whose taints bar the pod, also when the placement is worked in."""
    tolerations = [*((given.incoming.pod.get("spec") or {}).get("tolerations") or ()), *placement.tolerations]
    barred = 0
    for taint, tainted in given.pool_index.hard_taints.items():
        if tainted & pools and not any(tolerates(one, taint._asdict()) for one in tolerations):
            barred |= tainted & pools
    return given.pool_index.names(barred)
