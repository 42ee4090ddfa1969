"""The outcome for one pod, as a value: webhook, command line, audit and export are readers of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.bundle import JointRevision, Mode, Outcome, Revision
from engine.evaluation import PolicyEvaluation
from engine.nodeselector import EVERYWHERE, TRUE
from engine.placement import NOTHING, Operation, Placement
from engine.pods import IncomingPod, owner_of
from engine.struct import Marked, Struct, field

ANNOTATED = ("/metadata/", "/spec/template/metadata/")
"""Where annotations are, of a pod and of a DaemonSet's pods."""


class DealtShare(NamedTuple):
    """The share of a split that a pod has: its place in `split`, its per cents, what it asks for, and whether the pod
    was in it before."""

    place: int
    percent: int
    wanted: str
    kept: bool


class PolicyOutcome(NamedTuple):
    """What one policy did about one pod: `message` says it to people, `error` is what an expression ran into.

    `share` is the one that the pod has of the policy's split, None where it has none.
    """

    name: str
    outcome: Outcome
    message: str = ""
    error: str = ""
    share: DealtShare | None = None

    def as_json(self) -> dict[str, Any]:
        """For the decision's JSON; `share` only where there is one."""
        data: dict[str, Any] = {
            "name": self.name,
            "outcome": self.outcome,
            "message": self.message,
            "error": self.error,
        }
        if self.share is not None:
            place, percent, wanted, kept = self.share
            data["share"] = {"place": place, "percent": percent, "wanted": wanted, "kept": kept}
        return data


class PoolNames(Struct, frozen=True):
    """Pools that a pod may go to: before the policies, after them, and of those the ones whose taints bar it.

    `taints` are those, for each of the `untolerated` pools in their order, as `key=value:effect`; `stray_taints` those
    of nodes of no pool that the pod may go to. The pod `waits` where nothing else is left. `unseen` is, in words, what
    all nodes that are left must carry and nobody has declared or seen; empty where there may be others.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    untolerated: tuple[str, ...] = ()
    taints: tuple[tuple[str, ...], ...] = ()
    stray_taints: tuple[str, ...] = ()
    waits: bool = False
    unseen: str = ""


class Portion(Struct, frozen=True):
    """A portion of a workload's pods, in per cent, and the decision about these."""

    percent: float
    decision: Decision

    @property
    def named(self) -> str:
        """Its size in words, `70 %`, to one place after the point."""
        return f"{round(self.percent, 1):g} %"


