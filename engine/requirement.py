"""What a node may be: sets of label states, their conjunctions (terms) and disjunctions (node selectors).

**States.** To a scheduler a label of a node is in one of these states: absent, or one string. Not any string: the API
server refuses a node whose label has more than 63 characters, blanks, or a sign in front, so such a string is no state
at all, and a set that "holds" it simply does not. (That is why a value that can't be a label never has to be dealt
with after construction, and why an integer that is a label is never negative: a minus can't come first.)

**Values** is a set of states. Kubernetes compares a label in three ways: with strings, by presence, and, where the
label parses as an int64 (Go's `strconv.ParseInt(v, 10, 64)`: `007` is 7, `1.5` and 2^63 are no integers), with an
integer bound. So every set that can be said, and all intersections, unions and complements, are made of four facts:

    absent   is the absent label in?
    others   are the strings that are no integers in, those of `odd` aside?
    spans    which integers are in, those of `odd` aside: disjoint, not adjacent, ascending, ends included, 0..2^63-1
    odd      the finitely many strings for which that answer is the wrong way round

    In [a, b]      absent=False  others=False  spans=()            odd={a, b}
    NotIn [a]      absent=True   others=True   spans=0..2^63-1     odd={a}
    Exists         absent=False  others=True   spans=0..2^63-1     odd={}
    Gt 4, NotIn 7  absent=False  others=False  spans=5..2^63-1     odd={7}

This is a Boolean algebra: `&`, `|`, `-` and `~` always have an answer. Equal sets are equal values, which makes `==`
the test for meaning the same, and `impossible` that for having no state left. One detail is needed for that: the
integer 7 has 63 spellings (`7`, `07`, ... up to 63 characters), so {7} as a span less some spellings can be the same
set as the other spellings listed. The spelling that wins is that a span holds an integer if more than half of its
spellings are in; 23 odd spellings of one integer are needed before it matters.

**Emission** is narrower than the algebra. A requirement list says `In`, or `NotIn`, or bounds; a union of those takes
several node selector terms, so `alternatives` gives a list of expression lists, pairwise disjoint: any one of them must
hold. Presence without being an integer can't be said at all (`Inexpressible`); no union or intersection of what can be
said leads there, only complements of bounds. Bounds are strict and must be label values themselves, so never negative:
`>= 0` is said by `Lt` alone, and "any integer" takes two lists, for neither `Gt -1` nor `Lt 2^63` exists.

**A Term** maps label keys to Values, as one node selector term does, and is the product of these sets: impossible as
soon as one of them is, everywhere if there is none. Only one spelling is kept of each (no key with ANY, one NOWHERE),
so here too equal means equal. The node's name (`matchFields: metadata.name`) is one more key, `NODE_NAME`, that no
label can have; its values are marked by the same slash, so that a node called `7` is never taken for an integer.
Mind that Kubernetes' *empty* term matches nothing: `parse_term` reads it as NOWHERE, and EVERYWHERE is never emitted.

**Terms** is a disjunction, in canonical order. `implies` splits: what is left of a term when another is taken from it
is again a few disjoint terms, and nothing left means covered. That can take exponentially many steps, so it has a
budget, and past it the answer is no, which is safe: something is written although it already held.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import pairwise, product
from operator import and_, itemgetter, or_, xor
from typing import Any, NamedTuple, TypeAlias

Expression: TypeAlias = dict[str, Any]  # {"key": ..., "operator": ..., "values": [...]}
SelectorTerm: TypeAlias = dict[str, list[Expression]]  # {"matchExpressions": [...], "matchFields": [...]}
Span: TypeAlias = tuple[int, int]

MAX_INTEGER = 2**63 - 1
MAX_LENGTH = 63
MAX_TERMS = 1_000
MAX_VALUES = 10_000  # of 63 characters each they are 0.7 MB; etcd takes no object of more than 1.5 MiB
MAX_PAIRS = 20_000
NODE_NAME = "/metadata.name"
TERMS = "node selector terms"

_ALL: tuple[Span, ...] = ((0, MAX_INTEGER),)
_NAME = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"
_LEGAL_VALUE = re.compile(rf"{_NAME}?")
_LEGAL_NAME = re.compile(_NAME)
_LEGAL_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_MANY_SPELLINGS = 23  # at least half of the spellings of any integer: 45 of one with 19 digits, 63 of one with one
_COVER_BUDGET = 2_000
_KEY = itemgetter(0)
_REMEMBERED = 8_192  # strings and expressions whose meaning is kept, the last ones used


class TooMany(Exception):  # noqa: N818 - a limit, named as one
    """More of something (`what`, a plural) than is allowed. Raised before it is built."""

    def __init__(self, count: int, what: str = TERMS, limit: int = MAX_TERMS) -> None:
        self.count, self.what = count, what
        super().__init__(f"{count} {what}, of which at most {limit} are allowed")


class Inexpressible(Exception):  # noqa: N818 - says what the set is
    """A set that no list of match expressions says: strings that are no integers, without naming them."""


@lru_cache(maxsize=_REMEMBERED)
def legal_value(value: str) -> bool:
    """Can a label have this value? Empty, or up to 63 of `A-Za-z0-9-_.` that begin and end with a letter or digit."""
    return _LEGAL_VALUE.fullmatch(value) is not None


@lru_cache(maxsize=_REMEMBERED)
def legal_key(key: str) -> bool:
    """Can a label have this key? A name like a value's, not empty, perhaps behind a DNS subdomain and a slash."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _LEGAL_PREFIX.fullmatch(prefix)):
        return False
    return _LEGAL_NAME.fullmatch(name) is not None


