"""An inventory made ready for decisions: a set of pools is a mask, an integer of which bit i is pool i.

Pools are numbered as they stand in the inventory, sorted by name: `1 << i` is pool i alone, `a & b` are the pools of
both, `a | b` those of either, `a & ~b` those of a that are not of b. An index remembers what it has answered: the terms
that select the pools of a mask, which pools can possibly meet a requirement, what observed labels demand again. The
index of the next inventory takes over what it remembers of pools that did not change (`CarriedOver`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from engine.memory import ENTRY, Memory
from engine.nodeselector import ANY, LabelStates, Term, Terms, bytes_of, one_of, simplify, term_of
from engine.pools.attested import attested, is_special
from engine.pools.membership import Extra, identifying_terms, known_labels, may_meet, more_special
from engine.pools.pool import Inventory, Pool, Taint
from engine.pools.providers import is_anybodys
from engine.pools.reads import Read, demanded_again, facets
from engine.pools.strays import StrayIndex

MAX_REMEMBERED = 2 << 20  # bytes of answers of each kind; past it, all of that kind are forgotten
OF_SELECTOR = 24  # units of a budget that `selector` takes for a pool of which it is not one label's value
HARD_EFFECTS = ("NoSchedule", "NoExecute")


Group = tuple[int, Terms]
"""Pools, as a mask, and the nodes of these pools that are meant."""


_Asked = Callable[[str, LabelStates, "Iterable[int] | None"], int]
"""The mask of those of some pools, or of all, for which a label's being in one of these states is so."""


