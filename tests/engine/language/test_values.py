"""engine.language.values: equality, order, optionals and budgets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.values import (
    NO_VALUE,
    NOTHING,
    Budget,
    BudgetExceeded,
    CelError,
    Duration,
    NoSuchKey,
    NoSuchOverload,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    at,
    checked_int,
    checked_uint,
    compare,
    equal,
    find,
    is_zero,
    kind,
    map_of,
    optional,
    quoted,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 2**64 - 1).map(Uint)
    | st.floats()
    | st.text()
    | st.binary()
    | st.integers(-(10**18), 10**18).map(Timestamp)
    | st.integers(-(10**18), 10**18).map(Duration)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4) | inner.map(Optional)
    ),
    max_leaves=8,
)


def _has_nan(value: Any) -> bool:
    match value:
        case float():
            return math.isnan(value)
        case list():
            return any(map(_has_nan, value))
        case dict():
            return any(map(_has_nan, value.values()))
        case Optional():
            return _has_nan(value.value)
    return False


@given(VALUES)
def test_equal_to_itself_but_for_nan(value: object) -> None:
    assert equal(value, value) is not _has_nan(value)


@given(VALUES, VALUES)
def test_equality_is_symmetric(a: object, b: object) -> None:
    assert equal(a, b) is equal(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, 1.0), (Uint(1), 1), (Uint(1), 1.0), ([1], (1.0,)), ({"a": 1}, {"a": Uint(1)}), (2**63 - 1, 2.0**63)],
)
def test_equal_across_types(a: object, b: object) -> None:
    assert equal(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (True, 1),
        (False, 0.0),
        ([True], [1]),
        ({"a": True}, {"a": 1}),
        ({True: "x"}, {1: "x"}),
        ("1", 1),
        ("a", b"a"),
        (None, 0),
        ([], {}),
        (Timestamp(1), Duration(1)),
        (NOTHING, None),
        (Optional(None), NOTHING),
    ],
)
def test_never_equal(a: object, b: object) -> None:
    assert not equal(a, b)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_order_of_integers(a: int, b: int) -> None:
    assert compare(a, b) == (a > b) - (a < b) == -compare(b, a)


@given(st.text(), st.text())
def test_order_of_strings_is_that_of_their_bytes(a: str, b: str) -> None:
    left, right = a.encode(), b.encode()
    assert compare(a, b) == (left > right) - (left < right)


@pytest.mark.parametrize(("a", "b"), [(True, 1), ("a", 1), (None, None), ([1], [2]), (Timestamp(1), Duration(1))])
def test_not_ordered(a: object, b: object) -> None:
    with pytest.raises(NoSuchOverload):
        compare(a, b)


def test_nan_has_no_place_in_the_order() -> None:
    with pytest.raises(CelError, match="NaN"):
        compare(math.nan, 1)


def test_find_in_lists() -> None:
    assert find([7, 8], 1) == find([7, 8], Uint(1)) == find((7, 8), 1.0) == 8
    assert find([7, 8], 2) is find([7, 8], -1) is NO_VALUE
    with pytest.raises(NoSuchOverload):
        find([7, 8], True)
    with pytest.raises(CelError):
        find([7, 8], 0.5)


def test_find_in_maps() -> None:
    assert find({1: "a"}, 1.0) == find({1: "a"}, Uint(1)) == "a"
    assert find({1: "a"}, True) is find({True: "a"}, 1) is find({"a": 1}, "b") is NO_VALUE
    assert find({True: "a", "b": 1}, True) == "a"
    with pytest.raises(CelError, match="key"):
        find({}, [1])


def test_at_says_what_is_missing() -> None:
    with pytest.raises(NoSuchKey, match='no such key: "zone"'):
        at({"a": 1}, "zone")
    with pytest.raises(CelError, match="index out of bounds: 2"):
        at([1, 2], 2)


def test_messages_hold_no_whole_objects() -> None:
    long = "x" * 1000
    assert len(str(NoSuchKey(long))) < 100
    assert str(NoSuchOverload("_+_", {"password": "secret"}, [long])) == "no such overload: _+_(map, list)"
    assert quoted(["secret"]) == "list"


def test_selecting_in_an_optional() -> None:
    assert equal(Optional({"a": 1})["a"], Optional(1))
    assert Optional({"a": 1})["b"] is NOTHING
    assert NOTHING["a"] is NOTHING
    assert optional(NO_VALUE) is NOTHING


def test_map_of() -> None:
    assert map_of([("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    with pytest.raises(CelError, match="unsupported key type: double"):
        map_of([(1.0, 1)])


def test_kinds() -> None:
    values: tuple[object, ...] = (True, 1, Uint(1), 1.0, "", b"", None, [], (), {}, TypeValue("int"), NOTHING)
    kinds = {kind(value) for value in values}
    assert kinds == {
        "bool", "int", "uint", "double", "string", "bytes", "null_type", "list", "map", "type", "optional_type",
    }  # fmt: skip


def test_zero_values() -> None:
    assert all(map(is_zero, (0, Uint(0), 0.0, "", b"", False, None, [], {}, Duration(0), NOTHING)))
    assert not any(map(is_zero, (1, "a", [0], {"a": 0}, Optional(0), TypeValue("int"))))


def test_ranges() -> None:
    assert checked_int(2**63 - 1) == 2**63 - 1
    assert checked_uint(2**64 - 1).__class__ is Uint
    for check, value in ((checked_int, 2**63), (checked_int, -(2**63) - 1), (checked_uint, 2**64), (checked_uint, -1)):
        with pytest.raises(CelError, match="overflow"):
            check(value)


def test_budget() -> None:
    budget = Budget(10)
    budget.spend(10)
    assert budget.left == 0
    with pytest.raises(BudgetExceeded):
        budget.spend(1)
    assert not issubclass(BudgetExceeded, CelError)
