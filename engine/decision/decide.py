"""The decision: a bundle's program, an inventory and a pod go in; where the pod may run, and why, comes out.

In one breath: leave alone what is not ours; evaluate each policy by itself; refuse what a policy denies; combine what
the others require, overruling by priority what would leave nothing; write down what follows, and say it in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import Any

from engine.bundle import MODES, SYSTEM_NAMESPACES, Mode, Outcome
from engine.decision import words
from engine.decision.attribution import outcomes, overruled_spread, tolerating_policies, without_effect
from engine.decision.candidates import Candidates, resting, standing
from engine.decision.combine import Given, PoliciesFailed, combined, denied, refused
from engine.decision.decision import Decision, PolicyOutcome, Portion, policy_outcome
from engine.decision.intent import TaintAnswers, pool_names, written
from engine.decision.karpenter import dropped
from engine.decision.redact import may_read_environment, redacted
from engine.decision.shares import portions, with_shares, with_wishes
from engine.decision.templates import ONE_ON_EACH_NODE, anywhere, for_template, narrowing_policies
from engine.decision.too_much import own_too_large, together_too_much
from engine.evaluation import (
    COMBINING_BUDGET,
    INVENTORY_BUDGET,
    PodFacts,
    PolicyEvaluation,
    PoolFacts,
    evaluate_policy,
    exempted,
    exempting,
)
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import Meter, TooMany, simplify
from engine.placement import meanings, own
from engine.pods import DAEMON_SET_CONTROLLERS, IncomingPod
from engine.pools import Inventory, PoolIndex
from engine.program import POD_NAMES, Arguments, CompiledExemption, CompiledPolicy, Program

LEFT_ALONE = frozenset(SYSTEM_NAMESPACES)
"""Namespaces whose pods are left alone, besides Bayplan's own, unless a bundle says otherwise."""
OWN_NAMESPACE = "bayplan"
"""Where Bayplan runs, if nothing else is said."""

EVALUATING = 40
"""What evaluating one policy costs at least, and combining it with others, in units, where somebody pays for it."""

NO_POD = (None,) * len(POD_NAMES)
"""The arguments of a function that stand for the pod, where there is none."""


def most_careful_mode(*modes: str) -> Mode:
    """The most careful of these modes: off, then audit, then enforce."""
    return max((mode for mode in MODES if mode in modes), key=MODES.index, default="enforce")


