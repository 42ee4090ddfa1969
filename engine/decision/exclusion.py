"""Why pools are out: of each pool that a pod may not go to, the first requirement that rules it out.

Looked for only when somebody asks, after the decision: first what the pod asks for itself, then policies by priority
and name, of each the entries of `require` in their order, then the pod's share where `split` is strict. What comes
later counts beside all that came before, so a pool is told of, too, that each entry alone would leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from engine.decision.contradiction import Side, conflict, labelled, sides_of, states_of
from engine.decision.decide import Decider
from engine.decision.decision import Decision, PolicyOutcome
from engine.decision.pool_values import values_read
from engine.decision.redact import may_read_environment
from engine.evaluation import Inputs, node_set_of, reach
from engine.language import BudgetExceeded
from engine.nodeselector import FALSE, TRUE, LabelStates, Terms, TooMany, both
from engine.placement import own
from engine.pods import redactor, withheld
from engine.pools import Group, PoolIndex
from engine.program import Both, CompiledPolicy, Rule, Tree, leaves_of

SHADOWED = "all its nodes belong to pools whose selectors say more"
TOGETHER = "what is required together leaves none of its nodes"
BESIDE = "beside what comes before, that leaves none of its nodes"
MISSING = "no such key"
NAMED = "the pod names its node"
NOWHERE = "that holds on none of its nodes"
WHATEVER = "that does not hold for this pod, whatever the pool"


class Exclusion(NamedTuple):
    """Why a pool is out, in words; `policy` is whose doing it is, empty where it is no policy's."""

    policy: str
    reason: str


class _Part(NamedTuple):
    """A part of a requirement, with the nodes on which it holds; `quiet` where nothing of the pod is to be told.

    `words` say who requires what; `place` is where.
    """

    policy: str
    words: str
    place: str
    tree: Tree
    inputs: Inputs
    pod: Mapping[str, Any]
    nodes: Sequence[Group]
    quiet: bool

    def tells(self, key: str) -> bool:
        """Whether a label may be told of: its key may have come of the pod's environment."""
        return not self.quiet or key in self.words

    def at(self, bit: int) -> Terms:
        """The terms of a pool's nodes on which it holds, the pool given by its mask."""
        return next((terms for mask, terms in self.nodes if mask & bit), FALSE)


def why_not(decider: Decider, decision: Decision) -> dict[str, Exclusion]:
    """Why pools are out that a decision of the decider does not leave, or leaves with taints that bar the pod; by name.

    A pool is not in it that the pod may go to.
    """
    index, pools = decider.pool_index, decision.pools
    sides: list[Side] = []
    with suppress(TooMany):
        sides = list(sides_of(decision.incoming.pod, own(decision.incoming.pod)))
    parts = list(_parts(decider, decision))
    taints = dict(zip(pools.untolerated, pools.taints, strict=True))
    otherwise = _otherwise(decision)
    found: dict[str, Exclusion] = {}
    for i, pool in enumerate(index.pools):
        if pool.name in taints:
            found[pool.name] = Exclusion("", f"the pod does not tolerate {', '.join(taints[pool.name])}")
        elif pool.name not in pools.after:
            reason = _by_pod(sides, i, index) or _by_policies(sides, parts, i, index) or otherwise
            found |= {pool.name: reason} if reason else {}
    return found


def _otherwise(decision: Decision) -> Exclusion | None:
    """What keeps a pod off pools that nothing else rules out; None where nothing does."""
    if not decision.allowed:
        return Exclusion("", f"the pod is refused: {decision.message}")
    if (decision.incoming.pod.get("spec") or {}).get("nodeName"):
        return Exclusion("", NAMED)
    return Exclusion("", TOGETHER) if decision.pools.before else None


def _by_pod(sides: Sequence[Side], i: int, index: PoolIndex) -> Exclusion | None:
    """Why a pool is out by what the pod asks for itself."""
    if index.shadowed >> i & 1:
        return Exclusion("", SHADOWED)
    for side in sides:
        if not reach(((1 << i, TRUE),), side.terms, index):
            found = conflict(side.terms, index.known(i))
            if found is None:
                return Exclusion("", f"no node meets {side.name}")
            return Exclusion("", f"{side.asks} {_said(found.asked, 'or')}; its nodes carry {_said(found.there)}")
    return None


def _said(labels: Sequence[tuple[str, LabelStates]], joint: str = "") -> str:
    return (f" {joint} " if joint else ", ").join(labelled(key, states) for key, states in labels)


# What policies require


