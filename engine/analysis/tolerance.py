"""Entries of `tolerate` that run into an error on a pool, so that the policy fails where that pool is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.analysis.stage import SpentError, Stage, pools_reached, said_of_taint
from engine.documents import Problem
from engine.language import CelError
from engine.pools import Taint, members
from engine.program import CompiledPolicy, CompiledTolerance, Undecided


def failing_tolerations(policy: CompiledPolicy, stages: Sequence[Stage]) -> Iterator[Problem]:
    """Of each entry that fails on some inventory, the first pool and taint on which it does, whatever the pod."""
    told = set[int]()
    for stage in stages if policy.tolerate else ():
        for at, pool, taint, error in _failing(policy, stage):
            if at not in told:
                told.add(at)
                yield _problem(policy, at, pool, taint, error)


def _failing(policy: CompiledPolicy, stage: Stage) -> Iterator[tuple[int, str, Taint, str]]:
    """Which entries fail, of which pool about which of its taints, and why."""
    left = stage.left(policy)
    for index in members(pools_reached(left, stage)) if left is not None else ():
        pool = stage.pool_index.pools[index]
        for taint in pool.taints:
            for at, entry in enumerate(policy.tolerate):
                if taint.partial and not entry.reads_key:
                    continue
                said = None if entry.reads_pod else _said(entry, index, taint, stage)
                if isinstance(said, str):
                    yield at, pool.name, taint, said
                if said is not False:  # named, failed, or up to the pod: what follows may not be asked
                    break


def _said(entry: CompiledTolerance, index: int, taint: Taint, stage: Stage) -> bool | str:
    """Whether an entry names a taint of a pool, or why that can't be told."""
    try:
        return said_of_taint(entry, index, taint, stage)
    except Undecided as undecided:
        return f"{undecided}: ask for it under `require`, and of `taint` alone here"
    except (CelError, SpentError) as error:
        return str(error)


def _problem(policy: CompiledPolicy, at: int, pool: str, taint: Taint, error: str) -> Problem:
    message = f"`{policy.name}` fails where nodes of `{pool}` are left, for its taint `{taint}` can't be judged"
    span = policy.policy.tolerate[at].expression.excerpt.whole
    return Problem("failing-tolerate", message, span, hint=error, severity="warning")
