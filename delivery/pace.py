"""Work that goes on beside answers: after each piece it rests as long as that took, so that whoever waits is answered.

The interpreter does one thing at a time. Shared fairly with work that goes on for a while, answers would take twice as
long, and where there are many more would come than go.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PIECE_SECONDS = 0.002
"""Work after which a rest is worth it."""
MOST_SECONDS = 0.1
"""A rest at most: what has come meanwhile is answered by then."""


class Pace:
    """The pace of one work. `wait` waits for so many seconds."""

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._wait, self._since = wait, time.perf_counter()

    def rest(self) -> None:
        """Rest, between two pieces, if enough was done since the last rest."""
        worked = time.perf_counter() - self._since
        if worked >= PIECE_SECONDS:
            self._wait(min(worked, MOST_SECONDS))
            self._since = time.perf_counter()


def hurry() -> None:
    """The pace where nobody is answered yet: no rest."""
