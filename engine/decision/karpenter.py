"""What is written, so that Karpenter looks at each pod that its pools may serve, and can serve it.

`first_look` tells when Karpenter drops a pod. Of one that it looks at, it tries the next required terms where no node
can be made; then it gives up preferences, the heaviest first, with the last required term alone. So

- alternatives that Karpenter's pools can serve stand first, and the first of them again at the end where there may be
  something else to give up;
- a wish names the NodePools that are not meant instead of asking for nodes without `karpenter.sh/nodepool`;
- where a wish would still leave no NodePool, one that every node fulfils is heavier.

Source: sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning/scheduling (trySchedule, Preferences.Relax).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.decision.combine import Given
from engine.decision.first_look import (
    NODE_POOL,
    any_node_pool,
    heaviest,
    node_pools,
    overlooked,
    preferred_of,
    required_of,
    selected_node_pools,
)
from engine.names import PREFERRED, REQUIRED
from engine.nodeselector import (
    ABSENT,
    ANY,
    EXISTS,
    MAX_TERMS,
    NOWHERE,
    LabelStates,
    Meter,
    Term,
    Terms,
    can_be_said,
    difference,
    implies,
    none_of,
    one_of,
    parse_term,
    simplify,
    term_of,
    work,
)
from engine.placement import MAX_WEIGHT, narrowed, pay_for_terms, preferences, united, wishes_of
from engine.pools import PoolIndex, members

Json = Mapping[str, Any]
Wishes = tuple[tuple[int, Term], ...]

NEUTRAL = term_of({"kubernetes.io/os": EXISTS})
"""What every node fulfils, for each kubelet writes this label, and what Karpenter knows of all nodes that it makes."""


_SOFT = ("affinity", "topologySpreadConstraints")


def made_by_karpenter(pool_index: PoolIndex, pools: int) -> int:
    """The mask of those of these pools whose nodes Karpenter makes."""
    made: int = pool_index.providers.get("karpenter", 0)
    return pools & made


def dropped(pod: Json, patched: Json, given: Given, pools: int) -> list[str]:
    """A warning where Karpenter, some of whose pools are left, drops the patched pod, and not the pod as it was."""
    if patched is pod or not made_by_karpenter(given.pool_index, pools):
        return []
    _pay_for_looking(given, patched)
    reason = overlooked(patched)
    return [f"Karpenter makes no node for this pod: {reason}"] if reason and not overlooked(pod) else []


def _pay_for_looking(given: Given, *pods: Json) -> None:
    """Pays for reading the required terms and the preferences of pods as Karpenter does."""
    if given.meter:
        for pod in pods:
            terms = (*required_of(pod), *(each.get("preference") or {} for each in preferred_of(pod)))
            given.meter.spend(sum([1 + len(one.get("matchExpressions") or ()) for one in terms]))


def without_absence(terms: Terms, pool_index: PoolIndex, pools: int, meter: Meter | None = None) -> Terms:
    """The same nodes of these pools in terms that ask for no node without `karpenter.sh/nodepool`. Raises TooMany.

    For wishes only: nodes of NodePools that the inventory does not know may fulfil them, too.
    """
    apart = [term for term in terms if term[NODE_POOL] == ABSENT]
    if not apart:
        return terms
    others = tuple(term for term in terms if term[NODE_POOL] != ABSENT)
    named = [_naming(term, others, pool_index, pools, meter) for term in apart]
    left = difference(others, tuple(named), meter)
    if meter:
        meter.spend(sum(pool_index.price(one) for one in left) + len(left) * len(others))
    rest = tuple(one for one in left if one in others or pool_index.possible(one))
    if not all(map(can_be_said, rest)):  # then NodePools that are meant keep their own terms, and are named, too
        named, rest = [_naming(term, (), pool_index, pools, meter) for term in apart], others
    return simplify((*named, *rest), meter)


def _naming(term: Term, meant: Terms, pool_index: PoolIndex, pools: int, meter: Meter | None) -> Term:
    """A term with the names of NodePools that may fulfil the rest of it and are not meant, where it said that none is.

    NodePools that are meant may have nodes that fulfil it: those are in `meant`.
    """
    rest = term.with_values(NODE_POOL, ANY)
    names = []
    if meter:
        meter.spend(pool_index.price(rest))
    for index in members(made_by_karpenter(pool_index, pools) & pool_index.possible(rest)):
        name = pool_index.pools[index].selector.get(NODE_POOL, "")
        if not implies((rest.with_values(NODE_POOL, one_of([name])),), meant, meter):
            names.append(name)
    return rest.with_values(NODE_POOL, none_of(names)) if names else rest


def heavier_than_all(wishes: Wishes, required: Terms, given: Given, pools: int) -> Wishes:
    """The wishes, with one that every node fulfils above them if Karpenter would drop the pod for the heaviest.

    It takes a part of what NodeAffinity can say to the scheduler, and changes no order of nodes. Where a preference of
    the pod's own weighs 100, nothing helps. Raises TooMany.
    """
    pod = given.incoming.pod
    own = preferred_of(pod)
    if own or wishes:
        _pay_for_looking(given, pod, pod)
    served = _first_terms(required, given, pools) if own or wishes else []
    if not served or (not own and all(any_node_pool((served[0], wish[NODE_POOL])) for _, wish in wishes)):
        return wishes
    ours = united((weight, one) for weight, wish in wishes for one in wish.split())
    said = [term for _, term in wishes_of(own, given.meter)]
    theirs = [one for one, term in zip(own, said, strict=True) if term not in ours and term != NEUTRAL]
    top = max(ours.values(), default=0)
    if top >= MAX_WEIGHT and NEUTRAL in said:
        return (*wishes, (_heavier(top), NEUTRAL))  # it stands there already, and these were made lighter for it
    looked_at = [*heaviest([*theirs, *preferences(wishes, theirs, given.meter)]), selected_node_pools(pod)]
    fixed = max((one.get("weight") or 0 for one in theirs), default=0)
    if fixed >= MAX_WEIGHT or any(any_node_pool((each, *looked_at)) for each in served) or overlooked(pod):
        return wishes
    with_neutral = (*wishes, (_heavier(max(fixed, top)), NEUTRAL))
    lacking = [parse_term(one["preference"]) for one in preferences(with_neutral, own, given.meter)]
    return (
        wishes if lacking == [NEUTRAL] and narrowed(pod, required, given.meter, given.meant) is None else with_neutral
    )


def _heavier(top: int) -> int:
    """A weight above `top`; past 100 all weights are made smaller in proportion, and then 99 is left for `top`."""
    return top + 1 if top < MAX_WEIGHT else -(-top * MAX_WEIGHT // (MAX_WEIGHT - 1))


def _first_terms(required: Terms, given: Given, pools: int) -> list[LabelStates]:
    """What the first required term may ask of NodePools, for each term that these pools can serve."""
    pod = given.incoming.pod
    if len(required_of(pod)) < 2:
        own = given.own_terms[0] if given.own_terms else NOWHERE
        return [(term & own)[NODE_POOL] for term in required if _serves(term, given, pools)]
    terms = narrowed(pod, required, given.meter, given.meant)
    if terms is None:
        return [node_pools(required_of(pod)[0])]
    return [node_pools(one) for one, able in zip(terms, _served(pod, terms, given, pools), strict=True) if able]


def alternatives_in_order(required: Terms, wishes: Wishes, given: Given, pools: int) -> Terms:
    """The terms, first those that these pools, which are Karpenter's, can serve. Raises TooMany.

    Of these, first what Karpenter looks at beside the heaviest preference.
    """
    if len(required) < 2:
        return required
    own = preferred_of(given.incoming.pod)
    looked_at = [selected_node_pools(given.incoming.pod), *heaviest([*own, *preferences(wishes, own, given.meter)])]

    def rank(term: Term) -> int:
        if not _serves(term, given, pools):
            return 2
        return 0 if any_node_pool((term[NODE_POOL], *looked_at)) else 1

    return tuple(sorted(required, key=rank))


def _serves(term: Term, given: Given, pools: int) -> bool:
    """Whether any of these pools may have a node that a term and the pod's one own term, if it is one, admit."""
    if given.meter:
        given.meter.spend(2 * work((term, *given.own_terms[:1])) + given.pool_index.price(term))
    here = term & given.own_terms[0] if len(given.own_terms) == 1 else term
    return not here.impossible and bool(given.pool_index.possible(here) & pools)


