"""Preferences that the scheduler outvotes, for the preferred nodes have a taint of effect PreferNoSchedule.

kube-scheduler gives TaintToleration a weight of 3 and NodeAffinity one of 2, unless it is configured otherwise. Of two
nodes, the one without such a taint gets 300 points, and the one that affinity prefers 200 at most, and some of
the 300, too, where another node that is left has more such taints (`defaultNormalizeScore`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.analysis.selections import Selections
from engine.analysis.stage import Stage, pools_reached
from engine.analysis.taints import bars, tolerating_beside, untolerated, what_to_tolerate
from engine.bundle import Preference
from engine.documents import Problem
from engine.pools import HARD_EFFECTS, Taint, members
from engine.program import CompiledPolicy, Rule

SOFT = "PreferNoSchedule"
TAINT_WEIGHT, AFFINITY_WEIGHT = 3, 2


def outvoted_preferences(policy: CompiledPolicy, selections: Selections, stages: Sequence[Stage]) -> Iterator[Problem]:
    """Of preferences for nodes all of which have a soft taint that no policy tolerates, beside nodes without taints."""
    beside = tolerating_beside(policy, selections, stages) if policy.prefer else ()
    for item, given in zip(policy.prefer, policy.policy.prefer, strict=True):
        if item.rule is not None and item.score is None:
            tainted = [_outvoted(policy, item.rule, beside, stage) for stage in stages]
            if any(tainted) and None not in tainted:
                yield _problem(policy, given, next(filter(None, tainted)))


def _outvoted(
    policy: CompiledPolicy, rule: Rule, beside: Sequence[CompiledPolicy], stage: Stage
) -> dict[str, Taint] | None:
    """By pool that is preferred, its soft taint; None where it is not sure to cost more than affinity brings."""
    preferred, left = stage.widest([*policy.require, rule]), stage.left(policy)
    tainted = bars(preferred, beside, stage, (SOFT,))
    if not tainted or preferred is None or left is None:
        return tainted
    if bars(left, beside, stage, (SOFT, *HARD_EFFECTS)) is not None:
        return None
    pool_index = stage.pool_index
    counts = {i: len(untolerated(i, beside, stage, (SOFT,))) for i in members(pools_reached(left, stage))}
    of_strays = sum(taint.effect == SOFT for taint in pool_index.strays.taints)
    most = max(*counts.values(), of_strays)
    least = min(
        sum(not taint.partial for taint in untolerated(i, beside, stage, (SOFT,)))
        for i in members(pools_reached(preferred, stage))
    )
    return tainted if TAINT_WEIGHT * least > AFFINITY_WEIGHT * most else None


def _problem(policy: CompiledPolicy, given: Preference, tainted: dict[str, Taint]) -> Problem:
    message = f"`{policy.name}` prefers only nodes that the scheduler avoids: their taints outvote the preference"
    return Problem(
        "outvoted-preference",
        message,
        given.expression.excerpt.whole,
        hint=what_to_tolerate(tainted),
        severity="warning",
    )
