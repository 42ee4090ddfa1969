"""DecisionLog: one JSON line per decision, written by a thread of its own.

A line is encoded where the decision is made and handed to one writer thread. The buffer is bounded: when whoever reads
the log is too slow, lines are dropped and counted, and no admission ever waits.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from engine.documents import printable_json
from telemetry.backlog import Backlog

MAX_LINES = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""Lines, and bytes of all lines together, that may wait for the writer."""
GATHER_SECONDS = 0.02
"""How long the writer lets lines gather, so that it is not woken for each."""
FLUSH_SECONDS = 2.0


class DecisionLog:
    """Lines on their way to a stream. `dropped` is called with the reason and the number of lines that were lost;
    `also` gets each line too, and must not wait."""

    def __init__(
        self,
        stream: BinaryIO,
        dropped: Callable[[str, int], None],
        *,
        also: Callable[[bytes], None] | None = None,
        lines: int = MAX_LINES,
        size: int = MAX_BYTES,
    ) -> None:
        self._stream = stream
        self._dropped, self._also = dropped, also
        self._backlog = Backlog[bytes](lines, size, len, partial(dropped, "full"), keep="oldest")
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hand over one line, without its line end. Never waits for the stream."""
        if self._also is not None:
            self._also(line)
        self._backlog.add(line)

    def depth(self) -> int:
        """Lines that wait for the writer."""
        return len(self._backlog)

    def close(self) -> None:
        """Write what waits, for at most two seconds, and stop."""
        left = self._backlog.close(self._thread, FLUSH_SECONDS)
        if left:
            self._dropped("write", left)

    def _run(self) -> None:
        while not self._backlog.closed:
            self._backlog.wait()
            self._backlog.rest(GATHER_SECONDS)
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = self._backlog.take()
        if not lines:
            return
        try:
            self._stream.write(b"\n".join(map(printable_json, lines)) + b"\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader went away, or the stream was closed under us
            self._dropped("write", len(lines))


def now() -> str:
    """The time in RFC 3339 with microseconds, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
