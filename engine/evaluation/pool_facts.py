"""Boolean expressions decided for all pools of an inventory at once, and remembered where the pod does not matter.

PoolFacts is what is decided once per inventory, Inputs what is decided for one pod on top of it. Masks are those of
`engine.pools`: bit i is pool i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from engine.evaluation.alike import each_alike
from engine.evaluation.open_pools import beside_declared, open_truths
from engine.evaluation.pool_lookup import PoolLookup, lookup_of
from engine.evaluation.verdicts import POOLS, ByNode, ByPool, Verdict, both_hold, choice, invert
from engine.language import BudgetExceeded, CelError, bare
from engine.nodeselector import FALSE, TRUE, Meter
from engine.pools import PoolIndex, members, words_of
from engine.program import (
    NO,
    NOTHING_READ,
    UNKNOWN,
    YES,
    Arguments,
    Both,
    Choice,
    Leaf,
    Not,
    PoolView,
    Reads,
    Tree,
    Truth,
    TruthOf,
    Undecided,
    UnknownFact,
    assumed,
    assumed_cases,
    meter_of,
)


class PoolFacts:
    """What verdicts stand on: the index of an inventory, and what is the same for every pod on its pools.

    Leaves that read nothing of a pod are decided here, once, and stand in `settled` by their number; comparisons of the
    pod with the pool become `indexes`. `nobody` gives the arguments of a function that is called without a pod: a fresh
    budget, then the values of the variables in their order. A leaf whose budget did not suffice is in `exhausted`, with
    the error that whoever asks for it gets. `previous` are the facts of the same leaves and constants on the inventory
    before this one: what they say of pools that are still the same is taken over. `views` are the pools as expressions
    read them, if somebody has made them already.
    """

    def __init__(
        self,
        pool_index: PoolIndex,
        leaves: Sequence[Leaf],
        nobody: Callable[[], Arguments],
        previous: PoolFacts | None = None,
        views: Sequence[PoolView] | None = None,
    ) -> None:
        self.pool_index = pool_index
        self.yes = ByPool(pool_index.every, 0, YES)
        self.no = ByPool(0, pool_index.every, NO)
        self.unknown = ByPool(0, 0, UNKNOWN)
        self.views = tuple(views) if views is not None else _views(pool_index, previous)
        self.settled: dict[int, Verdict] = {}
        # by leaf: what functions say of pools, and where they are undecided; what they say of the nodes there
        self._plain: dict[int, tuple[ByPool, int]] = {}
        self._open: dict[int, Mapping[Truth, int]] = {}
        self.indexes: dict[int, PoolLookup] = {}
        self.exhausted: dict[int, str] = {}
        self.evaluations: dict[str, Any] = {}  # by name, of policies that read nothing of the pod
        for leaf in leaves:
            try:
                if leaf.bridge is not None:
                    known_index = previous.indexes.get(leaf.number) if previous else None
                    self.indexes[leaf.number] = lookup_of(
                        leaf.bridge, pool_index, self.views, nobody(), known_index, leaf.seen
                    )
                elif leaf.reads_pool and not leaf.reads_pod and leaf.function is not None:
                    self.settled[leaf.number] = self._without_pod(leaf, nobody(), previous)
                elif not leaf.reads_pod and leaf.function is not None:
                    self.settled[leaf.number] = self.everywhere(leaf.function, nobody())
            except BudgetExceeded as error:
                self.exhausted[leaf.number] = str(error)

    def _without_pod(self, leaf: Leaf, arguments: Arguments, previous: PoolFacts | None) -> Verdict:
        """The verdict on a leaf that reads nothing of the pod. Raises BudgetExceeded."""
        known = previous._plain.get(leaf.number) if previous else None
        self._plain[leaf.number] = by_pool, undecided = _by_pool(leaf, self, arguments, known)
        if not undecided:
            return by_pool
        moved, before = self.pool_index.carried_over.moved, previous._open.get(leaf.number, {}) if previous else {}
        same = {truth: moved(mask) for truth, mask in before.items()}
        self._open[leaf.number] = open_truths(leaf, self.pool_index, self.views, undecided, arguments, same)
        return _opened(leaf, self.pool_index, by_pool, undecided, self._open[leaf.number], meter_of(arguments))

    def everywhere(self, function: Callable[..., object], arguments: Arguments) -> ByPool:
        """The verdict on an expression that reads neither pool nor node. Raises BudgetExceeded."""
        try:
            return self.yes if function(*arguments, None) is True else self.no
        except CelError:
            return self.unknown


class Fault(NamedTuple):
    """What an expression runs into: nothing that can be told, if there is no `cause`; and on which pool, in words."""

    cause: Exception | None
    where: str

    def __str__(self) -> str:
        return f"{self.cause or 'it has no value on any node'}{self.where}"


class Inputs:
    """What expressions are decided with: facts of pools, the pod's values, leaves decided so far (`seen`).

    The `meter`, which pays for what is decided, is the budget among the arguments.
    """

    __slots__ = ("arguments", "meter", "pool_facts", "seen")

    def __init__(self, pool_facts: PoolFacts, arguments: Arguments, seen: dict[int, Verdict]) -> None:
        self.pool_facts, self.arguments, self.seen = pool_facts, arguments, seen
        self.meter: Meter = meter_of(arguments)

    def decide(self, tree: Tree) -> Verdict:
        """The verdict on an expression; one that can't be computed is an error in it. Raises BudgetExceeded."""
        if isinstance(tree, Leaf):
            number = tree.number
            verdict = self.pool_facts.settled.get(number) or self.seen.get(number)
            if verdict is None:
                verdict = self.seen[number] = _leaf(tree, self)
            return verdict
        match tree:
            case Not():
                return invert(self.decide(tree.inner))
            case Both():
                every = self.pool_facts.pool_index.every
                return both_hold(self.decide(tree.left), lambda: self.decide(tree.right), every, self.meter)
            case Choice():
                return self._choose(tree)

    def error(self, tree: Tree, pools: int = -1) -> str:
        """What an expression runs into, and on which of these pools, where that makes it an error; empty if nothing.

        That a node may lack a label is no error of this kind. Raises BudgetExceeded.
        """
        return str(self.fault(tree, pools) or "")

    def fault(self, tree: Tree, pools: int = -1) -> Fault | None:
        """The same, with what it was. Raises BudgetExceeded."""
        erring = self._outlook(tree)[2] & pools
        return self._first_error(tree, erring) if erring else None

    def _outlook(self, tree: Tree) -> tuple[int, int, int]:
        """The masks of the pools with a node on which an expression can be true, can be false, and is an error.

        The bit after the last pool's stands for a node of no pool.
        """
        match tree:
            case Leaf():
                return _outlook(self.decide(tree), self.pool_facts.pool_index.every)
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

    def _first_error(self, tree: Tree, erring: int) -> Fault | None:
        """What the first part that is an error on one of the pools `erring` runs into."""
        match tree:
            case Leaf():
                here = self._outlook(tree)[2] & erring
                return _error(tree, self, here) if here else None
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
        return None

    def _choose(self, tree: Choice) -> Verdict:
        test = self.decide(tree.test)
        if test.anywhere in (YES, NO):
            return self.decide(tree.yes if test.anywhere == YES else tree.no)
        if test.anywhere == UNKNOWN:
            return self.pool_facts.unknown
        return choice(test, self.decide(tree.yes), self.decide(tree.no), self.pool_facts.pool_index.every, self.meter)


