"""What `bayplan pools -v` tells of one pool: each fact with its source, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cli.terminal import table
from engine.nodeselector import ANY
from engine.pools import POOL_FIELDS, Fact, Pool, capacity_types


def details(pool: Pool) -> str:
    """A paragraph about a pool."""
    lines = [f"{pool.name}" + (f", of {pool.provider}" if pool.provider else "")]
    rows = [("selected by", "", _pairs(pool.selector.items())), *_rows(pool)]
    return "\n".join([*lines, table(rows, indent="  ")])


def _rows(pool: Pool) -> Iterator[tuple[str, str, str]]:
    for key, fact in pool.facts.items():
        if key not in pool.selector:
            yield "label", fact.source, _said(key, fact)
    for taint in pool.taints:
        some = "on some nodes" if taint.partial else ""
        yield "taint", some, f"{taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect}"
    unknown = list(_unknown(pool))
    if unknown:
        yield "not known", "", f"{', '.join(unknown)}: an Inventory may say it"


def _said(key: str, fact: Fact) -> str:
    if fact.value is not None:
        return f"{key}={fact.value}"
    if fact.values is not None:
        return f"{key} is {shortened(fact.values, 8, 'or')}"
    if fact.open:
        return f"{key} is {shortened(fact.seen, 8, 'or')} now, left open"
    if fact.states == ANY:
        return f"{key} is {shortened(fact.seen, 8, 'or')} there" if fact.seen else f"{key} is not on all nodes"
    return f"{key} {fact.states}"


def sources(pool: Pool) -> dict[str, str]:
    """By label, who says so."""
    return {key: fact.source for key, fact in pool.facts.items()}


def _unknown(pool: Pool) -> Iterator[str]:
    """What expressions may ask, and nobody has said."""
    yield from (field for field, key in POOL_FIELDS.items() if pool.fact(key).values is None)
    if capacity_types(pool) is None:
        yield "capacityTypes"
    yield from (name for name in ("cpu", "memory", "gpus", "nodes") if getattr(pool, name) is None)


def _pairs(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels)


def shortened(names: Sequence[str], most: int, joint: str = "") -> str:
    """Names one after the other; of many only the first, and how many more there are."""
    shown, more = names[:most], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    *first, last = shown
    return f"{', '.join(first)} {joint} {last}" if joint and first else ", ".join(shown)
