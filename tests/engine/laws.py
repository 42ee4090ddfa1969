"""What the laws of placement demand of one decision, given what Kubernetes makes of the pod before and after it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import jsonpatch

from engine.decision import Decision
from engine.placement import constraint_identity
from tests.engine.matching import PREFERRED, REQUIRED, admits, tolerates
from tests.engine.oracle import Answer
from tests.engine.worlds import (
    DEFAULTS,
    GKE,
    KARPENTER,
    TAINTS,
    TIMED,
    Json,
    PolicySpec,
    PoolSpec,
    Triple,
    World,
    as_taint,
    as_triple,
    meant,
    states_left,
)

PLACES = ("/spec/affinity", "/spec/tolerations", "/spec/topologySpreadConstraints")
NAMES = {"/metadata/annotations", "/metadata/annotations/bayplan.dev"}


def patched(pod: Json, decision: Decision) -> Json:
    """The pod as the API server makes it of the patch, which must not share anything with the decision."""
    after: Json = jsonpatch.apply_patch(pod, json.loads(json.dumps(decision.patch)))
    return after


def in_force(world: World, decision: Decision) -> list[PolicySpec]:
    """The policies that hold for the pod, each with its share, in the order in which they are taken."""
    said = {policy.name: policy for policy in decision.policies}
    ordered = sorted(world.policies, key=lambda policy: (-policy.priority, policy.name))
    holding = [policy for policy in ordered if said[policy.name].outcome in ("applied", "satisfied")]
    return [policy.in_share(share.place if (share := said[policy.name].share) else None) for policy in holding]


def tried(policy: PolicySpec, decision: Decision) -> list[PolicySpec]:
    """An overruled policy in each share that the pod might have had: the one that it was dealt, if it is refused."""
    (said,) = (one for one in decision.policies if one.name == policy.name)
    if said.share is None:
        return [policy]
    others = policy.when_empty != "deny" and not said.share.kept
    return [policy.in_share(place) for place in range(len(policy.split)) if others or place == said.share.place]


def uphold(world: World, pod: Json, decision: Decision, new: Json, before: Answer, after: Answer) -> None:
    """Laws 1 to 3, 6 and 7. `before` and `after` say what Kubernetes makes of the pod and of `new`, the patched one.

    They are about the world's nodes, and after these about one node for each of `TAINTS`.
    """
    said = {policy.name: policy.outcome for policy in decision.policies}
    assert "failed" not in said.values(), decision.policies
    _leave_something(world, pod, decision, before)
    if not decision.allowed:
        assert decision.patch == ()
        return
    _admit(world, pod, decision, before, after)
    _tolerate(world, pod, decision, new, before, after)
    _prefer(world, pod, decision, before, after)
    _stay_minimal(pod, new, decision)
    assert before.refused == after.refused == ""
    assert bool(decision.patch) == ("applied" in said.values()), decision


def _admit(world: World, pod: Json, decision: Decision, before: Answer, after: Answer) -> None:
    """Never wider; sound and complete on every node that could exist."""
    holding, app = in_force(world, decision), pod["metadata"]["labels"]["app"]
    for place, node in enumerate(world.nodes):
        labels = node["metadata"]["labels"]
        assert after.admits[place] <= before.admits[place], (node, decision.patch)
        if world.possible(labels):
            expected = before.admits[place] and all(world.eligible(policy, app, place) for policy in holding)
            assert after.admits[place] == expected, (node, decision.patch)


def _leave_something(world: World, pod: Json, decision: Decision, before: Answer) -> None:
    """Pools that are left have a node to show for it; whoever was overruled would have left none."""
    holding, app, names = in_force(world, decision), pod["metadata"]["labels"]["app"], decision.pools
    own = None if stuck(world, pod, decision) else pod
    reached, left = set(), set()
    for place, node in enumerate(world.nodes):
        pool = world.home(node["metadata"]["labels"])
        if pool and before.admits[place] and world.possible(node["metadata"]["labels"]):
            reached.add(pool.name)
            if all(world.eligible(policy, app, place) for policy in holding):
                left.add(pool.name)
    assert reached <= set(names.before), (reached, names)
    for pool in world.pools:
        if pool.name in set(names.before) - reached:
            assert world.witness(pool, pod, ()), (pool, names)
        if pool.name in set(names.after) - left:
            assert world.witness(pool, pod, holding), (pool, names)
    if decision.allowed and own is not None:
        assert left <= set(names.after), (left, names)
        wanting = world.pools and not world.strays and any(policy.required for policy in holding)
        assert names.after or not wanting, decision
    overruled = {policy.name for policy in decision.policies if policy.outcome == "overruled"}
    for policy in world.policies if overruled else ():
        if policy.name in overruled:
            rank = (-policy.priority, policy.name)
            earlier = [other for other in holding if (-other.priority, other.name) < rank]
            for place, node in enumerate(world.nodes):
                if world.within_reach(node["metadata"]["labels"]) and (own is None or before.admits[place]):
                    for mine in tried(policy, decision):
                        eligible = [world.eligible(other, app, place) for other in (*earlier, mine)]
                        assert not all(eligible), (policy.name, node, decision.message)


def stuck(world: World, pod: Json, decision: Decision) -> bool:
    """Whether the pod's own constraints match no node of a known pool, or none at all."""
    if world.pools and not world.strays and not decision.pools.before:
        return True
    return next(meant(pod), None) is None


