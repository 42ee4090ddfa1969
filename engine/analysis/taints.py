"""Taints that keep a policy's pods off every pool that it leaves, and those that it names and no pool has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from engine.analysis.selections import Selections
from engine.analysis.stage import LIKENESS, PARSING, SpentError, Stage, pools_reached, said_of_taint
from engine.bundle import Policy
from engine.decision import listed
from engine.documents import Problem, Span, did_you_mean
from engine.evaluation import NodeSet
from engine.language import Budget, CelError, parse
from engine.pools import HARD_EFFECTS, Taint, is_transient, members
from engine.program import CompiledPolicy, CompiledTolerance, Undecided, named_taints


def taint_problems(
    policy: CompiledPolicy, selections: Selections, stages: Sequence[Stage], seen: Sequence[Taint]
) -> Iterator[Problem]:
    """What is wrong with taints and what a policy says of them, on each of the inventories; `seen` are all taints."""
    yield from _unseen(policy, stages, seen)
    yield from untolerated_pools(policy, selections, stages)


# Names of taints


def _unseen(policy: CompiledPolicy, stages: Sequence[Stage], seen: Sequence[Taint]) -> Iterator[Problem]:
    """Taints that a policy names and no node has: if it names none that is there, or one that looks like those."""
    if not policy.tolerate:
        return
    stages[0].meter.spend(len(seen))
    keys = sorted({taint.key for taint in seen})
    told = [
        (key, span)
        for key, span in _keys_of(policy.policy, stages[0].meter)
        if key not in keys and not is_transient(key)
    ]
    idle = bool(told) and not any(_may_name(policy, None, taint, stage) for stage in stages for taint in seen)
    for key, span in told:
        stages[0].meter.spend(LIKENESS * len(keys))
        near = did_you_mean(key, keys)
        if near or idle:
            there = f"its nodes' taints are {listed([f'`{key}`' for key in keys])}" if keys else "no node has any"
            message = f"no pool has a taint `{key}`"
            yield Problem("unseen-taint", message, span, hint=near or there, severity="warning")


def _keys_of(policy: Policy, meter: Budget) -> Iterator[tuple[str, Span]]:
    """The keys that a policy's entries of `tolerate` ask for in so many words, and where."""
    for entry in policy.tolerate:
        meter.spend(PARSING * len(entry.expression.excerpt.value))
        excerpt = entry.expression.excerpt
        node, _ = parse(excerpt)
        for literal in named_taints(node) if node else ():
            yield str(literal.value), excerpt.span(literal.start, literal.end)


def all_taints(stage: Stage) -> Iterator[Taint]:
    """The taints of an inventory, of nodes in no pool among them."""
    yield from (taint for pool in stage.pool_index.pools for taint in pool.taints)
    yield from stage.pool_index.strays.taints


# Pools whose taints nothing tolerates


def untolerated_pools(policy: CompiledPolicy, selections: Selections, stages: Sequence[Stage]) -> Iterator[Problem]:
    """That a policy leaves only pools that bar its pods by a taint, whatever the pod, which nothing tolerates; or that
    a share of its strict split does.
    """
    if not policy.require and not policy.split:
        return
    beside = tolerating_beside(policy, selections, stages)
    barred = _barred_on_all([(stage, stage.left(policy)) for stage in stages] if policy.require else (), beside)
    if barred:
        yield _pending(f"pods that `{policy.name}` is about", policy.policy.span, barred, beside)
        return
    for share, given in zip(policy.split, policy.policy.split, strict=True):
        rules = [*policy.require, share.rule]
        dealt = share.strict and share.percent
        barred = _barred_on_all([(stage, stage.widest(rules)) for stage in stages] if dealt else (), beside)
        if barred:
            who = f"pods in the share of {share.percent} % of `{policy.name}`"
            yield _pending(who, given.expression.excerpt.whole, barred, beside)


def tolerating_beside(policy: CompiledPolicy, selections: Selections, stages: Sequence[Stage]) -> list[CompiledPolicy]:
    """The policies that tolerate anything, and may be about a pod which a policy is about, itself among them."""
    return [other for other in selections.beside(policy, stages[0].meter) if other.tolerate]


def _barred_on_all(left: Iterable[tuple[Stage, NodeSet | None]], beside: Sequence[CompiledPolicy]) -> dict[str, Taint]:
    """By pool of the first inventory, a taint that bars pods, if on every inventory nothing is left that takes them."""
    first: dict[str, Taint] = {}
    for stage, nodes in left:
        barred = bars(nodes, beside, stage)
        if barred is None:
            return {}
        first = first or barred
    return first


def _pending(who: str, span: Span, barred: Mapping[str, Taint], beside: Sequence[CompiledPolicy]) -> Problem:
    what = "nothing is tolerated" if not beside else "nothing that is tolerated is there"
    message = f"{who} would stay Pending: it leaves only tainted pools, and {what}"
    return Problem("untolerated-pools", message, span, hint=what_to_tolerate(barred), severity="warning")


def what_to_tolerate(barred: Mapping[str, Taint]) -> str:
    """Pools with a taint each, and the entries of `tolerate` that name these."""
    told = listed([f"{name} ({taint})" for name, taint in barred.items()])
    keys = dict.fromkeys(taint.key for taint in barred.values())
    entries = ", ".join(f"{{expression: 'taint.key == \"{key}\"'}}" for key in keys)
    return f"{told}: say `tolerate: [{entries}]`, unless the pods tolerate it themselves"


def bars(
    left: NodeSet | None,
    beside: Sequence[CompiledPolicy],
    stage: Stage,
    effects: Collection[str] = HARD_EFFECTS,
) -> dict[str, Taint] | None:
    """By pool of which nodes are left, a taint of these effects that no policy tolerates; None where a node has none.

    `left` is None where that is not known.
    """
    pool_index = stage.pool_index
    if left is None:
        return None
    if left.anywhere is not None:
        strays = pool_index.strays.admitted(left.anywhere)
        for taint, mask in pool_index.strays.taints.items():
            if taint.effect in effects and not any(_may_name(one, None, taint, stage) for one in beside):
                strays &= ~mask
        if strays:
            return None
    barred: dict[str, Taint] = {}
    for index in members(pools_reached(left, stage)):
        lasting = [taint for taint in untolerated(index, beside, stage, effects) if not taint.partial]
        if not lasting:
            return None
        barred[pool_index.pools[index].name] = lasting[0]
    return barred


def untolerated(index: int, beside: Sequence[CompiledPolicy], stage: Stage, effects: Collection[str]) -> list[Taint]:
    """The taints of these effects of the pool at an index that no policy tolerates, those of some nodes among them."""
    taints = (taint for taint in stage.pool_index.pools[index].taints if taint.effect in effects)
    return [taint for taint in taints if not any(_may_name(one, index, taint, stage) for one in beside)]


def _may_name(policy: CompiledPolicy, pool: int | None, taint: Taint, stage: Stage) -> bool:
    """Whether a policy tolerates a taint for some pod; without a `pool`, of any pool or of a node in none."""
    return any(_true_of(entry, pool, taint, stage.of(policy)) for entry in policy.tolerate)


def _true_of(entry: CompiledTolerance, pool: int | None, taint: Taint, stage: Stage) -> bool:
    if entry.reads_pod or (entry.reads_pool and pool is None):
        return True
    try:
        return said_of_taint(entry, pool, taint, stage)
    except (CelError, Undecided, SpentError):
        return True  # the policy fails there, which is told by itself
