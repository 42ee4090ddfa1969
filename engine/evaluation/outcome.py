"""PolicyEvaluation: what one policy says of one pod."""

from __future__ import annotations

from typing import NamedTuple

from engine.bundle import Outcome
from engine.evaluation.nodeset import NodeSet
from engine.evaluation.preferences import WeightedNodes
from engine.placement import Constraint, WeightedPodTerm
from engine.program import Arguments, CompiledPolicy
from engine.struct import Struct

UNSELECTED = "its selectors do not match"


class ShareNodes(Struct, frozen=True):
    """The nodes of one share of a split, and what its expression ran into; no node is in two terms of a wish."""

    nodes: NodeSet
    error: str = ""


class PolicyEvaluation(NamedTuple):
    """What one policy says of one pod. `outcome` is `applied` until the policies have met.

    `nodes` are those that it requires, None where it requires nothing. `wishes` are what its `prefer` comes to, in
    weights of 1 to 100; the weights of `tiers`, its `fallback`, are levels: each more than what a node of worse tiers
    comes to. `shares` are those of its `split`, and `share` is the place of the one that the pod has, once that is
    known; `kept`, if the pod was in it before. `error` is why it failed, or what one of its expressions ran into on
    some pool although it applies; `message` says what to do about it, where it failed. A tuple, for each decision makes
    as many as there are policies.
    """

    policy: CompiledPolicy
    outcome: Outcome
    message: str = ""
    error: str = ""
    nodes: NodeSet | None = None
    wishes: tuple[WeightedNodes, ...] = ()
    tiers: tuple[WeightedNodes, ...] = ()
    spread: tuple[Constraint, ...] = ()
    pod_affinity: tuple[WeightedPodTerm, ...] = ()
    pod_anti_affinity: tuple[WeightedPodTerm, ...] = ()
    arguments: Arguments = ()
    shares: tuple[ShareNodes, ...] = ()
    share: int | None = None
    kept: bool = False

    def __repr__(self) -> str:
        """Without what the pod holds."""
        return f"PolicyEvaluation({self.policy.name}, {self.outcome})"

    @property
    def wanted(self) -> str:
        """What it requires of this pod, in its author's words where there are some."""
        policy = self.policy
        share = None if self.share is None else policy.split[self.share]
        if share is None or not share.strict:
            return policy.wanted
        mine = f"{share.wanted} for {share.percent} % of pods"
        return f"{policy.wanted}; {mine}" if policy.require else mine

    def failed(self, reason: str, remedy: str = "") -> PolicyEvaluation:
        """The same policy, failed after all; and what to do about it."""
        return PolicyEvaluation(self.policy, "failed", remedy, reason)


class PolicyFailed(Exception):  # noqa: N818 - an outcome of a policy, not a bug
    """A policy can't be decided for this pod; the text says why, and `remedy` what to do."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy
