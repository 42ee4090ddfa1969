"""Which labels of a pool were read through computed keys, noted while an expression runs."""

from __future__ import annotations

from collections.abc import Mapping

from engine.language import NoSuchKey
from engine.pools import Pool, Read


def is_inferred(pool: Pool) -> bool:
    """Whether anything about a pool's labels, or about their absence, is known by observation only."""
    return bool(pool.observed) or not pool.declared


class WatchedPool:
    """A pool's view that notes which labels and values are read through computed keys."""

    __slots__ = ("reads", "view")

    def __init__(self, view: Mapping[str, object]) -> None:
        self.reads: set[Read] = set()
        noted = {kind: _Noted(kind, view[kind], self.reads) for kind in ("labels", "values")}
        self.view: dict[str, object] = {**view, **noted}


class _Noted(dict):  # type: ignore[type-arg]
    """A map that notes the keys it is asked for; whoever walks it has read them all."""

    __slots__ = ("_kind", "_reads")

    def __init__(self, kind: str, entries: object, reads: set[Read]) -> None:
        super().__init__(entries)  # type: ignore[call-overload]
        self._kind, self._reads = kind, reads

    def _note(self, key: object) -> None:
        if isinstance(key, str):
            self._reads.add(Read(self._kind, key))

    def __getitem__(self, key: object) -> object:
        self._note(key)
        if not super().__contains__(key):
            raise NoSuchKey(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._note(key)
        return super().__contains__(key)

    def get(self, key: object, default: object = None) -> object:
        self._note(key)
        return super().get(key, default)

    def __iter__(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().__iter__()

    def items(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().items()

    def keys(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().keys()

    def values(self):  # type: ignore[no-untyped-def]
        self._reads.add(Read("all"))
        return super().values()

    def __len__(self) -> int:
        self._reads.add(Read("all"))
        return super().__len__()