def _terms(pod: Json) -> list[Any]:
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return [None] if required is None else list(required["nodeSelectorTerms"])


def named_taints(world: World, pod: Json, decision: Decision) -> dict[Triple, float]:
    """The taints of what is left that policies in force name, and for how many seconds at most."""
    holding, app = in_force(world, decision), pod["metadata"]["labels"]["app"]
    resigned = stuck(world, pod, decision)
    left = [pool for pool in world.pools if pool.name in decision.pools.after or resigned]
    asked: list[tuple[PoolSpec | None, Triple, bool]] = [
        (pool, taint, partial)
        for pool in left
        for taints, partial in ((pool.taints, False), (pool.partial, True))
        for taint in taints
    ]
    free = admits(pod, {}, "stray") and all(policy.eligible(app, None, {}) for policy in holding)
    asked += [(None, taint, False) for taint in world.stray_taints if free or resigned]
    asked += [
        (pool, (key, "", "NoExecute"), False) for pool in (None, *(left if not resigned else ())) for key in TIMED
    ]
    named: dict[Triple, float] = {}
    for policy in holding:
        for pool, taint, partial in asked:
            for seconds in policy.seconds(pool, taint, partial=partial):
                named[taint] = min(seconds, named.get(taint, inf))
    return named


def _tolerate(world: World, pod: Json, decision: Decision, new: Json, before: Answer, after: Answer) -> None:
    """Exactly the named taints of what is left, and nothing that the pod tolerates already; for the time that is said,
    which replaces only what the API server itself had said.
    """
    own, tolerations = (each["spec"].get("tolerations") or [] for each in (pod, new))
    named, resigned = named_taints(world, pod, decision), stuck(world, pod, decision)
    count = 0
    for place, taint in enumerate(TAINTS, len(world.nodes)):
        had, has = (answer.tolerates[place] and answer.welcomes[place] for answer in (before, after))
        seconds = named.get(as_triple(taint))
        assert had <= has
        assert (has and not had) <= (seconds is not None and not had), taint
        if not resigned:
            assert (has and not had) == (seconds is not None and not had), taint
        if has and not had:
            assert stays(tolerations, taint) == (seconds if taint["effect"] == "NoExecute" else inf), taint
        else:
            assert stays(tolerations, taint) == stays(own, taint)
        count += has and not had
    for key in TIMED:
        taint = {"key": key, "effect": "NoExecute"}
        default = [one for one in own if tolerates(one, taint)] in ([], [one for one in DEFAULTS if one["key"] == key])
        seconds = named.get((key, "", "NoExecute"))
        told = stays(tolerations, taint)
        if seconds is None or not default:
            assert told == stays(own, taint)
        else:
            assert told == seconds
            count += not any(tolerates(one, taint) for one in own)
    assert [{**one, "tolerationSeconds": 0} for one in tolerations[: len(own)]] == [
        {**one, "tolerationSeconds": 0} for one in own
    ]
    assert len(tolerations) == len(own) + count, tolerations
    left = [pool for pool in world.pools if pool.name in decision.pools.after]
    barred = {pool.name for pool in left if any(_bars(taint, tolerations) for taint in pool.taints)}
    assert resigned or set(decision.pools.untolerated) == barred


def stays(tolerations: Iterable[Json], taint: Json) -> float | None:
    """For how many seconds a pod stays on a node that gets a taint, None if it has to leave at once: the shortest time
    counts (getMinTolerationTime of Kubernetes' pkg/controller/tainteviction).
    """
    about = [one for one in tolerations if tolerates(one, taint)]
    return min((one.get("tolerationSeconds", inf) for one in about), default=None)


def _bars(taint: Triple, tolerations: Iterable[Json]) -> bool:
    shown = as_taint(taint)
    return taint[2] != "PreferNoSchedule" and not any(tolerates(one, shown) for one in tolerations)


