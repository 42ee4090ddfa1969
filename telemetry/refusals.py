"""What got no review: counted, and logged often enough to be seen and seldom enough not to be a flood itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from telemetry.metrics import Metrics

QUIET_SECONDS = 10.0
"""After a line about a reason, others of that reason are only counted for so long."""
UNSAID = frozenset({"left"})
"""Only counted: load balancers and probes of ports connect and go without a word."""
MAX_SENTENCE = 300

log = logging.getLogger("bayplan.refusals")


class Refusals:
    """Refusals of one port, by reason: an HTTP status, or a word where there was no HTTP. From any thread."""

    def __init__(self, metrics: Metrics, port: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._port = port
        self._clock = clock
        self._lock = threading.Lock()
        self._spoke: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def __call__(self, reason: str, whom: str, sentence: str) -> None:
        """Count one, and log it unless one like it was logged just now. `sentence` may quote the client."""
        self._metrics.refused(self._port, reason)
        if reason in UNSAID:
            return
        now = self._clock()
        with self._lock:
            if now - self._spoke.get(reason, -QUIET_SECONDS) < QUIET_SECONDS:
                self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
                return
            self._spoke[reason] = now
            unsaid = self._unsaid.pop(reason, 0)
        log.warning("%s port, %s: %s %s%s", self._port, reason, whom, _printable(sentence), _more(unsaid))

    def flush(self) -> None:
        """Tell of what was only counted, where nothing of its reason has been said for a while."""
        now = self._clock()
        with self._lock:
            due = [reason for reason in self._unsaid if now - self._spoke[reason] >= QUIET_SECONDS]
            told = {reason: self._unsaid.pop(reason) for reason in due}
            self._spoke |= dict.fromkeys(due, now)
        for reason, count in told.items():
            log.warning("%s port, %s: %d more", self._port, reason, count)


def _more(count: int) -> str:
    return f" ({count} more before)" if count else ""


def _printable(text: str) -> str:
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:MAX_SENTENCE])
    return shown if len(text) <= MAX_SENTENCE else shown + "…"
