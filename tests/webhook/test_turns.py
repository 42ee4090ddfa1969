"""webhook.turns: one decision in a round of the event loop, what is done apart, and whose comes next."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from webhook import turns
from webhook.connections import Connection, Phase
from webhook.turns import Apart, NoTurnError, Runs, Turns


def connection(origin: str) -> Connection:
    return Connection(origin, Phase.BUSY, 0.0, lambda: None)


def work(seconds: float) -> None:
    """Keep the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def order(asked: Sequence[tuple[str, int]], seconds: float = 0.0) -> list[tuple[str, int]]:
    """In which order reviews that come at once are decided; each takes so long."""
    mine, done = Turns(), []

    async def decide(origin: str, size: int) -> None:
        if await mine.mine(connection(origin), size):
            work(seconds)  # a decision gives nobody else the loop
            done.append((origin, size))

    async with asyncio.TaskGroup() as group:
        for origin, size in asked:
            group.create_task(decide(origin, size))
    return done


def test_whoever_comes_alone_waits_for_nobody() -> None:
    async def alone() -> list[bool]:
        mine, taken = Turns(), []
        for _ in range(3):
            taken.append(mine.take())
            taken.append(mine.take())
            await asyncio.sleep(0.001)
        return taken

    assert asyncio.run(alone()) == [True, False] * 3


def test_small_ones_of_an_origin_pass_large_ones() -> None:
    done = asyncio.run(order([("a", 5), ("a", 9_000_000), ("a", 1_000_000), ("a", 3)]))
    assert done == [("a", 5), ("a", 3), ("a", 1_000_000), ("a", 9_000_000)]


def test_but_not_for_ever() -> None:
    """A larger one comes before smaller ones that came much later: they would never end."""

    async def behind_a_stream() -> int:
        mine, passed = Turns(), 0

        async def stream() -> None:
            nonlocal passed
            while await mine.mine(connection("a"), 0):
                work(0.001)
                passed += 1

        crowd = [asyncio.create_task(stream()) for _ in range(3)]
        await asyncio.sleep(0.01)
        before = passed
        assert await mine.mine(connection("a"), 100_000)
        for one in crowd:
            one.cancel()
        return passed - before

    assert asyncio.run(behind_a_stream()) < 1_000


def test_a_crowd_of_one_origin_costs_another_one_of_them() -> None:
    asked = [("crowd", n) for n in range(20)] + [("good", 50)]
    done = asyncio.run(order(asked, seconds=0.002))
    assert done.index(("good", 50)) <= 2
    assert len(done) == 21


def test_others_are_heard_between_two_decisions() -> None:
    """Between two turns the loop goes round: it reads what has come, and runs what is due."""

    async def rounds() -> int:
        heard = 0

        async def listen() -> None:
            nonlocal heard
            while True:
                await asyncio.sleep(0)
                heard += 1

        listener = asyncio.create_task(listen())
        await order([("a", n) for n in range(50)])
        listener.cancel()
        return heard

    assert asyncio.run(rounds()) >= 50


def test_who_has_gone_or_waited_too_long_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> list[bool]:
        mine, leaving, staying = Turns(), connection("a"), connection("b")
        first = asyncio.create_task(mine.mine(connection("c"), 1))
        waiting = [first, *(asyncio.create_task(mine.mine(one, 1)) for one in (leaving, staying))]
        await asyncio.sleep(0)
        assert leaving.gone is not None
        leaving.gone()
        answers = await asyncio.gather(*waiting)
        monkeypatch.setattr(turns, "WAIT_SECONDS", -1.0)
        await asyncio.sleep(0.01)
        assert mine.take()
        return [*answers, await mine.wait(staying, 1)]

    assert asyncio.run(go()) == [True, False, True, False]


def test_what_comes_while_a_long_one_is_decided_is_read_before_the_next_is_chosen() -> None:
    """A request is read in several rounds of the loop; that it is, costs others no decision more."""

    async def beside_a_crowd() -> int:
        mine, decided, seen = Turns(), 0, []

        async def crowd() -> None:
            nonlocal decided
            while await mine.mine(connection("crowd"), 0):
                work(2 * turns.LONG_SECONDS)
                decided += 1

        async def read() -> None:
            came = decided
            for _ in range(turns.ROUNDS - 1):
                await asyncio.sleep(0)
            assert await mine.mine(connection("good"), 0)
            seen.append(decided - came)

        tasks = [asyncio.create_task(crowd()) for _ in range(10)]
        for _ in range(5):
            await asyncio.sleep(0.03)
            await read()
        for one in tasks:
            one.cancel()
        return max(seen)

    assert asyncio.run(beside_a_crowd()) <= 1