def _leaf(leaf: Leaf, inputs: Inputs) -> Verdict:
    """The verdict on a leaf that was not settled before. Raises BudgetExceeded."""
    pool_facts = inputs.pool_facts
    if leaf.number in pool_facts.exhausted:
        raise BudgetExceeded(pool_facts.exhausted[leaf.number])
    if leaf.truth is not None:
        return _node_leaf(leaf, leaf.truth, inputs)
    if leaf.bridge is not None:
        lookup = pool_facts.indexes[leaf.number]
        try:
            value = leaf.bridge.pod(*inputs.arguments, None)
            inputs.meter.spend(lookup.price(value))
            true, false = lookup(value)
        except CelError:
            return ByPool(0, 0, None, leaf.reads)
        known = ByPool(true, false, None, leaf.reads)
        return _put(leaf, pool_facts, known, lookup.undecided, inputs.arguments)
    if leaf.reads_pool:
        known, undecided = _by_pool(leaf, pool_facts, inputs.arguments)
        return _put(leaf, pool_facts, known, undecided, inputs.arguments)
    assert leaf.function is not None
    return pool_facts.everywhere(leaf.function, inputs.arguments)


def _views(pool_index: PoolIndex, previous: PoolFacts | None) -> tuple[PoolView, ...]:
    """The pools as expressions read them; those of pools that are still the same are taken over."""
    if previous is None:
        return tuple(map(PoolView, pool_index.pools))
    views: list[PoolView | None] = [None] * len(pool_index.pools)
    for old, length, new in pool_index.carried_over.moves:
        views[new : new + length] = previous.views[old : old + length]
    return tuple(view or PoolView(pool) for view, pool in zip(views, pool_index.pools, strict=True))


