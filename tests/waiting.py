"""Wait for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fails when patience is over."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
