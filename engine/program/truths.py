"""Truth: the nodes on which an expression over an unknown node is true, and those on which it is false."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from engine.nodeselector import FALSE, TRUE, Meter, Terms, common, union
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


def meter_of(arguments: Arguments) -> Meter:
    """The budget among a function's arguments, at whose expense truths are combined."""
    return cast("Meter", arguments[0])


def negate(truth: Truth) -> Truth:
    """`!truth`: an error stays one."""
    return truth[1], truth[0]


def conjoin(left: Truth, right: Callable[[], Truth], meter: Meter | None = None) -> Truth:
    """`left && right`; the right side is not asked for where the left is false everywhere."""
    if left == NO:
        return left
    other = right()
    return common(left[0], other[0], meter), union(left[1], other[1], meter=meter)


def choose(test: Truth, yes: Callable[[], Truth], no: Callable[[], Truth], meter: Meter | None = None) -> Truth:
    """`test ? yes : no`; a branch is not asked for where no node takes it."""
    a = yes() if test[0] != FALSE else UNKNOWN
    b = no() if test[1] != FALSE else UNKNOWN
    return (
        union(common(test[0], a[0], meter), common(test[1], b[0], meter), meter=meter),
        union(common(test[0], a[1], meter), common(test[1], b[1], meter), meter=meter),
    )