def shown(pod: Json, patched: Json, given: Given, pools: int) -> Json:
    """The patched pod, with a required term that these pools can serve once more at an end where Karpenter needs it.

    The pod's own terms keep their places, each with what is added to it: that may leave one in front for which
    Karpenter drops the pod. One that it would have dropped as it was is left alone.
    """
    terms, narrower = required_of(patched), required_of(patched) is not required_of(pod)
    if len(terms) < 2 or not all(terms) or overlooked(pod):
        return patched  # of an empty term, which matches nothing, Karpenter reads that any node will do
    if not narrower and all(patched["spec"].get(one) is (pod.get("spec") or {}).get(one) for one in _SOFT):
        return patched  # nothing more to give up than before
    _pay_for_looking(given, pod, patched, patched)
    looked_at = [selected_node_pools(pod), *heaviest(preferred_of(patched))]
    in_front = any_node_pool((node_pools(terms[0]), *looked_at)) or not narrower
    if in_front and (_served(pod, terms[-1:], given, pools)[0] or not _soft(patched, given, pools)):
        return patched  # which costs the others nothing
    served = _served(pod, terms, given, pools)
    seen = [any_node_pool((node_pools(one), *looked_at)) for one in terms]
    best = next((one for one, able, visible in zip(terms, served, seen, strict=True) if able and visible), None)
    if best is None:
        return patched
    before = () if in_front else (best,)
    after = () if served[-1] or not _soft(patched, given, pools) else (best,)
    more = len(before) + len(after)
    return _with_terms(patched, [*before, *terms, *after]) if 0 < more <= MAX_TERMS - len(terms) else patched