def integer(value: str) -> int | None:
    """The int64 that Kubernetes reads a label value as for `Gt` and `Lt`, or None. Never negative: see above."""
    if not value.isdigit() or not value.isascii():
        return None
    number = int(value)
    return number if number <= MAX_INTEGER else None


def label_key(key: str) -> str:
    """A key that somebody gave for a label's. Where it is that of the node's name, no label can have it."""
    return "" if key == NODE_NAME else key


class Values(NamedTuple):
    """A set of states of one label; see the top of this module. Made by the functions below, never by hand.

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

    def __and__(self, other: Values) -> Values:
        if _plain(self) and _plain(other):
            if not self.others:
                odd = self.odd - other.odd if other.others else self.odd & other.odd
            else:
                odd = self.odd | other.odd if other.others else other.odd - self.odd
            others = self.others and other.others
            return _settled(self.absent and other.absent, others, _ALL if others else (), odd)
        return _combined(self, other, and_)

    def __or__(self, other: Values) -> Values:
        if _plain(self) and _plain(other):
            return ~(~self & ~other)
        return _combined(self, other, or_)

    def __sub__(self, other: Values) -> Values:
        return self & ~other

    def __invert__(self) -> Values:
        return _settled(not self.absent, not self.others, _complement(self.spans), self.odd)

    def __le__(self, other: Values) -> bool:  # type: ignore[override]
        """Is every state of this set in the other?"""
        if self.absent and not other.absent:
            return False
        if not _plain(self) or not _plain(other):
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
        return listed + len(self.spans) + (self.spans == _ALL) + self.absent

    @property
    def size(self) -> int:
        """How many values `alternatives` writes, at most."""
        if _plain(self):
            return len(self.odd)
        return len(self.odd) + (MAX_LENGTH if self.others else 2 * len(self.spans))

    def alternatives(self, key: str) -> list[list[Expression]]:
        """Lists of match expressions, one of which must hold: legal for the API server, disjoint, in a fixed order.

        An empty list inside means that nothing need be said (ANY); no list at all that nothing can hold (NONE).
        Raises Inexpressible.
        """
        if self.others:
            return [_presence(key, self) + _listed(key, "NotIn", _excluded(self))]
        lists = [_listed(key, "In", [value for value in self.odd if not _within(value, self.spans)])]
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
        if self.others and not _plain(self):
            return f"anything but ({~self})"
        return " or ".join(_said(expressions) for expressions in self.alternatives("")) or "anything"

    def order(self) -> tuple[object, ...]:
        """A sort key: the same order on every machine."""
        return self.others, self.absent, self.spans, sorted(self.odd)


NONE = Values(False, False, (), frozenset())
ANY = Values(True, True, _ALL, frozenset())
EXISTS = Values(False, True, _ALL, frozenset())
ABSENT = Values(True, False, (), frozenset())


def one_of(values: Iterable[str]) -> Values:
    """The label is present with one of these values. What can't be a label value is left out."""
    return _settled(False, False, (), frozenset(filter(legal_value, values)))


