"""A decision in words, as a person would say it who knows the pod, the policies and the pools."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from engine.decision.contradiction import contradicted
from engine.decision.decision import Decision, PolicyOutcome, PoolNames, Portion
from engine.evaluation import NodeSet, PolicyEvaluation, WeightedNodes, alive, intersection, reach
from engine.nodeselector import TRUE, Meter, Terms, TooMany
from engine.pods import IncomingPod, owner_of
from engine.pools import PoolIndex
from engine.program import CompiledPolicy

HELD = "it holds already"
HELD_OUTCOME = ("satisfied", HELD)
NO_KNOWN_POOL = "own constraints match no known pool"
"""How the warning ends that a pod asks for no pool that there is."""
ABOUT_NONE = "no node that is left is meant"
TOO_LIGHT = "what is preferred weighs too little beside tiers"
NO_TAINT = "no node that is left is known to have a taint that is named"
DENIES_NOTHING = "it denies nothing here"
"""Why a policy that applies changes nothing, or why nothing of it is written."""
FEWER = (
    "say fewer alternatives and values in spec.affinity.nodeAffinity and spec.nodeSelector, "
    "or have whoever keeps the policy do so"
)
"""What to do where the terms of a pod and of policies multiply past what a pod may carry."""
SMALLER = "make that smaller, or have whoever keeps the policies ask for fewer alternatives"
"""What to do where a pod and its policies take more work together than one request may."""
MANY = 5
"""As many names are listed; of more, the rest are counted."""


def listed(names: Sequence[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`, or `a, b, c, d, e and 12 more`."""
    if len(names) > MANY + 1:
        return f"{', '.join(names[:MANY])} {joint} {len(names) - MANY} more"
    return f" {joint} ".join(part for part in (", ".join(names[:-1]), "".join(names[-1:])) if part)


def described_pod(incoming: IncomingPod) -> str:
    """`Deployment team-a/trainer`, or `pod team-a/trainer-0` where nobody owns it."""
    owner = owner_of(incoming)
    kind, name = (owner.kind, owner.name) if owner else ("pod", incoming.name or "without a name")
    return f"{kind} {incoming.namespace_name}/{name}"


def sentence(
    incoming: IncomingPod,
    pools: PoolNames,
    outcomes: Iterable[PolicyOutcome],
    applied: Sequence[PolicyEvaluation],
    tolerating: Collection[str],
    *,
    unsatisfiable_alone: bool,
) -> str:
    """Where the pod may run and which policies say so. `tolerating` are those for which a toleration is written."""
    who = described_pod(incoming)
    applied = [evaluation for evaluation in applied if not evaluation.policy.only_denies]
    template = incoming.template is not None
    if not applied and pools.waits:
        return f"{who} {_waits(pools, template=template)}: no policy says where it may run"
    if not applied:
        return f"no policy says where {who} may run; it may run wherever it asks to"
    where = _where(who, pools, applied, unsatisfiable_alone=unsatisfiable_alone, template=template)
    done = {outcome.name: outcome.message for outcome in outcomes if outcome.outcome == "satisfied"}
    reasons = [
        _reason(evaluation, tolerates=evaluation.policy.name in tolerating)
        for evaluation in applied
        if evaluation.policy.name not in done
    ]
    reasons += _unwritten({name: done[name] for name in (each.policy.name for each in applied) if name in done})
    return f"{where}: {'; '.join(reasons)}"


def _unwritten(reasons: Mapping[str, str]) -> Iterator[str]:
    """Why nothing of some policies is written; those with one reason together."""
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, why in reasons.items() if why == reason]
        if reason == HELD:
            yield f"what {listed(names)} {'asks' if len(names) == 1 else 'ask'} for holds already"
        else:
            yield f"{listed(names)} {'changes' if len(names) == 1 else 'change'} nothing: {reason}"


def _where(
    who: str, pools: PoolNames, applied: Sequence[PolicyEvaluation], *, unsatisfiable_alone: bool, template: bool
) -> str:
    if unsatisfiable_alone:
        return f"{who} asks for nodes that no known pool has, and stays that way"
    if pools.waits:
        return f"{who} {_waits(pools, template=template)}"
    confined = any(each.nodes is not None and each.nodes.anywhere is None for each in applied)
    if not any(each.nodes is not None for each in applied):
        return f"{who} may run wherever it asks to"
    if not confined:
        now = f" (now in {listed(pools.after)})" if pools.after else ""
        return f"{who} may run on nodes of any pool that have what is required{now}"
    return f"{who} may run in {listed(pools.after)} ({len(pools.after)} of {len(pools.before)} pools)"


