"""Preferred node terms, added to those of the pod: its own are never touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.nodeselector import EVERYWHERE, MAX_TERMS, Term, TooMany, affordable, parse_term
from engine.placement.required import Json
from engine.placement.weights import capped, united

WISHES = "preferences"
"""What there may be too many of, in TooMany's message."""


def preferences(wanted: Sequence[tuple[int, Term]], existing: Iterable[Json] = ()) -> list[dict[str, Any]]:
    """The weighted preferences that a pod lacks, in Kubernetes' own fields, heaviest first.

    A term that takes several node selector terms becomes as many preferences; equal ones are united, their weights
    added and all made smaller in proportion where one passes 100. What the pod already prefers as much is left out, and
    so is what matches all nodes or none, for it prefers nothing. Raises TooMany.
    """
    if not wanted:
        return []
    weights: dict[Term, int] = {}
    for weight, wish in wanted:
        affordable([wish], WISHES)
        for one in wish.split() if wish != EVERYWHERE else ():
            weights[one] = weights.get(one, 0) + weight
        if len(weights) > MAX_TERMS:
            raise TooMany(len(weights), WISHES)
    affordable(weights, WISHES)
    present = united((one.get("weight") or 0, parse_term(one.get("preference") or {})) for one in existing)
    scaled = capped(weights)
    lacking = (one for one in scaled if scaled[one] > present.get(one, 0))
    ordered = sorted(lacking, key=lambda one: (-scaled[one], one.order()))
    return [{"weight": scaled[one], "preference": one.alternatives()[0]} for one in ordered]
