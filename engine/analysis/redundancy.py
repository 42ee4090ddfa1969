"""Policies that another one makes redundant: it applies wherever they do, and leaves no other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from engine.analysis.selections import Selections
from engine.analysis.stage import PARSING, Stage, covers, requires_the_same_always
from engine.bundle import Named, Policy
from engine.documents import Excerpt, Problem
from engine.evaluation import node_terms
from engine.language import Budget, free_names, parse, shape
from engine.nodeselector import ANY, TooMany, implies
from engine.program import CompiledPolicy, Program

PAIR = 40
"""What comparing two policies costs at least, in units."""


Reaches: TypeAlias = Callable[[CompiledPolicy, CompiledPolicy], bool]
"""Whether the second policy is about whatever the first is about, as far as their bundles say."""


def redundancies(
    policy: CompiledPolicy,
    selections: Selections,
    stages: Sequence[Stage],
    reaches: Reaches,
    spell: Spelling,
    told: Callable[[CompiledPolicy, CompiledPolicy], Problem] | None = None,
) -> Iterator[Problem]:
    """That another makes a policy redundant; that one is before it, by descending priority, for it is taken first."""
    meter = stages[0].meter
    for other in selections.beside(policy, meter) if _dispensable(policy) else ():
        if other.name == policy.name:
            return
        if not _dependable(other):
            continue
        meter.spend(PAIR)
        if not reaches(policy, other):
            continue
        if not _fails_only_with(policy, other, spell):
            continue
        if _applies_too(policy.policy, other.policy, selections, spell) and _as_strict(policy, other, stages, spell):
            yield (told or redundant_policy)(policy, other)
            return


def exempts_alike(program: Program, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    """Whether a policy is left out by every exemption that leaves out the other."""
    return all(one.covers(policy.name) for one in program.exemptions if one.covers(other.name))


def _dispensable(policy: CompiledPolicy) -> bool:
    """Whether a policy does nothing but require."""
    given = policy.policy
    return given.mode == "enforce" and bool(given.require) and policy.only_requires and not given.deny


def _fails_only_with(policy: CompiledPolicy, other: CompiledPolicy, spell: Spelling) -> bool:
    """Whether a policy refuses no pod by failing that the other, which requires as much, does not refuse, too."""
    mine, its = policy.policy, other.policy
    if mine.failure_policy == "Ignore" or (not mine.match_conditions and requires_the_same_always(policy)):
        return True
    return its.failure_policy == "Fail" and spell.all(mine, mine.match_conditions) <= spell.all(
        its, its.match_conditions
    )


def _dependable(policy: CompiledPolicy) -> bool:
    """Whether a policy, where it applies, has its way or the pod is refused."""
    given = policy.policy
    plain = given.mode == "enforce" and bool(given.require) and policy.only_requires and not given.deny
    return plain and given.rollout == 100 and given.when_empty == "deny"


def _applies_too(policy: Policy, other: Policy, selections: Selections, spell: Spelling) -> bool:
    """Whether a policy applies to every pod that the first applies to."""
    mine, its = selections.of[policy.name], selections.of[other.name]
    if mine is None or its is None:
        return False
    if not all(mine.labels.get(key, ANY) <= values for key, values in its.labels.items()):
        return False
    if not all(mine.namespace.get(key, ANY) <= values for key, values in its.namespace.items()):
        return False
    return spell.all(other, other.match_conditions) <= spell.all(policy, policy.match_conditions)


def _as_strict(policy: CompiledPolicy, other: CompiledPolicy, stages: Iterable[Stage], spell: Spelling) -> bool:
    """Whether a policy leaves no node that the first does not leave, whatever the pod."""
    if spell.rules(policy.policy) == spell.rules(other.policy):
        return True
    return (
        requires_the_same_always(policy)
        and requires_the_same_always(other)
        and all(_narrower(stage, policy, other) for stage in stages)
    )


def _narrower(stage: Stage, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    wide, narrow = stage.of(policy).left(policy), stage.of(other).left(other)
    if wide is None or narrow is None or not stage.alive(narrow):
        return False
    every, meter = stage.pool_index.every, stage.meter
    try:
        inner, outer = (node_terms(nodes, every, stage.pool_index, meter) for nodes in (narrow, wide))
        said = implies(inner, outer, meter)
        return said and covers(wide, narrow, stage)  # pool by pool, for the pools that are left decide on tolerations
    except TooMany:
        return False


class Spelling:
    """What expressions say, spelled in one way; each is read once, at the expense of a meter.

    Those that use variables say what the variables say, too. Where policies are of several bundles, `params` are the
    constants of each policy's own, which those say that use them.
    """

    def __init__(self, meter: Budget, params: Mapping[str, str] | None = None) -> None:
        self._meter, self._params = meter, params or {}
        self._known: dict[tuple[str, str], str] = {}

    def rules(self, policy: Policy) -> frozenset[str]:
        """What a policy requires."""
        return self.all(policy, (Named("", item.excerpt) for item in policy.require))

    def all(self, policy: Policy, items: Iterable[Named]) -> frozenset[str]:
        """What these expressions of a policy say."""
        return frozenset(self._one(item.excerpt, policy) for item in items)

    def _one(self, excerpt: Excerpt, policy: Policy) -> str:
        asked = (policy.name, excerpt.value)
        self._meter.spend(len(excerpt.value) // 8)
        if asked not in self._known:
            self._meter.spend(PARSING * len(excerpt.value))
            self._known[asked] = _shape(excerpt, policy, self._params.get(policy.name, ""))
        return self._known[asked]


def _shape(excerpt: Excerpt, policy: Policy, params: str) -> str:
    node, _ = parse(excerpt)
    if node is None:
        return f"{policy.name}: {excerpt.value}"
    names = free_names(node)
    own = [(named.name, named.excerpt.value) for named in policy.variables] if "variables" in names else ""
    return f"{shape(node)}{own}{params if own or 'params' in names else ''}"


def redundant_policy(policy: CompiledPolicy, other: CompiledPolicy) -> Problem:
    """The problem of a policy that another makes redundant."""
    message = f"`{policy.name}` changes nothing: `{other.name}` applies wherever it does, and leaves no other nodes"
    return Problem("redundant-policy", message, policy.policy.span, hint="leave it out", severity="warning")
