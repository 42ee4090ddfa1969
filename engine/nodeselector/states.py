"""LabelStates: sets of the states that one label of a node may be in, a Boolean algebra.

The docstring of the package says how it works.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from operator import and_, itemgetter, or_, xor
from typing import Any, NamedTuple, TypeAlias

from engine.names import MAX_NAME, are_label_values, is_label_value

Expression: TypeAlias = dict[str, Any]  # {"key": ..., "operator": ..., "values": [...]}
SelectorTerm: TypeAlias = dict[str, list[Expression]]  # {"matchExpressions": [...], "matchFields": [...]}
Span: TypeAlias = tuple[int, int]  # the first and the last integer, both in

MAX_INTEGER = 2**63 - 1
NODE_NAME = "/metadata.name"  # the key of a node's name; no label's, for it begins with a slash

OPERATORS = frozenset(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
ALL_INTEGERS: tuple[Span, ...] = ((0, MAX_INTEGER),)
_MANY_SPELLINGS = 23  # at least half of the spellings of any integer: 45 of one with 19 digits, 63 of one with one
_KEY = itemgetter(0)
_REMEMBERED = 2_048  # expressions whose meaning is kept, the last ones used, none of which is long
_FEW_VALUES, _SHORT = 8, 512  # values of one of these, and characters of all of them


class Inexpressible(Exception):  # noqa: N818 - says what the set is
    """A set that no list of match expressions says: strings that are no integers, without naming them."""


def integer(value: str) -> int | None:
    """The int64 that Kubernetes reads a label value as for `Gt` and `Lt`, or None.

    Never negative, for no label value begins with a minus.
    """
    if not value.isdigit() or not value.isascii():
        return None
    number = int(value)
    return number if number <= MAX_INTEGER else None


def label_key(key: str) -> str:
    """A key that somebody gave for a label's. Where it is that of the node's name, no label can have it."""
    return "" if key == NODE_NAME else key


class LabelStates(NamedTuple):
    """A set of states of one label; the package's docstring explains the four facts. Made by the functions below.

    A tuple, for sets are made, hashed and compared by the thousand; as a tuple it is never used.
    """

    absent: bool
    others: bool
    spans: tuple[Span, ...]
    odd: frozenset[str]

    @property
    def impossible(self) -> bool:
        """Is no state left?"""
        return not (self.absent or self.others or self.spans or self.odd)

    @property
    def finite(self) -> frozenset[str] | None:
        """The strings in the set, absence aside, if they are finitely many and were not said by bounds, else None."""
        return None if self.others or self.spans else self.odd

    def holds(self, state: str | None) -> bool:
        """Is the label's state in the set? None stands for the absent label; a string must be a legal value."""
        return self.absent if state is None else _usual(state, self.others, self.spans) != (state in self.odd)

    def __and__(self, other: LabelStates) -> LabelStates:
        if is_plain(self) and is_plain(other):
            if not self.others:
                odd = self.odd - other.odd if other.others else self.odd & other.odd
            else:
                odd = self.odd | other.odd if other.others else other.odd - self.odd
            others = self.others and other.others
            return canonical(self.absent and other.absent, others, ALL_INTEGERS if others else (), odd)
        return _combined(self, other, and_)

    def __or__(self, other: LabelStates) -> LabelStates:
        if is_plain(self) and is_plain(other):
            return ~(~self & ~other)
        return _combined(self, other, or_)

    def __sub__(self, other: LabelStates) -> LabelStates:
        return self & ~other

    def __invert__(self) -> LabelStates:
        return canonical(not self.absent, not self.others, _complement(self.spans), self.odd)

    def __le__(self, other: LabelStates) -> bool:  # type: ignore[override]
        """Is every state of this set in the other?"""
        if self.absent and not other.absent:
            return False
        if not is_plain(self) or not is_plain(other):
            return (self & other) == self
        if self.others:
            return other.others and other.odd <= self.odd
        return self.odd.isdisjoint(other.odd) if other.others else self.odd <= other.odd

    @property
    def width(self) -> int:
        """How many alternatives `alternatives` gives."""
        if self.others:
            return 1
        listed = any(not _within(value, self.spans) for value in self.odd)
        # one `In`, one for each span (two for that of all integers), one `DoesNotExist`
        return listed + len(self.spans) + (self.spans == ALL_INTEGERS) + self.absent

    @property
    def size(self) -> int:
        """How many values `alternatives` writes, at most: strings of `odd`, bounds, spellings of a missing integer."""
        if is_plain(self):
            return len(self.odd)
        return len(self.odd) + (MAX_NAME if self.others else 2 * len(self.spans))

    def alternatives(self, key: str) -> list[list[Expression]]:
        """Lists of match expressions, one of which must hold: legal for the API server, disjoint, in a fixed order.

        An empty list inside means that nothing need be said (ANY); no list at all that nothing can hold (NONE).
        Raises Inexpressible.
        """
        if self.others:
            return [_presence(key, self) + _listed(key, "NotIn", _excluded(self))]
        outside = [value for value in self.odd if not _within(value, self.spans)] if self.spans else self.odd
        lists = [_listed(key, "In", outside)]
        for low, high in self.spans:
            odd = [value for value in self.odd if _within(value, ((low, high),))]
            lists += [
                bounds + _listed(key, "NotIn", [v for v in odd if _within(v, ((first, last),))])
                for first, last, bounds in _bounds(key, low, high)
            ]
        lists += [[{"key": key, "operator": "DoesNotExist"}]] if self.absent else []
        return [expressions for expressions in lists if expressions]

    def expressions(self, key: str) -> list[Expression]:
        """The one list of match expressions that says this set. Raises ValueError if it takes several, or none can."""
        alternatives = self.alternatives(key)
        if len(alternatives) != 1:
            raise ValueError(f"it takes {len(alternatives)} node selector terms to say `{key}` {self}")
        return alternatives[0]

    def __str__(self) -> str:
        """For people: `In [a, b]`, `NotIn [a]`, `Gt 4, Lt 9`, several of them joined by `or`."""
        if self.impossible:
            return "nothing"
        if self.others and not is_plain(self):
            return f"anything but ({~self})"
        return " or ".join(_said(expressions) for expressions in self.alternatives("")) or "anything"

    def order(self) -> tuple[object, ...]:
        """A sort key: the same order on every machine."""
        return self.others, self.absent, self.spans, sorted(self.odd)


