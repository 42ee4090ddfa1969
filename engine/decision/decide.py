"""The decision: a bundle's program, an inventory and a pod go in; where the pod may run, and why, comes out.

In one breath: leave alone what is not ours; evaluate each policy by itself; refuse what a policy denies; combine what
the others require, overruling by priority what would leave nothing; write down what follows, and say it in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from engine.bundle import JointRevision, Outcome, Revision
from engine.decision import words
from engine.decision.attribution import outcomes, overruled_spread, tolerating_policies, without_effect
from engine.decision.candidates import resting
from engine.decision.combine import Given, PoliciesFailed, combined, denied, refused
from engine.decision.decision import Decision, PolicyOutcome, Portion, policy_outcome
from engine.decision.intent import TaintAnswers, pool_names, written
from engine.decision.karpenter import dropped
from engine.decision.marks import marked, marks
from engine.decision.part import Part, Settings, in_order, least_careful_mode, most_careful_mode, parts_of
from engine.decision.redact import may_read_environment, redacted
from engine.decision.shares import portions, told_apart, with_shares, with_wishes
from engine.decision.templates import anywhere, for_template
from engine.decision.too_much import own_too_large, together_too_much
from engine.evaluation import COMBINING_BUDGET, LEAST_FOR_COMBINING, PodFacts, PolicyEvaluation, PoolFacts
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import Meter, TooMany, simplify
from engine.placement import meanings, own
from engine.pods import DAEMON_SET_CONTROLLERS, IncomingPod
from engine.pools import Inventory, PoolIndex
from engine.program import Program
from engine.struct import replace

OWN_NAMESPACE = "bayplan"
"""Where Bayplan runs, if nothing else is said."""

EVALUATING = 40
"""What evaluating one policy costs at least, and combining it with others, in units, where somebody pays for it."""


class Decider:
    """Programs on an inventory, mostly one. It keeps nothing of one pod for the next; swap the whole of it when either
    changes.

    `mode` is the webhook's own. `cluster` is what expressions see under that name (`name`, `labels`); `params`
    overrides constants of the bundle; `namespaces` are left alone besides `LEFT_ALONE`, whatever the bundle says;
    `daemon_set_controllers` are the users whose pods of DaemonSets are left alone.

    Of several programs no two may have a policy of the same name. Each has its own constants and exemptions, is about
    the system pods that it says itself, and is as careful as it says; their policies meet like those of one.

    `settings` is what it was made with besides programs and pools; `reading_environment` names the policies that may
    read a pod's environment.
    """

    def __init__(
        self,
        program: Program | Sequence[Program],
        inventory: Inventory,
        *,
        mode: str = "enforce",
        cluster: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        namespaces: Iterable[str] = (),
        daemon_set_controllers: Iterable[str] = DAEMON_SET_CONTROLLERS,
    ) -> None:
        known = {"name": "", "labels": {}, **(cluster or {})}
        self.settings = Settings(mode, known, params or {}, frozenset(namespaces), frozenset(daemon_set_controllers))
        programs = (program,) if isinstance(program, Program) else tuple(program)
        self._settle(programs, PoolIndex(inventory), ())

    def _settle(self, programs: tuple[Program, ...], index: PoolIndex, last: Sequence[Part]) -> None:
        common = least_careful_mode(*(program.mode for program in programs))
        self.programs, self.pool_index = programs, index
        self.mode = most_careful_mode(self.settings.mode, common)
        self.parts = parts_of(programs, common, self.settings, index, last)
        self.policies = in_order(policy for part in self.parts for policy in part.policies)
        self.revision = _revision_of(self.parts)
        self._templates = any(part.templates for part in self.parts)
        self._place = {policy.name: i for i, policy in enumerate(self.policies)}
        self._resting = [resting(policy) for policy in self.policies]
        self._splits = any(policy.split for policy in self.policies)
        self.reading_environment = frozenset(
            policy.name for part in self.parts for policy in part.policies if may_read_environment(policy, part.program)
        )

    def renewed(self, inventory: Inventory, programs: Sequence[Program] | None = None) -> Decider:
        """The same on another inventory, or with other `programs`. What is known of pools that did not change is taken
        over, for programs that stay: so this is fast."""
        decider = copy(self)
        same = inventory is self.pool_index.inventory
        index = self.pool_index if same else PoolIndex(inventory, self.pool_index)
        if programs is not None and tuple(map(id, programs)) != tuple(map(id, self.programs)):
            decider._settle(tuple(programs), index, self.parts)
        else:
            decider.pool_index = index
            decider.parts = parts_of(self.programs, self.parts[0].mode, self.settings, index, self.parts)
        return decider

    # of the only program, or the first

    @property
    def program(self) -> Program:
        return self.parts[0].program

    @property
    def left_alone(self) -> frozenset[str]:
        return self.parts[0].left_alone

    @property
    def constants(self) -> tuple[object, ...]:
        return self.parts[0].constants

    @property
    def pool_facts(self) -> PoolFacts:
        return self.parts[0].pool_facts

    def decide(self, incoming: IncomingPod, meter: Meter | None = None) -> Decision:
        """What follows for one pod. Never raises for what a bundle or a pod may hold, but for what a `meter` raises
        that is to pay for it, once it is known what it costs.
        """
        template = incoming.template is not None and self._templates
        if incoming.template is not None:
            incoming = anywhere(incoming) if template else replace(incoming, template=None)
        judging, claims, left_alone = list[Part](), list[str](), dict[str, str]()
        for part in self.parts:
            reason, claim = part.standing(incoming)
            if reason:
                left_alone |= {policy.name: reason for policy in part.policies}
            else:
                judging.append(part)
            if claim:
                claims.append(claim)
        if self.mode == "off" or not judging:
            outcome: Outcome = "off" if self.mode == "off" else "notMatched"
            policies = tuple(PolicyOutcome(p.name, outcome, left_alone.get(p.name, "")) for p in self.policies)
            why = next(iter(left_alone.values()), "switched off")
            return Decision(incoming, self.revision, self.mode, True, why, policies)
        decision = self._judged(incoming, judging, meter)
        if left_alone:
            decision = _leaving_alone(decision, left_alone)
        if template:
            return for_template(decision)
        return replace(decision, warnings=(*dict.fromkeys(claims), *decision.warnings)) if claims else decision

    def _judged(self, incoming: IncomingPod, parts: Sequence[Part], meter: Meter | None) -> Decision:
        """What follows for a pod that policies are about: those of these parts."""
        evaluations, left = self._evaluated(incoming, meter, parts)
        purse = _Purse(min(COMBINING_BUDGET, left + LEAST_FOR_COMBINING), meter)
        decision = self._in_mode(incoming, evaluations, purse)
        if not self._splits or told_apart(incoming):
            return decision
        dealt = any(policy.share and not policy.share.kept for policy in decision.policies)
        return self._portioned(decision, evaluations, purse) if dealt else decision

    def _in_mode(self, incoming: IncomingPod, evaluations: Sequence[PolicyEvaluation], purse: _Purse) -> Decision:
        """The decision of the policies that are enforced, and what those in audit mode would lead to."""
        audited = [each for each in evaluations if each.policy.policy.mode == "audit"]
        if not audited:
            return self._complete(evaluations, self._decided(incoming, evaluations, purse))
        enforced = [each for each in evaluations if each.policy.policy.mode == "enforce"]
        decision = self._decided(incoming, enforced, purse)
        if any(each.outcome in ("applied", "denied", "failed") for each in audited):
            decision = replace(decision, audited=self._decided(incoming, evaluations, purse))
        return self._complete(evaluations, decision)

    def _portioned(self, decision: Decision, evaluations: Sequence[PolicyEvaluation], purse: _Purse) -> Decision:
        """The decision with those about all portions of a workload's pods, where splits tell them apart: with none,
        where the request's budget does not suffice for all.
        """
        enforced = [each for each in evaluations if each.policy.policy.mode == "enforce"]
        told: list[Portion] = []
        with suppress(TooMany):
            given = Given(decision.incoming, self.pool_index, own(decision.incoming.pod), enforced)
            purse.spent = 0
            for percent, choices in portions(given):
                if purse.spent > purse.each:
                    return decision
                one = self._complete(evaluations, self._decided(decision.incoming, enforced, purse, choices))
                told.append(Portion(percent, one))
        return replace(decision, message=words.of_portions(told), portions=tuple(told)) if told else decision

    def evaluations(
        self, incoming: IncomingPod, meter: Meter | None = None, parts: Sequence[Part] = ()
    ) -> list[PolicyEvaluation]:
        """What each policy that its selector does not rule out says of a pod by itself, by priority and name: each of
        these `parts`, all if none are given.

        A `meter` pays for it once it is known what it costs.
        """
        return self._evaluated(incoming, meter, parts or self.parts)[0]

    def _evaluated(
        self, incoming: IncomingPod, meter: Meter | None, parts: Sequence[Part]
    ) -> tuple[list[PolicyEvaluation], int]:
        """What each policy says, and what that has left of the request's budget, in units."""
        evaluations: list[PolicyEvaluation] = []
        facts: PodFacts | None = None
        for part in parts:
            facts = part.facts(incoming, facts)
            mine = part.evaluated(facts)
            evaluations += mine
            if meter:
                meter.spend(facts.spent + EVALUATING * (1 + len(mine)))
        if len(parts) > 1:
            evaluations.sort(key=lambda each: self._place[each.policy.name])
        return evaluations, facts.left if facts is not None else 0

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
        return redacted(replace(decision, warnings=(*decision.warnings, *told)), self.reading_environment)

    def _left_out(self, decision: Decision) -> Iterator[str]:
        """That policies are left out of a decision, for they failed."""
        for outcome in decision.policies if decision.allowed else ():
            policy = self.policies[self._place[outcome.name]]
            if outcome.outcome == "failed" and policy.policy.mode == "enforce":
                failed = words.undecided(outcome.error, outcome.message)
                yield f"{words.answering(policy)} is left out, for it {failed}"

    def _decided(
        self,
        incoming: IncomingPod,
        evaluations: Sequence[PolicyEvaluation],
        purse: _Purse,
        choices: Mapping[str, int] | None = None,
    ) -> Decision:
        """The decision that these lead to, with their outcomes alone. A policy that can't be combined fails."""
        base = Decision(incoming, self.revision, self.mode, True, "")
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
        meter = Budget(purse.each)
        decision = self._weighed(base, incoming, evaluations, meter, choices or {})
        purse.pay(purse.each - max(0, meter.left), EVALUATING * (1 + len(evaluations)))
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


