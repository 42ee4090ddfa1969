"""Turns: whose review is decided next, when several wait.

A decision holds the event loop until it is done. So only one is made in each of the loop's rounds, between two of which
what has arrived meanwhile is read; and where several wait, the next is of the origin that has had least of the
processor: of its reviews in the order in which they came, but that large ones let others pass for a while. A crowd of
dear reviews from one place then costs others one of them, not all: after a long one, what arrived meanwhile is first
read to where it waits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass, field

from webhook.connections import Connection, Origin

PATIENCE = 2e-7
"""Seconds that a review lets others pass for each of its bytes: a fifth of a second for a megabyte. No more, or a crowd
of small ones would keep a larger one waiting for ever."""
LONG_SECONDS = 0.005
"""A decision that takes longer of the processor has kept others from being read: they are, before the next one. It is
not long for having waited for other threads: in each round it would wait for them once more."""
ROUNDS = 16
"""It takes some from what lies in a socket to a request that waits for its turn: to read and decrypt, to parse, to
begin, and once more for each piece. Beside a hundred dear reviews, a good one waits half as long with 16 as with 4. A
round in which there is nothing to do takes microseconds."""
WAIT_SECONDS = 10.0
"""For how long a review may wait for its turn: longer than API servers are asked to wait."""


@dataclass(slots=True, order=True)
class _Waiting:
    due: float
    number: int
    since: float = field(compare=False)
    turn: asyncio.Future[bool] = field(compare=False)


class Turns:
    """The order of decisions on one event loop."""

    def __init__(self) -> None:
        self._taken = False
        self._numbers = itertools.count()
        self._waiting: dict[Origin, list[_Waiting]] = {}
        self._spent: dict[Origin, float] = {}
        self._running: tuple[Origin, float] | None = None
        self._rounds = 0

    def take(self) -> bool:
        """Take this round's turn, if nobody has it."""
        if self._taken:
            return False
        self._taken = True
        asyncio.get_running_loop().call_soon(self._next)
        return True

    async def mine(self, connection: Connection | None, size: int) -> bool:
        """Take a turn, or wait for one."""
        return self.take() or await self.wait(connection, size)

    async def wait(self, connection: Connection | None, size: int) -> bool:
        """Wait for a turn. False if it took too long, or the connection has ended: nothing is to be decided then."""
        loop = asyncio.get_running_loop()
        origin: Origin = connection.origin if connection is not None else ""
        now = time.monotonic()
        entry = _Waiting(now + PATIENCE * size, next(self._numbers), now, loop.create_future())
        heapq.heappush(self._waiting.setdefault(origin, []), entry)
        if connection is None:
            return await entry.turn

        def gone() -> None:
            if not entry.turn.done():
                entry.turn.set_result(False)

        connection.gone = gone
        try:
            return await entry.turn
        finally:
            connection.gone = None

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        if self._running is not None:
            origin, began = self._running
            took = time.thread_time() - began
            self._spent[origin] = self._spent.get(origin, 0.0) + took
            self._running = None
            self._rounds = ROUNDS if took > LONG_SECONDS else 0
        if self._rounds:
            self._rounds -= 1
            loop.call_soon(self._next)
            return
        while self._waiting:
            origin = min(self._waiting, key=lambda one: self._spent.get(one, 0.0))
            entry = heapq.heappop(self._waiting[origin])
            if not self._waiting[origin]:
                del self._waiting[origin]
            if entry.turn.done():
                continue
            in_time = now - entry.since <= WAIT_SECONDS
            entry.turn.set_result(in_time)
            if in_time:
                self._running = origin, time.thread_time()
                loop.call_soon(self._next)
                return
        self._taken = False
        self._spent.clear()
