"""One policy and one pod: whether it applies, whether it refuses the pod, and where it wants it.

What comes out knows nothing of the other policies; `decide` brings them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import podaffinity, spread
from engine.bundle import PodTerm, Spread
from engine.decision import Outcome
from engine.fleet import Fleet
from engine.logic import Flat, Ground, Moment, Verdict, by_pool_values, meet, values_anywhere
from engine.ownership import rolled_out
from engine.placement import labels_of
from engine.podaffinity import Weighted as WeightedPodTerm
from engine.program import CompiledExemption, CompiledPolicy, Condition, Function, Rule, Score
from engine.region import Region, node_terms, region
from engine.region import meet as met
from engine.requirement import FALSE, Term, Terms, TooMany, both, can_be_said, difference, disjoint
from engine.spread import Constraint
from engine.subject import Subject
from engine.symbolic import Arguments, told
from engine.values import Budget, BudgetExceeded, CelError
from engine.workload import written_out

POLICY_BUDGET = 200_000
"""What one policy may spend on one pod, in the units of `engine.values.Budget`: about 50 ms."""

REQUEST_BUDGET = 2_000_000
"""What all policies together may spend on one pod: about half a second, so that the API server is answered in time."""


UNSELECTED = "its selectors do not match"


@dataclass(frozen=True, slots=True)
class Wish:
    """Nodes that are preferred, with a weight of 1 to 100. No node counts for two wishes of one `item` of a policy."""

    region: Region
    weight: int
    item: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one policy says of one pod. `outcome` is `applied` until the policies have met.

    The weights of `tiers` are levels: each more than what a node of worse tiers comes to.
    """

    policy: CompiledPolicy
    outcome: Outcome
    message: str = ""
    error: str = ""
    region: Region | None = None
    wishes: tuple[Wish, ...] = ()
    tiers: tuple[Wish, ...] = ()
    spread: tuple[Constraint, ...] = ()
    pod_affinity: tuple[WeightedPodTerm, ...] = ()
    pod_anti_affinity: tuple[WeightedPodTerm, ...] = ()
    arguments: Arguments = field(default=(), repr=False)

    def failed(self, reason: str) -> Finding:
        """The same policy, failed after all."""
        return Finding(self.policy, "failed", "", reason)


class PolicyFailed(Exception):  # noqa: N818 - an outcome of a policy rather than an error of ours
    """A policy can't be decided for this pod; the text says why."""


class Variables(dict[str, object]):
    """A policy's variables: each is computed when it is first asked for. One that fails, fails each time it is used."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        super().__init__()
        self.functions = functions
        self.arguments: Arguments = ()
        self._errors: dict[str, CelError] = {}

    def __missing__(self, name: str) -> object:
        if name in self._errors:
            raise self._errors[name]
        try:
            value = self[name] = self.functions[name](*self.arguments, None)
        except CelError as error:
            self._errors[name] = error
            raise
        return value


NO_VARIABLES = Variables({})


class Occasion:
    """One pod meeting the policies: what is the same for all of them. Variables are each policy's own.

    Each policy has a budget, of what all of them together have left.
    """

    __slots__ = (
        "_budget",
        "_given",
        "_left",
        "_moment",
        "_plain",
        "_shared",
        "fleet",
        "ground",
        "labels",
        "namespace_labels",
        "seen",
        "subject",
    )

    def __init__(self, subject: Subject, ground: Ground, constants: tuple[object, ...]) -> None:
        self.subject, self.ground, self.fleet = subject, ground, ground.fleet
        self.labels = labels_of(subject.pod)
        self.namespace_labels = (subject.namespace.get("metadata") or {}).get("labels") or {}
        self.seen: dict[int, Verdict] = {}
        self._left, self._given = REQUEST_BUDGET, 0
        self._budget = Budget(0)
        self._plain: tuple[Any, ...] | None = None
        self._moment: Moment | None = None
        self._shared = (subject.pod, subject.namespace, subject.request, NO_VARIABLES, *constants)

    def arguments(self, policy: CompiledPolicy) -> Arguments:
        """The arguments of a policy's functions, with a fresh budget."""
        if not policy.variables:
            # tolerations are judged after all policies were, on a budget that no other policy spends of
            return (self._fresh_budget(), *self._shared) if policy.tolerate else self.plain_arguments()
        pod, namespace, request, _, *constants = self._shared
        variables = Variables(policy.variables)
        variables.arguments = (self._fresh_budget(), pod, namespace, request, variables, *constants)
        return variables.arguments

    def plain_arguments(self) -> Arguments:
        """The arguments of functions without variables, with a fresh budget: the last ones if theirs is untouched."""
        if self._plain is None or self._plain[0] is not self._budget or self._budget.left < POLICY_BUDGET:
            self._plain = (self._fresh_budget(), *self._shared)
        return self._plain

    def moment(self, arguments: Arguments) -> Moment:
        """The pod's view of the ground, by these arguments."""
        if self._moment is None or self._moment.arguments is not arguments:
            self._moment = Moment(self.ground, arguments, self.seen)
        return self._moment

    def _fresh_budget(self) -> Budget:
        self._left -= self._given - max(0, self._budget.left)
        self._given = max(0, min(POLICY_BUDGET, self._left))
        self._budget = Budget(self._given)
        return self._budget