class _Purse:
    """What combining the policies on one pod may spend, in units, `each` time: so an audited decision is the enforced
    one. `spent` is what it has cost so far; the payer, if there is one, pays what is counted by hand, too.
    """

    __slots__ = ("_payer", "each", "spent")

    def __init__(self, each: int, payer: Meter | None) -> None:
        self.each, self.spent, self._payer = each, 0, payer

    def pay(self, units: int, uncounted: int) -> None:
        self.spent += units
        if self._payer:
            self._payer.spend(units + uncounted)


def _undecided(
    base: Decision, evaluations: Sequence[PolicyEvaluation], reason: str, remedy: str = words.SMALLER
) -> Decision:
    """The decision where what the pod asks for itself can't be weighed against policies: those that apply fail."""
    failed = [each.failed(reason, remedy) if each.outcome == "applied" else each for each in evaluations]
    refusal = refused(base, failed)
    if refusal:
        return refusal
    pod, operations = marked(base.incoming.pod, {}, placing=False)
    outcomes_of = tuple(map(policy_outcome, failed))
    return replace(base, message=reason, policies=outcomes_of, patch=operations, placed=pod if operations else None)


def _signs(evaluation: PolicyEvaluation) -> bool:
    """Whether a policy that applies is named on the pod: it places pods, and its bundle wants so."""
    return evaluation.policy.policy.annotate and not evaluation.policy.only_denies


