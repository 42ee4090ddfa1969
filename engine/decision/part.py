"""Part: one program of those that decide together, on the inventory, with its own constants, exemptions and reach."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, TypeAlias

from engine.bundle import MODES, SYSTEM_NAMESPACES, Mode
from engine.decision.candidates import Candidates, Standing, standing
from engine.decision.templates import ONE_ON_EACH_NODE, narrowing_policies
from engine.evaluation import (
    INVENTORY_BUDGET,
    PodFacts,
    PolicyEvaluation,
    PoolFacts,
    evaluate_policy,
    exempted,
    exempting,
    unread_by,
)
from engine.language import Budget
from engine.pods import IncomingPod
from engine.pools import PoolIndex
from engine.program import POD_NAMES, Arguments, CompiledExemption, CompiledPolicy, PoolView, Program
from engine.struct import replace

LEFT_ALONE = frozenset(SYSTEM_NAMESPACES)
"""Namespaces whose pods are left alone, besides Bayplan's own, unless a bundle says otherwise."""
NO_POD = (None,) * len(POD_NAMES)
"""The arguments of a function that stand for the pod, where there is none."""
Views: TypeAlias = Sequence[PoolView] | None
NO_TEMPLATES = "DaemonSets are left alone"


class Settings(NamedTuple):
    """What deciders are made with besides programs and pools: the webhook's own mode, `cluster` as expressions see it,
    constants that are laid over the programs', namespaces that are left alone whatever they say, and the users whose
    pods of DaemonSets are."""

    mode: str
    cluster: Mapping[str, Any]
    params: Mapping[str, Any]
    namespaces: frozenset[str]
    daemon_set_controllers: frozenset[str]


def most_careful_mode(*modes: str) -> Mode:
    """The most careful of these modes: off, then audit, then enforce."""
    return max((mode for mode in MODES if mode in modes), key=MODES.index, default="enforce")


def least_careful_mode(*modes: str) -> Mode:
    """The least careful of these modes: what several programs have in common."""
    return min((mode for mode in MODES if mode in modes), key=MODES.index, default="enforce")


