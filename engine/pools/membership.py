"""To which pool a node belongs where the selectors of several match it, and what a pool's nodes are known to carry.

Of two pools whose selectors match a node, the *more special* one gets it: one whose selector says more, or whose
identifying label is looked for earlier. Pools are given by their index in the inventory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from engine.nodeselector import ABSENT, ANY, LabelStates, Terms, difference, one_of, term_of
from engine.pools.evidence import Declared
from engine.pools.pool import UNSEEN, Inventory, Labels, Pool, Stray
from engine.pools.providers import pool_label_order
from engine.struct import replace

Label = tuple[str, str]  # key and value
Extra = Mapping[str, LabelStates]
"""The labels by which the nodes of a more special pool differ from those of a pool whose selector they match, too."""


def more_special(inventory: Inventory) -> Mapping[int, list[Extra]]:
    """By pool, what tells the nodes of each more special pool from its own; pools without such a one are left out.

    Where one selector adds to another, the longer one's pool is always more special. Of others, only where some pool is
    known to have nodes that both match.
    """
    pools, found = inventory.pools, dict[int, list[Extra]]()
    for winner, loser in (*_longer(pools), *_crossing(inventory)):
        found.setdefault(loser, []).append(_extra(pools[winner], pools[loser], inventory.order))
    return found


def _extra(winner: Pool, loser: Pool, order: Sequence[str]) -> Extra:
    """What the winner's nodes have that the loser's have not, where both selectors match.

    A pool with an identifying label has no nodes with an earlier one, which the loser's may carry.
    """
    barring = [key for key in _earlier(winner, order) if loser.facts.get(key, UNSEEN).states != ABSENT]
    more = {key: one_of([value]) for key, value in winner.selector.items() if key not in loser.selector}
    return more | dict.fromkeys(barring, ABSENT)


def _earlier(pool: Pool, order: Sequence[str]) -> Sequence[str]:
    """The identifying labels that come before a pool's own; none where it has no such label."""
    return order[: next((place for place, key in enumerate(order) if key in pool.selector), 0)]


def _longer(pools: Sequence[Pool]) -> Iterator[tuple[int, int]]:
    """Pairs of pools the first of which has the selector of the second, and more."""
    general = {frozenset(pool.selector.items()): i for i, pool in enumerate(pools)}
    sizes = sorted({len(items) for items in general})
    for items in general if len(sizes) > 1 else ():
        # a selector of n labels has 2^n parts: they are looked up, unless it is cheaper to try all selectors
        for part in _parts(items, sizes) if 1 << len(items) < len(general) else general:
            if part < items and part in general:
                yield general[items], general[part]


def _parts(items: frozenset[Label], sizes: Iterable[int]) -> Iterator[frozenset[Label]]:
    """The subsets of a selector's labels, less than all, that have one of these sizes."""
    return (frozenset(some) for size in sizes if size < len(items) for some in combinations(items, size))


def _crossing(inventory: Inventory) -> Iterator[tuple[int, int]]:
    """Pairs of pools whose selectors match the same nodes of some pool, the one first that such a node belongs to."""
    pools, order = inventory.pools, inventory.order
    by_label: dict[Label, list[int]] = {}
    for i, pool in enumerate(pools):
        for label in pool.selector.items():
            by_label.setdefault(label, []).append(i)
    pairs = set()
    for i, pool in enumerate(pools):
        carried = {(key, value) for key in pool.facts for value in _may_carry(pool, key)}
        for j in {j for label in carried - pool.selector.items() for j in by_label.get(label, ())}:
            if pools[j].selector.items() <= carried:
                pairs.add((min(i, j), max(i, j)))
    for pair in sorted(pairs):
        first, second = sorted(pair, key=lambda i: precedence(pools[i], order, declared=pools[i].declared))
        yield first, second


def _selected(pool: Pool) -> dict[str, LabelStates]:
    """What a pool's selector asks of a node, the labels that the node must lack included."""
    selector = {key: one_of([value]) for key, value in pool.selector.items()}
    return selector | dict.fromkeys(pool.without, ABSENT)


