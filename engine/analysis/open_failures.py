"""Policies that their pods' authors can have left out: what must be, and fails open where an expression is an error.

Pods are made up as `witness.py` does it, with odd values in the fields that conditions, `deny` and `tolerate` read, or
with nothing there. Whether the policy fails for one of them is for the engine to say, so that what is told is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from engine.analysis.candidate_pods import Candidate, asked_of, candidate_for
from engine.analysis.stage import TAINT, Stage
from engine.analysis.witness import Wanted, with_value
from engine.decision import EVALUATING, Decider
from engine.documents import Excerpt, Problem
from engine.evaluation import PodFacts, PolicyEvaluation, evaluate_policy, failure_of
from engine.language import Budget, BudgetExceeded, CelError, parse
from engine.pools import Taint
from engine.program import (
    EACH,
    CompiledPolicy,
    CompiledTolerance,
    Condition,
    FieldPath,
    PoolView,
    Undecided,
    named_taints,
)

ODD = ("x", "", "0", "1.5", "99999999999999999999", "(", 0, 1000000)
"""Values that conversions, patterns, indexes and divisors do not take, as far as a field takes them."""
ODDITY = 40
"""What putting a value into a pod that is wanted costs, in units."""
MAX_PODS = 96
"""So many pods are tried for one policy."""
MAX_BASES = 6
"""So many of them are the ones that odd values are put into."""
MAX_POOLS = 8
"""So many pools are asked for taints."""
_AUTHORS = frozenset(("pod", "requests"))


def open_failures(
    policy: CompiledPolicy, stages: Sequence[Stage], decider: Decider, meter: Budget
) -> Iterator[Problem]:
    """Warns of each expression that a pod's author can make an error, so that a policy about what must be is left out.

    `decider` has the policies' program, be it on no pools at all.
    """
    if not policy.policy.hard or policy.policy.failure_policy != "Ignore":
        return
    expressions = {str(excerpt.whole): excerpt for excerpt in policy.policy.excerpts}
    items: tuple[Condition | CompiledTolerance, ...] = (*policy.match_conditions, *policy.deny, *policy.tolerate)
    reads = {item.place: item.reads for item in items}
    paths = list(dict.fromkeys(path for each in reads.values() for path in each if path[0] in _AUTHORS))
    found: dict[str, tuple[Candidate, str]] = {}
    decided = False
    spent: BudgetExceeded | None = None
    try:
        for candidate in islice(_odd_pods(policy, paths, decider, meter), MAX_PODS) if paths else ():
            failure = _failure(policy, candidate, stages, decider, meter)
            decided = decided or failure is None
            for place in reads if failure else ():
                if failure and failure.startswith(f"{place}: "):
                    found.setdefault(place, (candidate, failure.removeprefix(f"{place}: ")))
    except BudgetExceeded as exceeded:
        spent = exceeded
    for place, (candidate, error) in found.items():
        if decided or all(path[0] in _AUTHORS for path in reads[place]):
            yield _problem(policy, expressions[place], candidate, error)
    if spent:
        raise spent


def _problem(policy: CompiledPolicy, excerpt: Excerpt, candidate: Candidate, error: str) -> Problem:
    message = f"whoever makes a pod can make this an error, and `{policy.name}` is left out of the decision then"
    words = "a pod that says no more than it must" if candidate.words == "a pod" else candidate.words
    hint = f"{words} does it ({error}): say `failurePolicy: Fail`, or allow for it in the expression"
    return Problem("fails-open", message, excerpt.whole, hint=hint, severity="warning")


def _odd_pods(
    policy: CompiledPolicy, paths: Sequence[FieldPath], decider: Decider, meter: Budget
) -> Iterator[Candidate]:
    """Pods that the policy may be about, first with nothing in the fields that it reads, then with odd values."""
    bases = asked_of(policy.policy, decider.program, meter)[:MAX_BASES]
    yield from _candidates(bases, policy, meter)
    for path in paths:
        if path[0] != "pod":
            continue  # the API server takes no other requests than quantities
        steps = tuple(0 if step is EACH else step for step in path)
        meter.spend(ODDITY * len(ODD) * len(bases))
        odd = [with_value(base, steps, value) for value in ODD for base in bases]
        tried: list[Wanted] = []
        for one in odd:
            if one is not None and one not in tried:
                tried.append(one)
                yield from _candidates([one], policy, meter)


def _candidates(wanted: Iterable[Wanted], policy: CompiledPolicy, meter: Budget) -> Iterator[Candidate]:
    for one in wanted:
        candidate = candidate_for(one, (policy.policy,), meter)
        if candidate is not None:
            yield candidate


def _failure(
    policy: CompiledPolicy, candidate: Candidate, stages: Sequence[Stage], decider: Decider, meter: Budget
) -> str | None:
    """Why a policy fails for a pod, with the place; empty where it is not about the pod, None where it is decided."""
    pod_facts = PodFacts(candidate.incoming, decider.pool_facts, decider.constants)
    evaluation = evaluate_policy(policy, pod_facts)
    meter.spend(EVALUATING + pod_facts.spent)
    if evaluation.outcome == "failed":
        return evaluation.error
    if evaluation.outcome != "applied":
        return "" if evaluation.outcome in ("notMatched", "notRolledOut") else None
    return next(_toleration_failures(evaluation, stages, meter), None)


def _toleration_failures(evaluation: PolicyEvaluation, stages: Sequence[Stage], meter: Budget) -> Iterator[str]:
    """Why entries of `tolerate` fail for taints that pools have, or that the entries name."""
    pools = [
        (pool, view)
        for stage in stages
        for pool, view in islice(zip(stage.pool_index.pools, stage.decider.pool_facts.views, strict=True), MAX_POOLS)
    ]
    for entry in evaluation.policy.tolerate if evaluation.arguments else ():
        node, _ = parse(Excerpt.of(entry.text))
        named = [Taint(str(literal.value), "", "NoSchedule") for literal in named_taints(node)] if node else []
        asked: list[tuple[PoolView | None, Taint]] = [(None, taint) for taint in named if not entry.reads_pool]
        asked += [(view, taint) for pool, view in pools for taint in (*pool.taints, *named)]
        budget = evaluation.arguments[0] if evaluation.arguments else None
        assert isinstance(budget, Budget)
        for view, taint in asked:
            meter.spend(TAINT)
            left = budget.left
            try:
                entry.function(*evaluation.arguments, view, taint._asdict())
            except (CelError, BudgetExceeded) as error:
                yield str(failure_of(entry, error, evaluation.arguments))
            except Undecided:
                continue
            finally:
                meter.left -= left - max(0, budget.left)
