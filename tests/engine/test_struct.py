"""engine.struct: values with fields that are not compared or not printed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from engine.struct import Marked, Struct, field, replace


class Plain(Struct, frozen=True):
    name: str


class Placed(Marked, frozen=True):
    unprinted = ("key", "place")
    uncompared = ("place",)

    name: str
    key: str = ""
    place: int = 0
    more: Mapping[str, int] = field(default_factory=dict)


class Secret(Marked, frozen=True):
    unprinted = ("key",)

    key: str


@dataclass(frozen=True)
class Data:
    name: str


def test_what_is_not_compared_changes_neither_equality_nor_hash() -> None:
    one, other = Placed("a", "k", 1), Placed("a", "k", 2)
    assert one == other
    assert Placed("a", "k", more={"b": 1}) != one
    assert Placed("a", "other", 1) != one
    some: list[object] = [Plain("a"), "a", ("a", "k", {})]
    assert one not in some
    assert hash(Placed("a", more=())) == hash(Placed("a", place=9, more=()))  # type: ignore[arg-type]


def test_all_is_compared_where_nothing_else_is_said() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_what_is_not_printed_is_in_no_text() -> None:
    assert repr(Placed("a", "secret", 5)) == "Placed(name='a', more={})"
    assert f"{Secret('secret')}" == "Secret()"


def test_they_are_frozen_and_travel() -> None:
    one = Placed("a", "k", 1)
    with pytest.raises(AttributeError):
        one.name = "b"  # type: ignore[misc]
    found = pickle.loads(pickle.dumps(one))
    assert (found, found.key, found.place) == (one, "k", 1)


def test_replace_takes_values_of_all_kinds() -> None:
    assert replace(Placed("a", "k", 1), place=3).place == 3
    assert (replace(Plain("a"), name="b"), replace(Data("a"), name="b")) == (Plain("b"), Data("b"))
    with pytest.raises(TypeError):
        replace(Plain("a"), other="b")
