"""What is written into a pod: the policies' combined intent, held against what the pod says already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from engine.decision.combine import Given, Met, PoliciesFailed, multiplied, required_together
from engine.decision.decision import PoolNames
from engine.decision.karpenter import alternatives_in_order, heavier_than_all, made_by_karpenter, shown
from engine.decision.unseen import unseen_nodes
from engine.decision.weigh import preferred
from engine.evaluation import NodeSet, PolicyEvaluation, failure_of, node_terms
from engine.language import BudgetExceeded, CelError, bare
from engine.nodeselector import TRUE, Meter, Terms, TooMany, affordable, implies
from engine.placement import COVERING, Operation, Placement, Toleration, patch, placed, stay, tolerates, toleration_for
from engine.pools import HARD_EFFECTS, TIMED_TAINTS, PoolIndex, Taint, members
from engine.program import CompiledTolerance, PoolView, Undecided, as_seen
from engine.struct import Struct, replace

FOREVER = inf
"""The seconds of a toleration without limit."""
NO_POOL = -1
"""In place of a pool's index: nodes that belong to none."""
LIFECYCLE = tuple(Taint(key, "", "NoExecute") for key in TIMED_TAINTS)
"""Taints that any node may have for a while, and of which a policy may say for how long pods stay then."""


class Written(Struct, frozen=True):
    """What is written: the policies that apply and are not overruled, and what they come to.

    `patched` is the pod with the placement worked in, the pod itself where nothing changes; `operations` lead there.
    """

    applied: Sequence[PolicyEvaluation]
    placement: Placement
    patched: Mapping[str, Any]
    operations: tuple[Operation, ...]


class TaintAnswers:
    """Which policy names which taint of which pool, as far as it was asked, and for how many seconds.

    Each is asked once, for asking spends of the policy's budget; what raises is asked again. Every try at combining the
    policies of a pod begins without any.
    """

    __slots__ = ("_answers", "_views")

    def __init__(self, views: Sequence[PoolView]) -> None:
        self._views = views
        self._answers: dict[tuple[str, int, Taint], float | None] = {}

    def seconds(self, evaluation: PolicyEvaluation, index: int, taint: Taint) -> float | None:
        """For how long a policy has a taint of the pool at an index tolerated: FOREVER, or None if it does not name it.

        NO_POOL stands for nodes of no pool. Raises PoliciesFailed.
        """
        question = evaluation.policy.name, index, taint
        if question not in self._answers:
            pool = None if index == NO_POOL else self._views[index]
            self._answers[question] = _named_for(evaluation, pool, taint)
        return self._answers[question]


def _named_for(evaluation: PolicyEvaluation, pool: PoolView | None, taint: Taint) -> float | None:
    """The shortest time that entries say, as if each had written its own toleration."""
    view, shortest = taint._asdict(), None
    timed = taint.effect == "NoExecute" and any(entry.seconds is not None for entry in evaluation.policy.tolerate)
    for entry in evaluation.policy.tolerate:
        if not _may_name(entry, pool, taint):
            continue
        try:
            named = as_seen(entry.function, *evaluation.arguments, pool, view) is True
        except (CelError, Undecided, BudgetExceeded) as error:
            failure = failure_of(entry, error, evaluation.arguments)
            raise PoliciesFailed({evaluation.policy.name: str(failure)}, failure.remedy) from error
        if named and not timed:
            return FOREVER
        if named:
            shortest = min(
                FOREVER if shortest is None else shortest, FOREVER if entry.seconds is None else entry.seconds
            )
    return shortest


def _may_name(entry: CompiledTolerance, pool: PoolView | None, taint: Taint) -> bool:
    """Whether an entry is asked about a taint: of nodes in no pool only without `pool`; what only some nodes have, or
    any for a while, only by its key.
    """
    if pool is None and entry.reads_pool:
        return False
    if taint in LIFECYCLE:
        return entry.reads_key and entry.seconds is not None
    return entry.reads_key or not taint.partial


def written(given: Given, met: Met, answers: TaintAnswers) -> Written:
    """What the policies come to, and how it is written.

    Raises PoliciesFailed: of policies that bring more than a pod can carry, and of one whose tolerations can't be told.
    """
    holding = applied(given, met)
    try:
        return _carried(given, met, holding, answers)
    except TooMany as error:
        if len(holding) == 1:
            raise PoliciesFailed({holding[0].policy.name: multiplied(given, error, holding)}) from error
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
    patched = placed(pod, placement, given.meter, given.meant)
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
        return bare(error)
    return None


def _placement(given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers) -> Placement:
    nodes, after, pool_index = met.nodes, met.after, given.pool_index
    required = TRUE if nodes is None or _held(given, met, nodes) else node_terms(nodes, after, pool_index, given.meter)
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
    return not elsewhere and holds_already(given.own_terms, nodes, given.pool_index, given.meter)


def holds_already(own_terms: Terms, wanted: NodeSet, pool_index: PoolIndex, meter: Meter | None = None) -> bool:
    """Whether the pod's own constraints keep it on these nodes; one that has none is kept nowhere. Raises TooMany."""
    if own_terms == TRUE:
        return wanted.anywhere == TRUE
    return implies(own_terms, node_terms(wanted, pool_index.every, pool_index, meter), meter)


