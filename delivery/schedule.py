"""When a source is asked next: at its turn, more or less; soon after a failure, then later and later."""

from __future__ import annotations

import random

from delivery.transaction import StepFailedError

PATIENCE = 10
"""How many times as long as asking a source took it is left alone: folders may be large, and disks slow."""
JITTER = 0.2
"""How much sooner or later than its turn a source is asked, at most, as a part of the interval: replicas spread out."""
FIRST_SECONDS = 1.0
"""How soon a source that failed is asked again. Twice as long each further time."""
WEARY = 5
"""How many intervals the growing pause between fetches that fail is at most; asking alone costs no more than usual."""


class Schedule:
    """The pauses between rounds of one source: of `interval` seconds, more or less by the part `jitter` of them.

    What is `patient` is asked less often where asking takes long.
    """

    def __init__(self, interval: float, jitter: float, *, patient: bool) -> None:
        self._interval, self._jitter, self._patient = interval, jitter, patient
        self._failures = 0

    def pause(self, failed: StepFailedError | None, took: float) -> float:
        """Seconds until the next round, after one that took so many, and what failed in it."""
        if failed is None or failed.lasting:
            self._failures = 0
            pause = self._interval
        else:
            self._failures += 1
            most = self._interval if failed.step == "look" else WEARY * self._interval
            pause = min(self._interval, FIRST_SECONDS) * 2.0 ** min(self._failures - 1, 20)
            pause = max(min(pause, most), failed.retry_after)
        return max(
            pause * random.uniform(1 - self._jitter, 1 + self._jitter), PATIENCE * took if self._patient else 0.0
        )
