"""Splits on the pools of an inventory: shares that no pool satisfies, and shares that have nodes in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from engine.analysis.stage import Stage, disjoint_in, in_both, pools_reached, rule_reads_pod
from engine.decision import listed
from engine.documents import Problem
from engine.program import CompiledPolicy


def split_problems(policy: CompiledPolicy, stages: Sequence[Stage]) -> Iterator[Problem]:
    """What holds on every stage for whichever pod: that a share has no node, and that two have some in common."""
    dead = [place for place in range(len(policy.split)) if all(_empty(policy, place, stage) for stage in stages)]
    for place in dead:
        yield _unsatisfiable(policy, place, stages[0])
    for one, other in combinations([p for p in range(len(policy.split)) if p not in dead], 2):
        pools = [_common(policy, one, other, stage) for stage in stages]
        if all(pools):
            yield _overlapping(policy, one, other, pools[0])


def _empty(policy: CompiledPolicy, place: int, stage: Stage) -> bool:
    """Whether no pool satisfies a share beside what the policy requires, whatever the pod."""
    rules = [*policy.require, policy.split[place].rule]
    return stage.nowhere(stage.widest(rules), rules)


def _unsatisfiable(policy: CompiledPolicy, place: int, stage: Stage) -> Problem:
    share, span = policy.split[place], policy.policy.split[place].expression.excerpt.whole
    error = stage.error(share.rule)
    beside = " beside what the policy requires" if policy.require else ""
    message = f"no pool satisfies the share of {share.percent} % of `{policy.name}`{beside}, whatever the pod"
    return Problem("unsatisfiable-share", message, span, hint=error, severity="warning")


def _common(policy: CompiledPolicy, one: int, other: int, stage: Stage) -> tuple[str, ...]:
    """The pools of which a node may be in both shares, as far as that is certain."""
    first, second = policy.split[one].rule, policy.split[other].rule
    if rule_reads_pod(first) or rule_reads_pod(second):
        return ()
    a, b = stage.widest([*policy.require, first]), stage.widest([*policy.require, second])
    both = in_both(stage, a, b)
    if both is None or disjoint_in(stage, a, b):
        return ()
    return stage.pool_index.names(pools_reached(both, stage))


def _overlapping(policy: CompiledPolicy, one: int, other: int, pools: Sequence[str]) -> Problem:
    a, b = policy.split[one], policy.split[other]
    span = policy.policy.split[other].expression.excerpt.whole
    message = f"shares of {a.percent} % and {b.percent} % of `{policy.name}` have nodes of {listed(pools)} in common"
    hint = "pods of either may go there; if it is not meant, let one exclude the other"
    return Problem("overlapping-shares", message, span, hint=hint, severity="info")
