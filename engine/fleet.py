"""An inventory made ready for decisions: every pool a bit, every question about pools a mask.

Bit i of a mask is pool i of the inventory, which is sorted by name. What a fleet has answered once it remembers: the
terms that select a set of pools, which pools can possibly meet a requirement, what observed labels demand again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import NamedTuple, cast

from engine.cluster import Inventory, Pool
from engine.pool import precedence
from engine.providers import capacity
from engine.requirement import (
    ABSENT,
    ANY,
    TRUE,
    Term,
    Terms,
    Values,
    both,
    difference,
    one_of,
    simplify,
    term,
)
from engine.symbolic import union, where, words_of

MAX_REMEMBERED = 10_000
HARD_EFFECTS = ("NoSchedule", "NoExecute")


class Read(NamedTuple):
    """What an expression read of a pool: `labels` or `values` under a key, its `capacity` types, or `all` of it."""

    kind: str
    key: str = ""


Group = tuple[int, Terms]
"""Pools, as a mask, and the nodes of these pools that are meant."""


class Fleet:
    """The pools of one inventory as bits. Everything it remembers follows from the inventory alone.

    `inferred` says whether anything is known of any pool by observation only; `hard_taints` are the taints that keep
    pods away, each with the pools that have it; `shadowed` are the pools all of whose nodes are of more special ones.
    """

    def __init__(self, inventory: Inventory, previous: Fleet | None = None) -> None:
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
        self._special = _more_special(inventory)
        self.kept = Kept.between(previous, self)
        self._known: list[Mapping[str, Values] | None] = [None] * len(self.pools)
        self._possible: dict[tuple[str, Values], int] = {}
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
            names = _remember(self._names, mask, tuple(self.pools[i].name for i in bits(mask)))
        return names

    def selector(self, mask: int) -> Terms:
        """The terms that exactly the nodes of these pools match: alike selectors share a term."""
        terms = self._selectors.get(mask)
        if terms is None:
            order = self.inventory.order
            each = (_identity(self.pools[i], order, self._special.get(i, ())) for i in bits(mask))
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
        return term(self._known_labels(index))

    def special(self, index: int) -> Sequence[Extra]:
        """What the selectors of more special pools add to that of one pool."""
        return self._special.get(index, ())

    def _known_labels(self, index: int) -> Mapping[str, Values]:
        known = self._known[index]
        if known is None:
            pool = self.pools[index]
            known = self._known[index] = _known(pool, self.inventory.order, self.special(index))
        return known

    def _meeting(self, key: str, values: Values, indexes: Iterable[int]) -> int:
        return sum(1 << i for i in indexes if _may_meet(self._known_labels(i), key, values))

    def _take_over(self, previous: Fleet) -> None:
        """What the fleet before this one knew of the pools that are still the same."""
        for old, length, new in self.kept.moves:
            self._known[new : new + length] = previous._known[old : old + length]
        for (key, values), some in previous._possible.items():
            self._possible[key, values] = self.kept.moved(some) | self._meeting(key, values, self.kept.fresh)

    def demands(self, reads: frozenset[Read], mask: int) -> Iterator[Group]:
        """The pools of a mask, grouped by what their observed labels, having been read, must be again."""
        groups = self._demands.get(reads)
        if groups is None:
            each = ((_demand(pool, reads), 1 << i) for i, pool in enumerate(self.pools))
            groups = _remember(self._demands, reads, tuple((pools, terms) for terms, pools in _grouped(each).items()))
        for pools, terms in groups:
            if pools & mask:
                yield pools & mask, terms


class Kept(NamedTuple):
    """What became of the pools of one fleet in the next: runs that moved together, and which pools are new or changed.

    A run is its first place before, its length, and its first place now.
    """

    moves: tuple[tuple[int, int, int], ...]
    fresh: tuple[int, ...]

    @staticmethod
    def between(old: Fleet | None, new: Fleet) -> Kept:
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
        return Kept(tuple(moves), tuple(fresh))

    def moved(self, mask: int) -> int:
        """A mask of the fleet before as one of the fleet now, without what is fresh."""
        now = 0
        for old, length, new in self.moves:
            now |= (mask >> old & (1 << length) - 1) << new
        return now


def _same(old: Fleet, place: int, new: Fleet, i: int) -> bool:
    a, b = old.pools[place], new.pools[i]
    return (a is b or a == b) and old.special(place) == new.special(i)


def bits(mask: int) -> Iterator[int]:
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


Label = tuple[str, str]
Extra = Mapping[str, Values]
"""The labels by which the nodes of a more special pool differ from those of a pool whose selector they match, too."""


def _more_special(inventory: Inventory) -> Mapping[int, list[Extra]]:
    """By pool, what the selectors of others add to its own that come before it: what tells their nodes from its own.

    Of selectors one of which adds to the other, the longer one always does. Of others, where some pool is known to have
    nodes that both match.
    """
    pools, found = inventory.pools, dict[int, list[Extra]]()
    for winner, loser in (*_longer(pools), *_crossing(inventory)):
        found.setdefault(loser, []).append(_extra(pools[winner], pools[loser], inventory.order))
    return found


def _extra(winner: Pool, loser: Pool, order: Sequence[str]) -> Extra:
    """What the winner's nodes have that the loser's have not, where both selectors match.

    A pool with an identifying label has no nodes with an earlier one, which the loser's may carry.
    """
    barring = [key for key in _earlier(winner, order) if key in loser.labels or key in loser.values]
    more = {key: one_of([value]) for key, value in winner.selector.items() if key not in loser.selector}
    return more | dict.fromkeys(barring, ABSENT)


def _earlier(pool: Pool, order: Sequence[str]) -> Sequence[str]:
    """The identifying labels that come before a pool's own; none where it has no such label."""
    return order[: next((place for place, key in enumerate(order) if key in pool.selector), 0)]


