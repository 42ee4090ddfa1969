"""Stage: a program on an inventory, whatever the pod. What is known of pools counts, what depends on a pod does not.

Nodes are looked at without a pod: what a rule that reads `pod` says is taken to be true and false at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from engine.decision import NO_POD, Decider
from engine.evaluation import (
    POLICY_BUDGET,
    ByNode,
    Inputs,
    NodeSet,
    Verdict,
    WeightedNodes,
    alive,
    both_hold,
    intersection,
    node_set_of,
    scored,
)
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import TRUE, Term, Terms, TooMany, implies
from engine.pools import PoolIndex, members
from engine.program import CompiledPolicy, CompiledPreference, Leaf, Rule, leaves_of


class Doubts:
    """What could not be decided, once for each policy."""

    def __init__(self) -> None:
        self.by_policy: dict[str, str] = {}

    def add(self, policy: str, words: str) -> None:
        known = self.by_policy.get(policy)
        self.by_policy[policy] = f"{known}; {words}" if known else words


class Stage:
    """An inventory, the bundle's program on it, and what its policies come to for every conceivable pod."""

    def __init__(self, name: str, decider: Decider) -> None:
        self.name, self.decider, self.pool_index = name, decider, decider.pool_index
        pool_facts = decider.pool_facts
        undecided = {leaf.number: _either(leaf, self.pool_index) for leaf in decider.program.leaves if leaf.reads_pod}
        self._budget = Budget(POLICY_BUDGET)
        self._seen = Inputs(pool_facts, (self._budget, *NO_POD, *decider.constants), undecided)

    @property
    def _inputs(self) -> Inputs:
        """The inputs of the next question, which has a budget of its own: POLICY_BUDGET units."""
        self._budget.left = POLICY_BUDGET
        return self._seen

    def widest(self, rules: Sequence[Rule]) -> NodeSet | None:
        """A node set with every node on which the rules can be true, whatever the pod; None past a limit or the budget.

        It is exact where no rule reads the pod.
        """
        try:
            inputs = self._inputs
            verdict = inputs.decide(rules[0].tree)
            for rule in rules[1:]:
                verdict = both_hold(verdict, partial(inputs.decide, rule.tree), self.pool_index.every, inputs.meter)
            widest = node_set_of(verdict, self.pool_index, inputs.meter)
            beside = widest.anywhere is None and any(map(rule_reads_pod, rules))
            return replace(widest, anywhere=TRUE) if beside else widest  # some pod may make the pool not matter
        except (TooMany, BudgetExceeded):
            return None

    @property
    def everywhere(self) -> NodeSet:
        """What a policy that requires nothing leaves."""
        return NodeSet(((self.pool_index.every, TRUE),), TRUE)

    def left(self, policy: CompiledPolicy) -> NodeSet | None:
        """The nodes that a policy can leave, at most; None past a limit or the budget."""
        if not policy.require:
            return self.everywhere
        return self.widest(policy.require)

    def unsatisfiable(self, policy: CompiledPolicy) -> bool:
        """Whether no pod can run anywhere under a policy."""
        return self.nowhere(self.left(policy), policy.require)

    def nowhere(self, where: NodeSet | None, rules: Iterable[Rule]) -> bool:
        """Whether the widest node set of these rules is empty; False where a pod decides and nodes of no pool exist."""
        if where is None or (self.pool_index.inventory.strays and any(map(rule_reads_pod, rules))):
            return False
        return not alive(where, TRUE, self.pool_index)

    def scored(self, item: CompiledPreference) -> tuple[WeightedNodes, ...] | None:
        """What a score that no pod decides comes to, by weight; None past a limit or the budget."""
        try:
            return tuple(scored(item.score, self._inputs, [])) if item.score else ()
        except (TooMany, BudgetExceeded):
            return None

    def error(self, rule: Rule) -> str:
        """What a rule runs into, on the pools where it is an error."""
        try:
            return "" if rule_reads_pod(rule) else self._inputs.error(rule.tree)
        except BudgetExceeded as error:
            return str(error)


def _either(leaf: Leaf, pool_index: PoolIndex) -> Verdict:
    """What depends on the pod: true on every node, and false on every node."""
    both_ways = (TRUE, TRUE)
    return ByNode(((pool_index.every, both_ways),), None if leaf.reads_pool else both_ways)


def rule_reads_pod(rule: Rule) -> bool:
    """Whether what a rule says depends on the pod."""
    return any(leaf.reads_pod for leaf in leaves_of(rule.tree))


def requires_the_same_always(policy: CompiledPolicy) -> bool:
    """Whether what a policy requires is the same for every pod."""
    return not any(map(rule_reads_pod, policy.require))


def disjoint_in(stage: Stage, a: NodeSet | None, b: NodeSet | None) -> bool:
    """Whether two node sets may have no node in common; True where that is not known."""
    try:
        return a is None or b is None or not alive(intersection(a, b), TRUE, stage.pool_index)
    except TooMany:
        return True


def pools_reached(where: NodeSet, pool_index: PoolIndex) -> int:
    """The mask of the pools that may have a node of the set; `>> i & 1` is pool i's bit."""
    return sum(
        1 << i for i in range(len(pool_index.pools)) if any(pool_index.possible(t) >> i & 1 for t in _here(where, i))
    )


def _here(where: NodeSet, pool: int) -> Terms:
    """The terms for the nodes of a node set in one pool."""
    return tuple(t for mask, terms in where.groups if mask >> pool & 1 for t in terms)


def in_any(node_sets: Iterable[NodeSet | None]) -> NodeSet:
    """The nodes of any of these node sets; None, a set that is not known, is left out."""
    known = [nodes for nodes in node_sets if nodes is not None]
    outside = [nodes.anywhere for nodes in known if nodes.anywhere is not None]
    groups = tuple(group for nodes in known for group in nodes.groups)
    return NodeSet(groups, tuple(term for terms in outside for term in terms) if outside else None)


def in_both(a: NodeSet | None, b: NodeSet | None) -> NodeSet | None:
    """The nodes of both node sets; None where one is not known, or it takes too many terms."""
    try:
        return None if a is None or b is None else intersection(a, b)
    except TooMany:
        return None


def covers(wish: NodeSet, left: NodeSet, stage: Stage) -> bool:
    """Whether preferred nodes (`wish`) are all nodes that are left. What is known of a pool's nodes counts."""
    pool_index = stage.pool_index
    beside = left.anywhere if pool_index.inventory.strays else None
    if beside is not None and (wish.anywhere is None or not implies(beside, wish.anywhere)):
        return False
    for mask, terms in left.groups:
        for i in members(mask):
            known = pool_index.known(i)
            if not implies(_narrowed(terms, known), _here(wish, i)):
                return False
    return True


def _narrowed(terms: Terms, known: Term) -> Terms:
    return tuple(met for one in terms if not (met := one & known).impossible)
