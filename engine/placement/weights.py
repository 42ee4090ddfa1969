"""Weights of preferences: 1 to 100 each, and only their proportions count."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

MAX_WEIGHT = 100

Wish = TypeVar("Wish", bound=Hashable)


def united(weighed: Iterable[tuple[int, Wish]]) -> dict[Wish, int]:
    """What each preference weighs in all: the scheduler adds up the weights of equal ones."""
    weights: dict[Wish, int] = {}
    for weight, wish in weighed:
        weights[wish] = weights.get(wish, 0) + weight
    return weights


def capped(weights: Mapping[Wish, int]) -> dict[Wish, int]:
    """The weights, made smaller in proportion if any passes 100. None falls under 1; zero and less are left out.

    The scheduler scales a node's sum to 0..100 over all candidates, so proportions are all that a weight says; where
    preferences that are equal were added up past 100, clipping only these would change them.
    """
    positive = {wish: weight for wish, weight in weights.items() if weight > 0}
    top = max(positive.values(), default=0)
    if top <= MAX_WEIGHT:
        return positive
    # rounded to the nearest integer, without floating point
    return {wish: max(1, (weight * MAX_WEIGHT + top // 2) // top) for wish, weight in positive.items()}
