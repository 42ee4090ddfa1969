"""Whether only nodes are left that nobody has declared or seen: a typo in a label, often, or a fact to be said."""

from __future__ import annotations

from collections.abc import Iterator

from engine.decision.combine import Given, Met
from engine.decision.words import listed
from engine.evaluation import NodeSet
from engine.nodeselector import TRUE, Term, Terms, TooMany, simplify, work

MAX_PAIRS = 100
"""Terms of policies beside terms of the pod's own that are looked at; where there are more, nothing is told."""
MAX_TEXT = 100
"""Characters of one alternative."""


def unseen_nodes(given: Given, met: Met, strays: int) -> str:
    """What all nodes that are left must carry, and nobody has declared or seen; empty where there may be others.

    `strays` are the nodes of no pool that are left. What the pod asks for itself counts beside what policies require.
    Where all that is asked for is known of one pool that is left, this is a few lookups.
    """
    pool_index = given.pool_index
    if met.nodes is None or met.unsatisfiable or strays or pool_index.inventory.strays > pool_index.strays.count:
        return ""
    found: set[Term] = set()
    meter = given.meter
    if meter:
        meter.spend(work(given.own_terms[:MAX_PAIRS]))
    for count, (pools, term) in enumerate(_left(met.nodes, given.own_terms)):
        if count == MAX_PAIRS:
            return ""
        if meter:
            meter.spend(2 * pool_index.price(term) + work((term,)) + len(term.requirements))
        here = 0 if term.impossible else pools & met.left & pool_index.possible(term)
        if here & pool_index.attested(term):
            return ""
        found |= pool_index.unattested(here, term)
    return _said(found)


def _left(nodes: NodeSet, own: Terms) -> Iterator[tuple[int, Term]]:
    """What is required of pools, as masks, beside what the pod asks for itself."""
    for pools, terms in nodes.groups:
        for term in terms:
            if own == TRUE:
                yield pools, term
            else:
                yield from ((pools, term & other) for other in own)


def _said(found: set[Term]) -> str:
    """These alternatives in words; what is within another once."""
    try:
        alternatives = simplify(found)
    except TooMany:
        return ""
    return listed([f"`{_short(str(term))}`" for term in alternatives], "or")


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
