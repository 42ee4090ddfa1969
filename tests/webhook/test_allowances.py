"""webhook.allowances: who fills what is theirs takes nothing from others."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from webhook import allowances
from webhook.allowances import Places, Rate, Requests


class Thing(NamedTuple):
    namespace: str
    number: int = 0


def test_a_namespace_may_have_so_many_at_once_and_then_each_second() -> None:
    requests = Requests(Rate(3, 0.5), Rate(100, 10))
    assert [requests.take("a", 10.0) for _ in range(4)] == [True, True, True, False]
    assert requests.take("b", 10.0)
    assert not requests.take("a", 11.0)
    assert requests.take("a", 12.0)
    assert not requests.take("a", 12.0)
    assert [requests.take("a", 1_000.0) for _ in range(4)] == [True, True, True, False]


def test_all_together_may_have_so_many() -> None:
    requests = Requests(Rate(3, 0.5), Rate(4, 1))
    assert [requests.take(name, 0.0) for name in "abcde"] == [True, True, True, True, False]
    assert [requests.take(name, 1.0) for name in "ef"] == [True, False]


def test_a_million_namespaces_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "MAX_NAMESPACES", 2)
    requests = Requests(Rate(1, 0), Rate(100, 0))
    assert [requests.take(name, 0.0) for name in ("a", "b", "c", "b", "a")] == [True, True, True, False, True]


def test_the_oldest_of_a_full_namespace_makes_room() -> None:
    places: Places[int, Thing] = Places(2, 10)
    for number in range(3):
        assert places.add(number, Thing("a", number)) == (Thing("a", 0) if number == 2 else None)
    assert places.add(9, Thing("b")) is None
    assert [key for key, _ in places.items()] == [1, 2, 9]
    assert places.get(1) == Thing("a", 1)
    assert places.add(3, Thing("a", 3)) == Thing("a", 2)


def test_the_oldest_of_all_makes_room_where_all_is_full() -> None:
    places: Places[int, Thing] = Places(2, 3)
    for number, name in enumerate("abcd"):
        places.add(number, Thing(name, number))
    assert [one.namespace for _, one in places.items()] == ["b", "c", "d"]
    assert len(places) == 3


def test_a_place_that_is_left_is_free() -> None:
    places: Places[int, Thing] = Places(1, 3)
    places.add(1, Thing("a"))
    assert places.remove(1) == Thing("a")
    assert places.remove(1) is None
    assert places.add(2, Thing("a")) is None
