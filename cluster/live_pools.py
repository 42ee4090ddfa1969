"""The pools of live Nodes, made again only where Nodes have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any

from engine.pools import Inventory, NodeGroup, Pool, group, inventory_from_pools, pool_of

Node = Mapping[str, Any]


class LivePools:
    """Makes the inventory of Nodes as `inventory_from_nodes` does, and remembers the pools.

    Nodes are compared by identity: whoever hands them over keeps an object as long as the Node is the same. Five
    thousand Nodes take a fifth of a second the first time; one that changes afterwards costs its own pool.
    """

    def __init__(self, pool_labels: Sequence[str]) -> None:
        self._pool_labels = pool_labels
        self._made: dict[NodeGroup, tuple[list[Node], Pool]] = {}

    def inventory(self, nodes: Sequence[Node]) -> Inventory:
        """The inventory of all Nodes, in the same order each time."""
        groups, strays = group(nodes, self._pool_labels)
        self._made = {label: self._pool(label, members) for label, members in groups.items()}
        return inventory_from_pools((pool for _, pool in self._made.values()), len(strays), self._pool_labels)

    def _pool(self, label: NodeGroup, members: list[Node]) -> tuple[list[Node], Pool]:
        known = self._made.get(label)
        if known is not None and len(known[0]) == len(members) and all(map(is_, known[0], members)):
            return known
        return members, pool_of(label, members)