def exempting(
    exemptions: Sequence[CompiledExemption], occasion: Occasion
) -> tuple[list[CompiledExemption], list[tuple[CompiledExemption, str]]]:
    """The exemptions that match a pod; and those that can't be decided, and so exempt nobody, with their errors."""
    matching, failed = list[CompiledExemption](), list[tuple[CompiledExemption, str]]()
    for one in exemptions:
        given = one.exemption
        if given.pod_selector.matches(occasion.labels) and given.namespace_selector.matches(occasion.namespace_labels):
            try:
                if _first(one.match_conditions, occasion.plain_arguments(), holding=False) is None:
                    matching.append(one)
            except (PolicyFailed, BudgetExceeded) as failure:
                failed.append((one, f"exemption {given.name}: {failure}"))
    return matching, failed


def exempted(policy: CompiledPolicy, matching: Iterable[CompiledExemption]) -> Finding | None:
    """That a policy leaves a pod alone, if one of the exemptions that match is about it."""
    for one in matching:
        if one.covers(policy.name):
            return Finding(policy, "notMatched", f"exempt by `{one.exemption.name}`: {one.exemption.reason}")
    return None


def judge(policy: CompiledPolicy, occasion: Occasion) -> Finding:
    """What a policy says of a pod: not matched, failed, denied, or applied with its regions and wishes."""
    if policy.selective and not (
        policy.pod_selector.matches(occasion.labels) and policy.namespace_selector.matches(occasion.namespace_labels)
    ):
        return Finding(policy, "notMatched", UNSELECTED)
    known: Finding | None = occasion.ground.findings.get(policy.name)
    if known is not None:
        return known
    arguments = occasion.arguments(policy)
    try:
        unmet = _first(policy.match_conditions, arguments, holding=False) if policy.match_conditions else None
        if unmet is not None:
            return Finding(policy, "notMatched", f"`{unmet.name}` is false")
        if not rolled_out(policy.name, policy.policy.rollout, occasion.subject):
            share = f"rolled out to {policy.policy.rollout} % of workloads, not to this one"
            return Finding(policy, "notRolledOut", share)
        denial = _first(policy.deny, arguments, holding=True) if policy.deny else None
        if denial is not None:
            return Finding(policy, "denied", denial.message or f"`{denial.text}`")
        finding = _placed(policy, arguments, occasion)
        if policy.pool_only:
            occasion.ground.findings[policy.name] = finding
        return finding
    except (PolicyFailed, BudgetExceeded, TooMany) as failure:
        return Finding(policy, "failed", "", str(failure))


def _first(conditions: Iterable[Condition], arguments: Arguments, *, holding: bool) -> Condition | None:
    """The first condition that holds, or does not; it outweighs an error in another, as in Kubernetes.

    Raises PolicyFailed.
    """
    failure: PolicyFailed | None = None
    for condition in conditions:
        try:
            if _holds(condition, arguments) == holding:
                return condition
        except PolicyFailed as error:
            failure = failure or error
    if failure:
        raise failure
    return None


def _holds(condition: Condition, arguments: Arguments) -> bool:
    try:
        return condition.function(*arguments, None) is True
    except CelError as error:
        raise PolicyFailed(f"{condition.place}: {error}") from error


