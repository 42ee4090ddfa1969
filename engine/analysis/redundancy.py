"""Policies that another one makes redundant: it applies wherever they do, and leaves no other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.analysis.stage import Stage, covers, requires_the_same_always
from engine.analysis.witness import selected
from engine.bundle import Named, Policy
from engine.documents import Excerpt, Problem
from engine.evaluation import alive, node_terms
from engine.language import free_names, parse, shape
from engine.nodeselector import ANY, TRUE, TooMany, implies
from engine.program import CompiledPolicy, Program


def redundancies(
    policies: Sequence[CompiledPolicy], stages: Sequence[Stage], program: Program
) -> Iterator[tuple[CompiledPolicy, CompiledPolicy]]:
    """Policies with one that makes them redundant; those by descending priority, for that is taken first."""
    for place, policy in enumerate(policies):
        for other in filter(_dependable, policies[:place] if _dispensable(policy) else ()):
            if program.exemptions and not _exempts_alike(program, policy, other):
                continue
            if not _fails_only_with(policy, other):
                continue
            if _applies_too(policy.policy, other.policy) and _as_strict(policy, other, stages):
                yield policy, other
                break


def _exempts_alike(program: Program, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    """Whether a policy is left out by every exemption that leaves out the other."""
    return all(one.covers(policy.name) for one in program.exemptions if one.covers(other.name))


def _dispensable(policy: CompiledPolicy) -> bool:
    """Whether a policy does nothing but require."""
    given = policy.policy
    return given.mode == "enforce" and bool(given.require) and policy.only_requires and not given.deny


def _fails_only_with(policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    """Whether a policy refuses no pod by failing that the other, which requires as much, does not refuse, too."""
    mine, its = policy.policy, other.policy
    if mine.failure_policy == "Ignore" or (not mine.match_conditions and requires_the_same_always(policy)):
        return True
    return its.failure_policy == "Fail" and _shapes(mine, mine.match_conditions) <= _shapes(its, its.match_conditions)


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


def _as_strict(policy: CompiledPolicy, other: CompiledPolicy, stages: Iterable[Stage]) -> bool:
    """Whether a policy leaves no node that the first does not leave, whatever the pod."""
    if _rules(policy.policy) == _rules(other.policy):
        return True
    return (
        requires_the_same_always(policy)
        and requires_the_same_always(other)
        and all(_narrower(stage, policy, other) for stage in stages)
    )


def _narrower(stage: Stage, policy: CompiledPolicy, other: CompiledPolicy) -> bool:
    wide, narrow = stage.left(policy), stage.left(other)
    if wide is None or narrow is None or not alive(narrow, TRUE, stage.pool_index):
        return False
    every = stage.pool_index.every
    try:
        said = implies(node_terms(narrow, every, stage.pool_index), node_terms(wide, every, stage.pool_index))
        return said and covers(wide, narrow, stage)  # pool by pool, for the pools that are left decide on tolerations
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


def redundant_policy(policy: CompiledPolicy, other: CompiledPolicy) -> Problem:
    """The problem of a policy that another makes redundant."""
    message = f"`{policy.name}` changes nothing: `{other.name}` applies wherever it does, and leaves no other nodes"
    return Problem("redundant-policy", message, policy.policy.span, hint="leave it out", severity="warning")
