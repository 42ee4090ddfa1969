"""Policies that leave a pod no pool together: the search for them, and the problems that report what it found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, product
from typing import Any

from engine.analysis.candidate_pods import Candidate, candidate_for, pods_of_case
from engine.analysis.cases import inventory_of
from engine.analysis.stage import Doubts, Stage, disjoint_in, pools_reached, requires_the_same_always
from engine.analysis.witness import selected, variants
from engine.bundle import Bundle, Case, Test
from engine.decision import Decider, listed
from engine.documents import Problem, Span
from engine.evaluation import PolicyEvaluation, alive, intersection
from engine.nodeselector import TRUE, TooMany
from engine.pods import IncomingPod
from engine.pools import PoolIndex
from engine.program import CompiledPolicy, Program

MAX_CANDIDATES = 2_000
"""Pods that are made up for pairs of policies."""
COMBINATIONS = 16
"""Of these, for one pair."""
MAX_TOLD = 5
"""Conflicts that are reported in full of one policy that gives way; all are in the list."""


@dataclass(frozen=True, slots=True)
class Conflict:
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


@dataclass(slots=True)
class ConflictSearch:
    """The search for pods that policies leave no pool. `known` are conflicts that the bundle's tests expect."""

    bundle: Bundle
    program: Program
    stages: Sequence[Stage]
    policies: Sequence[CompiledPolicy]
    doubts: Doubts
    found: dict[frozenset[str], Conflict] = field(default_factory=dict)
    known: set[frozenset[str]] = field(default_factory=set)

    def conflicts(self, candidates: Iterable[Candidate]) -> list[Conflict]:
        """One conflict for each set of policies, none that a test of the bundle expects."""
        self.known = {clash for test in self.bundle.tests for clash in self._expected(test)}
        for candidate in candidates:
            self._try(candidate)
        self._pair_up()
        self._crowd()
        return [self.found[names] for names in sorted(self.found, key=sorted)]

    def _expected(self, test: Test) -> Iterator[frozenset[str]]:
        """The conflicts on which a case shows that its author knows of them."""
        cases = [case for case in test.cases if _expects_conflict(case)]
        if cases:
            program = replace(self.program, mode="enforce")
            decider = Decider(program, inventory_of(self.bundle, test), cluster=test.cluster, params=test.params)
            for case in cases:
                for incoming in pods_of_case(self.bundle, test, case):
                    yield from (clash.names for clash in clashes(decider, incoming))

    def _try(self, candidate: Candidate) -> None:
        for stage in self.stages:
            for clash in clashes(stage.decider, candidate.incoming):
                if clash.names not in self.found and clash.names not in self.known:
                    self.found[clash.names] = _conflict(stage, candidate, clash)

    @property
    def _wanting(self) -> list[CompiledPolicy]:
        """The policies that may have a say in where a pod goes."""
        return [p for p in self.policies if p.require and p.policy.mode == "enforce" and p.policy.rollout]

    def _pair_up(self) -> None:
        """Tries pods that two policies apply to, for each pair that could conflict."""
        asked = {policy.name: variants(policy.policy, self.program.params) for policy in self._wanting}
        left, open_pairs = MAX_CANDIDATES, dict[str, list[str]]()
        for a, b in combinations(self._wanting, 2):
            if frozenset((a.name, b.name)) in self.found.keys() | self.known or not self._may_conflict(a, b):
                continue
            met = (one & other for one, other in product(asked[a.name], asked[b.name]))
            for wanted in islice(filter(None, met), min(COMBINATIONS, left)):
                left -= 1
                candidate = candidate_for(wanted, (a.policy, b.policy))
                if candidate:
                    self._try(candidate)
                if frozenset((a.name, b.name)) in self.found:
                    break
            else:
                open_pairs.setdefault(a.name, []).append(b.name)
                open_pairs.setdefault(b.name, []).append(a.name)
        for name, others in open_pairs.items():
            quoted = listed([f"`{other}`" for other in others], "or")
            self.doubts.add(name, f"no pod was found that it and {quoted} leave without a pool, and there may be one")

    def _crowd(self) -> None:
        """Tries pods that many policies apply to: three may leave nothing of which any two leave something."""
        asked = [(policy, next(iter(variants(policy.policy, self.program.params)), None)) for policy in self._wanting]
        for policy, wanted in asked:
            together = [policy]
            for other, more in asked:
                met = wanted & more if wanted and more and other is not policy else None
                if met:
                    wanted, together = met, [*together, other]
            candidate = candidate_for(wanted, [one.policy for one in together]) if wanted else None
            if candidate and len(together) > 2:
                self._try(candidate)

    def _may_conflict(self, a: CompiledPolicy, b: CompiledPolicy) -> bool:
        """Whether some pod may be selected by both, and what they leave may be disjoint."""
        mine, yours = selected(a.policy), selected(b.policy)
        if mine is None or yours is None or (mine & yours) is None:
            return False
        if not (requires_the_same_always(a) and requires_the_same_always(b)):
            return True
        return any(disjoint_in(stage, stage.left(a), stage.left(b)) for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Clash:
    """Policies that leave a pod nothing together, the last of which gives way; `refused` whether the pod is refused."""

    evaluations: tuple[PolicyEvaluation, ...]
    refused: bool

    @property
    def names(self) -> frozenset[str]:
        """The policies."""
        return frozenset(evaluation.policy.name for evaluation in self.evaluations)


def clashes(decider: Decider, incoming: IncomingPod) -> list[Clash]:
    """For each enforced policy that a decision overrules, the smallest sets of others to blame, which have their way.

    They are pairs with it; where no other policy alone is to blame but all together are, the fewest that are. Each of
    them alone leaves some pool. None for a pod that is refused or left alone for another reason.
    """
    evaluations = [
        evaluation for evaluation in decider.evaluations(incoming) if evaluation.policy.policy.mode == "enforce"
    ]
    wanting = [
        each
        for each in evaluations
        if each.outcome == "applied" and each.nodes and alive(each.nodes, TRUE, decider.pool_index)
    ]
    if len(wanting) < 2:
        return []
    decision = decider.decide(incoming)
    overruled = {outcome.name for outcome in decision.policies if outcome.outcome == "overruled"}
    kept: list[PolicyEvaluation] = []
    found: list[Clash] = []
    for evaluation in wanting:
        if evaluation.policy.name not in overruled:
            kept.append(evaluation)
        else:
            found += [Clash(core, not decision.allowed) for core in _to_blame(kept, evaluation, decider.pool_index)]
    return found


def _to_blame(
    kept: Sequence[PolicyEvaluation], evaluation: PolicyEvaluation, pool_index: PoolIndex
) -> list[tuple[PolicyEvaluation, ...]]:
    pairs = [(one, evaluation) for one in kept if _empty((one, evaluation), pool_index)]
    if pairs or not _empty([*kept, evaluation], pool_index):
        return list(pairs)
    core = list(kept)
    for one in kept:
        fewer = [other for other in core if other is not one]
        core = fewer if _empty([*fewer, evaluation], pool_index) else core
    return [(*core, evaluation)]


def _empty(evaluations: Sequence[PolicyEvaluation], pool_index: PoolIndex) -> bool:
    """Whether nothing is left where all of these have their way; False if that takes too many terms to say."""
    together = evaluations[0].nodes
    try:
        for evaluation in evaluations[1:]:
            if together is None or evaluation.nodes is None:
                return False
            together = intersection(together, evaluation.nodes)
    except TooMany:
        return False
    return together is not None and not alive(together, TRUE, pool_index)


def _conflict(stage: Stage, witness: Candidate, clash: Clash) -> Conflict:
    node_sets = {evaluation.policy.name: evaluation.nodes for evaluation in clash.evaluations}
    pools = {
        name: stage.pool_index.names(pools_reached(where, stage.pool_index))
        for name, where in node_sets.items()
        if where
    }
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
