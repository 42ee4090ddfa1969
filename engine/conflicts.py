"""Conflicts found before they hurt: what policies do to each other, and to nothing, on the pools of an inventory.

Five claims are made, each of them certain for the given inventories, or not made at all:

- Policies that leave a pod no pool together, though each leaves some. The pod is shown, and the engine has decided it.
  Pods that are tried are those of the bundle's tests and examples, and those made up in `engine.witness`.
- A policy that no pool satisfies, for no pod. What depends on the pod is taken to be true and false at once, on every
  node; what can't be true even so never is.
- A preference that is true on no node that its policy leaves, or on every one, for the same reason; one whose score is
  the same on all of them; a tier of `fallback` that leaves nothing to tell apart, for an earlier one has all its nodes;
  tiers that need more weights than there are.
- A policy that another makes redundant: that one applies wherever this one does, asks for no more nodes than this one,
  is taken first, can't fail, and refuses the pod where it is overruled.
- A pool that can have no node, for each that carries what it declares is of another pool.

What could be neither shown nor ruled out is listed as undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, islice, pairwise, product
from typing import Any

from engine.advice import walk
from engine.bundle import Bundle, Case, Named, Policy, Test
from engine.cluster import Inventory, inventory_from_documents
from engine.decide import NOBODY, Decider, within
from engine.document import parse_manifests
from engine.errors import BundleError, Problem, RequestError, ordered
from engine.fleet import Fleet, bits
from engine.judge import POLICY_BUDGET, Finding, Wish, scored
from engine.logic import Cased, Leaf, Moment, Verdict, leaves_of
from engine.logic import meet as conjoined
from engine.ownership import rolled_out
from engine.parse import parse
from engine.pods import pods_from_documents
from engine.program import POD_NAMES, CompiledPolicy, Program, Rule, Weighted
from engine.region import Region, alive, meet, node_terms, region
from engine.report import listed, subject_name
from engine.requirement import ANY, TRUE, Term, Terms, TooMany, affordable, implies
from engine.subject import Subject
from engine.suite import inventory as inventory_of
from engine.suite import subjects
from engine.syntax import Has, Ident, Select, free_names, shape
from engine.text import Excerpt, Span
from engine.values import Budget, BudgetExceeded
from engine.weights import MAX_WEIGHT
from engine.witness import Wanted, selected, subject_of, variants

MAX_CANDIDATES = 2_000
"""Pods that are made up for pairs of policies."""
COMBINATIONS = 16
"""Of these, for one pair."""
MAX_TOLD = 5
"""Conflicts that are told in full of one policy that gives way; all are in the list."""
ENOUGH = 7
"""Fewer tiers never take more than 100 weights, for each takes as many as all worse ones and one more, at most."""
NAMES = tuple(f"witness-{i}" for i in range(200))
"""Which side of a rollout a pod falls on depends on its name."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod to try, and what it is called in messages."""

    words: str
    subject: Subject


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
        subject = self.witness.subject
        return {
            "policies": list(self.policies),
            "overruled": self.overruled,
            "refused": self.refused,
            "inventory": self.inventory,
            "pools": {name: list(pools) for name, pools in self.pools.items()},
            "witness": {
                "description": self.witness.words,
                "pod": subject.pod,
                "namespace": subject.namespace,
                "request": subject.request,
            },
        }


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
    """Everything that is certain about the policies of a bundle on these inventories; nothing without any pool.

    A conflict counts on one inventory, all else must hold on each. Policies in mode `off` are left out; so are those
    that read what `cluster` does not say of `name` and `labels`.
    """
    bound = tuple(p for p in program.policies if not _cluster_read(p.policy, bundle) <= (cluster or {}).keys())
    policies = tuple(policy for policy in program.policies if policy not in bound)
    enforced = replace(program, mode="enforce", policies=policies)
    deciders = [(name, Decider(enforced, pools, cluster=cluster)) for name, pools in inventories if pools.pools]
    scenes = [Scene(name, decider) for name, decider in deciders]
    if not scenes:
        return Examination()
    doubts = _Doubts()
    for policy in bound:
        if policy.policy.mode != "off":
            doubts.add(policy.name, "it depends on `cluster`: say --cluster-name and --cluster-label, as it reads them")
    active = [policy for policy in policies if policy.policy.mode != "off"]
    dead = [policy for policy in active if policy.require and all(scene.unsatisfiable(policy) for scene in scenes)]
    rest = [policy for policy in active if policy not in dead]
    candidates = [*_own_pods(bundle), *_made_up(rest, program)]
    conflicts = _Search(bundle, program, scenes, rest, doubts).conflicts(candidates)
    problems = [_unsatisfiable(policy, scenes[0]) for policy in dead]
    problems += _told(conflicts, bundle, len(scenes))
    problems += (_redundant(policy, other) for policy, other in _redundancies(rest, scenes, program))
    problems += _idle(rest, scenes, candidates, doubts)
    problems += _ties(rest, scenes, candidates)
    problems += _shadowed(bundle, scenes)
    problems += _karpenter(bundle, scenes)
    _doubt_satisfiability(rest, scenes, candidates, doubts)
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


