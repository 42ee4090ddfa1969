"""Policies that leave a pod no pool together: the search for them, and the problems that report what it found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from typing import Any

from engine.analysis.candidate_pods import Candidate, Tried, asked_of, candidate_for, pods_of_case, tried
from engine.analysis.cases import inventory_of
from engine.analysis.ledger import Ledger
from engine.analysis.selections import Selections
from engine.analysis.stage import Stage, disjoint_in, pools_reached, requires_the_same_always
from engine.analysis.witness import Wanted
from engine.bundle import Bundle, Case, Test
from engine.decision import Decider, listed
from engine.documents import Problem, Span
from engine.evaluation import NodeSet, PolicyEvaluation, alive, intersection
from engine.language import Budget
from engine.nodeselector import TRUE, TooMany
from engine.pods import IncomingPod
from engine.pools import PoolIndex
from engine.program import CompiledPolicy, Program
from engine.struct import Struct, field, replace

MAX_CANDIDATES = 2_000
"""Pods that are made up for pairs of policies."""
COMBINATIONS = 16
"""Of these, for one pair."""
REMEMBERED = 1_000
"""Policies of which it is remembered which pods they may be about."""
TRYING, PAIRING = 420_000, 420_000
"""What looking at the pods of single policies may cost, and at those of pairs, in units."""
PAIR = 12
"""What putting two of anything together costs at least."""
MAX_TOLD = 5
"""Conflicts that are reported in full of one policy that gives way; all are in the list."""


class Conflict(Struct, frozen=True):
    """Policies that leave a pod no pool. `pools` are those that each leaves alone, by policy's name.

    `overruled` is the policy that gives way, `refused` whether the pod is refused for it.
    """

    policies: tuple[str, ...]
    overruled: str
    refused: bool
    inventory: str
    witness: Candidate
    pools: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, Any]:
        """For `-o json`: the witness as the objects that the webhook would be sent."""
        incoming = self.witness.incoming
        return {
            "policies": list(self.policies),
            "overruled": self.overruled,
            "refused": self.refused,
            "inventory": self.inventory,
            "pools": {name: list(pools) for name, pools in self.pools.items()},
            "witness": {
                "description": self.witness.words,
                "pod": incoming.pod,
                "namespace": {"apiVersion": "v1", "kind": "Namespace", **incoming.namespace},
                "request": incoming.request,
            },
        }


class ConflictSearch(Struct):
    """The search for pods that policies leave no pool. `known` are conflicts that the bundle's tests expect."""

    bundle: Bundle
    program: Program
    stages: Sequence[Stage]
    policies: Sequence[CompiledPolicy]
    ledger: Ledger
    found: dict[frozenset[str], Conflict] = field(default_factory=dict)
    known: set[frozenset[str]] = field(default_factory=set)
    asked: dict[str, list[Wanted]] = field(default_factory=dict)
    open_pairs: dict[str, list[str]] = field(default_factory=dict)
    left: int = MAX_CANDIDATES

    def conflicts(self, trials: Iterable[Tried]) -> list[Conflict]:
        """One conflict for each set of policies, none that a test of the bundle expects.

        Where it is not known in time which these are, there is none to report.
        """
        wanting = self._wanting
        known = self.ledger.all(lambda: {clash for test in self.bundle.tests for clash in self._expected(test)})
        if known is None:
            self.ledger.too_long(
                [policy.name for policy in wanting], "which conflicts its tests expect was not found out"
            )
            return []
        self.known = known
        left = list(reversed(list(trials)))
        if self.ledger.all(lambda: self._look_at(left), TRYING) is None:
            names = {one.policy.name for trial in left for one in trial.evaluations} & {one.name for one in wanting}
            self.ledger.too_long(sorted(names), "not every pod was tried on it and others together")
        selections = Selections(wanting)
        self.ledger.each(
            "not every pod was tried that others apply to, too", wanting, partial(self._pairs, selections), PAIRING
        )
        self._doubt_pairs()
        self.ledger.each("no pod was tried that many apply to", wanting, partial(self._crowd, selections))
        return [self.found[names] for names in sorted(self.found, key=sorted)]

    def _expected(self, test: Test) -> Iterator[frozenset[str]]:
        """The conflicts on which a case shows that its author knows of them."""
        cases = [case for case in test.cases if _expects_conflict(case)]
        if cases:
            program = replace(self.program, mode="enforce")
            decider = Decider(program, inventory_of(self.bundle, test), cluster=test.cluster, params=test.params)
            for case in cases:
                for incoming in pods_of_case(self.bundle, test, case):
                    yield from (clash.names for clash in clashes(decider, incoming, self.ledger.meter))

    def _look_at(self, trials: list[Tried]) -> bool:
        """Looks at each of these, the last first; what is left has not been looked at."""
        while trials:
            self._look(trials[-1])
            trials.pop()
        return True

    def _look(self, trial: Tried) -> None:
        decider, meter = trial.stage.decider, trial.stage.meter
        for clash in clashes_of(decider, trial.candidate.incoming, trial.evaluations, meter):
            if clash.names not in self.found and clash.names not in self.known:
                self.found[clash.names] = conflict_of(trial.stage, trial.candidate, clash)

    def _try(self, candidate: Candidate) -> None:
        for trial in tried(candidate, self.stages):
            self._look(trial)

    @property
    def _wanting(self) -> list[CompiledPolicy]:
        """The policies that may have a say in where a pod goes."""
        return [p for p in self.policies if p.require and p.policy.mode == "enforce" and p.policy.rollout]

    def _asked(self, policy: CompiledPolicy) -> list[Wanted]:
        """The pods that a policy may be about; what was asked last is known."""
        if policy.name not in self.asked:
            if len(self.asked) >= REMEMBERED:
                self.asked.clear()
            self.asked[policy.name] = asked_of(policy.policy, self.program, self.ledger.meter)
        return self.asked[policy.name]

    def _pairs(self, selections: Selections, a: CompiledPolicy) -> Iterator[None]:
        """Tries pods that a policy and one after it apply to, for each pair that could conflict."""
        after = False
        for b in selections.beside(a, self.ledger.meter):
            if after and frozenset((a.name, b.name)) not in self.found.keys() | self.known and self._may_conflict(a, b):
                self._pair(a, b)
            after = after or a is b
        yield from ()

    def _pair(self, a: CompiledPolicy, b: CompiledPolicy) -> None:
        met = self._met(a, b)
        for wanted in islice(met, min(COMBINATIONS, self.left)):
            self.left -= 1
            candidate = candidate_for(wanted, (a.policy, b.policy), self.ledger.meter)
            if candidate:
                self._try(candidate)
            if frozenset((a.name, b.name)) in self.found:
                return
        self.open_pairs.setdefault(a.name, []).append(b.name)
        self.open_pairs.setdefault(b.name, []).append(a.name)

    def _met(self, a: CompiledPolicy, b: CompiledPolicy) -> Iterator[Wanted]:
        """Pods that two policies may be about."""
        for one, other in product(self._asked(a), self._asked(b)):
            self.ledger.meter.spend(PAIR)
            met = one & other
            if met:
                yield met

    def _doubt_pairs(self) -> None:
        for name, others in self.open_pairs.items():
            told = listed([f"`{other}`" for other in others], "or")
            words = f"no pod was found that it and {told} leave without a pool, and there may be one"
            self.ledger.doubt(name, words)

    def _crowd(self, selections: Selections, policy: CompiledPolicy) -> Iterator[None]:
        """Tries a pod that many policies apply to: three may leave nothing of which any two leave something."""
        wanted, together = selections.of[policy.name], [policy]
        for other in selections.beside(policy, self.ledger.meter):
            more = selections.of[other.name]
            met = wanted & more if wanted and more and other is not policy else None
            if met:
                wanted, together = met, [*together, other]
        if wanted and len(together) > 2:
            candidate = candidate_for(wanted, [one.policy for one in together], self.ledger.meter)
            if candidate:
                self._try(candidate)
        yield from ()

    def _may_conflict(self, a: CompiledPolicy, b: CompiledPolicy) -> bool:
        """Whether what two policies leave may be disjoint."""
        if not (requires_the_same_always(a) and requires_the_same_always(b)):
            return True
        return any(disjoint_in(stage, stage.left(a), stage.left(b)) for stage in self.stages)


