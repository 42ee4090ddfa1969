"""Revisions: what changes from one bundle to another, by what they mean and not by how they are written.

Of each policy that both have it is asked, field by field, whether it says the same (`rewording.py`, which is sure of
it, or not). Where that is not certain, and for policies that came, went or changed a setting, pods are tried: those of
either bundle's tests and examples, and such as are made up from what the policy selects and compares, before and after.
The first that fares otherwise is the example. Where none does, that is told as not decided: there may be one.

So nothing is called the same that is not, on the pools given, and nothing is called different without a pod to show.
How much all that is of a step for the bundle's version: see `level_of_policy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from engine.analysis.candidate_pods import NAMES, Candidate, own_pods
from engine.analysis.examination import cluster_read
from engine.analysis.rewording import FieldChange, Said, rewording
from engine.analysis.stage import PARSING, Stage
from engine.analysis.steps import Level, largest
from engine.analysis.witness import Wanted, incoming_of, selected, variants
from engine.bundle import Bundle, Named, Policy, Revision, schema_like
from engine.decision import OWN_NAMESPACE, Decider, Decision, decided_alike, placed_alike
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import ANY, LabelStates
from engine.pods import IncomingPod, rolled_out
from engine.pools import Inventory
from engine.program import CompiledPolicy, Program
from engine.struct import Marked, Struct, replace

Kind = Literal["added", "removed", "renamed", "changed", "undecided", "rewritten"]
WORK, LEAST = 12_000_000, 150_000
"""What looking at all policies may cost, in units of a quarter of a microsecond, and at least at each."""
MAX_OWN = 200
"""So many pods of the bundles' own are tried, at most, for each policy."""


class Version(NamedTuple):
    """A bundle and its program."""

    bundle: Bundle
    program: Program


class Example(Marked, frozen=True):
    """A pod that fares otherwise, on the pools of an inventory.

    `alone`: it does so if no other policy is about it; with the others, it fares as before.
    """

    unprinted = ("incoming", "before", "after")

    words: str
    incoming: IncomingPod
    inventory: str
    before: Decision
    after: Decision
    alone: bool


class PolicyChange(Struct, frozen=True):
    """What became of one policy. `was` is its name before, if that was another; `reason` says why its level is so, or
    what was not decided."""

    name: str
    kind: Kind
    level: Level
    fields: tuple[FieldChange, ...] = ()
    example: Example | None = None
    was: str = ""
    reason: str = ""


class BundleChange(NamedTuple):
    """A field of the bundle as a whole that is another one."""

    field: str
    before: str
    after: str
    level: Level


class Revisions(Struct, frozen=True):
    """What changes from one revision to another: of policies by name, and of the bundle. `names` are those of the
    inventories that were looked at."""

    old: Revision
    new: Revision
    policies: tuple[PolicyChange, ...]
    bundle: tuple[BundleChange, ...]
    names: tuple[str, ...]

    @property
    def level(self) -> Level:
        """How large the step of the version is to be."""
        if self.old.digest == self.new.digest:
            return "none"
        return largest(["patch", *(one.level for one in self.policies), *(one.level for one in self.bundle)])

    @property
    def decides_otherwise(self) -> bool:
        """Whether any decision may be another one."""
        return self.level in ("minor", "major")


def revised(
    old: Version,
    new: Version,
    inventories: Sequence[tuple[str, Inventory]],
    cluster: Mapping[str, Any] | None = None,
    beside: Sequence[Program] = (),
) -> Revisions:
    """What changes from one bundle to another, on these inventories. `cluster` is what is known of it: name, labels;
    `beside` are the programs of other bundles, which decide together with either."""
    comparison = _Comparison(old, new, inventories or (("no pools", Inventory((), 0)),), cluster or {}, beside)
    revisions = (old.bundle.revision, new.bundle.revision)
    names = tuple(name for name, _ in inventories)
    if revisions[0].digest == revisions[1].digest:
        return Revisions(*revisions, (), (), names)
    return Revisions(*revisions, tuple(comparison.policies()), tuple(_bundle_changes(old.bundle, new.bundle)), names)


