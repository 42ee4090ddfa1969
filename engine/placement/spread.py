"""Topology spread constraints: how a policy's meet the pod's own.

The API server accepts one constraint for each (topologyKey, whenUnsatisfiable). Where there are two that count the same
pods, the stricter one wins field by field (a smaller `maxSkew`, a larger `minDomains`); else the first one stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from engine.nodeselector import Meter, Term
from engine.placement.pod_selector import SELECTED, counted_pods, selector_parts

Constraint: TypeAlias = Mapping[str, Any]

_POLICIES = {"nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Ignore"}


def spread_constraint(
    topology_key: str,
    max_skew: int,
    when_unsatisfiable: str,
    label_selector: Mapping[str, Any],
    *,
    min_domains: int | None = None,
    node_affinity_policy: str | None = None,
    node_taints_policy: str | None = None,
) -> dict[str, Any]:
    """A constraint in Kubernetes' own fields, the selector already written out (`pod_selector.written_out`).

    `minDomains` is legal with DoNotSchedule only, and left out otherwise.
    """
    optional = {
        "minDomains": min_domains if when_unsatisfiable == "DoNotSchedule" else None,
        "nodeAffinityPolicy": node_affinity_policy,
        "nodeTaintsPolicy": node_taints_policy,
    }
    fixed = {"maxSkew": max_skew, "topologyKey": topology_key, "whenUnsatisfiable": when_unsatisfiable}
    return fixed | {"labelSelector": label_selector} | {field: v for field, v in optional.items() if v is not None}


def combined_constraints(
    existing: Sequence[Constraint],
    wanted: Sequence[Constraint],
    labels: Mapping[str, str],
    meter: Meter | None = None,
) -> tuple[tuple[Constraint, ...], tuple[tuple[int, str], ...]]:
    """The pod's constraints with the wanted ones worked in, and which of those were overruled: (index, reason).

    The existing ones keep their places; new ones follow in the given order, so the caller puts the policy that is to
    win first. `labels` are the pod's.
    """
    merged, overruled = list(existing), []
    if meter:
        both = [*existing, *wanted]
        meter.spend(4 * len(wanted) * len(both))
        meter.spend(sum([SELECTED * (2 + len(one.get("matchLabelKeys") or ())) for one in both]))
        meter.spend(2 * sum([selector_parts(one.get("labelSelector")) for one in both]))
    for index, new in enumerate(wanted):
        place = next((i for i, old in enumerate(merged) if constraint_identity(old) == constraint_identity(new)), None)
        if place is None:
            merged.append(new)
        elif counted_labels(merged[place], labels) == counted_labels(new, labels):
            overruled += [(index, reason) for reason in _kept(merged[place], new, place < len(existing))]
            merged[place] = _stricter(merged[place], new)
        else:
            whose = "the pod's own" if place < len(existing) else "another policy's"
            overruled.append((index, f"{whose} constraint on {_named(new)} counts other pods"))
    return tuple(merged), tuple(overruled)


def constraint_identity(item: Constraint) -> tuple[str | None, str | None]:
    """What the API server allows once: the topology key and what happens when it can't be met."""
    return item.get("topologyKey"), item.get("whenUnsatisfiable")


def counted_labels(item: Constraint, labels: Mapping[str, str]) -> Term:
    """The pods that a constraint of a pod with these labels counts."""
    return counted_pods(item.get("labelSelector"), labels, item.get("matchLabelKeys") or ())


def _stricter(old: Constraint, new: Constraint) -> Constraint:
    changes = {}
    if new["maxSkew"] < old.get("maxSkew", new["maxSkew"]):
        changes["maxSkew"] = new["maxSkew"]
    if new.get("minDomains", 1) > (old.get("minDomains") or 1):
        changes["minDomains"] = new["minDomains"]
    return {**old, **changes}


def _kept(old: Constraint, new: Constraint, own: bool) -> list[str]:
    whose = "the pod's own" if own else "another policy's"
    return [
        f"{whose} constraint on {_named(new)} keeps its {field} {old.get(field) or usual}"
        for field, usual in _POLICIES.items()
        if (old.get(field) or usual) != (new.get(field) or usual)
    ]


def _named(item: Constraint) -> str:
    return f"`{item['topologyKey']}` ({item['whenUnsatisfiable']})"
