"""What one policy says otherwise than before, field by field, where it is not certain that it means the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from engine.analysis.propositions import All, Proposition, Sayings, any_of, conjuncts, same, text_of
from engine.analysis.stage import Stage, covers, rule_reads_pod
from engine.analysis.witness import selected
from engine.bundle import Bundle, Exemption, PodTerm, Policy, Spread
from engine.documents import Excerpt
from engine.evaluation import NodeSet
from engine.language import Budget
from engine.nodeselector import implies
from engine.program import CompiledPolicy, Rule
from engine.struct import asdict, replace

SHOWN = 160
"""As many characters of a field are shown."""


class FieldChange(NamedTuple):
    """A field of a policy that may mean something else than before; both in their authors' words, shortened."""

    field: str
    before: str
    after: str


class Said:
    """One policy in its bundle: what it says, and what that comes to on pools."""

    def __init__(self, bundle: Bundle, compiled: CompiledPolicy, stages: Sequence[Stage], meter: Budget) -> None:
        self.bundle, self.compiled, self.policy, self.stages = bundle, compiled, compiled.policy, stages
        self._sayings = Sayings(bundle, meter)
        self._sayings.about(self.policy.variables)
        self._meter = meter

    def all(self, excerpts: Iterable[Excerpt]) -> list[Proposition]:
        """What these say together, one by one."""
        return [part for excerpt in excerpts for part in conjuncts(self._sayings.of(excerpt))]

    def of(self, excerpt: Excerpt) -> Proposition:
        """What one expression says."""
        return self._sayings.of(excerpt)

    def number(self, excerpt: Excerpt | None) -> str:
        """What a score says."""
        return self._sayings.text(excerpt) if excerpt else ""

    @property
    def params(self) -> frozenset[str]:
        """The constants that it reads, `*` for any."""
        return self._sayings.params_read(self.policy.excerpts)

    @property
    def exempted_by(self) -> frozenset[str]:
        """What the exemptions from it say."""
        about = (one for one in self.bundle.exemptions if not one.policies or self.policy.name in one.policies)
        return frozenset(exemption_text(one, self.bundle, self._meter) for one in about)


def exemption_text(one: Exemption, bundle: Bundle, meter: Budget) -> str:
    """Whom an exemption is about, as a text that equal ones share."""
    sayings = Sayings(bundle, meter)
    conditions = text_of(All(tuple(sayings.of(named.excerpt) for named in one.match_conditions)))
    return f"{one.pod_selector}|{one.namespace_selector}|{conditions}"


def rewording(old: Said, new: Said, meter: Budget) -> Iterator[FieldChange]:
    """The fields that may mean something else than before. Order among policies is not looked at."""
    a, b = old.policy, new.policy
    wide, narrow = selected(a), selected(b)
    if wide != narrow:
        yield FieldChange("podSelector, namespaceSelector", _selectors(a), _selectors(b))
    for name, one, other in (
        ("matchConditions", a.match_conditions, b.match_conditions),
        ("deny", a.deny, b.deny),
        ("require", a.require, b.require),
    ):
        mine, its = [item.excerpt for item in one], [item.excerpt for item in other]
        if not _same_list(name, mine, its, old, new, meter):
            yield FieldChange(name, _words(mine), _words(its))
    yield from _wishes(old, new, meter)
    for name, many, more in (
        ("spread", a.spread, b.spread),
        ("podAffinity", a.pod_affinity, b.pod_affinity),
        ("podAntiAffinity", a.pod_anti_affinity, b.pod_anti_affinity),
    ):
        if Counter(map(_plain, many)) != Counter(map(_plain, more)):
            yield FieldChange(name, _listed(many), _listed(more))
    yield from _settings(old, new)


