"""Tolerations: which taint takes which, and when one already says what another would.

Rules as in Kubernetes' api `core/v1/toleration.go`: an empty effect means all effects, an empty key (with `Exists`) all
keys, a missing operator `Equal`. Whatever it says of `tolerationSeconds`, a toleration tolerates: of several that match
a NoExecute taint the shortest time counts, so a second one never adds time, and identity leaves the seconds out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from engine.nodeselector import Meter

Toleration: TypeAlias = Mapping[str, Any]

COVERING = 8
"""What asking one toleration whether it covers another takes of a budget, in units."""
DEFAULT_SECONDS = 300
"""What the API server's DefaultTolerationSeconds says for a pod that says nothing of such nodes."""

_DIGITS = 20  # what is longer fits no int64, for there are no leading zeros
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")  # IsDecimalInteger of apimachinery's validation


def toleration_for(taint: Mapping[str, Any], seconds: int | None = None) -> dict[str, Any]:
    """The narrowest toleration of a taint (`key`, `value`, `effect`), without limit or for some `seconds`.

    Where the taint has no value this is `Equal` without one, not `Exists`, which would open every value of the key.
    The API server takes seconds for NoExecute only; they are left out of others.
    """
    value = taint.get("value") or ""
    toleration = {"key": taint["key"], "operator": "Equal", "value": value, "effect": taint["effect"]}
    limit = {"tolerationSeconds": seconds} if seconds is not None and taint["effect"] == "NoExecute" else {}
    return {k: v for k, v in toleration.items() if k != "value" or v} | limit


def stay(key: str, seconds: int) -> dict[str, Any]:
    """For how long a pod stays on a node with a lifecycle taint of this key, as the API server would say it."""
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


def tolerates(toleration: Toleration, taint: Mapping[str, Any]) -> bool:
    """Does a toleration let a pod onto a node with this taint?

    Gt and Lt (feature gate TaintTolerationComparisonOperators, off by default up to 1.36) compare integers: the API
    server takes them only where they count.
    """
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
    if operator in ("Gt", "Lt") and other_operator == "Equal":
        return _compares(operator, value, other_value)
    return operator == "Exists" or (operator, value) == (other_operator, other_value)


def _compares(operator: str, bound: str, value: str) -> bool:
    """compareNumericValues of core/v1/toleration.go: the taint's value is above, or below, the toleration's."""
    if max(len(bound), len(value)) > _DIGITS or not (_INTEGER.fullmatch(bound) and _INTEGER.fullmatch(value)):
        return False
    a, b = int(value), int(bound)
    return _fits(a) and _fits(b) and (a > b if operator == "Gt" else a < b)


def _fits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63


def toleration_identity(toleration: Toleration) -> tuple[str, str, str, str]:
    """Key, operator, value and effect, with the missing operator and the missing strings filled in."""
    operator = toleration.get("operator") or "Equal"
    key, value, effect = (toleration.get(field) or "" for field in ("key", "value", "effect"))
    return key, operator, value, effect


def united_tolerations(
    existing: Sequence[Toleration] | None, wanted: Sequence[Toleration], meter: Meter | None = None
) -> Sequence[Toleration] | None:
    """The pod's tolerations with those wanted that aren't covered yet, in a fixed order, none covered by another.

    What the API server has added for a lifecycle taint gets the seconds that are wanted; all else stays as it is. The
    very same list where nothing is to be done.
    """
    if not wanted:
        return existing
    own = list(existing or ())
    rest = []
    if meter:  # each is asked whether it covers each, twice where one is for some seconds
        meter.spend(COVERING * len(wanted) * (2 * len(own) + len(wanted)))
    for toleration in wanted:
        place = _default_place(own, toleration)
        if place is None:
            rest.append(toleration)
        else:
            own[place] = {**own[place], "tolerationSeconds": toleration["tolerationSeconds"]}
    more = added_tolerations(own, rest)
    return existing if not more and own == list(existing or ()) else [*own, *more]


def _default_place(own: Sequence[Toleration], wanted: Toleration) -> int | None:
    """Where the toleration stands that the API server adds to a pod that says nothing of a lifecycle taint.

    None where there is no such, where another one of the pod's has to do with the taint, or nobody wants other seconds.
    """
    if wanted.get("tolerationSeconds") is None:
        return None
    default = stay(wanted["key"], DEFAULT_SECONDS)
    if toleration_identity(wanted) != toleration_identity(default):
        return None
    about = [place for place, one in enumerate(own) if covers(one, wanted)]
    return about[0] if len(about) == 1 and {k: v for k, v in own[about[0]].items() if v} == default else None


def added_tolerations(existing: Sequence[Toleration], wanted: Iterable[Toleration]) -> tuple[Toleration, ...]:
    """Which of the wanted tolerations aren't covered yet, in a fixed order, none covered by another."""
    ordered = sorted(wanted, key=toleration_identity)
    left: list[Toleration] = []
    for toleration in ordered:
        if not any(covers(other, toleration) for other in (*existing, *left)):
            left = [other for other in left if not covers(toleration, other)] + [toleration]
    return tuple(left)