def none_of(values: Iterable[str]) -> Values:
    """The label is absent, or has a value other than these: Kubernetes' NotIn."""
    return _settled(True, True, _ALL, frozenset(filter(legal_value, values)))


def integers(low: int = 0, high: int = MAX_INTEGER) -> Values:
    """The label is present and an int64 from `low` to `high`, both included."""
    return integers_in([(low, high)])


def integers_in(spans: Iterable[Span]) -> Values:
    """The label is present and an int64 in one of these spans, ends included; a span may be empty."""
    merged: list[Span] = []
    for low, high in sorted((max(low, 0), min(high, MAX_INTEGER)) for low, high in spans):
        if low <= high and merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        elif low <= high:
            merged.append((low, high))
    return Values(False, False, tuple(merged), frozenset())


def from_expression(expression: Mapping[str, Any]) -> Values:
    """What one match expression (operator and values; its key does not matter) admits.

    As Kubernetes reads it (component-helpers' nodeaffinity): an expression that the API server would refuse, or a bound
    that is no integer, matches nothing.
    """
    return _read(expression.get("operator") or "", tuple(expression.get("values") or ()))


@lru_cache(maxsize=_REMEMBERED)
def _read(operator: str, values: tuple[str, ...]) -> Values:
    if not all(legal_value(value) for value in values):
        return NONE
    match operator:
        case "In" if values:
            return one_of(values)
        case "NotIn" if values:
            return none_of(values)
        case "Exists" if not values:
            return EXISTS
        case "DoesNotExist" if not values:
            return ABSENT
        case "Gt" | "Lt" if len(values) == 1 and (bound := integer(values[0])) is not None:
            return integers(low=bound + 1) if operator == "Gt" else integers(high=bound - 1)
        case _:
            return NONE


def _plain(values: Values) -> bool:
    return values.spans == (_ALL if values.others else ())


def _anything(values: Values) -> bool:
    return values.absent and values.others and not values.odd and values.spans == _ALL


def _within(value: str, spans: tuple[Span, ...]) -> bool:
    if not spans or (number := integer(value)) is None:
        return False
    return _covers(spans, number)


def _usual(value: str, others: bool, spans: tuple[Span, ...]) -> bool:
    if others == bool(spans) and (not others or spans == _ALL):
        return others
    number = integer(value)
    return others if number is None else _covers(spans, number)


def _combined(a: Values, b: Values, keep: Callable[[bool, bool], bool]) -> Values:
    others = keep(a.others, b.others)
    spans = _swept(a.spans, b.spans, keep)
    odd = frozenset(v for v in a.odd | b.odd if keep(a.holds(v), b.holds(v)) != _usual(v, others, spans))
    return _settled(keep(a.absent, b.absent), others, spans, odd)


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
    if not spans or spans == _ALL:
        return () if spans else _ALL
    return _swept(spans, _ALL, xor)


def _covers(spans: tuple[Span, ...], number: int) -> bool:
    place = bisect_right(spans, number, key=_KEY)
    return place > 0 and number <= spans[place - 1][1]


