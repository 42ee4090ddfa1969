"""Backlog: what waits in memory for a thread that takes it from there, within limits.

Who hands something over is answering somebody else: it takes a lock that is held for a moment, and never waits for
what the thread does. What is too much is dropped, and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """A queue of at most so many entries, and of so many bytes by `size_of`.

    `keep` says which stay where it is full: the newest, for what is worth most while it is new, or the oldest, for what
    is read in order. An entry that is too large by itself takes no other's place. `dropped` is called with how many are
    lost, from whichever thread it is. Any thread may add; one takes.
    """

    def __init__(
        self,
        entries: int,
        size: int,
        size_of: Callable[[T], int],
        dropped: Callable[[int], None],
        *,
        keep: Literal["newest", "oldest"] = "newest",
    ) -> None:
        self._entries, self._bytes = entries, size
        self._size_of, self._dropped, self._keeps_oldest = size_of, dropped, keep == "oldest"
        self._queue: deque[T] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._filled, self._closing = threading.Event(), threading.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, one: T) -> None:
        """Hand over an entry. Never waits for who takes it."""
        size = self._size_of(one)
        with self._lock:
            first = not self._queue
            full = len(self._queue) >= self._entries or self._size + size > self._bytes
            refused = size > self._bytes or (full and self._keeps_oldest)
            if not refused:
                self._queue.append(one)
                self._size += size
            dropped = 1 if refused else self._fit() if full else 0
        if dropped:
            self._dropped(dropped)
        if first and not refused:
            self._filled.set()

    def take(self, entries: int = 0, size: int = 0) -> list[T]:
        """The oldest, so many and until they have so many bytes together; all where nothing is said."""
        with self._lock:
            self._filled.clear()
            if not entries:
                whole, self._queue, self._size = self._queue, deque(), 0
                return list(whole)
            batch, taken = list[T](), 0
            while self._queue and len(batch) < entries and (not size or taken < size):
                batch.append(self._queue.popleft())
                taken += self._size_of(batch[-1])
            self._size -= taken
            if self._queue:
                self._filled.set()
        return batch

    def put_back(self, batch: Sequence[T]) -> None:
        """Let what was taken wait again, before what came since."""
        with self._lock:
            self._queue.extendleft(reversed(batch))
            self._size += sum(map(self._size_of, batch))
            dropped = self._fit()
            self._filled.set()
        if dropped:
            self._dropped(dropped)

    def wait(self, seconds: float | None = None) -> None:
        """Until there is something, or it is closed; for so long at most."""
        self._filled.wait(seconds)

    def rest(self, seconds: float) -> None:
        """Let entries gather for so long, unless it is closed."""
        self._closing.wait(seconds)

    @property
    def closed(self) -> bool:
        """Whether what waits is the last that will be taken."""
        return self._closing.is_set()

    def close(self, thread: threading.Thread, seconds: float) -> int:
        """Wake who takes, and wait for so long that it ends; how many then wait still, which nobody will take."""
        self._closing.set()
        self._filled.set()
        if thread.is_alive():
            thread.join(seconds)
        return len(self.take())

    def _fit(self) -> int:
        """Drop the oldest of what is too much; how many."""
        dropped = 0
        while len(self._queue) > self._entries or self._size > self._bytes:
            self._size -= self._size_of(self._queue.popleft())
            dropped += 1
        return dropped
