"""Two sides that contradict each other in one label, such as a policy and the pod's nodeSelector; and the words for it.

One says with which states of a label it goes together, the other asks for states that are none of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.evaluation import NodeSet, alive, reach
from engine.nodeselector import (
    ABSENT,
    ANY,
    NOWHERE,
    TRUE,
    LabelStates,
    Meter,
    Term,
    Terms,
    one_of,
    simplify,
    term_of,
    where,
    work,
)
from engine.placement import own
from engine.pools import NODE_WORDS, PoolIndex, members

SELECTOR = "the pod's nodeSelector"
AFFINITY = "the pod's node affinity"
OWN = "the pod's own constraints"
NOTHING_ASKED: LabelStates = one_of(())
MANY = 5
"""As many values are listed; of more, the rest are counted."""
_WORDS = {label: word for word, _, label in NODE_WORDS if label}


class Side(NamedTuple):
    """What asks for nodes, in words (a plural, or not), and the terms that it asks for."""

    name: str
    plural: bool
    terms: Terms

    @property
    def asks(self) -> str:
        """`the pod's nodeSelector asks for`."""
        return f"{self.name} {'ask' if self.plural else 'asks'} for"


class Conflict(NamedTuple):
    """What is asked for of labels, and what there is instead, each a list of a label with its states."""

    asked: tuple[tuple[str, LabelStates], ...]
    there: tuple[tuple[str, LabelStates], ...]


def sides_of(pod: Mapping[str, Any], together: Terms, meter: Meter | None = None) -> Iterator[Side]:
    """What a pod itself asks for: by its nodeSelector, by its node affinity, and by both `together`. Raises TooMany."""
    spec = pod.get("spec") or {}
    for name, field in ((SELECTOR, "nodeSelector"), (AFFINITY, "affinity")):
        if spec.get(field):
            yield Side(name, False, own({"spec": {field: spec[field]}}, meter))
    yield Side(OWN, True, together)


def conflict(terms: Terms, known: Term) -> Conflict | None:
    """Why no node of which this is known meets any of these terms; None where one may.

    Of each term the first label that rules it out is told.
    """
    asked: dict[str, LabelStates] = {}
    for term in terms:
        key = next((key for key, values in term.requirements if (values & known[key]).impossible), None)
        if key is None or term == NOWHERE:
            return None
        asked[key] = asked.get(key, NOTHING_ASKED) | term[key]
    there = tuple((key, known[key]) for key in asked)
    return Conflict(tuple(asked.items()), there) if asked else None


def contradicted(
    nodes: NodeSet, pod: Mapping[str, Any], mine: Terms, pool_index: PoolIndex, meter: Meter | None = None
) -> tuple[str, str] | None:
    """What nodes allow of one label, in words, and what the pod itself asks for that is not among it.

    `mine` are the terms of the pod's own that count. None where no label alone shows that they leave none of the nodes.
    Raises TooMany.
    """
    for side in sides_of(pod, mine, meter):
        for key in _keys(side.terms, meter):
            wanted = states_of(key, side.terms, meter)
            if not alive(nodes, (term_of({key: wanted}),), pool_index, meter):
                allowed = _allowed(key, nodes, pool_index, meter)
                if not allowed.impossible and (allowed & wanted).impossible:
                    return in_words(key, allowed), f"{side.asks} {in_words(key, wanted)}"
    return None


def states_of(key: str, terms: Terms, meter: Meter | None = None) -> LabelStates:
    """The states of a label that any of these terms admits."""
    if meter:
        meter.spend(work(terms))
    return _united(key, (term[key] for term in terms), meter)


def _united(key: str, many: Iterable[LabelStates], meter: Meter | None) -> LabelStates:
    """All of these states of a label."""
    terms = simplify((term_of({key: states}) for states in set(many)), meter)
    return terms[0][key] if terms else NOTHING_ASKED


def _keys(terms: Terms, meter: Meter | None) -> list[str]:
    """The labels of which every one of these terms asks something."""
    if meter:
        meter.spend(len(terms[0].requirements) * work(terms) if terms else 0)
    return [key for key, _ in terms[0].requirements if all(term[key] != ANY for term in terms)] if terms else []


def _allowed(key: str, nodes: NodeSet, pool_index: PoolIndex, meter: Meter | None) -> LabelStates:
    """The states of a label that nodes of these may be in."""
    if nodes.anywhere is not None:
        return states_of(key, nodes.anywhere, meter)
    allowed: list[LabelStates] = []
    for mask, terms in nodes.groups:
        asked = states_of(key, terms, meter)
        reached = reach(((mask, terms),), TRUE, pool_index, meter)
        if meter:
            meter.spend(reached.bit_count() * (4 + work(where(key, asked))))
        there = {pool_index.states(i, key) for i in members(reached)}
        allowed += (asked & states for states in there)
    return _united(key, allowed, meter)


def in_words(key: str, states: LabelStates) -> str:
    """`zones a, b` where a label says a portable word, else as `labelled`."""
    word = _WORDS.get(key)
    if word is None or states.absent or states.finite is None:
        return labelled(key, states)
    return f"{word}{'s' if len(states.finite) > 1 else ''} {_some(states.finite)}"


def labelled(key: str, states: LabelStates) -> str:
    """`tier=gold`, `tier In [a, b]`, `no tier`, `slots Gt 4`."""
    key = "name" if key.startswith("/") else key
    finite = None if states.absent else states.finite
    if states == ABSENT:
        return f"no {key}"
    if not finite:
        return f"{key} {states}"
    values = _some(finite)
    return f"{key}={values}" if len(finite) == 1 else f"{key} In [{values}]"


def _some(values: frozenset[str]) -> str:
    """The values, sorted; of many only the first, and how many more there are."""
    names = sorted(value.removeprefix("/") for value in values)
    if len(names) > MANY + 1:
        names = [*names[:MANY], f"{len(names) - MANY} more"]
    return ", ".join(names)
