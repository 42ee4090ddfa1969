"""Tree: a boolean expression over pools, taken apart at `&& || !` and `?:` down to leaves that are functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from engine.pools import Read
from engine.program.truths import TruthOf
from engine.struct import Struct

Reads: TypeAlias = frozenset[Read]
NOTHING_READ: Reads = frozenset()


class Leaf(Struct, frozen=True):
    """The smallest parts of an expression that are decided as a whole.

    `number` tells leaves apart within a program; equal expressions share a leaf. `function` computes one that does not
    read `node`, `truth` one that does. Where a function is undecided on a pool, `open` says on which of its nodes it is
    true; `asked`, where it is there, says the same at once for all pools of a provider. `reads` is what the text says
    that it reads of a pool; `computed`, that there are computed keys besides. `bridge` is there where a lookup can
    answer the leaf instead of its function. `beside` compute what one with a `truth` says of other things than `node`.
    `seen` is all of a pool that a function can depend on, so that it is the same on pools that are alike in it; None
    where that can't be told.
    """

    number: int
    reads_pod: bool
    reads_pool: bool
    reads_capacity: bool = False
    function: Callable[..., object] | None = None
    truth: TruthOf | None = None
    reads: Reads = NOTHING_READ
    computed: bool = False
    bridge: PodPoolComparison | None = None
    open: TruthOf | None = None
    asked: TruthOf | None = None
    beside: tuple[Callable[..., object], ...] = ()
    seen: Reads | None = None


class PodPoolComparison(Struct, frozen=True):
    """A leaf's comparison of a value of the pod with one of the pool, which a lookup over the pools can answer.

    `operator` is cel-spec's name, read with the pod's value on the left: `_==_`, `_<_`, `@in` (the pod's value in the
    pool's list) and so on. `pod` and `pool` are functions of the usual arguments.
    """

    operator: str
    pod: Callable[..., object]
    pool: Callable[..., object]


class Not(Struct, frozen=True):
    """`!inner`."""

    inner: Tree


class Both(Struct, frozen=True):
    """`left && right`; `a || b` is the negation of both negations."""

    left: Tree
    right: Tree


class Choice(Struct, frozen=True):
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


CONTAINS = "contains"
"""The operator `@in` the other way round, the pool's value in the pod's list. cel-spec has no name for it."""

ORDERED: Mapping[str, tuple[bool, bool]] = {
    "_<_": (True, False),
    "_<=_": (True, True),
    "_>_": (False, False),
    "_>=_": (False, True),
}
"""By operator: whether the pod's value is to be less than the pool's, and whether it may be equal."""
