"""Memory that a flood has taken goes back to the operating system once the flood is over.

What ended connections leave behind are cycles, for which the collector is in no hurry; and the C library keeps what is
free between what is not. Neither happens where memory has not grown.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from pathlib import Path

LOOK_SECONDS = 3.0
GROWTH = 8 * 1024 * 1024
"""Bytes beyond which it is worth a look."""
RELUCTANCE = 10
"""Looks, about, until memory that stays counts as needed."""
STATM = Path("/proc/self/statm")


async def give_back() -> None:
    """Watch the process's memory, and tidy up where it has grown; for ever, or not at all where that can't be seen."""
    floor = _resident()
    while floor:
        await asyncio.sleep(LOOK_SECONDS)
        if _resident() > floor + GROWTH:
            gc.collect(1)  # on the loop's own thread, whose objects end here
            await asyncio.to_thread(_trim)
        now = _resident()
        floor = min(now, floor + (now - floor) // RELUCTANCE)


def _resident() -> int:
    """Bytes of the process that are in memory; 0 where the system does not say."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _trim() -> None:
    """Have the C library give back what is free, where it is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
