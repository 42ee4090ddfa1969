"""Memory: answers that are kept for the next time they are asked for, within a limit of bytes.

What pods bring is of any length, and whoever may create pods may bring another text each time. So what is kept is
counted in bytes, not in entries, and what is long is not kept at all: it is made anew, at the expense of who asks.
"""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

ENTRY = 200
"""Bytes that an entry takes besides what its caller counts: places in the table, the headers of key and value."""
PARTS = 8
"""One answer may take one of so many parts of a memory, if nothing else is said."""


class Memory(dict[K, V]):
    """Answers by question, of `limit` bytes in all, and `largest` each; past it, all are forgotten.

    Look-ups are those of a dict. Threads may share one: where two keep something in the same microsecond, one of them
    may not be counted.
    """

    __slots__ = ("_largest", "_left", "_limit")

    def __init__(self, limit: int, largest: int = 0) -> None:
        super().__init__()
        self._limit = self._left = limit
        self._largest = largest or limit // PARTS

    def keep(self, key: K, value: V, size: int) -> V:
        """The value, kept under its key if it does not take too much; `size` is that of both, in bytes."""
        size += ENTRY
        if size <= self._largest and key not in self:
            self._left -= size
            if self._left < 0:
                self.clear()
                self._left = self._limit - size
            self[key] = value
        return value
