"""The Finding of a Decision: whose pod it is, what would become of it, what was read, and what would follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit.findings import (
    Asked,
    Effect,
    Finding,
    FindingOutcome,
    Following,
    PolicyPart,
    ReadRule,
    Workload,
    gravest,
)
from audit.inputs import inputs_of, requested, rules_of
from engine.decision import NO_KNOWN_POOL, Decider, Decision, PolicyOutcome, listed
from engine.nodeselector import TRUE
from engine.pods import IncomingPod, owner_of
from engine.pools import NODE_RESOURCES, Pool
from engine.program import CompiledPolicy, Condition, Rule

RESOURCES = {"cpu": ("cpu",), "memory": ("memory",), "gpus": NODE_RESOURCES[2:]}
"""By what is known of a pool's largest node: the resources that pods ask for."""
QUIET = ("notMatched", "off")
"""Outcomes of policies that had nothing to do with a pod."""
_TOUCHED = re.compile(r"^(/spec/template)?/(spec/\w+|metadata/annotations)")
_OWN_ANNOTATION = "bayplan.dev/"


def finding_of(
    decider: Decider, decision: Decision, *, time: str, cluster: str = "", asked: bool = False, pods: int = 1
) -> Finding:
    """What a decision of the decider comes to; `asked` where its request is one that somebody made."""
    incoming = decision.incoming
    policies = {policy.name: policy for policy in decider.policies}
    would = decision.audited or decision
    effect = effect_of(would, policies, decider.pool_index.pools)
    part = [policies[one.name] for one in effect.policies]
    before = set(effect.pools.before)
    pools = [pool for pool in decider.pool_index.pools if pool.name in before]
    metadata = incoming.pod.get("metadata") or {}
    return Finding(
        workload=workload_of(incoming),
        effect=effect,
        mode=decision.mode,
        bundle=decision.revision.name,
        revision=decision.revision.whole,
        time=time,
        cluster=cluster,
        pods=pods,
        example=str(metadata.get("name") or metadata.get("generateName") or ""),
        template=incoming.template is not None or incoming.owner is not None,
        asked=asked_of(incoming) if asked else None,
        inputs=inputs_of(part, incoming, pools),
        requests=requested(incoming.pod),
        enforced=None if would is decision else effect_of(decision, policies, decider.pool_index.pools),
    )


def workload_of(incoming: IncomingPod) -> Workload:
    """Whose pod it is; of a bare one, the Pod itself."""
    owner = owner_of(incoming)
    version, kind, name = owner or ("v1", "Pod", incoming.name)
    return Workload(version, kind, incoming.namespace_name, name)


def asked_of(incoming: IncomingPod) -> Asked:
    """The request, and who made it."""
    request, user = incoming.request, incoming.request.get("userInfo") or {}
    groups = user.get("groups")
    return Asked(
        incoming.uid,
        str(request.get("operation") or ""),
        request.get("dryRun") is True,
        str(user.get("username") or ""),
        tuple(map(str, groups)) if isinstance(groups, (list, tuple)) else (),
    )


def effect_of(decision: Decision, policies: Mapping[str, CompiledPolicy], pools: Sequence[Pool]) -> Effect:
    """What becomes of the pod by a decision, on these pools."""
    portions = [portion.decision for portion in decision.portions]
    follows = list(_follows(decision, pools))
    for one in portions:
        follows += [each for each in _follows(one, pools) if each not in follows]
    return Effect(
        gravest(outcome_of(one, pools) for one in (decision, *portions)),
        decision.message,
        tuple(_part(one, policies[one.name]) for one in decision.policies if one.outcome not in QUIET),
        decision.pools,
        decision.patch,
        touched(decision),
        tuple(follows),
        decision.warnings,
    )


def outcome_of(decision: Decision, pools: Sequence[Pool]) -> FindingOutcome:
    """What becomes of the pod, in one word. It is not for policies that it finds no node where it found none before."""
    if not decision.allowed:
        return "denied"
    hopeless = any(one.what in ("taint", "capacity") for one in _follows(decision, pools))
    if hopeless and _narrowed(decision):
        return "unschedulable"
    if any(policy.outcome == "failed" for policy in decision.policies):
        return "failed"
    return "changed" if decision.patch else "unchanged"


def _narrowed(decision: Decision) -> bool:
    """Whether policies ruled out nodes that the pod asks for."""
    fewer = set(decision.pools.after) != set(decision.pools.before)
    return fewer or (bool(decision.patch) and decision.placement.required != TRUE)


def _part(outcome: PolicyOutcome, policy: CompiledPolicy) -> PolicyPart:
    rules = tuple(_rules(outcome, policy))
    return PolicyPart(policy.name, policy.policy.mode, outcome.outcome, outcome.message, outcome.error, rules)