def _settings(old: Said, new: Said) -> Iterator[FieldChange]:
    a, b = old.policy, new.policy
    if a.when_empty != b.when_empty and "deny" in (a.when_empty, b.when_empty) and _may_be_empty(a, b):
        yield FieldChange("whenEmpty", a.when_empty, b.when_empty)
    if a.failure_policy != b.failure_policy:
        yield FieldChange("failurePolicy", a.failure_policy, b.failure_policy)
    if a.mode != b.mode:
        yield FieldChange("mode", a.mode, b.mode)
    if a.rollout != b.rollout:
        yield FieldChange("rollout", f"{a.rollout} %", f"{b.rollout} %")
    if a.name != b.name and (min(a.rollout, b.rollout) < 100 or a.split):
        yield FieldChange("metadata.name", f"{a.name} (its workloads were chosen by it)", b.name)
    if old.exempted_by != new.exempted_by:
        yield FieldChange("exemptions", _exempting(old), _exempting(new))
    if _counts_own_workload(a) and old.bundle.workload_labels != new.bundle.workload_labels:
        yield FieldChange(
            "workloadLabels", ", ".join(old.bundle.workload_labels), ", ".join(new.bundle.workload_labels)
        )
    known = {*old.bundle.params, *(old.bundle.params_schema.properties if old.bundle.params_schema else ())}
    if (old.params ^ new.params) & (known | {"*"}):
        yield FieldChange("params", _reading(old.params), _reading(new.params))


def _reading(params: frozenset[str]) -> str:
    named = ", ".join(f"`params.{name}`" if name != "*" else "`params` by computed keys" for name in sorted(params))
    return f"reads {named}" if named else "reads none, whatever a cluster lays over them"


def _may_be_empty(a: Policy, b: Policy) -> bool:
    return any(policy.require or policy.split for policy in (a, b))


def _exempting(said: Said) -> str:
    names = [one.name for one in said.bundle.exemptions if not one.policies or said.policy.name in one.policies]
    return ", ".join(names) or "none"


def _counts_own_workload(policy: Policy) -> bool:
    terms: tuple[Spread | PodTerm, ...] = (*policy.spread, *policy.pod_affinity, *policy.pod_anti_affinity)
    return any(one.label_selector is None and not one.match_label_keys for one in terms)


# What is required, refused and asked for


def _same_list(name: str, mine: Sequence[Excerpt], its: Sequence[Excerpt], old: Said, new: Said, meter: Budget) -> bool:
    if bool(mine) != bool(its):
        return False
    if name == "deny":
        return same(any_of(map(old.of, mine)), any_of(map(new.of, its)), meter, errors=True)
    left, right = old.all(mine), new.all(its)
    common = {text_of(one) for one in left} & {text_of(one) for one in right}
    left = [one for one in left if text_of(one) not in common]
    right = [one for one in right if text_of(one) not in common]
    if same(All(tuple(left)), All(tuple(right)), meter, errors=name != "require"):
        return True
    return name == "require" and _same_nodes(old, new)


def _same_nodes(old: Said, new: Said) -> bool:
    """Whether what is required, beyond what both say, leaves the same nodes on all pools that are known.

    It must not depend on the pod.
    """
    mine, its = _beyond(old, new), _beyond(new, old)
    if not old.stages or any(map(rule_reads_pod, (*mine, *its))):
        return False
    return all(
        _equal(stage, stage.widest(mine) if mine else stage.everywhere, one.widest(its) if its else one.everywhere)
        for stage, one in zip(old.stages, new.stages, strict=True)
    )


def _beyond(one: Said, other: Said) -> list[Rule]:
    """The rules of `require` that the other has not."""
    theirs = {text_of(other.of(item.excerpt)) for item in other.policy.require}
    pairs = zip(one.policy.require, one.compiled.require, strict=True)
    return [rule for item, rule in pairs if text_of(one.of(item.excerpt)) not in theirs]


def _equal(stage: Stage, a: NodeSet | None, b: NodeSet | None) -> bool:
    """Whether two node sets hold the same nodes, of pools that are known and of others."""
    if a is None or b is None or (a.anywhere is None) != (b.anywhere is None):
        return False
    if a.anywhere is not None and b.anywhere is not None:
        meter = stage.meter
        if not (implies(a.anywhere, b.anywhere, meter) and implies(b.anywhere, a.anywhere, meter)):
            return False
    return covers(a, b, stage) and covers(b, a, stage)


