"""What one namespace may have of something, and all namespaces together: requests each second, and places to wait in.

Who fills what is theirs takes nothing from others.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, Protocol, TypeVar

from engine.struct import Struct

MAX_NAMESPACES = 1_000
"""Namespaces whose requests are remembered; of those that asked longest ago it is forgotten that they did."""


class _Namespaced(Protocol):
    @property
    def namespace(self) -> str: ...


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=_Namespaced)


class Rate(NamedTuple):
    """Requests that may be made: so many at once, and each second."""

    most: float
    each_second: float


class _Bucket(Struct):
    """What is left of a rate."""

    rate: Rate
    left: float
    seen: float

    def has(self, now: float) -> bool:
        most, each_second = self.rate
        self.left = min(most, self.left + (now - self.seen) * each_second)
        self.seen = now
        return self.left >= 1.0


class Requests:
    """Token buckets: one for each namespace, one for all. Of one thread; times are seconds of a clock that only goes
    on."""

    def __init__(self, each: Rate, together: Rate) -> None:
        self._each, self._all = each, _Bucket(together, together.most, 0.0)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, namespace: str, now: float) -> bool:
        """Take one for a namespace, if there is one both for it and for all."""
        mine = self._buckets.setdefault(namespace, _Bucket(self._each, self._each.most, now))
        self._buckets.move_to_end(namespace)
        if len(self._buckets) > MAX_NAMESPACES:
            self._buckets.popitem(last=False)
        if not (self._all.has(now) and mine.has(now)):
            return False
        self._all.left -= 1
        mine.left -= 1
        return True


class Places(Generic[K, V]):
    """Values by key, in the order in which they were last asked for or added: of each namespace, and in all, only so
    many, the oldest making room."""

    def __init__(self, each: int, together: int) -> None:
        self._each, self._most = each, together
        self._values: OrderedDict[K, V] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def add(self, key: K, value: V) -> V | None:
        """Add a value under a key that is not there; who made room for it."""
        oldest: K | None = None
        if self._counts[value.namespace] >= self._each:
            oldest = next(other for other, one in self._values.items() if one.namespace == value.namespace)
        elif len(self._values) >= self._most:
            oldest = next(iter(self._values))
        gone = self.remove(oldest) if oldest is not None else None
        self._values[key] = value
        self._counts[value.namespace] += 1
        return gone

    def remove(self, key: K) -> V | None:
        value = self._values.pop(key, None)
        if value is not None:
            self._counts[value.namespace] -= 1
            if not self._counts[value.namespace]:
                del self._counts[value.namespace]
        return value

    def items(self) -> list[tuple[K, V]]:
        return list(self._values.items())