class Decider:
    """A program on an inventory. It keeps nothing of one pod for the next; swap the whole of it when either changes.

    `mode` is the webhook's own. `cluster` is what expressions see under that name (`name`, `labels`); `params`
    overrides constants of the bundle; `namespaces` are left alone besides `LEFT_ALONE`, whatever the bundle says;
    `daemon_set_controllers` are the users whose pods of DaemonSets are left alone.
    """

    def __init__(
        self,
        program: Program,
        inventory: Inventory,
        *,
        mode: str = "enforce",
        cluster: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        namespaces: Iterable[str] = (),
        daemon_set_controllers: Iterable[str] = DAEMON_SET_CONTROLLERS,
    ) -> None:
        self.program = program
        self.mode = most_careful_mode(mode, program.mode)
        self.left_alone = LEFT_ALONE.difference(program.hands_on.namespaces).union(namespaces)
        self.daemon_set_controllers = frozenset(daemon_set_controllers)
        known = {"name": "", "labels": {}, **(cluster or {})}
        self.constants = (known, {**program.params, **(params or {})})
        self.pool_index = PoolIndex(inventory)
        self.pool_facts = PoolFacts(self.pool_index, program.leaves, self._no_pod)
        self._place = {policy.name: i for i, policy in enumerate(program.policies)}
        self._resting = [resting(policy) for policy in program.policies]
        self._candidates = Candidates(program.policies)
        self._splits = any(policy.split for policy in program.policies)
        self._narrowing = narrowing_policies(program) if program.hands_on.daemon_sets == "template" else None
        self._telling = frozenset(policy.name for policy in program.policies if may_read_environment(policy, program))

    def renewed(self, inventory: Inventory) -> Decider:
        """The same on another inventory. What is known of pools that did not change is taken over, so this is fast."""
        decider = copy(self)
        decider.pool_index = PoolIndex(inventory, self.pool_index)
        decider.pool_facts = PoolFacts(decider.pool_index, self.program.leaves, self._no_pod, self.pool_facts)
        return decider

    def _no_pod(self) -> Arguments:
        return (Budget(INVENTORY_BUDGET), *NO_POD, *self.constants)

    def decide(self, incoming: IncomingPod, meter: Meter | None = None) -> Decision:
        """What follows for one pod. Never raises for what a bundle or a pod may hold, but for what a `meter` raises
        that is to pay for it, once it is known what it costs.
        """
        template = incoming.template is not None and self._narrowing is not None
        if incoming.template is not None:
            incoming = anywhere(incoming) if template else replace(incoming, template=None)
        hands_on = template or self.program.hands_on.daemon_sets == "pods"
        stands = standing(incoming, self.left_alone, self.daemon_set_controllers, daemon_sets=hands_on)
        reason = stands.left_alone
        if self.mode == "off" or reason:
            outcome: Outcome = "off" if self.mode == "off" else "notMatched"
            policies = tuple(PolicyOutcome(p.name, outcome, reason) for p in self.program.policies)
            return Decision(incoming, self.program.revision, self.mode, True, reason or "switched off", policies)
        decision = self._judged(incoming, meter)
        if template:
            return for_template(decision)
        return replace(decision, warnings=(stands.claim, *decision.warnings)) if stands.claim else decision

    def _judged(self, incoming: IncomingPod, meter: Meter | None) -> Decision:
        """What follows for a pod that policies are about."""
        evaluations = self.evaluations(incoming, meter)
        decision = self._in_mode(incoming, evaluations, meter)
        if not self._splits:
            return decision
        dealt = any(policy.share and not policy.share.kept for policy in decision.policies)
        return self._portioned(decision, evaluations, meter) if dealt else decision

    def _in_mode(self, incoming: IncomingPod, evaluations: Sequence[PolicyEvaluation], meter: Meter | None) -> Decision:
        """The decision of the policies that are enforced, and what those in audit mode would lead to."""
        audited = [each for each in evaluations if each.policy.policy.mode == "audit"]
        if not audited:
            return self._complete(evaluations, self._decided(incoming, evaluations, meter))
        enforced = [each for each in evaluations if each.policy.policy.mode == "enforce"]
        decision = self._decided(incoming, enforced, meter)
        if any(each.outcome in ("applied", "denied", "failed") for each in audited):
            decision = replace(decision, audited=self._decided(incoming, evaluations, meter))
        return self._complete(evaluations, decision)

    def _portioned(self, decision: Decision, evaluations: Sequence[PolicyEvaluation], meter: Meter | None) -> Decision:
        """The decision with those about all portions of a workload's pods, where splits tell them apart."""
        enforced = [each for each in evaluations if each.policy.policy.mode == "enforce"]
        told: list[Portion] = []
        with suppress(TooMany):
            given = Given(decision.incoming, self.pool_index, own(decision.incoming.pod), enforced)
            for percent, choices in portions(given):
                one = self._complete(evaluations, self._decided(decision.incoming, enforced, meter, choices))
                told.append(Portion(percent, one))
        return replace(decision, message=words.of_portions(told), portions=tuple(told)) if told else decision

    def evaluations(self, incoming: IncomingPod, meter: Meter | None = None) -> list[PolicyEvaluation]:
        """What each policy that its selector does not rule out says of a pod by itself, in the program's order.

        A `meter` pays for it once it is known what it costs.
        """
        pod_facts = PodFacts(incoming, self.pool_facts, self.constants)
        evaluations = self._evaluated(incoming, pod_facts)
        if meter:
            meter.spend(pod_facts.spent + EVALUATING * (1 + len(evaluations)))
        return evaluations

    def _evaluated(self, incoming: IncomingPod, pod_facts: PodFacts) -> list[PolicyEvaluation]:
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

    def _evaluate_for_template(self, policy: CompiledPolicy, pod_facts: PodFacts) -> PolicyEvaluation:
        """What a policy says of the pods of a DaemonSet."""
        narrowing = (self._narrowing or {})[policy.name]
        if narrowing is None:
            return PolicyEvaluation(policy, "notMatched", ONE_ON_EACH_NODE)
        return evaluate_policy(narrowing, pod_facts)

    def _complete(self, evaluations: Sequence[PolicyEvaluation], decision: Decision) -> Decision:
        """The decision with every policy's outcome, in the program's order; audited ones say what they would do."""
        policies = list(self._resting)
        if len(decision.policies) < len(evaluations):
            for evaluation in evaluations:
                policies[self._place[evaluation.policy.name]] = policy_outcome(evaluation)
        for outcome in decision.policies:
            policies[self._place[outcome.name]] = outcome
        if decision.audited is not None:
            would = {outcome.name: outcome for outcome in decision.audited.policies}
            for evaluation in evaluations:
                if evaluation.policy.policy.mode == "audit" and evaluation.outcome in ("applied", "denied"):
                    name = evaluation.policy.name
                    one = would[name]
                    why = (one.error, one.message) if one.outcome == "failed" else (one.message or one.error,)
                    said = f"would be {one.outcome}: {'; '.join(filter(None, why))}"
                    policies[self._place[name]] = one._replace(outcome="audited", message=said)
        decision = replace(decision, policies=tuple(policies))
        all_outcomes = (*policies, *(decision.audited.policies if decision.audited else ()))
        if not any(outcome.error for outcome in all_outcomes):
            return decision
        told = [warning for warning in self._left_out(decision) if warning not in decision.warnings]
        return redacted(replace(decision, warnings=(*decision.warnings, *told)), self._telling)

    def _left_out(self, decision: Decision) -> Iterator[str]:
        """That policies are left out of a decision, for they failed."""
        for outcome in decision.policies if decision.allowed else ():
            policy = self.program.policies[self._place[outcome.name]]
            if outcome.outcome == "failed" and policy.policy.mode == "enforce":
                failed = words.undecided(outcome.error, outcome.message)
                yield f"{words.answering(policy)} is left out, for it {failed}"

    def _decided(
        self,
        incoming: IncomingPod,
        evaluations: Sequence[PolicyEvaluation],
        payer: Meter | None,
        choices: Mapping[str, int] | None = None,
    ) -> Decision:
        """The decision that these lead to, with their outcomes alone. A policy that can't be combined fails."""
        base = Decision(incoming, self.program.revision, self.mode, True, "")
        named = bool((incoming.pod.get("spec") or {}).get("nodeName")) and incoming.template is None
        refusal = refused(base, evaluations, by_deny_only=named)
        if refusal:
            return refusal
        if named:
            reason = "the pod names its node"
            policies = tuple(
                PolicyOutcome(each.policy.name, "notMatched", reason, each.error)
                if each.outcome == "applied"
                else policy_outcome(each)
                for each in evaluations
            )
            return replace(base, message=f"{reason}, so it is not patched", policies=policies)
        meter = Budget(COMBINING_BUDGET)
        decision = self._weighed(base, incoming, evaluations, meter, choices or {})
        if payer:
            payer.spend(COMBINING_BUDGET - max(0, meter.left) + EVALUATING * (1 + len(evaluations)))
        return decision

    def _weighed(
        self,
        base: Decision,
        incoming: IncomingPod,
        evaluations: Sequence[PolicyEvaluation],
        meter: Budget,
        choices: Mapping[str, int],
    ) -> Decision:
        """The decision of policies none of which refuses the pod by itself. A policy that can't be combined fails."""
        try:
            meant = meanings(incoming.pod, meter)
            own_terms = simplify(meant, meter)
        except TooMany as error:
            return _undecided(base, evaluations, own_too_large(incoming.pod, error), words.FEWER)
        except BudgetExceeded as error:
            return _undecided(base, evaluations, own_too_large(incoming.pod, error))
        given = Given(incoming, self.pool_index, own_terms, evaluations, choices, self.pool_facts.views, meter, meant)
        try:
            return _combined(base, given)
        except BudgetExceeded:
            return _undecided(base, evaluations, together_too_much(given))