def _longer(pools: Sequence[Pool]) -> Iterator[tuple[int, int]]:
    """Pairs of pools the first of which has the selector of the second, and more."""
    general = {frozenset(pool.selector.items()): i for i, pool in enumerate(pools)}
    sizes = sorted({len(items) for items in general})
    for items in general if len(sizes) > 1 else ():
        for part in _parts(items, sizes) if 1 << len(items) < len(general) else general:
            if part < items and part in general:
                yield general[items], general[part]


def _parts(items: frozenset[Label], sizes: Iterable[int]) -> Iterator[frozenset[Label]]:
    return (frozenset(some) for size in sizes if size < len(items) for some in combinations(items, size))


def _crossing(inventory: Inventory) -> Iterator[tuple[int, int]]:
    """Pairs of pools that have nodes in common by their selectors, the one first that a node of both belongs to."""
    pools, order = inventory.pools, inventory.order
    by_label: dict[Label, list[int]] = {}
    for i, pool in enumerate(pools):
        for label in pool.selector.items():
            by_label.setdefault(label, []).append(i)
    pairs = set()
    for i, pool in enumerate(pools):
        carried = {*pool.labels.items(), *((key, value) for key, some in pool.values.items() for value in some)}
        for j in {j for label in carried - pool.selector.items() for j in by_label.get(label, ())}:
            if pools[j].selector.items() <= carried:
                pairs.add((min(i, j), max(i, j)))
    for pair in sorted(pairs):
        first, second = sorted(pair, key=lambda i: precedence(pools[i], order, declared=pools[i].declared))
        yield first, second


def _selected(pool: Pool) -> dict[str, Values]:
    selector = {key: one_of([value]) for key, value in pool.selector.items()}
    return selector | dict.fromkeys(pool.without, ABSENT)


def _identity(pool: Pool, order: Sequence[str], special: Sequence[Extra]) -> Terms:
    """What tells the nodes of a pool from all others."""
    if not special:
        return (term(_selected(pool)),)
    known = _known(pool, order)
    others = (term(extra) for extra in special if _may_have(known, extra))
    return difference((term(_selected(pool)),), tuple(others))


def _may_have(known: Mapping[str, Values], labels: Extra) -> bool:
    return all(_may_meet(known, key, values) for key, values in labels.items())


def _known(pool: Pool, order: Sequence[str], special: Iterable[Extra] = ()) -> Mapping[str, Values]:
    """What every node of a pool, now and later, is known to carry: its selector, declared labels and values.

    A node with a provider's pool label that comes earlier in their order would be of that provider's pool. A label that
    marks spot nodes only may be missing where several values are declared.
    """
    labels = {key: one_of([value]) for key, value in pool.labels.items() if key not in pool.observed}
    varying = {key: one_of(some) for key, some in pool.values.items() if key not in pool.observed}
    rule = capacity(pool.provider)
    for key in rule.keys if rule and rule.otherwise else ():  # where absence says on-demand, a node may lack it
        varying.update({key: varying[key] | ABSENT} if key in varying else {})
    known = {**dict.fromkeys(_earlier(pool, order), ABSENT), **varying, **labels, **_selected(pool)}
    for extra in special:
        if len(extra) == 1:
            ((key, values),) = extra.items()
            known[key] = known.get(key, ANY) - values
    return known


def _may_meet(known: Mapping[str, Values], key: str, values: Values) -> bool:
    return key not in known or not (known[key] & values).impossible


def _demand(pool: Pool, reads: frozenset[Read]) -> Terms:
    terms = TRUE
    for read in sorted(reads):
        terms = both(terms, _demanded(pool, read))
    return terms


def _demanded(pool: Pool, read: Read) -> Terms:
    if read.kind == "all":
        keys = sorted(pool.observed)
        return _demand(pool, frozenset(Read("labels" if key in pool.labels else "values", key) for key in keys))
    if read.kind == "capacity":
        return _capacity(pool)
    known = pool.labels.get(read.key)
    if known is not None:
        return where(read.key, one_of([known])) if read.key in pool.observed else TRUE
    if read.key in pool.values:
        observed = read.kind == "values" and read.key in pool.observed
        return where(read.key, one_of(pool.values[read.key])) if observed else TRUE
    return TRUE if pool.declared else where(read.key, ABSENT)


def _capacity(pool: Pool) -> Terms:
    """The capacity types that a pool's nodes were seen to have, demanded again unless they were declared."""
    rule = capacity(pool.provider)
    if rule is None or not any(key in pool.observed or not pool.declared for key in rule.keys):
        return TRUE
    seen = cast("tuple[str, ...]", pool.view["capacityTypes"])
    word = words_of(pool.provider)["capacityType"]
    return union(*(guard for guard, value in word.cases if value in seen)) if seen else word.missing
