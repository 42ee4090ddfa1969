"""Stage: a program on an inventory, whatever the pod. What is known of pools counts, what depends on a pod does not.

Nodes are looked at without a pod: what a rule that reads `pod` says is taken to be true and false at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from engine.decision import NO_POD, Decider
from engine.evaluation import (
    POLICY_BUDGET,
    ByNode,
    Inputs,
    NodeSet,
    PolicyEvaluation,
    Verdict,
    WeightedNodes,
    alive,
    both_hold,
    intersection,
    node_set_of,
    reach,
    scored,
)
from engine.language import Budget, BudgetExceeded
from engine.nodeselector import TRUE, Term, Terms, TooMany, implies, work
from engine.pools import PoolIndex, Taint, members
from engine.program import CompiledPolicy, CompiledPreference, CompiledTolerance, Leaf, Rule, as_seen, leaves_of
from engine.struct import replace

Evaluations: TypeAlias = Sequence[tuple[PolicyEvaluation, "Stage"]]
"""What a policy says of pods that are tried, on which stage."""
PARSING = 30
"""What reading an expression once more costs, in units, for each of its characters."""
LIKENESS = 16
"""What comparing two names costs, in units."""
QUESTION = 20
"""What asking a stage anything costs at least, in units."""


class Stage:
    """An inventory, the bundle's program on it, and what its policies come to for every conceivable pod.

    The `meter` pays for whatever is asked, and raises BudgetExceeded where it can't. What was asked before is known.
    Where several bundles decide together it is that of the one at `place`.
    """

    def __init__(self, name: str, decider: Decider, meter: Budget, place: int = 0) -> None:
        self.name, self.decider, self.pool_index, self.meter = name, decider, decider.pool_index, meter
        self._widest: dict[tuple[int, ...], NodeSet | None] = {}
        part = decider.parts[place]
        self.constants, self.pool_facts = part.constants, part.pool_facts
        undecided = {leaf.number: _either(leaf, self.pool_index) for leaf in part.program.leaves if leaf.reads_pod}
        self._budget = Budget(POLICY_BUDGET)
        self._seen = Inputs(self.pool_facts, (self._budget, *NO_POD, *self.constants), undecided)
        self._of: Mapping[str, Stage] = {}

    @classmethod
    def of_each(cls, name: str, decider: Decider, meter: Budget) -> list[Stage]:
        """One for each of the bundles that decide together, of which each knows the others."""
        stages = [cls(name, decider, meter, place) for place in range(len(decider.parts))]
        of = {policy.name: stage for stage, part in zip(stages, decider.parts, strict=True) for policy in part.policies}
        for stage in stages:
            stage._of = of
        return stages

    def of(self, policy: CompiledPolicy) -> Stage:
        """That of the bundle which a policy is of."""
        return self._of.get(policy.name, self)

    @contextmanager
    def _asked(self) -> Iterator[Inputs]:
        """The inputs of the next question, which has a budget of its own: POLICY_BUDGET units."""
        self._budget.left = POLICY_BUDGET
        self.meter.spend(QUESTION)
        yield self._seen
        self.meter.spend(POLICY_BUDGET - max(0, self._budget.left))

    def widest(self, rules: Sequence[Rule]) -> NodeSet | None:
        """A node set with every node on which the rules can be true, whatever the pod; None past a limit or the budget.

        It is exact where no rule reads the pod.
        """
        asked = tuple(id(rule.tree) for rule in rules)
        if asked not in self._widest:
            with self._asked() as inputs:
                self._widest[asked] = self._decided(rules, inputs)
        return self._widest[asked]

    def _decided(self, rules: Sequence[Rule], inputs: Inputs) -> NodeSet | None:
        try:
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
        return not self.alive(where)

    def alive(self, where: NodeSet) -> bool:
        """Whether any node can be in a node set."""
        return alive(where, TRUE, self.pool_index, self.meter)

    def scored(self, item: CompiledPreference) -> tuple[WeightedNodes, ...] | None:
        """What a score that no pod decides comes to, by weight; None past a limit or the budget."""
        with self._asked() as inputs:
            try:
                return tuple(scored(item.score, inputs, [])) if item.score else ()
            except (TooMany, BudgetExceeded):
                return None

    def error(self, rule: Rule) -> str:
        """What a rule runs into, on the pools where it is an error."""
        with self._asked() as inputs:
            try:
                return "" if rule_reads_pod(rule) else inputs.error(rule.tree)
            except BudgetExceeded as error:
                return str(error)


class SpentError(Exception):
    """One expression spent all that it may (POLICY_BUDGET): an error in it, while `BudgetExceeded` ends a search."""


TAINT = 16
"""What asking an entry of `tolerate` about one taint costs at least, in units."""


def said_of_taint(entry: CompiledTolerance, pool: int | None, taint: Taint, stage: Stage) -> bool:
    """Whether an entry of `tolerate` names a taint of a pool, or of a node in none, whatever the pod.

    Raises CelError, Undecided, and SpentError.
    """
    budget = Budget(POLICY_BUDGET)
    view = None if pool is None else stage.pool_facts.views[pool]
    stage.meter.spend(TAINT)
    try:
        return as_seen(entry.function, budget, *NO_POD, *stage.constants, view, taint._asdict()) is True
    except BudgetExceeded as error:
        raise SpentError(*error.args) from error
    finally:
        stage.meter.left -= POLICY_BUDGET - max(0, budget.left)


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
        return a is None or b is None or not stage.alive(intersection(a, b, stage.meter))
    except TooMany:
        return True


def pools_reached(where: NodeSet, stage: Stage) -> int:
    """The mask of the pools that may have a node of the set; `>> i & 1` is pool i's bit."""
    return reach(where.groups, TRUE, stage.pool_index, stage.meter)


def _here(where: NodeSet, pool: int) -> Terms:
    """The terms for the nodes of a node set in one pool."""
    return tuple(t for mask, terms in where.groups if mask >> pool & 1 for t in terms)


def in_any(node_sets: Iterable[NodeSet | None]) -> NodeSet:
    """The nodes of any of these node sets; None, a set that is not known, is left out."""
    known = [nodes for nodes in node_sets if nodes is not None]
    outside = [nodes.anywhere for nodes in known if nodes.anywhere is not None]
    groups = tuple(group for nodes in known for group in nodes.groups)
    return NodeSet(groups, tuple(term for terms in outside for term in terms) if outside else None)


def in_both(stage: Stage, a: NodeSet | None, b: NodeSet | None) -> NodeSet | None:
    """The nodes of both node sets; None where one is not known, or it takes too many terms."""
    try:
        return None if a is None or b is None else intersection(a, b, stage.meter)
    except TooMany:
        return None


def covers(wish: NodeSet, left: NodeSet, stage: Stage) -> bool:
    """Whether preferred nodes (`wish`) are all nodes that are left. What is known of a pool's nodes counts."""
    pool_index, meter = stage.pool_index, stage.meter
    beside = left.anywhere if pool_index.inventory.strays else None
    if beside is not None and (wish.anywhere is None or not implies(beside, wish.anywhere, meter)):
        return False
    for mask, terms in left.groups:
        for i in members(mask):
            known = pool_index.known(i)
            meter.spend(QUESTION + len(wish.groups) + work(terms) + len(terms) * work((known,)))
            if not implies(_narrowed(terms, known), _here(wish, i), meter):
                return False
    return True


def _narrowed(terms: Terms, known: Term) -> Terms:
    return tuple(met for one in terms if not (met := one & known).impossible)
