"""The decision: a bundle's program, an inventory and a pod go in; where the pod may run, and why, comes out.

In one breath: leave alone what is not ours; judge each policy by itself; refuse what a policy denies; let the regions
of the others meet, overruling by priority what would leave nothing; write down what follows, and say it in a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from engine.bundle import MODES, SYSTEM_NAMESPACES, Mode, Outcome
from engine.decision import words
from engine.decision.attribution import _overruled_spread, _without_effect, added, asked
from engine.decision.candidates import _Candidates
from engine.decision.combine import _Failure
from engine.decision.decision import Decision, PolicyOutcome, PoolNames, _outcome
from engine.decision.intent import _holds_already, _named
from engine.decision.redact import _discreet, _may_tell
from engine.decision.weigh import _of_pools, _ranks, _room, within
from engine.evaluation import (
    POLICY_BUDGET,
    UNSELECTED,
    NodeSet,
    PodFacts,
    PolicyEvaluation,
    PoolFacts,
    WeightedNodes,
    alive,
    evaluate_policy,
    exempted,
    exempting,
    intersection,
    node_terms,
    plain_meet,
    reach,
)
from engine.language import Budget
from engine.names import PREFERRED
from engine.nodeselector import FALSE, TRUE, Term, Terms, TooMany, affordable, both, implies, parse_term
from engine.placement import (
    MAX_WEIGHT,
    OF_POD,
    WISHES,
    Operation,
    Placement,
    Toleration,
    own,
    patch,
    tolerates,
    toleration_for,
    united,
)
from engine.pods import IncomingPod, controller
from engine.pools import HARD_EFFECTS, Inventory, PoolIndex, Taint, members
from engine.program import POD_NAMES, Arguments, CompiledPolicy, Program

LEFT_ALONE = frozenset(SYSTEM_NAMESPACES)
"""Namespaces whose pods are left alone, besides Bayplan's own, unless a bundle says otherwise."""
OWN_NAMESPACE = "bayplan"
"""Where Bayplan runs, if nothing else is said."""

MIRROR = "kubernetes.io/config.mirror"
NOBODY = (None,) * len(POD_NAMES)


def careful(*modes: str) -> Mode:
    """The most careful of these modes: off, then audit, then enforce."""
    return max((mode for mode in MODES if mode in modes), key=MODES.index, default="enforce")


