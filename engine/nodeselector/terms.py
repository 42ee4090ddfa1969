"""Terms: disjunctions, as node selectors are. Unions, intersections, differences, implication, and their limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from math import comb
from typing import NamedTuple, Protocol

from engine.nodeselector.states import ABSENT, LabelStates, any_of, integers, is_expressible, is_plain, label_key
from engine.nodeselector.term import EVERYWHERE, FALSE, NOWHERE, TRUE, Requirements, Term, Terms, term_of

MAX_TERMS = 1_000  # node selector terms of one node selector
MAX_VALUES = 10_000  # of 63 characters each they are 0.7 MB; etcd takes no object of more than 1.5 MiB
MAX_PAIRS = 20_000  # pairs of terms that `both` looks at
TERMS = "node selector terms"
_BYTES = 300  # of a term, and of a requirement, without its values
_COVER_BUDGET = 2_000  # terms that one proof of `implies` looks at


class Meter(Protocol):
    """Who pays for work: a request's budget. Whoever hands in none is not counted."""

    def spend(self, units: int, /) -> None:
        """Takes away units of about half a microsecond. Raises what stops the work where there are too few."""


def work(terms: Iterable[Term]) -> int:
    """What one look at each of these terms takes of a Meter, at most: they are built, compared or met with another."""
    total = 0
    for t in terms:
        total += 1
        for _, values in t.requirements:
            total += 2
            if values.odd or values.spans:
                total += (len(values.odd) >> _VALUES) + 4 * len(values.spans)
    return total


_VALUES = 3  # eight values of a set, as a power of two, are looked at in one unit


class TooMany(Exception):  # noqa: N818 - a limit, named as one
    """More of something (`what`, a plural) than is allowed. Raised before it is built."""

    def __init__(self, count: int, what: str = TERMS, limit: int = MAX_TERMS) -> None:
        self.count, self.what = count, what
        more = "more than " if count == limit else ""
        super().__init__(f"{more}{count} {what}, of which at most {limit} are allowed")


def both(a: Terms, b: Terms, meter: Meter | None = None) -> Terms:
    """The nodes of a that are nodes of b. Raises TooMany."""
    if a == TRUE or not b:
        return b
    if b == TRUE or not a or a == b:
        return a
    if len(a) * len(b) > MAX_PAIRS:
        raise TooMany(len(a) * len(b))
    pay_for_pairs(a, b, meter)
    if len(a) == len(b) == 1:
        met = a[0] & b[0]
        return FALSE if met.impossible else (met,)
    return simplify([met for x in a for y in b if not (met := x & y).impossible], meter)


def pay_for_pairs(a: Terms, b: Terms, meter: Meter | None) -> None:
    """Pays for each term of one disjunction to meet each of another, before any does."""
    if meter:
        meter.spend(len(b) * work(a) + len(a) * work(b))


def simplify(terms: Iterable[Term], meter: Meter | None = None) -> Terms:
    """The same nodes in fewer terms, whatever the order of the given ones: canonical. Raises TooMany.

    Impossible terms and terms within another are dropped, and terms that differ in one key are united.
    """
    left = {t for t in terms if not t.impossible}
    if len(left) < 2:
        return tuple(left)
    if EVERYWHERE in left:
        return TRUE
    left = _united(left, meter)
    if EVERYWHERE in left:
        return TRUE
    if len(left) > MAX_TERMS:
        raise TooMany(len(left))
    return tuple(sorted(widest(left, meter), key=Term.order))


def _united(terms: set[Term], meter: Meter | None) -> set[Term]:
    """Terms that differ in one key made one, until there are none such."""
    while True:
        before = len(terms)
        if meter:  # for each of its keys a term is told apart from the others by all that it says of other keys
            meter.spend(sum([2 + len(t.requirements) * (2 + (len(t.requirements) >> 1)) for t in terms]))
            meter.spend(work(terms))  # which walks all that they say: done where the rest is paid for
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
                    terms.difference_update(group)
                    terms.add(_union(key, rest, group))
        if len(terms) in (1, before):
            return terms


def widest(terms: Iterable[Term], meter: Meter | None = None) -> set[Term]:
    """The terms that are not within another; EVERYWHERE must not be among them, nor one twice.

    That other has no key that the term lacks. Of those with the same keys it is looked up by the requirement that
    fewest strings meet, for what is within it names one of these strings.
    """
    terms = list(terms)
    alike: dict[Keys, list[Term]] = {}
    for t in terms:
        alike.setdefault(tuple([key for key, _ in t.requirements]), []).append(t)
    sizes = Counter(map(len, alike))
    if meter:
        meter.spend(2 * len(terms) + work(terms))
    if len(alike) == len(terms) and len(sizes) == 1:
        return set(terms)
    price = _price_of_looking(terms, meter) if meter else 0
    indexes = {keys: _indexed(several) for keys, several in alike.items()}
    left = set()
    for keys, several in alike.items():
        wider = [indexes[fewer] for fewer in _fewer(keys, sizes, indexes, meter)]
        for t in several:
            for u in _wider(t, wider):
                if meter:
                    meter.spend(price)
                if t is not u and t <= u:
                    break
            else:
                left.add(t)
    return left


