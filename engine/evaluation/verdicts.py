"""Where an expression is true and where it is false: pools, or nodes of pools; elsewhere it is an error.

Most expressions do not read `node`, so that each pool is in one of three states: two masks say it all, and `&& || !`
and `?:` are a few operations on integers (ByPool). Where `node` is read, the pools fall into cases that share a Truth,
a pair of Terms (ByNode; see `engine/program/node_expressions.py` for the pair). Bit i of a mask is pool i.

What the pod and the parameters alone decide disappears here: `false && x` reads nothing of x. Two things follow from
what is left. `anywhere` is the truth on a node of any conceivable pool, or of none, where no pool needs to be looked at
for it; None says that it depends on the pool. `reads` is what was read of the pools, to be demanded again where it was
only observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from engine.nodeselector import FALSE, Meter, Terms, both, within_limit
from engine.pools import PoolIndex, members
from engine.program import NO, NOTHING_READ, UNKNOWN, YES, Reads, Truth, choose, conjoin, negate

POOLS = 4
"""What each pool takes of the budget that is looked at by itself, in units."""

NOTHING_COMPUTED: Mapping[int, Reads] = MappingProxyType({})


class ByPool(NamedTuple):
    """Every pool true, false or an error as a whole: masks of the pools where true, and where false.

    `computed` are reads through computed keys, by the index of the pool that they were made of.
    """

    true: int
    false: int
    anywhere: Truth | None = None
    reads: Reads = NOTHING_READ
    computed: Mapping[int, Reads] = NOTHING_COMPUTED

    def cases(self, every: int) -> list[tuple[int, Truth]]:
        """Masks of pools with what the expression is on their nodes; disjoint, and all pools (`every`) together."""
        parts = ((self.true, YES), (self.false, NO), (every & ~(self.true | self.false), UNKNOWN))
        return [(mask, truth) for mask, truth in parts if mask]


class ByNode(NamedTuple):
    """Pools by what the expression is on their nodes: disjoint masks, all pools together, each with a Truth."""

    split: tuple[tuple[int, Truth], ...]
    anywhere: Truth | None = None
    reads: Reads = NOTHING_READ
    computed: Mapping[int, Reads] = NOTHING_COMPUTED

    def cases(self, _every: int) -> list[tuple[int, Truth]]:
        """As ByPool's: masks of pools with what the expression is on their nodes."""
        return list(self.split)


Verdict: TypeAlias = ByPool | ByNode


def invert(verdict: Verdict) -> Verdict:
    """`!verdict`."""
    anywhere = None if verdict.anywhere is None else negate(verdict.anywhere)
    if isinstance(verdict, ByPool):
        return ByPool(verdict.false, verdict.true, anywhere, verdict.reads, verdict.computed)
    split = tuple((mask, negate(truth)) for mask, truth in verdict.split)
    return ByNode(split, anywhere, verdict.reads, verdict.computed)


def both_hold(left: Verdict, other: Callable[[], Verdict], every: int, meter: Meter) -> Verdict:
    """`left && other()`; what is settled on one side alone reads nothing of the other. `every` is all pools' mask."""
    if left.anywhere == NO:
        return left
    right = other()
    if right.anywhere == NO or left.anywhere == YES:
        return right
    if right.anywhere == YES:
        return left
    neither = left.anywhere is None or right.anywhere is None
    anywhere = None if neither else conjoin(left.anywhere, lambda: right.anywhere, meter)  # type: ignore[arg-type, return-value]
    reads, computed = left.reads | right.reads, _united(left.computed, right.computed)
    if isinstance(left, ByPool) and isinstance(right, ByPool):
        return ByPool(left.true & right.true, left.false | right.false, anywhere, reads, computed)
    cases: dict[Truth, int] = {}
    lefts, rights = left.cases(every), right.cases(every)
    meter.spend(len(lefts) * len(rights))
    for (mask, a), (some, b) in product(lefts, rights):
        if here := mask & some:
            truth = conjoin(a, lambda b=b: b, meter)  # type: ignore[misc]
            cases[truth] = cases.get(truth, 0) | here
    return ByNode(tuple((mask, truth) for truth, mask in cases.items()), anywhere, reads, computed)


def choice(test: Verdict, yes: Verdict, no: Verdict, every: int, meter: Meter) -> Verdict:
    """`test ? yes : no`; where the test is an error, so is the whole."""
    parts = (test, yes, no)
    truths = [part.anywhere for part in parts if part.anywhere is not None]
    anywhere = choose(truths[0], lambda: truths[1], lambda: truths[2], meter) if len(truths) == 3 else None
    reads = test.reads | yes.reads | no.reads
    computed = _united(test.computed, _united(yes.computed, no.computed))
    if isinstance(test, ByPool) and isinstance(yes, ByPool) and isinstance(no, ByPool):
        true = (test.true & yes.true) | (test.false & no.true)
        false = (test.true & yes.false) | (test.false & no.false)
        return ByPool(true, false, anywhere, reads, computed)
    cases: dict[Truth, int] = {}
    split = [part.cases(every) for part in parts]
    meter.spend(prod(map(len, split)))
    for (mask, t), (some, y), (other, n) in product(*split):
        if here := mask & some & other:
            truth = choose(t, lambda y=y: y, lambda n=n: n, meter)  # type: ignore[misc]
            cases[truth] = cases.get(truth, 0) | here
    return ByNode(tuple((mask, truth) for truth, mask in cases.items()), anywhere, reads, computed)


def _united(a: Mapping[int, Reads], b: Mapping[int, Reads]) -> Mapping[int, Reads]:
    """What was read of each pool on either side."""
    if not a or not b:
        return a or b
    return {pool: a.get(pool, NOTHING_READ) | b.get(pool, NOTHING_READ) for pool in a.keys() | b.keys()}


def truths(verdict: Verdict, pool_index: PoolIndex, meter: Meter) -> list[tuple[int, Terms]]:
    """The nodes on which a verdict is true, as masks and terms, with what was read demanded again. Raises TooMany."""
    groups: dict[Terms, int] = {}
    for mask, (true, _) in verdict.cases(pool_index.every):
        if true == FALSE:
            continue
        meter.spend(POOLS * mask.bit_count() if verdict.computed else 4)
        for reads, pools in _by_reads(verdict, mask):
            for some, demanded in pool_index.demands(reads, pools):
                terms = both(within_limit(true), demanded, meter)
                if terms != FALSE:
                    groups[terms] = groups.get(terms, 0) | some
    return [(mask, terms) for terms, mask in groups.items()]


def _by_reads(verdict: Verdict, mask: int) -> list[tuple[Reads, int]]:
    """The pools of a mask, as masks, by what was read of them."""
    if not verdict.computed:
        return [(verdict.reads, mask)]
    groups: dict[Reads, int] = {}
    for i in members(mask):
        reads = verdict.reads | verdict.computed.get(i, NOTHING_READ)
        groups[reads] = groups.get(reads, 0) | 1 << i
    return list(groups.items())