class Part:
    """A program on an inventory. `policies` are its own, each in a mode as careful as the program's."""

    def __init__(
        self, program: Program, mode: str, settings: Settings, index: PoolIndex, known: PoolFacts | None, views: Views
    ) -> None:
        """`mode` is what all programs have in common: where this one is more careful, its policies are. `known` are the
        facts of the same program on the inventory before, `views` the pools as another one on this inventory has them.
        """
        self.program, self.mode, self._settings = program, mode, settings
        self.policies = tuple(_as_careful(policy, program.mode, mode) for policy in program.policies)
        self.left_alone = LEFT_ALONE.difference(program.hands_on.namespaces) | settings.namespaces
        self.constants = (settings.cluster, {**program.params, **settings.params})
        self.templates = program.hands_on.daemon_sets == "template"
        self._daemon_sets = program.hands_on.daemon_sets == "pods"
        self._candidates = Candidates(self.policies)
        self._narrowing = narrowing_policies(self.policies) if self.templates else {}
        self.pool_facts = self._facts_on(index, known, views)

    def renewed(self, index: PoolIndex, views: Views) -> Part:
        """The same on another inventory, of whose pools some may be the same."""
        if self.pool_facts.pool_index is index:
            return self
        part = copy(self)
        part.pool_facts = self._facts_on(index, self.pool_facts, views)
        return part

    def _facts_on(self, index: PoolIndex, known: PoolFacts | None, views: Views) -> PoolFacts:
        if known is not None and known.pool_index is index:
            return known
        return PoolFacts(index, self.program.leaves, self._no_pod, known, views)

    def _no_pod(self) -> Arguments:
        return (Budget(INVENTORY_BUDGET), *NO_POD, *self.constants)

    def standing(self, incoming: IncomingPod) -> Standing:
        """How a pod, or the template of a DaemonSet, stands to these policies."""
        template = incoming.template is not None
        if template and not self.templates:
            return Standing(NO_TEMPLATES)
        hands_on = template or self._daemon_sets
        return standing(incoming, self.left_alone, self._settings.daemon_set_controllers, daemon_sets=hands_on)

    def facts(self, incoming: IncomingPod, before: PodFacts | None = None) -> PodFacts:
        """What its policies are evaluated with; of several parts, on the budget that those `before` leave."""
        return PodFacts(incoming, self.pool_facts, self.constants, before)

    def evaluated(self, pod_facts: PodFacts) -> list[PolicyEvaluation]:
        """What each policy that its selector does not rule out says of a pod by itself, in the program's order."""
        incoming = pod_facts.incoming
        if incoming.unread:
            said = unread_by(self.policies, self.program.exemptions, pod_facts)
            return said if incoming.template is None else [self._of_unread_template(each) for each in said]
        candidates = self._candidates.of(pod_facts.labels)
        evaluate = evaluate_policy if incoming.template is None else self._evaluate_for_template
        if not self.program.exemptions:
            return [evaluate(policy, pod_facts) for policy in candidates]
        matching, failed = exempting(self.program.exemptions, pod_facts)
        evaluations = [exempted(policy, matching) or evaluate(policy, pod_facts) for policy in candidates]
        unknown = bool(incoming.namespace_unknown)
        for one, error in failed:
            evaluations = [
                _unexempted(each, error, one, unknown=unknown) if one.covers(each.policy.name) else each
                for each in evaluations
            ]
        return evaluations

    def _of_unread_template(self, said: PolicyEvaluation) -> PolicyEvaluation:
        """What a policy that says this of a pod that was not read says of the pods of a DaemonSet that was not."""
        if self._narrowing[said.policy.name] is None:
            return PolicyEvaluation(said.policy, "notMatched", ONE_ON_EACH_NODE)
        return said

    def _evaluate_for_template(self, policy: CompiledPolicy, pod_facts: PodFacts) -> PolicyEvaluation:
        """What a policy says of the pods of a DaemonSet."""
        narrowing = self._narrowing[policy.name]
        if narrowing is None:
            return PolicyEvaluation(policy, "notMatched", ONE_ON_EACH_NODE)
        return evaluate_policy(narrowing, pod_facts)


def parts_of(
    programs: Sequence[Program], mode: str, settings: Settings, index: PoolIndex, last: Collection[Part] = ()
) -> tuple[Part, ...]:
    """The parts of a decider; `last` are those of the one before it, whose pools may be others."""
    known = {id(part.program): part for part in last}
    parts: list[Part] = []
    for program in programs:
        views, before = parts[0].pool_facts.views if parts else None, known.get(id(program))
        if before is not None and before.mode == mode:
            parts.append(before.renewed(index, views))
        else:
            parts.append(Part(program, mode, settings, index, before.pool_facts if before else None, views))
    return tuple(parts)


def in_order(policies: Iterable[CompiledPolicy]) -> tuple[CompiledPolicy, ...]:
    """Policies by descending priority, then name, whichever program they are of."""
    return tuple(sorted(policies, key=lambda policy: (-policy.policy.priority, policy.name)))


def _as_careful(policy: CompiledPolicy, own: str, common: str) -> CompiledPolicy:
    """A policy in the mode of its program, where that is more careful than what all have in common."""
    mode = most_careful_mode(policy.policy.mode, own) if own != common else policy.policy.mode
    return policy if mode == policy.policy.mode else replace(policy, policy=replace(policy.policy, mode=mode))


def _unexempted(
    evaluation: PolicyEvaluation, error: str, exemption: CompiledExemption, *, unknown: bool
) -> PolicyEvaluation:
    """A policy whose exemption could not be decided: it applies, with the error beside it; but where that is only for
    the Namespace, which is `unknown` for now, it has failed, for trying again will tell."""
    if unknown and exemption.reads_namespace and evaluation.outcome in ("applied", "denied"):
        return evaluation.failed(error)
    return evaluation._replace(error=evaluation.error or error)
