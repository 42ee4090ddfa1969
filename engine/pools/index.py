"""An inventory made ready for decisions: every pool a bit, every question about pools a mask.

Bit i of a mask is pool i of the inventory, which is sorted by name. What a fleet has answered once it remembers: the
terms that select a set of pools, which pools can possibly meet a requirement, what observed labels demand again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from engine.nodeselector import LabelStates, Term, Terms, simplify, term_of
from engine.pools.membership import Extra, identifying_terms, known_labels, may_meet, more_special
from engine.pools.pool import Inventory, Pool
from engine.pools.reads import Read, demanded_again

MAX_REMEMBERED = 10_000
HARD_EFFECTS = ("NoSchedule", "NoExecute")


Group = tuple[int, Terms]
"""Pools, as a mask, and the nodes of these pools that are meant."""


class PoolIndex:
    """The pools of one inventory as bits. Everything it remembers follows from the inventory alone.

    `inferred` says whether anything is known of any pool by observation only; `hard_taints` are the taints that keep
    pods away, each with the pools that have it; `shadowed` are the pools all of whose nodes are of more special ones.
    """

    def __init__(self, inventory: Inventory, previous: PoolIndex | None = None) -> None:
        self.inventory = inventory
        self.pools: tuple[Pool, ...] = inventory.pools
        self.views: tuple[Mapping[str, object], ...] = tuple(pool.view for pool in self.pools)
        self.every = (1 << len(self.pools)) - 1
        self.providers = _grouped((pool.provider, 1 << i) for i, pool in enumerate(self.pools))
        self.hard_taints = _grouped(
            (taint, 1 << i)
            for i, pool in enumerate(self.pools)
            for taint in pool.taints
            if taint.effect in HARD_EFFECTS
        )
        self._special = more_special(inventory)
        self.carried_over = CarriedOver.between(previous, self)
        self._known: list[Mapping[str, LabelStates] | None] = [None] * len(self.pools)
        self._possible: dict[tuple[str, LabelStates], int] = {}
        if previous is not None:
            self._take_over(previous)
        self.shadowed = sum(1 << i for i in self._special if self.known(i).impossible)
        self.inferred = any(pool.observed or not pool.declared for pool in self.pools)
        self._names: dict[int, tuple[str, ...]] = {}
        self._selectors: dict[int, Terms] = {}
        self._demands: dict[frozenset[Read], tuple[Group, ...]] = {}

    def names(self, mask: int) -> tuple[str, ...]:
        """The names of the pools of a mask, in order."""
        names = self._names.get(mask)
        if names is None:
            names = _remember(self._names, mask, tuple(self.pools[i].name for i in members(mask)))
        return names

    def selector(self, mask: int) -> Terms:
        """The terms that exactly the nodes of these pools match: alike selectors share a term."""
        terms = self._selectors.get(mask)
        if terms is None:
            order = self.inventory.order
            each = (identifying_terms(self.pools[i], order, self._special.get(i, ())) for i in members(mask))
            terms = _remember(self._selectors, mask, simplify(chain.from_iterable(each)))
        return terms

    def possible(self, term: Term) -> int:
        """The pools that may have a node which the term admits: what they are known by does not contradict it."""
        mask = self.every & ~self.shadowed
        for key, values in term.requirements:
            some = self._possible.get((key, values))
            if some is None:
                some = self._meeting(key, values, range(len(self.pools)))
                _remember(self._possible, (key, values), some)
            mask &= some
        return mask

    def known(self, index: int) -> Term:
        """What every node of one pool is known to carry."""
        return term_of(self._known_labels(index))

    def special(self, index: int) -> Sequence[Extra]:
        """What the selectors of more special pools add to that of one pool."""
        return self._special.get(index, ())

    def _known_labels(self, index: int) -> Mapping[str, LabelStates]:
        known = self._known[index]
        if known is None:
            pool = self.pools[index]
            known = self._known[index] = known_labels(pool, self.inventory.order, self.special(index))
        return known

    def _meeting(self, key: str, values: LabelStates, indexes: Iterable[int]) -> int:
        return sum(1 << i for i in indexes if may_meet(self._known_labels(i), key, values))

    def _take_over(self, previous: PoolIndex) -> None:
        """What the fleet before this one knew of the pools that are still the same."""
        for old, length, new in self.carried_over.moves:
            self._known[new : new + length] = previous._known[old : old + length]
        for (key, values), some in previous._possible.items():
            self._possible[key, values] = self.carried_over.moved(some) | self._meeting(
                key, values, self.carried_over.fresh
            )

    def demands(self, reads: frozenset[Read], mask: int) -> Iterator[Group]:
        """The pools of a mask, grouped by what their observed labels, having been read, must be again."""
        groups = self._demands.get(reads)
        if groups is None:
            each = ((demanded_again(pool, reads), 1 << i) for i, pool in enumerate(self.pools))
            groups = _remember(self._demands, reads, tuple((pools, terms) for terms, pools in _grouped(each).items()))
        for pools, terms in groups:
            if pools & mask:
                yield pools & mask, terms


class CarriedOver(NamedTuple):
    """What became of the pools of one fleet in the next: runs that moved together, and which pools are new or changed.

    A run is its first place before, its length, and its first place now.
    """

    moves: tuple[tuple[int, int, int], ...]
    fresh: tuple[int, ...]

    @staticmethod
    def between(old: PoolIndex | None, new: PoolIndex) -> CarriedOver:
        """The pools that are equal in both, which a node belongs to by the same rule, in runs."""
        if old is not None and old.inventory.order != new.inventory.order:
            old = None  # what is known of a pool's nodes depends on it
        places = {} if old is None else {pool.name: i for i, pool in enumerate(old.pools)}
        moves: list[tuple[int, int, int]] = []
        fresh = []
        for i, pool in enumerate(new.pools):
            place = places.get(pool.name)
            if old is None or place is None or not _same(old, place, new, i):
                fresh.append(i)
            elif moves and sum(moves[-1][:2]) == place and moves[-1][1] + moves[-1][2] == i:
                moves[-1] = (moves[-1][0], moves[-1][1] + 1, moves[-1][2])
            else:
                moves.append((place, 1, i))
        return CarriedOver(tuple(moves), tuple(fresh))

    def moved(self, mask: int) -> int:
        """A mask of the fleet before as one of the fleet now, without what is fresh."""
        now = 0
        for old, length, new in self.moves:
            now |= (mask >> old & (1 << length) - 1) << new
        return now


def _same(old: PoolIndex, place: int, new: PoolIndex, i: int) -> bool:
    a, b = old.pools[place], new.pools[i]
    return (a is b or a == b) and old.special(place) == new.special(i)


def members(mask: int) -> Iterator[int]:
    """The indexes of the bits that are set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _remember(memory: dict, key: object, value):  # type: ignore[no-untyped-def, type-arg]
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    memory[key] = value
    return value


def _grouped(pairs: Iterable[tuple]) -> dict:  # type: ignore[type-arg]
    groups: dict = {}  # type: ignore[type-arg]
    for key, bit in pairs:
        groups[key] = groups.get(key, 0) | bit
    return groups