def _by_pool(
    leaf: Leaf, pool_facts: PoolFacts, arguments: Arguments, known: tuple[ByPool, int] | None = None
) -> tuple[ByPool, int]:
    """A leaf decided for all pools, and the mask of the pools on which it is not the same for all nodes.

    `known` is the same on the index before, of which only fresh pools are new. Pools that are alike in what the leaf
    sees of them are decided together.
    """
    assert leaf.function is not None
    pool_index = pool_facts.pool_index
    meter_of(arguments).spend(POOLS * len(pool_index.pools) if known is None else 0)
    before, open_before = known or (ByPool(0, 0), 0)
    moved = pool_index.carried_over.moved
    true, false, undecided = moved(before.true), moved(before.false), moved(open_before)
    computed = _moved(before.computed, pool_index) if known else {}
    todo = pool_index.carried_over.fresh_mask if known else pool_index.every
    for i, alike in each_alike(pool_index, leaf.seen, todo, arguments):
        view, reads = _noting(leaf, pool_facts, i)
        try:
            if leaf.function(*arguments, view) is True:
                true |= alike
            else:
                false |= alike
        except CelError:
            pass
        except Undecided:
            undecided |= alike
        if reads:
            computed[i] = frozenset(reads)
    return ByPool(true, false, None, leaf.reads, computed), undecided


def _noting(leaf: Leaf, pool_facts: PoolFacts, i: int) -> tuple[PoolView, set[Any]]:
    """The view of a pool; one that takes down what is read of it through computed keys, where that is to be known."""
    view = pool_facts.views[i]
    return view.noting() if leaf.computed and pool_facts.pool_index.pools[i].inferred else (view, set())


def _put(leaf: Leaf, pool_facts: PoolFacts, known: ByPool, undecided: int, arguments: Arguments) -> Verdict:
    """The verdict on a leaf that is `known` but for some pools, to whose nodes it is put. Raises BudgetExceeded."""
    if not undecided:
        return known
    pool_index = pool_facts.pool_index
    truths = open_truths(leaf, pool_index, pool_facts.views, undecided, arguments)
    return _opened(leaf, pool_index, known, undecided, truths, meter_of(arguments))


def _opened(
    leaf: Leaf, pool_index: PoolIndex, known: ByPool, undecided: int, truths: Mapping[Truth, int], meter: Meter
) -> Verdict:
    """The verdict on a leaf that is `known` but for some pools, on whose nodes it is what `truths` say."""
    cases: dict[Truth, int] = {}
    computed = dict(known.computed)
    for asked, pools in truths.items():
        for mask, truth, read in beside_declared(asked, pools, pool_index, meter, computed=leaf.computed):
            cases[truth] = cases.get(truth, 0) | mask
            for i in members(mask) if read else ():
                computed[i] = computed.get(i, NOTHING_READ) | read
    plain = ((mask & ~undecided, truth) for mask, truth in known.cases(pool_index.every))
    for mask, truth in plain:
        if mask:
            cases[truth] = cases.get(truth, 0) | mask
    return ByNode(tuple((mask, truth) for truth, mask in cases.items()), None, leaf.reads, computed)


def _moved(computed: Mapping[int, Reads], pool_index: PoolIndex) -> dict[int, Reads]:
    """Reads by pool of the index before as those of this one, without pools that are fresh."""
    return {
        i - old + new: reads
        for i, reads in computed.items()
        for old, length, new in pool_index.carried_over.moves
        if old <= i < old + length
    }


def _outlook(verdict: Verdict, every: int) -> tuple[int, int, int]:
    """The masks of a verdict: can be true, can be false, is an error; see `Inputs._outlook`."""
    true = false = wrong = 0
    beside = every + 1  # `every` has the lowest bits set: one more is the next bit alone, a node of no pool
    anywhere = () if verdict.anywhere is None else ((beside, verdict.anywhere),)
    for mask, truth in (*verdict.cases(every), *anywhere):
        true |= mask if truth[0] != FALSE else 0
        false |= mask if truth[1] != FALSE else 0
        wrong |= mask if truth == UNKNOWN else 0
    return (true, false, wrong) if anywhere else (true | beside, false | beside, wrong)


