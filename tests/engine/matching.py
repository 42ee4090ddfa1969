"""Kubernetes' own matching, written from its operator table and nothing of ours: the judge of the algebra's tests.

Sources: component-helpers' scheduling/corev1/nodeaffinity, apimachinery's labels/selector.go, validation of core/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

Labels = Mapping[str, str]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def matches_expression(expression: Mapping[str, Any], labels: Labels) -> bool:
    """One row of the operator table."""
    present, value = expression["key"] in labels, labels.get(expression["key"], "")
    match expression["operator"]:
        case "In":
            return present and value in expression["values"]
        case "NotIn":
            return not present or value not in expression["values"]
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case "Gt":
            return present and is_int64(value) and int(value) > int(expression["values"][0])
        case "Lt":
            return present and is_int64(value) and int(value) < int(expression["values"][0])
    raise AssertionError(expression)


def is_int64(value: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", value) is not None and -(2**63) <= int(value) < 2**63


def matches_term(term: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """A null or empty term matches nothing."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(matches_expression(e, labels) for e in expressions) and all(
        (name in f["values"]) == (f["operator"] == "In") for f in fields
    )


def admits(pod: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """nodeSelector and required node affinity, as the scheduler's filter reads them."""
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return required is None or any(matches_term(t, labels, name) for t in required["nodeSelectorTerms"])


def matches_selector(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """A label selector over pods: null counts none, empty all."""
    if selector is None:
        return False
    pairs = (selector.get("matchLabels") or {}).items()
    return all(labels.get(k) == v for k, v in pairs) and all(
        matches_expression(e, labels) for e in selector.get("matchExpressions") or []
    )


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """core/v1/toleration.go ToleratesTaint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator, value, mine = (
        toleration.get("operator") or "Equal",
        taint.get("value") or "",
        toleration.get("value") or "",
    )
    if operator in ("Gt", "Lt"):  # with the feature gate TaintTolerationComparisonOperators
        if not (is_decimal(value) and is_decimal(mine)):
            return False
        return int(value) > int(mine) if operator == "Gt" else int(value) < int(mine)
    return value == mine if operator == "Equal" else bool(operator == "Exists")


def is_decimal(value: str) -> bool:
    """An integer of 64 bits as strconv writes it."""
    return re.fullmatch(r"0|-?[1-9][0-9]*", value) is not None and is_int64(value)


def nodes(states: Mapping[str, Iterable[str | None]], names: Iterable[str] = ("n1",)) -> Iterator[tuple[Labels, str]]:
    """Every node of a universe: each label in each of its states, None for absent."""
    for values in product(*states.values()):
        labels = {key: value for key, value in zip(states, values, strict=True) if value is not None}
        for name in names:
            yield labels, name


_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def refused(expression: Mapping[str, Any]) -> str:
    """Why the API server would refuse a match expression, or an empty string."""
    values = expression.get("values", [])
    if expression["operator"] in ("In", "NotIn") and not values:
        return "must be specified when `operator` is 'In' or 'NotIn'"
    if expression["operator"] in ("Exists", "DoesNotExist") and values:
        return "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
    if expression["operator"] in ("Gt", "Lt") and (len(values) != 1 or not is_int64(values[0])):
        return "must be specified single value when `operator` is 'Lt' or 'Gt'"
    if expression["operator"] not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        return "not a valid selector operator"
    bad = [v for v in values if len(v) > 63 or not _VALUE.fullmatch(v)]
    return f"a valid label must be: {bad}" if bad else ""


def refused_term(term: Mapping[str, Any]) -> str:
    """Why the API server would refuse a node selector term, or an empty string. (It accepts an empty one.)"""
    for field in term.get("matchFields") or []:
        if field["key"] != "metadata.name" or field["operator"] not in ("In", "NotIn") or len(field["values"]) != 1:
            return f"not a valid field selector: {field}"
    return next(filter(None, map(refused, term.get("matchExpressions") or [])), "")