def _served(pod: Json, terms: Sequence[Json], given: Given, pools: int) -> list[bool]:
    """Of each of these nodeSelectorTerms, whether any of these pools may have a node that it and the pod admit."""
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    selected = term_of({key: one_of([value]) for key, value in selector.items()})
    pay_for_terms(terms, given.meter, len(selector))
    meant = [selected & parse_term(one) for one in terms]
    if given.meter:
        given.meter.spend(work(meant) + sum(given.pool_index.price(one) for one in meant))
    return [not here.impossible and bool(given.pool_index.possible(here) & pools) for here in meant]


def _with_terms(pod: Json, terms: Sequence[Json]) -> Json:
    spec, affinity = pod["spec"], pod["spec"]["affinity"]
    node_affinity = {**affinity["nodeAffinity"], REQUIRED: {"nodeSelectorTerms": list(terms)}}
    return {**pod, "spec": {**spec, "affinity": {**affinity, "nodeAffinity": node_affinity}}}


def _soft(pod: Json, given: Given, pools: int) -> bool:
    """Whether there may be something that Karpenter gives up after the required terms."""
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    if any((affinity.get(field) or {}).get(PREFERRED) for field in ("nodeAffinity", "podAffinity", "podAntiAffinity")):
        return True
    if any(one.get("whenUnsatisfiable") == "ScheduleAnyway" for one in spec.get("topologySpreadConstraints") or ()):
        return True
    taints = (taint for index in members(pools) for taint in given.pool_index.pools[index].taints)
    return any(taint.effect == "PreferNoSchedule" for taint in taints)
