"""Examination: what policies do to each other, or do not do at all, on the pools of an inventory.

Fifteen claims are made, each of them certain for the given inventories, or not made at all:

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
- A policy whose pods may name their node, though the bundle refuses others that do; also where no pool is known.
- A condition, or an exemption, by which a policy is about no pod that a controller made; also where no pool is known.

What could be neither shown nor ruled out is listed as undecided, and so is what would take too long: see `ledger.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from engine.analysis.candidate_pods import Tried, by_policy, made_up_pods, own_pods, tried
from engine.analysis.cases import inventory_of
from engine.analysis.conflicts import Conflict, ConflictSearch, conflict_problems
from engine.analysis.karpenter import has_karpenter, karpenter_problems, karpenter_wishes
from engine.analysis.ledger import Ledger
from engine.analysis.makers import exempted_makers
from engine.analysis.node_names import undenied_node_names
from engine.analysis.open_failures import open_failures
from engine.analysis.outvoted import outvoted_preferences
from engine.analysis.preferences import idle_preferences, late_tiers, tied_tiers
from engine.analysis.redundancy import Spelling, exempts_alike, redundancies
from engine.analysis.selections import Selections
from engine.analysis.settling import deciders
from engine.analysis.splits import split_problems
from engine.analysis.stage import Evaluations, Stage, requires_the_same_always
from engine.analysis.taints import all_taints, taint_problems
from engine.analysis.tolerance import failing_tolerations
from engine.analysis.unseen import KnownLabels, unseen_labels
from engine.bundle import Bundle, Policy
from engine.decision import Decider
from engine.documents import BundleError, Excerpt, Problem, Reading, ordered, parse_manifests
from engine.language import Has, Ident, Select, free_names, parse, walk
from engine.pools import Inventory, inventory_from_documents
from engine.program import CompiledPolicy, Program
from engine.struct import Struct, field, replace


class Examination(Struct, frozen=True):
    """What was found, and what could not be decided: by policy, in words. `cut_short` are policies of which some of it
    was not even looked for, for that would take too long.
    """

    problems: tuple[Problem, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    undecided: Mapping[str, str] = field(default_factory=dict)
    cut_short: frozenset[str] = frozenset()


def inventories_of(bundle: Bundle) -> tuple[tuple[str, Inventory], ...]:
    """The inventories of a bundle by name: files as its tests put them together, and those under `pools` besides.

    Raises BundleError or RequestError for a file that can't be used, BundleError also where they hold too much in all.
    """
    reading = Reading()
    by_files = {test.pools: test for test in bundle.tests if test.pools}
    setups = {pools: inventory_of(bundle, test, reading) for pools, test in by_files.items()}
    named = {name for files in setups for name in files}
    for source in bundle.sources:
        if source.name.startswith("pools/") and source.name not in named:
            documents, problems = parse_manifests(source, reading=reading)
            if reading.spent:
                raise BundleError(problems)
            setups[(source.name,)] = inventory_from_documents(documents)
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
    bound = tuple(p for p in program.policies if not cluster_read(p.policy, bundle) <= (cluster or {}).keys())
    policies = tuple(policy for policy in program.policies if policy not in bound)
    enforced = replace(program, mode="enforce", policies=policies)
    ledger = Ledger(program.work)
    on_pools = deciders(enforced, inventories, cluster)
    if on_pools is None:
        ledger.too_long((p.name for p in policies), "what it does on pools was not looked at, for these are too many")
    stages = [Stage(name, decider, ledger.meter) for name, decider in on_pools or ()]
    active = [policy for policy in policies if policy.policy.mode != "off"]
    anywhere = stages[0].decider if stages else Decider(enforced, Inventory((), 0), cluster=cluster)
    problems = ledger.each(
        "whether its pods' authors can make it fail was not looked for in full",
        active,
        lambda policy: open_failures(policy, stages, anywhere, ledger.meter),
    )
    problems += undenied_node_names(active, anywhere, ledger)
    let_off = ledger.each(
        "whether it lets off what controllers make was not found out",
        active,
        lambda policy: exempted_makers(policy, anywhere, ledger.meter),
    )
    problems += {str(problem.span): problem for problem in reversed(let_off)}.values()  # exemptions are told once
    if stages:
        for policy in bound:
            if policy.policy.mode != "off":
                words = "it depends on `cluster`: say --cluster-name and --cluster-label, as it reads them"
                ledger.doubt(policy.name, words)
        return _examined(bundle, replace(program, policies=policies), stages, active, ledger, problems)
    return Examination(ordered(problems), (), ledger.by_policy, frozenset(ledger.cut_short))


def _examined(
    bundle: Bundle,
    program: Program,
    stages: Sequence[Stage],
    active: Sequence[CompiledPolicy],
    ledger: Ledger,
    problems: list[Problem],
) -> Examination:
    """The examination on pools; `problems` are what is known already."""
    each, meter = ledger.each, ledger.meter
    dead = each(
        "whether any pool satisfies it was not found out",
        [policy for policy in active if policy.require],
        lambda policy: [policy] if all(stage.unsatisfiable(policy) for stage in stages) else [],
    )
    problems += each("why no pool satisfies it was not found out", dead, lambda one: [_unsatisfiable(one, stages[0])])
    gone = {policy.name for policy in dead}
    rest = [policy for policy in active if policy.name not in gone]
    trials = _trials(bundle, program, rest, stages, ledger)
    conflicts = ConflictSearch(bundle, program, stages, rest, ledger).conflicts(trials)
    problems += conflict_problems(conflicts, bundle, len(stages))
    shown, selections, labels = (
        by_policy(trials),
        Selections(rest),
        KnownLabels([s.pool_index.inventory for s in stages]),
    )
    spelling = Spelling(meter)
    taints = sorted({taint for stage in stages for taint in all_taints(stage)})

    def said_of(policy: CompiledPolicy) -> Evaluations:
        return shown.get(policy.name, ())

    looks: tuple[tuple[str, Callable[[CompiledPolicy], Iterable[Problem]]], ...] = (
        (
            "whether another makes it redundant was not found out",
            lambda p: redundancies(p, selections, stages, partial(exempts_alike, program), spelling),
        ),
        ("its shares were not compared", lambda p: split_problems(p, stages)),
        ("whether its preferences matter was not found out", lambda p: idle_preferences(p, stages, said_of(p), ledger)),
        ("whether its tiers matter was not found out", lambda p: late_tiers(p, stages)),
        ("whether its tiers are too many was not found out", lambda p: tied_tiers(p, stages, said_of(p))),
        ("taints were not looked at", lambda p: taint_problems(p, selections, stages, taints)),
        ("whether `tolerate` fails was not found out", lambda p: failing_tolerations(p, stages)),
        ("whether taints outvote it was not found out", lambda p: outvoted_preferences(p, selections, stages)),
        ("whether Karpenter drops its pods was not found out", lambda p: karpenter_problems(p, said_of(p))),
        ("whether some pod can run was not found out", lambda p: _doubt_satisfiability(p, stages, said_of(p), ledger)),
    )
    for what, look in looks:
        problems += each(what, rest, look)
    what = "the labels that it reads were not looked for"
    problems += each(what, active, lambda policy: unseen_labels(policy, labels, program.params, meter))
    problems += _shadowed(bundle, stages)
    problems += karpenter_wishes(bundle) if any(map(has_karpenter, stages)) else ()
    undecided = dict(sorted(ledger.by_policy.items()))
    return Examination(ordered(problems), tuple(conflicts), undecided, frozenset(ledger.cut_short))


POD_SHARE = 700_000
"""What trying pods of single policies may cost, and as much those of the bundle's tests, in units."""


