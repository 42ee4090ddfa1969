"""Leaves on pools whose nodes are not all alike in what is asked: the question is put to the node.

What is declared of a pool's labels is taken out again: an affinity says of the nodes of a pool only what they do not
all have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from engine.evaluation.alike import each_alike
from engine.nodeselector import FALSE, TRUE, Meter, Overflow, Term, Terms, pay_for_pairs, simplify, term_of, work
from engine.pools import PoolIndex, Read, words_of
from engine.program import NOTHING_READ, Arguments, Leaf, PoolView, Reads, Truth


def open_truths(
    leaf: Leaf,
    pool_index: PoolIndex,
    views: Sequence[PoolView],
    undecided: int,
    arguments: Arguments,
    known: Mapping[Truth, int] = MappingProxyType({}),
) -> Mapping[Truth, int]:
    """The Truth of a leaf on the nodes of the pools of a mask, with the mask of the pools of each.

    `known` are those of some of these pools. Raises BudgetExceeded.
    """
    found = {truth: mask & undecided for truth, mask in known.items() if mask & undecided}
    for mask in found.values():
        undecided &= ~mask
    if leaf.asked is not None:
        for provider, mask in pool_index.providers.items():
            if mask & undecided:
                truth = leaf.asked((*arguments, None), words_of(provider))
                found[truth] = found.get(truth, 0) | mask & undecided
        return found
    assert leaf.open is not None
    for i, alike in each_alike(pool_index, leaf.seen, undecided, arguments):
        truth = leaf.open((*arguments, views[i]), words_of(pool_index.pools[i].provider))
        found[truth] = found.get(truth, 0) | alike
    return found


def beside_declared(
    truth: Truth, pools: int, pool_index: PoolIndex, meter: Meter, *, computed: bool
) -> Iterator[tuple[int, Truth, Reads]]:
    """What a Truth still asks of the nodes of these pools, in groups, and what was read of labels by computed keys."""
    keys = _keys(truth)
    read = frozenset(Read("labels", key) for key in keys) if computed else NOTHING_READ
    meter.spend(len(pool_index.pools) + work(truth[0]) + work(truth[1]))
    for mask, known in pool_index.alike(keys):
        if mask & pools:
            yield mask & pools, (_beside(truth[0], known, meter), _beside(truth[1], known, meter)), read


def _keys(truth: Truth) -> frozenset[str]:
    """The labels that a Truth depends on."""
    return frozenset(key for terms in truth for term in terms for key, _ in term.requirements)


def _beside(terms: Terms, known: Term, meter: Meter) -> Terms:
    """What terms still ask of nodes of which something is known, in the words of what is known where that is a list."""
    if isinstance(terms, Overflow) or terms in (TRUE, FALSE) or not known.requirements:
        return terms
    left = []
    pay_for_pairs(terms, (known,), meter)
    for term in terms:
        if (term & known).impossible:
            continue
        asked = {}
        for key, values in term.requirements:
            if not known[key] <= values:
                met = values & known[key]
                asked[key] = met if met.finite is not None and not met.absent else values
        left.append(term_of(asked))
    return simplify(left, meter)