NONE = LabelStates(False, False, (), frozenset())
ANY = LabelStates(True, True, ALL_INTEGERS, frozenset())
EXISTS = LabelStates(False, True, ALL_INTEGERS, frozenset())
ABSENT = LabelStates(True, False, (), frozenset())


def all_of(many: Iterable[LabelStates]) -> LabelStates:
    """The states in each of these sets, ANY if there are none; of thousands, those of one kind are met at once."""
    met, excluded = ANY, list[LabelStates]()
    for values in many:
        if values.others and is_plain(values):
            excluded.append(values)
        else:
            met = met & values
    if not excluded:
        return met
    odd = frozenset().union(*[values.odd for values in excluded])
    return met & canonical(all(values.absent for values in excluded), True, ALL_INTEGERS, odd)


def any_of(many: Iterable[LabelStates]) -> LabelStates:
    """The states in any of these sets, NONE if there are none; of thousands, those of one kind are united at once."""
    listed, spans, met, absent = list[frozenset[str]](), list[Span](), NONE, False
    for values in many:
        if values.others or (values.spans and values.odd):
            met = met | values
        else:
            listed.append(values.odd)
            spans += values.spans
            absent = absent or values.absent
    united = met | canonical(absent, False, (), frozenset().union(*listed))
    return united | integers_in(spans) if spans else united


def one_of(values: Iterable[str]) -> LabelStates:
    """The label is present with one of these values. What can't be a label value is left out."""
    said = frozenset(values)
    sound = len(said) > _FEW_VALUES and are_label_values(tuple(said))
    return canonical(False, False, (), said if sound else frozenset(filter(is_label_value, said)))


def none_of(values: Iterable[str]) -> LabelStates:
    """The label is absent, or has a value other than these: Kubernetes' NotIn."""
    return canonical(True, True, ALL_INTEGERS, frozenset(filter(is_label_value, values)))