class Clash(Struct, frozen=True):
    """Policies that leave a pod nothing together, the last of which gives way; `refused` whether the pod is refused."""

    evaluations: tuple[PolicyEvaluation, ...]
    refused: bool

    @property
    def names(self) -> frozenset[str]:
        """The policies."""
        return frozenset(evaluation.policy.name for evaluation in self.evaluations)


def clashes(decider: Decider, incoming: IncomingPod, meter: Budget) -> list[Clash]:
    """For each enforced policy that a decision overrules, the smallest sets of others to blame, which have their way.

    They are pairs with it; where no other policy alone is to blame but all together are, the fewest that are. Each of
    them alone leaves some pool. None for a pod that is refused or left alone for another reason.
    """
    return clashes_of(decider, incoming, decider.evaluations(incoming, meter), meter)


def clashes_of(
    decider: Decider, incoming: IncomingPod, evaluations: Sequence[PolicyEvaluation], meter: Budget
) -> list[Clash]:
    """The same where it is known what each policy says of the pod."""
    pool_index = decider.pool_index
    enforced = (one for one in evaluations if one.policy.policy.mode == "enforce" and one.outcome == "applied")
    wanting = [one for one in enforced if one.nodes and alive(one.nodes, TRUE, pool_index, meter)]
    if len(wanting) < 2 or _some_left(wanting, pool_index, meter):
        return []
    decision = decider.decide(incoming, meter)
    overruled = {outcome.name for outcome in decision.policies if outcome.outcome == "overruled"}
    kept: list[PolicyEvaluation] = []
    found: list[Clash] = []
    for evaluation in wanting:
        if evaluation.policy.name not in overruled:
            kept.append(evaluation)
        else:
            found += [Clash(core, not decision.allowed) for core in _to_blame(kept, evaluation, pool_index, meter)]
    return found


