"""What an expression read of a pool: what the nodes that it means must carry again because it was only observed, and
which pools are alike in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.nodeselector import TRUE, Terms, both, union, where
from engine.pools.pool import Pool, capacity_types
from engine.pools.providers import capacity
from engine.pools.words import words_of

PLAIN_FIELDS = {
    "name": "name",
    "provider": "provider",
    "weight": "weight",
    "price": "price",
    "nodes": "nodes",
    "readyNodes": "ready_nodes",
    "cpu": "cpu",
    "memory": "memory",
    "gpus": "gpus",
}
"""The fields of `pool` that say one thing, each with the attribute of Pool that it is."""


class Read(NamedTuple):
    """What an expression read of a pool: `labels` or `values` under a key, the list of what a label says (`listed`, as
    `zones`), its `capacity` types, a `field` that says one thing, or `all` of it."""

    kind: str
    key: str = ""


def facets(pool: Pool, reads: Iterable[Read]) -> tuple[object, ...]:
    """What an expression can see of a pool by these reads (of `labels`, what is `listed`, a `field`).

    Where it is equal, the expression does the same, whatever labels are assumed or believed, and at the same cost.
    """
    seen: list[object] = [pool.provider]
    for kind, key in reads:
        if kind == "field":
            seen.append(getattr(pool, PLAIN_FIELDS[key]))
        else:
            fact = pool.fact(key)
            seen += (fact.states, fact.observed, fact.each, fact.open, key in pool.facts)
    return tuple(seen)


def demanded_again(pool: Pool, reads: frozenset[Read]) -> Terms:
    """The nodes on which everything that was read of a pool, and was only observed, is still so. Raises TooMany.

    What was not decided by what is known of the pool is put to the node anyway, and not demanded here.
    """
    terms = TRUE
    for read in sorted(reads):
        terms = both(terms, _demanded(pool, read))
    return terms


def _demanded(pool: Pool, read: Read) -> Terms:
    if read.kind == "all":
        observed = [key for key, fact in pool.facts.items() if fact.observed]
        return demanded_again(pool, frozenset(Read(kind, key) for key in observed for kind in ("labels", "values")))
    if read.kind == "capacity":
        return _capacity(pool)
    fact = pool.fact(read.key)
    decided = (fact.settled and read.kind != "listed") or (fact.values is not None and read.kind != "labels")
    return where(read.key, fact.states) if fact.observed and decided else TRUE


def _capacity(pool: Pool) -> Terms:
    """The capacity types that a pool's nodes were seen to have, demanded again unless they were declared."""
    rule, seen = capacity(pool.provider), capacity_types(pool)
    if rule is None or seen is None or not any(pool.fact(key).observed for key in rule.keys):
        return TRUE
    word = words_of(pool.provider)["capacityType"]
    return union(*(guard for guard, value in word.cases if value in seen))