def _names_read(excerpt: Excerpt) -> frozenset[str]:
    """The variables that an expression reads."""
    node, _ = parse(excerpt)
    return free_names(node) if node else frozenset()


class _Doubts:
    """What could not be decided, once for each policy."""

    def __init__(self) -> None:
        self.by_policy: dict[str, str] = {}

    def add(self, policy: str, words: str) -> None:
        known = self.by_policy.get(policy)
        self.by_policy[policy] = f"{known}; {words}" if known else words


# What holds for every pod


class Scene:
    """An inventory, the bundle's program on it, and what its policies come to for every conceivable pod."""

    def __init__(self, name: str, decider: Decider) -> None:
        self.name, self.decider, self.fleet = name, decider, decider.fleet
        ground = decider.ground
        undecided = {leaf.number: _either(leaf, self.fleet) for leaf in decider.program.leaves if leaf.reads_pod}
        self._budget = Budget(POLICY_BUDGET)
        self._seen = Moment(ground, (self._budget, *NOBODY, *decider.constants), undecided)

    @property
    def _moment(self) -> Moment:
        """What is asked next; each question has a budget of its own."""
        self._budget.left = POLICY_BUDGET
        return self._seen

    def widest(self, rules: Sequence[Rule], *, confined: bool = False) -> Region | None:
        """A region that holds every node on which the rules can be true, whatever the pod; None if they can't be told.

        It is exact where no rule reads the pod.
        """
        try:
            moment = self._moment
            verdict = moment.decide(rules[0].tree)
            for rule in rules[1:]:
                verdict = conjoined(verdict, partial(moment.decide, rule.tree), self.fleet.every)
            widest = region(verdict, self.fleet, confined=confined)
            beside = widest.anywhere is None and not confined and any(map(_reads_pod, rules))
            return replace(widest, anywhere=TRUE) if beside else widest  # some pod may make the pool not matter
        except (TooMany, BudgetExceeded):
            return None

    @property
    def everywhere(self) -> Region:
        """What a policy that requires nothing leaves."""
        return Region(((self.fleet.every, TRUE),), TRUE)

    def left(self, policy: CompiledPolicy) -> Region | None:
        """The nodes that a policy can leave, at most; None if that can't be told."""
        if not policy.require:
            return self.everywhere
        return self.widest(policy.require, confined=bool(policy.tolerate))

    def unsatisfiable(self, policy: CompiledPolicy) -> bool:
        """Whether no pod can run anywhere under a policy."""
        return self.nowhere(self.left(policy), policy.require)

    def nowhere(self, where: Region | None, rules: Iterable[Rule]) -> bool:
        """Whether a widest region of these rules is empty. Nodes of no pool are hard to tell where a pod decides."""
        if where is None or (self.fleet.inventory.strays and any(map(_reads_pod, rules))):
            return False
        return not alive(where, TRUE, self.fleet)

    def scored(self, item: Weighted) -> tuple[Wish, ...] | None:
        """What a score that no pod decides comes to, by weight; None if that can't be told."""
        try:
            return tuple(scored(item.score, self._moment, [])) if item.score else ()
        except (TooMany, BudgetExceeded):
            return None

    def error(self, rule: Rule) -> str:
        """What a rule runs into, on the pools where it is an error."""
        try:
            return "" if _reads_pod(rule) else self._moment.error(rule.tree)
        except BudgetExceeded as error:
            return str(error)


