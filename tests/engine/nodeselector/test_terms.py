"""engine.nodeselector.terms: alternatives of node selector terms against brute force over a universe of nodes."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector.states import (
    ABSENT,
    EXISTS,
    LabelStates,
    integers,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    EVERYWHERE,
    FALSE,
    TRUE,
    Term,
    Terms,
    term_of,
)
from engine.nodeselector.terms import (
    MAX_TERMS,
    MAX_VALUES,
    TooMany,
    affordable,
    both,
    difference,
    disjoint,
    implies,
    simplify,
)
from tests.engine.nodeselector.universe import (
    terms,
    where,
)

disjunctions = st.lists(terms, max_size=4).map(simplify)


def either(a: Terms, b: Terms) -> Terms:
    return simplify((*a, *b))


@given(disjunctions, disjunctions)
def test_disjunctions_combine_as_their_nodes_do(a: Terms, b: Terms) -> None:
    assert where(both(a, b)) == where(a) & where(b)
    assert where(either(a, b)) == where(a) | where(b)
    assert where(difference(a, b)) == where(a) - where(b)
    assert implies(a, b) == (where(a) <= where(b))
    assert both(a, b) == both(b, a)
    assert either(a, b) == either(b, a)
    assert both(a, a) == a
    assert (both(a, TRUE), both(a, FALSE), either(a, FALSE)) == (a, FALSE, a)


@given(st.lists(terms, max_size=4))
def test_simplifying_keeps_the_nodes_whatever_the_order(given_terms: list[Term]) -> None:
    simple = simplify(given_terms)
    assert where(simple) == where(given_terms)
    assert all(simplify(order) == simple for order in permutations(given_terms))
    assert simplify(simple) == simple
    assert len(simple) <= len(given_terms)
    assert not any(a <= b for a, b in permutations(simple, 2))
    assert not any(one.impossible for one in simple)


@given(disjunctions)
def test_disjoint_terms_share_no_node(given_terms: Terms) -> None:
    apart = disjoint(given_terms)
    assert where(apart) == where(given_terms)
    for one in apart:
        assert one == EVERYWHERE or one.alternatives()
    assert all((a & b).impossible for a, b in permutations(apart, 2))


def test_what_overlaps_is_counted_once() -> None:
    a, b, bound = term_of({"a": one_of("x")}), term_of({"b": one_of("y")}), term_of({"c": integers(3)})
    assert disjoint((a, b)) == (a, term_of({"a": none_of("x"), "b": one_of("y")}))
    assert disjoint((bound, a)) == disjoint((a, bound)) == (a, term_of({"a": none_of("x"), "c": integers(3)}))
    below = integers(0, 2) | ABSENT
    assert disjoint((bound, term_of({"d": integers(1)}))) == (bound, term_of({"c": below, "d": integers(1)}))


def test_simplifying_unites_terms_that_differ_in_one_key() -> None:
    grid = [term_of({"a": one_of([a]), "b": one_of([b])}) for a, b in product("xyz", "123")]
    assert simplify(grid) == (term_of({"a": one_of("xyz"), "b": one_of("123")}),)
    assert simplify([term_of({"a": one_of("x")}), term_of({"a": none_of("x")})]) == TRUE
    steps = [term_of({"a": one_of("x"), "b": one_of([b])}) for b in "12"]
    assert simplify([*steps, term_of({"a": one_of("y"), "b": one_of("12")})]) == (
        term_of({"a": one_of("xy"), "b": one_of("12")}),
    )
    either = [term_of({"a": ABSENT | one_of(value), "b": EXISTS}) for value in "xy"]
    assert simplify(either) == (term_of({"a": ABSENT | one_of("xy"), "b": EXISTS}),)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"a": ABSENT, "b": one_of("x")}, {"a": ABSENT | one_of("xy")}),
        ({"a": one_of("x"), "b": ABSENT}, {"a": ABSENT | one_of("xy")}),
        ({"a": one_of("x"), "b": ABSENT}, {"b": none_of("y")}),
        ({"a": one_of("xy"), "b": ABSENT, "c": EXISTS}, {"a": one_of("xyz"), "b": ABSENT}),
        ({"a": integers(3), "b": EXISTS}, {"a": integers(2)}),
        ({"a": one_of(["3", "4"]), "b": EXISTS}, {"a": integers(2)}),
        ({"a": integers(3, 3) - one_of("3"), "b": EXISTS}, {"a": EXISTS}),
    ],
)
def test_what_is_within_another_term_goes(narrow: dict[str, LabelStates], wide: dict[str, LabelStates]) -> None:
    far = term_of({"z": one_of("q"), "y": one_of("r")})
    assert simplify([term_of(narrow), term_of(wide), far]) == simplify([term_of(wide), far])
    assert len(simplify([term_of(wide), far])) == 2


def test_limits_are_checked_before_building() -> None:
    def pools(key: str, count: int) -> Terms:
        return simplify([term_of({f"{key}{i}": EXISTS}) for i in range(count)])

    with pytest.raises(TooMany) as caught:
        both(pools("a", 400), pools("b", 400))
    assert caught.value.count == 160_000
    with pytest.raises(TooMany) as caught:
        both(pools("a", 40), pools("b", 40))
    assert caught.value.count == 1_600
    assert len(both(pools("a", 10), pools("b", 40))) == 400
    assert len(simplify([term_of({f"a{i}": EXISTS}) for i in range(MAX_TERMS)])) == MAX_TERMS
    with pytest.raises(TooMany, match="1001 node selector terms, of which at most 1000 are allowed"):
        simplify([term_of({f"a{i}": EXISTS}) for i in range(MAX_TERMS + 1)])


def test_what_takes_too_much_is_refused() -> None:
    wide = term_of({"a": one_of(map(str, range(MAX_VALUES)))})
    affordable([wide])
    affordable(term_of({"a": one_of([str(i)])}) for i in range(MAX_TERMS))
    with pytest.raises(TooMany, match=r"10001 values in node selector terms, of which at most 10000 are allowed"):
        affordable([wide, term_of({"b": one_of(["x"])})])
    doubled = term_of({f"k{i}": integers() for i in range(10)})  # each takes two terms
    with pytest.raises(TooMany, match=r"1024 node selector terms, of which at most 1000"):
        affordable([doubled])
    with pytest.raises(TooMany, match=r"1024 wishes"):
        affordable([doubled], what="wishes")


def test_what_is_left_is_limited_as_soon_as_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.nodeselector.terms.MAX_TERMS", 3)
    three, four = (term_of({f"k{i}": EXISTS for i in range(count)}) for count in (3, 4))
    assert len(difference(TRUE, (three,))) == 3
    apart = (
        term_of({"z": ABSENT}),
        term_of({"y": ABSENT, "z": EXISTS}),
        term_of({"x": ABSENT, "y": EXISTS, "z": EXISTS}),
    )
    assert len(disjoint(apart)) == 3
    with pytest.raises(TooMany) as caught:
        difference(TRUE, (four,))
    assert caught.value.count == 4
    with pytest.raises(TooMany):
        disjoint((three, term_of({"j0": EXISTS, "j1": EXISTS})))


def test_many_terms_may_cover_everything_together() -> None:
    # no pair of them differs in one key only
    corners = [term_of({f"k{i}": EXISTS, f"k{i + 1}": ABSENT}) for i in range(30)]
    full = (*corners, term_of({"k0": ABSENT}), term_of({"k30": EXISTS}))
    assert implies(TRUE, full)
    assert not implies(TRUE, tuple(corners))
    assert implies((corners[0] & corners[3],), tuple(corners))


@pytest.mark.parametrize(("pairs", "allowed"), [(3, False), (4, True)])
def test_as_many_pairs_as_are_allowed_are_brought_together(
    monkeypatch: pytest.MonkeyPatch, pairs: int, allowed: bool
) -> None:
    """But none where both sides are the same."""
    monkeypatch.setattr("engine.nodeselector.terms.MAX_PAIRS", pairs)
    a, b, many = (tuple(term_of({key: one_of("x")}) for key in pair) for pair in ("ab", "cd", "ef"))
    if allowed:
        assert len(both(a, b)) == 4
    else:
        with pytest.raises(TooMany, match=r"^4 node selector terms"):
            both(a, b)
    assert both(many, many) == many


def test_a_term_is_covered_by_several_that_cover_it_together() -> None:
    x = {"a": one_of("x")}
    apart = (term_of({**x, "b": one_of("y")}), term_of({**x, "b": none_of("y"), "c": EXISTS}))
    rest = term_of({**x, "b": none_of("y"), "c": ABSENT})
    assert implies((term_of(x),), (*apart, rest))
    assert not implies((term_of(x),), apart)


@pytest.mark.parametrize(("budget", "proven"), [(6, False), (7, True)])
def test_a_proof_that_is_too_long_is_no_proof(monkeypatch: pytest.MonkeyPatch, budget: int, proven: bool) -> None:
    """It looks at three terms, and at the two of them that are left without the first."""
    monkeypatch.setattr("engine.nodeselector.terms._COVER_BUDGET", budget)
    x = {"a": one_of("x")}
    apart = (term_of({**x, "b": one_of("y")}), term_of({**x, "b": none_of("y"), "c": EXISTS}))
    rest = term_of({**x, "b": none_of("y"), "c": ABSENT})
    assert implies((term_of(x),), (*apart, rest)) == proven
