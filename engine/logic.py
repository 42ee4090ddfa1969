"""Boolean expressions over pools and a node, decided for all pools at once.

A `Verdict` says, of one pod, on which nodes of which pools an expression is true and on which it is false; on the rest
it is an error. Most expressions do not read `node`, so that each pool is in one of three states: two masks say it all,
and `&& || !` and `?:` are a few operations on integers (Flat). Where `node` is read, the pools fall into cases that
share a pair of node conditions (Cased; see `engine.symbolic` for the pair).

What the pod and the parameters alone decide disappears here: `false && x` reads nothing of x. Two things follow from
what is left. `anywhere` is the truth on a node of any conceivable pool, or of none, where no pool needs to be looked at
for it; None says that it depends on the pool. `reads` is what was read of the pools, to be demanded again where it was
only observed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, product
from operator import or_
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from engine.cluster import Pool
from engine.fleet import Fleet, Read, bits
from engine.requirement import FALSE, TRUE, Terms, both
from engine.symbolic import (
    NO,
    UNKNOWN,
    YES,
    Arguments,
    Cases,
    CasesOf,
    Truth,
    TruthOf,
    choose,
    conjoin,
    negate,
    told,
    words_of,
)
from engine.values import BudgetExceeded, CelError, NoSuchKey

Reads: TypeAlias = frozenset[Read]
NOTHING_READ: Reads = frozenset()
NOTHING_COMPUTED: Mapping[int, Reads] = MappingProxyType({})


class Flat(NamedTuple):
    """Every pool true, false or an error as a whole. `computed` are reads that only some pools made, by pool."""

    true: int
    false: int
    anywhere: Truth | None = None
    reads: Reads = NOTHING_READ
    computed: Mapping[int, Reads] = NOTHING_COMPUTED

    def cases(self, every: int) -> list[tuple[int, Truth]]:
        """The pools by what the expression is on their nodes; disjoint, and all pools together."""
        parts = ((self.true, YES), (self.false, NO), (every & ~(self.true | self.false), UNKNOWN))
        return [(mask, truth) for mask, truth in parts if mask]


class Cased(NamedTuple):
    """Pools by a pair of node conditions."""

    split: tuple[tuple[int, Truth], ...]
    anywhere: Truth | None = None
    reads: Reads = NOTHING_READ
    computed: Mapping[int, Reads] = NOTHING_COMPUTED

    def cases(self, _every: int) -> list[tuple[int, Truth]]:
        """The pools by what the expression is on their nodes; disjoint, and all pools together."""
        return list(self.split)


Verdict: TypeAlias = Flat | Cased


@dataclass(frozen=True, slots=True)
class Leaf:
    """The smallest parts of an expression that are decided as a whole.

    `number` tells leaves apart within a program; equal expressions share a leaf. `function` computes one that does not
    read `node`, `truth` one that does.
    """

    number: int
    reads_pod: bool
    reads_pool: bool
    reads_capacity: bool = False
    function: Callable[..., object] | None = None
    truth: TruthOf | None = None
    reads: Reads = NOTHING_READ
    computed: bool = False
    bridge: Bridge | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """A leaf that compares a value of the pod with a value of the pool, so that an index over the pools answers it.

    `operator` is cel-spec's name, read with the pod's value on the left: `_==_`, `_<_`, `@in` (the pod's value in the
    pool's list) and so on. Both are functions of the usual arguments.
    """

    operator: str
    pod: Callable[..., object]
    pool: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Not:
    """`!inner`."""

    inner: Tree


@dataclass(frozen=True, slots=True)
class Both:
    """`left && right`; `a || b` is the negation of both negations."""

    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Choice:
    """`test ? yes : no`."""

    test: Tree
    yes: Tree
    no: Tree


Tree: TypeAlias = Leaf | Not | Both | Choice


def leaves_of(tree: Tree) -> Iterator[Leaf]:
    """The leaves of an expression."""
    match tree:
        case Leaf():
            yield tree
        case Not():
            yield from leaves_of(tree.inner)
        case Both():
            yield from (*leaves_of(tree.left), *leaves_of(tree.right))
        case Choice():
            yield from (*leaves_of(tree.test), *leaves_of(tree.yes), *leaves_of(tree.no))


class Ground:
    """What verdicts stand on: a fleet, and what is the same for every pod on it.

    Leaves that read nothing of a pod are decided here, once; `nobody` are the arguments of a function that is called
    without one: a fresh budget, then the values of the variables in their order. What one of them can't be decided
    with is said of it in `exhausted`, and fails whoever asks for it. `previous` is the ground of the same leaves and
    constants on the fleet before this one: what it says of pools that are still the same is taken over.
    """

    def __init__(
        self,
        fleet: Fleet,
        leaves: Sequence[Leaf],
        nobody: Callable[[], Arguments],
        previous: Ground | None = None,
    ) -> None:
        self.fleet = fleet
        self.yes = Flat(fleet.every, 0, YES)
        self.no = Flat(0, fleet.every, NO)
        self.unknown = Flat(0, 0, UNKNOWN)
        self.settled: dict[int, Flat] = {}
        self.indexes: dict[int, Index] = {}
        self.exhausted: dict[int, str] = {}
        self.findings: dict[str, Any] = {}  # of policies that read nothing of the pod, as they are first judged
        for leaf in leaves:
            try:
                if leaf.bridge is not None:
                    known_index = previous.indexes.get(leaf.number) if previous else None
                    self.indexes[leaf.number] = index_of(leaf.bridge, fleet, nobody(), known_index)
                elif leaf.reads_pool and not leaf.reads_pod and leaf.function is not None:
                    known = previous.settled.get(leaf.number) if previous else None
                    self.settled[leaf.number] = _by_pool(leaf, fleet, nobody(), known)
                elif not leaf.reads_pod and leaf.function is not None:
                    self.settled[leaf.number] = self.everywhere(leaf.function, nobody())
            except BudgetExceeded as error:
                self.exhausted[leaf.number] = str(error)

    def everywhere(self, function: Callable[..., object], arguments: Arguments) -> Flat:
        """The verdict on an expression that reads neither pool nor node. Raises BudgetExceeded."""
        try:
            return self.yes if function(*arguments, None) is True else self.no
        except CelError:
            return self.unknown


class Moment:
    """One decision's view of a ground: the pod's values, and the leaves that were decided for it so far."""

    __slots__ = ("arguments", "ground", "seen")

    def __init__(self, ground: Ground, arguments: Arguments, seen: dict[int, Verdict]) -> None:
        self.ground, self.arguments, self.seen = ground, arguments, seen

    def decide(self, tree: Tree) -> Verdict:
        """The verdict on an expression. Raises BudgetExceeded."""
        match tree:
            case Leaf():
                verdict = self.ground.settled.get(tree.number) or self.seen.get(tree.number)
                if verdict is None:
                    verdict = self.seen[tree.number] = _leaf(tree, self)
                return verdict
            case Not():
                return invert(self.decide(tree.inner))
            case Both():
                return meet(self.decide(tree.left), lambda: self.decide(tree.right), self.ground.fleet.every)
            case Choice():
                return self._choose(tree)

    def error(self, tree: Tree) -> str:
        """What an expression runs into, and on which pool, where that makes it an error; empty where nothing does.

        That a node may lack a label is no error of this kind. Raises BudgetExceeded.
        """
        erring = self._outlook(tree)[2]
        return self._first_error(tree, erring) if erring else ""

    def _outlook(self, tree: Tree) -> tuple[int, int, int]:
        """The pools with a node on which an expression can be true, those where false, those where an error.

        One more bit than there are pools stands for a node of none.
        """
        match tree:
            case Leaf():
                return _outlook(self.decide(tree), self.ground.fleet.every)
            case Not():
                true, false, error = self._outlook(tree.inner)
                return false, true, error
            case Both():
                true, false, error = self._outlook(tree.left)
                if not true | error:
                    return true, false, error
                yes, no, wrong = self._outlook(tree.right)
                return true & yes, false | no, error & (yes | wrong) | wrong & true
            case Choice():
                true, false, error = self._outlook(tree.test)
                a = self._outlook(tree.yes) if true else (0, 0, 0)
                b = self._outlook(tree.no) if false else (0, 0, 0)
                return true & a[0] | false & b[0], true & a[1] | false & b[1], error | true & a[2] | false & b[2]

    def _first_error(self, tree: Tree, erring: int) -> str:
        match tree:
            case Leaf():
                here = self._outlook(tree)[2] & erring
                return _error(tree, self, here) if here else ""
            case Not():
                return self._first_error(tree.inner, erring)
            case Both():
                parts: tuple[Tree, ...] = (tree.left, tree.right)
            case Choice():
                parts = (tree.test, tree.yes, tree.no)
        for part in parts:
            true, _, error = self._outlook(part)
            if erring & error:
                return self._first_error(part, erring)
            if isinstance(tree, Both) and not true:
                break
        return ""

    def _choose(self, tree: Choice) -> Verdict:
        test = self.decide(tree.test)
        if test.anywhere in (YES, NO):
            return self.decide(tree.yes if test.anywhere == YES else tree.no)
        if test.anywhere == UNKNOWN:
            return self.ground.unknown
        return choice(test, self.decide(tree.yes), self.decide(tree.no), self.ground.fleet.every)


def invert(verdict: Verdict) -> Verdict:
    """`!verdict`."""
    anywhere = None if verdict.anywhere is None else negate(verdict.anywhere)
    if isinstance(verdict, Flat):
        return Flat(verdict.false, verdict.true, anywhere, verdict.reads, verdict.computed)
    split = tuple((mask, negate(truth)) for mask, truth in verdict.split)
    return Cased(split, anywhere, verdict.reads, verdict.computed)


def meet(left: Verdict, other: Callable[[], Verdict], every: int) -> Verdict:
    """`left && other`; what is settled on one side alone reads nothing of the other."""
    if left.anywhere == NO:
        return left
    right = other()
    if right.anywhere == NO or left.anywhere == YES:
        return right
    if right.anywhere == YES:
        return left
    neither = left.anywhere is None or right.anywhere is None
    anywhere = None if neither else conjoin(left.anywhere, lambda: right.anywhere)  # type: ignore[arg-type, return-value]
    reads, computed = left.reads | right.reads, _united(left.computed, right.computed)
    if isinstance(left, Flat) and isinstance(right, Flat):
        return Flat(left.true & right.true, left.false | right.false, anywhere, reads, computed)
    cases: dict[Truth, int] = {}
    for (mask, a), (some, b) in product(left.cases(every), right.cases(every)):
        if here := mask & some:
            truth = conjoin(a, lambda b=b: b)  # type: ignore[misc]
            cases[truth] = cases.get(truth, 0) | here
    return Cased(tuple((mask, truth) for truth, mask in cases.items()), anywhere, reads, computed)


def choice(test: Verdict, yes: Verdict, no: Verdict, every: int) -> Verdict:
    """`test ? yes : no`; where the test is an error, so is the whole."""
    parts = (test, yes, no)
    truths = [part.anywhere for part in parts if part.anywhere is not None]
    anywhere = choose(truths[0], lambda: truths[1], lambda: truths[2]) if len(truths) == 3 else None
    reads = test.reads | yes.reads | no.reads
    computed = _united(test.computed, _united(yes.computed, no.computed))
    if isinstance(test, Flat) and isinstance(yes, Flat) and isinstance(no, Flat):
        true = (test.true & yes.true) | (test.false & no.true)
        false = (test.true & yes.false) | (test.false & no.false)
        return Flat(true, false, anywhere, reads, computed)
    cases: dict[Truth, int] = {}
    for (mask, t), (some, y), (other, n) in product(*(part.cases(every) for part in parts)):
        if here := mask & some & other:
            truth = choose(t, lambda y=y: y, lambda n=n: n)  # type: ignore[misc]
            cases[truth] = cases.get(truth, 0) | here
    return Cased(tuple((mask, truth) for truth, mask in cases.items()), anywhere, reads, computed)


def by_pool_values(score: Scored, moment: Moment, errors: list[str]) -> Iterator[tuple[int, Cases, Reads]]:
    """A number by pool: its index, the cases of the number on its nodes, and what was read of it.

    Pools on which it is an error are left out, and `errors` says why.
    """
    for i, pool in enumerate(moment.ground.fleet.pools):
        watched = _Watched(pool.view) if score.computed and _inferred(pool) else None
        arguments = (*moment.arguments, watched.view if watched else pool.view)
        cases: Cases = ()
        try:
            if score.cases is not None:
                cases = score.cases(arguments, words_of(pool.provider))
            elif score.function is not None:
                cases = ((TRUE, score.function(*arguments)),)
        except CelError as error:
            errors.append(f"{error} (pool `{pool.name}`)")
            continue
        yield i, cases, score.reads | watched.reads if watched else score.reads


def values_anywhere(score: Scored, arguments: Arguments, errors: list[str]) -> Cases:
    """The cases of a number that does not depend on the pool; none where it is an error, and `errors` says why."""
    try:
        if score.cases is not None:
            return score.cases(arguments, words_of(""))
        return ((TRUE, score.function(*arguments)),) if score.function is not None else ()
    except CelError as error:
        errors.append(str(error))
        return ()


class Scored(Protocol):
    """What `by_pool_values` reads of a score."""

    @property
    def function(self) -> Callable[..., object] | None: ...
    @property
    def cases(self) -> CasesOf | None: ...
    @property
    def reads(self) -> Reads: ...
    @property
    def computed(self) -> bool: ...


def _united(a: Mapping[int, Reads], b: Mapping[int, Reads]) -> Mapping[int, Reads]:
    if not a or not b:
        return a or b
    return {pool: a.get(pool, NOTHING_READ) | b.get(pool, NOTHING_READ) for pool in a.keys() | b.keys()}


def _leaf(leaf: Leaf, moment: Moment) -> Verdict:
    ground = moment.ground
    if leaf.number in ground.exhausted:
        raise BudgetExceeded(ground.exhausted[leaf.number])
    if leaf.truth is not None:
        return _node_leaf(leaf, leaf.truth, moment)
    if leaf.bridge is not None:
        try:
            true, false = ground.indexes[leaf.number](leaf.bridge.pod(*moment.arguments, None))
        except CelError:
            return Flat(0, 0, None, leaf.reads)
        return Flat(true, false, None, leaf.reads)
    if leaf.reads_pool:
        return _by_pool(leaf, ground.fleet, moment.arguments)
    assert leaf.function is not None
    return ground.everywhere(leaf.function, moment.arguments)


def _by_pool(leaf: Leaf, fleet: Fleet, arguments: Arguments, known: Flat | None = None) -> Flat:
    assert leaf.function is not None
    true = fleet.kept.moved(known.true) if known else 0
    false = fleet.kept.moved(known.false) if known else 0
    computed = _moved(known.computed, fleet) if known else {}
    for i in fleet.kept.fresh if known else range(len(fleet.pools)):
        view = fleet.views[i]
        watched = _Watched(view) if leaf.computed and _inferred(fleet.pools[i]) else None
        try:
            if leaf.function(*arguments, watched.view if watched else view) is True:
                true |= 1 << i
            else:
                false |= 1 << i
        except CelError:
            pass
        if watched and watched.reads:
            computed[i] = frozenset(watched.reads)
    return Flat(true, false, None, leaf.reads, computed)


def _moved(computed: Mapping[int, Reads], fleet: Fleet) -> dict[int, Reads]:
    return {
        i - old + new: reads
        for i, reads in computed.items()
        for old, length, new in fleet.kept.moves
        if old <= i < old + length
    }


class Index:
    """The pools by the value that a comparison asks of them; called with the pod's value.

    It answers with the pools on which the comparison is true, and false. Equality is looked up, order is found in a
    sorted list: `below[k]` are the pools whose value is one of the k smallest. A NaN, which has no place in the order,
    is neither.
    """

    __slots__ = ("below", "known", "masks", "operator", "values")

    def __init__(self, operator: str, masks: Mapping[Any, int], known: int) -> None:
        self.operator, self.masks = operator, masks
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
            for item in value:
                true |= self.masks.get(item, 0)
        else:
            true = self.masks.get(value, 0)
        rest = self.known & ~true
        return (rest, true) if self.operator == "_!=_" else (true, rest)

    def _ordered(self, value: Any) -> int:
        less, equal = ORDERED[self.operator]
        find = bisect_left if less == equal else bisect_right
        smaller = self.below[find(self.values, value)]
        return self.below[-1] & ~smaller if less else smaller


def index_of(bridge: Bridge, fleet: Fleet, nobody: Arguments, known: Index | None = None) -> Index:
    """The index of a fleet's pools, `known` being that of the fleet before it. Raises BudgetExceeded."""
    moved = fleet.kept.moved
    masks = {value: moved(mask) for value, mask in known.masks.items()} if known else {}
    valued = moved(known.known) if known else 0
    for i in fleet.kept.fresh if known else range(len(fleet.pools)):
        with suppress(CelError):
            value: Any = bridge.pool(*nobody, fleet.views[i])
            valued |= 1 << i
            for item in set(value) if bridge.operator == "@in" else (value,):
                masks[item] = masks.get(item, 0) | 1 << i
    return Index(bridge.operator, {value: mask for value, mask in masks.items() if mask}, valued)


CONTAINS = "contains"
"""Not one of cel-spec's: `@in` the other way round, the pool's value in the pod's list."""

ORDERED: Mapping[str, tuple[bool, bool]] = {
    "_<_": (True, False),
    "_<=_": (True, True),
    "_>_": (False, False),
    "_>=_": (False, True),
}
"""By operator: whether the pod's value is to be less than the pool's, and whether it may be equal."""


def _inferred(pool: Pool) -> bool:
    """Whether anything about a pool's labels, or about their absence, is known by observation only."""
    return bool(pool.observed) or not pool.declared


def _outlook(verdict: Verdict, every: int) -> tuple[int, int, int]:
    true = false = wrong = 0
    beside = every + 1
    anywhere = () if verdict.anywhere is None else ((beside, verdict.anywhere),)
    for mask, truth in (*verdict.cases(every), *anywhere):
        true |= mask if truth[0] != FALSE else 0
        false |= mask if truth[1] != FALSE else 0
        wrong |= mask if truth == UNKNOWN else 0
    return (true, false, wrong) if anywhere else (true | beside, false | beside, wrong)


def _error(leaf: Leaf, moment: Moment, erring: int) -> str:
    fleet = moment.ground.fleet
    pool = next((fleet.pools[i] for i in bits(erring & fleet.every)), None) if leaf.reads_pool else None
    where = f" (pool `{pool.name}`)" if pool else ""
    if leaf.function is None:
        return f"it has no value on any node{where}"
    try:
        leaf.function(*moment.arguments, pool.view if pool else None)
    except CelError as error:
        return f"{error}{where}"
    return ""


def _node_leaf(leaf: Leaf, truth: TruthOf, moment: Moment) -> Verdict:
    fleet = moment.ground.fleet
    if not leaf.reads_pool and not leaf.reads_capacity:
        everywhere = truth((*moment.arguments, None), words_of(""))
        return Cased(((fleet.every, everywhere),) if fleet.every else (), everywhere)
    cases: dict[Truth, int] = {}
    computed: dict[int, Reads] = {}
    for provider, mask in fleet.providers.items() if not leaf.reads_pool else ():
        here = truth((*moment.arguments, None), words_of(provider))
        cases[here] = cases.get(here, 0) | mask
    for i, pool in enumerate(fleet.pools) if leaf.reads_pool else ():
        watched = _Watched(pool.view) if leaf.computed and _inferred(pool) else None
        here = truth((*moment.arguments, watched.view if watched else pool.view), words_of(pool.provider))
        cases[here] = cases.get(here, 0) | 1 << i
        if watched and watched.reads:
            computed[i] = frozenset(watched.reads)
    return Cased(tuple((mask, here) for here, mask in cases.items()), None, leaf.reads, computed)


class _Watched:
    """A pool's view that notes which labels and values are read through computed keys."""

    __slots__ = ("reads", "view")

    def __init__(self, view: Mapping[str, object]) -> None:
        self.reads: set[Read] = set()
        noted = {kind: _Noted(kind, view[kind], self.reads) for kind in ("labels", "values")}
        self.view: dict[str, object] = {**view, **noted}


class _Noted(dict):  # type: ignore[type-arg]
    """A map that notes the keys it is asked for; whoever walks it has read them all."""

    __slots__ = ("_kind", "_reads")

    def __init__(self, kind: str, entries: object, reads: set[Read]) -> None:
        super().__init__(entries)  # type: ignore[call-overload]
        self._kind, self._reads = kind, reads

    def _note(self, key: object) -> None:
        if isinstance(key, str):
            self._reads.add(Read(self._kind, key))

    def __getitem__(self, key: object) -> object:
        self._note(key)
        if not super().__contains__(key):
            raise NoSuchKey(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._note(key)
        return super().__contains__(key)

    def get(self, key: object, default: object = None) -> object:
        self._note(key)
        return super().get(key, default)

    def __iter__(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().__iter__()

    def items(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().items()

    def keys(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().keys()

    def values(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().values()

    def __len__(self) -> int:
        self._reads.add(Read("all"))
        return super().__len__()


def truths(verdict: Verdict, fleet: Fleet) -> list[tuple[int, Terms]]:
    """The nodes on which a verdict is true, by pools: masks and terms, with what was read demanded again."""
    groups: dict[Terms, int] = {}
    for mask, (true, _) in verdict.cases(fleet.every):
        if true == FALSE:
            continue
        for reads, pools in _by_reads(verdict, mask):
            for some, demanded in fleet.demands(reads, pools):
                terms = both(told(true), demanded)
                if terms != FALSE:
                    groups[terms] = groups.get(terms, 0) | some
    return [(mask, terms) for terms, mask in groups.items()]


def _by_reads(verdict: Verdict, mask: int) -> list[tuple[Reads, int]]:
    if not verdict.computed:
        return [(verdict.reads, mask)]
    groups: dict[Reads, int] = {}
    for i in bits(mask):
        reads = verdict.reads | verdict.computed.get(i, NOTHING_READ)
        groups[reads] = groups.get(reads, 0) | 1 << i
    return list(groups.items())
