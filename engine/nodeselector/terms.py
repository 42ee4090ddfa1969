"""Terms: disjunctions, as node selectors are. Unions, intersections, differences, implication, and their limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import or_

from engine.nodeselector.states import ABSENT, LabelStates, canonical, integers, is_expressible, is_plain, label_key
from engine.nodeselector.term import EVERYWHERE, FALSE, NOWHERE, TRUE, Requirements, Term, Terms, term_of

MAX_TERMS = 1_000  # node selector terms of one node selector
MAX_VALUES = 10_000  # of 63 characters each they are 0.7 MB; etcd takes no object of more than 1.5 MiB
MAX_PAIRS = 20_000  # pairs of terms that `both` looks at
TERMS = "node selector terms"
_BYTES = 300  # of a term, and of a requirement, without its values
_COVER_BUDGET = 2_000  # terms that one proof of `implies` looks at


class TooMany(Exception):  # noqa: N818 - a limit, named as one
    """More of something (`what`, a plural) than is allowed. Raised before it is built."""

    def __init__(self, count: int, what: str = TERMS, limit: int = MAX_TERMS) -> None:
        self.count, self.what = count, what
        super().__init__(f"{count} {what}, of which at most {limit} are allowed")


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
    """The same nodes in fewer terms, whatever the order of the given ones: canonical. Raises TooMany.

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
    """The terms that are not within another; EVERYWHERE must not be among them, nor one twice.

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
    """The terms that t may be within, itself among them."""
    for key, values in t.requirements:
        yield from by_key.get(key, ())
        if _enumerated(values):
            yield from by_string.get((key, next(iter(values.odd))), ())


def _enumerated(values: LabelStates) -> bool:
    """Whether the label must be present and has one of finitely many strings."""
    return not values.absent and bool(values.finite)


def _union(key: str, rest: Requirements, group: Sequence[Term]) -> Term:
    """The one term of terms that are alike but for `key`."""
    many = [t[key] for t in group]
    if all(values.finite is not None and not values.absent for values in many):
        values = canonical(False, False, (), frozenset().union(*(each.odd for each in many)))
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


def bytes_of(terms: Iterable[Term]) -> int:
    """What it takes to keep these terms, in bytes, at most."""
    return sum(
        _BYTES
        + sum(len(key) + _BYTES + 150 * len(values.odd) + 150 * len(values.spans) for key, values in t.requirements)
        for t in terms
    )


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
    for t in sorted(terms, key=lambda t: any(not is_plain(values) for _, values in t.requirements)):
        apart += simplify(map(_sayable, difference((t,), tuple(apart))))
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


def implies(a: Terms, b: Terms) -> bool:
    """Is every node of a a node of b? Yes is always true; no may mean that the proof was too long."""
    budget = [_COVER_BUDGET]
    return all(_covered(t, b, budget) for t in a)


def _covered(t: Term, terms: Sequence[Term], budget: list[int]) -> bool:
    """Whether t lies within the terms together; False, too, where the budget, a list of one number, is spent."""
    if t.impossible or any(t <= u for u in terms):
        return True
    near = [u for u in terms if not (t & u).impossible]
    budget[0] -= 1 + len(terms)
    if len(near) < 2 or budget[0] < 0 or _sticks_out(t, near):
        return False
    return all(_covered(piece, near[1:], budget) for piece in _without(t, near[0]))


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


def where(key: str, values: LabelStates) -> Terms:
    """The nodes whose label is in one of these states."""
    only = term_of({label_key(key): values})
    return FALSE if only.impossible else (only,)


class Overflow(tuple[Term, ...]):
    """More terms than can be said, `size` of them. No error as long as nobody asks for them: see `within_limit`.

    It holds NOWHERE alone, so it is neither FALSE nor TRUE.
    """

    size = 0


def within_limit(terms: Terms) -> Terms:
    """The terms given, which somebody is about to use. Raises TooMany for an Overflow."""
    if isinstance(terms, Overflow):
        raise TooMany(terms.size)
    return terms


def _untold(error: TooMany) -> Terms:
    terms = Overflow((NOWHERE,))
    terms.size = error.count
    return terms


def union(*many: Terms) -> Terms:
    """The nodes of any of these; an Overflow where that takes too many terms."""
    if TRUE in many:
        return TRUE
    try:
        return simplify(chain.from_iterable(map(within_limit, many)))
    except TooMany as error:
        return _untold(error)


def common(a: Terms, b: Terms) -> Terms:
    """The nodes of both; an Overflow where that takes too many terms."""
    try:
        return both(within_limit(a), within_limit(b)) if a and b else FALSE
    except TooMany as error:
        return _untold(error)