def _undecided(
    base: Decision, evaluations: Sequence[PolicyEvaluation], reason: str, remedy: str = words.SMALLER
) -> Decision:
    """The decision where what the pod asks for itself can't be weighed against policies: those that apply fail."""
    failed = [each.failed(reason, remedy) if each.outcome == "applied" else each for each in evaluations]
    return refused(base, failed) or replace(base, message=reason, policies=tuple(map(policy_outcome, failed)))


def _unexempted(
    evaluation: PolicyEvaluation, error: str, exemption: CompiledExemption, *, unknown: bool
) -> PolicyEvaluation:
    """A policy whose exemption could not be decided: it applies, with the error beside it; but where that is only for
    the Namespace, which is `unknown` for now, it has failed, for trying again will tell."""
    if unknown and exemption.reads_namespace and evaluation.outcome in ("applied", "denied"):
        return evaluation.failed(error)
    return evaluation._replace(error=evaluation.error or error)


def _combined(base: Decision, given: Given) -> Decision:
    """The policies together. One that turns out not to be decidable fails; the others try again."""
    while True:
        try:
            return _settled(base, given)
        except PoliciesFailed as failure:
            why = failure.reasons
            evaluations = [
                each.failed(why[each.policy.name], failure.remedy) if each.policy.name in why else each
                for each in given.evaluations
            ]
            given = replace(given, evaluations=evaluations)
            refusal = refused(base, evaluations)
            if refusal:
                return refusal


def _settled(base: Decision, given: Given) -> Decision:
    """The policies combined, what follows from them, and whose doing it is. Raises PoliciesFailed."""
    pod = given.incoming.pod
    splits = any(one.shares for one in given.evaluations)
    given = with_shares(given) if splits else given
    met = combined(given)
    refusal = denied(base, given, met)
    if refusal:
        return refusal
    given = with_wishes(given, met) if splits else given
    answers = TaintAnswers(given.views)
    intent = written(given, met, answers)
    gave_way = overruled_spread(intent.applied, pod, given.meter)
    pools = pool_names(given, met, intent.placement)
    alone = met.unsatisfiable
    template = given.incoming.template is not None
    warnings = words.warnings(
        given.evaluations, met.overruled, pools, gave_way, unsatisfiable_alone=alone, template=template
    )
    warnings += dropped(pod, intent.patched, given, met.left)
    idle = without_effect(pod, intent, gave_way)
    policies = outcomes(given, met, intent, {**met.overruled, **idle}, gave_way, answers)
    effective = [one for one in intent.applied if one.policy.name not in idle]
    tolerating = tolerating_policies(given, met, intent, answers)
    return replace(
        base,
        message=words.sentence(given.incoming, pools, policies, effective, tolerating, unsatisfiable_alone=alone),
        policies=policies,
        pools=pools,
        placement=intent.placement,
        patch=intent.operations,
        placed=intent.patched if intent.operations else None,
        warnings=tuple(dict.fromkeys(warnings)),
    )
