"""Pools that an expression can't tell apart: it is run on one of them, and paid for as if on each."""

from __future__ import annotations

from collections.abc import Iterator

from engine.language import Budget
from engine.pools import PoolIndex
from engine.program import Arguments, Reads


def each_alike(pool_index: PoolIndex, seen: Reads | None, mask: int, arguments: Arguments) -> Iterator[tuple[int, int]]:
    """The pools of a mask in groups that are alike in what is `seen`: the index of one, and the mask of all of them.

    What is spent of the budget among the arguments until the next group is asked for, each other pool costs, too: what
    a budget suffices for does not depend on what pools have in common. Raises BudgetExceeded.
    """
    budget = arguments[0]
    assert isinstance(budget, Budget)
    for pools in pool_index.indistinct(seen):
        if some := pools & mask:
            before = budget.left
            yield (some & -some).bit_length() - 1, some  # the lowest bit that is set
            if others := some.bit_count() - 1:
                budget.spend(others * (before - budget.left))
