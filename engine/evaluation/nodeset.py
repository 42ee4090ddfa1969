"""NodeSet: where a pod may go, as masks of pools with terms for their nodes, and how several of them meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.evaluation.verdicts import ByPool, Verdict, truths
from engine.nodeselector import EVERYWHERE, FALSE, TRUE, Meter, Term, Terms, both, pay_for_pairs, simplify, within_limit
from engine.pools import Group, PoolIndex
from engine.struct import Struct


class NodeSet(Struct, frozen=True):
    """Eligible nodes: disjoint groups of pools (a mask each), with the terms that their nodes must meet.

    `anywhere` are the terms for a node of no pool, where membership does not matter (they are then every group's, too);
    None where only nodes of these pools are meant.
    """

    groups: tuple[Group, ...]
    anywhere: Terms | None = None


def node_set_of(verdict: Verdict, pool_index: PoolIndex, meter: Meter) -> NodeSet:
    """The nodes on which a verdict is true. Raises TooMany."""
    free = None if verdict.anywhere is None else within_limit(verdict.anywhere[0])
    if isinstance(verdict, ByPool) and not (pool_index.inferred and (verdict.reads or verdict.computed)):
        return NodeSet(((verdict.true, TRUE),) if verdict.true else (), free)
    return NodeSet(tuple(truths(verdict, pool_index, meter)), free)


def intersection(a: NodeSet, b: NodeSet, meter: Meter | None = None) -> NodeSet:
    """The nodes that are in both. Raises TooMany."""
    free = None if a.anywhere is None or b.anywhere is None else both(a.anywhere, b.anywhere, meter)
    if len(a.groups) == len(b.groups) == 1 and a.groups[0][1] == b.groups[0][1] == TRUE:
        common = a.groups[0][0] & b.groups[0][0]
        return NodeSet(((common, TRUE),) if common else (), free)
    groups: dict[Terms, int] = {}
    if meter:
        meter.spend(len(a.groups) * len(b.groups))
    for mask, terms in a.groups:
        for other, conditions in b.groups:
            if mask & other:
                met = conditions if terms == TRUE else terms if conditions == TRUE else both(terms, conditions, meter)
                if met != FALSE:
                    groups[met] = groups.get(met, 0) | (mask & other)
    return NodeSet(tuple((mask, terms) for terms, mask in groups.items()), free)


def plain_meet(node_sets: Sequence[NodeSet | None]) -> NodeSet | None:
    """The intersection of node sets that are whole pools, at once; None if one is anything else, or there are none."""
    common = -1  # a mask of all bits
    for each in node_sets:
        if each is None or each.anywhere is not None or len(each.groups) != 1 or each.groups[0][1] != TRUE:
            return None
        common &= each.groups[0][0]
    return NodeSet(((common, TRUE),) if common else ()) if node_sets else None


def reach(groups: Iterable[Group], own: Terms, pool_index: PoolIndex, meter: Meter | None = None) -> int:
    """The mask of the pools that may have a node of these groups which the pod's own constraints admit."""
    reached = 0
    for mask, terms in groups:
        left = mask & ~reached
        for nodes in _met(terms, own, meter):
            if not left:
                break
            if meter and nodes.requirements:
                meter.spend(pool_index.price(nodes))
            here = left & pool_index.possible(nodes)
            reached |= here
            left &= ~here
    return reached


def alive(nodes: NodeSet, own: Terms, pool_index: PoolIndex, meter: Meter | None = None) -> bool:
    """Whether any node can possibly be left: of a pool, or, where pools don't matter and such nodes exist, of none."""
    if reach(nodes.groups, own, pool_index, meter):
        return True
    outside = not pool_index.pools or pool_index.inventory.strays > 0
    return outside and nodes.anywhere is not None and next(_met(nodes.anywhere, own, meter), None) is not None


def _met(a: Terms, b: Terms, meter: Meter | None) -> Iterator[Term]:
    """What two disjunctions have in common, term by term: there may be more terms than a pod can carry."""
    if b == TRUE:
        yield from a
        return
    for one in a:
        if one == EVERYWHERE:
            yield from b
            continue
        pay_for_pairs((one,), b, meter)
        yield from (met for other in b if not (met := one & other).impossible)


def node_terms(nodes: NodeSet, pools: int, pool_index: PoolIndex, meter: Meter | None = None) -> Terms:
    """The terms that exactly the nodes of a node set match, of its pools only those of the mask. Raises TooMany."""
    if nodes.anywhere is not None:
        return nodes.anywhere
    groups = [(mask & pools, terms) for mask, terms in nodes.groups if mask & pools]
    if len(groups) == 1 and groups[0][1] == TRUE:  # as most policies are
        mask = groups[0][0]
        if meter:
            meter.spend(pool_index.price_of_selector(mask))
        selected = pool_index.selector(mask)
        return selected if len(selected) == 1 else simplify(selected, meter)
    if meter:
        meter.spend(sum(pool_index.price_of_selector(mask) for mask, _ in groups))
    parts = [both(pool_index.selector(mask), terms, meter) for mask, terms in groups]
    return simplify([term for part in parts for term in part], meter)
