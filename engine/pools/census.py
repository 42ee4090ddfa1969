"""What was declared and the nodes that there are, brought together again and again, whenever one of them changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from operator import is_
from typing import Any

from engine.pools.apart import partitions
from engine.pools.evidence import Declared, declared_pool
from engine.pools.membership import inventory_from_pools, precedence
from engine.pools.node_claims import Size
from engine.pools.nodes import Node, group, labels_of, name_of, pool_of, see, strays_of
from engine.pools.pool import Inventory, Labels, Pool
from engine.pools.providers import pool_label_of, pool_label_order, provider_of
from engine.struct import replace


class Census:
    """Makes inventories of the same cluster, and remembers the pools of which nothing changed.

    Nodes are compared by identity: whoever hands them over keeps an object as long as the Node is the same. Five
    thousand Nodes take a fifth of a second the first time; one that changes afterwards costs its own pool.
    `pool_labels` are the operator's own identifying labels, in order.
    """

    def __init__(self, pool_labels: Sequence[str] = ()) -> None:
        self.pool_labels = pool_labels
        self.order = pool_label_order(pool_labels)
        self._made: dict[Hashable, tuple[Declared | None, Sequence[Node], Pool]] = {}

    def inventory(
        self,
        declared: Iterable[Declared],
        nodes: Iterable[Node],
        coming: Mapping[tuple[str, str], Size] | None = None,
        *,
        counted: bool = True,
    ) -> Inventory:
        """The inventory of what was declared, each pool once, and of all nodes; in the same order each time.

        `coming` has, by the label of its pool, the largest machine that is on its way.
        Each node goes to the declared pool whose selector says most about it, else to the pool that its label names.
        Where nodes are `counted`, a declared pool without any has none; else it is not known how many it has.
        """
        known = sorted(declared, key=lambda said: precedence(said, self.order))
        homes = Homes(known, self.order)
        members: list[list[Node]] = [[] for _ in known]
        rest: list[Node] = []
        for node in nodes:
            home = homes.of(labels_of(node))
            (rest if home is None else members[home]).append(node)
        groups, strays = group(rest, self.pool_labels)
        made: dict[Hashable, tuple[Declared | None, Sequence[Node], Pool]] = {}
        for said, some in zip(known, members, strict=True):
            here = _counted(said) if counted and not some else said
            largest = (
                next((coming[label] for label in said.selector.items() if label in coming), None) if coming else None
            )
            made[frozenset(said.selector.items())] = self._declared(here, some, largest)
        for label, some in groups.items():
            made[label] = self._known(label, None, some) or (None, some, pool_of(label, some))
        self._made = made
        pools = (pool for *_, pool in made.values())
        found = inventory_from_pools(pools, len(strays), self.pool_labels, strays_of(strays))
        keys = partitions([labels_of(node) for node in strays])
        return replace(found, stray_names=tuple(sorted(map(name_of, strays))), stray_keys=keys) if strays else found

    def _declared(
        self, said: Declared, nodes: Sequence[Node], largest: Size | None
    ) -> tuple[Declared | None, Sequence[Node], Pool]:
        said = _at_least(said, largest, nodes) if largest else said
        known = self._known(frozenset(said.selector.items()), said, nodes)
        return known or (said, nodes, _declared_pool(said, nodes))

    def _known(
        self, key: Hashable, said: Declared | None, nodes: Sequence[Node]
    ) -> tuple[Declared | None, Sequence[Node], Pool] | None:
        known = self._made.get(key)
        same = known is not None and known[0] == said and len(known[1]) == len(nodes) and all(map(is_, known[1], nodes))
        return known if same else None


class Homes:
    """To which of the declared pools a node belongs, the first in their order that selects it.

    A pool is passed over if its selector has an identifying label, but not the one that says the node's pool. Pools are
    found by the label of their selector that the fewest others have: most nodes are then compared with one pool.
    """

    def __init__(self, known: Sequence[Declared], order: Sequence[str]) -> None:
        self._known, self._order = known, order
        shared = Counter(label for said in known for label in said.selector.items())
        self._by_label: dict[tuple[str, str], list[int]] = {}
        for place, said in enumerate(known):
            rarest = min(said.selector.items(), key=lambda label: (shared[label], label))
            self._by_label.setdefault(rarest, []).append(place)
        self._keys = tuple({key for key, _ in self._by_label})

    def of(self, labels: Labels) -> int | None:
        """The place of the pool among the declared ones, None where none selects the node."""
        found: list[int] = []
        for key in self._keys:
            if key in labels:
                found += self._by_label.get((key, labels[key]), ())
        if len(found) > 1:
            found.sort()
        for place in found:
            if self._selects(self._known[place], labels):
                return place
        return None

    def _selects(self, said: Declared, labels: Labels) -> bool:
        if not said.selector.items() <= labels.items():
            return False
        return pool_label_of(labels, self._order) in said.selector or said.selector.keys().isdisjoint(self._order)


def _counted(said: Declared) -> Declared:
    """A pool that has no nodes, unless it says otherwise."""
    return replace(said, nodes=said.nodes or 0)


def _at_least(said: Declared, largest: Size, nodes: Sequence[Node]) -> Declared:
    """What was declared, with sizes of which nothing was said: those of a machine on its way, or of a larger node."""
    seen = see(nodes) if nodes else None
    size = largest.or_more(Size(seen.cpu or 0.0, seen.memory or 0, seen.gpus or 0)) if seen else largest
    return replace(
        said,
        cpu=size.cpu if said.cpu is None else said.cpu,
        memory=size.memory if said.memory is None else said.memory,
        gpus=size.gpus if said.gpus is None else said.gpus,
    )


def _declared_pool(said: Declared, nodes: Sequence[Mapping[str, Any]]) -> Pool:
    return declared_pool(said, see(nodes) if nodes else None, _provider(said))


def _provider(said: Declared) -> str:
    """The provider whose label every node of a declared pool carries."""
    carried = {key: value for key, fact in said.facts.items() if (value := fact.value) is not None}
    return provider_of({**carried, **said.selector})