Keys = tuple[str, ...]


class _Indexed(NamedTuple):
    """Terms with the same keys: by a string of theirs, and those that list none."""

    by_string: dict[tuple[str, str], list[Term]]
    others: list[Term]


def _indexed(terms: Sequence[Term]) -> _Indexed:
    by_string, others = dict[tuple[str, str], list[Term]](), list[Term]()
    for t in terms:
        listed = [(len(values.odd), key) for key, values in t.requirements if _enumerated(values)]
        if not listed:
            others.append(t)
            continue
        key = min(listed)[1]
        for value in t[key].odd:
            by_string.setdefault((key, value), []).append(t)
    return _Indexed(by_string, others)


def _fewer(
    keys: Keys, sizes: Mapping[int, int], indexes: Mapping[Keys, _Indexed], meter: Meter | None
) -> Iterator[Keys]:
    """The keys of terms that have no other keys than these, all of these among them."""
    for size, count in sizes.items():
        if size == len(keys):
            yield keys
        elif size < len(keys):
            ways = comb(len(keys), size)
            if meter:
                meter.spend(2 * min(ways, count))
            if ways <= count:
                yield from (some for some in combinations(keys, size) if some in indexes)
            else:
                every = frozenset(keys)
                yield from (some for some in indexes if len(some) == size and every.issuperset(some))


def _price_of_looking(terms: Sequence[Term], meter: Meter) -> int:
    """What asking whether one of these terms is within another takes, at most; the look-ups for it are paid for."""
    keys = sum([len(t.requirements) for t in terms])
    sizes = [len(values.odd) for t in terms for _, values in t.requirements]
    meter.spend(4 * len(terms) + 2 * keys + (sum(sizes) >> 1))
    return 4 + keys // len(terms) + (max(sizes, default=0) >> 4)


def _wider(t: Term, indexes: Iterable[_Indexed]) -> Iterator[Term]:
    """The terms that t may be within, itself among them."""
    for by_string, others in indexes:
        yield from others
        for key, values in t.requirements if by_string else ():
            if _enumerated(values):
                yield from by_string.get((key, next(iter(values.odd))), ())


def _enumerated(values: LabelStates) -> bool:
    """Whether the label must be present and has one of finitely many strings."""
    return not values.absent and bool(values.finite)


def _union(key: str, rest: Requirements, group: Sequence[Term]) -> Term:
    """The one term of terms that are alike but for `key`."""
    return Term(rest).with_values(key, any_of([t[key] for t in group]))


def affordable(terms: Iterable[Term], what: str = TERMS) -> None:
    """Raises TooMany if it takes too many node selector terms to say these, or too many values. Nothing is said yet."""
    terms = tuple(terms)
    count = sum(t.width for t in terms)
    if count > MAX_TERMS:
        raise TooMany(count, what)
    size = sum(t.size for t in terms)
    if size > MAX_VALUES:
        raise TooMany(size, f"values in {what}", MAX_VALUES)


def bytes_of(terms: Iterable[Term]) -> int:
    """What it takes to keep these terms, in bytes, at most."""
    return sum(
        _BYTES
        + sum(len(key) + _BYTES + 150 * len(values.odd) + 150 * len(values.spans) for key, values in t.requirements)
        for t in terms
    )


def difference(a: Terms, b: Terms, meter: Meter | None = None) -> Terms:
    """The nodes of a that are not of b: maybe in terms that can't be emitted. Raises TooMany."""
    left = list(a)
    for taken in b:
        pay_for_pairs(tuple(left), (taken,), meter)
        left = [piece for t in left for piece in _without(t, taken, meter)]
        if len(left) > MAX_TERMS:
            raise TooMany(len(left))
    return simplify(left, meter)


def disjoint(terms: Terms, meter: Meter | None = None) -> Terms:
    """The same nodes in terms that share none, so that none is counted twice where terms are weighted.

    Terms with bounds come last, for what lies outside of a bound can't be said of strings that are no integers: nodes
    that have such a one, where another of the terms compares the label with a bound, are left out. Raises TooMany.
    """
    apart: list[Term] = []
    for t in sorted(terms, key=lambda t: any(not is_plain(values) for _, values in t.requirements)):
        apart += simplify(map(_sayable, difference((t,), tuple(apart), meter)), meter)
        if len(apart) > MAX_TERMS:
            raise TooMany(len(apart))
    return tuple(apart)