class Decider:
    """A program on an inventory. It keeps nothing of one pod for the next; swap the whole of it when either changes.

    `mode` is the webhook's own. `cluster` is what expressions see under that name (`name`, `labels`); `params`
    overrides constants of the bundle; `namespaces` are left alone besides `LEFT_ALONE`, whatever the bundle says.
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
    ) -> None:
        self.program = program
        self.mode = careful(mode, program.mode)
        self.left_alone = LEFT_ALONE.difference(program.hands_on.namespaces).union(namespaces)
        known = {"name": "", "labels": {}, **(cluster or {})}
        self.constants = (known, {**program.params, **(params or {})})
        self.pool_index = PoolIndex(inventory)
        self.pool_facts = PoolFacts(self.pool_index, program.leaves, self._nobody)
        self._place = {policy.name: i for i, policy in enumerate(program.policies)}
        self._resting = [_resting(policy) for policy in program.policies]
        self._candidates = _Candidates(program.policies)
        self._telling = frozenset(policy.name for policy in program.policies if _may_tell(policy, program))

    def renewed(self, inventory: Inventory) -> Decider:
        """The same on another inventory. What is known of pools that did not change is taken over, so this is fast."""
        decider = copy(self)
        decider.pool_index = PoolIndex(inventory, self.pool_index)
        decider.pool_facts = PoolFacts(decider.pool_index, self.program.leaves, self._nobody, self.pool_facts)
        return decider

    def _nobody(self) -> Arguments:
        return (Budget(POLICY_BUDGET), *NOBODY, *self.constants)

    def decide(self, incoming: IncomingPod) -> Decision:
        """What follows for one pod. Never raises for what a bundle or a pod may hold."""
        reason = self._hands_off(incoming)
        if self.mode == "off" or reason:
            outcome: Outcome = "off" if self.mode == "off" else "notMatched"
            outcomes = tuple(PolicyOutcome(p.name, outcome, reason) for p in self.program.policies)
            return Decision(incoming, self.program.revision, self.mode, True, reason or "switched off", outcomes)
        evaluations = self.evaluations(incoming)
        audited = [f for f in evaluations if f.policy.policy.mode == "audit"]
        if not audited:
            return self._complete(evaluations, self._decided(incoming, evaluations))
        decision = self._decided(incoming, [f for f in evaluations if f.policy.policy.mode == "enforce"])
        if any(f.outcome in ("applied", "denied", "failed") for f in audited):
            decision = replace(decision, audited=self._decided(incoming, evaluations))
        return self._complete(evaluations, decision)

    def evaluations(self, incoming: IncomingPod) -> list[PolicyEvaluation]:
        """What each policy that its selector does not rule out says of a pod by itself, in the program's order."""
        pod_facts = PodFacts(incoming, self.pool_facts, self.constants)
        candidates = self._candidates.of(pod_facts.labels)
        if not self.program.exemptions:
            return [evaluate_policy(policy, pod_facts) for policy in candidates]
        matching, failed = exempting(self.program.exemptions, pod_facts)
        evaluations = [exempted(policy, matching) or evaluate_policy(policy, pod_facts) for policy in candidates]
        for one, error in failed:
            evaluations = [replace(f, error=f.error or error) if one.covers(f.policy.name) else f for f in evaluations]
        return evaluations

    def _complete(self, evaluations: Sequence[PolicyEvaluation], decision: Decision) -> Decision:
        """The decision with every policy's outcome, in the program's order; audited ones say what they would do."""
        outcomes = list(self._resting)
        if len(decision.policies) < len(evaluations):
            for evaluation in evaluations:
                outcomes[self._place[evaluation.policy.name]] = _outcome(evaluation)
        for outcome in decision.policies:
            outcomes[self._place[outcome.name]] = outcome
        if decision.audited is not None:
            would = {outcome.name: outcome for outcome in decision.audited.policies}
            for evaluation in evaluations:
                if evaluation.policy.policy.mode == "audit" and evaluation.outcome in ("applied", "denied"):
                    name = evaluation.policy.name
                    _, what, message, error = would[name]
                    said = f"would be {what}: {message or error}"
                    outcomes[self._place[name]] = PolicyOutcome(name, "audited", said, error)
        decision = replace(decision, policies=tuple(outcomes))
        all_outcomes = (*outcomes, *(decision.audited.policies if decision.audited else ()))
        return _discreet(decision, self._telling) if any(outcome.error for outcome in all_outcomes) else decision

    def _hands_off(self, incoming: IncomingPod) -> str:
        """Why a pod is left alone; empty if it is not."""
        metadata = incoming.pod.get("metadata") or {}
        if incoming.namespace_name in self.left_alone:
            return f"pods in namespace {incoming.namespace_name} are left alone"
        if MIRROR in (metadata.get("annotations") or {}):
            return "mirror pods are left alone"
        owner = controller(metadata)
        if owner is not None and owner.get("kind") == "DaemonSet" and not self.program.hands_on.daemon_sets:
            return "pods of DaemonSets are left alone"
        return ""

    def _decided(self, incoming: IncomingPod, evaluations: Sequence[PolicyEvaluation]) -> Decision:
        base = Decision(incoming, self.program.revision, self.mode, True, "")
        refused = _refused(base, evaluations)
        if refused:
            return refused
        if (incoming.pod.get("spec") or {}).get("nodeName"):
            outcomes = tuple(
                PolicyOutcome(f.policy.name, "notMatched", "the pod names its node", f.error)
                if f.outcome == "applied"
                else _outcome(f)
                for f in evaluations
            )
            return replace(base, message="the pod names its node, so it is not patched", policies=outcomes)
        return self._placed(base, evaluations)

    def _placed(self, base: Decision, evaluations: Sequence[PolicyEvaluation]) -> Decision:
        """Brings the regions together. A policy that turns out not to be decidable fails; the others try again."""
        try:
            mine = own(base.incoming.pod)
        except TooMany as error:
            reason = f"the pod's own constraints: {error}"
            settled = [f.failed(reason) if f.outcome == "applied" else f for f in evaluations]
            return _refused(base, settled) or replace(base, message=reason, policies=tuple(map(_outcome, settled)))
        settled = list(evaluations)
        while True:
            try:
                return _Meeting(base, mine, settled, self.pool_index).decision()
            except _Failure as failure:
                reasons = failure.reasons
                settled = [f.failed(reasons[f.policy.name]) if f.policy.name in reasons else f for f in settled]
                refused = _refused(base, settled)
                if refused:
                    return refused


