"""Examination: what policies do to each other, or do not do at all, on the pools of an inventory.

Thirteen claims are made, each of them certain for the given inventories, or not made at all:

- Policies that leave a pod no pool together, though each leaves some. The pod is shown, and the engine has decided it.
  Pods that are tried are those of the bundle's tests and examples, and those made up in `witness.py`.
- A policy that no pool satisfies, for no pod. What depends on the pod is taken to be true and false at once, on every
  node; what can't be true even so never is.
- A share of a split that no pool satisfies, beside what its policy requires, for no pod; and shares that have nodes in
  common.
- A preference that is true on no node that its policy leaves, or on every one, for the same reason; one whose score is
  the same on all of them; a tier of `fallback` that leaves nothing to tell apart, for an earlier one has all its nodes;
  tiers that need more weights than there are.
- A policy that another makes redundant: that one applies wherever this one does, asks for no more nodes than this one,
  is taken first, can't fail, and refuses the pod where it is overruled.
- A policy that leaves only pools with a taint that no policy tolerates which may be about the same pods.
- A policy that fails where a pool is left, for an entry of `tolerate` reads of it what is not known.
- A preference for nodes whose PreferNoSchedule taints, which no policy tolerates, outvote it in the scheduler.
- A policy that names a taint that no node has, and none that is there, or one that looks like that.
- A pool that can have no node, for each that carries what it declares is of another pool.
- A policy for which Karpenter, some of whose pools it leaves, drops pods.
- A label that an expression reads, and of which no pool says anything.
- A policy about what must be that fails open, and a pod for which it fails; also where no pool is known.

What could be neither shown nor ruled out is listed as undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.analysis.candidate_pods import Candidate, evaluations, made_up_pods, own_pods
from engine.analysis.cases import inventory_of
from engine.analysis.conflicts import Conflict, ConflictSearch, conflict_problems
from engine.analysis.karpenter import karpenter_problems
from engine.analysis.open_failures import open_failures
from engine.analysis.outvoted import outvoted_preferences
from engine.analysis.preferences import idle_preferences, tied_tiers
from engine.analysis.redundancy import redundancies, redundant_policy
from engine.analysis.splits import split_problems
from engine.analysis.stage import Doubts, Stage, requires_the_same_always
from engine.analysis.taints import taint_problems
from engine.analysis.tolerance import failing_tolerations
from engine.analysis.unseen import unseen_labels
from engine.bundle import Bundle, Policy
from engine.decision import Decider
from engine.documents import Excerpt, Problem, ordered, parse_manifests
from engine.evaluation import alive
from engine.language import Has, Ident, Select, free_names, parse, walk
from engine.nodeselector import TRUE
from engine.pools import Inventory, inventory_from_documents
from engine.program import CompiledPolicy, Program


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, and what could not be decided: by policy, in words."""

    problems: tuple[Problem, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    undecided: Mapping[str, str] = field(default_factory=dict)


def inventories_of(bundle: Bundle) -> tuple[tuple[str, Inventory], ...]:
    """The inventories of a bundle by name: files as its tests put them together, and those under `pools` besides.

    Raises BundleError or RequestError for a file that can't be used.
    """
    setups = {test.pools: inventory_of(bundle, test) for test in bundle.tests if test.pools}
    named = {name for files in setups for name in files}
    for source in bundle.sources:
        if source.name.startswith("pools/") and source.name not in named:
            setups[(source.name,)] = inventory_from_documents(parse_manifests(source)[0])
    return tuple((", ".join(files), inventory) for files, inventory in sorted(setups.items()))


def examine(
    bundle: Bundle,
    program: Program,
    inventories: Iterable[tuple[str, Inventory]],
    cluster: Mapping[str, Any] | None = None,
) -> Examination:
    """Everything that is certain about the policies of a bundle on these inventories; hardly anything without a pool.

    A conflict, and a `tolerate` that fails, count on one inventory; all else must hold on each. Policies in mode `off`
    are left out; so are those that read what `cluster` does not say of `name` and `labels`.
    """
    bound = tuple(p for p in program.policies if not _cluster_read(p.policy, bundle) <= (cluster or {}).keys())
    policies = tuple(policy for policy in program.policies if policy not in bound)
    enforced = replace(program, mode="enforce", policies=policies)
    deciders = [(name, Decider(enforced, pools, cluster=cluster)) for name, pools in inventories if pools.pools]
    stages = [Stage(name, decider) for name, decider in deciders]
    active = [policy for policy in policies if policy.policy.mode != "off"]
    anywhere = stages[0].decider if stages else Decider(enforced, Inventory((), 0), cluster=cluster)
    open_ = list(open_failures(active, stages, anywhere))
    if not stages:
        return Examination(ordered(open_))
    doubts = Doubts()
    for policy in bound:
        if policy.policy.mode != "off":
            doubts.add(policy.name, "it depends on `cluster`: say --cluster-name and --cluster-label, as it reads them")
    dead = [policy for policy in active if policy.require and all(stage.unsatisfiable(policy) for stage in stages)]
    rest = [policy for policy in active if policy not in dead]
    candidates = [*own_pods(bundle), *made_up_pods(rest, program)]
    conflicts = ConflictSearch(bundle, program, stages, rest, doubts).conflicts(candidates)
    problems = open_ + [_unsatisfiable(policy, stages[0]) for policy in dead]
    problems += conflict_problems(conflicts, bundle, len(stages))
    problems += (redundant_policy(policy, other) for policy, other in redundancies(rest, stages, program))
    problems += split_problems(rest, stages)
    problems += idle_preferences(rest, stages, candidates, doubts)
    problems += tied_tiers(rest, stages, candidates)
    problems += taint_problems(rest, stages)
    problems += failing_tolerations(rest, stages)
    problems += outvoted_preferences(rest, stages)
    problems += _shadowed(bundle, stages)
    problems += unseen_labels(active, stages, program.params)
    problems += karpenter_problems(bundle, rest, stages, candidates)
    _doubt_satisfiability(rest, stages, candidates, doubts)
    return Examination(ordered(problems), tuple(conflicts), dict(sorted(doubts.by_policy.items())))


def _cluster_read(policy: Policy, bundle: Bundle) -> frozenset[str]:
    """Which fields of `cluster` decide what a policy does, or an exemption from it."""
    exempting = [one for one in bundle.exemptions if not one.policies or policy.name in one.policies]
    said = [*policy.excerpts, *(named.excerpt for one in exempting for named in one.match_conditions)]
    return frozenset().union(*(_cluster_fields(excerpt) for excerpt in said))


def _cluster_fields(excerpt: Excerpt) -> frozenset[str]:
    """The fields of `cluster` that an expression reads: all of them if it reads it in some other way."""
    node, _ = parse(excerpt)
    if node is None or "cluster" not in free_names(node):
        return frozenset()
    every, read = 0, list[str]()
    for each in walk(node):
        match each:
            case Ident(name="cluster" | ".cluster"):
                every += 1
            case (
                Select(operand=Ident(name="cluster" | ".cluster"), field=name)
                | Has(operand=Ident(name="cluster" | ".cluster"), field=name)
            ):
                read.append(name)
    return frozenset(read) if len(read) == every else frozenset(("name", "labels"))


# Policies that no pool satisfies


def _unsatisfiable(policy: CompiledPolicy, stage: Stage) -> Problem:
    culprit = next((rule for rule in policy.require if stage.nowhere(stage.widest([rule]), [rule])), None)
    error = stage.error(culprit) if culprit else ""
    said = f"`{culprit.text}` is true on none" if culprit else "each of its requirements is true on some, all on none"
    message = f"no pool satisfies what `{policy.name}` requires, whatever the pod"
    hint = f"{said}: {error}" if error else said
    return Problem("unsatisfiable-policy", message, policy.policy.span, hint=hint, severity="warning")


def _doubt_satisfiability(
    policies: Iterable[CompiledPolicy], stages: Sequence[Stage], candidates: Sequence[Candidate], doubts: Doubts
) -> None:
    """A policy whose requirement depends on the pod is satisfiable if some pod shows it."""
    untold = {p.name for p in policies if p.require and any(stage.left(p) is None for stage in stages)}
    unproven = untold | {policy.name for policy in policies if policy.require and not requires_the_same_always(policy)}
    for evaluation, stage in evaluations(candidates, stages):
        if evaluation.policy.name in unproven and evaluation.nodes and alive(evaluation.nodes, TRUE, stage.pool_index):
            unproven.discard(evaluation.policy.name)
    for name in unproven:
        doubts.add(name, "no pod was found for which some pool satisfies what it requires, and there may be one")


# Pools


def _shadowed(bundle: Bundle, stages: Iterable[Stage]) -> Iterator[Problem]:
    """Pools that can have no node, for each that carries what they declare is of another one."""
    if bundle.span is None:
        return
    hint = "say a selector that tells the two apart, or leave one of them out"
    for stage in stages:
        for name in stage.pool_index.names(stage.pool_index.shadowed):
            message = (
                f"each node that pool `{name}` of {stage.name} declares is of another pool, whose selector it meets"
            )
            yield Problem("shadowed-pool", message, bundle.span, hint=hint, severity="warning")
