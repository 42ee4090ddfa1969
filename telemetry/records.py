"""DecisionLog: one JSON line per decision, written by a thread of its own.

A line is encoded where the decision is made and handed to one writer thread. The buffer is bounded: when whoever reads
the log is too slow, lines are dropped and counted, and no admission ever waits.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import BinaryIO

from engine.documents import printable_json

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
        self._max_lines, self._max_bytes = lines, size
        self._waiting: list[bytes] = []
        self._size = 0
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hand over one line, without its line end. Never waits for the stream."""
        if self._also is not None:
            self._also(line)
        with self._lock:
            full = len(self._waiting) >= self._max_lines or self._size + len(line) > self._max_bytes
            if not full:
                self._waiting.append(line)
                self._size += len(line)
                first = len(self._waiting) == 1
        if full:
            self._dropped("full", 1)
        elif first:
            self._filled.set()

    def depth(self) -> int:
        """Lines that wait for the writer."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits, for at most two seconds, and stop."""
        self._closing.set()
        self._filled.set()
        self._thread.join(FLUSH_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._filled.wait()
            self._closing.wait(GATHER_SECONDS)
            self._filled.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._waiting, self._size = self._waiting, [], 0
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
