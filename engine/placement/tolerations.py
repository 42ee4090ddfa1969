"""Tolerations: which taint takes which, and when one already says what another would.

Rules as in Kubernetes' api `core/v1/toleration.go`: an empty effect means all effects, an empty key (with `Exists`) all
keys, a missing operator `Equal`. Whatever it says of `tolerationSeconds`, a toleration tolerates: of several that match
a NoExecute taint the shortest time counts, so a second one never adds time, and identity leaves the seconds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Toleration: TypeAlias = Mapping[str, Any]


def toleration_for(taint: Mapping[str, Any]) -> dict[str, str]:
    """The narrowest toleration of a taint (`key`, `value`, `effect`).

    Where the taint has no value this is `Equal` without one, not `Exists`, which would open every value of the key.
    """
    value = taint.get("value") or ""
    toleration = {"key": taint["key"], "operator": "Equal", "value": value, "effect": taint["effect"]}
    return toleration if value else {k: v for k, v in toleration.items() if k != "value"}


def tolerates(toleration: Toleration, taint: Mapping[str, Any]) -> bool:
    """Does a toleration let a pod onto a node with this taint? The alpha operators Gt and Lt never do, here."""
    return covers(toleration, toleration_for(taint))


def covers(toleration: Toleration, other: Toleration) -> bool:
    """Does a toleration tolerate every taint that the other does, so that the other adds nothing?"""
    key, operator, value, effect = toleration_identity(toleration)
    other_key, other_operator, other_value, other_effect = toleration_identity(other)
    if effect not in ("", other_effect):
        return False
    if key == "":
        return operator == "Exists"
    if key != other_key:
        return False
    return operator == "Exists" or (operator, value) == (other_operator, other_value)


def toleration_identity(toleration: Toleration) -> tuple[str, str, str, str]:
    """Key, operator, value and effect, with the missing operator and the missing strings filled in."""
    operator = toleration.get("operator") or "Equal"
    key, value, effect = (toleration.get(field) or "" for field in ("key", "value", "effect"))
    return key, operator, value, effect


def added_tolerations(existing: Sequence[Toleration], wanted: Iterable[Toleration]) -> tuple[Toleration, ...]:
    """Which of the wanted tolerations aren't covered yet, in a fixed order, none covered by another."""
    ordered = sorted(wanted, key=toleration_identity)
    left: list[Toleration] = []
    for toleration in ordered:
        if not any(covers(other, toleration) for other in (*existing, *left)):
            left = [other for other in left if not covers(toleration, other)] + [toleration]
    return tuple(left)