def _placed(policy: CompiledPolicy, arguments: Arguments, occasion: Occasion) -> Finding:
    moment, pod = occasion.moment(arguments), occasion.subject.pod
    verdict = _required(policy.require, moment)
    where = None if verdict is None else region(verdict, occasion.fleet, confined=bool(policy.tolerate))
    error = "" if verdict is None else _required_error(policy.require, verdict, moment)
    if policy.only_requires:
        return Finding(policy, "applied", policy.wanted, error, where)
    errors = [error] if error else []
    wishes = tuple(_wishes(policy, moment, errors))
    error = next(iter(errors), "") or _first_error(policy.fallback, moment)
    return Finding(
        policy,
        "applied",
        policy.wanted,
        error,
        where,
        wishes,
        _tiers(policy.fallback, moment),
        tuple(_constraint(item, pod) for item in policy.spread),
        tuple(_pod_term(item, pod) for item in policy.pod_affinity),
        tuple(_pod_term(item, pod) for item in policy.pod_anti_affinity),
        arguments,
    )


def _required(rules: Sequence[Rule], moment: Moment) -> Verdict | None:
    if len(rules) == 1:
        return moment.decide(rules[0].tree)
    every = moment.ground.fleet.every
    verdict: Verdict | None = None
    for rule in rules:
        mine = moment.decide(rule.tree)
        verdict = mine if verdict is None else meet(verdict, lambda mine=mine: mine, every)  # type: ignore[misc]
    return verdict


def _required_error(rules: Iterable[Rule], verdict: Verdict, moment: Moment) -> str:
    """As `_first_error`, where the verdict does not show already that there is none."""
    every = moment.ground.fleet.every
    plain = isinstance(verdict, Flat) and every and verdict.true | verdict.false == every
    return "" if plain else _first_error(rules, moment)


def _first_error(rules: Iterable[Rule], moment: Moment) -> str:
    """What the first rule ran into that makes it an error, on some pool or everywhere."""
    for rule in rules:
        error = moment.error(rule.tree)
        if error:
            return f"{rule.place}: {error}"
    return ""


def _wishes(policy: CompiledPolicy, moment: Moment, errors: list[str]) -> Iterable[Wish]:
    fleet = moment.ground.fleet
    errors += filter(None, [_first_error([item.rule for item in policy.prefer if item.rule], moment)])
    for place, item in enumerate(policy.prefer):
        where = None if item.rule is None else region(moment.decide(item.rule.tree), fleet)
        if item.score is None:
            yield Wish(_disjoint(where or Region(())), item.weight, place)
            continue
        failed: list[str] = []
        for one in scored(item.score, moment, failed):
            nodes = one.region if where is None else _disjoint(met(one.region, where))
            yield Wish(nodes, one.weight, place)
        errors += [f"prefer[{place}].score: {error}" for error in failed]


def scored(score: Score, moment: Moment, errors: list[str]) -> Iterable[Wish]:
    """A score as wishes: one for each weight, on the nodes that have it."""
    fleet, weights = moment.ground.fleet, dict[tuple[int, Terms], int]()
    if not score.reads_pool and not score.reads_capacity:
        arguments = (*moment.arguments, None)
        for guard, value in values_anywhere(score, arguments, errors):
            if weight := _clipped(value):
                yield Wish(Region(((fleet.every, told(guard)),), guard), weight)
        return
    for i, cases, reads in by_pool_values(score, moment, errors):
        for guard, value in cases:
            if weight := _clipped(value):
                for mask, demanded in fleet.demands(reads, 1 << i):
                    terms = both(told(guard), demanded)
                    weights[weight, terms] = weights.get((weight, terms), 0) | mask
    for (weight, terms), mask in weights.items():
        yield Wish(_disjoint(Region(((mask, terms),))), weight)


def stacked(wishes: Iterable[Wish]) -> int:
    """The most that the weights of wishes for the same nodes of a pool add up to, whatever other pools are left."""
    layers: dict[Term, dict[int, int]] = {}
    for wish in wishes:
        where = wish.region.anywhere
        for mask, terms in wish.region.groups if where is None else ((-1, where),):
            for term in terms:
                layers[term] = _laid(layers.get(term, {}), mask, wish.weight)
    return max((weight for parts in layers.values() for weight in parts.values()), default=0)