def _waits(pools: PoolNames, *, template: bool) -> str:
    """That the pod waits, and which taints keep it off what is left: pools with the same ones together.

    Of a DaemonSet's template no pod is made where it may not run, so none waits.
    """
    by_taints: dict[tuple[str, ...], list[str]] = {}
    for name, taints in zip(pools.untolerated, pools.taints, strict=True):
        by_taints.setdefault(taints, []).append(name)
    parts = [f"{listed(names)} ({listed(taints)})" for taints, names in by_taints.items()]
    parts += [f"nodes in no pool ({listed(pools.stray_taints)})"] if pools.stray_taints else []
    what = "would get no pods" if template else "would stay Pending"
    return f"{what}, for it does not tolerate the taints of {listed(parts)}, and nothing else is left"


def _unseen(pools: PoolNames) -> str:
    return f"nobody has declared or seen a node with {pools.unseen}, and no other node is left"


def _reason(evaluation: PolicyEvaluation, *, tolerates: bool) -> str:
    policy = evaluation.policy
    if policy.only_requires and policy.require:
        return policy.reason
    said = [f"requires it ({evaluation.policy.wanted})"] if policy.require else []
    said += [_in_share(evaluation)] if policy.split and evaluation.share is not None else []
    said += ["prefers some nodes"] if any(map(_names_nodes, evaluation.wishes)) else []
    said += ["ranks nodes to fall back to"] if any(map(_names_nodes, evaluation.tiers)) else []
    said += [f"prefers nothing ({evaluation.error})"] if _wishes_fail(evaluation) else []
    said += ["tolerates taints"] if tolerates else []
    said += ["spreads its pods"] if policy.spread else []
    said += ["draws pods together"] if policy.pod_affinity else []
    said += ["keeps pods apart"] if policy.pod_anti_affinity else []
    return f"{policy.name} {listed(said) or 'has nothing against it'}"


def _names_nodes(wish: WeightedNodes) -> bool:
    return bool(wish.nodes.groups or wish.nodes.anywhere)


def _wishes_fail(evaluation: PolicyEvaluation) -> bool:
    """Whether a policy names no nodes that it prefers for an error in its wishes."""
    if not evaluation.error or any(map(_names_nodes, (*evaluation.wishes, *evaluation.tiers))):
        return False
    policy = evaluation.policy
    places = [rule.place for rule in (*(item.rule for item in policy.prefer), *policy.fallback) if rule]
    return evaluation.error.startswith(("prefer[", *(f"{place}: " for place in places)))


def _in_share(evaluation: PolicyEvaluation) -> str:
    assert evaluation.share is not None
    share = evaluation.policy.split[evaluation.share]
    how = ", and it has that already" if evaluation.kept else "" if share.strict else ", if it can be had"
    return f"splits its pods ({share.wanted} for {share.percent} %{how})"


def of_portions(portions: Sequence[Portion]) -> str:
    """The sentence of a workload whose pods come to different decisions."""
    who = described_pod(portions[0].decision.incoming)
    return f"{who}: {'; '.join(f'{one.named} of its pods {of_portion(one)}' for one in portions)}"


def of_portion(portion: Portion) -> str:
    """What comes of a portion of a workload's pods, without its name."""
    said, decision = portion.decision.message, portion.decision
    rest = said.removeprefix(f"{described_pod(decision.incoming)} ")
    return rest if decision.allowed and rest != said else f"are {'placed' if decision.allowed else 'refused'}: {said}"