def _trials(
    bundle: Bundle, program: Program, policies: Sequence[CompiledPolicy], stages: Sequence[Stage], ledger: Ledger
) -> list[Tried]:
    """What policies say of pods: those of the bundle, and those made up for each policy."""
    own: list[Tried] = []

    def try_own() -> bool:
        own.extend(one for pod in own_pods(bundle) for one in tried(pod, stages))
        return True

    if ledger.all(try_own, POD_SHARE) is None:
        ledger.too_long([policy.name for policy in policies], "not every pod of the bundle's tests was tried")
    made_up = ledger.each(
        "not every pod that was made up for it was tried",
        policies,
        lambda policy: (one for pod in made_up_pods(policy, program, ledger.meter) for one in tried(pod, stages)),
        POD_SHARE,
    )
    return [*own, *made_up]


def cluster_read(policy: Policy, bundle: Bundle) -> frozenset[str]:
    """Which fields of `cluster` decide what a policy does, or an exemption from it."""
    exempting = [one for one in bundle.exemptions if not one.policies or policy.name in one.policies]
    said = [*policy.excerpts, *(named.excerpt for one in exempting for named in one.match_conditions)]
    return frozenset().union(*(_cluster_fields(excerpt) for excerpt in said))


def _cluster_fields(excerpt: Excerpt) -> frozenset[str]:
    """The fields of `cluster` that an expression reads: all of them if it reads it in some other way."""
    node = parse(excerpt)[0] if "cluster" in excerpt.value else None
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
    policy: CompiledPolicy, stages: Sequence[Stage], evaluations: Evaluations, ledger: Ledger
) -> Iterator[Problem]:
    """A policy whose requirement depends on the pod is satisfiable if some pod shows it; no problem, but a doubt."""
    untold = bool(policy.require) and any(stage.left(policy) is None for stage in stages)
    unproven = untold or (bool(policy.require) and not requires_the_same_always(policy))
    if unproven and not any(one.nodes and stage.alive(one.nodes) for one, stage in evaluations):
        words = "no pod was found for which some pool satisfies what it requires, and there may be one"
        ledger.doubt(policy.name, words)
    yield from ()


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
