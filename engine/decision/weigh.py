"""What preferences weigh: scaled so that all that one node can fulfil fits under 100, tiers above all else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from engine.decision.combine import Given
from engine.decision.karpenter import without_absence
from engine.evaluation import NodeSet, PolicyEvaluation, WeightedNodes, heaviest_overlap, node_terms
from engine.names import PREFERRED
from engine.nodeselector import Term, Terms, TooMany, affordable, both, implies, work
from engine.placement import MAX_WEIGHT, WISHES, united, wishes_of


def preferred(given: Given, applied: Sequence[PolicyEvaluation], after: int) -> tuple[tuple[int, Term], ...]:
    """Wishes with their weights, and fallback tiers above them. Raises TooMany.

    All wishes that one node can fulfil weigh less than one tier; a wish too light for that is left out. The tiers
    leave as much room under 100 as the wishes need, for weights that passed it would all have to be rounded.
    What a wish weighs does not depend on the pools that are left, so that it is the same when fewer are.
    """
    wishes = [wish for evaluation in applied for wish in evaluation.wishes]
    tiers = ranks(applied)
    if tiers:
        space = room(tiers, applied)
        ranked = scaled_to(MAX_WEIGHT, [WeightedNodes(tier.nodes, space.step * tier.weight) for tier in tiers])
        weighed = [*space.lighter(wishes), *ranked]
    else:
        weighed = scaled_to(MAX_WEIGHT, wishes)
    terms: list[tuple[int, Term]] = []
    for wish in weighed:
        if wish.weight:
            terms += [(wish.weight, term) for term in wished(given, wish.nodes, after)]
    return _not_preferred_yet(given, terms, after)


def wished(given: Given, nodes: NodeSet, after: int) -> Terms:
    """The terms that say these nodes of the pools `after`, to Karpenter as well.

    Raises TooMany, which says that it is about wishes.
    """
    try:
        return without_absence(
            node_terms(nodes, after, given.pool_index, given.meter), given.pool_index, after, given.meter
        )
    except TooMany as error:
        raise TooMany(error.count, WISHES) from error


def _not_preferred_yet(given: Given, wishes: Sequence[tuple[int, Term]], after: int) -> tuple[tuple[int, Term], ...]:
    """Without what the pod prefers already in other words: somebody else has left fewer pools since it was said."""
    affinity = ((given.incoming.pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
    existing = wishes_of(affinity.get(PREFERRED) or (), given.meter)
    if not existing or not wishes:
        return tuple(wishes)
    affordable((wish for _, wish in wishes), WISHES)
    if given.meter:
        given.meter.spend(sum(4 * wish.width * work((wish,)) for _, wish in wishes))
    wishes = [(weight, one) for weight, wish in wishes for one in wish.split()]
    meter = given.meter
    gone = given.pool_index.selector(given.pool_index.every & ~after)

    @cache
    def here(wish: Term) -> Terms:
        return both((wish,), given.own_terms, meter)

    def otherwise(wish: Term, one: Term) -> bool:
        return one != wish and implies(here(wish), (one,), meter) and implies(here(one), (wish, *gone), meter)

    wanted, equal = united(wishes), united(existing)
    said = set()
    for wish, weight in wanted.items():
        missing = weight - equal.get(wish, 0)  # mostly nothing: it was this webhook that wrote it
        if missing <= 0 or sum(w for w, one in existing if otherwise(wish, one)) >= missing:
            said.add(wish)
    return tuple((weight, wish) for weight, wish in wishes if wish not in said)


def _items(applied: Iterable[PolicyEvaluation]) -> dict[tuple[str, int], int]:
    """The most that each item of each policy weighs on one node."""
    heaviest: dict[tuple[str, int], int] = {}
    for evaluation in applied:
        for wish in evaluation.wishes:
            item = (evaluation.policy.name, wish.item)
            heaviest[item] = max(heaviest.get(item, 0), wish.weight)
    return heaviest


def ranks(applied: Iterable[PolicyEvaluation]) -> list[WeightedNodes]:
    """The tiers of all policies by their levels, the best ones of each policy on one."""
    tiered = [evaluation for evaluation in applied if evaluation.tiers]
    top = max((evaluation.tiers[0].weight for evaluation in tiered), default=0)
    return [WeightedNodes(t.nodes, t.weight * top // each.tiers[0].weight) for each in tiered for t in each.tiers]


class Room(NamedTuple):
    """What one level of tiers weighs, and what all wishes for one node weigh as they are said, at most."""

    step: int
    total: int

    def lighter(self, wishes: Iterable[WeightedNodes]) -> list[WeightedNodes]:
        """Wishes made so light that those of one node weigh less than one level, also such as weigh nothing now."""
        return [WeightedNodes(w.nodes, w.weight * min(self.step - 1, self.total) // self.total) for w in wishes]


def room(tiers: Sequence[WeightedNodes], applied: Iterable[PolicyEvaluation]) -> Room:
    """The room for wishes beneath these tiers, which are those of the same policies."""
    total, most = sum(_items(applied).values()), max(heaviest_overlap(tiers), 1)
    return Room(max((MAX_WEIGHT - total) // most, MAX_WEIGHT // (most + 1), 1), total)


def scaled_to(limit: int, wishes: list[WeightedNodes]) -> list[WeightedNodes]:
    """The wishes, made lighter in proportion if those for the same nodes come to more than the limit.

    Rounded down, so that what is added up later does not pass it either.
    """
    if sum(wish.weight for wish in wishes) <= limit or (most := heaviest_overlap(wishes)) <= limit:
        return wishes
    together = united((wish.weight, wish.nodes) for wish in wishes)
    return [WeightedNodes(nodes, max(1, weight * limit // most)) for nodes, weight in together.items() if weight]


def of_pools(wishes: Iterable[WeightedNodes], pools: int) -> bool:
    """Whether any of these wishes is for nodes of these pools, or of no pool."""
    said = (wish.nodes for wish in wishes if wish.weight)
    return any(nodes.anywhere or any(mask & pools for mask, _ in nodes.groups) for nodes in said)
