"""What there is too much of, in words: why policies are not decided where a pod, or they together, take too much work.

Whoever reads it made the pod, or the policies: so the field of the pod is named that is largest, and the policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from engine.decision.combine import Given
from engine.evaluation import PolicyEvaluation
from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import TooMany

TERMS_OF_POD = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
NOTABLE = 50
"""Entries of a list of the pod's that may be what is too much; fewer are nothing that is worth a word."""
LOOKED_AT = 10_000
"""Entries that are looked at for what they list."""


def own_too_large(pod: Mapping[str, Any], error: Exception) -> str:
    """Why what a pod asks for itself can't be weighed against any policy."""
    if isinstance(error, TooMany):
        return f"the pod's own constraints: {error} ({TERMS_OF_POD})"
    return f"the pod's own constraints take more work than one request may: {_largest(pod) or TERMS_OF_POD}"


def together_too_much(given: Given) -> str:
    """Why the policies that apply to a pod can't be weighed against each other and what the pod asks for itself."""
    parts = [part for part in (_largest(given.incoming.pod), _most_demanding(given.evaluations)) if part]
    return f"what applies to the pod takes more work together than one request may{': ' if parts else ''}" + ", ".join(
        parts
    )


def _largest(pod: Mapping[str, Any]) -> str:
    """The list of the pod's that is longest, with its path; empty where none is long."""
    count, what, path = max(_lists(pod), key=lambda one: one[0])
    return f"{path} has {count:,} {what}" if count >= NOTABLE else ""


def _lists(pod: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """How many of what there are in the lists of a pod that policies are weighed against, and where."""
    spec = pod.get("spec") or {}
    affinity = spec.get("affinity") or {}
    node = affinity.get("nodeAffinity") or {}
    terms = (node.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    preferred = node.get(PREFERRED) or ()
    yield len(terms), "node selector terms", TERMS_OF_POD
    yield (*_expressions(terms), TERMS_OF_POD)
    yield len(preferred), "entries", f"spec.affinity.nodeAffinity.{PREFERRED}"
    wished = [one.get("preference") or {} for one in islice(preferred, LOOKED_AT)]
    yield (*_expressions(wished), f"spec.affinity.nodeAffinity.{PREFERRED}")
    yield len(spec.get("nodeSelector") or ()), "labels", "spec.nodeSelector"
    for field in ("tolerations", "topologySpreadConstraints"):
        yield len(spec.get(field) or ()), "entries", f"spec.{field}"
    for field in ("podAffinity", "podAntiAffinity"):
        for kind in (REQUIRED, PREFERRED):
            yield len((affinity.get(field) or {}).get(kind) or ()), "entries", f"spec.affinity.{field}.{kind}"


def _expressions(terms: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """How many match expressions, or values in them, some terms have: whichever are more."""
    listed = [one.get("matchExpressions") or () for one in islice(terms, LOOKED_AT)]
    count = sum(map(len, listed))
    values = sum([len(each.get("values") or ()) for each in islice(chain.from_iterable(listed), LOOKED_AT)])
    return (values, "values") if values > count else (count, "match expressions")


def _most_demanding(evaluations: Sequence[PolicyEvaluation]) -> str:
    """The policy that asks for most terms, and how many others there are."""
    applied = [one for one in evaluations if one.outcome == "applied"]
    if not applied:
        return ""
    name, terms = max(((one.policy.name, _terms(one)) for one in applied), key=lambda one: (one[1], one[0]))
    others = f" ({len(applied)} policies apply)" if len(applied) > 1 else ""
    return f"policy {name} asks for {terms:,} node selector term{'' if terms == 1 else 's'}{others}"


def _terms(evaluation: PolicyEvaluation) -> int:
    """How many terms a policy requires or prefers, as its expressions say them."""
    node_sets = [evaluation.nodes, *(wish.nodes for wish in (*evaluation.wishes, *evaluation.tiers))]
    return sum(len(terms) for nodes in node_sets if nodes is not None for _, terms in nodes.groups)
