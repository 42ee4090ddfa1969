"""Comparisons of what a node's labels say with values: the Truth of each, as node selector terms.

Two values are compared case by case (`compared`); an Atom compares one value of each side, one of which may be a Label
or an Integer: whatever string, or integer, the node's label says. Numbers compare as in Kubernetes: beside a double, an
integer is made one.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest

from engine.language import NO_VALUE, Budget, CelError, Optional, compare, equal
from engine.nodeselector import (
    EXISTS,
    FALSE,
    MAX_INTEGER,
    TRUE,
    Meter,
    Overflow,
    Terms,
    common,
    integers,
    integers_in,
    one_of,
    union,
    where,
)
from engine.pools import Cases, Label
from engine.program.truths import NO, UNKNOWN, YES, Truth, negate
from engine.struct import Struct


class Integer(Struct, frozen=True):
    """Whatever integer the node's label says."""

    key: str


def all_of(truths: Sequence[Truth], budget: Budget) -> Truth:
    """All of them together, as `conjoin` would have it one by one. Raises BudgetExceeded."""
    if truths and truths[-1] == NO:
        return NO
    budget.spend(sum(_work(no) for _, no in truths))
    false = union(*(no for _, no in truths), meter=budget)
    if any(yes == FALSE for yes, _ in truths):
        return FALSE, false
    single: list[Terms] = [yes for yes, _ in truths if len(yes) == 1 and yes != TRUE]
    while len(single) > 1:  # two by two, for a term grows with all that went into it
        budget.spend(sum(map(_work, single)))
        pairs = zip_longest(single[::2], single[1::2], fillvalue=TRUE)
        single = [common(a, b, budget) for a, b in pairs]
    true = single[0] if single else TRUE
    for yes in (yes for yes, _ in truths if len(yes) > 1):
        budget.spend(len(true) * _work(yes))
        true = common(true, yes, budget)
        if isinstance(true, Overflow):
            break
    return true, false


def _work(terms: Terms) -> int:
    """What it costs to combine these terms with others, in units of `engine.language.Budget`."""
    return sum(1 + len(t.requirements) for t in terms)


Atom = Callable[[object, object], Truth]
"""A comparison of two values, at most one of which is a Label or an Integer."""


def compared(left: Cases, right: Cases, atom: Atom, meter: Meter) -> Truth:
    """The Truth of a comparison of two values, each in cases: where two cases meet, what the atom says."""
    if len(left) == len(right) == 1 and left[0][0] == right[0][0] == TRUE:
        return atom(left[0][1], right[0][1])
    true, false = list[Terms](), list[Terms]()
    meter.spend(4 * len(left) * len(right))
    for guard, a in left:
        for condition, b in right:
            here = common(guard, condition, meter)
            if here != FALSE:
                yes, no = atom(a, b)
                true.append(common(here, yes, meter))
                false.append(common(here, no, meter))
    return union(*true, meter=meter), union(*false, meter=meter)


def holds_something(value: object) -> bool:
    """Whether a value is an optional that is not empty."""
    return isinstance(value, Optional) and value.value is not NO_VALUE


def holding(cases: Cases, meter: Meter) -> Truth:
    """`hasValue` of an optional; of anything else it is an error."""
    optionals = [(guard, value) for guard, value in cases if isinstance(value, Optional)]
    return (
        union(*(guard for guard, value in optionals if holds_something(value)), meter=meter),
        union(*(guard for guard, value in optionals if not holds_something(value)), meter=meter),
    )


def equality(a: object, b: object) -> Truth:
    """`a == b`: where it is true, and where false. Where a label is absent, or no integer, it is neither."""
    if isinstance(b, (Label, Integer)):
        a, b = b, a
    if isinstance(a, Optional) and isinstance(b, Optional) and holds_something(a) and holds_something(b):
        return equality(a.value, b.value)
    if isinstance(a, Label):
        values = one_of([b]) if isinstance(b, str) else one_of([])
        return where(a.key, values), where(a.key, EXISTS & ~values)
    if isinstance(a, Integer):
        return _among(a.key, [b])
    return YES if equal(a, b) else NO


def _inequality(a: object, b: object) -> Truth:
    return negate(equality(a, b))


def member_of(budget: Budget, value: object, members: object) -> Truth:
    """`value in members`, a tuple. Raises BudgetExceeded."""
    assert isinstance(members, tuple)
    if isinstance(value, Label):
        values = one_of([member for member in members if isinstance(member, str)])
        return where(value.key, values), where(value.key, EXISTS & ~values)
    if isinstance(value, Integer):
        return _among(value.key, members)
    none = all_of([negate(equality(value, member)) for member in members], budget)
    return negate(none)


def _among(key: str, numbers: Iterable[object]) -> Truth:
    """Where the integer that a label says is equal to one of these; beside a double, integers are made one."""
    finite = (b for b in map(_number, numbers) if b is not None and math.isfinite(b))
    equals = [_neighbours(b) for b in finite if b == math.floor(b)]
    values = integers_in((below + 1, above - 1) for below, above in equals)
    return where(key, values), where(key, integers() - values)


def _neighbours(bound: float) -> tuple[int, int]:
    """The nearest integers less than and more than a number."""
    if isinstance(bound, float) and EXACT <= bound <= MAX_INTEGER:
        return bisect_left(LARGE, bound, key=float), bisect_right(LARGE, bound, key=float) + 1
    return math.ceil(bound) - 1, math.floor(bound) + 1


def _ordered(function: str) -> Atom:
    """The atom of `_<_`, `_<=_`, `_>_` or `_>=_`."""

    def ordered(a: object, b: object) -> Truth:
        if isinstance(b, Integer):
            return _ordered(MIRRORED[function])(b, a)
        if isinstance(a, Integer):
            bound = _number(b)
            return UNKNOWN if bound is None else _bounded(a.key, function, bound)
        try:
            return YES if COMPARED[function](compare(a, b, function), 0) else NO
        except CelError:
            return UNKNOWN

    return ordered


def _bounded(key: str, function: str, bound: float) -> Truth:
    """Where the integer that the label says is less (or more) than `bound`, and where it is not; a NaN has no order."""
    if math.isnan(bound):
        return UNKNOWN
    if math.isinf(bound):
        always = (bound > 0) == (function in ("_<_", "_<=_"))
        everywhere = _between(key, None, None)
        return (everywhere, FALSE) if always else (FALSE, everywhere)
    below, above = _neighbours(bound)
    match function:
        case "_<_":
            return _between(key, None, below), _between(key, below + 1, None)
        case "_<=_":
            return _between(key, None, above - 1), _between(key, above, None)
        case "_>_":
            return _between(key, above, None), _between(key, None, above - 1)
        case _:
            return _between(key, below + 1, None), _between(key, None, below)


def _between(key: str, low: int | None, high: int | None) -> Terms:
    """Where the label says an integer from `low` to `high`; one that is a label is never negative, nor over 2^63-1."""
    return where(key, integers(low or 0, MAX_INTEGER if high is None else high))


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


EXACT = 2.0**53
"""From here on several integers are one double."""
LARGE = range(1, MAX_INTEGER + 1)
"""The integers in which `bisect` looks for those that are one double; never made a list."""
COMPARED: Mapping[str, Callable[[int, int], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
MIRRORED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
"""The operator that says the same with its operands exchanged."""
ATOMS: Mapping[str, Atom] = {"_==_": equality, "_!=_": _inequality, **{name: _ordered(name) for name in COMPARED}}