class Decision(Marked, frozen=True):
    """What is decided about one pod, and why.

    `patch` is what enforcing it writes, also in audit mode; `answer_patch` is what to send. `audited` is the decision
    that the policies in audit mode would have led to, None where there are none. `portions` are those of a workload
    whose pods are split, the decision itself being that about one of them; empty for a pod whose shares are known.
    Of a DaemonSet whose template is decided about, pod and `placed` are as the template says, and paths of the patch
    begin at the DaemonSet. `placed` is the pod as the patch makes it, None where nothing changes.
    """

    unprinted = ("incoming", "placed")
    uncompared = ("placed",)

    incoming: IncomingPod
    revision: Revision | JointRevision
    mode: Mode
    allowed: bool
    message: str
    policies: tuple[PolicyOutcome, ...] = ()
    pools: PoolNames = field(default_factory=PoolNames)
    placement: Placement = NOTHING
    patch: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()
    audited: Decision | None = None
    portions: tuple[Portion, ...] = ()
    placed: Mapping[str, Any] | None = None

    @property
    def placement_patch(self) -> tuple[Operation, ...]:
        """The operations of `patch` that place the pod: all but those on annotations, which tell people of it."""
        return tuple(one for one in self.patch if not one["path"].startswith(ANNOTATED))

    @property
    def answer_patch(self) -> tuple[Operation, ...]:
        """The operations to send to the API server: none unless enforced and allowed."""
        return self.patch if self.mode == "enforce" and self.allowed else ()

    @property
    def refused(self) -> bool:
        """Whether the API server is to be told no: never unless enforced."""
        return self.mode == "enforce" and not self.allowed

    @property
    def patched(self) -> Mapping[str, Any]:
        """The pod as it is after the patch; the given one where nothing changes."""
        return self.incoming.pod if self.placed is None else self.placed

    def as_json(self, *, show_pod: bool = False) -> dict[str, Any]:
        """The decision as data, in one shape for every reader; keys may come, none will be renamed."""
        owner = owner_of(self.incoming)
        data: dict[str, Any] = {
            "pod": {
                "namespace": self.incoming.namespace_name,
                "name": self.incoming.name,
                "owner": owner and {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name},
            },
            "revision": str(self.revision),
            "mode": self.mode,
            "allowed": self.allowed,
            "message": self.message,
            "policies": self._policies_json(),
            "pools": {
                "before": list(self.pools.before),
                "after": list(self.pools.after),
                "untolerated": list(self.pools.untolerated),
                "taints": {
                    name: list(taints) for name, taints in zip(self.pools.untolerated, self.pools.taints, strict=True)
                },
                "wouldStayPending": self.pools.waits,
                "unseen": self.pools.unseen,
            },
            "placement": placement_json(self.placement),
            "patch": list(self.patch),
            "warnings": list(self.warnings),
        }
        if self.audited is not None:
            other = self.audited
            data["audited"] = {"allowed": other.allowed, "message": other.message, "patch": list(other.patch)}
        if self.incoming.template is not None:
            data["template"] = True
        if self.portions:
            data["portions"] = [_portion_json(portion) for portion in self.portions]
        if show_pod:
            data["patched"] = self.patched
        return data

    def _policies_json(self) -> list[dict[str, Any]]:
        """The policies' outcomes; where several bundles decide, with the revision that each is of."""
        told, revision = [policy.as_json() for policy in self.policies], self.revision
        if isinstance(revision, JointRevision):
            return [{**policy, "revision": str(revision.of(policy["name"]))} for policy in told]
        return told


def placement_json(placement: Placement) -> dict[str, Any]:
    """The combined intent in Kubernetes' own fields; what no policy asks for is left out."""
    data: dict[str, Any] = {}
    if placement.required != TRUE:
        data["nodeSelectorTerms"] = [one for term in placement.required for one in term.alternatives()]
    wishes = [(weight, term) for weight, term in placement.preferred if term != EVERYWHERE]
    if wishes:
        data["preferred"] = [
            {"weight": weight, "preference": one} for weight, term in wishes for one in term.alternatives()
        ]
    if placement.tolerations:
        data["tolerations"] = [dict(toleration) for toleration in placement.tolerations]
    if placement.spread:
        data["topologySpreadConstraints"] = [dict(constraint) for constraint in placement.spread]
    for name, terms in (("podAffinity", placement.pod_affinity), ("podAntiAffinity", placement.pod_anti_affinity)):
        if terms:
            data[name] = [
                {"required": True, "term": dict(term)} if weight is None else {"weight": weight, "term": dict(term)}
                for weight, term in terms
            ]
    return data


def _portion_json(portion: Portion) -> dict[str, Any]:
    """What differs between portions, as in the decision's own JSON."""
    whole = portion.decision.as_json()
    percent = round(portion.percent, 1)
    return {"percent": int(percent) if percent.is_integer() else percent} | {
        key: whole[key] for key in ("allowed", "message", "policies", "pools", "placement", "patch", "warnings")
    }


def policy_outcome(
    evaluation: PolicyEvaluation, outcome: Outcome | None = None, message: str | None = None
) -> PolicyOutcome:
    """The outcome of a policy: as it was evaluated, if nothing else is said."""
    place = evaluation.share
    share: DealtShare | None = None
    if place is not None:
        rule = evaluation.policy.split[place]
        share = DealtShare(place, rule.percent, rule.wanted, evaluation.kept)
    said = evaluation.message if message is None else message
    return PolicyOutcome(evaluation.policy.name, outcome or evaluation.outcome, said, evaluation.error, share)


def outcome_of(decision: Decision) -> str:
    """What the decision comes to, or would in enforce mode: denied, mutated or unchanged."""
    if not decision.allowed:
        return "denied"
    return "mutated" if decision.patch else "unchanged"
