"""JSON of whoever may write it: a key that stands twice is an error, for readers differ in which one counts."""

from __future__ import annotations

from typing import Any


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these keys and values, as `object_pairs_hook` of `json.loads`. Raises ValueError."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
