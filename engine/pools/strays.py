"""The nodes of no pool, made ready for decisions: a set of them is a mask, an integer of which bit i is node i."""

from __future__ import annotations

from collections.abc import Sequence

from engine.memory import Memory
from engine.nodeselector import TRUE, LabelStates, Term, Terms, bytes_of, state_of
from engine.pools.pool import Stray, Taint

MAX_REMEMBERED = 1 << 20  # bytes of answers; past it, all are forgotten


class StrayIndex:
    """Nodes that belong to no pool, `count` of them. `every` is a mask of all, `taints` has one for each taint."""

    def __init__(self, nodes: Sequence[Stray]) -> None:
        self._nodes = nodes
        self.count = len(nodes)
        self.every = (1 << len(nodes)) - 1
        self.taints: dict[Taint, int] = {}
        for i, node in enumerate(nodes):
            for taint in node.taints:
                self.taints[taint] = self.taints.get(taint, 0) | 1 << i
        self._meeting: Memory[tuple[str, LabelStates], int] = Memory(MAX_REMEMBERED)

    def price(self, terms: Terms) -> int:
        """What `admitted` takes of a budget, in units; the same whether answers are remembered or not."""
        return sum([len(t.requirements) * (2 + self.count) for t in terms]) if self._nodes else 0

    def admitted(self, terms: Terms) -> int:
        """The mask of the nodes that one of these terms matches."""
        if terms == TRUE or not self._nodes:
            return self.every
        found = 0
        for term in terms:
            mask = self.every & ~found
            for key, values in term.requirements:
                mask &= self._where(key, values) if mask else 0
            found |= mask
        return found

    def _where(self, key: str, values: LabelStates) -> int:
        mask = self._meeting.get((key, values))
        if mask is None:
            states = (state_of(key, node.name, node.labels) for node in self._nodes)
            mask = sum(1 << i for i, state in enumerate(states) if values.holds(state))
            self._meeting.keep((key, values), mask, self.count // 4 + bytes_of((Term(((key, values),)),)))
        return mask
