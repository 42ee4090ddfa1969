"""What Karpenter reads of a pod before it makes a node for it, and when it drops the pod instead.

Of node affinity Karpenter reads the first required term and the heaviest preference, both as requirements beside the
nodeSelector. It drops the pod where these leave no value of `karpenter.sh/nodepool`, and where any required term has
matchFields, a label that is Karpenter's own business or a capacity type that it does not have.

Source: sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning/provisioner.go (Validate), pkg/scheduling
(NewPodRequirements, Requirement.Intersection), pkg/apis/v1 (ValidateRequirement, IsRestrictedLabel).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import EXISTS, LabelStates, all_of, from_expression
from engine.pools import POOL_LABELS

Json = Mapping[str, Any]

NODE_POOL = POOL_LABELS[0]
_CAPACITY_TYPE, _CAPACITY_TYPES = "karpenter.sh/capacity-type", frozenset(("on-demand", "reserved", "spot"))
_HOSTNAME, _DOMAIN = "kubernetes.io/hostname", "karpenter.sh"
_SORTED_STABLY = 12
"""So many preferences are sorted with the first of equal ones first: Go's sort.Slice is an insertion sort then."""


def overlooked(pod: Json) -> str:
    """Why Karpenter drops a pod, whatever its NodePools are; empty if it looks at it."""
    terms = required_of(pod)
    for one in ({"matchExpressions": _selecting(pod)}, *terms):
        if reason := makes_none(one):
            return reason
    if not _about_node_pools(pod, terms):
        return ""
    asked = [selected_node_pools(pod), *map(node_pools, terms[:1])]
    if any_node_pool(asked) and all(any_node_pool((*asked, wished)) for wished in heaviest(preferred_of(pod))):
        return ""
    if any_node_pool(asked):
        return f"its heaviest preference excludes each `{NODE_POOL}` that its first required term admits"
    return f"its first required term asks for nodes without `{NODE_POOL}`"


def _about_node_pools(pod: Json, terms: Sequence[Json]) -> bool:
    """Whether what Karpenter looks at may leave no NodePool: one thing alone that names some leaves these. Cheap."""
    said = [each for one in terms[:1] for each in one.get("matchExpressions") or () if each.get("key") == NODE_POOL]
    if preferred_of(pod) or NODE_POOL in ((pod.get("spec") or {}).get("nodeSelector") or ()):
        return True
    return len(said) > 1 or any(each.get("operator") == "DoesNotExist" for each in said)


def makes_none(selector_term: Json) -> str:
    """Why a required term makes Karpenter drop a pod, wherever it stands; empty if it does not by itself."""
    if selector_term.get("matchFields"):
        return "a required term asks for a node by its name (`matchFields`)"
    return next(filter(None, map(_unheard_of, selector_term.get("matchExpressions") or ())), "")


def _unheard_of(expression: Json) -> str:
    """Why a required expression by itself makes Karpenter drop a pod; empty if it does not."""
    key = expression.get("key") or ""
    if f"{_DOMAIN}/" not in key and key != _HOSTNAME:
        return ""
    values = expression.get("values") or ()
    own = f".{key}".partition("/")[0].endswith(f".{_DOMAIN}")
    if key == _HOSTNAME or (own and key not in (NODE_POOL, _CAPACITY_TYPE)):
        return f"a required term names `{key}`"
    if key == _CAPACITY_TYPE and expression.get("operator") == "In" and _CAPACITY_TYPES.isdisjoint(values):
        return f"a required term asks for `{key}` In {', '.join(values)}, and there is no such"
    return ""


def node_pools(selector_term: Json) -> LabelStates:
    """What Karpenter reads of a term about `karpenter.sh/nodepool`: of an empty one nothing, so any will do."""
    about = (each for each in selector_term.get("matchExpressions") or () if each.get("key") == NODE_POOL)
    return all_of(map(from_expression, about))


def selected_node_pools(pod: Json) -> LabelStates:
    """What a pod's nodeSelector asks of `karpenter.sh/nodepool`."""
    return node_pools({"matchExpressions": _selecting(pod)})


def any_node_pool(asked: Iterable[LabelStates]) -> bool:
    """Whether any value of `karpenter.sh/nodepool` meets all that is asked of it."""
    return not (EXISTS & all_of(asked)).impossible


def heaviest(preferred: Sequence[Json]) -> list[LabelStates]:
    """What the preference that Karpenter looks at asks of NodePools: the heaviest, all of these where any may be it."""
    top = max((one.get("weight") or 0 for one in preferred), default=0)
    tied = [node_pools(one.get("preference") or {}) for one in preferred if (one.get("weight") or 0) == top]
    return tied[:1] if len(preferred) <= _SORTED_STABLY else tied


def required_of(pod: Json) -> Sequence[Json]:
    """The nodeSelectorTerms of a pod, none where it has no required node affinity."""
    terms: Sequence[Json] = (_node_affinity(pod).get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    return terms


def preferred_of(pod: Json) -> Sequence[Json]:
    """The preferred node affinity of a pod."""
    wishes: Sequence[Json] = _node_affinity(pod).get(PREFERRED) or ()
    return wishes


def _node_affinity(pod: Json) -> Json:
    affinity: Json = ((pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
    return affinity


def _selecting(pod: Json) -> list[Json]:
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    return [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]