def _to_blame(
    kept: Sequence[PolicyEvaluation], evaluation: PolicyEvaluation, pool_index: PoolIndex, meter: Budget
) -> list[tuple[PolicyEvaluation, ...]]:
    pairs = [(one, evaluation) for one in kept if _empty((one, evaluation), pool_index, meter)]
    if pairs or not _empty([*kept, evaluation], pool_index, meter):
        return list(pairs)
    core = list(kept)
    for one in kept:
        fewer = [other for other in core if other is not one]
        core = fewer if _empty([*fewer, evaluation], pool_index, meter) else core
    return [(*core, evaluation)]


def _empty(evaluations: Sequence[PolicyEvaluation], pool_index: PoolIndex, meter: Budget) -> bool:
    """Whether nothing is left where all of these have their way; False if that takes too many terms to say."""
    try:
        together = _met(evaluations, meter)
        return together is not None and not alive(together, TRUE, pool_index, meter)
    except TooMany:
        return False


def _some_left(evaluations: Sequence[PolicyEvaluation], pool_index: PoolIndex, meter: Budget) -> bool:
    """Whether some node is left where all of these have their way, so that none of them is to blame for anything."""
    try:
        together = _met(evaluations, meter)
        return together is not None and alive(together, TRUE, pool_index, meter)
    except TooMany:
        return False


def _met(evaluations: Sequence[PolicyEvaluation], meter: Budget) -> NodeSet | None:
    """What all of these require together; None where one requires nothing. Raises TooMany."""
    together = evaluations[0].nodes
    for evaluation in evaluations[1:]:
        meter.spend(PAIR)
        if together is None or evaluation.nodes is None:
            return None
        together = intersection(together, evaluation.nodes, meter)
    return together


def conflict_of(stage: Stage, witness: Candidate, clash: Clash) -> Conflict:
    """The conflict that a pod shows on a stage."""
    node_sets = {evaluation.policy.name: evaluation.nodes for evaluation in clash.evaluations}
    pools = {name: stage.pool_index.names(pools_reached(where, stage)) for name, where in node_sets.items() if where}
    return Conflict(tuple(pools), clash.evaluations[-1].policy.name, clash.refused, stage.name, witness, pools)


def _expects_conflict(case: Case) -> bool:
    policies = case.expect.get("policies") or {}
    overruled = isinstance(policies, Mapping) and "overruled" in policies.values()
    return case.expect.get("allowed") is False or bool(case.expect.get("overruled")) or overruled


def conflict_problems(conflicts: Iterable[Conflict], bundle: Bundle, inventories: int) -> Iterator[Problem]:
    """Problems that report the first MAX_TOLD conflicts of each policy that gives way, and name the others."""
    by_overruled: dict[str, list[Conflict]] = {}
    for conflict in conflicts:
        by_overruled.setdefault(conflict.overruled, []).append(conflict)
    for overruled, several in by_overruled.items():
        yield from (_conflicting(conflict, bundle, inventories) for conflict in several[:MAX_TOLD])
        if more := several[MAX_TOLD:]:
            others = sorted({name for conflict in more for name in conflict.policies} - {overruled})
            message = f"`{overruled}` leaves no pool together with {quoted(others)}, either"
            hint = "`-o json` tells of each"
            yield Problem("conflicting-policies", message, _span(bundle, overruled), hint=hint, severity="warning")


def _conflicting(conflict: Conflict, bundle: Bundle, inventories: int) -> Problem:
    names = [*(name for name in conflict.policies if name != conflict.overruled), conflict.overruled]
    sides = [f"`{name}` leaves {listed(conflict.pools[name]) or 'only nodes of no pool'}" for name in names]
    outcome = "such a pod is refused" if conflict.refused else f"`{conflict.overruled}` is left out for such a pod"
    where = f" (pools of {conflict.inventory})" if inventories > 1 else ""
    message = f"{quoted(names)} together leave no pool to {conflict.witness.words}: {listed(sides)}{where}; {outcome}"
    hint = "let them select different pods, or expect it in a test case if it is meant"
    return Problem("conflicting-policies", message, _span(bundle, conflict.overruled), hint=hint, severity="warning")


def quoted(names: Sequence[str]) -> str:
    """Names in backticks: `a`, `b` and `c`."""
    return listed([f"`{name}`" for name in names])


def _span(bundle: Bundle, policy: str) -> Span:
    return next(each.span for each in bundle.policies if each.name == policy)
