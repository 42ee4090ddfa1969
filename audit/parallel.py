"""A replay over several processes of this machine: some read what they are handed, then each decides a part of it.

All come to the same as one would: which of several pods is the example, and which of two Namespaces counts, follows
from the order in which they were read, and not from who read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from audit.gathering import Gathered
from audit.replay import Replay, Row
from engine.documents import Manifest, RequestError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Count = Callable[[int], None]
"""Called with how many there were so far."""


class Batch(Protocol):
    """Objects as the text of a JSON list, the first of which has the number `start` in the file of this name."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def data(self) -> bytes: ...


class _Wrong(NamedTuple):
    """A RequestError on its way from one process to another."""

    path: str
    message: str


class LostError(Exception):
    """A process ended before it was told to."""

    def __init__(self) -> None:
        super().__init__("a process of the replay ended; it may have been killed for its memory: try fewer `--jobs`")


def gather(given: Gathered, found: Iterable[Manifest | Batch], jobs: int, count: Count) -> None:
    """Gather all of these, read by so many processes. `count` is called with the number of pods. Raises
    RequestError, LostError, and whatever `found` raises."""
    if jobs < 2:
        for turn, one in enumerate(found):
            _take(given, turn, one)
            count(given.pods)
        return
    from multiprocessing.connection import Connection, wait  # whoever serves, or is one process, does without

    with _started(jobs, lambda end, _: _read(given.fresh(), end)) as ends:
        taken = dict.fromkeys(ends, 0)
        asking: list[Connection] = []
        for turn, one in enumerate(found):
            if isinstance(one, Manifest):  # which is data already
                _take(given, turn, one)
                continue
            while not asking:
                asking = [end for end in wait(ends) if isinstance(end, Connection)]
            end = asking.pop()
            taken[end] = _received(end)
            count(given.pods + sum(taken.values()))
            _send(end, (turn, one.name, one.start))
            _send_bytes(end, one.data)
        for end in ends:
            _received(end)
            _send(end, None)
        for end in ends:
            given.absorb(_received(end))


def rows(replay: Replay, jobs: int, count: Count) -> list[Row]:
    """`Replay.rows`, decided by so many processes. `count` is called with how many kinds of pods are decided."""
    kinds = replay.begin()
    if jobs < 2 or len(kinds) < jobs:
        found: list[Row] = []
        for kind in kinds:
            found.append(replay.of_kind(kind))
            count(len(found))
        return replay.rows(found)
    with _started(jobs, lambda end, at: _send(end, [replay.of_kind(kind) for kind in kinds[at::jobs]])) as ends:
        each: list[list[Row]] = [_received(end) for end in ends]
    in_turn = [each[place % jobs][place // jobs] for place in range(len(kinds))]
    count(len(in_turn))
    return replay.rows(in_turn)


def _take(given: Gathered, turn: int, one: Manifest | Batch) -> None:
    given.turn = turn
    if isinstance(one, Manifest):
        given.take(one.data, f"{one.source.name}: ")
    else:
        given.take_list(one.name, one.start, one.data)


def _read(given: Gathered, end: Connection) -> None:
    """What a process does that reads: it asks, and is handed something, until there is no more; then it says what it
    met."""
    while True:
        _send(end, given.pods)
        handed = end.recv()
        if handed is None:
            break
        given.turn, name, start = handed
        given.take_list(name, start, end.recv_bytes())
    _send(end, given)


@contextmanager
def _started(jobs: int, work: Callable[[Connection, int], None]) -> Iterator[list[Connection]]:
    """Processes that do some work, each with its number, and the ends at which they are heard; they are gone after."""
    import multiprocessing

    forking = multiprocessing.get_context("fork")
    ends: list[Connection] = []
    processes = []
    try:
        for number in range(jobs):
            here, there = forking.Pipe()
            ends.append(here)
            process = forking.Process(target=_work, args=(work, there, number, ends[:]), daemon=True)
            process.start()
            there.close()
            processes.append(process)
        yield ends
    finally:
        for end in ends:
            end.close()
        for process in processes:
            process.terminate()
            process.join()


def _work(work: Callable[[Connection, int], None], end: Connection, number: int, others: Iterable[Connection]) -> None:
    for other in others:
        other.close()
    try:
        work(end, number)
    except RequestError as error:
        _send(end, _Wrong(error.path, error.message))
    except (EOFError, LostError, KeyboardInterrupt):
        return  # nobody listens any more


def _send(end: Connection, what: object) -> None:
    try:
        end.send(what)
    except OSError as error:
        raise LostError from error


def _send_bytes(end: Connection, data: bytes) -> None:
    try:
        end.send_bytes(data)
    except OSError as error:
        raise LostError from error


def _received(end: Connection) -> Any:
    try:
        answer = end.recv()
    except (EOFError, OSError) as error:
        raise LostError from error
    if isinstance(answer, _Wrong):
        raise RequestError(*answer)
    return answer
