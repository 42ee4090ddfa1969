"""What Karpenter makes of policies, where the inventory has pools of it: see docs/karpenter.md.

Source: sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning and pkg/scheduling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.analysis.conflicts import quoted
from engine.analysis.stage import Evaluations, Stage
from engine.bundle import Bundle, Policy
from engine.decision import makes_none
from engine.documents import Problem, Span
from engine.evaluation import PolicyEvaluation, node_terms, reach
from engine.nodeselector import TRUE, Term, Terms, TooMany, work
from engine.pools import Pool, is_of_one_value, members
from engine.program import CompiledPolicy

TRUE_OF_EACH = "ask for what is true of a pool, or of each node that Karpenter may make for it"
TOO_FEW = "let more of them be left; with MIN_VALUES_POLICY=BestEffort Karpenter does with fewer"


def karpenter_problems(policy: CompiledPolicy, evaluations: Evaluations) -> Iterator[Problem]:
    """The first thing that a policy requires of a pod for which Karpenter makes no node then."""
    if not policy.require:
        return
    mine = ((evaluation, stage) for evaluation, stage in evaluations if has_karpenter(stage))
    reason = next(filter(None, (_dropped(evaluation, stage) for evaluation, stage in mine)), "")
    if reason:
        message = f"Karpenter makes no node for the pods of `{policy.name}`: {reason}"
        hint = TOO_FEW if "minValues" in reason else TRUE_OF_EACH
        yield Problem("karpenter-drops-pods", message, _place(policy.policy, reason), hint=hint, severity="warning")


def has_karpenter(stage: Stage) -> bool:
    """Whether pools of an inventory are Karpenter's."""
    return "karpenter" in stage.pool_index.providers


def karpenter_wishes(bundle: Bundle) -> Iterator[Problem]:
    """A problem for all policies that wish.

    Source: Karpenter's scheduling, which takes the heaviest preference as a requirement until it has to relax it.
    """
    wishing = [p.name for p in bundle.policies if (p.prefer or p.fallback) and p.mode != "off"]
    if wishing and bundle.span:
        message = (
            f"Karpenter takes the heaviest preference of a pod as required until no node can be made for it, "
            f"so what {quoted(wishing)} {'prefers' if len(wishing) == 1 else 'prefer'} may add nodes"
        )
        hint = "see docs/rules/karpenter-preference.md for what to do"
        yield Problem("karpenter-preference", message, bundle.span, hint=hint, severity="info")


def _dropped(evaluation: PolicyEvaluation, stage: Stage) -> str:
    """Why Karpenter drops the pod for what is required of it, though pools of Karpenter's are left; empty if not."""
    terms = _required(evaluation, stage)
    reasons = (makes_none(one) for term in terms for one in (term.alternatives() if term.requirements else ()))
    return next(filter(None, reasons), "") or (_too_few(evaluation, stage) if terms else "")


def _too_few(evaluation: PolicyEvaluation, stage: Stage) -> str:
    """Why no pool of Karpenter's that is left has enough values of a label (`minValues`); empty if one may have.

    Counted are values of types of machines, so only a label of which each type has one value is certain.
    """
    assert evaluation.nodes is not None
    pool_index, reason = stage.pool_index, ""
    for mask, terms in evaluation.nodes.groups:
        for index in members(mask & pool_index.providers["karpenter"]):
            stage.meter.spend(work(terms) + len(terms) * work((pool_index.known(index),)))
            for term in terms:
                starved = _starved(pool_index.pools[index], term & pool_index.known(index))
                if starved is None:
                    return ""
                reason = reason or starved
    return reason


def _starved(pool: Pool, term: Term) -> str | None:
    """Why Karpenter makes no node of a NodePool that meets a term; empty where none could anyway, None if it may."""
    if term.impossible:
        return ""
    for key, least in pool.least.items():
        left = term[key].finite
        if is_of_one_value(key) and left is not None and len(left) < least:
            return f"its NodePool {pool.name} asks for {least} values of {key} (minValues), and {len(left)} are left"
    return None


def _required(evaluation: PolicyEvaluation, stage: Stage) -> Terms:
    """The terms that a policy requires, none if they leave no pool of Karpenter's."""
    pool_index, nodes = stage.pool_index, evaluation.nodes
    if evaluation.outcome != "applied" or nodes is None:
        return ()
    try:
        reached = reach(nodes.groups, TRUE, pool_index, stage.meter)
        return (
            node_terms(nodes, reached, pool_index, stage.meter) if reached & pool_index.providers["karpenter"] else ()
        )
    except TooMany:
        return ()


def _place(policy: Policy, reason: str) -> Span:
    """The requirement that names a label of which the reason tells, else the policy."""
    named = (one.excerpt for one in policy.require if any(part in reason for part in _texts(one.excerpt.value)))
    excerpt = next(named, None)
    return policy.span if excerpt is None else excerpt.whole


def _texts(expression: str) -> Iterable[str]:
    """The texts in quotes of an expression that look like labels."""
    return (part for quote in "\"'" for part in expression.split(quote)[1::2] if "/" in part)
