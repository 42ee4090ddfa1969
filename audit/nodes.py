"""Where running pods are: the nodes of a cluster with their pools, and whether a placement would let a pod be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.documents import parse_quantity
from engine.nodeselector import Terms, state_of
from engine.pools import PoolIndex, members

Json = Mapping[str, Any]


class Place(NamedTuple):
    """A node as pods are placed on it: its labels, its pool (empty where it is of none), and what it has for pods."""

    labels: Mapping[str, str]
    pool: str
    room: Mapping[str, float]


def places_of(nodes: Iterable[Json], index: PoolIndex) -> dict[str, Place]:
    """Nodes by name, each with the pool that it belongs to."""
    each = [(index.pools[i], index.selector(1 << i)) for i in members(index.every)]
    places: dict[str, Place] = {}
    for node in nodes:
        name, labels, room = _read(node)
        mine = (pool.name for pool, terms in each if admits(terms, name, labels))
        places[name] = Place(labels, next(mine, ""), room)
    return places


def admits(terms: Terms, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is one of those that terms are about."""
    return any(all(states.holds(state_of(key, name, labels)) for key, states in term.requirements) for term in terms)


def _read(node: Json) -> tuple[str, Mapping[str, str], dict[str, float]]:
    metadata, status = node.get("metadata") or {}, node.get("status") or {}
    given = status.get("allocatable") or status.get("capacity") or {}
    room: dict[str, float] = {}
    for resource, amount in given.items():
        try:
            room[resource] = float(parse_quantity(str(amount)))
        except ValueError:
            continue
    return str(metadata.get("name") or ""), metadata.get("labels") or {}, room
