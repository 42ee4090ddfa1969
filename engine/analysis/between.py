"""Conflicts between bundles that decide together: what policies of one leave a pod, and those of another, is no pool.

Each bundle is examined by itself where it is activated. Looked for is only what none of them can see alone:
policies of different bundles that leave a pod no pool together, though each leaves some. Each claim is shown by a pod,
which the engine has decided by all of them. Tried are the pods of the bundles' tests and examples, and such as are made
up for pairs of policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any

from engine.analysis.candidate_pods import Candidate, asked_of, candidate_for, own_pods, tried
from engine.analysis.conflicts import COMBINATIONS, Conflict, clashes_of, conflict_of, conflict_problems
from engine.analysis.examination import cluster_read
from engine.analysis.ledger import Ledger
from engine.analysis.revisions import Version
from engine.analysis.selections import Selections
from engine.analysis.stage import Stage
from engine.analysis.witness import Wanted
from engine.decision import Decider
from engine.documents import Problem, ordered
from engine.pools import Inventory
from engine.program import CompiledPolicy, Program

OWN, PAIRS = 420_000, 840_000
"""What trying the bundles' own pods may cost, and those of pairs, in units."""


def conflicts_between(
    versions: Sequence[Version],
    inventories: Iterable[tuple[str, Inventory]],
    cluster: Mapping[str, Any] | None = None,
) -> tuple[tuple[Problem, ...], ...]:
    """What policies of different bundles do to each other on these inventories: for each bundle the problems at those
    of its policies that give way.

    Policies that read what `cluster` does not say are left out.
    """
    bare = [replace(one.program, mode="enforce", policies=_bound(one, cluster or {})) for one in versions]
    pools = [(name, inventory) for name, inventory in inventories if inventory.pools]
    if len(versions) < 2 or not pools:
        return tuple(() for _ in versions)
    ledger = Ledger()
    stages = [Stage(name, Decider(bare, inventory, cluster=cluster), ledger.meter) for name, inventory in pools]
    search = _Search({policy.name: program for program in bare for policy in program.policies}, stages, ledger)
    search.try_own(versions)
    search.try_pairs()
    return tuple(ordered(search.problems(one)) for one in versions)


def _bound(version: Version, cluster: Mapping[str, Any]) -> tuple[CompiledPolicy, ...]:
    known = cluster.keys()
    return tuple(one for one in version.program.policies if cluster_read(one.policy, version.bundle) <= known)


@dataclass(slots=True)
class _Search:
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