def integers(low: int = 0, high: int = MAX_INTEGER) -> LabelStates:
    """The label is present and an int64 from `low` to `high`, both included."""
    return integers_in([(low, high)])


def integers_in(spans: Iterable[Span]) -> LabelStates:
    """The label is present and an int64 in one of these spans, ends included; a span may be empty."""
    merged: list[Span] = []
    for low, high in sorted((max(low, 0), min(high, MAX_INTEGER)) for low, high in spans):
        if low <= high and merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        elif low <= high:
            merged.append((low, high))
    return LabelStates(False, False, tuple(merged), frozenset())


def from_expression(expression: Mapping[str, Any]) -> LabelStates:
    """What one match expression (operator and values; its key does not matter) admits.

    As Kubernetes reads it (component-helpers' nodeaffinity): an expression that the API server would refuse, or a bound
    that is no integer, matches nothing.
    """
    operator, values = expression.get("operator") or "", tuple(expression.get("values") or ())
    if operator not in OPERATORS:
        return NONE
    short = len(values) <= _FEW_VALUES and sum(map(len, values)) <= _SHORT
    return _remembered(operator, values) if short else _read(operator, values)


def from_expressions(expressions: Sequence[Mapping[str, Any]]) -> LabelStates:
    """What several match expressions on one label admit together; of thousands that are `NotIn`, all are one set."""
    shut_out = [each.get("values") or () for each in expressions if each.get("operator") == "NotIn"]
    if len(shut_out) < 2:
        return all_of(map(from_expression, expressions))
    others = [from_expression(each) for each in expressions if each.get("operator") != "NotIn"]
    return all_of([_read("NotIn", tuple(chain.from_iterable(shut_out))) if all(shut_out) else NONE, *others])


@lru_cache(maxsize=_REMEMBERED)
def _remembered(operator: str, values: tuple[str, ...]) -> LabelStates:
    return _read(operator, values)


def _read(operator: str, values: tuple[str, ...]) -> LabelStates:
    if not are_label_values(values):
        return NONE
    match operator:
        case "In" if values:
            return canonical(False, False, (), frozenset(values))
        case "NotIn" if values:
            return canonical(True, True, ALL_INTEGERS, frozenset(values))
        case "Exists" if not values:
            return EXISTS
        case "DoesNotExist" if not values:
            return ABSENT
        case "Gt" | "Lt" if len(values) == 1 and (bound := integer(values[0])) is not None:
            return integers(low=bound + 1) if operator == "Gt" else integers(high=bound - 1)
        case _:
            return NONE


def is_plain(values: LabelStates) -> bool:
    """Whether integers are treated as other strings are: no bounds were said."""
    return values.spans == (ALL_INTEGERS if values.others else ())


def is_any(values: LabelStates) -> bool:
    """Whether the set is ANY."""
    return values.absent and values.others and not values.odd and values.spans == ALL_INTEGERS


def _within(value: str, spans: tuple[Span, ...]) -> bool:
    """Whether a string is an integer of the spans."""
    if not spans or (number := integer(value)) is None:
        return False
    return _covers(spans, number)


def _usual(value: str, others: bool, spans: tuple[Span, ...]) -> bool:
    """Whether a string is in by `others` and `spans`, that is before `odd` turns the answer round."""
    if others == bool(spans) and (not others or spans == ALL_INTEGERS):
        return others
    number = integer(value)
    return others if number is None else _covers(spans, number)


def _combined(a: LabelStates, b: LabelStates, keep: Callable[[bool, bool], bool]) -> LabelStates:
    """The states for which keep(in a, in b)."""
    others = keep(a.others, b.others)
    spans = _swept(a.spans, b.spans, keep)
    odd = frozenset(v for v in a.odd | b.odd if keep(a.holds(v), b.holds(v)) != _usual(v, others, spans))
    return canonical(keep(a.absent, b.absent), others, spans, odd)