def _either(leaf: Leaf, fleet: Fleet) -> Verdict:
    """What depends on the pod: true on every node, and false on every node."""
    both_ways = (TRUE, TRUE)
    return Cased(((fleet.every, both_ways),), None if leaf.reads_pool else both_ways)


def _reads_pod(rule: Rule) -> bool:
    return any(leaf.reads_pod for leaf in leaves_of(rule.tree))


def _constant(policy: CompiledPolicy) -> bool:
    """Whether what a policy requires is the same for every pod."""
    return not any(map(_reads_pod, policy.require))


# Pods to try


def _own_pods(bundle: Bundle) -> Iterator[Candidate]:
    """The pods of a bundle's tests and examples, as far as they can be read: `test` tells what can't."""
    for test in bundle.tests:
        for case in test.cases:
            words = f"the pod of test case `{test.name}: {case.name}`"
            yield from (Candidate(words, subject) for subject in _pods_of(bundle, test, case))
    examples = [source for source in bundle.sources if source.name.startswith("examples/")]
    documents = [one for source in examples for one in parse_manifests(source)[0]]
    try:
        found = pods_from_documents(documents)
    except RequestError:
        return
    yield from (Candidate(f"{subject_name(subject)} of the examples", subject) for subject in found)


def _pods_of(bundle: Bundle, test: Test, case: Case) -> tuple[Subject, ...]:
    try:
        return subjects(bundle, test, case)
    except (BundleError, RequestError):
        return ()


def _made_up(policies: Iterable[CompiledPolicy], program: Program) -> Iterator[Candidate]:
    for policy in policies:
        for wanted in variants(policy.policy, program.params):
            candidate = _candidate(wanted, (policy.policy,))
            if candidate:
                yield candidate


def _candidate(wanted: Wanted, policies: Iterable[Policy]) -> Candidate | None:
    """A pod as wanted that these policies have been rolled out to."""
    partial = [policy for policy in policies if policy.rollout < 100]
    for name in NAMES if partial else NAMES[:1]:
        subject = subject_of(wanted, name)
        if subject is None:
            return None
        if all(rolled_out(policy.name, policy.rollout, subject) for policy in partial):
            return Candidate(str(wanted), subject)
    return None


# Conflicts


@dataclass(slots=True)
class _Search:
    """The search for pods that policies leave no pool."""

    bundle: Bundle
    program: Program
    scenes: Sequence[Scene]
    policies: Sequence[CompiledPolicy]
    doubts: _Doubts
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
                for subject in _pods_of(self.bundle, test, case):
                    yield from (clash.names for clash in clashes(decider, subject))

    def _try(self, candidate: Candidate) -> None:
        for scene in self.scenes:
            for clash in clashes(scene.decider, candidate.subject):
                if clash.names not in self.found and clash.names not in self.known:
                    self.found[clash.names] = _conflict(scene, candidate, clash)

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
                candidate = _candidate(wanted, (a.policy, b.policy))
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
            candidate = _candidate(wanted, [one.policy for one in together]) if wanted else None
            if candidate and len(together) > 2:
                self._try(candidate)

    def _may_conflict(self, a: CompiledPolicy, b: CompiledPolicy) -> bool:
        mine, yours = selected(a.policy), selected(b.policy)
        if mine is None or yours is None or (mine & yours) is None:
            return False
        if not (_constant(a) and _constant(b)):
            return True
        return any(_apart(scene, scene.left(a), scene.left(b)) for scene in self.scenes)


