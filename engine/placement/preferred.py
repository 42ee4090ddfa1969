"""Preferred node terms, added to those of the pod: its own are never touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.nodeselector import EVERYWHERE, MAX_TERMS, Meter, Term, TooMany, affordable, parse_term, work
from engine.placement.required import Json, pay_for_terms
from engine.placement.weights import capped, united

WISHES = "preferences"
"""What there may be too many of, in TooMany's message."""


def wishes_of(existing: Sequence[Json], meter: Meter | None = None) -> list[tuple[int, Term]]:
    """What each of a pod's preferences weighs, and the nodes that it is for. The meter pays before any is read."""
    if meter:
        meter.spend(len(existing))
    asked = [one.get("preference") or {} for one in existing]
    pay_for_terms(asked, meter)
    return [(one.get("weight") or 0, parse_term(term)) for one, term in zip(existing, asked, strict=True)]


def preferences(
    wanted: Sequence[tuple[int, Term]], existing: Sequence[Json] = (), meter: Meter | None = None
) -> list[dict[str, Any]]:
    """The weighted preferences that a pod lacks, in Kubernetes' own fields, heaviest first.

    A term that takes several node selector terms becomes as many preferences; equal ones are united, their weights
    added and all made smaller in proportion where one passes 100. What the pod already prefers as much is left out, and
    so is what matches all nodes or none, for it prefers nothing. Raises TooMany.
    """
    if not wanted:
        return []
    weights: dict[Term, int] = {}
    if meter:  # each is split, counted and written
        meter.spend(4 * work(wish for _, wish in wanted))
    for weight, wish in wanted:
        affordable([wish], WISHES)
        if meter and wish.width > 1:
            meter.spend(4 * wish.width * work((wish,)))
        for one in wish.split() if wish != EVERYWHERE else ():
            weights[one] = weights.get(one, 0) + weight
        if len(weights) > MAX_TERMS:
            raise TooMany(len(weights), WISHES)
    affordable(weights, WISHES)
    present = united(wishes_of(existing, meter))
    scaled = capped(weights)
    lacking = (one for one in scaled if scaled[one] > present.get(one, 0))
    ordered = sorted(lacking, key=lambda one: (-scaled[one], one.order()))
    return [{"weight": scaled[one], "preference": one.alternatives()[0]} for one in ordered]