class PoolIndex:
    """The pools of one inventory as bits of masks. Everything it remembers follows from the inventory alone.

    `every` is the mask of all pools; `providers` and `hard_taints` (the taints of all their nodes that keep pods away)
    have a mask for each. `strays` are the nodes of no pool. `shadowed` are the pools all of whose nodes belong to more
    special ones. `inferred` says whether anything is known of any pool by observation only. `previous` is the index of
    the inventory before this one.
    """

    def __init__(self, inventory: Inventory, previous: PoolIndex | None = None) -> None:
        self.inventory = inventory
        self.pools: tuple[Pool, ...] = inventory.pools
        self._each = tuple(1 << i for i in range(len(self.pools)))
        self.every = (1 << len(self.pools)) - 1  # as many bits set as there are pools
        self.providers = _grouped((pool.provider, 1 << i) for i, pool in enumerate(self.pools))
        self.hard_taints = _grouped(
            (taint, 1 << i)
            for i, pool in enumerate(self.pools)
            for taint in pool.taints
            if taint.effect in HARD_EFFECTS and not taint.partial
        )
        self.strays = StrayIndex(inventory.stray_nodes)
        self._special = more_special(inventory)
        self.carried_over = CarriedOver.between(previous, self)
        self._known: list[Mapping[str, LabelStates] | None] = [None] * len(self.pools)
        self._mask_size = len(self.pools) // 4 + 64  # bytes of a mask, twice
        self._possible: Memory[tuple[str, LabelStates], int] = Memory(MAX_REMEMBERED)
        self._attested: Memory[tuple[str, LabelStates], int] = Memory(MAX_REMEMBERED)
        if previous is not None:
            self._take_over(previous)
        self.shadowed = sum(1 << i for i in self._special if self.known(i).impossible)  # each bit once: a sum is `|`
        self.inferred = any(pool.inferred for pool in self.pools)
        self._plural = sum(1 << i for i, pool in enumerate(self.pools) if self._special.get(i) or _is_plural(pool))
        self._states: dict[str, tuple[tuple[LabelStates, int], ...]] = {}
        self._keys: frozenset[str] | None = None
        self._facts: dict[str | bool, tuple[tuple[int, int], ...]] = {}
        self._told: frozenset[str] | None = None
        self._names: Memory[int, tuple[str, ...]] = Memory(MAX_REMEMBERED)
        self._selectors: Memory[int, Terms] = Memory(2 * MAX_REMEMBERED)
        self._taints: Memory[tuple[int, tuple[Taint, ...]], tuple[tuple[str, ...], ...]] = Memory(MAX_REMEMBERED)
        # of these two there are as many as bundles read labels; what the largest of inventories comes to is kept
        self._demands: Memory[frozenset[Read], tuple[Group, ...]] = Memory(2 * MAX_REMEMBERED, 2 * MAX_REMEMBERED)
        self._alike: Memory[frozenset[str], tuple[tuple[int, Term], ...]] = Memory(MAX_REMEMBERED, MAX_REMEMBERED)
        self._indistinct: Memory[frozenset[Read], tuple[int, ...]] = Memory(MAX_REMEMBERED, MAX_REMEMBERED)

    def names(self, mask: int) -> tuple[str, ...]:
        """The names of the pools of a mask, ascending."""
        names = self._names.get(mask)
        if names is None:
            names = tuple(self.pools[i].name for i in members(mask))
            self._names.keep(mask, names, self._mask_size + 8 * len(names))
        return names

    def taints(self, mask: int, hard: tuple[Taint, ...]) -> tuple[tuple[str, ...], ...]:
        """Which of these of its `hard_taints` each pool of a mask has, in words."""
        known = self._taints.get((mask, hard))
        if known is None:
            said = [(str(taint), self.hard_taints[taint]) for taint in hard]
            each = (tuple(text for text, pools in said if pools >> i & 1) for i in members(mask))
            known = tuple(each)
            size = 64 * len(known) + 8 * sum(map(len, known)) + 8 * len(hard)
            self._taints.keep((mask, hard), known, self._mask_size + size)
        return known

    def selector(self, mask: int) -> Terms:
        """The terms that exactly the nodes of the pools of a mask match. Raises TooMany.

        Pools whose selectors differ in one label's value share a term.
        """
        terms = self._selectors.get(mask)
        if terms is None:
            terms = self._all_selected(mask) if mask & self._plural else self._selected(mask)
            self._selectors.keep(mask, terms, self._mask_size + bytes_of(terms))
        return terms

    def _all_selected(self, mask: int) -> Terms:
        """The terms that exactly the nodes of the pools of a mask match, whatever these pools are known by."""
        order = self.inventory.order
        each = (identifying_terms(self.pools[i], order, self._special.get(i, ())) for i in members(mask))
        return simplify(chain.from_iterable(each))

    def _selected(self, mask: int) -> Terms:
        """The same where each of the pools is known by one label's value."""
        values: dict[str, list[str]] = {}
        for i in members(mask):
            ((key, value),) = self.pools[i].selector.items()
            values.setdefault(key, []).append(value)
        terms = [term_of({key: one_of(several)}) for key, several in sorted(values.items())]
        return tuple(sorted((term for term in terms if not term.impossible), key=Term.order))

    def possible(self, term: Term) -> int:
        """The mask of the pools that may have a node which the term admits: nothing known of them forbids it."""
        keys = self._keyed()
        known = [one for one in term.requirements if one[0] in keys]
        return self._all_of(known, self._possible, self._meeting) & ~self.shadowed

    def price(self, term: Term) -> int:
        """What `possible`, or `attested`, takes of a budget, in units, remembered or not: of a label that no pool tells
        of next to nothing."""
        keys = self._keyed()
        return sum([2 + 4 * len(self._groups(key)) if key in keys else 1 for key, _ in term.requirements])

    def price_of_selector(self, mask: int) -> int:
        """The same of `selector`."""
        return mask.bit_count() * (OF_SELECTOR if mask & self._plural else 1)

    def attested(self, term: Term) -> int:
        """The mask of the pools of which somebody has declared or seen what the term asks for, label by label."""
        told, strange = self._apart(term)
        return 0 if strange else self._all_of(told, self._attested, self._attesting)

    def _apart(self, term: Term) -> tuple[list[tuple[str, LabelStates]], list[tuple[str, LabelStates]]]:
        """What a term asks for of labels of which some pool tells, or that are special; and of others, which nobody
        attests of any pool. That a label is absent is nothing strange where no pool tells of it."""
        told = self._told_of()
        ours, strange = list[tuple[str, LabelStates]](), list[tuple[str, LabelStates]]()
        for one in term.requirements:
            key, values = one
            if key in told or is_special(key):
                ours.append(one)
            elif not values.absent:
                strange.append(one)
        return ours, strange

    def _all_of(
        self,
        requirements: Iterable[tuple[str, LabelStates]],
        memory: Memory[tuple[str, LabelStates], int],
        asked: _Asked,
    ) -> int:
        """The mask of the pools for which each requirement holds, as it is asked and remembered."""
        mask = self.every
        for key, values in requirements:
            some = memory.get((key, values))
            if some is None:
                some = asked(key, values, None)
                memory.keep((key, values), some, self._mask_size + bytes_of((Term(((key, values),)),)))
            mask &= some
        return mask

    def unattested(self, mask: int, term: Term) -> set[Term]:
        """What of a term nobody has declared or seen of the pools of a mask: EVERYWHERE of a pool of which all is."""
        told, strange = self._apart(term)
        groups: list[tuple[int, list[tuple[str, LabelStates]]]] = [(mask, [])] if mask else []
        for one in told:
            some = self._all_of((one,), self._attested, self._attesting)
            apart = [(pools & ~some, [*asked, one]) for pools, asked in groups if pools & some and pools & ~some]
            for pools, asked in groups:
                if not pools & some:  # in place, for a pod may ask for thousands of labels
                    asked.append(one)
            groups = [(pools & some or pools, asked) for pools, asked in groups] + apart
        return {Term(tuple(sorted((*asked, *strange), key=itemgetter(0)))) for _, asked in groups}

    def known(self, index: int) -> Term:
        """What every node of pool `index` is known to carry."""
        return term_of(self._known_labels(index))

    def states(self, index: int, key: str) -> LabelStates:
        """The states of a label that nodes of pool `index` may be in, as far as that is known."""
        return self._known_labels(index).get(key, ANY)

    def special(self, index: int) -> Sequence[Extra]:
        """What the selectors of more special pools add to that of pool `index`."""
        return self._special.get(index, ())

    def _known_labels(self, index: int) -> Mapping[str, LabelStates]:
        known = self._known[index]
        if known is None:
            pool = self.pools[index]
            known = self._known[index] = known_labels(pool, self.inventory.order, self.special(index))
        return known

    def _keyed(self) -> frozenset[str]:
        """The labels of which something is known of the nodes of some pool."""
        if self._keys is None:
            self._keys = frozenset(chain.from_iterable(map(self._known_labels, range(len(self.pools)))))
        return self._keys

    def _told_of(self) -> frozenset[str]:
        """The labels of which some pool tells."""
        if self._told is None:
            self._told = frozenset(chain.from_iterable(pool.facts for pool in self.pools))
        return self._told

    def _groups(self, key: str) -> tuple[tuple[LabelStates, int], ...]:
        """What is known of a label, each with its pools; those are left out of which nothing is."""
        groups = self._states.get(key, ())
        if not groups and key in self._keyed():
            each = ((self._known_labels(i).get(key), 1 << i) for i in range(len(self.pools)))
            groups = tuple(_grouped((states, bit) for states, bit in each if states is not None).items())
            self._states[key] = groups
        return groups

    def _facts_of(self, key: str) -> tuple[tuple[int, int], ...]:
        """The pools in groups of which the same is told of a label, each with the index of one of them."""
        kept = key if key in self._told_of() else is_anybodys(key)  # of keys that no pool tells of there is no end
        groups = self._facts.get(kept)
        if groups is None:
            each = (((pool.fact(key), pool.provider), 1 << i) for i, pool in enumerate(self.pools))
            groups = self._facts[kept] = tuple((next(members(mask)), mask) for mask in _grouped(each).values())
        return groups

    def _meeting(self, key: str, values: LabelStates, indexes: Iterable[int] | None) -> int:
        """The mask of those pools of `indexes` that may have a node whose label is in one of these states."""
        if indexes is None:
            mask = self.every
            for states, pools in self._groups(key):
                if (states & values).impossible:
                    mask &= ~pools
            return mask
        return sum(1 << i for i in indexes if may_meet(self._known_labels(i), key, values))

    def _attesting(self, key: str, values: LabelStates, indexes: Iterable[int] | None) -> int:
        """The mask of those pools of `indexes` of which it is known that the label may be in one of these states."""
        if indexes is None:
            groups = ((attested(self.pools[one], key, values), mask) for one, mask in self._facts_of(key))
            return sum(mask for known, mask in groups if known)
        return sum(1 << i for i in indexes if attested(self.pools[i], key, values))

    def _take_over(self, previous: PoolIndex) -> None:
        """Takes over what the index before this one knew of the pools that are still the same."""
        moved, fresh = self.carried_over.moved, self.carried_over.fresh
        for old, length, new in self.carried_over.moves:
            self._known[new : new + length] = previous._known[old : old + length]
        for memory, before, asked in (
            (self._possible, previous._possible, self._meeting),
            (self._attested, previous._attested, self._attesting),
        ):
            for (key, values), some in before.copy().items():  # to which decisions may add meanwhile
                size = self._mask_size + bytes_of((Term(((key, values),)),))
                memory.keep((key, values), moved(some) | asked(key, values, fresh), size)

    def alike(self, keys: frozenset[str]) -> tuple[tuple[int, Term], ...]:
        """All pools, in groups of which the same is declared of these labels, each with what that is."""
        groups = self._alike.get(keys)
        if groups is None:
            each = ((_declared(pool, keys), 1 << i) for i, pool in enumerate(self.pools))
            groups = tuple((pools, known) for known, pools in _grouped(each).items())
            size = sum(self._mask_size + bytes_of((known,)) for _, known in groups)
            self._alike.keep(keys, groups, size + sum(map(len, keys)))
        return groups

    def indistinct(self, reads: frozenset[Read] | None) -> tuple[int, ...]:
        """All pools, as masks of those that an expression can't tell apart which sees no more than this of a pool, in
        the order of the first of each; each pool alone where that is None.
        """
        if reads is None:
            return self._each
        groups = self._indistinct.get(reads)
        if groups is None:
            groups = tuple(_grouped((facets(pool, reads), 1 << i) for i, pool in enumerate(self.pools)).values())
            size = len(groups) * self._mask_size + sum(ENTRY + len(read.key) for read in reads)
            self._indistinct.keep(reads, groups, size)
        return groups

    def demands(self, reads: frozenset[Read], mask: int) -> Iterator[Group]:
        """The pools of a mask, in groups with the terms that demand again what was read and only observed.

        Raises TooMany.
        """
        groups = self._demands.get(reads)
        if groups is None:
            each = ((demanded_again(pool, reads), 1 << i) for i, pool in enumerate(self.pools))
            groups = tuple((pools, terms) for terms, pools in _grouped(each).items())
            size = sum(self._mask_size + bytes_of(terms) for _, terms in groups)
            self._demands.keep(reads, groups, size + sum(ENTRY + len(read.key) for read in reads))
        for pools, terms in groups:
            if pools & mask:
                yield pools & mask, terms


