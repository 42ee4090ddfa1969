"""DaemonSets by their template: what policies say of nodes, written where their controller looks before it makes pods.

A pod of a DaemonSet has its node already, and can only be kept from running there. Its template's node selector,
required affinity and tolerations say which nodes get a pod at all (k8s.io/kubernetes/pkg/controller/daemon,
daemon_controller.go, NodeShouldRunDaemonPod). So it is decided about the pod as the template says, not yet on a node,
and what follows is written into the template. There is one pod on each node: of preferences, tiers, shares, spreading
and pod affinity nothing follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.decision.decision import Decision
from engine.decision.marks import POLICIES, marked, marks_on
from engine.placement import Operation, Placement, patch, placed
from engine.pods import IncomingPod
from engine.pools import TIMED_TAINTS
from engine.program import CompiledPolicy
from engine.struct import replace

Json = Mapping[str, Any]
PREFIX = "/spec/template"
"""Where a DaemonSet has its template."""
ONE_ON_EACH_NODE = "a DaemonSet has a pod on each of its nodes, so there is nothing to choose"


def narrowing_policies(policies: Iterable[CompiledPolicy]) -> dict[str, CompiledPolicy | None]:
    """By name: each policy with no more than what says something of a DaemonSet's pods; None where nothing does."""
    return {policy.name: _narrowing(policy) for policy in policies}


def _narrowing(policy: CompiledPolicy) -> CompiledPolicy | None:
    if not (policy.require or policy.tolerate or policy.deny):
        return None
    bare = replace(policy.policy, spread=(), pod_affinity=(), pod_anti_affinity=())
    return replace(policy, policy=bare, prefer=(), fallback=(), split=())


def anywhere(incoming: IncomingPod) -> IncomingPod:
    """The pod that stands for a DaemonSet's, without the node for which its controller would make it."""
    spec = {key: value for key, value in incoming.pod["spec"].items() if key != "affinity"}
    own = _spec(incoming.template).get("affinity")
    return replace(incoming, pod={**incoming.pod, "spec": {**spec, "affinity": own} if own else spec})


def for_template(decision: Decision) -> Decision:
    """The decision about such a pod as one about the template: what is written goes there.

    What the controller adds itself (it has pods stay on nodes that are not ready, for ever) is not written.
    """
    incoming = decision.incoming
    pod = {**incoming.pod, "spec": _spec(incoming.template)}
    now, operations = _worked_in(pod, decision.placement) if decision.placement_patch else (pod, ())
    now, signing = _signed(now, incoming.template, decision, placing=bool(operations))
    audited = None if decision.audited is None else for_template(decision.audited)
    return replace(
        decision,
        incoming=replace(incoming, pod=pod),
        patch=(*operations, *signing),
        placed=None if now is pod else now,
        audited=audited,
    )


def _worked_in(pod: Json, placement: Placement) -> tuple[Json, tuple[Operation, ...]]:
    lasting = tuple(one for one in placement.tolerations if one.get("key") not in TIMED_TAINTS)
    now = placed(pod, Placement(placement.required, tolerations=lasting))
    return now, tuple({**operation, "path": f"{PREFIX}{operation['path']}"} for operation in patch(pod, now))


def _signed(
    pod: Json, template: Json | None, decision: Decision, *, placing: bool
) -> tuple[Json, tuple[Operation, ...]]:
    """The pod with the policies named on it, and the operations on the template.

    The revision is not: another one that says the same of the DaemonSet would have all its pods replaced.
    """
    if not decision.allowed:
        return pod, ()
    names = {key: name for key, name in marks_on(decision.patched).items() if key == POLICIES}
    _, operations = marked({"metadata": (template or {}).get("metadata") or {}}, names, placing=placing)
    now, _ = marked(pod, names, placing=placing)
    return now, tuple({**operation, "path": f"{PREFIX}{operation['path']}"} for operation in operations)


def _spec(template: Json | None) -> Json:
    return (template or {}).get("spec") or {}
