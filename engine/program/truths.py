"""Truth: the nodes on which an expression over an unknown node is true, and those on which it is false."""

from __future__ import annotations

from collections.abc import Callable

from engine.nodeselector import FALSE, TRUE, Terms, common, union
from engine.pools import Cases, Words

Truth = tuple[Terms, Terms]
"""The nodes on which a boolean is true, and those on which it is false. On the others it is an error."""

Arguments = tuple[object, ...]
"""A budget, the values of the variables in their fixed order, then those of the macros around."""

TruthOf = Callable[[Arguments, Words], Truth]
CasesOf = Callable[[Arguments, Words], Cases]

YES: Truth = (TRUE, FALSE)
NO: Truth = (FALSE, TRUE)
UNKNOWN: Truth = (FALSE, FALSE)  # an error on every node


def negate(truth: Truth) -> Truth:
    """`!truth`: an error stays one."""
    return truth[1], truth[0]


def conjoin(left: Truth, right: Callable[[], Truth]) -> Truth:
    """`left && right`; the right side is not asked for where the left is false everywhere."""
    if left == NO:
        return left
    other = right()
    return common(left[0], other[0]), union(left[1], other[1])


def choose(test: Truth, yes: Callable[[], Truth], no: Callable[[], Truth]) -> Truth:
    """`test ? yes : no`; a branch is not asked for where no node takes it."""
    a = yes() if test[0] != FALSE else UNKNOWN
    b = no() if test[1] != FALSE else UNKNOWN
    return (
        union(common(test[0], a[0]), common(test[1], b[0])),
        union(common(test[0], a[1]), common(test[1], b[1])),
    )