class CarriedOver(NamedTuple):
    """What became of the pools of one index in the next: runs that moved together, and which pools are new or changed.

    A run in `moves` is pools that follow each other in both: the index of its first before, how many they are, and the
    index of its first now. `fresh` are the indexes, now, of pools that are new or changed.
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
            elif moves and sum(moves[-1][:2]) == place and moves[-1][1] + moves[-1][2] == i:  # goes on with the run
                moves[-1] = (moves[-1][0], moves[-1][1] + 1, moves[-1][2])
            else:
                moves.append((place, 1, i))
        return CarriedOver(tuple(moves), tuple(fresh))

    @property
    def fresh_mask(self) -> int:
        """The pools that are new or changed."""
        return sum(1 << i for i in self.fresh)

    def moved(self, mask: int) -> int:
        """A mask over the pools before as one over the pools now; none of its bits is a fresh pool."""
        now = 0
        for old, length, new in self.moves:
            # the `length` bits from `old` on are cut out and put where `new` is
            now |= (mask >> old & (1 << length) - 1) << new
        return now


def _is_plural(pool: Pool) -> bool:
    """Whether it takes more than one value of one label to say which nodes a pool has."""
    return len(pool.selector) != 1 or bool(pool.without)


def _same(old: PoolIndex, place: int, new: PoolIndex, i: int) -> bool:
    """Whether a pool is equal in both indexes, and nodes belong to it by the same rule."""
    a, b = old.pools[place], new.pools[i]
    return (a is b or a == b) and old.special(place) == new.special(i)


def _declared(pool: Pool, keys: Iterable[str]) -> Term:
    """What is declared of these labels of a pool's nodes."""
    facts = ((key, pool.facts[key]) for key in keys if key in pool.facts)
    return term_of({key: fact.states for key, fact in facts if not fact.observed})


def members(mask: int) -> Iterator[int]:
    """The indexes of the bits that are set in a mask, ascending."""
    while mask:
        low = mask & -mask  # the lowest bit that is set, alone
        yield low.bit_length() - 1
        mask ^= low


def _grouped(pairs: Iterable[tuple]) -> dict:  # type: ignore[type-arg]
    """A mask by key, of pairs of a key and a mask."""
    groups: dict = {}  # type: ignore[type-arg]
    for key, bit in pairs:
        groups[key] = groups.get(key, 0) | bit
    return groups
