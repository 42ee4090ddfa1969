"""Preferences, scores and tiers that never matter: true on all nodes that are left, on none, or equal in weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from engine.analysis.ledger import Ledger
from engine.analysis.stage import Evaluations, Stage, covers, in_any, in_both, requires_the_same_always, rule_reads_pod
from engine.bundle import Policy
from engine.decision import scaled_to
from engine.documents import Excerpt, Problem
from engine.evaluation import NodeSet, PolicyEvaluation, node_terms
from engine.language import free_names, parse
from engine.nodeselector import TooMany, affordable
from engine.placement import MAX_WEIGHT
from engine.program import POD_NAMES, CompiledPolicy, CompiledPreference

ENOUGH = 7
"""Fewer tiers never take more than 100 weights, for each takes as many as all worse ones and one more, at most."""


def _names_read(excerpt: Excerpt) -> frozenset[str]:
    """The variables that an expression reads."""
    node, _ = parse(excerpt)
    return free_names(node) if node else frozenset()


def idle_preferences(
    policy: CompiledPolicy, stages: Sequence[Stage], evaluations: Evaluations, ledger: Ledger
) -> Iterator[Problem]:
    """A problem for each preference or score that never matters; a doubt where no pod shows that one does."""
    unproven: set[int] = set()
    for place, item in enumerate(policy.prefer):
        said = _idleness(policy, item, stages) or _flatness(policy, place, item, stages)
        if said:
            yield _prefers_nothing(policy.policy.prefer[place].expression.excerpt, said, policy)
        elif item.rule is not None and (rule_reads_pod(item.rule) or not requires_the_same_always(policy)):
            unproven.add(place)
    for evaluation, stage in evaluations if unproven else ():
        for wish in evaluation.wishes:
            if wish.item in unproven and _matters(wish.nodes, evaluation, stage):
                unproven.discard(wish.item)
    if unproven:
        ledger.doubt(policy.name, "no pod was found for which what it prefers matters, and there may be one")


def late_tiers(policy: CompiledPolicy, stages: Sequence[Stage]) -> Iterator[Problem]:
    """A problem for each tier that never matters."""
    for place, excerpt in enumerate(tier.excerpt for tier in policy.policy.fallback):
        said = _lateness(policy, place, stages)
        if said:
            yield _prefers_nothing(excerpt, said, policy)


def _prefers_nothing(excerpt: Excerpt, said: str, policy: CompiledPolicy) -> Problem:
    message = f"this {said} that `{policy.name}` leaves, whatever the pod, so it prefers nothing"
    return Problem("idle-preference", message, excerpt.whole, severity="warning")


def _idleness(policy: CompiledPolicy, item: CompiledPreference, stages: Iterable[Stage]) -> str:
    """That a preference is true on no node, or on every one, where that is so for every pod; else nothing."""
    if item.rule is None:
        return ""
    rules = (item.rule,)
    pairs = [(stage, stage.left(policy), stage.widest(rules)) for stage in stages]
    if all(stage.nowhere(in_both(stage, left, wish), (*policy.require, *rules)) for stage, left, wish in pairs):
        return "is true on no node"
    constant = item.score is None and not rule_reads_pod(item.rule)
    if constant and all(left and wish and covers(wish, left, stage) for stage, left, wish in pairs):
        return "is true on every node"
    return ""


def _flatness(policy: CompiledPolicy, place: int, item: CompiledPreference, stages: Iterable[Stage]) -> str:
    """That a score is 0 on every node, or some other number, where it does not depend on the pod; else nothing."""
    excerpt = policy.policy.prefer[place].score
    if item.score is None or excerpt is None or (item.rule and rule_reads_pod(item.rule)):
        return ""
    if _names_read(excerpt) & {"variables", *POD_NAMES}:
        return ""
    found = {_flat_score(policy, item, stage) for stage in stages}
    if found == {0}:
        return "scores nothing on any node"
    return "scores the same on every node" if None not in found else ""


def _flat_score(policy: CompiledPolicy, item: CompiledPreference, stage: Stage) -> int | None:
    """The one weight that a score comes to on all nodes that are left, None past a limit, or if there are more."""
    left = stage.left(policy)
    where = None if item.rule is None else stage.widest((item.rule,))
    scored = stage.scored(item)
    if left is None or scored is None or (item.rule and where is None):
        return None
    weights = [(w.weight, w.nodes if where is None else in_both(stage, w.nodes, where)) for w in scored]
    told = [
        (weight, nodes)
        for weight, nodes in weights
        if nodes is None or not stage.nowhere(in_both(stage, left, nodes), ())
    ]
    if not told:
        return 0
    ((weight, first), *more) = told
    return weight if not more and first is not None and covers(first, left, stage) else None


def _lateness(policy: CompiledPolicy, place: int, stages: Iterable[Stage]) -> str:
    """That every node of a tier is of an earlier one, or that the first has every node; else nothing.

    A tier that no node has is none of this: it may wait for a pool that is still to come.
    """
    rule, earlier = policy.fallback[place], [one for one in policy.fallback[:place] if not rule_reads_pod(one)]
    for stage in stages:
        left, tier = stage.left(policy), stage.widest((rule,))
        mine = in_both(stage, left, tier)
        if left is None or tier is None or mine is None or not stage.alive(mine):
            return ""
        if place == 0 and (rule_reads_pod(rule) or not covers(tier, left, stage)):
            return ""
        if place > 0 and not covers(in_any(stage.widest((one,)) for one in earlier), mine, stage):
            return ""
    return "tier is true only on nodes of an earlier one, of those" if place else "tier is true on every node"


def _matters(wish: NodeSet, evaluation: PolicyEvaluation, stage: Stage) -> bool:
    """Whether some of the nodes that a policy leaves are preferred, and some are not."""
    left = evaluation.nodes or stage.everywhere
    met = in_both(stage, wish, left)
    return met is not None and stage.alive(met) and not covers(wish, left, stage)


# Tiers that are too many


def tied_tiers(policy: CompiledPolicy, stages: Sequence[Stage], evaluations: Evaluations) -> Iterator[Problem]:
    """That tiers come out equal on every inventory, each time for some pod that is tried."""
    tied = set[str]()
    for evaluation, stage in evaluations if len(policy.fallback) >= ENOUGH else ():
        if stage.name not in tied and _come_out_equal(evaluation, stage):
            tied.add(stage.name)
    if len(tied) == len(stages):
        yield _tied(policy.policy)


def _come_out_equal(evaluation: PolicyEvaluation, stage: Stage) -> bool:
    """Whether a tier weighs no more than a worse one, where its policy leaves nodes of both, and all can be written."""
    weights = {wish.nodes: wish.weight for wish in scaled_to(MAX_WEIGHT, list(evaluation.tiers))}
    left = evaluation.nodes or stage.everywhere
    reached = [in_both(stage, tier.nodes, left) for tier in evaluation.tiers]
    written = [
        weights[tier.nodes]
        for tier, nodes in zip(evaluation.tiers, reached, strict=True)
        if nodes is not None and stage.alive(nodes)
    ]
    if not any(better <= worse for better, worse in pairwise(written)):
        return False
    try:
        terms = [
            term
            for tier in evaluation.tiers
            for term in node_terms(tier.nodes, stage.pool_index.every, stage.pool_index, stage.meter)
        ]
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