def test_who_only_waited_for_others_was_not_long() -> None:
    """A thread that compiles takes turns with the loop: each round then costs a wait for it."""

    async def rounds(decide: Callable[[float], None]) -> int:
        mine, heard, at = Turns(), 0, []

        async def one() -> None:
            assert await mine.mine(connection("a"), 0)
            at.append(heard)
            decide(2 * turns.LONG_SECONDS)

        tasks = [asyncio.create_task(one()) for _ in range(3)]
        while not all(task.done() for task in tasks):
            heard += 1
            await asyncio.sleep(0)
        return at[2] - at[1]

    assert asyncio.run(rounds(time.sleep)) <= 2
    assert asyncio.run(rounds(work)) >= turns.ROUNDS


def test_the_loop_goes_round_while_something_is_done_apart() -> None:
    async def rounds() -> int:
        apart, heard = Apart(), 0
        began, heard_enough = threading.Event(), threading.Event()

        def wait() -> bool:
            began.set()
            return heard_enough.wait(10.0)

        running = asyncio.create_task(_of(apart, "a", 1)(wait))
        while not began.is_set():
            await asyncio.sleep(0.001)
        for _ in range(100):
            await asyncio.sleep(0)
            heard += 1
        assert apart.busy_seconds() > 0.0
        heard_enough.set()
        assert await running
        assert apart.busy_seconds() == 0.0
        return heard

    assert asyncio.run(rounds()) == 100


def test_apart_a_crowd_of_one_origin_costs_another_one_of_them() -> None:
    async def order_apart() -> list[str]:
        apart, done = Apart(), list[str]()

        def decide(origin: str) -> None:
            work(0.002)
            done.append(origin)

        async with asyncio.TaskGroup() as group:
            for origin in (*["crowd"] * 20, "good"):
                group.create_task(_of(apart, origin, 100)(partial(decide, origin)))
        return done

    assert asyncio.run(order_apart()).index("good") <= 2


def test_what_was_read_is_decided_before_others_are_read() -> None:
    """Or all that wait would be in memory as read, which takes ten times as much."""

    async def pieces() -> list[str]:
        apart, done = Apart(), list[str]()

        async def answer(name: str) -> None:
            run = _of(apart, "a", 100)
            await run(partial(done.append, f"read {name}"))
            await run(partial(done.append, f"decided {name}"))

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(answer(name))
        return done

    assert asyncio.run(pieces()) == [f"{what} {name}" for name in "abc" for what in ("read", "decided")]


def test_apart_who_has_gone_or_waited_too_long_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> list[object]:
        apart, first, leaving = Apart(), connection("a"), connection("b")
        may_end = threading.Event()
        running = asyncio.create_task(apart.of(first, 1)(partial(may_end.wait, 10.0)))
        waiting = asyncio.create_task(apart.of(leaving, 1)(object))
        await asyncio.sleep(0)
        assert first.gone is None  # who is being answered is not cut
        assert leaving.gone is not None
        leaving.gone()
        may_end.set()
        answers = await asyncio.gather(running, waiting, return_exceptions=True)
        monkeypatch.setattr(turns, "WAIT_SECONDS", -1.0)
        return [*answers, *await asyncio.gather(_of(apart, "c", 1)(object), return_exceptions=True)]

    done, *refused = asyncio.run(go())
    assert done is True
    assert [type(each) for each in refused] == [NoTurnError, NoTurnError]


def test_what_is_raised_apart_is_raised_to_who_asked_and_others_go_on() -> None:
    async def go() -> object:
        apart = Apart()
        with pytest.raises(ZeroDivisionError):
            await _of(apart, "a", 1)(lambda: 1 // 0)
        cancelled = asyncio.create_task(_of(apart, "a", 1)(partial(time.sleep, 0.05)))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        return await _of(apart, "b", 1)(lambda: "done")

    assert asyncio.run(go()) == "done"


def _of(apart: Apart, origin: str, size: int) -> Runs:
    return apart.of(connection(origin), size)
