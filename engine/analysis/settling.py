"""Settling: what expressions say of the pools of inventories, whatever the pod, before anything is examined there.

An expression is put to each pool that differs from others in what it sees. Hundreds of expressions and thousands of
pools, all different, would take minutes. How many that are is known before, so it is counted, and not timed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.decision import Decider
from engine.pools import Inventory, PoolIndex
from engine.program import Leaf, Program
from engine.struct import replace

MAX_PUT = 600_000
"""How often an expression may be put to a pool, in all inventories together: four seconds at most."""


def deciders(
    program: Program, inventories: Iterable[tuple[str, Inventory]], cluster: Mapping[str, Any] | None
) -> list[tuple[str, Decider]] | None:
    """A decider on each inventory that has pools; None where that would take too long. There is none without another:
    what is certain must hold on each."""
    found: list[tuple[str, Decider]] = []
    left = MAX_PUT
    for name, pools in inventories:
        if pools.pools:
            bare = Decider(replace(program, policies=(), exemptions=(), leaves=()), pools, cluster=cluster)
            left = _left(left, program.leaves, bare.pool_index)
            if left < 0:
                return None
            found.append((name, bare.renewed(pools, (program,))))
    return found


def _left(left: int, leaves: Iterable[Leaf], index: PoolIndex) -> int:
    """What is left once each of these is put to the pools of an index; below zero where that is too much."""
    told_apart = set()
    for leaf in leaves:
        if leaf.bridge is None and (leaf.reads_pod or not leaf.reads_pool or leaf.function is None):
            continue
        if leaf.seen not in told_apart:  # which pools differ in that is found out first
            told_apart.add(leaf.seen)
            left -= len(index.pools)
        if left < 0:
            return left
        left -= len(index.indistinct(leaf.seen))
    return left
