"""webhook.connections: who gets a place, and who must go."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from webhook.connections import FEW, Connection, Connections, Limits, Origin, Phase, origin_of, shown


class Port:
    """Connections of a port with small limits, a clock that is turned by hand, and what was dropped."""

    def __init__(self, connections: int = 100, of_one: int = 60, bodies: int = 1000, bodies_of_one: int = 600) -> None:
        self.now = 0.0
        self.dropped: list[tuple[str, Origin]] = []
        self.cut: list[Connection] = []
        limits = Limits(
            connections=connections, of_one_origin=of_one, bodies=bodies, bodies_of_one_origin=bodies_of_one
        )
        self.places = Connections(limits, lambda: self.now, lambda why, origin, _: self.dropped.append((why, origin)))

    def enter(self, origin: str, phase: Phase = Phase.GREETING) -> Connection | None:
        self.now += 0.001
        made: list[Connection] = []
        connection = self.places.enter(origin, phase, lambda: self.cut.extend(made))
        if connection is not None:
            made.append(connection)
        return connection

    def crowd(self, origin: str, count: int, phase: Phase = Phase.GREETING) -> list[Connection]:
        found = [self.enter(origin, phase) for _ in range(count)]
        return [one for one in found if one is not None]


def test_an_origin_that_has_its_share_makes_room_for_itself() -> None:
    port = Port()
    first, *_ = port.crowd("a", 60)
    other = port.enter("b")
    assert port.enter("a") is not None
    assert port.cut == [first]
    assert other in port.places
    assert len(port.places) == 61


def test_where_all_is_taken_who_has_owed_longest_of_the_largest_crowd_goes() -> None:
    port = Port()
    good = port.crowd("good", 10, Phase.RESTING)
    small = port.crowd("b", 40)
    large = port.crowd("a", 50)
    assert port.enter("good") is not None
    assert port.cut == [large[0]]
    for _ in range(9):
        port.enter("c")
    assert all(one in port.places for one in (*good, *small))


def test_the_newest_of_somebody_goes_for_no_crowd_that_rests() -> None:
    """A connection of the API server's that has just been made, while a flood rests."""
    port = Port(of_one=99)
    resting = port.crowd("a", 99, Phase.RESTING)
    new = port.enter("good")
    for _ in range(FEW - 1):
        assert port.enter("b") is not None
    assert port.cut == resting[: FEW - 1]
    assert new in port.places


def test_what_is_being_answered_never_goes() -> None:
    port = Port(connections=50, of_one=50)
    busy = port.crowd("a", 50, Phase.BUSY)
    assert port.enter("b") is None
    assert port.enter("a") is None
    assert port.cut == []
    port.places.move(busy[7], Phase.RESTING)
    assert port.enter("b") is not None
    assert port.cut == [busy[7]]


def test_progress_is_what_keeps_a_place() -> None:
    port = Port()
    first, second, *_ = port.crowd("a", 60)
    port.places.move(first, Phase.HANDSHAKE)
    port.enter("a")
    assert port.cut == [second]


@pytest.mark.parametrize("phase", [Phase.GREETING, Phase.HANDSHAKE, Phase.OPEN, Phase.HEAD, Phase.BODY, Phase.READING])
def test_nothing_is_owed_for_ever(phase: Phase) -> None:
    port = Port()
    late = port.enter("a", phase)
    for other in (Phase.BUSY, Phase.RESTING):
        port.enter("a", other)
    assert late is not None
    port.now = late.since + port.places.limits.seconds[phase] - 0.01
    port.places.sweep()
    assert port.cut == []
    port.now += 0.02
    port.places.sweep()
    assert port.cut == [late]
    assert port.dropped == [("late", "a")]


def test_bodies_have_a_limit_for_each_origin_and_in_all() -> None:
    port = Port()
    large, small = port.crowd("a", 2, Phase.BODY)
    other = port.crowd("b", 1, Phase.BODY)[0]
    port.places.hold(large, 500)
    port.places.hold(small, 100)
    assert port.cut == []
    port.places.hold(other, 401)
    assert port.cut == [large]
    assert port.places.held == 501
    port.places.hold(other, 200)
    assert port.cut == [large, other]
    assert port.places.held == 100


def test_the_last_who_is_too_much_goes_itself() -> None:
    port = Port()
    (busy,) = port.crowd("a", 1, Phase.BUSY)
    port.places.hold(busy, 550)
    (late,) = port.crowd("a", 1, Phase.BODY)
    port.places.hold(late, 100)
    assert port.cut == [late]
    assert port.places.held == 550


def test_a_body_that_waits_for_its_turn_may_go() -> None:
    told = []
    port = Port()
    (waiting,) = port.crowd("a", 1, Phase.BUSY)
    waiting.gone = lambda: told.append(waiting)
    port.places.hold(waiting, 550)
    (late,) = port.crowd("a", 1, Phase.BODY)
    port.places.hold(late, 100)
    assert port.cut == told == [waiting]


def test_books_are_kept_whatever_happens() -> None:
    """Random days: in the end nothing is counted that is not there."""
    for seed in range(50):
        dice = random.Random(seed)
        port = Port(connections=30, of_one=20)
        alive: list[Connection] = []

        def some(do: Callable[[Connection], None], alive: list[Connection] = alive, dice: random.Random = dice) -> None:
            if alive:
                do(dice.choice(alive))

        for _ in range(400):
            port.now += dice.random()
            match dice.randrange(6):
                case 0 | 1:
                    one = port.enter(dice.choice("abcd"), dice.choice(list(Phase)))
                    alive += [one] if one else []
                case 2:
                    some(lambda one: port.places.move(one, dice.choice(list(Phase))))  # noqa: B023
                case 3:
                    some(lambda one: port.places.hold(one, dice.randrange(400)))  # noqa: B023
                case 4:
                    some(port.places.release)
                case 5:
                    some(port.places.leave)
            if not dice.randrange(20):
                port.places.sweep()
            alive = [one for one in alive if one in port.places]
            assert len(alive) == len(port.places) <= 30
            assert sum(one.held for one in alive) == port.places.held <= 1000
        for one in alive:
            port.places.leave(one)
        assert (len(port.places), port.places.held) == (0, 0)
        books = (port.places._owing, port.places._resting, port.places._count, port.places._bodies, port.places._owed)
        assert books == ({}, {}, {}, {}, 0)


def test_origins() -> None:
    assert origin_of("10.1.2.3") == origin_of("::ffff:10.1.2.3") == "10.1.2.3"
    assert origin_of("2001:db8::1") == origin_of("2001:db8:0:0:ffff::1")
    assert origin_of("2001:db8::1") != origin_of("2001:db8:0:1::1")
    assert origin_of("fe80::1%lo") == origin_of("fe80::2")
    assert shown(origin_of("2001:db8:0:1::7")) == "2001:db8:0:1::/64"
    assert shown("10.1.2.3") == "10.1.2.3"