def _settled(absent: bool, others: bool, spans: tuple[Span, ...], odd: frozenset[str]) -> Values:
    """The one spelling of the set: a span holds an integer if more than half of its spellings are in."""
    if len(odd) < _MANY_SPELLINGS:
        return Values(absent, others, spans, odd)
    numbers: dict[int, set[str]] = {}
    for value in odd:
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
    return Values(absent, others, spans, odd)


def _spellings(number: int) -> frozenset[str]:
    digits = str(number)
    return frozenset(digits.zfill(length) for length in range(len(digits), MAX_LENGTH + 1))


def _listed(key: str, operator: str, values: Iterable[str]) -> list[Expression]:
    ordered = sorted(values)
    return [{"key": key, "operator": operator, "values": ordered}] if ordered else []


def _presence(key: str, values: Values) -> list[Expression]:
    return [] if values.absent else [{"key": key, "operator": "Exists"}]


def _bounds(key: str, low: int, high: int) -> Iterator[tuple[int, int, list[Expression]]]:
    """Bounds that are label values: (first, last, expressions), twice for the span of all integers."""
    if (low, high) == _ALL[0]:
        yield 0, high - 1, [{"key": key, "operator": "Lt", "values": [str(high)]}]
        low = high
    above = [{"key": key, "operator": "Gt", "values": [str(low - 1)]}] if low > 0 else []
    below = [{"key": key, "operator": "Lt", "values": [str(high + 1)]}] if high < MAX_INTEGER else []
    yield low, high, above + below


def _excluded(values: Values) -> frozenset[str]:
    """The strings outside of a set that holds nearly all, for a NotIn."""
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


Requirements: TypeAlias = tuple[tuple[str, Values], ...]


