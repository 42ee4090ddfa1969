"""What `bayplan pools -v` tells of one pool: each fact with its source, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cli.terminal import table
from engine.pools import POOL_FIELDS, Pool

GIB = 1 << 30
SAY = {"capacityTypes": "`karpenter.sh/capacity-type`", "price": "`price:`", "cpu": "`cpu:`", "memory": "`memory:`"}


def details(pool: Pool) -> str:
    """A paragraph about a pool."""
    lines = [f"{pool.name}" + (f", of {pool.provider}" if pool.provider else "")]
    rows = [("selected by", "", _pairs(pool.selector.items())), *_rows(pool)]
    return "\n".join([*lines, table(rows, indent="  ")])


def _rows(pool: Pool) -> Iterator[tuple[str, str, str]]:
    said = sources(pool)
    for key, value in pool.labels.items():
        if key not in pool.selector:
            yield "label", said[key], f"{key}={value}"
    for key, values in pool.values.items():
        yield "label", said[key], f"{key} is {shortened(values, 8, 'or')}"
    for taint in pool.taints:
        yield "taint", "", f"{taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect}"
    unknown = list(_unknown(pool))
    if unknown:
        yield "not known", "", f"{', '.join(unknown)}: an Inventory may say it"


def sources(pool: Pool) -> dict[str, str]:
    """By label, where it is known from that the nodes carry it."""
    every = [(key, "now on all its nodes") for key in pool.labels] + [(key, "now on its nodes") for key in pool.values]
    return {key: seen if key in pool.observed else "declared" for key, seen in every}


def _unknown(pool: Pool) -> Iterator[str]:
    """What expressions may ask, and nobody has said."""
    yield from (
        name for name in (*POOL_FIELDS, "capacityTypes", "cpu", "memory", "gpus") if not _known(pool.view, name)
    )


def _known(view: Any, name: str) -> bool:
    return name in view and view[name] not in ([], 0, 0.0)


def _pairs(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels)


def shortened(names: Sequence[str], most: int, joint: str = "") -> str:
    """Names one after the other; of many only the first, and how many more there are."""
    shown, more = names[:most], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    *first, last = shown
    return f"{', '.join(first)} {joint} {last}" if joint and first else ", ".join(shown)
