"""The library of the language: each module holds one family of functions and declares their signatures.

`OVERLOADS` is the one table that the checker, the compiler and the documentation read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from engine.language.functions import (
    addresses,
    conversions,
    encoders,
    formats,
    lists,
    maths,
    operators,
    optionals,
    quantities,
    semvers,
    strings,
    times,
    urls,
)
from engine.language.overload import Overload, by_length
from engine.language.types import BYTES, STRING
from engine.struct import replace

_MODULES = (
    operators,
    conversions,
    strings,
    times,
    lists,
    optionals,
    quantities,
    semvers,
    addresses,
    urls,
    formats,
    maths,
    encoders,
)


def _by_name(overloads: Iterable[Overload]) -> Mapping[str, tuple[Overload, ...]]:
    table: dict[str, tuple[Overload, ...]] = {}
    for overload in overloads:
        table[overload.function] = (*table.get(overload.function, ()), _paid(overload))
    return MappingProxyType(table)


def _paid(overload: Overload) -> Overload:
    """What takes text walks it, if nothing else is said."""
    textual = not {STRING, BYTES}.isdisjoint(overload.parameters)
    return replace(overload, cost=by_length) if textual and overload.cost is None else overload


OVERLOADS = _by_name(overload for module in _MODULES for overload in module.OVERLOADS)