def identifying_terms(pool: Pool, order: Sequence[str], special: Sequence[Extra]) -> Terms:
    """The terms that exactly the nodes of a pool match. Raises TooMany."""
    if not special:
        return (term_of(_selected(pool)),)
    known = known_labels(pool, order)
    others = (term_of(extra) for extra in special if _may_have(known, extra))
    return difference((term_of(_selected(pool)),), tuple(others))


def _may_have(known: Mapping[str, LabelStates], labels: Extra) -> bool:
    """Whether a node of which this is known may have these labels as well."""
    return all(may_meet(known, key, values) for key, values in labels.items())


def known_labels(pool: Pool, order: Sequence[str], special: Iterable[Extra] = ()) -> Mapping[str, LabelStates]:
    """What every node of a pool, now and later, is known to carry: its selector, declared labels and values.

    A node with a provider's pool label that comes earlier in their order would be of that provider's pool.
    """
    declared = {key: fact.states for key, fact in pool.facts.items() if not fact.observed}
    known = {**dict.fromkeys(_earlier(pool, order), ABSENT), **declared, **_selected(pool)}
    for extra in special:
        if len(extra) == 1:
            ((key, values),) = extra.items()
            known[key] = known.get(key, ANY) - values
    return known


def may_meet(known: Mapping[str, LabelStates], key: str, values: LabelStates) -> bool:
    """Whether a node of which this is known may have the label in one of these states."""
    return key not in known or not (known[key] & values).impossible


def inventory_from_pools(
    pools: Iterable[Pool], strays: int = 0, pool_labels: Sequence[str] = (), stray_nodes: tuple[Stray, ...] = ()
) -> Inventory:
    """Pools with unique names, sorted by name, and the nodes of no pool.

    Where two pools have one name, a declared one keeps it, else the one whose label comes first in the order; the
    others are called `<provider>/<name>`, or by their selector.
    """
    order = pool_label_order(pool_labels)
    apart = _set_apart(tuple(pools), order)
    taken: dict[str, Pool] = {}
    for pool in sorted(apart, key=lambda pool: (not pool.declared, _place(pool, order), _said(pool.selector))):
        names = (pool.name, f"{pool.provider}/{pool.name}" if pool.provider else "", _said(pool.selector))
        name = next((name for name in names if name and name not in taken), _said(pool.selector))
        taken[name] = pool if name == pool.name else replace(pool, name=name)
    return Inventory(tuple(taken[name] for name in sorted(taken)), strays, order, stray_nodes=stray_nodes)


def precedence(pool: Pool | Declared, order: Sequence[str], *, declared: bool = True) -> tuple[bool, int, int, str]:
    """A sort key: of several pools whose selectors match a node, the first is the node's.

    That is a declared one, then the one whose selector says most, whose label comes first in the order.
    """
    return not declared, -len(pool.selector), _place(pool, order), _said(pool.selector)


def _place(pool: Pool | Declared, order: Sequence[str]) -> int:
    """How early in the order a pool's identifying label comes; last where it has none."""
    return next((at for at, key in enumerate(order) if key in pool.selector), len(order))


def _set_apart(pools: Sequence[Pool], order: Sequence[str]) -> list[Pool]:
    """Each pool with the labels that its nodes lack, because with one of them they would be of another pool.

    Nodes of a Karpenter pool may carry `pool: general` as those of another pool do that has this selector.
    """
    carriers: dict[tuple[str, str], set[str]] = {}
    for pool in pools:
        carried = {key: _may_carry(pool, key) for key in order}
        identifying = {key for key, values in carried.items() if values}
        for key in identifying:
            for value in carried[key]:
                carriers.setdefault((key, str(value)), set()).update(identifying)
    made = []
    for pool in pools:
        place = _place(pool, order)
        others = carriers.get((order[place], pool.selector[order[place]]), set()) if place < len(order) else set()
        without = tuple(key for key in order[:place] if key in others)
        made.append(replace(pool, without=without) if without else pool)
    return made


def _may_carry(pool: Pool, key: str) -> set[str]:
    """The values of a label that nodes of a pool may carry, as far as they are known."""
    fact = pool.facts.get(key, UNSEEN)
    return {*(fact.states.finite or ()), *fact.seen}


def _said(selector: Labels) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