class _Side:
    """One of the two bundles on the inventories."""

    def __init__(
        self,
        version: Version,
        inventories: Iterable[tuple[str, Inventory]],
        cluster: Mapping[str, Any],
        beside: Sequence[Program],
        meter: Budget,
    ) -> None:
        self.bundle, self.program = version
        self.meter, self._cluster = meter, cluster
        self.deciders = [
            (name, Decider((self.program, *beside), pools, cluster=cluster, namespaces=(OWN_NAMESPACE,)))
            for name, pools in inventories
        ]
        self.stages = [Stage(name, decider, meter) for name, decider in self.deciders]
        self.policies = {policy.name: policy for policy in self.program.policies}

    def said(self, policy: CompiledPolicy) -> Said:
        """What a policy says; on no pools, if it reads what is not known of the cluster."""
        stages = self.stages if self.knows(policy) else ()
        return Said(self.bundle, policy, stages, self.meter)

    def knows(self, policy: CompiledPolicy) -> bool:
        """Whether all that a policy reads of the cluster is known."""
        return cluster_read(policy.policy, self.bundle) <= self._cluster.keys()

    def alone(self, policy: CompiledPolicy | None) -> list[Decider]:
        """The bundle with one policy only, or none, enforced as far as the policy says."""
        program = replace(self.program, mode="enforce", policies=(policy,) if policy else ())
        pools = [decider.pool_index.inventory for _, decider in self.deciders]
        return [Decider(program, each, cluster=self._cluster, namespaces=(OWN_NAMESPACE,)) for each in pools]