# What is wished for, dealt out and tolerated


def _wishes(old: Said, new: Said, meter: Budget) -> Iterator[FieldChange]:
    a, b = old.policy, new.policy

    def alike(one: Excerpt, other: Excerpt) -> bool:
        return same(old.of(one), new.of(other), meter, errors=False)

    shares = [((s.percent, s.strict), s.expression.excerpt) for s in a.split]
    others = [((s.percent, s.strict), s.expression.excerpt) for s in b.split]
    if not _pairwise(shares, others, alike):
        yield FieldChange("split", _words(e for _, e in shares), _words(e for _, e in others))
    tiers, later = [(0, one.excerpt) for one in a.fallback], [(0, one.excerpt) for one in b.fallback]
    if not _pairwise(tiers, later, alike):
        yield FieldChange("fallback", _words(e for _, e in tiers), _words(e for _, e in later))
    wishes = [((w.weight, old.number(w.score)), w.expression.excerpt) for w in a.prefer]
    wanted = [((w.weight, new.number(w.score)), w.expression.excerpt) for w in b.prefer]
    if not _somehow(wishes, wanted, alike):
        yield FieldChange("prefer", _weighed(a), _weighed(b))

    def as_strict(one: Excerpt, other: Excerpt) -> bool:
        return same(old.of(one), new.of(other), meter, errors=True)

    named = [(str(t.seconds), t.expression.excerpt) for t in a.tolerate]
    listed = [(str(t.seconds), t.expression.excerpt) for t in b.tolerate]
    if not _somehow(named, listed, as_strict):
        yield FieldChange("tolerate", _words(e for _, e in named), _words(e for _, e in listed))


Alike: TypeAlias = Callable[[Excerpt, Excerpt], bool]
Entry: TypeAlias = tuple[object, Excerpt]


def _matches(one: Entry, other: Entry, alike: Alike) -> bool:
    return one[0] == other[0] and alike(one[1], other[1])


def _pairwise(ones: Sequence[Entry], others: Sequence[Entry], alike: Alike) -> bool:
    """Whether entries are alike, in their order."""
    return len(ones) == len(others) and all(_matches(a, b, alike) for a, b in zip(ones, others, strict=True))


def _somehow(ones: Sequence[Entry], others: Sequence[Entry], alike: Alike) -> bool:
    """Whether entries are alike, in some order."""
    left = list(others)
    for one in ones:
        found = next((other for other in left if _matches(one, other, alike)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


# Words


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _words(excerpts: Iterable[Excerpt]) -> str:
    return _short(", ".join(f"`{' '.join(excerpt.value.split())}`" for excerpt in excerpts)) or "none"


def _weighed(policy: Policy) -> str:
    said = [
        f"`{item.expression.excerpt.value}` weighs {f'`{item.score.value}`' if item.score else item.weight}"
        for item in policy.prefer
    ]
    return _short(", ".join(said)) or "none"


def _selectors(policy: Policy) -> str:
    sides = (("pods", policy.pod_selector), ("namespaces", policy.namespace_selector))
    said = [
        f"{what} with {', '.join(_requirement(r.key, r.operator, r.values) for r in one.requirements)}"
        for what, one in sides
        if one.requirements
    ]
    return _short(" in ".join(said)) or "all pods"


def _requirement(key: str, operator: str, values: Sequence[str]) -> str:
    return f"`{key}` {operator}" + (f" [{', '.join(values)}]" if values else "")


def _plain(item: Spread | PodTerm) -> str:
    return json.dumps(asdict(replace(item, span=None)), sort_keys=True, default=dict)


def _listed(items: Sequence[Spread | PodTerm]) -> str:
    said = []
    for item in items:
        given = {
            name: value for name, value in asdict(replace(item, span=None)).items() if value not in (None, (), False)
        }
        said.append(", ".join(f"{name}={value}" for name, value in given.items()))
    return _short("; ".join(said)) or "none"