@dataclass(frozen=True, slots=True)
class Clash:
    """Policies that leave a pod nothing together, the last of which gives way; `refused` whether the pod is refused."""

    findings: tuple[Finding, ...]
    refused: bool

    @property
    def names(self) -> frozenset[str]:
        """The policies."""
        return frozenset(finding.policy.name for finding in self.findings)


def clashes(decider: Decider, subject: Subject) -> list[Clash]:
    """For each enforced policy that a decision overrules, the smallest sets of others to blame, which have their way.

    They are pairs with it; where no other policy alone is to blame but all together are, the fewest that are. Each of
    them alone leaves some pool. None for a pod that is refused or left alone for another reason.
    """
    findings = [finding for finding in decider.findings(subject) if finding.policy.policy.mode == "enforce"]
    wanting = [f for f in findings if f.outcome == "applied" and f.region and alive(f.region, TRUE, decider.fleet)]
    if len(wanting) < 2:
        return []
    decision = decider.decide(subject)
    overruled = {outcome.name for outcome in decision.policies if outcome.outcome == "overruled"}
    kept: list[Finding] = []
    found: list[Clash] = []
    for finding in wanting:
        if finding.policy.name not in overruled:
            kept.append(finding)
        else:
            found += [Clash(core, not decision.allowed) for core in _to_blame(kept, finding, decider.fleet)]
    return found


def _to_blame(kept: Sequence[Finding], finding: Finding, fleet: Fleet) -> list[tuple[Finding, ...]]:
    pairs = [(one, finding) for one in kept if _empty((one, finding), fleet)]
    if pairs or not _empty([*kept, finding], fleet):
        return list(pairs)
    core = list(kept)
    for one in kept:
        fewer = [other for other in core if other is not one]
        core = fewer if _empty([*fewer, finding], fleet) else core
    return [(*core, finding)]


def _empty(findings: Sequence[Finding], fleet: Fleet) -> bool:
    """Whether nothing is left where all of these have their way; not if that can't be told."""
    together = findings[0].region
    try:
        for finding in findings[1:]:
            if together is None or finding.region is None:
                return False
            together = meet(together, finding.region)
    except TooMany:
        return False
    return together is not None and not alive(together, TRUE, fleet)


def _apart(scene: Scene, a: Region | None, b: Region | None) -> bool:
    try:
        return a is None or b is None or not alive(meet(a, b), TRUE, scene.fleet)
    except TooMany:
        return True


def _conflict(scene: Scene, witness: Candidate, clash: Clash) -> Conflict:
    regions = {finding.policy.name: finding.region for finding in clash.findings}
    pools = {name: scene.fleet.names(_reached(where, scene.fleet)) for name, where in regions.items() if where}
    return Conflict(tuple(pools), clash.findings[-1].policy.name, clash.refused, scene.name, witness, pools)


def _reached(where: Region, fleet: Fleet) -> int:
    return sum(1 << i for i in range(len(fleet.pools)) if any(fleet.possible(t) >> i & 1 for t in _here(where, i)))


def _here(where: Region, pool: int) -> Terms:
    """The nodes of a region in one pool."""
    return tuple(t for mask, terms in where.groups if mask >> pool & 1 for t in terms)


def _expects_conflict(case: Case) -> bool:
    policies = case.expect.get("policies") or {}
    overruled = isinstance(policies, Mapping) and "overruled" in policies.values()
    return case.expect.get("allowed") is False or bool(case.expect.get("overruled")) or overruled


def _told(conflicts: Iterable[Conflict], bundle: Bundle, inventories: int) -> Iterator[Problem]:
    """Problems that tell of the first few conflicts of each policy that gives way, and name the others."""
    by_overruled: dict[str, list[Conflict]] = {}
    for conflict in conflicts:
        by_overruled.setdefault(conflict.overruled, []).append(conflict)
    for overruled, several in by_overruled.items():
        yield from (_conflicting(conflict, bundle, inventories) for conflict in several[:MAX_TOLD])
        if more := several[MAX_TOLD:]:
            others = sorted({name for conflict in more for name in conflict.policies} - {overruled})
            message = f"`{overruled}` leaves no pool together with {_quoted(others)}, either"
            hint = "`-o json` tells of each"
            yield Problem("conflicting-policies", message, _span(bundle, overruled), hint=hint, severity="warning")


