"""engine.nodeselector.states: sets of what a label may be, against brute force over every state that matters."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import product
from operator import and_, or_, sub
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector.states import (
    ABSENT,
    ANY,
    EXISTS,
    MAX_INTEGER,
    NODE_NAME,
    NONE,
    Inexpressible,
    LabelStates,
    all_of,
    from_expression,
    from_expressions,
    integers,
    integers_in,
    none_of,
    one_of,
)
from engine.nodeselector.term import (
    EVERYWHERE,
    NOWHERE,
    named,
    term_of,
)
from tests.engine.matching import matches_expression, refused
from tests.engine.nodeselector.universe import (
    BOUNDS,
    STATES,
    STRINGS,
    labels_of,
    members,
    sets,
    spellings,
)

OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


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


some_expressions = st.fixed_dictionaries(
    {"key": st.just("k"), "operator": st.sampled_from(["NotIn", "NotIn", *OPERATORS])},
    optional={"values": st.lists(st.sampled_from([*STRINGS, "7", "-x", "a,b", ""]), max_size=3)},
)


@given(st.lists(some_expressions, min_size=1, max_size=5))
def test_several_expressions_on_one_label_admit_what_each_does(several: list[dict[str, Any]]) -> None:
    assert from_expressions(several) == all_of(map(from_expression, several))
