"""What all policies require of one pod, together: the nodes that are left, and the policies that had to give way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.decision import words
from engine.decision.decision import Decision, PoolNames, policy_outcome
from engine.evaluation import NodeSet, PolicyEvaluation, alive, intersection, node_terms, plain_meet, reach
from engine.nodeselector import FALSE, TRUE, Meter, Term, Terms, TooMany
from engine.placement import OF_POD, WISHES
from engine.pods import IncomingPod
from engine.pools import PoolIndex
from engine.program import PoolView
from engine.struct import Struct, field, replace


class PoliciesFailed(Exception):  # noqa: N818 - an outcome of policies, caught by the Decider
    """Policies turn out not to be decidable beside the others; `reasons` says why, by their names, and `remedy` what
    whoever made the pod can do.
    """

    def __init__(self, reasons: Mapping[str, str], remedy: str = words.FEWER) -> None:
        self.reasons, self.remedy = reasons, remedy


class Given(Struct, frozen=True):
    """What is known of one pod before its policies are combined.

    `own_terms` are the node selector terms that the pod brings itself, its `nodeSelector` among them; `evaluations` are
    in the program's order. `choices` are shares of splits that are given beforehand: by policy, the place of one.
    `views` are the pools as expressions read them, by index. The `meter` pays for combining them.
    `meant` is what each of the pod's required terms admits, where that is known.
    """

    incoming: IncomingPod
    pool_index: PoolIndex
    own_terms: Terms
    evaluations: Sequence[PolicyEvaluation]
    choices: Mapping[str, int] = field(default_factory=dict)
    views: Sequence[PoolView] = ()
    meter: Meter | None = None
    meant: tuple[Term, ...] | None = None


class Met(Struct, frozen=True):
    """What the policies that apply come to, together.

    `nodes` are those that all of them require that are not overruled, None if none requires any; `overruled` says by
    policy why it is left out. `before` and `after` are masks of pools: those that the pod's own constraints leave, and
    those that are left when `nodes` are required, too. `unsatisfiable`: the pod's own constraints match no known pool;
    they do not count for `nodes`, `overruled` and `after` then.
    """

    nodes: NodeSet | None
    overruled: Mapping[str, str]
    before: int
    after: int
    unsatisfiable: bool

    @property
    def left(self) -> int:
        """The mask of known pools that the pod may go to: none if it asks for what none of them has."""
        return 0 if self.unsatisfiable else self.after


def binding_terms(given: Given) -> Terms:
    """The terms of the pod's own that count: all are let in where they match no known pool."""
    return TRUE if _alone(given)[1] else given.own_terms


def _alone(given: Given) -> tuple[int, bool]:
    """The mask of the pools that the pod's own constraints leave, and whether they can't be met at all."""
    pool_index, own_terms = given.pool_index, given.own_terms
    before = reach(((pool_index.every, TRUE),), own_terms, pool_index, given.meter)
    hopeless = not before and bool(pool_index.pools) and not pool_index.inventory.strays
    return before, own_terms == FALSE or hopeless


def combined(given: Given) -> Met:
    """All policies that apply, overruling by priority what would leave nothing. Raises PoliciesFailed."""
    pool_index, own_terms = given.pool_index, given.own_terms
    before, unsatisfiable = _alone(given)
    binding = TRUE if unsatisfiable else own_terms
    nodes, overruled = _by_priority(given, binding)
    after = pool_index.every if nodes is None else reach(nodes.groups, binding, pool_index, given.meter)
    return Met(nodes, overruled, before, after & (pool_index.every if unsatisfiable else before), unsatisfiable)


def _by_priority(given: Given, binding: Terms) -> tuple[NodeSet | None, dict[str, str]]:
    """What all require together; or by priority what leaves something, and why the other policies are overruled.

    `binding` are the terms of the pod's own that count. Raises PoliciesFailed.
    """
    wanting = [one for one in given.evaluations if one.outcome == "applied" and one.nodes is not None]
    everything = required_together(given, wanting)
    if everything is None or alive(everything, binding, given.pool_index, given.meter):
        return everything, {}
    kept: list[PolicyEvaluation] = []
    overruled: dict[str, str] = {}
    for evaluation in wanting:
        together = required_together(given, [*kept, evaluation])
        if together is not None and alive(together, binding, given.pool_index, given.meter):
            kept.append(evaluation)
        else:
            overruled[evaluation.policy.name] = words.emptiness(
                evaluation, kept, binding, given.incoming.pod, given.pool_index, given.meter
            )
    return required_together(given, kept), overruled


