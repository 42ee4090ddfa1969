"""What an expression read of a pool, and what the nodes that it means must carry again because it was only observed."""

from __future__ import annotations

from typing import NamedTuple, cast

from engine.nodeselector import ABSENT, TRUE, Terms, both, one_of, union, where
from engine.pools.pool import Pool
from engine.pools.providers import capacity
from engine.pools.words import words_of


class Read(NamedTuple):
    """What an expression read of a pool: `labels` or `values` under a key, its `capacity` types, or `all` of it."""

    kind: str
    key: str = ""


def demanded_again(pool: Pool, reads: frozenset[Read]) -> Terms:
    """The nodes on which everything that was read of a pool, and was only observed, is still so. Raises TooMany."""
    terms = TRUE
    for read in sorted(reads):
        terms = both(terms, _demanded(pool, read))
    return terms


def _demanded(pool: Pool, read: Read) -> Terms:
    if read.kind == "all":
        keys = sorted(pool.observed)
        return demanded_again(pool, frozenset(Read("labels" if key in pool.labels else "values", key) for key in keys))
    if read.kind == "capacity":
        return _capacity(pool)
    known = pool.labels.get(read.key)
    if known is not None:
        return where(read.key, one_of([known])) if read.key in pool.observed else TRUE
    if read.key in pool.values:
        observed = read.kind == "values" and read.key in pool.observed
        return where(read.key, one_of(pool.values[read.key])) if observed else TRUE
    return TRUE if pool.declared else where(read.key, ABSENT)


def _capacity(pool: Pool) -> Terms:
    """The capacity types that a pool's nodes were seen to have, demanded again unless they were declared."""
    rule = capacity(pool.provider)
    if rule is None or not any(key in pool.observed or not pool.declared for key in rule.keys):
        return TRUE
    seen = cast("tuple[str, ...]", pool.view["capacityTypes"])
    word = words_of(pool.provider)["capacityType"]
    return union(*(guard for guard, value in word.cases if value in seen)) if seen else word.missing