def _rules(outcome: PolicyOutcome, policy: CompiledPolicy) -> Iterator[ReadRule]:
    """The entries of a policy that had a part in its outcome: what denies, or else what it asks for."""
    if outcome.outcome == "denied" or (outcome.outcome == "audited" and outcome.message.startswith("would be denied")):
        for one in policy.deny:
            if (one.message or one.text) in outcome.message:
                yield ReadRule(one.place, one.text, one.message)
        return
    if outcome.outcome == "failed":
        everything: list[Condition | Rule] = [*policy.match_conditions, *policy.deny, *rules_of(policy)]
        yield from (ReadRule(one.place, one.text, one.message) for one in everything if one.place in outcome.error)
        return
    if outcome.outcome == "notRolledOut":
        return
    for rule in rules_of(policy):
        yield ReadRule(rule.place, rule.text, rule.message)
    yield from (ReadRule(one.place, one.text) for one in policy.tolerate)


def touched(decision: Decision) -> dict[str, Any]:
    """The fields of the pod, or of the template, that the patch touches, as they were."""
    template = decision.incoming.template is not None
    inside: dict[str, Any] = {}
    for operation in decision.patch:
        found = _TOUCHED.match(operation["path"])
        if found is None:
            continue
        part, field = found.group(2).split("/")
        value = (decision.incoming.pod.get(part) or {}).get(field)
        if part == "metadata" and value:
            value = {key: one for key, one in value.items() if key.startswith(_OWN_ANNOTATION)}
        if value is not None:
            inside.setdefault(part, {})[field] = value
    return {"spec": {"template": inside}} if template and inside else inside


def _follows(decision: Decision, pools: Sequence[Pool]) -> Iterator[Following]:
    """What would follow for the pod, beside where it may run."""
    names = decision.pools
    overruled = [one.message for one in decision.policies if one.outcome == "overruled"]
    if not decision.allowed and overruled:
        yield Following("noPool", overruled[0])
    if not decision.allowed:
        return
    if any(NO_KNOWN_POOL in warning for warning in decision.warnings):
        yield Following("noPool", f"the pod's {NO_KNOWN_POOL}")
    if names.waits:
        taints = tuple(dict.fromkeys((*(one for some in names.taints for one in some), *names.stray_taints)))
        where = listed(names.untolerated) if names.untolerated else "nodes of no pool"
        text = f"what is left is {where}, and it does not tolerate {listed(taints)}"
        yield Following("taint", text, names.untolerated, taints)
    if names.unseen:
        yield Following("unseen", f"nobody has declared or seen a node with {names.unseen}")
    if not names.waits:
        yield from _no_room(decision, pools)


def _no_room(decision: Decision, pools: Sequence[Pool]) -> Iterator[Following]:
    """That no node of the pools that are left is as large as the pod, if they are all that is left.

    What nobody has said of a pool counts as enough, and so do nodes of no pool, which have no size.
    """
    names = decision.pools
    left = [pool for pool in pools if pool.name in names.after and pool.name not in names.untolerated]
    wanted = requested(decision.incoming.pod)
    if not left or not wanted or not _confined(decision, left):
        return
    short = [lacking(pool, wanted) for pool in left]
    if all(short):
        told = listed(list(dict.fromkeys(short)))
        yield Following("capacity", f"no node that is left is large enough: {told}", tuple(pool.name for pool in left))


def lacking(pool: Pool, wanted: Mapping[str, int | float]) -> str:
    """What a pool's largest node has too little of for a pod, in words; empty where there is enough or nobody knows."""
    for resource, there in (("cpu", pool.cpu), ("memory", pool.memory), ("gpus", pool.gpus)):
        asked = sum(wanted.get(name, 0) for name in RESOURCES[resource])
        if there is not None and asked > there:
            return f"the pod asks for {amount_of(resource, asked)}, {pool.name} has {amount_of(resource, there)}"
    return ""


def amount_of(resource: str, amount: float) -> str:
    """An amount of cores, bytes or GPUs in words."""
    match resource:
        case "cpu":
            return f"{amount:g} cores"
        case "memory":
            return f"{amount / 2**30:.4g} GiB of memory"
    return f"{amount:g} GPUs"


def _confined(decision: Decision, left: Sequence[Pool]) -> bool:
    """Whether each term that the policies require names the pools that are left, so that no other node will do."""
    selectors = {key for pool in left for key in pool.selector}
    terms = decision.placement.required
    return terms != TRUE and all(any(key in selectors for key, _ in term.requirements) for term in terms)