@dataclass(slots=True)
class _Meeting:
    """The policies that apply to one pod, coming together with what the pod asks for itself."""

    base: Decision
    mine: Terms
    evaluations: list[PolicyEvaluation]
    pool_index: PoolIndex
    before: int = 0  # the pools that the pod's own constraints leave
    stuck: bool = False  # whether the pod itself asks for what no known pool has
    answers: dict[tuple[str, int, Taint], bool] = field(default_factory=dict)  # whose policy names which taint

    def decision(self) -> Decision:
        """The decision. Raises _Failure where a policy turns out not to be decidable."""
        pool_index, pod, mine = self.pool_index, self.base.incoming.pod, self.mine
        before = reach(((pool_index.every, TRUE),), mine, pool_index)
        stuck = mine == FALSE or (not before and bool(pool_index.pools) and not pool_index.inventory.strays)
        self.before, self.stuck = before, stuck
        met, overruled = self._met(TRUE if stuck else mine)
        for evaluation in self.evaluations:
            if overruled and evaluation.policy.name in overruled and evaluation.policy.policy.when_empty == "deny":
                return self._denied(evaluation, overruled, before)
        applied = [f for f in self.evaluations if f.outcome == "applied" and f.policy.name not in overruled]
        after = pool_index.every if met is None else reach(met.groups, TRUE if stuck else mine, pool_index)
        after &= before if not stuck else pool_index.every
        placement, operations = self._written(applied, met, after)
        unspread = _overruled_spread(applied, pod)
        left = 0 if stuck else after
        pools = PoolNames(pool_index.names(before), pool_index.names(left), self._untolerated(left, placement))
        warnings = words.warnings(self.evaluations, overruled, pools, unspread, stuck=stuck)
        idle = _without_effect(applied, unspread, pod, placement)
        outcomes = self._outcomes(applied, {**overruled, **idle}, placement, operations, after)
        decision = replace(
            self.base,
            policies=outcomes,
            pools=pools,
            placement=placement,
            patch=operations,
            warnings=tuple(dict.fromkeys(warnings)),
        )
        effective = [f for f in applied if f.policy.name not in idle]
        return replace(decision, message=words.sentence(decision, effective, stuck=stuck))

    def _met(self, mine: Terms) -> tuple[NodeSet | None, dict[str, str]]:
        """All regions together; or by priority those that leave something, and why the others are overruled."""
        wanting = [f for f in self.evaluations if f.outcome == "applied" and f.nodes is not None]
        everything = self._meet_all(wanting)
        if everything is None or alive(everything, mine, self.pool_index):
            return everything, {}
        kept: list[PolicyEvaluation] = []
        overruled: dict[str, str] = {}
        for evaluation in wanting:
            together = self._meet_all([*kept, evaluation])
            if together is not None and alive(together, mine, self.pool_index):
                kept.append(evaluation)
            else:
                overruled[evaluation.policy.name] = words.emptiness(evaluation, kept, mine, self.pool_index)
        return self._meet_all(kept), overruled

    def _meet_all(self, evaluations: Sequence[PolicyEvaluation]) -> NodeSet | None:
        together = plain_meet([evaluation.nodes for evaluation in evaluations])
        if together is not None:
            return together
        failed: dict[str, str] = {}
        multiplied: list[PolicyEvaluation] = []
        for evaluation in evaluations:
            assert evaluation.nodes is not None
            multiplied.append(evaluation)
            try:
                together = evaluation.nodes if together is None else intersection(together, evaluation.nodes)
            except TooMany as error:
                failed[evaluation.policy.name] = self._multiplied(error, multiplied)
                multiplied.pop()
        if failed:
            raise _Failure(failed)
        return together

    def _denied(self, evaluation: PolicyEvaluation, overruled: Mapping[str, str], before: int) -> Decision:
        outcomes = tuple(
            PolicyOutcome(f.policy.name, "overruled", overruled[f.policy.name], f.error)
            if f.policy.name in overruled
            else _outcome(f)
            for f in self.evaluations
        )
        pools = PoolNames(self.pool_index.names(before))
        message = f"policy {evaluation.policy.name}: {overruled[evaluation.policy.name]}"
        return replace(self.base, allowed=False, message=message, policies=outcomes, pools=pools)

    def _written(
        self, applied: Sequence[PolicyEvaluation], met: NodeSet | None, after: int
    ) -> tuple[Placement, tuple[Operation, ...]]:
        """What the policies come to, and how it is written. Fails each that brings more than a pod can carry."""
        try:
            return self._carried(applied, met, after)
        except TooMany as error:
            failed = self._too_much(applied, after)
            assert failed  # the last that it tried are all of them
            raise _Failure(failed) from error

    def _carried(
        self, applied: Sequence[PolicyEvaluation], met: NodeSet | None, after: int
    ) -> tuple[Placement, tuple[Operation, ...]]:
        """What these policies come to, and the patch. Raises TooMany if a pod can't carry it."""
        placement = self._placement(applied, met, after)
        affordable(placement.required)
        return placement, patch(self.base.incoming.pod, placement)

    def _too_much(self, applied: Sequence[PolicyEvaluation], after: int) -> dict[str, str]:
        """The policies that bring more than a pod can carry, given those before them that don't; and why."""
        failed: dict[str, str] = {}
        kept, rest, step = list[PolicyEvaluation](), list(applied), 1
        while rest:
            error = self._excess([*kept, *rest[:step]], after)
            if error is None:
                kept, rest, step = kept + rest[:step], rest[step:], step * 2
            elif step > 1:
                step //= 2
            else:
                failed[rest[0].policy.name] = self._multiplied(error, [*kept, rest[0]])
                rest = rest[1:]
        return failed

    def _excess(self, applied: Sequence[PolicyEvaluation], after: int) -> TooMany | None:
        """What these policies together bring too much of."""
        try:
            self._carried(applied, self._meet_all([f for f in applied if f.nodes is not None]), after)
        except TooMany as error:
            return error
        return None

    def _multiplied(self, error: TooMany, evaluations: Sequence[PolicyEvaluation]) -> str:
        """An error, and whose alternatives multiply, for a person who wants to know which are too many."""
        own, wishes = OF_POD in error.what, WISHES in error.what
        factors = [f"{len(self.mine)} of the pod's own"] if own and len(self.mine) > 1 else []
        for evaluation in evaluations if not wishes else ():
            count = 1 if evaluation.nodes is None else self._width(evaluation.nodes, self.pool_index.every)
            if count > 1:
                factors.append(f"{count} of policy {evaluation.policy.name}")
        return f"{error} ({', times '.join(factors)})" if len(factors) > 1 else str(error)

    def _width(self, nodes: NodeSet, after: int) -> int:
        """How many node selector terms a region takes."""
        try:
            return sum(term.width for term in node_terms(nodes, after, self.pool_index))
        except TooMany as error:
            return error.count

    def _placement(self, applied: Sequence[PolicyEvaluation], met: NodeSet | None, after: int) -> Placement:
        return Placement(
            TRUE if met is None or self._held(met, after) else node_terms(met, after, self.pool_index),
            self._preferred(applied, after),
            tuple(self._tolerations(applied, 0 if self.stuck else after)),
            tuple(constraint for f in applied for constraint in f.spread),
            tuple(term for f in applied for term in f.pod_affinity),
            tuple(term for f in applied for term in f.pod_anti_affinity),
        )

    def _held(self, met: NodeSet, after: int) -> bool:
        """Whether the pod says already what is required, also of pools that are not left."""
        if after == self.pool_index.every or self.stuck:
            return False
        elsewhere = self.before
        for mask, _ in met.groups:
            elsewhere &= ~mask
        return not elsewhere and _holds_already(self.mine, met, self.pool_index)

    def _preferred(self, applied: Sequence[PolicyEvaluation], after: int) -> tuple[tuple[int, Term], ...]:
        """Wishes with their weights, and fallback tiers above them.

        All wishes that one node can fulfil weigh less than one tier; a wish too light for that is left out. The tiers
        leave as much room under 100 as the wishes need, for weights that passed it would all have to be rounded.
        What a wish weighs does not depend on the pools that are left, so that it is the same when fewer are.
        """
        wishes = [wish for evaluation in applied for wish in evaluation.wishes]
        ranks = _ranks(applied)
        if ranks:
            room = _room(ranks, applied)
            ranked = within(MAX_WEIGHT, [WeightedNodes(rank.nodes, room.step * rank.weight) for rank in ranks])
            weighed = [*room.lighter(wishes), *ranked]
        else:
            weighed = within(MAX_WEIGHT, wishes)
        preferred: list[tuple[int, Term]] = []
        for wish in weighed:
            if wish.weight:
                preferred += [(wish.weight, term) for term in self._wished(wish.nodes, after)]
        return self._not_preferred_yet(preferred, after)

    def _wished(self, nodes: NodeSet, after: int) -> Terms:
        try:
            return node_terms(nodes, after, self.pool_index)
        except TooMany as error:
            raise TooMany(error.count, WISHES) from error

    def _not_preferred_yet(self, wishes: Sequence[tuple[int, Term]], after: int) -> tuple[tuple[int, Term], ...]:
        """Without what the pod prefers already in other words: somebody else has left fewer pools since it was said."""
        affinity = ((self.base.incoming.pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
        existing = [
            (one.get("weight") or 0, parse_term(one.get("preference") or {})) for one in affinity.get(PREFERRED) or ()
        ]
        if not existing or not wishes:
            return tuple(wishes)
        affordable((wish for _, wish in wishes), WISHES)
        wishes = [(weight, one) for weight, wish in wishes for one in wish.split()]
        gone = self.pool_index.selector(self.pool_index.every & ~after)

        def otherwise(wish: Term, one: Term) -> bool:
            here = both((wish,), self.mine)
            return one != wish and implies(here, (one,)) and implies(both((one,), self.mine), (wish, *gone))

        wanted, equal = united(wishes), united(existing)
        said = {
            wish
            for wish, weight in wanted.items()
            if (others := sum(w for w, one in existing if otherwise(wish, one)))
            and others + equal.get(wish, 0) >= weight
        }
        return tuple((weight, wish) for weight, wish in wishes if wish not in said)

    def _tolerations(self, applied: Sequence[PolicyEvaluation], after: int) -> list[Toleration]:
        """For each taint of the pools that are left that an entry of a policy names."""
        wanted: dict[Taint, Toleration] = {}
        for evaluation in applied:
            for index, taint in self._taints(after) if evaluation.policy.tolerate else ():
                if taint not in wanted and self._names(evaluation, index, taint):
                    wanted[taint] = toleration_for(taint._asdict())
        return [wanted[taint] for taint in sorted(wanted)]

    def _tolerated(self, evaluation: PolicyEvaluation, after: int) -> list[Toleration]:
        """Those that one policy names. Where that is an error, nobody asked it: another one had named the taint."""
        wanted: dict[Taint, Toleration] = {}
        for index, taint in self._taints(0 if self.stuck else after) if evaluation.policy.tolerate else ():
            with suppress(_Failure):
                if taint not in wanted and self._names(evaluation, index, taint):
                    wanted[taint] = toleration_for(taint._asdict())
        return list(wanted.values())

    def _taints(self, pools: int) -> Iterator[tuple[int, Taint]]:
        for index in members(pools):
            yield from ((index, taint) for taint in self.pool_index.pools[index].taints if taint.effect in HARD_EFFECTS)

    def _names(self, evaluation: PolicyEvaluation, index: int, taint: Taint) -> bool:
        """Whether a policy names a taint of a pool; it is asked once, for asking costs. Raises _Failure."""
        question = evaluation.policy.name, index, taint
        if question not in self.answers:
            self.answers[question] = _named(evaluation, self.pool_index.pools[index].view, taint)
        return self.answers[question]

    def _untolerated(self, after: int, placement: Placement) -> tuple[str, ...]:
        tolerations = [*((self.base.incoming.pod.get("spec") or {}).get("tolerations") or ()), *placement.tolerations]
        barred = 0
        for taint, pools in self.pool_index.hard_taints.items():
            if pools & after and not any(tolerates(one, taint._asdict()) for one in tolerations):
                barred |= pools & after
        return self.pool_index.names(barred)

    def _outcomes(
        self,
        applied: Sequence[PolicyEvaluation],
        overruled: Mapping[str, str],
        placement: Placement,
        operations: Sequence[Operation],
        after: int,
    ) -> tuple[PolicyOutcome, ...]:
        """Every outcome. A policy that applies is satisfied where nothing that it asks for is in the patch."""
        writing = self._writing(applied, placement, after) if operations else ()
        outcomes = []
        for evaluation in self.evaluations:
            name = evaluation.policy.name
            if name in overruled:
                outcomes.append(PolicyOutcome(name, "overruled", overruled[name], evaluation.error))
            elif evaluation.outcome != "applied" or name in writing:
                outcomes.append(_outcome(evaluation))
            else:
                message = self._unchanged(evaluation, applied, after)
                outcomes.append(PolicyOutcome(name, "satisfied", message, evaluation.error))
        return tuple(outcomes)

    def _writing(self, applied: Sequence[PolicyEvaluation], placement: Placement, after: int) -> Collection[str]:
        """The policies that ask for something that is written, be it that others ask for it, too."""
        if len(applied) == 1:
            return (applied[0].policy.name,)
        names = {evaluation.policy.name for evaluation in applied if self._narrows(evaluation)}
        rest = [f for f in applied if f.policy.name not in names and not f.policy.only_requires]
        if rest:
            pod = self.base.incoming.pod
            this = added(pod, placement)
            for evaluation in rest:
                wished = (
                    term for wish in (*evaluation.tiers, *evaluation.wishes) for term in self._named_by(wish, after)
                )
                if asked(evaluation, pod, this, wished, self._tolerated(evaluation, after)):
                    names.add(evaluation.policy.name)
        # nobody narrows the pod, but those that say so together have ruled out pools that it does not name
        return names or {evaluation.policy.name for evaluation in applied if evaluation.nodes is not None}

    def _narrows(self, evaluation: PolicyEvaluation) -> bool:
        """Whether a policy requires what the pod does not ask for itself."""
        try:
            return evaluation.nodes is not None and not _holds_already(self.mine, evaluation.nodes, self.pool_index)
        except TooMany:
            return True

    def _named_by(self, wish: WeightedNodes, after: int) -> Terms:
        """The terms of a wish; none of one that takes too many, which is only left where it weighs nothing."""
        try:
            return self._wished(wish.nodes, after)
        except TooMany:
            return FALSE

    def _unchanged(self, evaluation: PolicyEvaluation, applied: Sequence[PolicyEvaluation], after: int) -> str:
        """Why nothing of a policy is written."""
        if evaluation.policy.only_denies:
            return words.DENIES_NOTHING
        gave_way = _overruled_spread(applied, self.base.incoming.pod).get(evaluation.policy.name)
        if gave_way:
            return gave_way
        if evaluation.nodes is not None or evaluation.spread or evaluation.pod_affinity or evaluation.pod_anti_affinity:
            return words.HELD
        if self._tolerated(evaluation, after) or _of_pools(evaluation.tiers, after):
            return words.HELD
        wishes = [wish for wish in evaluation.wishes if _of_pools((wish,), after)]
        if wishes:
            ranks = _ranks(applied)
            light = bool(ranks) and not any(wish.weight for wish in _room(ranks, applied).lighter(wishes))
            return words.TOO_LIGHT if light else words.HELD
        return words.ABOUT_NONE if evaluation.policy.prefer or evaluation.policy.fallback else words.NO_TAINT


def _refused(base: Decision, evaluations: Sequence[PolicyEvaluation]) -> Decision | None:
    refusal = _refusal(evaluations)
    return (
        replace(base, allowed=False, message=refusal, policies=tuple(map(_outcome, evaluations))) if refusal else None
    )


def _refusal(evaluations: Iterable[PolicyEvaluation]) -> str:
    """Why the pod is refused before anything meets: a `deny` that holds, or a failure under failurePolicy Fail."""
    for evaluation in evaluations:
        if evaluation.outcome == "denied":
            return f"policy {evaluation.policy.name}: {evaluation.message}"
        if evaluation.outcome == "failed" and evaluation.policy.policy.failure_policy == "Fail":
            return f"policy {evaluation.policy.name} could not be decided: {evaluation.error}"
    return ""


def _resting(policy: CompiledPolicy) -> PolicyOutcome:
    if policy.policy.mode == "off":
        return PolicyOutcome(policy.name, "off")
    return PolicyOutcome(policy.name, "notMatched", UNSELECTED)
