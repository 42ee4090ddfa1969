"""The portable words of a node (`zone`, `capacityType`, ...) as cases over the labels of its pool's provider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from engine.nodeselector import ABSENT, EXISTS, FALSE, TRUE, Terms, none_of, one_of, term_of, union, where
from engine.pools.providers import CAPACITY_TYPES, WORDS, Capacity, capacity
from engine.struct import Struct

Cases = tuple[tuple[Terms, object], ...]
"""Disjoint sets of nodes, each with a value: one of CEL's, a Label, an Integer of a label, or an Optional of one."""


class Label(Struct, frozen=True):
    """Whatever string the node's label says."""

    key: str


class PortableWord(Struct, frozen=True):
    """A portable word on the nodes of one provider: its cases, and the nodes that do not say it (`missing`)."""

    cases: Cases
    missing: Terms


Words = Mapping[str, PortableWord]


@lru_cache(maxsize=64)
def words_of(provider: str) -> Words:
    """The portable words as the labels of `provider` say them; an empty one stands for a node of no pool."""
    words = {word: PortableWord(((where(key, EXISTS), Label(key)),), where(key, ABSENT)) for word, key in WORDS.items()}
    return {**words, "capacityType": _capacity_word(capacity(provider))}


def _capacity_word(rule: Capacity | None) -> PortableWord:
    """`capacityType` by a provider's rule; without one, every node lacks it."""
    if rule is None:
        return PortableWord((), TRUE)
    cases: list[tuple[Terms, object]] = []
    for capacity_type in CAPACITY_TYPES:
        said = [where(marker.key, one_of(marker.values(capacity_type))) for marker in rule.markers]
        cases.append((union(*said), capacity_type))
    unsaid = term_of({marker.key: none_of(marker.types) for marker in rule.markers})
    if rule.otherwise is None:
        return PortableWord(tuple(case for case in cases if case[0] != FALSE), (unsaid,))
    cases.append(((unsaid,), rule.otherwise))
    return PortableWord(tuple(case for case in cases if case[0] != FALSE), FALSE)
