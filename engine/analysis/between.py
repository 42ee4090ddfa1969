"""What policies of bundles that decide together do to each other, which none of the bundles shows alone.

Each bundle is examined by itself where it is activated. Looked for here is what takes two of them:

- Policies of different bundles that leave a pod no pool together, though each leaves some. Each claim is shown by a
  pod, which the engine has decided by all of them. Tried are the pods of the bundles' tests and examples, and such as
  are made up for pairs of policies.
- A policy that one of another bundle makes redundant: that one applies wherever this one does, whatever their bundles
  let off, asks for no more nodes by its own constants, and is in no more careful mode.
- What is said of one bundle alone about taints that no policy tolerates is said anew, for a policy of another bundle
  may tolerate them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from engine.analysis.candidate_pods import Candidate, asked_of, candidate_for, own_pods, tried
from engine.analysis.conflicts import COMBINATIONS, Conflict, clashes_of, conflict_of, conflict_problems
from engine.analysis.examination import cluster_read
from engine.analysis.ledger import Ledger
from engine.analysis.outvoted import outvoted_preferences
from engine.analysis.redundancy import Spelling, redundancies, redundant_policy
from engine.analysis.revisions import Version
from engine.analysis.selections import Selections
from engine.analysis.stage import Stage
from engine.analysis.taints import untolerated_pools
from engine.analysis.witness import Wanted
from engine.decision import Decider
from engine.documents import Problem, Span, ordered
from engine.pools import Inventory
from engine.program import CompiledPolicy, Program
from engine.struct import Struct, field, replace

OWN, PAIRS = 420_000, 840_000
"""What trying the bundles' own pods may cost, and those of pairs, in units."""


TOLERATED = frozenset(("untolerated-pools", "outvoted-preference"))
"""Rules of problems by which a bundle is told that no policy tolerates something."""


def problems_between(
    versions: Sequence[Version],
    inventories: Iterable[tuple[str, Inventory]],
    cluster: Mapping[str, Any] | None = None,
) -> tuple[tuple[Problem, ...], ...]:
    """What policies of different bundles do to each other on these inventories: for each bundle the problems at those
    of its policies that give way, or are redundant.

    Policies that read what `cluster` does not say are left out.
    """
    pools = [(name, inventory) for name, inventory in inventories if inventory.pools]
    if len(versions) < 2 or not pools:
        return tuple(() for _ in versions)
    meeting = _Meeting(versions, pools, cluster, Ledger())
    conflicts = meeting.conflicts()
    redundant = meeting.redundant()
    return tuple(
        ordered([*told, *(one for one in redundant if one.span in _spans(version))])
        for version, told in zip(versions, conflicts, strict=True)
    )


def tolerated_between(
    version: Version,
    problems: Sequence[Problem],
    versions: Sequence[Version],
    inventories: Iterable[tuple[str, Inventory]],
    cluster: Mapping[str, Any] | None = None,
) -> tuple[Problem, ...]:
    """What was said of one of these bundles alone, without that no policy tolerates what one of another bundle does."""
    pools = [(name, inventory) for name, inventory in inventories if inventory.pools]
    if len(versions) < 2 or not pools or not any(problem.rule in TOLERATED for problem in problems):
        return tuple(problems)
    still = _Meeting(versions, pools, cluster, Ledger()).untolerated(version)
    return tuple(one for one in problems if one.rule not in TOLERATED or (one.rule, one.span) in still)


def _spans(version: Version) -> frozenset[Span]:
    return frozenset(policy.span for policy in version.bundle.policies)


