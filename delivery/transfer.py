"""One exchange with somebody who may be slow, silent or hostile: so long, so many bytes, and no more.

Time-outs of sockets measure silence, and a server that sends a byte a second is never silent. A transfer has one end
for all that belongs to it: what waits is interrupted from another thread, what arrives is counted.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType

from delivery.content import SourceError, Step


class Transfer:
    """A step of a source that is under way, as a context. What fails in it after its time is told as that."""

    def __init__(self, step: Step, whom: str, seconds: float, limit: int) -> None:
        """`whom` is who is asked, for messages; `seconds` how long all of it may take, `limit` its bytes."""
        self.step, self.whom, self.seconds = step, whom, seconds
        self._limit, self._received = limit, 0
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], None]] = []
        self._expired = False
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Transfer:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and isinstance(error, Exception):
            raise self._late() from error

    def left(self) -> float:
        """The seconds that are left, more than none. Raises SourceError when there are none."""
        left = self._end - time.monotonic()
        if self._expired or left <= 0:
            raise self._late()
        return left

    def interrupted_by(self, interrupt: Callable[[], None]) -> None:
        """`interrupt` makes whoever waits go on, with an error: called from another thread when the time is over."""
        with self._lock:
            if not self._expired:
                self._interrupts.append(interrupt)
                return
        _call(interrupt)

    def received(self, count: int) -> None:
        """So many bytes have come. Raises SourceError when they are too many."""
        self._received += count
        if self._received > self._limit:
            raise SourceError("limits", f"{self.whom} sends more than {self._limit >> 20} MiB")
        self.left()

    def error(self, text: str, retry_after: float = 0.0) -> SourceError:
        """That this step failed, and why."""
        return SourceError(self.step, text, retry_after)

    def _late(self) -> SourceError:
        return self.error(f"{self.whom} has not answered in full within {self.seconds:g} seconds")

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            _call(interrupt)


def _call(interrupt: Callable[[], None]) -> None:
    with contextlib.suppress(OSError, ValueError):  # it was over already
        interrupt()
