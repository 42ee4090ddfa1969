"""WeightedNodes, what policies prefer: how much the weights add up to, and tiers without the nodes of better ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.evaluation.nodeset import NodeSet, node_set_of, node_terms
from engine.evaluation.pool_facts import Inputs
from engine.nodeselector import FALSE, Meter, Term, Terms, can_be_said, difference, disjoint
from engine.pools import PoolIndex
from engine.program import Rule
from engine.struct import Struct


class WeightedNodes(Struct, frozen=True):
    """Nodes that are preferred, with a weight of 1 to 100, or a level where they are a tier.

    No node is in two WeightedNodes of one `item`, the place in the policy's `prefer`.
    """

    nodes: NodeSet
    weight: int
    item: int = 0


def heaviest_overlap(wishes: Iterable[WeightedNodes]) -> int:
    """The most that weights for the same nodes of a pool add up to, whatever other pools are left.

    Nodes are the same where their terms are equal.
    """
    layers: dict[Term, dict[int, int]] = {}
    for wish in wishes:
        where = wish.nodes.anywhere
        for mask, terms in wish.nodes.groups if where is None else ((-1, where),):  # -1 is all pools
            for term in terms:
                layers[term] = _laid(layers.get(term, {}), mask, wish.weight)
    return max((weight for parts in layers.values() for weight in parts.values()), default=0)


def _laid(parts: Mapping[int, int], mask: int, weight: int) -> dict[int, int]:
    """Disjoint masks of pools with what weights add up to there (`parts`), and one more weight on the pools `mask`."""
    split: dict[int, int] = {}
    for part, known in parts.items():
        split |= {pools: known + more for pools, more in ((part & mask, weight), (part & ~mask, 0)) if pools}
        mask &= ~part
    return split | ({mask: weight} if mask else {})


def tiers_of(rules: Sequence[Rule], inputs: Inputs) -> tuple[WeightedNodes, ...]:
    """Each tier without the nodes of those before it, so that a node counts once, for its best tier.

    Where no affinity can say that, nodes of better tiers count for it, too; the weights are levels that allow for it.
    Raises BudgetExceeded and TooMany.
    """
    pool_index = inputs.pool_facts.pool_index
    earlier: list[NodeSet] = []
    tiers: list[NodeSet] = []
    shared: list[bool] = []
    for rule in rules:
        tier = rest = node_set_of(inputs.decide(rule.tree), pool_index, inputs.meter)
        shares = False
        for better in earlier:
            rest, unsaid = _less(rest, better, pool_index, inputs.meter)
            shares = shares or unsaid
        tiers.append(with_disjoint_terms(rest, inputs.meter))
        shared.append(shares)
        earlier.append(tier)
    return tuple(map(WeightedNodes, tiers, _levels(shared)))


def _levels(shared: Sequence[bool]) -> list[int]:
    """By tier a number that is more than what a node of worse tiers comes to: 3, 2, 1 where no node counts twice.

    `shared` says of each tier whether nodes of better ones may count for it, too.
    """
    levels: list[int] = []
    most, besides = 0, 0
    for shares in reversed(shared):
        levels.append(most + 1)
        most = levels[-1] + besides
        besides += levels[-1] if shares else 0
    return levels[::-1]


def _less(tier: NodeSet, better: NodeSet, pool_index: PoolIndex, meter: Meter) -> tuple[NodeSet, bool]:
    """A tier without the nodes of a better one; and whether some of these are left, for no affinity says it."""
    parts: list[tuple[int, Terms, bool]] = []
    meter.spend(len(tier.groups) * len(better.groups))
    for mask, terms in tier.groups:
        left = mask
        for other, conditions in better.groups:
            if shared := left & other:
                parts.append((shared, *_difference(terms, conditions, meter)))
                left &= ~other
        parts.append((left, terms, False))
    groups = tuple((mask, terms) for mask, terms, _ in parts if mask and terms != FALSE)
    free, unsaid = tier.anywhere, any(shares for _, _, shares in parts)
    if free is not None:
        free, shares = _difference(free, node_terms(better, pool_index.every, pool_index, meter), meter)
        unsaid = unsaid or shares
    return NodeSet(groups, free), unsaid


def _difference(a: Terms, b: Terms, meter: Meter) -> tuple[Terms, bool]:
    """`a` without `b`, and False; where no affinity says that, `a` as it is, and True. Raises TooMany."""
    rest = difference(a, b, meter)
    return (rest, False) if all(map(can_be_said, rest)) else (a, True)


def with_disjoint_terms(wanted: NodeSet, meter: Meter) -> NodeSet:
    """The same nodes in terms that no node matches twice, for each match adds its weight. Raises TooMany."""
    groups = tuple((mask, disjoint(terms, meter)) for mask, terms in wanted.groups)
    return NodeSet(groups, None if wanted.anywhere is None else disjoint(wanted.anywhere, meter))