def _revision_of(parts: Sequence[Part]) -> Revision | JointRevision:
    """What decides: the revision of the one program, or those of all."""
    if len(parts) == 1:
        return parts[0].program.revision
    by_policy = {policy.name: part.program.revision for part in parts for policy in part.policies}
    return JointRevision(tuple(part.program.revision for part in parts), by_policy)


def _leaving_alone(decision: Decision, reasons: Mapping[str, str]) -> Decision:
    """The decision where some policies leave the pod alone: why, by name."""
    policies = tuple(
        outcome._replace(message=reasons[outcome.name])
        if outcome.name in reasons and outcome.outcome == "notMatched"
        else outcome
        for outcome in decision.policies
    )
    portions = tuple(Portion(one.percent, _leaving_alone(one.decision, reasons)) for one in decision.portions)
    return replace(decision, policies=policies, portions=portions)


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
    naming = marks(str(base.revision), (one.policy.name for one in effective if _signs(one)))
    patched, signing = marked(intent.patched, naming, placing=bool(intent.operations))
    tolerating = tolerating_policies(given, met, intent, answers)
    return replace(
        base,
        message=words.sentence(given.incoming, pools, policies, effective, tolerating, unsatisfiable_alone=alone),
        policies=policies,
        pools=pools,
        placement=intent.placement,
        patch=(*intent.operations, *signing),
        placed=None if patched is pod else patched,
        warnings=tuple(dict.fromkeys(warnings)),
    )