@dataclass(slots=True)
class _Comparison:
    """The search for what changes."""

    old: _Side
    new: _Side
    own: list[Candidate]
    meter: Budget

    def __init__(
        self,
        old: Version,
        new: Version,
        inventories: Sequence[tuple[str, Inventory]],
        cluster: Mapping[str, Any],
        beside: Sequence[Program],
    ) -> None:
        self.meter = Budget(WORK)
        self.old, self.new = (_Side(version, inventories, cluster, beside, self.meter) for version in (old, new))
        seen: dict[str, Candidate] = {}
        for bundle in (new.bundle, old.bundle):
            for one in own_pods(bundle):
                seen.setdefault(f"{one.incoming.pod}{one.incoming.namespace}{one.incoming.request}", one)
        self.own = list(seen.values())[:MAX_OWN]

    def policies(self) -> list[PolicyChange]:
        """Every policy that came, went, changed, or is written otherwise, by name."""
        both = [name for name in self.new.policies if name in self.old.policies]
        gone = [name for name in self.old.policies if name not in self.new.policies]
        come = [name for name in self.new.policies if name not in self.old.policies]
        pairs: list[tuple[CompiledPolicy | None, CompiledPolicy | None]] = [
            (self.old.policies[name], self.new.policies[name]) for name in both
        ]
        for name in come:
            was = self._renamed(self.new.policies[name], gone)
            gone = [one for one in gone if one != was]
            pairs.append((self.old.policies[was] if was else None, self.new.policies[name]))
        pairs += [(self.old.policies[name], None) for name in gone]
        inverted = self._inverted(pairs)
        found = []
        total = WORK
        for place, (before, after) in enumerate(pairs):
            share = max(total // (len(pairs) - place), LEAST)
            self.meter.left = share
            one = self._compared(before, after, inverted)
            total -= share - max(0, self.meter.left)
            found += [one] if one else []
        return sorted(found, key=lambda one: one.name)

    def _renamed(self, new: CompiledPolicy, gone: Sequence[str]) -> str:
        """The one of the policies that went which says the same as this one, if there is one."""
        for name in gone:
            old = self.old.policies[name]
            self.meter.left = LEAST
            try:
                same = all(each.field == "exemptions" for each in self._rewording(old, new))
            except BudgetExceeded:
                continue
            if same and old.policy.priority == new.policy.priority:
                return name
        return ""

    def _rewording(self, old: CompiledPolicy, new: CompiledPolicy) -> list[FieldChange]:
        return list(rewording(self.old.said(old), self.new.said(new), self.meter))

    def _inverted(self, pairs: Iterable[tuple[CompiledPolicy | None, CompiledPolicy | None]]) -> dict[str, str]:
        """By new name of a policy that moved: one that is now taken on the other side of it.

        That counts only for policies that may be about the same pods, and are about where these run.
        """
        kept = [(old, new) for old, new in pairs if old and new and not (old.only_denies and new.only_denies)]
        before = {old.name: place for place, old in enumerate(self.old.program.policies)}
        after = {new.name: place for place, new in enumerate(self.new.program.policies)}
        found: dict[str, str] = {}
        moved = [(old, new) for old, new in kept if old.policy.priority != new.policy.priority or old.name != new.name]
        for old, new in moved:
            for one, other in kept:
                swapped = (before[old.name] < before[one.name]) != (after[new.name] < after[other.name])
                if one is not old and swapped and _meet(new.policy, other.policy):
                    found.setdefault(new.name, other.name)
        return found

    def _compared(
        self, old: CompiledPolicy | None, new: CompiledPolicy | None, inverted: Mapping[str, str]
    ) -> PolicyChange | None:
        """What became of one policy, None where it is word for word what it was."""
        if old is not None and new is not None:
            try:
                fields = self._rewording(old, new)
            except BudgetExceeded:
                fields = [FieldChange("expressions", "", "too long to compare")]
            if new.name in inverted:
                beside = f"after or before `{inverted[new.name]}`"
                fields.append(FieldChange("priority", f"{old.policy.priority}", f"{new.policy.priority}, now {beside}"))
            renamed = old.name != new.name
            if not fields:
                if renamed:
                    words = "its meaning is the same; metrics, logs and exemptions know it by its name"
                    return PolicyChange(new.name, "renamed", "minor", (), None, old.name, words)
                return PolicyChange(new.name, "rewritten", "patch") if _written(old) != _written(new) else None
        else:
            fields = []
        kind: Kind = "changed" if old and new else "added" if new else "removed"
        level, reason = level_of_policy(_given(old), _given(new), fields)
        level = self._capped(level)
        example, doubt = self._example(old, new)
        if kind == "changed" and example is None and level != "patch":
            kind, reason = "undecided", doubt
        elif example is None and level in ("minor", "major"):
            reason = "; ".join(filter(None, (reason, doubt)))
        one = new or old
        name = one.name if one else ""
        was = old.name if old and new and old.name != new.name else ""
        return PolicyChange(name, kind, level, tuple(fields), example, was, reason)

    def _capped(self, level: Level) -> Level:
        """A bundle that enforces nothing, before and after, places nobody otherwise."""
        quiet = self.old.bundle.mode != "enforce" and self.new.bundle.mode != "enforce"
        return "minor" if level == "major" and quiet else level

    # Pods that show it

    def _example(self, old: CompiledPolicy | None, new: CompiledPolicy | None) -> tuple[Example | None, str]:
        """A pod that fares otherwise, one that does in the bundle as a whole if there is; and what was not found."""
        known = (not old or self.old.knows(old)) and (not new or self.new.knows(new))
        if not known:
            return None, "it depends on `cluster`: say --cluster-name and --cluster-label, as it reads them"
        first: Example | None = None
        try:
            before, after = self.old.alone(old), self.new.alone(new)
            modes = {policy.policy.mode for policy in (old, new) if policy}
            alike = placed_alike if "enforce" in modes else decided_alike
            for one in self._candidates(old, new):
                for place, (inventory, _) in enumerate(self.old.deciders):
                    a, b = (side[place].decide(one.incoming, self.meter) for side in (before, after))
                    if alike(a, b):
                        continue
                    whole = Example(one.words, one.incoming, inventory, *self._whole(one, place), alone=False)
                    if not alike(whole.before, whole.after):
                        return whole, ""
                    first = first or Example(one.words, one.incoming, inventory, a, b, alone=True)
        except BudgetExceeded:
            return first, "" if first else "not every pod was tried: that would take too long"
        return first, "" if first else "no pod was found that fares otherwise, and there may be one"

    def _whole(self, one: Candidate, place: int) -> tuple[Decision, Decision]:
        old, new = self.old.deciders[place][1], self.new.deciders[place][1]
        return old.decide(one.incoming, self.meter), new.decide(one.incoming, self.meter)

    def _candidates(self, old: CompiledPolicy | None, new: CompiledPolicy | None) -> Iterator[Candidate]:
        """The bundles' own pods, and such as are made up from what a policy selects and compares."""
        yield from self.own
        tried: list[Wanted] = []
        for side, policy in ((self.new, new), (self.old, old)):
            for wanted in self._wanted(side, policy) if policy else ():
                if wanted not in tried:
                    tried.append(wanted)
        tried += [one for one in _apart(_given(old), _given(new)) if one not in tried]
        for wanted in tried:
            self.meter.spend(PARSING * 20)
            incoming = _named(wanted, _given(old), _given(new))
            if incoming is not None:
                yield Candidate(str(wanted), incoming)

    def _wanted(self, side: _Side, policy: CompiledPolicy) -> list[Wanted]:
        asked = _asking(policy.policy)
        self.meter.spend(sum(PARSING * len(excerpt.value) for excerpt in asked.excerpts))
        found = variants(asked, side.program.params)
        for one in side.bundle.exemptions:
            if not one.policies or policy.name in one.policies:
                out = replace(
                    asked, match_conditions=one.match_conditions, variables=(), require=(), prefer=(), split=()
                )
                out = replace(out, pod_selector=one.pod_selector, namespace_selector=one.namespace_selector)
                found += [met for other in variants(out, side.program.params) if (met := found[0] & other)]
        return found


def _given(compiled: CompiledPolicy | None) -> Policy | None:
    return compiled.policy if compiled else None


def _asking(policy: Policy) -> Policy:
    """A policy whose conditions ask all that its expressions ask of pods, so that clues are found in all of them."""
    more = [*policy.deny, *policy.fallback, *(entry.expression for entry in policy.tolerate)]
    extra = tuple(Named(f"also-{i}", item.excerpt) for i, item in enumerate(more))
    return replace(policy, match_conditions=(*policy.match_conditions, *extra))


def _apart(old: Policy | None, new: Policy | None) -> Iterator[Wanted]:
    """Pods that one of two selectors matches and the other does not, label by label."""
    mine, its = selected(old) if old else None, selected(new) if new else None
    for one, other in ((mine, its), (its, mine)):
        if one is None or other is None:
            continue
        for key in sorted(one.labels.keys() | other.labels.keys()):
            states = _outside(one.labels.get(key, ANY), other.labels.get(key, ANY))
            if states:
                yield replace(one, labels={**one.labels, key: states})
        for key in sorted(one.namespace.keys() | other.namespace.keys()):
            states = _outside(one.namespace.get(key, ANY), other.namespace.get(key, ANY))
            if states:
                yield replace(one, namespace={**one.namespace, key: states})


def _outside(one: LabelStates, other: LabelStates) -> LabelStates | None:
    left = one - other
    return None if left.impossible else left


def _named(wanted: Wanted, old: Policy | None, new: Policy | None) -> IncomingPod | None:
    """A pod as wanted, called so that rollouts of the policy before and after differ about it, or have reached it."""
    first = incoming_of(wanted, NAMES[0])
    both = [policy for policy in (old, new) if policy]
    if first is None or all(policy.rollout == 100 for policy in both):
        return first
    reached = None
    for name in NAMES:
        incoming = replace(first, pod={**first.pod, "metadata": {**first.pod["metadata"], "name": name}})
        sides = {rolled_out(policy.name, policy.rollout, incoming) for policy in both}
        if len(sides) == 2:
            return incoming
        reached = reached or (incoming if True in sides else None)
    return reached


def _meet(one: Policy, other: Policy) -> bool:
    """Whether two policies may be about the same pod, by their selectors."""
    mine, its = selected(one), selected(other)
    return mine is not None and its is not None and (mine & its) is not None


def _written(compiled: CompiledPolicy) -> tuple[object, ...]:
    """What a policy's author wrote, places aside."""
    policy = compiled.policy
    said = [policy.description, policy.priority, policy.when_empty, str(policy.pod_selector)]
    named = [(one.name, one.excerpt.value) for one in (*policy.match_conditions, *policy.variables)]
    items = [*policy.require, *policy.deny, *policy.fallback, *(one.expression for one in policy.prefer)]
    items += [*(one.expression for one in policy.split), *(one.expression for one in policy.tolerate)]
    return (*said, *named, *((one.excerpt.value, one.message) for one in items), str(policy.namespace_selector))


# How much of a step it is


def level_of_policy(old: Policy | None, new: Policy | None, fields: Sequence[FieldChange]) -> tuple[Level, str]:
    """How much of a step for the bundle's version a policy's change is, and why.

    - patch: it decides about no pod, before and after: `mode: off`, `rollout: 0`, or a selector that matches nothing.
    - minor: nobody is kept out, and nobody's rule is another one. It only audits, before and after; it is new and
      wishes, spreads or tolerates, without anything that must be; or its rollout goes on, or back, alone.
    - major: everything else. Somebody who was let in may be refused, or placed otherwise by a rule that was there.
    """
    there = [policy for policy in (old, new) if policy is not None]
    if all(policy.mode == "off" or policy.rollout == 0 or selected(policy) is None for policy in there):
        return "patch", "it decides about no pod, before and after"
    if all(policy.mode != "enforce" for policy in there):
        return "minor", "it only audits"
    if old is None and new is not None and not _keeps_out(new):
        return "minor", "it is new, and only wishes, spreads or tolerates: no pod is kept out"
    if [one.field for one in fields] == ["rollout"]:
        return "minor", "the rule stays, more or fewer workloads are under it"
    if old is None or new is None:
        return "major", "pods may be refused or placed otherwise" if old is None else "pods are placed without it"
    return "major", ""


def _keeps_out(policy: Policy) -> bool:
    hard = any(one.when_unsatisfiable == "DoNotSchedule" for one in policy.spread)
    return policy.hard or hard or policy.failure_policy == "Fail"


def _bundle_changes(old: Bundle, new: Bundle) -> Iterator[BundleChange]:
    if old.name != new.name:
        yield BundleChange("metadata.name", old.name, new.name, "major")
    if old.mode != new.mode:
        yield BundleChange("mode", old.mode, new.mode, "major" if "enforce" in (old.mode, new.mode) else "minor")
    if old.hands_on != new.hands_on:
        yield BundleChange("handsOn", _hands_on(old), _hands_on(new), "major")
    if old.annotates != new.annotates:
        before, after = (str(each.annotates).lower() for each in (old, new))
        yield BundleChange("annotate", before, after, "minor")
    if old.requires != new.requires:
        yield BundleChange("requires", _pairs(old.requires), _pairs(new.requires), "minor")
    yield from _params(old, new)


def _params(old: Bundle, new: Bundle) -> Iterator[BundleChange]:
    """Constants that a cluster may lay something over: one that is gone, or takes no more what it took, breaks it.

    Who reads them is told elsewhere.
    """
    for name in sorted({*old.params, *new.params}):
        before, after = old.params.get(name), new.params.get(name)
        if name not in new.params:
            yield BundleChange(f"params.{name}", str(before), "gone", "major")
        elif name not in old.params:
            yield BundleChange(f"params.{name}", "none", str(after), "minor")
        elif schema_like(before) != schema_like(after):
            yield BundleChange(f"params.{name}", str(before), f"{after}, of another type", "major")
        elif before != after:
            yield BundleChange(f"params.{name}", str(before), str(after), "patch")
    if old.params_schema != new.params_schema:
        level: Level = "minor" if old.params_schema is None or _only_grew(old, new) else "major"
        yield BundleChange("paramsSchema", "", "another one", level)


def _only_grew(old: Bundle, new: Bundle) -> bool:
    if old.params_schema is None or new.params_schema is None:
        return False
    before, after = old.params_schema, new.params_schema
    same = all(after.properties.get(name) == one for name, one in before.properties.items())
    return same and before.required == after.required


def _hands_on(bundle: Bundle) -> str:
    given = bundle.hands_on
    return f"daemonSets: {given.daemon_sets}" + (
        f", namespaces: {', '.join(given.namespaces)}" * bool(given.namespaces)
    )


def _pairs(given: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {said}" for name, said in sorted(given.items())) or "nothing"
