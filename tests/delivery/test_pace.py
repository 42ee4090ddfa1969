"""delivery.pace: work beside answers rests between its pieces, and rests no longer than it worked."""

from __future__ import annotations

import time

import pytest

from delivery import pace
from delivery.pace import Pace
from delivery.transaction import Demands, candidate_of
from tests.delivery.bad_bundles import good
from tests.delivery.shelf import Shelf


def at(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[float]:
    """A clock that says these; the rests that follow go into what is returned."""
    times = iter(seconds)
    monkeypatch.setattr("delivery.pace.time.perf_counter", lambda: next(times))
    return []


def test_it_rests_as_long_as_it_worked_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = at(monkeypatch, 10.0, 10.03, 20.0, 25.0, 30.0)
    work = Pace(rests.append)
    work.rest()
    work.rest()
    assert rests == [pytest.approx(0.03), pace.MOST_SECONDS]


def test_small_pieces_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = at(monkeypatch, 10.0, 10.001, 10.0015, 10.003, 10.1)
    work = Pace(rests.append)
    for _ in range(3):
        work.rest()
    assert rests == [pytest.approx(0.003)]


def test_a_candidate_is_made_in_pieces() -> None:
    shelf, rests = Shelf(), list[int]()
    shelf.publish(good("1.0.0"))
    candidate = candidate_of(shelf.fetch(), Demands(), {}, time.time(), lambda: rests.append(1))
    assert len(rests) >= len(candidate.bundle.policies) + 2