def _parts(decider: Decider, decision: Decision) -> Iterator[_Part]:
    """What has to hold by the policies that have a say, in order; what can't be told is left out."""
    compiled = {policy.name: (policy, part) for part in decider.parts for policy in part.policies}
    facts = {id(part): part.facts(decision.incoming) for part in decider.parts}
    for outcome in decision.policies:
        policy, part = compiled[outcome.name]
        denies = outcome.outcome == "overruled" and policy.policy.when_empty == "deny" and not decision.allowed
        if not denies and outcome.outcome not in ("applied", "satisfied"):
            continue
        inputs = facts[id(part)].inputs(facts[id(part)].arguments(policy))
        quiet = may_read_environment(policy, part.program)
        for words, rule in _rules(policy, outcome):
            for tree in _conjuncts(rule.tree):
                with suppress(TooMany, BudgetExceeded):
                    nodes = node_set_of(inputs.decide(tree), decider.pool_index, inputs.meter).groups
                    yield _Part(policy.name, words, rule.place, tree, inputs, decision.incoming.pod, nodes, quiet)
        if denies:
            return  # what it is refused for; the policies after it have no say


def _rules(policy: CompiledPolicy, outcome: PolicyOutcome) -> Iterator[tuple[str, Rule]]:
    """What a policy requires of a pod, each with the words for it."""
    for rule in policy.require:
        yield f"{policy.name} requires {_wanted(rule)}", rule
    share = None if outcome.share is None else policy.split[outcome.share.place]
    if share is not None and share.strict:
        yield f"{policy.name} has this pod among the {share.percent} % for {_wanted(share.rule)}", share.rule


def _wanted(rule: Rule) -> str:
    text = f"`{' '.join(rule.text.split())}`"
    return f"{text} ({rule.message})" if rule.message else text


def _conjuncts(tree: Tree) -> Iterator[Tree]:
    """The parts of an expression all of which have to hold."""
    match tree:
        case Both():
            yield from (*_conjuncts(tree.left), *_conjuncts(tree.right))
        case _:
            yield tree


def _by_policies(sides: Sequence[Side], parts: Sequence[_Part], i: int, index: PoolIndex) -> Exclusion | None:
    """Why a pool is out by what policies require, beside the pod's own constraints."""
    before, bit = list(sides), 1 << i
    left = sides[-1].terms if sides else TRUE
    for part in parts:
        terms = part.at(bit)
        if not reach(((bit, terms),), TRUE, index):
            return Exclusion(part.policy, f"{part.words}{_alone(part, terms, i, index)}")
        if not reach(((bit, terms),), left, index):
            return Exclusion(part.policy, f"{part.words}{_beside(part, terms, before, i, index)}")
        before.append(Side(part.policy, False, terms))
        with suppress(TooMany):
            left = both(left, terms)
    return None


def _alone(part: _Part, terms: Terms, i: int, index: PoolIndex) -> str:
    """Why a part holds on no node of a pool: what is not known, or the values on both sides."""
    found = conflict(terms, index.known(i))
    if found is not None:
        asked = "" if part.quiet else f", which asks for {_said(found.asked, 'or')}"
        there = _said([(key, states) for key, states in found.there if part.tells(key)])
        return f"{asked}; its nodes carry {there}" if there else f"; {NOWHERE}"
    with suppress(BudgetExceeded):
        error = part.inputs.error(part.tree, 1 << i).removesuffix(f" (pool `{index.pools[i].name}`)")
        values = ", ".join(values_read(part.tree, part.inputs, i, part.tells, quiet=part.quiet))
        if error:
            return f": {_told(part, error)}{f'; {values}' if values and MISSING in error else ''}"
        return f"; {values or (NOWHERE if _is_about_nodes(part.tree) else WHATEVER)}"
    return ""


def _is_about_nodes(tree: Tree) -> bool:
    return any(leaf.reads_pool or leaf.function is None for leaf in leaves_of(tree))


def _told(part: _Part, error: str) -> str:
    """An error without what it quotes of the pod's environment."""
    if part.quiet:
        return withheld(f"{part.place}: {error}")
    return redactor(part.pod)(error)


def _beside(part: _Part, terms: Terms, before: Sequence[Side], i: int, index: PoolIndex) -> str:
    """Why a part leaves no node of a pool beside what came before it."""
    for side in before:
        for key in sorted({key for term in terms for key, _ in term.requirements}):
            known = index.states(i, key)
            asked, other = states_of(key, terms), states_of(key, side.terms)
            if part.tells(key) and (asked & other & known).impossible:
                told = "" if part.quiet else f", which asks for {labelled(key, asked)}"
                return f"{told}; {side.asks} {labelled(key, other)}"
        with suppress(TooMany):
            if not reach(((1 << i, both(terms, side.terms)),), TRUE, index):
                return f"; {side.name} {'leave' if side.plural else 'leaves'} none of these nodes"
    return f"; {BESIDE}"