def _tolerations(
    given: Given, met: Met, applied: Sequence[PolicyEvaluation], answers: TaintAnswers
) -> list[Toleration]:
    """For each taint of the nodes that are left that an entry of a policy names. Raises PoliciesFailed."""
    wanted: dict[Taint, float] = {}
    for evaluation in applied:
        for index, taint in _asked(given, met, evaluation) if evaluation.policy.tolerate else ():
            _name(wanted, evaluation, index, taint, answers)
    return [_toleration(taint, wanted[taint]) for taint in sorted(wanted)]


def tolerated(given: Given, met: Met, evaluation: PolicyEvaluation, answers: TaintAnswers) -> list[Toleration]:
    """Those that one policy names. Where that is an error, nobody asked it: another one had named the taint."""
    wanted: dict[Taint, float] = {}
    for index, taint in _asked(given, met, evaluation):
        with suppress(PoliciesFailed):
            _name(wanted, evaluation, index, taint, answers)
    return [_toleration(taint, seconds) for taint, seconds in wanted.items()]


def _name(
    wanted: dict[Taint, float], evaluation: PolicyEvaluation, index: int, taint: Taint, answers: TaintAnswers
) -> None:
    """Adds a taint if the policy names it; asked only where it can make a difference. Raises PoliciesFailed."""
    said = Taint(*taint[:3])  # the same toleration, be it on some nodes or on all
    if said not in wanted or (taint.effect == "NoExecute" and _timed(evaluation)):
        seconds = answers.seconds(evaluation, index, taint)
        if seconds is not None:
            wanted[said] = min(seconds, wanted.get(said, FOREVER))


def _timed(evaluation: PolicyEvaluation) -> bool:
    """Whether a policy says of any taint for how long it is tolerated."""
    return any(entry.seconds is not None for entry in evaluation.policy.tolerate)


def _toleration(taint: Taint, seconds: float) -> Toleration:
    if taint in LIFECYCLE:
        return stay(taint.key, int(seconds))
    return toleration_for(taint._asdict(), None if seconds == FOREVER else int(seconds))


def _asked(given: Given, met: Met, evaluation: PolicyEvaluation) -> Iterator[tuple[int, Taint]]:
    """The taints that a policy is asked about, each with the index of a pool that is left, or NO_POOL."""
    if not evaluation.policy.tolerate:
        return
    pool_index = given.pool_index
    for index in members(met.left):
        yield from ((index, taint) for taint in pool_index.pools[index].taints)
    strays = stray_nodes_left(given, met) if pool_index.strays.taints else 0
    yield from (
        (NO_POOL, taint) for taint in sorted(pool_index.strays.taints) if pool_index.strays.taints[taint] & strays
    )
    if _timed(evaluation):
        yield from ((NO_POOL, taint) for taint in LIFECYCLE)
        if any(entry.seconds is not None and entry.reads_pool for entry in evaluation.policy.tolerate):
            yield from ((index, taint) for index in members(met.left) for taint in LIFECYCLE)


def stray_nodes_left(given: Given, met: Met) -> int:
    """The mask of the nodes of no pool that the pod may go to."""
    anywhere = TRUE if met.nodes is None else met.nodes.anywhere
    if anywhere is None or met.unsatisfiable:
        return 0
    strays = given.pool_index.strays
    if given.meter and strays.every:
        given.meter.spend(strays.price(anywhere) + strays.price(given.own_terms))
    return strays.admitted(anywhere) & strays.admitted(given.own_terms)


def pool_names(given: Given, met: Met, placement: Placement) -> PoolNames:
    """The pools before and after, and what of the nodes that are left bars the pod, the placement worked in."""
    pool_index = given.pool_index
    tolerations = [*((given.incoming.pod.get("spec") or {}).get("tolerations") or ()), *placement.tolerations]
    if given.meter:  # once for the pools, and once for the nodes of none
        there = len(pool_index.hard_taints) + len(pool_index.strays.taints)
        given.meter.spend((1 + COVERING * there) * len(tolerations))
    before, after = pool_index.names(met.before), pool_index.names(met.left)
    hard = _barring(pool_index.hard_taints, met.left, tolerations)
    barred = 0
    for taint in hard:
        barred |= pool_index.hard_taints[taint] & met.left
    strays = stray_nodes_left(given, met) if pool_index.strays.every else 0
    unseen = unseen_nodes(given, met, strays)
    untolerated, taints = pool_index.names(barred), pool_index.taints(barred, hard)
    if barred != met.left:
        return PoolNames(before, after, untolerated, taints, unseen=unseen)
    bars = _barring(pool_index.strays.taints, strays, tolerations)
    open_strays = strays
    for taint in bars:
        open_strays &= ~pool_index.strays.taints[taint]
    waits = bool(barred or strays) and not open_strays
    told = tuple(map(str, bars)) if waits else ()
    return PoolNames(before, after, untolerated, taints, told, waits, unseen)


def _barring(taints: Mapping[Taint, int], nodes: int, tolerations: Sequence[Toleration]) -> tuple[Taint, ...]:
    """The taints of these pools or nodes, given by masks, that keep the pod off; in order."""
    bars = [
        taint
        for taint, mask in taints.items()
        if mask & nodes
        and taint.effect in HARD_EFFECTS
        and not any(tolerates(one, taint._asdict()) for one in tolerations)
    ]
    return tuple(sorted(bars))
