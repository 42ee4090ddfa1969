"""Pools by the value of one label, so that a comparison with a value of the pod's need not be made pool by pool."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import or_
from typing import Any

from engine.evaluation.alike import each_alike
from engine.language import CelError
from engine.pools import PoolIndex
from engine.program import CONTAINS, ORDERED, Arguments, PodPoolComparison, PoolView, Reads, Undecided

_LISTED = 3  # eight values of a list, as a power of two, are looked up in one unit


class PoolLookup:
    """The pools by the value that a comparison asks of them; called with the pod's value.

    It answers with two masks: the pools on which the comparison is true, and those on which it is false. `masks` are
    the pools by value, `known` those that have one. Equality is looked up, order is found in a sorted list: `below[k]`
    are the pools whose value is one of the k smallest. On a NaN, which has no place in the order, it is neither.
    `undecided` are the pools on whose nodes the value is not the same; they are in no other mask.
    """

    __slots__ = ("below", "known", "masks", "operator", "undecided", "values")

    def __init__(self, operator: str, masks: Mapping[Any, int], known: int, undecided: int = 0) -> None:
        self.operator, self.masks, self.undecided = operator, masks, undecided
        self.values = sorted(value for value in masks if value == value) if operator in ORDERED else []
        self.below = list(accumulate((masks[value] for value in self.values), or_, initial=0))
        self.known = self.below[-1] if operator in ORDERED else known

    def __call__(self, value: Any) -> tuple[int, int]:
        if self.operator in ORDERED:
            if value != value:
                return 0, 0
            true = self._ordered(value)
        elif self.operator == CONTAINS:
            true = 0
            for item in filter(self.masks.__contains__, value):  # most are in none, and there may be a million
                true |= self.masks[item]
        else:
            true = self.masks.get(value, 0)
        rest = self.known & ~true
        return (rest, true) if self.operator == "_!=_" else (true, rest)

    def price(self, value: Any) -> int:
        """What a call takes of a budget, in units: a list is looked through."""
        return len(value) >> _LISTED if self.operator == CONTAINS else 0

    def _ordered(self, value: Any) -> int:
        less, equal = ORDERED[self.operator]
        find = bisect_left if less == equal else bisect_right
        smaller = self.below[find(self.values, value)]
        return self.below[-1] & ~smaller if less else smaller


def lookup_of(
    bridge: PodPoolComparison,
    pool_index: PoolIndex,
    views: Sequence[PoolView],
    nobody: Arguments,
    known: PoolLookup | None = None,
    seen: Reads | None = None,
) -> PoolLookup:
    """The lookup of a comparison over all pools; `known` is that of the index before. Raises BudgetExceeded.

    `seen` is what the comparison sees of a pool: it is made once for all that are alike in it.

    A pool on which the value is an error is in none of the masks.
    """
    moved = pool_index.carried_over.moved
    masks = {value: moved(mask) for value, mask in known.masks.items()} if known else {}
    valued, undecided = (moved(known.known), moved(known.undecided)) if known else (0, 0)
    todo = pool_index.carried_over.fresh_mask if known else pool_index.every
    for i, alike in each_alike(pool_index, seen, todo, nobody):
        try:
            value: Any = bridge.pool(*nobody, views[i])
        except CelError:
            continue
        except Undecided:
            undecided |= alike
            continue
        valued |= alike
        for item in set(value) if bridge.operator == "@in" else (value,):
            masks[item] = masks.get(item, 0) | alike
    return PoolLookup(bridge.operator, {value: mask for value, mask in masks.items() if mask}, valued, undecided)
