"""Where running pods are: the nodes of a cluster with their pools, and whether a placement would let a pod be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.documents import parse_quantity
from engine.nodeselector import Terms, state_of
from engine.placement import Toleration, tolerates
from engine.pools import HARD_EFFECTS, NODE_RESOURCES, PoolIndex, is_transient, members

Json = Mapping[str, Any]


class Place(NamedTuple):
    """A node as pods are placed on it: its labels, its pool (empty where it is of none), what it has for pods (nothing
    where nobody knows), and the taints that keep pods off, but those that say only how it is at the moment."""

    labels: Mapping[str, str]
    pool: str
    room: Mapping[str, float]
    taints: tuple[Json, ...] = ()


class Asked(NamedTuple):
    """What a pod asks of a node: the terms that it is to match, what the pod tolerates, and requests by resource."""

    terms: Terms
    tolerations: tuple[Toleration, ...]
    requests: Mapping[str, int | float]


def places_of(nodes: Iterable[Json], index: PoolIndex) -> dict[str, Place]:
    """Nodes by name, each with the pool that it belongs to."""
    each = [(index.pools[i], index.selector(1 << i)) for i in members(index.every)]
    places: dict[str, Place] = {}
    for node in nodes:
        name, labels, room = _read(node)
        mine = (pool.name for pool, terms in each if admits(terms, name, labels))
        places[name] = Place(labels, next(mine, ""), room, _keeping_off(node))
    return places


def hindrance(places: Mapping[str, Place], asked: Asked) -> str:
    """Why none of these nodes would take a pod, were it the only one there; empty where one would, or none is known."""
    others = barred = small = 0
    for name, place in places.items():
        if not admits(asked.terms, name, place.labels):
            others += 1
        elif not all(any(tolerates(one, taint) for one in asked.tolerations) for taint in place.taints):
            barred += 1
        elif not _is_enough(place.room, asked.requests):
            small += 1
        else:
            return ""
    counts = ((others, "are not those that it may be on"), (barred, "have taints that it does not tolerate"))
    told = [f"{count} {words}" for count, words in (*counts, (small, "are too small")) if count]
    return f"of {len(places)} nodes that there are none would take it: {', '.join(told)}" if told else ""


def _is_enough(room: Mapping[str, float], requests: Mapping[str, int | float]) -> bool:
    """Whether a node is as large as one pod. Of a resource that nobody knows of there is enough."""
    known = (name for name in requests if name in room or (room and name in NODE_RESOURCES))
    return all(requests[name] <= room.get(name, 0) for name in known)


def _keeping_off(node: Json) -> tuple[Json, ...]:
    taints = (node.get("spec") or {}).get("taints") or ()
    return tuple(one for one in taints if one.get("effect") in HARD_EFFECTS and not is_transient(one.get("key") or ""))


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
