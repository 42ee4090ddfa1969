"""What Karpenter makes of a pod, written from its Go code and nothing of ours: the judge of what Bayplan writes for it.

Source: sigs.k8s.io/karpenter v1.14.1: pkg/controllers/provisioning/provisioner.go (Validate), .../scheduling
(trySchedule, NodeClaim.CanAdd, Preferences.Relax), pkg/scheduling/requirement.go and requirements.go, pkg/apis/v1. Only
labels and taints: instance types, prices, limits, volumes and topology are not in it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.engine.matching import PREFERRED, REQUIRED, tolerates

Json = Mapping[str, Any]

NODE_POOL, CAPACITY_TYPE = "karpenter.sh/nodepool", "karpenter.sh/capacity-type"
WELL_KNOWN = {
    NODE_POOL,
    CAPACITY_TYPE,
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "node.kubernetes.io/windows-build",
}
NORMALIZED = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


@dataclass(frozen=True)
class Requirement:
    """Karpenter's set of values of one label: these, or all but these, within bounds. None of them is DoesNotExist."""

    complement: bool
    values: frozenset[str] = frozenset()
    low: float = -math.inf
    high: float = math.inf

    def met(self, other: Requirement) -> Requirement:
        """Requirement.Intersection"""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low > high:
            return Requirement(False)
        complement = self.complement and other.complement
        if complement:
            values = self.values | other.values
        elif self.complement:
            values = other.values - self.values
        else:
            values = self.values - other.values if other.complement else self.values & other.values
        values = frozenset(value for value in values if within(value, low, high))
        return Requirement(complement, values, low, high) if complement else Requirement(False, values)

    def intersects(self, other: Requirement) -> bool:
        """Requirement.HasIntersection"""
        met = self.met(other)
        return met.complement or bool(met.values)

    @property
    def operator(self) -> str:
        """Requirement.Operator"""
        if self.complement:
            return "NotIn" if self.values else "Exists"
        return "In" if self.values else "DoesNotExist"


def within(value: str, low: float, high: float) -> bool:
    """withinBounds"""
    if (low, high) == (-math.inf, math.inf):
        return True
    return value.lstrip("+-").isdigit() and low <= int(value) <= high


def requirement(operator: str, values: Sequence[str] = ()) -> Requirement:
    """NewRequirement"""
    match operator:
        case "In":
            return Requirement(False, frozenset(values))
        case "NotIn":
            return Requirement(True, frozenset(values))
        case "Exists":
            return Requirement(True)
        case "DoesNotExist":
            return Requirement(False)
        case "Gt" | "Gte":
            return Requirement(True, low=int(values[0]) + (operator == "Gt"))
        case "Lt" | "Lte":
            return Requirement(True, high=int(values[0]) - (operator == "Lt"))
    raise AssertionError(operator)


Requirements = dict[str, Requirement]


def together(*many: Iterable[tuple[str, Requirement]]) -> Requirements:
    """Requirements.Add"""
    found: Requirements = {}
    for each in many:
        for key, one in each:
            name = NORMALIZED.get(key, key)
            found[name] = one.met(found[name]) if name in found else one
    return found


def said(expressions: Iterable[Json]) -> list[tuple[str, Requirement]]:
    return [(one["key"], requirement(one["operator"], one.get("values") or ())) for one in expressions]


def carried(labels: Mapping[str, str]) -> list[tuple[str, Requirement]]:
    """NewLabelRequirements"""
    return [(key, requirement("In", [value])) for key, value in labels.items()]


def node_affinity(pod: Json) -> dict[str, Any]:
    return ((pod["spec"].get("affinity") or {}).get("nodeAffinity")) or {}


def terms_of(pod: Json) -> list[Json]:
    return (node_affinity(pod).get(REQUIRED) or {}).get("nodeSelectorTerms") or []


def asked(pod: Json) -> Requirements:
    """NewPodRequirements. Go's sort.Slice keeps the first of equal ones first up to twelve of them."""
    wishes = node_affinity(pod).get(PREFERRED) or []
    heaviest = sorted(wishes, key=lambda one: -one["weight"])[:1]
    wished = [e for one in heaviest for e in one["preference"].get("matchExpressions") or ()]
    required = [e for one in terms_of(pod)[:1] for e in one.get("matchExpressions") or ()]
    return together(carried(pod["spec"].get("nodeSelector") or {}), said(wished), said(required))


