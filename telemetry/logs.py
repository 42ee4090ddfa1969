"""Logs: one line per record on standard error, and nobody waits for whoever reads them."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable

from engine.documents import printable_lines

OWN = "bayplan"
"""The logger of everything that is ours; others below it say which part of the process it is."""
MAX_LINES = 1_000
"""Lines that may wait to be written."""
FLUSH_SECONDS = 1.0


class _Records(logging.Formatter):
    """Records as lines that nobody but us can begin: what follows the first line of one is indented."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record)).replace("\n", "\n    ")


def configure_logging(dropped: Callable[[int], None] = lambda _: None) -> Callable[[], None]:
    """One line per record on standard error, UTC: ours from INFO on, of libraries warnings and errors only.

    A thread writes them. Where nobody reads, lines are dropped and `dropped` is told how many. What is returned writes
    what waits, for at most a second, and stops.
    """
    handler = _Writer(sys.stderr.fileno(), dropped)
    formatter = _Records("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(logging.INFO)
    return handler.close


class _Writer(logging.Handler):
    """Hands lines to a thread, which writes to the file descriptor itself: a stream's lock would be held at exit."""

    def __init__(self, descriptor: int, dropped: Callable[[int], None]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._dropped = dropped
        self._lost = 0
        self._counting = threading.Lock()  # not the handler's own, which whoever closes it holds
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record) + "\n")
        except queue.Full:
            with self._counting:
                self._lost += 1
            self._dropped(1)

    def close(self) -> None:
        try:
            self._lines.put(None, timeout=FLUSH_SECONDS)
            self._thread.join(FLUSH_SECONDS)
        except queue.Full:
            pass
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            with self._counting:
                lost, self._lost = self._lost, 0
            note = f"({lost} lines of the log were lost here, for nobody read them)\n" if lost else ""
            self._write((note + line).encode(errors="backslashreplace"))

    def _write(self, text: bytes) -> None:
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:  # the reader went away
            self._dropped(1)
