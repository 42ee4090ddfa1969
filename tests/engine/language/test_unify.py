"""engine.language.unify: when types fit, and what type parameters become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.types import (
    BOOL,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    ObjectType,
    Type,
    TypeParameter,
    list_of,
    map_of,
    optional_of,
    type_of,
)
from engine.language.unify import Unifier, certain, free, settled

A, B = TypeParameter("A"), TypeParameter("B")
THING = ObjectType("Thing")


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        (INT, INT, True),
        (INT, DOUBLE, False),
        (DYN, INT, True),
        (INT, DYN, True),
        (list_of(INT), list_of(DYN), True),
        (list_of(DYN), list_of(INT), True),
        (list_of(INT), list_of(STRING), False),
        (list_of(INT), map_of(INT, INT), False),
        (map_of(STRING, INT), map_of(STRING, BOOL), False),
        (type_of(INT), type_of(STRING), True),
        (NULL, THING, True),
        (NULL, DURATION, True),
        (NULL, optional_of(INT), True),
        (NULL, STRING, False),
        (NULL, list_of(INT), False),
        (THING, ObjectType("Other"), False),
        (list_of(INT), list_of(A), True),
        (INT, A, True),
    ],
)
def test_fits(found: Type, wanted: Type, fits: bool) -> None:
    assert Unifier().fits((found,), (wanted,)) is fits


def test_parameters_learn_together() -> None:
    unifier = Unifier()
    element, container, result = unifier.instance((A, list_of(A), map_of(A, B)))
    assert unifier.fits((STRING, list_of(STRING)), (element, container))
    assert settled(unifier.resolved(result)) == map_of(STRING, DYN)
    assert free(unifier.resolved(result))
    assert not unifier.fits((INT,), (element,))
    assert unifier.resolved(element) == STRING


def test_what_does_not_fit_teaches_nothing() -> None:
    unifier = Unifier()
    (parameter,) = unifier.instance((A,))
    assert not unifier.fits((INT, STRING), (parameter, parameter))
    assert unifier.fits((STRING,), (parameter,))


def test_a_parameter_becomes_more_general() -> None:
    unifier = Unifier()
    (parameter,) = unifier.instance((A,))
    assert unifier.fits((list_of(INT), list_of(DYN)), (parameter, parameter))
    assert unifier.resolved(parameter) == list_of(DYN)


def test_no_type_contains_itself() -> None:
    unifier = Unifier()
    (parameter,) = unifier.instance((A,))
    assert not unifier.fits((list_of(parameter),), (parameter,))


def test_two_unknowns_are_one() -> None:
    unifier = Unifier()
    one, other = unifier.fresh(), unifier.fresh()
    assert unifier.fits((list_of(one),), (list_of(other),))
    assert unifier.fits((INT,), (other,))
    assert unifier.resolved(one) == unifier.resolved(other) == INT


def test_join() -> None:
    unifier = Unifier()
    assert unifier.join(INT, DYN) == DYN
    assert unifier.join(INT, STRING) is None
    assert unifier.join(list_of(unifier.fresh()), list_of(INT)) == list_of(INT)


@pytest.mark.parametrize(
    ("found", "wanted", "sure"),
    [
        (INT, INT, True),
        (DYN, INT, False),
        (DYN, A, True),
        (list_of(DYN), list_of(INT), False),
        (list_of(DYN), list_of(A), True),
        (NULL, DURATION, False),
    ],
)
def test_certain(found: Type, wanted: Type, sure: bool) -> None:
    assert certain(found, wanted) is sure


types = st.recursive(
    st.sampled_from([INT, STRING, BOOL, DOUBLE, NULL, THING, DYN]),
    lambda inner: st.one_of(inner.map(list_of), st.tuples(inner, inner).map(lambda pair: map_of(*pair))),
    max_leaves=4,
)


@given(types, types)
def test_no_favourites(one: Type, other: Type) -> None:
    assert Unifier().fits((one,), (one,))
    assert Unifier().fits((one,), (DYN,))
    assert Unifier().fits((one,), (other,)) == Unifier().fits((other,), (one,))
    unifier = Unifier()
    parameter = unifier.fresh()
    assert unifier.fits((one,), (parameter,))
    assert unifier.resolved(parameter) == one
    assert unifier.fits((other,), (parameter,)) == Unifier().fits((one,), (other,))