def _swept(a: tuple[Span, ...], b: tuple[Span, ...], keep: Callable[[bool, bool], bool]) -> tuple[Span, ...]:
    """The integers n for which keep(n in a, n in b), as spans; never those in neither."""
    ends = {end for low, high in (*a, *b) for end in (low, high + 1)}
    spans: list[Span] = []
    for low, end in pairwise(sorted(ends)):
        if keep(_covers(a, low), _covers(b, low)):
            start = spans.pop()[0] if spans and spans[-1][1] == low - 1 else low
            spans.append((start, end - 1))
    return tuple(spans)


def _complement(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The integers from 0 to 2^63-1 in none of the spans, as spans."""
    if not spans or spans == ALL_INTEGERS:
        return () if spans else ALL_INTEGERS
    return _swept(spans, ALL_INTEGERS, xor)


def _covers(spans: tuple[Span, ...], number: int) -> bool:
    """Whether an integer is in one of the spans, which ascend."""
    place = bisect_right(spans, number, key=_KEY)
    return place > 0 and number <= spans[place - 1][1]


def canonical(absent: bool, others: bool, spans: tuple[Span, ...], odd: frozenset[str]) -> LabelStates:
    """The one spelling of the set: a span holds an integer if more than half of its spellings are in."""
    digits = list(filter(str.isdigit, odd)) if len(odd) >= _MANY_SPELLINGS else []
    if len(digits) < _MANY_SPELLINGS:
        return LabelStates(absent, others, spans, odd)
    numbers: dict[int, set[str]] = {}
    for value in digits:
        if (number := integer(value)) is not None:
            numbers.setdefault(number, set()).add(value)
    for number, strange in numbers.items():
        if len(strange) < _MANY_SPELLINGS:
            continue
        spellings, spanned = _spellings(number), _covers(spans, number)
        members = len(spellings) - len(strange) if spanned else len(strange)
        if (members * 2 > len(spellings)) != spanned:
            spans = _swept(spans, ((number, number),), xor)
            odd = odd - strange | (spellings - strange)
    return LabelStates(absent, others, spans, odd)


def _spellings(number: int) -> frozenset[str]:
    """The strings of up to 63 digits that say an integer, with leading zeros."""
    digits = str(number)
    return frozenset(digits.zfill(length) for length in range(len(digits), MAX_NAME + 1))


def _listed(key: str, operator: str, values: Iterable[str]) -> list[Expression]:
    ordered = sorted(values)
    return [{"key": key, "operator": operator, "values": ordered}] if ordered else []


def _presence(key: str, values: LabelStates) -> list[Expression]:
    return [] if values.absent else [{"key": key, "operator": "Exists"}]


def _bounds(key: str, low: int, high: int) -> Iterator[tuple[int, int, list[Expression]]]:
    """Bounds that are label values: (first, last, expressions), twice for the span of all integers."""
    if (low, high) == ALL_INTEGERS[0]:
        yield 0, high - 1, [{"key": key, "operator": "Lt", "values": [str(high)]}]
        low = high
    above = [{"key": key, "operator": "Gt", "values": [str(low - 1)]}] if low > 0 else []
    below = [{"key": key, "operator": "Lt", "values": [str(high + 1)]}] if high < MAX_INTEGER else []
    yield low, high, above + below


def _excluded(values: LabelStates) -> frozenset[str]:
    """The strings outside of a set that holds nearly all, for a NotIn. Raises Inexpressible."""
    missing = _complement(values.spans)
    if not _few(missing):
        raise Inexpressible("no match expression says that a label is present and no integer")
    return values.odd ^ _spellings(missing[0][0]) if missing else values.odd


def _said(expressions: Sequence[Expression]) -> str:
    return ", ".join(
        e["operator"]
        if "values" not in e
        else f"{e['operator']} {e['values'][0]}"
        if e["operator"] in ("Gt", "Lt")
        else f"{e['operator']} [{', '.join(value.removeprefix('/') for value in e['values'])}]"
        for e in expressions
    )


def is_expressible(values: LabelStates) -> bool:
    """Whether `alternatives` can say the set, rather than raise Inexpressible."""
    return is_plain(values) or not values.others or _few(_complement(values.spans))


def _few(spans: tuple[Span, ...]) -> bool:
    """Is it one integer at most, so that a NotIn can spell it out?"""
    return len(spans) < 2 and all(low == high for low, high in spans)
