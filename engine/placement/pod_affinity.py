"""Pod affinity and anti-affinity terms: when two mean the same, and which are still missing from a pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import EVERYWHERE, Meter, Term
from engine.placement.pod_selector import SELECTED, counted_pods, selector_parts
from engine.placement.weights import capped, united

PodTerm: TypeAlias = Mapping[str, Any]
WeightedPodTerm: TypeAlias = tuple[int | None, PodTerm]  # weight 1..100, or None where the term is required
Identity: TypeAlias = tuple[str, Term, frozenset[str], Term | None]


POD_TERM = 16
"""What reading a pod affinity term takes of a budget, in units, without what its selectors say."""


def parts(item: PodTerm) -> int:
    """What reading all that the selectors and lists of a pod affinity term say takes, in units."""
    lists = ("namespaces", "matchLabelKeys", "mismatchLabelKeys")
    said = sum(SELECTED * len(item.get(each) or ()) for each in lists)
    return said + selector_parts(item.get("labelSelector")) + selector_parts(item.get("namespaceSelector"))


def pod_term(
    topology_key: str,
    label_selector: Mapping[str, Any],
    namespaces: Sequence[str] = (),
    namespace_selector: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A term in Kubernetes' own fields, the selector already written out (`pod_selector.written_out`)."""
    made: dict[str, Any] = {"topologyKey": topology_key, "labelSelector": label_selector}
    if namespaces:
        made["namespaces"] = sorted(set(namespaces))
    if namespace_selector is not None:
        made["namespaceSelector"] = namespace_selector
    return made


def term_identity(item: PodTerm, labels: Mapping[str, str]) -> Identity:
    """What a term of a pod with these labels means: equal identities are terms that mean the same."""
    pods = counted_pods(
        item.get("labelSelector"), labels, item.get("matchLabelKeys") or (), item.get("mismatchLabelKeys") or ()
    )
    named = item.get("namespaceSelector")
    namespaces = None if named is None else counted_pods(named)
    names = () if namespaces == EVERYWHERE else item.get("namespaces") or ()
    return item.get("topologyKey") or "", pods, frozenset(names), namespaces


def added_terms(
    existing: Mapping[str, Any],
    wanted: Sequence[WeightedPodTerm],
    labels: Mapping[str, str],
    meter: Meter | None = None,
) -> tuple[tuple[PodTerm, ...], tuple[Mapping[str, Any], ...]]:
    """The required terms and the weighted ones that a pod's `podAffinity` (or anti-affinity) lacks, in a fixed order.

    A weighted term is not repeated beside the same required one, nor beside the same one that weighs as much, or more.
    """
    if meter:
        own = [*(existing.get(REQUIRED) or ()), *(existing.get(PREFERRED) or ())]
        meter.spend(POD_TERM * (len(own) + 4 * len(wanted)))
        meter.spend(sum(parts(one.get("podAffinityTerm") or one) for one in own) + 4 * sum(parts(w) for _, w in wanted))
    required = {term_identity(item, labels) for item in existing.get(REQUIRED) or ()}
    preferred = united(
        (one.get("weight") or 0, term_identity(one.get("podAffinityTerm") or {}, labels))
        for one in existing.get(PREFERRED) or ()
    )
    spelled = sorted((item for _, item in wanted), key=repr)
    meant = {term_identity(item, labels): item for item in reversed(spelled)}
    demands = {term_identity(item, labels) for weight, item in wanted if weight is None}
    weights = united((weight, term_identity(item, labels)) for weight, item in wanted if weight is not None)
    wishes = capped({one: weight for one, weight in weights.items() if one not in demands})
    lacking = sorted(demands - required, key=_order)
    scarce = (one for one in wishes.keys() - required if wishes[one] > preferred.get(one, 0))
    wished = sorted(scarce, key=lambda one: (-wishes[one], _order(one)))
    return (
        tuple(meant[one] for one in lacking),
        tuple({"weight": wishes[one], "podAffinityTerm": meant[one]} for one in wished),
    )


def _order(one: Identity) -> tuple[object, ...]:
    topology_key, pods, names, namespaces = one
    return topology_key, pods.order(), sorted(names), namespaces is not None, namespaces.order() if namespaces else ()
