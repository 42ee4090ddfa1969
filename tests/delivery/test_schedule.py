"""delivery.schedule: pauses grow and end, and replicas do not ask at one time."""

from __future__ import annotations

from collections.abc import Iterator

from delivery.schedule import Schedule
from delivery.transaction import StepFailedError


def pauses(failed: StepFailedError | None, *, interval: float = 60.0) -> Iterator[float]:
    schedule = Schedule(interval, 0.0, patient=False)
    for _ in range(12):
        yield schedule.pause(failed, 0.0)


def failing(step: str, retry_after: float = 0.0) -> StepFailedError:
    return StepFailedError(step, "", lasting=False, retry_after=retry_after)  # type: ignore[arg-type]


def test_pauses_grow_and_end() -> None:
    assert set(pauses(None)) == {60.0}
    assert set(pauses(StepFailedError("parse", "", lasting=True))) == {60.0}
    assert list(pauses(failing("look")))[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert list(pauses(failing("fetch")))[5:] == [32, 64, 128, 256, 300, 300, 300]
    assert set(pauses(failing("look", 120.0))) == {120.0}
    assert list(pauses(failing("look"), interval=0.5))[:3] == [0.5, 0.5, 0.5]


def test_after_good_news_it_begins_anew() -> None:
    schedule = Schedule(60.0, 0.0, patient=False)
    assert [schedule.pause(failed, 0.0) for failed in (failing("look"), failing("look"), None, failing("look"))] == [
        1,
        2,
        60,
        1,
    ]


def test_who_takes_long_is_asked_less_often() -> None:
    assert Schedule(0.5, 0.0, patient=True).pause(None, 1.0) == 10.0
    assert Schedule(60.0, 0.0, patient=False).pause(None, 30.0) == 60.0


def test_replicas_ask_at_different_times() -> None:
    schedule = Schedule(60.0, 0.2, patient=False)
    found = [schedule.pause(None, 0.0) for _ in range(1_000)]
    assert 48 <= min(found) < 52
    assert 68 < max(found) <= 72