def _prefer(world: World, pod: Json, decision: Decision, before: Answer, after: Answer) -> None:
    """Weights are the policies'; a better fallback tier is preferred to a worse one whatever the weights.

    Not so on nodes of NodePools that nobody knows and with another pool's label: preferences say `NotIn` known ones.
    """
    holding, app = in_force(world, decision), pod["metadata"]["labels"]["app"]
    node_affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    if node_affinity.get(PREFERRED) or stuck(world, pod, decision):
        return
    tiered = [policy for policy in holding if policy.fallback]
    gained: list[tuple[int, int, int]] = []
    for place, node in enumerate(world.nodes):
        labels = node["metadata"]["labels"]
        pool = world.home(labels)
        if not after.admits[place] or not world.possible(labels) or (pool and pool.name not in decision.pools.after):
            continue
        if pool is None and KARPENTER in labels and GKE in labels:
            continue
        weights = sum(wish.weighs(app, pool, labels) for policy in holding for wish in policy.wishes)
        tier = tiered[0].tier(app, pool, labels) if tiered else 0
        gained.append((after.scores[place] - before.scores[place], weights, tier))
    if len(tiered) == 1:
        for score, _, tier in gained:
            for other, _, worse in gained:
                assert tier >= worse or score > other, (gained, decision.placement.preferred)
    elif not tiered and sum(_most(policy) for policy in holding) <= 100:
        assert len({score - weights for score, weights, _ in gained}) <= 1, (gained, decision.placement.preferred)


def _most(policy: PolicySpec) -> int:
    """What a policy's wishes can add up to."""
    return sum(wish.weight if wish.score is None else 50 for wish in policy.wishes)


def _stay_minimal(pod: Json, new: Json, decision: Decision) -> None:
    """What is there stays, in its order; what is added says something new."""
    assert all(one["path"].startswith(PLACES) for one in decision.placement_patch)
    assert {one["path"].partition("~1")[0] for one in decision.patch if one not in decision.placement_patch} <= NAMES
    selector = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in (pod["spec"].get("nodeSelector") or {}).items()
    ]
    old_terms, new_terms = _terms(pod), _terms(new)
    if new_terms != old_terms:
        assert any(_in_order(variant, old_terms) for variant in _without_copies(new_terms)), new_terms
        for term in new_terms:
            origins = [origin for origin in old_terms if _extends(term, origin)]
            assert any(_says_something(term, origin, selector) for origin in origins), term
    old, now = ((each["spec"].get("affinity") or {}).get("nodeAffinity") or {} for each in (pod, new))
    assert (now.get(PREFERRED) or [])[: len(old.get(PREFERRED) or [])] == (old.get(PREFERRED) or [])
    constraints = new["spec"].get("topologySpreadConstraints") or []
    for mine, its in zip(pod["spec"].get("topologySpreadConstraints") or [], constraints, strict=False):
        assert constraint_identity(mine) == constraint_identity(its)
        assert its["maxSkew"] <= mine["maxSkew"]


def _in_order(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Whether each of the terms comes of one of the pod's, and in their order."""
    place = 0
    for term in new:
        origins = [i for i, origin in enumerate(old) if _extends(term, origin) and i >= place]
        if not origins:
            return False
        place = origins[0]
    return True


def _without_copies(new: list[Any]) -> Iterator[list[Any]]:
    """The terms, and the same without one that stands at an end for Karpenter, and elsewhere for what it is about."""
    for rest in (new, new[1:]) if new[0] in new[1:] else (new,):
        yield rest
        if rest[-1] in rest[:-1]:
            yield rest[:-1]


def _says_something(term: Json, origin: Mapping[str, Any] | None, selector: Sequence[Json]) -> bool:
    """Whether nothing of what a term says beyond another one follows from the rest."""
    mine = [] if origin is None else origin.get("matchExpressions", [])
    added = list(term.get("matchExpressions", []))[len(mine) :]
    for i, one in enumerate(added):
        rest = [*selector, *mine, *added[:i], *added[i + 1 :]]
        if states_left([*rest, one], one["key"]) == states_left(rest, one["key"]):
            return False
    return True


def _extends(term: Mapping[str, Any], origin: Mapping[str, Any] | None) -> bool:
    """Whether a term is another one with something appended."""
    fields = ("matchExpressions", "matchFields")
    if origin is None:
        return True
    if not origin:
        return not term
    return all(term.get(field, [])[: len(origin.get(field, []))] == origin.get(field, []) for field in fields)