class _Meeting:
    """The bundles on the inventories, with what they are together."""

    def __init__(
        self,
        versions: Sequence[Version],
        pools: Sequence[tuple[str, Inventory]],
        cluster: Mapping[str, Any] | None,
        ledger: Ledger,
    ) -> None:
        self._versions, self._pools, self._cluster, self._ledger = versions, pools, cluster, ledger
        self._programs = [replace(one.program, policies=_bound(one, cluster or {})) for one in versions]
        self._program_of = {policy.name: one for one in self._programs for policy in one.policies}

    def conflicts(self) -> Iterator[Iterable[Problem]]:
        """For each bundle the conflicts in which one of its policies gives way, were all of them enforced."""
        bare = [replace(one, mode="enforce") for one in self._programs]
        meter = self._ledger.meter
        stages = [
            Stage(name, Decider(bare, inventory, cluster=self._cluster), meter) for name, inventory in self._pools
        ]
        search = _Search(
            {policy.name: program for program in bare for policy in program.policies}, stages, self._ledger
        )
        search.try_own(self._versions)
        search.try_pairs()
        return (search.problems(one) for one in self._versions)

    def redundant(self) -> list[Problem]:
        """The policies that one of another bundle makes redundant."""
        stages, active = self._stages()
        params = {
            policy.name: json.dumps(one.program.params, sort_keys=True, default=str)
            for one in self._versions
            for policy in one.program.policies
        }
        selections, spelling = Selections(active), Spelling(self._ledger.meter, params)
        return self._ledger.each(
            "whether one of another bundle makes it redundant was not found out",
            active,
            lambda policy: redundancies(policy, selections, stages, self._reaches, spelling, self._redundant),
        )

    def untolerated(self, version: Version) -> set[tuple[str, Span]]:
        """What is left of what is said of a bundle about taints: rules and places."""
        stages, active = self._stages()
        selections = Selections(active)
        mine = {policy.name for policy in version.bundle.policies}
        asked = [policy for policy in active if policy.name in mine]

        def look(policy: CompiledPolicy) -> Iterator[Problem]:
            own = [stage.of(policy) for stage in stages]
            yield from untolerated_pools(policy, selections, own)
            yield from outvoted_preferences(policy, selections, own)

        found = self._ledger.each("taints were not looked at together with other bundles", asked, look)
        return {(one.rule, one.span) for one in found}

    def _redundant(self, policy: CompiledPolicy, other: CompiledPolicy) -> Problem:
        name = self._program_of[other.name].revision.name
        hint = f"`{other.name}` is of bundle `{name}`: leave this one out if that is to serve beside it for good"
        return replace(redundant_policy(policy, other), hint=hint)

    def _stages(self) -> tuple[list[Stage], list[CompiledPolicy]]:
        """The stage of the first bundle on each of the inventories, and the policies of all that are not off."""
        deciders = [
            (name, Decider(self._programs, inventory, cluster=self._cluster)) for name, inventory in self._pools
        ]
        stages = [Stage.of_each(name, decider, self._ledger.meter)[0] for name, decider in deciders]
        return stages, [policy for policy in deciders[0][1].policies if policy.policy.mode != "off"]

    def _reaches(self, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
        """Whether one of another bundle is about whatever a policy is about, as far as the bundles say."""
        mine, its = self._program_of[policy.name], self._program_of[other.name]
        exempt = any(one.covers(other.name) for one in its.exemptions)
        return mine is not its and mine.hands_on == its.hands_on and not exempt


def _bound(version: Version, cluster: Mapping[str, Any]) -> tuple[CompiledPolicy, ...]:
    known = cluster.keys()
    return tuple(one for one in version.program.policies if cluster_read(one.policy, version.bundle) <= known)


class _Search(Struct):
    """The search. `program_of` says by policy of which bundle it is."""

    program_of: Mapping[str, Program]
    stages: Sequence[Stage]
    ledger: Ledger
    found: dict[frozenset[str], Conflict] = field(default_factory=dict)

    def problems(self, version: Version) -> Iterator[Problem]:
        """Those at policies of a bundle: one for each set of policies."""
        mine = {policy.name for policy in version.bundle.policies}
        found = (self.found[names] for names in sorted(self.found, key=sorted))
        return conflict_problems((one for one in found if one.overruled in mine), version.bundle, len(self.stages))

    def try_own(self, versions: Iterable[Version]) -> None:
        """Tries the bundles' own pods, as many as there is time for."""

        def look() -> None:
            for one in versions:
                for pod in own_pods(one.bundle):
                    self._try(pod)

        self.ledger.all(look, OWN)

    def try_pairs(self) -> None:
        """Tries pods that policies of different bundles are both about."""
        policies = self.stages[0].decider.policies
        wanting = [one for one in policies if one.require and one.policy.mode == "enforce" and one.policy.rollout]
        selections = Selections(wanting)

        def look(policy: CompiledPolicy) -> Iterator[None]:
            for other in selections.beside(policy, self.ledger.meter):
                apart = self.program_of[policy.name] is not self.program_of[other.name]
                if apart and policy.name < other.name:
                    self._try_pair(policy, other)
            yield from ()

        self.ledger.each("not every pod was tried that policies of other bundles are about, too", wanting, look, PAIRS)

    def _try_pair(self, a: CompiledPolicy, b: CompiledPolicy) -> None:
        both = frozenset((a.name, b.name))
        for wanted in islice(self._met(a, b), COMBINATIONS):
            if both in self.found:
                return
            candidate = candidate_for(wanted, (a.policy, b.policy), self.ledger.meter)
            if candidate:
                self._try(candidate)

    def _met(self, a: CompiledPolicy, b: CompiledPolicy) -> Iterator[Wanted]:
        meter = self.ledger.meter
        mine, its = (asked_of(one.policy, self.program_of[one.name], meter) for one in (a, b))
        for one, other in product(mine, its):
            met = one & other
            if met:
                yield met

    def _try(self, candidate: Candidate) -> None:
        for trial in tried(candidate, self.stages):
            decider, meter = trial.stage.decider, trial.stage.meter
            for clash in clashes_of(decider, candidate.incoming, trial.evaluations, meter):
                if len({id(self.program_of[name]) for name in clash.names}) > 1:
                    self.found.setdefault(clash.names, conflict_of(trial.stage, candidate, clash))
