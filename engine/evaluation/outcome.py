"""PolicyEvaluation: what one policy says of one pod."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.bundle import Outcome
from engine.evaluation.nodeset import NodeSet
from engine.evaluation.preferences import WeightedNodes
from engine.placement import Constraint, WeightedPodTerm
from engine.program import Arguments, CompiledPolicy

UNSELECTED = "its selectors do not match"


@dataclass(frozen=True, slots=True)
class PolicyEvaluation:
    """What one policy says of one pod. `outcome` is `applied` until the policies have met.

    `nodes` are those that it requires, None where it requires nothing. `wishes` are what its `prefer` comes to, in
    weights of 1 to 100; the weights of `tiers`, its `fallback`, are levels: each more than what a node of worse tiers
    comes to. `error` is why it failed, or what one of its expressions ran into on some pool although it applies.
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
    arguments: Arguments = field(default=(), repr=False)

    def failed(self, reason: str) -> PolicyEvaluation:
        """The same policy, failed after all."""
        return PolicyEvaluation(self.policy, "failed", "", reason)


class PolicyFailed(Exception):  # noqa: N818 - an outcome of a policy, not a bug
    """A policy can't be decided for this pod; the text says why."""
