"""The algebra of node requirements against brute force over every state that matters."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import permutations, product
from operator import and_, or_, sub
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.names import is_label_key, is_label_value
from engine.nodeselector.states import (
    ABSENT,
    ANY,
    EXISTS,
    MAX_INTEGER,
    NODE_NAME,
    NONE,
    Inexpressible,
    LabelStates,
    from_expression,
    integers,
    integers_in,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    EVERYWHERE,
    FALSE,
    NOWHERE,
    TRUE,
    Term,
    Terms,
    admits,
    named,
    not_named,
    parse_term,
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
from tests.engine.matching import matches_expression, matches_term, nodes, refused, refused_term

STRINGS = ["", "a", "b", "1", "01", "2", "9223372036854775808"]
BOUNDS = [-1, 0, 1, 2, 3, MAX_INTEGER - 1, MAX_INTEGER]
# One state for each way that sets made of these can differ: the strings themselves, of each integer near a bound a
# spelling that no set mentions, one integer far from all, one string that no set mentions.
STATES: list[str | None] = [None, "zz", "1.5", "x1", *STRINGS, *(str(n).zfill(40) for n in {*BOUNDS, 4, 99} - {-1})]

sets = st.recursive(
    st.one_of(
        st.sampled_from([ANY, NONE, EXISTS, ABSENT]),
        st.lists(st.sampled_from(STRINGS), max_size=3).map(one_of),
        st.lists(st.sampled_from(STRINGS), max_size=3).map(none_of),
        st.builds(integers, st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)),
    ),
    lambda inner: st.one_of(
        st.builds(LabelStates.__and__, inner, inner),
        st.builds(LabelStates.__or__, inner, inner),
        st.builds(LabelStates.__sub__, inner, inner),
        st.builds(LabelStates.__invert__, inner),
    ),
    max_leaves=5,
)
OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


def members(values: LabelStates) -> set[str | None]:
    return {state for state in STATES if values.holds(state)}


def labels_of(state: str | None) -> dict[str, str]:
    return {} if state is None else {"k": state}


@given(sets, sets)
def test_operations_are_those_of_sets(a: LabelStates, b: LabelStates) -> None:
    assert members(a & b) == members(a) & members(b)
    assert members(a | b) == members(a) | members(b)
    assert members(a - b) == members(a) - members(b)
    assert members(~a) == set(STATES) - members(a)
    assert (a <= b) == (members(a) <= members(b))


@given(sets, sets)
def test_equal_sets_are_equal_values(a: LabelStates, b: LabelStates) -> None:
    assert (a == b) == (members(a) == members(b))
    assert a.impossible == (not members(a))
    assert (hash(a) == hash(b)) or a != b


@given(sets, sets, sets)
def test_laws_of_a_boolean_algebra(a: LabelStates, b: LabelStates, c: LabelStates) -> None:
    assert a & (b | c) == (a & b) | (a & c)
    assert a | (b & c) == (a | b) & (a | c)
    assert ~(a & b) == ~a | ~b
    assert ~~a == a
    assert (a & ~a, a | ~a) == (NONE, ANY)
    assert a & (b & c) == (a & b) & c


@given(sets)
def test_what_is_emitted_says_the_set(values: LabelStates) -> None:
    try:
        alternatives = values.alternatives("k")
    except Inexpressible:
        assert values.holds("zz")
        assert any(not values.holds(state) for state in STATES if state and len(state) == 40)
        return
    assert len(alternatives) == values.width
    for expressions in alternatives:
        assert [refused(e) for e in expressions] == [""] * len(expressions)
    for state in STATES:
        true = [all(matches_expression(e, labels_of(state)) for e in expressions) for expressions in alternatives]
        assert true.count(True) == values.holds(state)
    assert values.alternatives("k") == alternatives


@given(sets)
def test_what_is_emitted_is_read_back(values: LabelStates) -> None:
    try:
        alternatives = values.alternatives("k")
    except Inexpressible:
        return
    read = [reduce(LabelStates.__and__, map(from_expression, expressions), ANY) for expressions in alternatives]
    assert reduce(LabelStates.__or__, read, NONE) == values


@given(sets, sets)
def test_unions_and_intersections_of_the_expressible_are_expressible(a: LabelStates, b: LabelStates) -> None:
    try:
        a.alternatives("k"), b.alternatives("k")
    except Inexpressible:
        return
    (a & b).alternatives("k")
    (a | b).alternatives("k")


@pytest.mark.parametrize("operator", OPERATORS)
def test_expressions_are_read_as_kubernetes_does(operator: str) -> None:
    values_of: dict[str, list[Any]] = {"Exists": [None, []], "DoesNotExist": [None, []]}
    lists = [[v] for v in [*STRINGS, "3"]] if operator in ("Gt", "Lt") else [[a, b] for a in STRINGS for b in STRINGS]
    for values in values_of.get(operator, lists):
        expression: dict[str, Any] = {"key": "k", "operator": operator, "values": values}
        if operator in ("Gt", "Lt") and refused(expression):
            assert from_expression(expression) == NONE
            continue
        for state in STATES:
            said = matches_expression(expression, labels_of(state))
            assert from_expression(expression).holds(state) == said, (expression, state)


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "k", "operator": "In"},
        {"key": "k", "operator": "In", "values": []},
        {"key": "k", "operator": "NotIn", "values": []},
        {"key": "k", "operator": "NotIn", "values": ["no label"]},
        {"key": "k", "operator": "Exists", "values": ["a"]},
        {"key": "k", "operator": "DoesNotExist", "values": ["a"]},
        {"key": "k", "operator": "Gt", "values": ["1.5"]},
        {"key": "k", "operator": "Gt", "values": ["-1"]},
        {"key": "k", "operator": "Gt", "values": ["1", "2"]},
        {"key": "k", "operator": "Lt", "values": ["9" * 5000]},
        {"key": "k", "operator": "Equals", "values": ["a"]},
        {"key": "k"},
    ],
)
def test_what_the_api_server_refuses_matches_nothing(expression: dict[str, Any]) -> None:
    assert from_expression(expression) == NONE


def test_what_can_not_be_a_label_equals_none() -> None:
    long, longer = "x" * 63, "x" * 64
    assert one_of(["a b", longer, "-1", "é", "a\n", long]) == one_of([long])
    assert one_of(["a b"]) == NONE
    assert none_of(["a b"]) == ANY
    assert integers(-5, -1) == NONE
    assert integers(-5, 3) == integers(0, 3)
    assert integers(3, 2) == NONE
    assert integers(0, 2**70) == integers()


@pytest.mark.parametrize("value", ["", "a", "A-b_c.9", "x" * 63, "0"])
def test_legal_values(value: str) -> None:
    assert is_label_value(value)


@pytest.mark.parametrize("value", ["x" * 64, "-", "a-", ".a", "a b", "a/b", "ä", "a\n", "+1", "-1"])
def test_illegal_values(value: str) -> None:
    assert not is_label_value(value)


@pytest.mark.parametrize("key", ["a", "kubernetes.io/os", "a.b-c.d/e_F.g", "x" * 63, ("a." * 126 + "a") + "/x"])
def test_legal_keys(key: str) -> None:
    assert is_label_key(key)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a/b/c", "A.b/c", "-a/b", "x" * 64, "a b", "a" * 254 + "/x", "a..b/c"])
def test_illegal_keys(key: str) -> None:
    assert not is_label_key(key)
    assert term_of({key: EXISTS}) == NOWHERE
    assert term_of({key: one_of(["a"])}) == NOWHERE
    assert term_of({key: none_of(["a"])}) == EVERYWHERE


def spellings(number: int) -> list[str]:
    return [str(number).zfill(length) for length in range(len(str(number)), 64)]


@pytest.mark.parametrize("number", [0, 7, 10, MAX_INTEGER])
def test_an_integer_spelled_out_is_the_integer(number: int) -> None:
    every = spellings(number)
    for count in range(1, len(every) + 1):
        said, rest = every[:count], every[count:]
        assert one_of(said) == integers(number, number) - one_of(rest)
        assert none_of(said) == ~integers(number, number) | one_of(rest)
        assert ~one_of(said) == none_of(said)
        assert from_expression(none_of(said).expressions("k")[0]) == none_of(said)


def test_an_integer_spelled_out_is_the_integer_also_beside_others() -> None:
    others = [str(number) for number in range(100, 400)]
    for number in range(1, 20):
        assert one_of([*spellings(number), *others]) == integers(number, number) | one_of(others)


def test_emission_of_every_shape() -> None:
    def said(values: LabelStates) -> list[list[tuple[object, ...]]]:
        return [[(e["operator"], *e.get("values", [])) for e in es] for es in values.alternatives("k")]

    assert said(one_of("ba")) == [[("In", "a", "b")]]
    assert said(none_of("ba")) == [[("NotIn", "a", "b")]]
    assert said(EXISTS - one_of("a")) == [[("Exists",), ("NotIn", "a")]]
    assert said(ABSENT | one_of("a")) == [[("In", "a")], [("DoesNotExist",)]]
    assert said(integers(5, 9)) == [[("Gt", "4"), ("Lt", "10")]]
    assert said(integers(0, 9)) == [[("Lt", "10")]]
    assert said(integers(1)) == [[("Gt", "0")]]
    assert said(integers(5) - one_of(["7", "07"])) == [[("Gt", "4"), ("NotIn", "07", "7")]]
    assert said(integers()) == [[("Lt", str(MAX_INTEGER))], [("Gt", str(MAX_INTEGER - 1))]]
    assert said(integers() - one_of(["0", str(MAX_INTEGER)])) == [
        [("Lt", str(MAX_INTEGER)), ("NotIn", "0")],
        [("Gt", str(MAX_INTEGER - 1)), ("NotIn", str(MAX_INTEGER))],
    ]
    assert said(integers(3, 4) | integers(8) | one_of(["a"])) == [
        [("In", "a")],
        [("Gt", "2"), ("Lt", "5")],
        [("Gt", "7")],
    ]
    assert (said(ANY), said(NONE)) == ([[]], [])
    with pytest.raises(ValueError, match="takes 2 node selector terms"):
        (ABSENT | one_of("a")).expressions("k")
    with pytest.raises(Inexpressible):
        (EXISTS - integers()).alternatives("k")


def test_sets_read_well() -> None:
    assert str(one_of("ba")) == "In [a, b]"
    assert str(ABSENT | integers(5, 9)) == "Gt 4, Lt 10 or DoesNotExist"
    assert str(~integers(3)) == "anything but (Gt 2)"
    assert (str(ANY), str(NONE)) == ("anything", "nothing")
    assert str(term_of({"zone": one_of("a"), NODE_NAME: named(["n1"])})) == "name In [n1], zone In [a]"
    assert (str(EVERYWHERE), str(NOWHERE)) == ("every node", "no node")


# Terms, over a universe of three labels and two names

KEY_STATES: dict[str, list[str | None]] = {
    "a": [None, "x", "y", "zz"],
    "b": [None, "", "zz", "0", "1", "01", "02", "3", "7", "07", "8"],
    "c": [None, "x", "zz"],
}
UNIVERSE = list(nodes(KEY_STATES, ("n1", "n2", "n3", "n4")))
EXPRESSIBLE = {
    "a": [one_of("x"), one_of("xy"), none_of("x"), none_of("xy"), EXISTS, ABSENT, ABSENT | one_of("y")],
    "b": [integers(1), integers(0, 2), integers(2, 7), one_of(["1", ""]), none_of(["7"]), ABSENT | integers(3)],
    "c": [one_of("x"), ABSENT, EXISTS],
    NODE_NAME: [named(["n1"]), named(["n1", "n2"]), not_named(["n1"]), not_named(["n1", "n3"])],
}
terms = st.fixed_dictionaries({}, optional={k: st.sampled_from(vs) for k, vs in EXPRESSIBLE.items()}).map(term_of)
disjunctions = st.lists(terms, max_size=4).map(simplify)


def where(found: Terms | list[Term]) -> set[int]:
    return {i for i, (labels, name) in enumerate(UNIVERSE) if admits(tuple(found), labels, name)}


@given(terms, terms)
def test_terms_meet_and_compare_as_their_nodes_do(a: Term, b: Term) -> None:
    assert where([a & b]) == where([a]) & where([b])
    assert (a & b).impossible == (where([a]).isdisjoint(where([b])))
    assert (a <= b) == (where([a]) <= where([b]))
    assert (a == b) == (where([a]) == where([b]))
    assert a & b == b & a
    assert a & a == a


@given(terms)
def test_terms_are_emitted_as_what_kubernetes_matches(a: Term) -> None:
    if a == EVERYWHERE:
        with pytest.raises(ValueError, match="every node"):
            a.alternatives()
        return
    emitted = a.alternatives()
    assert [refused_term(one) for one in emitted] == [""] * len(emitted)
    assert len(emitted) == a.width
    found = where([a])
    for i, (labels, name) in enumerate(UNIVERSE):
        assert [matches_term(one, labels, name) for one in emitted].count(True) == (i in found)
    assert where(a.split()) == found
    assert a.split() == tuple(parse_term(one) for one in emitted)


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


@given(terms)
def test_what_a_term_takes_is_known_before_it_is_said(t: Term) -> None:
    try:
        said = t.alternatives() if t != EVERYWHERE else []
    except Inexpressible:
        return
    values = sum(len(e.get("values", ())) for one in said for listed in one.values() for e in listed)
    assert len(said) == (t.width if said else 0)
    assert values <= t.size
    if said and all(v.spans == EXISTS.spans * v.others for _, v in t.requirements):
        assert values == t.size


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


def test_any_integer_is_said_in_two_lists() -> None:
    """For no bound may be negative, nor over 2^63-1; a number that is left out, in the list that it would be in."""
    last, before = str(MAX_INTEGER), str(MAX_INTEGER - 1)
    below, top = ({"key": "k", "operator": "Lt", "values": [last]}, {"key": "k", "operator": "Gt", "values": [before]})
    assert integers().alternatives("k") == [[below], [top]]
    for missing, first, second in [(before, [before], []), (last, [], [last]), ("0", ["0"], [])]:
        said = [[{"key": "k", "operator": "NotIn", "values": odd}] if odd else [] for odd in (first, second)]
        less = integers() & none_of([missing])
        assert less.alternatives("k") == [[below, *said[0]], [top, *said[1]]]


def test_what_no_list_says_is_told() -> None:
    with pytest.raises(Inexpressible, match=r"^no match expression says that a label is present and no integer$"):
        (EXISTS - integers()).alternatives("k")
    with pytest.raises(Inexpressible):
        (EXISTS - integers(3, 3) - integers(5, 5)).alternatives("k")
    assert (EXISTS - integers(3, 3)).alternatives("k")[0][1]["values"][:2] == ["0" * 62 + "3", "0" * 61 + "3"]
    with pytest.raises(ValueError, match=r"^no node selector term matches every node$"):
        EVERYWHERE.alternatives()
    assert str(integers(3)) == "Gt 2"


@pytest.mark.parametrize("operator", [None, "", "Exists", "XXXX"])
def test_a_field_is_asked_for_by_in_and_not_in_only(operator: str | None) -> None:
    field: dict[str, Any] = {"key": "metadata.name", "values": ["n"], **({"operator": operator} if operator else {})}
    assert parse_term({"matchFields": [field]}) == NOWHERE


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


def test_what_is_nowhere_is_within_everything() -> None:
    assert term_of({"a": EXISTS}) >= NOWHERE
    assert NOWHERE <= NOWHERE <= EVERYWHERE
    assert not EVERYWHERE <= NOWHERE


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


def test_an_empty_term_of_kubernetes_is_nowhere() -> None:
    empties: list[dict[str, Any]] = [{}, {"matchExpressions": []}, {"matchFields": None}]
    assert {parse_term(one) for one in empties} == {NOWHERE}


@pytest.mark.parametrize(
    "field",
    [
        {"key": "metadata.name", "operator": "In", "values": ["a", "b"]},
        {"key": "metadata.name", "operator": "In", "values": []},
        {"key": "metadata.namespace", "operator": "In", "values": ["a"]},
        {"key": "metadata.name", "operator": "Exists"},
    ],
)
def test_fields_that_the_api_server_refuses_match_nothing(field: dict[str, Any]) -> None:
    assert parse_term({"matchFields": [field]}) == NOWHERE


def test_node_names_are_no_labels_and_no_integers() -> None:
    assert term_of({NODE_NAME: named(["7"])})[NODE_NAME] & integers(7, 7) == NONE
    assert term_of({NODE_NAME: named(spellings(7))}).width == len(spellings(7))
    assert term_of({"metadata.name": one_of("x")}) != term_of({NODE_NAME: named("x")})


@pytest.mark.parametrize(
    ("operation", "on_sets"), [(LabelStates.__and__, and_), (LabelStates.__or__, or_), (LabelStates.__sub__, sub)]
)
def test_every_pair_of_simple_sets(
    operation: Callable[[LabelStates, LabelStates], LabelStates],
    on_sets: Callable[[set[str | None], set[str | None]], set[str | None]],
) -> None:
    """Exhaustive: every expression over the alphabet, every bound, and the complements, two at a time."""
    lists = [[], *([s] for s in STRINGS), ["a", "1"], ["1", "01"]]
    simple = {ANY, NONE, EXISTS, ABSENT, *map(one_of, lists), *map(none_of, lists)}
    simple |= {integers(low, high) for low in BOUNDS for high in BOUNDS}
    simple |= {~values for values in simple}
    assert len({frozenset(members(values)) for values in simple}) == len(simple)
    for a, b in product(simple, simple):
        assert members(operation(a, b)) == on_sets(members(a), members(b))


def test_spans_of_integers_are_disjoint_and_ascending() -> None:
    last = MAX_INTEGER
    assert integers_in([]) == integers_in([(5, 4)]) == integers_in([(-3, -1), (last + 1, last + 9)]) == NONE
    assert integers_in([(4, 6), (1, 3)]).spans == integers_in([(1, 6), (2, 3)]).spans == ((1, 6),)
    assert integers_in([(1, 3), (3, 5)]).spans == integers_in([(1, 5), (5, 4), (3, 3)]).spans == ((1, 5),)
    assert integers_in([(1, 3), (5, 6), (8, 8)]).spans == ((1, 3), (5, 6), (8, 8))
    assert integers_in([(1, 3), (5, 6), (4, 4), (9, 9), (8, 8)]).spans == ((1, 6), (8, 9))
    assert integers_in([(-5, 0), (last, last + 5)]).spans == ((0, 0), (last, last))
    assert integers_in([(1, 3), (5, 9), (6, 7), (7, 8)]).spans == ((1, 3), (5, 9))


def test_an_expression_without_a_key_is_about_no_label() -> None:
    assert parse_term({"matchExpressions": [{"operator": "Exists"}]}) == NOWHERE
    assert parse_term({"matchExpressions": [{"operator": "NotIn", "values": ["a"]}]}) == EVERYWHERE


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