def emptiness(
    evaluation: PolicyEvaluation,
    kept: Sequence[PolicyEvaluation],
    mine: Terms,
    pod: Mapping[str, Any],
    pool_index: PoolIndex,
    meter: Meter | None = None,
) -> str:
    """Why a policy leaves no pool: what it asks for, which pools that is, and what the other side allows.

    `mine` are the terms of the pod's own that count. Where they contradict the policy in one label, its values are told
    instead of pools.
    """
    assert evaluation.nodes is not None
    alone = pool_index.names(reach(evaluation.nodes.groups, TRUE, pool_index, meter))
    if not alive(evaluation.nodes, TRUE, pool_index, meter):
        failed = f" ({evaluation.error})" if evaluation.error else ""
        return f"{evaluation.wanted}: no pool satisfies it{failed}"
    at_odds = None
    with suppress(TooMany):
        at_odds = contradicted(evaluation.nodes, pod, mine, pool_index, meter) if mine != TRUE else None
    if at_odds:
        return f"{evaluation.wanted}: that allows {at_odds[0]}, but {at_odds[1]}, so nothing is left"
    others: NodeSet | None = None
    for other in kept:
        assert other.nodes is not None
        others = other.nodes if others is None else intersection(others, other.nodes, meter)
    groups = ((pool_index.every, TRUE),) if others is None else others.groups
    allowed = pool_index.names(reach(groups, mine, pool_index, meter))
    common = [name for name in alone if name in allowed]
    elsewhere = f" (other nodes of {listed(common)})" if common else ""
    sides = ["the pod's own constraints"] if mine != TRUE else []
    sides += [f"policy {other.policy.name} ({other.wanted})" for other in kept]
    leave = "leaves" if len(sides) == 1 and kept else "leave"
    if not alone:
        return f"{evaluation.wanted}: {listed(sides)} {leave} no such node, so nothing is left"
    beside = others is not None and alive(others, mine, pool_index, meter)
    rest = listed(allowed) or ("only nodes of no pool" if beside else "nothing")
    return (
        f"{evaluation.wanted}: that leaves {listed(alone)}, but {listed(sides)} "
        f"{leave} {rest}{elsewhere}, so nothing is left"
    )


def warnings(
    evaluations: Iterable[PolicyEvaluation],
    overruled: Mapping[str, str],
    pools: PoolNames,
    overruled_spread: Mapping[str, str],
    *,
    unsatisfiable_alone: bool,
    template: bool,
) -> list[str]:
    """What whoever created the pod, or the DaemonSet whose `template` it is, should be told."""
    who, lasting = ("the DaemonSet", "may have no pods") if template else ("the pod", "may wait")
    evaluations = tuple(evaluations)
    whose = _confining(evaluations, overruled) if pools.waits or pools.unseen else ""
    told = [f"{whose}{who} {_waits(pools, template=template)}"] if pools.waits else []
    told += [f"{whose}{who} {lasting} for long: {_unseen(pools)}"] if pools.unseen else []
    told += [
        f"{answering(evaluation.policy)} is left out: {overruled[evaluation.policy.name]}"
        for evaluation in evaluations
        if evaluation.policy.name in overruled and evaluation.policy.policy.when_empty == "warn"
    ]
    told += [
        f"{answering(evaluation.policy)}: {overruled_spread[evaluation.policy.name]}"
        for evaluation in evaluations
        if evaluation.policy.name in overruled_spread
    ]
    if unsatisfiable_alone:
        told.append(f"{who}'s {NO_KNOWN_POOL}")
    return told


def _confining(evaluations: Iterable[PolicyEvaluation], overruled: Collection[str]) -> str:
    """`policy gpu (ask ml-platform): `, of the policies that say which nodes are left; empty where none does."""
    confining = [
        answering(one.policy)
        for one in evaluations
        if one.outcome == "applied" and one.nodes is not None and one.policy.name not in overruled
    ]
    return f"{listed(confining)}: " if confining else ""


def answering(policy: CompiledPolicy) -> str:
    """A policy and whom to ask about it: `policy gpu (ask ml-platform, https://wiki.example/gpu)`. It stands in front,
    where nothing cuts it off."""
    contact = str(policy.policy.contact)
    return f"policy {policy.name} ({contact})" if contact else f"policy {policy.name}"


def asking(policy: CompiledPolicy) -> str:
    """Whom to ask about a policy, at the end of the sentence that refuses a pod."""
    contact = str(policy.policy.contact)
    return f"; {contact}" if contact else ""


def undecided(error: str, remedy: str) -> str:
    """That a policy failed, for what, and what to do."""
    return f"could not be decided: {error}{'; ' if remedy else ''}{remedy}"


def placing_policies(decision: Decision) -> list[str]:
    """The names of the policies that say where a pod may run, also of those whose wish it met already, sorted."""
    told = decision.policies
    return sorted(one.name for one in told if one.outcome == "applied" or (one.outcome, one.message) == HELD_OUTCOME)


def title(incoming: IncomingPod) -> str:
    """`Deployment shop/web`, `Pod shop/web`."""
    owner = owner_of(incoming)
    kind, name = (owner.kind, owner.name) if owner else ("Pod", incoming.name)
    return f"{kind} {incoming.namespace_name}/{name}"