@dataclass(frozen=True, slots=True)
class Term:
    """Requirements on labels (and the name) of a node that hold together: (key, Values) by ascending key.

    Made by `term` or `parse_term`, combined by `&`; `Term()` is every node.
    """

    requirements: Requirements = ()

    @property
    def impossible(self) -> bool:
        """Can no node meet this?"""
        return self.requirements == NOWHERE.requirements

    def __getitem__(self, key: str) -> Values:
        """The states that are left for a label: ANY where the term does not mention it."""
        return next((values for name, values in self.requirements if name == key), ANY)

    def __and__(self, other: Term) -> Term:
        mine, others = self.requirements, other.requirements
        merged: list[tuple[str, Values]] = []
        i = j = 0
        while i < len(mine) and j < len(others):
            key, key_of_other = mine[i][0], others[j][0]
            if key == key_of_other:
                values = mine[i][1] & others[j][1]
                if values.impossible:
                    return NOWHERE
                merged.append((key, values))
                i, j = i + 1, j + 1
            elif key < key_of_other:
                merged.append(mine[i])
                i += 1
            else:
                merged.append(others[j])
                j += 1
        met = Term((*merged, *mine[i:], *others[j:]))
        return NOWHERE if met.requirements[:1] == NOWHERE.requirements else met

    def __le__(self, other: Term) -> bool:
        """Does every node that meets this term meet the other?"""
        if self.impossible:
            return True
        mine = iter(self.requirements)
        return all(
            any(key == key_of_other and values <= values_of_other for key, values in mine)
            for key_of_other, values_of_other in other.requirements
        )

    def with_values(self, key: str, values: Values) -> Term:
        """The same term with other states for one key."""
        if values.impossible:
            return NOWHERE
        kept = [item for item in self.requirements if item[0] != key]
        return Term(tuple(kept if _anything(values) else sorted([*kept, (key, values)])))

    def admits(self, labels: Mapping[str, str], name: str = "") -> bool:
        """Does a node with these labels and this name meet the term?"""
        return all(
            values.holds("/" + name if key == NODE_NAME else labels.get(key)) for key, values in self.requirements
        )

    @property
    def width(self) -> int:
        """How many node selector terms `alternatives` gives, 0 for NOWHERE."""
        count = 1
        for key, values in self.requirements:
            count *= _width(key, values)
        return 0 if self.impossible else count

    @property
    def size(self) -> int:
        """How many values `alternatives` writes, at most."""
        if len(self.requirements) == 1:
            return self.requirements[0][1].size
        return sum(values.size * self.width // max(1, _width(key, values)) for key, values in self.requirements)

    def alternatives(self) -> list[SelectorTerm]:
        """Node selector terms, one of which must hold; none for NOWHERE. Raises Inexpressible.

        EVERYWHERE has no such term (an empty one matches nothing), so ValueError: whoever emits must not get here.
        """
        if not self.requirements:
            raise ValueError("no node selector term matches every node")
        if len(self.requirements) == 1:
            return said_by(*self.requirements[0])
        choices = [said_by(key, values) for key, values in self.requirements]
        return [_merged(choice) for choice in product(*choices)]

    def __str__(self) -> str:
        """For people: `zone In [a, b], tier Exists`."""
        if self.impossible:
            return "no node"
        said = (f"{'name' if key == NODE_NAME else key} {values}" for key, values in self.requirements)
        return ", ".join(said) or "every node"

    def split(self) -> Terms:
        """Terms that take one node selector term each and together are this one. Raises as `alternatives` does."""
        return (self,) if self.width == 1 else tuple(parse_term(one) for one in self.alternatives())

    def order(self) -> tuple[object, ...]:
        """A sort key: the same order on every machine."""
        return tuple((key, values.order()) for key, values in self.requirements)


Terms: TypeAlias = tuple[Term, ...]

EVERYWHERE = Term()
NOWHERE = Term(((NODE_NAME, NONE),))
TRUE: Terms = (EVERYWHERE,)
FALSE: Terms = ()


def term(requirements: Mapping[str, Values]) -> Term:
    """The term of these requirements. A key that can't be a label's is absent from every node."""
    kept = []
    for key, values in sorted(requirements.items()):
        if key != NODE_NAME and not legal_key(key):
            values = ANY if values.absent else NONE
        if values.impossible:
            return NOWHERE
        if not _anything(values):
            kept.append((key, values))
    return Term(tuple(kept))


def named(names: Iterable[str]) -> Values:
    """For the key NODE_NAME: the node is one of these."""
    return Values(False, False, (), frozenset("/" + name for name in names))


def not_named(names: Iterable[str]) -> Values:
    """For the key NODE_NAME: the node is none of these."""
    return Values(True, True, _ALL, frozenset("/" + name for name in names))


def parse_term(selector_term: Mapping[str, Any]) -> Term:
    """What a node selector term of a pod admits. An empty one admits nothing, as in Kubernetes."""
    expressions = selector_term.get("matchExpressions") or ()
    fields = selector_term.get("matchFields") or ()
    if not expressions and not fields:
        return NOWHERE
    requirements: dict[str, Values] = {}
    for expression in expressions:
        key = label_key(expression.get("key") or "")
        requirements[key] = requirements.get(key, ANY) & from_expression(expression)
    for field in fields:
        requirements[NODE_NAME] = requirements.get(NODE_NAME, ANY) & from_field(field)
    return term(requirements)


def from_field(field: Mapping[str, Any]) -> Values:
    """What one of `matchFields` admits: only the node's name can be asked for, and one at a time."""
    values = field.get("values") or ()
    if field.get("key") != "metadata.name" or len(values) != 1:
        return NONE
    return {"In": named, "NotIn": not_named}.get(field.get("operator", ""), lambda _: NONE)(values)


def _width(key: str, values: Values) -> int:
    return max(1, len(values.finite or ())) if key == NODE_NAME else values.width


def _fields(values: Values) -> list[list[Expression]]:
    """matchFields take one value each: several names are alternatives, several forbidden names go together."""
    names = sorted(name.removeprefix("/") for name in values.odd)
    if not values.others:
        return [[{"key": "metadata.name", "operator": "In", "values": [name]}] for name in names]
    return [[{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in names]]


def said_by(key: str, values: Values) -> list[SelectorTerm]:
    """Node selector terms that say one requirement, one of which must hold. Raises Inexpressible."""
    if key == NODE_NAME:
        return [{"matchFields": fields} for fields in _fields(values)]
    return [{"matchExpressions": expressions} for expressions in values.alternatives(key)]


def _merged(choice: Sequence[SelectorTerm]) -> SelectorTerm:
    merged: SelectorTerm = {}
    for field in ("matchExpressions", "matchFields"):
        said = [expression for one in choice for expression in one.get(field, ())]
        if said:
            merged[field] = said
    return merged


def admits(terms: Terms, labels: Mapping[str, str], name: str = "") -> bool:
    """Does a node with these labels and this name meet one of the terms?"""
    return any(t.admits(labels, name) for t in terms)


def both(a: Terms, b: Terms) -> Terms:
    """The nodes of a that are nodes of b. Raises TooMany."""
    if a == TRUE or not b:
        return b
    if b == TRUE or not a or a == b:
        return a
    if len(a) * len(b) > MAX_PAIRS:
        raise TooMany(len(a) * len(b))
    return simplify([met for x in a for y in b if not (met := x & y).impossible])


def simplify(terms: Iterable[Term]) -> Terms:
    """The same nodes in fewer terms, whatever the order of the given ones. Raises TooMany.

    Impossible terms and terms within another are dropped, and terms that differ in one key are united.
    """
    left = {t for t in terms if not t.impossible}
    if len(left) < 2:
        return tuple(left)
    if EVERYWHERE in left:
        return TRUE
    left = _united(left)
    if EVERYWHERE in left:
        return TRUE
    if len(left) > MAX_TERMS:
        raise TooMany(len(left))
    return tuple(sorted(widest(left), key=Term.order))


def _united(terms: set[Term]) -> set[Term]:
    """Terms that differ in one key made one, until there are none such."""
    while True:
        before = len(terms)
        having: dict[str, list[Term]] = {}
        for t in terms:
            for key, _ in t.requirements:
                having.setdefault(key, []).append(t)
        for key in sorted(key for key, several in having.items() if len(several) > 1):
            groups: dict[Requirements, list[Term]] = {}
            for t in having[key]:
                if t in terms:
                    groups.setdefault(tuple(item for item in t.requirements if item[0] != key), []).append(t)
            for rest, group in groups.items():
                if len(group) > 1:
                    terms = (terms.difference(group)) | {_union(key, rest, group)}
        if len(terms) in (1, before):
            return terms


def widest(terms: Iterable[Term]) -> set[Term]:
    """Without the terms that are within another; EVERYWHERE must not be among them, nor one twice.

    That other is looked up by the requirement that fewest strings meet, for what is within it names one of these
    strings; if it lists none, by the key that fewest terms have, for what is within it has that key.
    """
    by_string: dict[tuple[str, str], list[Term]] = {}
    by_key: dict[str, list[Term]] = {}
    terms = list(terms)
    shared = Counter(key for t in terms for key, _ in t.requirements)
    for t in terms:
        listed = [(len(values.odd), key) for key, values in t.requirements if _enumerated(values)]
        if listed:
            key = min(listed)[1]
            for value in t[key].odd:
                by_string.setdefault((key, value), []).append(t)
        else:
            by_key.setdefault(min((shared[key], key) for key, _ in t.requirements)[1], []).append(t)
    return {t for t in terms if not any(t is not u and t <= u for u in _wider(t, by_string, by_key))}


def _wider(
    t: Term, by_string: Mapping[tuple[str, str], list[Term]], by_key: Mapping[str, list[Term]]
) -> Iterator[Term]:
    for key, values in t.requirements:
        yield from by_key.get(key, ())
        if _enumerated(values):
            yield from by_string.get((key, next(iter(values.odd))), ())


def _enumerated(values: Values) -> bool:
    return not values.absent and bool(values.finite)


def _union(key: str, rest: Requirements, group: Sequence[Term]) -> Term:
    many = [t[key] for t in group]
    if all(values.finite is not None and not values.absent for values in many):
        values = _settled(False, False, (), frozenset().union(*(each.odd for each in many)))
    else:
        values = reduce(or_, many)
    return Term(rest).with_values(key, values)


def affordable(terms: Iterable[Term], what: str = TERMS) -> None:
    """Raises TooMany if it takes too many node selector terms to say these, or too many values. Nothing is said yet."""
    terms = tuple(terms)
    count = sum(t.width for t in terms)
    if count > MAX_TERMS:
        raise TooMany(count, what)
    size = sum(t.size for t in terms)
    if size > MAX_VALUES:
        raise TooMany(size, f"values in {what}", MAX_VALUES)


def difference(a: Terms, b: Terms) -> Terms:
    """The nodes of a that are not of b: maybe in terms that can't be emitted. Raises TooMany."""
    left = list(a)
    for taken in b:
        left = [piece for t in left for piece in _without(t, taken)]
        if len(left) > MAX_TERMS:
            raise TooMany(len(left))
    return simplify(left)


def disjoint(terms: Terms) -> Terms:
    """The same nodes in terms that share none, so that none is counted twice where terms are weighted.

    Terms with bounds come last, for what lies outside of a bound can't be said of strings that are no integers: nodes
    that have such a one, where another of the terms compares the label with a bound, are left out. Raises TooMany.
    """
    apart: list[Term] = []
    for t in sorted(terms, key=lambda t: any(not _plain(values) for _, values in t.requirements)):
        apart += simplify(map(_sayable, difference((t,), tuple(apart))))
        if len(apart) > MAX_TERMS:
            raise TooMany(len(apart))
    return tuple(apart)


def _sayable(t: Term) -> Term:
    """The nodes of a term that node selector terms can name."""
    if can_be_said(t):
        return t
    known = integers() | ABSENT
    return term({key: values if _expressible(values) else values & known for key, values in t.requirements})


def can_be_said(t: Term) -> bool:
    """Do node selector terms say it? EVERYWHERE needs none."""
    return all(_expressible(values) for _, values in t.requirements)


def _expressible(values: Values) -> bool:
    return _plain(values) or not values.others or _few(_complement(values.spans))


def _few(spans: tuple[Span, ...]) -> bool:
    """Is it one integer at most, so that a NotIn can spell it out?"""
    return len(spans) < 2 and all(low == high for low, high in spans)


def implies(a: Terms, b: Terms) -> bool:
    """Is every node of a a node of b? Yes is always true; no may mean that the proof was too long."""
    budget = [_COVER_BUDGET]
    return all(_covered(t, b, budget) for t in a)


def _covered(t: Term, terms: Sequence[Term], budget: list[int]) -> bool:
    if t.impossible or any(t <= u for u in terms):
        return True
    near = [u for u in terms if not (t & u).impossible]
    budget[0] -= 1 + len(terms)
    if len(near) < 2 or budget[0] < 0 or _sticks_out(t, near):
        return False
    return all(_covered(piece, near[1:], budget) for piece in _without(t, near[0]))


def _sticks_out(t: Term, terms: Sequence[Term]) -> bool:
    """Is there plainly a node of t in none of the terms? Looks for one that fails each by the first key that it can."""
    corner: dict[str, Values] = {}
    for u in terms:
        for key, values in u.requirements:
            outside = corner.get(key, t[key]) - values
            if not outside.impossible:
                corner[key] = outside
                break
        else:
            return False
    return True


def _without(t: Term, taken: Term) -> list[Term]:
    """Disjoint terms that make up t without another term."""
    if (t & taken).impossible:
        return [t]
    pieces = []
    for key, values in taken.requirements:
        outside = t[key] - values
        if not outside.impossible:
            pieces.append(t.with_values(key, outside))
            t = t.with_values(key, t[key] & values)
    return pieces