def _conflicting(conflict: Conflict, bundle: Bundle, inventories: int) -> Problem:
    names = [*(name for name in conflict.policies if name != conflict.overruled), conflict.overruled]
    sides = [f"`{name}` leaves {listed(conflict.pools[name]) or 'only nodes of no pool'}" for name in names]
    outcome = "such a pod is refused" if conflict.refused else f"`{conflict.overruled}` is left out for such a pod"
    where = f" (pools of {conflict.inventory})" if inventories > 1 else ""
    message = f"{_quoted(names)} together leave no pool to {conflict.witness.words}: {listed(sides)}{where}; {outcome}"
    hint = "let them select different pods, or expect it in a test case if it is meant"
    return Problem("conflicting-policies", message, _span(bundle, conflict.overruled), hint=hint, severity="warning")


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])


def _span(bundle: Bundle, policy: str) -> Span:
    return next(each.span for each in bundle.policies if each.name == policy)


# Policies that no pool satisfies, and redundant ones


def _unsatisfiable(policy: CompiledPolicy, scene: Scene) -> Problem:
    culprit = next((rule for rule in policy.require if scene.nowhere(scene.widest([rule]), [rule])), None)
    error = scene.error(culprit) if culprit else ""
    said = f"`{culprit.text}` is true on none" if culprit else "each of its requirements is true on some, all on none"
    message = f"no pool satisfies what `{policy.name}` requires, whatever the pod"
    hint = f"{said}: {error}" if error else said
    return Problem("unsatisfiable-policy", message, policy.policy.span, hint=hint, severity="warning")


def _doubt_satisfiability(
    policies: Iterable[CompiledPolicy], scenes: Sequence[Scene], candidates: Sequence[Candidate], doubts: _Doubts
) -> None:
    """A policy whose requirement depends on the pod is satisfiable if some pod shows it."""
    untold = {p.name for p in policies if p.require and any(scene.left(p) is None for scene in scenes)}
    unproven = untold | {policy.name for policy in policies if policy.require and not _constant(policy)}
    for finding, scene in _findings(candidates, scenes):
        if finding.policy.name in unproven and finding.region and alive(finding.region, TRUE, scene.fleet):
            unproven.discard(finding.policy.name)
    for name in unproven:
        doubts.add(name, "no pod was found for which some pool satisfies what it requires, and there may be one")


def _findings(candidates: Iterable[Candidate], scenes: Sequence[Scene]) -> Iterator[tuple[Finding, Scene]]:
    for candidate, scene in product(candidates, scenes):
        yield from ((finding, scene) for finding in scene.decider.findings(candidate.subject))


def _redundancies(
    policies: Sequence[CompiledPolicy], scenes: Sequence[Scene], program: Program
) -> Iterator[tuple[CompiledPolicy, CompiledPolicy]]:
    """Policies with one that makes them redundant; those by descending priority, for that is taken first."""
    for place, policy in enumerate(policies):
        for other in filter(_dependable, policies[:place] if _dispensable(policy) else ()):
            if program.exemptions and not _exempts_alike(program, policy, other):
                continue
            if _applies_too(policy.policy, other.policy) and _as_strict(policy, other, scenes):
                yield policy, other
                break


