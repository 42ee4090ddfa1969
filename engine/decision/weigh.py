"""TODO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.evaluation import PolicyEvaluation, WeightedNodes, heaviest_overlap
from engine.placement import MAX_WEIGHT, united


def _items(applied: Iterable[PolicyEvaluation]) -> dict[tuple[str, int], int]:
    """The most that each item of each policy weighs on one node."""
    heaviest: dict[tuple[str, int], int] = {}
    for evaluation in applied:
        for wish in evaluation.wishes:
            item = (evaluation.policy.name, wish.item)
            heaviest[item] = max(heaviest.get(item, 0), wish.weight)
    return heaviest


def _ranks(applied: Iterable[PolicyEvaluation]) -> list[WeightedNodes]:
    """The tiers of all policies by their levels, the best ones of each policy on one."""
    tiered = [evaluation for evaluation in applied if evaluation.tiers]
    top = max((evaluation.tiers[0].weight for evaluation in tiered), default=0)
    return [WeightedNodes(t.nodes, t.weight * top // f.tiers[0].weight) for f in tiered for t in f.tiers]


class _Room(NamedTuple):
    """What one level of tiers weighs, and what all wishes for one node weigh as they are said, at most."""

    step: int
    total: int

    def lighter(self, wishes: Iterable[WeightedNodes]) -> list[WeightedNodes]:
        """Wishes made so light that those of one node weigh less than one level, also such as weigh nothing now."""
        return [WeightedNodes(w.nodes, w.weight * min(self.step - 1, self.total) // self.total) for w in wishes]


def _room(ranks: Sequence[WeightedNodes], applied: Iterable[PolicyEvaluation]) -> _Room:
    total, most = sum(_items(applied).values()), max(heaviest_overlap(ranks), 1)
    return _Room(max((MAX_WEIGHT - total) // most, MAX_WEIGHT // (most + 1), 1), total)


def within(limit: int, wishes: list[WeightedNodes]) -> list[WeightedNodes]:
    """The wishes, made lighter in proportion if those for the same nodes come to more than the limit.

    Rounded down, so that what is added up later does not pass it either.
    """
    if sum(wish.weight for wish in wishes) <= limit or (most := heaviest_overlap(wishes)) <= limit:
        return wishes
    together = united((wish.weight, wish.nodes) for wish in wishes)
    return [WeightedNodes(nodes, max(1, weight * limit // most)) for nodes, weight in together.items() if weight]


def _of_pools(wishes: Iterable[WeightedNodes], pools: int) -> bool:
    """Whether any of these wishes is for nodes of these pools, or of no pool."""
    said = (wish.nodes for wish in wishes if wish.weight)
    return any(nodes.anywhere or any(mask & pools for mask, _ in nodes.groups) for nodes in said)