def _error(leaf: Leaf, inputs: Inputs, erring: int) -> Fault | None:
    """What a leaf runs into on one of the pools `erring`, found by running it once more.

    On the first on which it is an error because a fact is not known, else on the first.
    """
    pool_facts = inputs.pool_facts
    if not leaf.reads_pool or not erring & pool_facts.pool_index.every:
        return _fault(leaf, inputs, None)
    first: Fault | None = None
    for i in members(erring & pool_facts.pool_index.every):
        fault = _fault(leaf, inputs, i)
        unknown = fault is not None and isinstance(fault.cause, (UnknownFact, Undecided))
        first = fault if unknown else first or fault
        if unknown:
            break
    return first


def _fault(leaf: Leaf, inputs: Inputs, i: int | None) -> Fault | None:
    """What a leaf runs into on the pool at an index, None for none."""
    pool_facts = inputs.pool_facts
    where = "" if i is None else f" (pool `{pool_facts.pool_index.pools[i].name}`)"
    view = None if i is None else pool_facts.views[i]
    try:
        if leaf.function is None:
            if leaf.truth is not None and i is not None:
                assumed(lambda given: _truth_here(leaf, given, inputs, i), (*inputs.arguments, view))
            return Fault(_error_beside(leaf, (*inputs.arguments, view)), where)
        leaf.function(*inputs.arguments, view)
    except Undecided as undecided:
        assert leaf.function is not None
        return Fault(_fault_in_some_state(leaf.function, (*inputs.arguments, view)) or bare(undecided), where)
    except CelError as error:
        return Fault(bare(error), where)
    return None


def _error_beside(leaf: Leaf, arguments: Arguments) -> CelError | None:
    """What a leaf over `node` runs into that no node has to do with."""
    for part in leaf.beside:
        with suppress(BudgetExceeded):
            try:
                part(*arguments)
            except Undecided as undecided:
                if undecided.fact.states.finite is None:
                    return undecided.unknown
            except CelError as error:
                return bare(error)
    return None


def _fault_in_some_state(function: Callable[..., object], arguments: Arguments) -> CelError | None:
    """What a function runs into in some state of the labels on which it can't be decided at once."""
    try:
        assumed_cases(lambda given: ((TRUE, function(*given)),), arguments)
    except CelError as error:
        return bare(error)
    except BudgetExceeded:
        return None  # what is known before is told
    return None


def _truth_here(leaf: Leaf, arguments: Arguments, inputs: Inputs, i: int) -> Truth:
    assert leaf.truth is not None
    return leaf.truth(arguments, words_of(inputs.pool_facts.pool_index.pools[i].provider))


def _node_leaf(leaf: Leaf, truth: TruthOf, inputs: Inputs) -> Verdict:
    """A leaf over `node`: once where no pool matters, else by provider, or pool by pool where it reads the pool."""
    pool_index = inputs.pool_facts.pool_index
    if not leaf.reads_pool and not leaf.reads_capacity:
        everywhere = truth((*inputs.arguments, None), words_of(""))
        return ByNode(((pool_index.every, everywhere),) if pool_index.every else (), everywhere)
    cases: dict[Truth, int] = {}
    computed: dict[int, Reads] = {}
    for provider, mask in pool_index.providers.items() if not leaf.reads_pool else ():
        here = truth((*inputs.arguments, None), words_of(provider))
        cases[here] = cases.get(here, 0) | mask
    meter_of(inputs.arguments).spend(4 * POOLS * len(pool_index.pools) if leaf.reads_pool else 0)
    for i, pool in enumerate(pool_index.pools) if leaf.reads_pool else ():
        view, reads = _noting(leaf, inputs.pool_facts, i)
        words = words_of(pool.provider)
        here = assumed(lambda given, words=words: truth(given, words), (*inputs.arguments, view))  # type: ignore[misc]
        cases[here] = cases.get(here, 0) | 1 << i
        if reads:
            computed[i] = frozenset(reads)
    return ByNode(tuple((mask, here) for here, mask in cases.items()), None, leaf.reads, computed)