def looks(pod: Json) -> bool:
    """Validate, but for volumes: whether Karpenter considers the pod at all."""
    pools = asked(pod).get(NODE_POOL)
    if pools is not None and pools.operator == "DoesNotExist":
        return False
    if any(one.get("matchFields") for one in terms_of(pod)):
        return False
    selecting = [
        {"key": k, "operator": "In", "values": [v]} for k, v in (pod["spec"].get("nodeSelector") or {}).items()
    ]
    return all(valid(one) for one in [*selecting, *(e for t in terms_of(pod) for e in t.get("matchExpressions") or ())])


def valid(expression: Json) -> bool:
    """ValidateRequirement: neither hostname nor Karpenter's own labels, and a capacity type that there is."""
    key = str(NORMALIZED.get(expression["key"], expression["key"]))
    domain = key.split("/")[0] if "/" in key else ""
    if key not in WELL_KNOWN and (domain == "karpenter.sh" or domain.endswith(".karpenter.sh")):
        return False
    if key == CAPACITY_TYPE and expression["operator"] == "In":
        return bool({"spot", "on-demand", "reserved"} & set(expression["values"]))
    if expression["operator"] in ("Gt", "Lt") and int(expression["values"][0]) < 0:
        return False
    return key != "kubernetes.io/hostname"


@dataclass(frozen=True)
class Template:
    """NodeClaimTemplate: what nodes of a NodePool will carry."""

    name: str
    requirements: Requirements
    taints: tuple[Json, ...] = ()


def template(node_pool: Json) -> Template:
    """NewNodeClaimTemplate"""
    inner, name = node_pool["spec"]["template"], node_pool["metadata"]["name"]
    labels = {**((inner.get("metadata") or {}).get("labels") or {}), NODE_POOL: name}
    reference = inner["spec"]["nodeClassRef"]
    labels[f"{reference['group']}/{reference['kind'].lower()}"] = reference["name"]
    needed = together(said(inner["spec"].get("requirements") or ()), carried(labels))
    return Template(name, needed, tuple(inner["spec"].get("taints") or ()))


def compatible(pool: Template, wanted: Requirements) -> bool:
    """Requirements.Compatible with AllowUndefinedWellKnownLabels"""
    for key, one in wanted.items():
        defined = key in pool.requirements
        if not defined and key not in WELL_KNOWN and one.operator not in ("NotIn", "DoesNotExist"):
            return False  # label "…" does not have known values
        if defined and not pool.requirements[key].intersects(one):
            lacking = {"NotIn", "DoesNotExist"}
            if not (one.operator in lacking and pool.requirements[key].operator in lacking):
                return False
    return True


def serves(pod: Json, pools: Sequence[Template]) -> str:
    """The first pool that Karpenter makes a node of for the pod, relaxing it as it does; empty if it makes none."""
    if not looks(pod):
        return ""
    relaxed = copy.deepcopy(dict(pod))
    while True:
        for pool in pools:
            tolerated = relaxed["spec"].get("tolerations") or []
            if all(any(tolerates(one, taint) for one in tolerated) for taint in pool.taints) and compatible(
                pool, asked(relaxed)
            ):
                return pool.name
        if not relax(relaxed, soft_taints=any(t["effect"] == "PreferNoSchedule" for p in pools for t in p.taints)):
            return ""


def relax(pod: dict[str, Any], *, soft_taints: bool) -> bool:
    """Preferences.Relax: one thing less, alternatives before all."""
    if len(terms_of(pod)) > 1:
        del node_affinity(pod)[REQUIRED]["nodeSelectorTerms"][0]
        return True
    affinity = pod["spec"].get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity", "nodeAffinity"):
        wishes = (affinity.get(field) or {}).get(PREFERRED)
        if wishes:
            affinity[field][PREFERRED] = sorted(wishes, key=lambda one: -one["weight"])[1:]
            return True
    spread = pod["spec"].get("topologySpreadConstraints") or []
    soft = next((one for one in spread if one["whenUnsatisfiable"] == "ScheduleAnyway"), None)
    if soft:
        spread.remove(soft)
        return True
    every = {"operator": "Exists", "effect": "PreferNoSchedule"}
    if soft_taints and every not in (pod["spec"].get("tolerations") or []):
        pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or []), every]
        return True
    return False