def _sayable(t: Term) -> Term:
    """The nodes of a term that node selector terms can name."""
    if can_be_said(t):
        return t
    known = integers() | ABSENT
    return term_of({key: values if is_expressible(values) else values & known for key, values in t.requirements})


def can_be_said(t: Term) -> bool:
    """Do node selector terms say it? EVERYWHERE needs none."""
    return all(is_expressible(values) for _, values in t.requirements)


def implies(a: Terms, b: Terms, meter: Meter | None = None) -> bool:
    """Is every node of a a node of b? Yes is always true; no may mean that the proof was too long."""
    pay_for_pairs(a, b, meter)
    budget = [_COVER_BUDGET]
    return _covered(a[0], b, budget, meter) if len(a) == 1 else _all_covered(a, b, budget, meter)


def covered(t: Term, terms: Terms, meter: Meter | None) -> bool:
    """Is every node of one term a node of others? What `pay_for_pairs` takes of the two has been paid for."""
    return _covered(t, terms, [_COVER_BUDGET], meter)


def _all_covered(pieces: Sequence[Term], terms: Sequence[Term], budget: list[int], meter: Meter | None) -> bool:
    return all(_covered(t, terms, budget, meter) for t in pieces)


def _covered(t: Term, terms: Sequence[Term], budget: list[int], meter: Meter | None) -> bool:
    """Whether t lies within the terms together; False, too, where the budget, a list of one number, is spent."""
    if t.impossible:
        return True
    for u in terms:
        if t <= u:
            return True
    budget[0] -= 1 + len(terms)
    if len(terms) < 2:
        return False
    near = [u for u in terms if not (t & u).impossible]
    if len(near) < 2 or budget[0] < 0 or _sticks_out(t, near):
        return False
    pieces, rest = _without(t, near[0], meter), tuple(near[1:])
    pay_for_pairs(tuple(pieces), rest, meter)
    return _all_covered(pieces, rest, budget, meter)


def _sticks_out(t: Term, terms: Sequence[Term]) -> bool:
    """Is there plainly a node of t in none of the terms? Looks for one that fails each by the first key that it can."""
    corner: dict[str, LabelStates] = {}
    for u in terms:
        for key, values in u.requirements:
            outside = corner.get(key, t[key]) - values
            if not outside.impossible:
                corner[key] = outside
                break
        else:
            return False
    return True


def _without(t: Term, taken: Term, meter: Meter | None) -> list[Term]:
    """Disjoint terms that make up t without another term."""
    if (t & taken).impossible:
        return [t]
    if meter:
        meter.spend((1 + len(taken.requirements)) * work((t,)) + work((taken,)))
    pieces = []
    for key, values in taken.requirements:
        outside = t[key] - values
        if not outside.impossible:
            pieces.append(t.with_values(key, outside))
            t = t.with_values(key, t[key] & values)
    return pieces


def where(key: str, values: LabelStates) -> Terms:
    """The nodes whose label is in one of these states."""
    only = term_of({label_key(key): values})
    return FALSE if only.impossible else (only,)


class Overflow(tuple[Term, ...]):
    """More terms than can be said; `why` says how many. No error as long as nobody asks for them: see `within_limit`.

    It holds NOWHERE alone, so it is neither FALSE nor TRUE.
    """

    why: TooMany


def within_limit(terms: Terms) -> Terms:
    """The terms given, which somebody is about to use. Raises TooMany for an Overflow."""
    if isinstance(terms, Overflow):
        raise terms.why
    return terms


def _untold(error: TooMany) -> Terms:
    terms = Overflow((NOWHERE,))
    terms.why = error
    return terms


ENOUGH = 12_000
"""What making one Terms that may never be asked for takes of a Meter at most; past it, it is an Overflow."""


class _Part:
    """A part of what a meter may still pay. Past it, what is made is too much, and the meter has paid for the part."""

    __slots__ = ("left", "meter")

    def __init__(self, meter: Meter) -> None:
        self.left, self.meter = ENOUGH, meter

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            self.meter.spend(units + self.left)
            raise TooMany(ENOUGH, "steps to combine alternatives", ENOUGH)
        self.meter.spend(units)


def union(*many: Terms, meter: Meter | None = None) -> Terms:
    """The nodes of any of these; an Overflow where that takes too many terms, or too much work."""
    if TRUE in many:
        return TRUE
    if len(many) == 1:
        return many[0]
    try:
        return simplify(chain.from_iterable(map(within_limit, many)), meter and _Part(meter))
    except TooMany as error:
        return _untold(error)


def common(a: Terms, b: Terms, meter: Meter | None = None) -> Terms:
    """The nodes of both; an Overflow where that takes too many terms."""
    if a == TRUE or not b:
        return b
    if b == TRUE or not a:
        return a
    try:
        return both(within_limit(a), within_limit(b), meter and _Part(meter))
    except TooMany as error:
        return _untold(error)