def _exempts_alike(program: Program, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    """Whether a policy is left out by every exemption that leaves out the other."""
    return all(one.covers(policy.name) for one in program.exemptions if one.covers(other.name))


def _dispensable(policy: CompiledPolicy) -> bool:
    """Whether a policy does nothing but require."""
    given = policy.policy
    harmless = given.failure_policy == "Ignore" or (not given.match_conditions and _constant(policy))
    return given.mode == "enforce" and bool(given.require) and policy.only_requires and not given.deny and harmless


def _dependable(policy: CompiledPolicy) -> bool:
    """Whether a policy, where it applies, has its way or the pod is refused."""
    given = policy.policy
    plain = given.mode == "enforce" and bool(given.require) and policy.only_requires and not given.deny
    return plain and given.rollout == 100 and given.when_empty == "deny"


def _applies_too(policy: Policy, other: Policy) -> bool:
    """Whether a policy applies to every pod that the first applies to."""
    mine, its = selected(policy), selected(other)
    if mine is None or its is None:
        return False
    if not all(mine.labels.get(key, ANY) <= values for key, values in its.labels.items()):
        return False
    if not all(mine.namespace.get(key, ANY) <= values for key, values in its.namespace.items()):
        return False
    return _shapes(other, other.match_conditions) <= _shapes(policy, policy.match_conditions)


def _as_strict(policy: CompiledPolicy, other: CompiledPolicy, scenes: Iterable[Scene]) -> bool:
    """Whether a policy leaves no node that the first does not leave, whatever the pod."""
    if _rules(policy.policy) == _rules(other.policy):
        return True
    return _constant(policy) and _constant(other) and all(_narrower(scene, policy, other) for scene in scenes)


def _narrower(scene: Scene, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    wide, narrow = scene.left(policy), scene.left(other)
    if wide is None or narrow is None or not alive(narrow, TRUE, scene.fleet):
        return False
    every = scene.fleet.every
    try:
        said = implies(node_terms(narrow, every, scene.fleet), node_terms(wide, every, scene.fleet))
        return said and _covers(wide, narrow, scene)  # pool by pool, for the pools that are left decide on tolerations
    except TooMany:
        return False


def _rules(policy: Policy) -> frozenset[str]:
    return _shapes(policy, (Named("", item.excerpt) for item in policy.require))


def _shapes(policy: Policy, items: Iterable[Named]) -> frozenset[str]:
    """What expressions say, spelled in one way. Those that use variables say what the variables say, too."""
    return frozenset(_shape(item.excerpt, policy) for item in items)


def _shape(excerpt: Excerpt, policy: Policy) -> str:
    node, _ = parse(excerpt)
    if node is None:
        return f"{policy.name}: {excerpt.value}"
    own = [(named.name, named.excerpt.value) for named in policy.variables] if "variables" in free_names(node) else ""
    return f"{shape(node)}{own}"


def _redundant(policy: CompiledPolicy, other: CompiledPolicy) -> Problem:
    message = f"`{policy.name}` changes nothing: `{other.name}` applies wherever it does, and leaves no other nodes"
    return Problem("redundant-policy", message, policy.policy.span, hint="leave it out", severity="warning")


# Preferences that never matter


def _idle(
    policies: Sequence[CompiledPolicy], scenes: Sequence[Scene], candidates: Sequence[Candidate], doubts: _Doubts
) -> Iterator[Problem]:
    unproven: set[tuple[str, int]] = set()
    for policy in policies:
        for place, item in enumerate(policy.prefer):
            said = _idleness(policy, item, scenes) or _flatness(policy, place, item, scenes)
            if said:
                yield _prefers_nothing(policy.policy.prefer[place].expression.excerpt, said, policy)
            elif item.rule is not None and (_reads_pod(item.rule) or not _constant(policy)):
                unproven.add((policy.name, place))
        for place, excerpt in enumerate(tier.excerpt for tier in policy.policy.fallback):
            said = _lateness(policy, place, scenes)
            if said:
                yield _prefers_nothing(excerpt, said, policy)
    for finding, scene in _findings(candidates, scenes) if unproven else ():
        for wish in finding.wishes:
            if (finding.policy.name, wish.item) in unproven and _matters(wish.region, finding, scene):
                unproven.discard((finding.policy.name, wish.item))
    for name in sorted({name for name, _ in unproven}):
        doubts.add(name, "no pod was found for which what it prefers matters, and there may be one")


def _prefers_nothing(excerpt: Excerpt, said: str, policy: CompiledPolicy) -> Problem:
    message = f"this {said} that `{policy.name}` leaves, whatever the pod, so it prefers nothing"
    return Problem("idle-preference", message, excerpt.whole, severity="warning")


def _idleness(policy: CompiledPolicy, item: Weighted, scenes: Iterable[Scene]) -> str:
    """That a preference is true on no node, or on every one, where that is so for every pod; else nothing."""
    if item.rule is None:
        return ""
    rules = (item.rule,)
    pairs = [(scene, scene.left(policy), scene.widest(rules)) for scene in scenes]
    if all(scene.nowhere(_both(left, wish), (*policy.require, *rules)) for scene, left, wish in pairs):
        return "is true on no node"
    constant = item.score is None and not _reads_pod(item.rule)
    if constant and all(left and wish and _covers(wish, left, scene) for scene, left, wish in pairs):
        return "is true on every node"
    return ""


def _flatness(policy: CompiledPolicy, place: int, item: Weighted, scenes: Iterable[Scene]) -> str:
    """That a score is 0 on every node, or some other number, where it does not depend on the pod; else nothing."""
    excerpt = policy.policy.prefer[place].score
    if item.score is None or excerpt is None or (item.rule and _reads_pod(item.rule)):
        return ""
    if _names_read(excerpt) & {"variables", *POD_NAMES}:
        return ""
    found = {_flat_score(policy, item, scene) for scene in scenes}
    if found == {0}:
        return "scores nothing on any node"
    return "scores the same on every node" if None not in found else ""


def _flat_score(policy: CompiledPolicy, item: Weighted, scene: Scene) -> int | None:
    """The one weight that a score comes to on all nodes that are left, None if that can't be told or there are more."""
    left = scene.left(policy)
    where = None if item.rule is None else scene.widest((item.rule,))
    scored = scene.scored(item)
    if left is None or scored is None or (item.rule and where is None):
        return None
    weights = [(w.weight, w.region if where is None else _both(w.region, where)) for w in scored]
    told = [
        (weight, region) for weight, region in weights if region is None or not scene.nowhere(_both(left, region), ())
    ]
    if not told:
        return 0
    ((weight, first), *more) = told
    return weight if not more and first is not None and _covers(first, left, scene) else None


def _lateness(policy: CompiledPolicy, place: int, scenes: Iterable[Scene]) -> str:
    """That every node of a tier is of an earlier one, or that the first has every node; else nothing.

    A tier that no node has is none of this: it may wait for a pool that is still to come.
    """
    rule, earlier = policy.fallback[place], [one for one in policy.fallback[:place] if not _reads_pod(one)]
    for scene in scenes:
        left, tier = scene.left(policy), scene.widest((rule,))
        mine = _both(left, tier)
        if left is None or tier is None or mine is None or not alive(mine, TRUE, scene.fleet):
            return ""
        if place == 0 and (_reads_pod(rule) or not _covers(tier, left, scene)):
            return ""
        if place > 0 and not _covers(_joined(scene.widest((one,)) for one in earlier), mine, scene):
            return ""
    return "tier is true only on nodes of an earlier one, of those" if place else "tier is true on every node"


def _joined(regions: Iterable[Region | None]) -> Region:
    """The nodes of any of these regions; what can't be told is left out."""
    known = [region for region in regions if region is not None]
    outside = [region.anywhere for region in known if region.anywhere is not None]
    groups = tuple(group for region in known for group in region.groups)
    return Region(groups, tuple(term for terms in outside for term in terms) if outside else None)


def _both(a: Region | None, b: Region | None) -> Region | None:
    try:
        return None if a is None or b is None else meet(a, b)
    except TooMany:
        return None


def _covers(wish: Region, left: Region, scene: Scene) -> bool:
    """Whether a wish holds of every node that is left. What is known of a pool's nodes counts."""
    fleet = scene.fleet
    beside = left.anywhere if fleet.inventory.strays else None
    if beside is not None and (wish.anywhere is None or not implies(beside, wish.anywhere)):
        return False
    for mask, terms in left.groups:
        for i in bits(mask):
            known = fleet.known(i)
            if not implies(_narrowed(terms, known), _here(wish, i)):
                return False
    return True


def _narrowed(terms: Terms, known: Term) -> Terms:
    return tuple(met for one in terms if not (met := one & known).impossible)


def _matters(wish: Region, finding: Finding, scene: Scene) -> bool:
    left = finding.region or scene.everywhere
    met = _both(wish, left)
    return met is not None and alive(met, TRUE, scene.fleet) and not _covers(wish, left, scene)


# Tiers that are too many


def _ties(
    policies: Sequence[CompiledPolicy], scenes: Sequence[Scene], candidates: Sequence[Candidate]
) -> Iterator[Problem]:
    """Policies with tiers that come out equal on every inventory, each time for some pod that is tried."""
    tied = {policy.name: set[str]() for policy in policies if len(policy.fallback) >= ENOUGH}
    for finding, scene in _findings(candidates, scenes) if tied else ():
        if finding.policy.name in tied and _come_out_equal(finding, scene):
            tied[finding.policy.name].add(scene.name)
    for policy in policies:
        if len(tied.get(policy.name, ())) == len(scenes):
            yield _tied(policy.policy)


def _come_out_equal(finding: Finding, scene: Scene) -> bool:
    """Whether a tier weighs no more than a worse one, where its policy leaves nodes of both, and all can be written."""
    weights = {wish.region: wish.weight for wish in within(MAX_WEIGHT, list(finding.tiers))}
    left = finding.region or scene.everywhere
    reached = [_both(tier.region, left) for tier in finding.tiers]
    written = [
        weights[tier.region]
        for tier, nodes in zip(finding.tiers, reached, strict=True)
        if nodes is not None and alive(nodes, TRUE, scene.fleet)
    ]
    if not any(better <= worse for better, worse in pairwise(written)):
        return False
    try:
        terms = [term for tier in finding.tiers for term in node_terms(tier.region, scene.fleet.every, scene.fleet)]
        affordable(terms)
    except TooMany:
        return False
    return True


def _tied(policy: Policy) -> Problem:
    message = (
        f"the {len(policy.fallback)} tiers of `{policy.name}` take more than the {MAX_WEIGHT} weights that there are, "
        "so a node of one of them may count no more than one of a worse tier"
    )
    hint = "say fewer tiers, or such as share no node: an affinity can't leave out what a bound of another label says"
    return Problem("tied-tiers", message, policy.fallback[-1].excerpt.whole, hint=hint, severity="warning")


# Pools


def _shadowed(bundle: Bundle, scenes: Iterable[Scene]) -> Iterator[Problem]:
    """Pools that can have no node, for each that carries what they declare is of another one."""
    if bundle.span is None:
        return
    hint = "say a selector that tells the two apart, or leave one of them out"
    for scene in scenes:
        for name in scene.fleet.names(scene.fleet.shadowed):
            message = (
                f"each node that pool `{name}` of {scene.name} declares is of another pool, whose selector it meets"
            )
            yield Problem("shadowed-pool", message, bundle.span, hint=hint, severity="warning")


# Karpenter


def _karpenter(bundle: Bundle, scenes: Iterable[Scene]) -> Iterator[Problem]:
    """Source: Karpenter's scheduling, which takes the heaviest preference as a requirement until it has to relax it."""
    made = any(pool.provider == "karpenter" for scene in scenes for pool in scene.fleet.pools)
    wishing = [p.name for p in bundle.policies if (p.prefer or p.fallback) and p.mode != "off"]
    if made and wishing and bundle.span:
        message = (
            f"Karpenter takes the heaviest preference of a pod as required until no node can be made for it, "
            f"so what {_quoted(wishing)} {'prefers' if len(wishing) == 1 else 'prefer'} may add nodes"
        )
        hint = "see docs/rules/karpenter-preference.md for what to do"
        yield Problem("karpenter-preference", message, bundle.span, hint=hint, severity="info")