def required_together(given: Given, evaluations: Sequence[PolicyEvaluation]) -> NodeSet | None:
    """The nodes that each of these requires, None if there are none of these. All must require some.

    Raises PoliciesFailed for those whose terms multiply past what can be said.
    """
    together = plain_meet([evaluation.nodes for evaluation in evaluations])
    if together is not None:
        return together
    failed: dict[str, str] = {}
    met: list[PolicyEvaluation] = []
    for evaluation in evaluations:
        assert evaluation.nodes is not None
        met.append(evaluation)
        try:
            together = evaluation.nodes if together is None else intersection(together, evaluation.nodes, given.meter)
        except TooMany as error:
            failed[evaluation.policy.name] = multiplied(given, error, met)
            met.pop()
    if failed:
        raise PoliciesFailed(failed)
    return together


def multiplied(given: Given, error: TooMany, evaluations: Iterable[PolicyEvaluation]) -> str:
    """An error, and whose alternatives multiply, for a person who wants to know which are too many."""
    own, wishes = OF_POD in error.what, WISHES in error.what
    factors = [f"{len(given.own_terms)} of the pod's own"] if own and len(given.own_terms) > 1 else []
    for evaluation in evaluations if not wishes else ():
        count = 1 if evaluation.nodes is None else _width(evaluation.nodes, given)
        if count > 1:
            factors.append(f"{count} of policy {evaluation.policy.name}")
    return f"{error} ({', times '.join(factors)})" if len(factors) > 1 else str(error)


def _width(nodes: NodeSet, given: Given) -> int:
    """How many node selector terms it takes to say these nodes, of all pools."""
    try:
        return sum(term.width for term in node_terms(nodes, given.pool_index.every, given.pool_index, given.meter))
    except TooMany as error:
        return error.count


def refused(base: Decision, evaluations: Sequence[PolicyEvaluation], *, by_deny_only: bool = False) -> Decision | None:
    """The refusal if there is one before policies are combined; `by_deny_only`, by policies that have a `deny`."""
    message = _refusal(one for one in evaluations if one.policy.deny) if by_deny_only else _refusal(evaluations)
    if not message:
        return None
    return replace(base, allowed=False, message=message, policies=tuple(map(policy_outcome, evaluations)))


def _refusal(evaluations: Iterable[PolicyEvaluation]) -> str:
    """Why the pod is refused: a `deny` that holds, or a failure under failurePolicy Fail. Empty if it is not."""
    for evaluation in evaluations:
        if evaluation.outcome == "denied":
            return f"policy {evaluation.policy.name}: {evaluation.message}{words.asking(evaluation.policy)}"
        if evaluation.outcome == "failed" and evaluation.policy.policy.failure_policy == "Fail":
            failed = words.undecided(evaluation.error, evaluation.message)
            return f"policy {evaluation.policy.name} {failed}{words.asking(evaluation.policy)}"
    return ""


def denied(base: Decision, given: Given, met: Met) -> Decision | None:
    """The refusal of the first policy that is overruled and has `whenEmpty: deny`, if there is one."""
    for evaluation in given.evaluations:
        name = evaluation.policy.name
        if name in met.overruled and evaluation.policy.policy.when_empty == "deny":
            outcomes = tuple(
                policy_outcome(one, "overruled", met.overruled[one.policy.name])
                if one.policy.name in met.overruled
                else policy_outcome(one)
                for one in given.evaluations
            )
            pools = PoolNames(given.pool_index.names(met.before))
            message = f"policy {name}: {met.overruled[name]}{words.asking(evaluation.policy)}"
            return replace(base, allowed=False, message=message, policies=outcomes, pools=pools)
    return None
