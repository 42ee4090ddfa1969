"""Turns: whose review is decided next, when several wait.

A small review is decided on the event loop, which it holds until it is done. So only one is made in each of the loop's
rounds, between two of which what has arrived meanwhile is read; and where several wait, the next is of the origin that
has had least of the processor: of its reviews in the order in which they came, but that large ones let others pass for
a while. A crowd of dear reviews from one place then costs others one of them, not all: after a long one, what arrived
meanwhile is first read to where it waits.

A large one is read and decided apart, by a thread that does one piece of work after the other, in the same order. The
loop takes the interpreter back from it within `SWITCH_SECONDS` of `delivery.activation`, and need not wait until a dear
one is done.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

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

T = TypeVar("T")
_GONE = object()
"""What comes of a turn that does not come."""


class Runs(Protocol):
    """Who does a piece of work that may take long: at once, or elsewhere; and what it comes to, or raises."""

    def __call__(self, work: Callable[[], T], /) -> Coroutine[Any, Any, T]: ...


async def at_once(work: Callable[[], T]) -> T:
    """Do it here and now."""
    return work()


class NoTurnError(Exception):
    """A review waited too long for its turn, or its connection has ended: nothing is to be decided."""


@dataclass(slots=True, order=True)
class _Waiting:
    due: float
    number: int
    since: float = field(compare=False)
    connection: Connection | None = field(compare=False)
    turn: asyncio.Future[Any] = field(compare=False)
    work: Callable[[], Any] | None = field(default=None, compare=False)

    @property
    def origin(self) -> Origin:
        return self.connection.origin if self.connection is not None else ""

    def gone(self) -> None:
        """Nobody waits for it any more."""
        if not self.turn.done():
            self.turn.set_result(_GONE)

    def begin(self) -> None:
        """It has its turn: who is being answered is not cut."""
        if self.connection is not None:
            self.connection.gone = None


class _Line:
    """Reviews that wait, and what each origin has had of the processor, in seconds."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._waiting: dict[Origin, list[_Waiting]] = {}
        self._spent: dict[Origin, float] = {}

    def due(self, size: int) -> float:
        """The place in the line of a review that comes now: at its end, or before larger ones."""
        return time.monotonic() + PATIENCE * size

    def enter(self, connection: Connection | None, due: float, work: Callable[[], Any] | None = None) -> _Waiting:
        """Wait in that place, until the connection ends."""
        now = time.monotonic()
        turn = asyncio.get_running_loop().create_future()
        entry = _Waiting(due, next(self._numbers), now, connection, turn, work)
        heapq.heappush(self._waiting.setdefault(entry.origin, []), entry)
        if connection is not None:
            connection.gone = entry.gone
        return entry

    def next(self) -> _Waiting | None:
        """Who comes next, and has not gone nor waited for too long; None if nobody waits."""
        now = time.monotonic()
        while self._waiting:
            origin = min(self._waiting, key=lambda one: self._spent.get(one, 0.0))
            entry = heapq.heappop(self._waiting[origin])
            if not self._waiting[origin]:
                del self._waiting[origin]
            if now - entry.since > WAIT_SECONDS:
                entry.gone()
            if not entry.turn.done():
                entry.begin()
                return entry
        self._spent.clear()
        return None

    def spend(self, origin: Origin, seconds: float) -> None:
        self._spent[origin] = self._spent.get(origin, 0.0) + seconds


class Turns:
    """The order of decisions on one event loop."""

    def __init__(self) -> None:
        self._taken = False
        self._line = _Line()
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
        try:
            await _turn(self._line.enter(connection, self._line.due(size)))
        except NoTurnError:
            return False
        return True

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        if self._running is not None:
            origin, began = self._running
            took = time.thread_time() - began
            self._line.spend(origin, took)
            self._running = None
            self._rounds = ROUNDS if took > LONG_SECONDS else 0
        if self._rounds:
            self._rounds -= 1
            loop.call_soon(self._next)
            return
        entry = self._line.next()
        if entry is None:
            self._taken = False
            return
        entry.turn.set_result(None)
        self._running = entry.origin, time.thread_time()
        loop.call_soon(self._next)


class Apart:
    """What takes long, in a thread of its own, one after the other."""

    def __init__(self) -> None:
        self._line = _Line()
        self._busy = False
        self._began = 0.0
        self._thread = ThreadPoolExecutor(1, "apart")

    def busy_seconds(self) -> float:
        """How long it has been at the piece that is being done; 0 if there is none. From any thread."""
        return time.monotonic() - self._began if self._busy else 0.0

    def of(self, connection: Connection | None, size: int) -> Runs:
        """Who does the work of one review of this size, in pieces. What one of them comes to does not wait in memory
        until others have begun: the next piece has the place of the first. It raises NoTurnError where a piece is not
        begun, for nobody waits for it any more.
        """
        due = self._line.due(size)

        async def run(work: Callable[[], T]) -> T:
            entry = self._line.enter(connection, due, work)
            self._next()
            result: T = await _turn(entry)
            return result

        return run

    def _next(self) -> None:
        if self._busy:
            return
        entry = self._line.next()
        if entry is not None:
            self._began, self._busy = time.monotonic(), True
            self._thread.submit(self._work, asyncio.get_running_loop(), entry)

    def _work(self, loop: asyncio.AbstractEventLoop, entry: _Waiting) -> None:
        """In the thread."""
        assert entry.work is not None
        began = time.thread_time()
        result, error = _outcome(entry.work)
        took = time.thread_time() - began
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._done, entry, result, error, took)

    def _done(self, entry: _Waiting, result: object, error: Exception | None, took: float) -> None:
        self._busy = False
        self._line.spend(entry.origin, took)
        if not entry.turn.done():
            if error is None:
                entry.turn.set_result(result)
            else:
                entry.turn.set_exception(error)
        asyncio.get_running_loop().call_soon(self._next)  # once whoever waited has come with the next piece


def _outcome(work: Callable[[], object]) -> tuple[object, Exception | None]:
    """What work comes to, or raises: by a function of its own, whose frame the exception may keep for a while."""
    try:
        return work(), None
    except Exception as error:
        return None, error


async def _turn(entry: _Waiting) -> Any:
    """What comes of a turn. Raises NoTurnError where it does not come."""
    try:
        result = await entry.turn
    finally:
        entry.begin()
    if result is _GONE:
        raise NoTurnError
    return result
