"""Whether anybody has declared or seen that nodes of a pool carry a label as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.nodeselector import ANY, EXISTS, NODE_NAME, LabelStates, one_of
from engine.pools.nodes import is_of_instance_type
from engine.pools.pool import Pool
from engine.pools.providers import ARCH, CAPACITY_LABELS, OS

_USUAL: Mapping[str, LabelStates] = MappingProxyType(
    {
        ARCH: one_of(("amd64", "arm64")),
        OS: one_of(("linux", "windows")),
        **{key: one_of(types) for key, types in CAPACITY_LABELS.items()},
    }
)
"""Labels that each node carries with one of a few values: any of these may be meant where nothing is known."""


def is_special(key: str) -> bool:
    """Whether `attested` may answer in another way for a label of which no pool tells than for any other such."""
    return key == NODE_NAME or key in _USUAL or is_of_instance_type(key)


def attested(pool: Pool, key: str, states: LabelStates) -> bool:
    """Whether some node of a pool is known that may carry a label in one of these states.

    Known is what was declared, and what nodes were seen to carry. Where nothing is known at all, a node without the
    label, or with a usual value, is nothing strange. What instance types offer, Karpenter knows.
    """
    if key == NODE_NAME:
        return True
    fact = pool.fact(key)
    if fact.states == ANY or fact.open:
        if states.absent or any(map(states.holds, fact.seen)):
            return True
        if (fact.open or not fact.seen) and not (states & _USUAL.get(key, ~EXISTS)).impossible:
            return True
    elif not (fact.states & states).impossible:
        return True
    return pool.provider == "karpenter" and is_of_instance_type(key)