def _laid(parts: Mapping[int, int], mask: int, weight: int) -> dict[int, int]:
    """Disjoint masks of pools with a weight each, and one more weight on some pools."""
    split: dict[int, int] = {}
    for part, known in parts.items():
        split |= {pools: known + more for pools, more in ((part & mask, weight), (part & ~mask, 0)) if pools}
        mask &= ~part
    return split | ({mask: weight} if mask else {})


def _clipped(value: object) -> int:
    """A score as a weight: rounded, at least 0 and at most 100; what is no number weighs nothing."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
        return 0
    return round(min(100.0, max(0.0, float(value))))


def _tiers(rules: Sequence[Rule], moment: Moment) -> tuple[Wish, ...]:
    """Each tier without the nodes of those before it, so that a node counts once, for its best tier.

    Where no affinity can say that, nodes of better tiers count for it, too; the weights are levels that allow for it.
    """
    fleet = moment.ground.fleet
    earlier: list[Region] = []
    tiers: list[Region] = []
    shared: list[bool] = []
    for rule in rules:
        tier = rest = region(moment.decide(rule.tree), fleet)
        shares = False
        for better in earlier:
            rest, unsaid = _less(rest, better, fleet)
            shares = shares or unsaid
        tiers.append(_disjoint(rest))
        shared.append(shares)
        earlier.append(tier)
    return tuple(map(Wish, tiers, _levels(shared)))


def _levels(shared: Sequence[bool]) -> list[int]:
    """By tier a number that is more than what a node of worse tiers comes to: 3, 2, 1 where no node counts twice.

    `shared` says of each tier whether nodes of better ones may count for it, too.
    """
    levels: list[int] = []
    most, besides = 0, 0
    for shares in reversed(shared):
        levels.append(most + 1)
        most = levels[-1] + besides
        besides += levels[-1] if shares else 0
    return levels[::-1]


def _less(tier: Region, better: Region, fleet: Fleet) -> tuple[Region, bool]:
    """A tier without the nodes of a better one; and whether some of these are left, for no affinity says it."""
    parts: list[tuple[int, Terms, bool]] = []
    for mask, terms in tier.groups:
        left = mask
        for other, conditions in better.groups:
            if shared := left & other:
                parts.append((shared, *_difference(terms, conditions)))
                left &= ~other
        parts.append((left, terms, False))
    groups = tuple((mask, terms) for mask, terms, _ in parts if mask and terms != FALSE)
    free, unsaid = tier.anywhere, any(shares for _, _, shares in parts)
    if free is not None:
        free, shares = _difference(free, node_terms(better, fleet.every, fleet))
        unsaid = unsaid or shares
    return Region(groups, free), unsaid


def _difference(a: Terms, b: Terms) -> tuple[Terms, bool]:
    """`a` without `b`; where no affinity says that, `a` as it is, and True."""
    rest = difference(a, b)
    return (rest, False) if all(map(can_be_said, rest)) else (a, True)


def _disjoint(wanted: Region) -> Region:
    """The same nodes in terms that no node matches twice, for each match adds its weight."""
    groups = tuple((mask, disjoint(terms)) for mask, terms in wanted.groups)
    return Region(groups, None if wanted.anywhere is None else disjoint(wanted.anywhere))


def _constraint(item: Spread, pod: Mapping[str, Any]) -> Constraint:
    selector = _selector(pod, item.label_selector, item.match_label_keys, f"spread over `{item.topology_key}`")
    return spread.constraint(
        item.topology_key,
        item.max_skew,
        item.when_unsatisfiable,
        selector,
        min_domains=item.min_domains,
        node_affinity_policy=item.node_affinity_policy,
        node_taints_policy=item.node_taints_policy,
    )


def _pod_term(item: PodTerm, pod: Mapping[str, Any]) -> WeightedPodTerm:
    what = f"pod affinity over `{item.topology_key}`"
    selector = _selector(pod, item.label_selector, item.match_label_keys, what)
    term = podaffinity.pod_term(item.topology_key, selector, item.namespaces, item.namespace_selector)
    return (None if item.required else item.weight, term)


def _selector(
    pod: Mapping[str, Any], label_selector: Mapping[str, Any] | None, keys: tuple[str, ...], what: str
) -> dict[str, Any]:
    selector = written_out(labels_of(pod), label_selector, keys)
    if selector is None:
        raise PolicyFailed(f"{what} would count no pod: the pod has none of the labels that it selects by")
    return selector
