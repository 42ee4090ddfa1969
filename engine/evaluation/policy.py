"""One policy and one pod: whether it applies, whether it denies the pod, and which nodes it requires and prefers.

What comes out knows nothing of the other policies; `engine.decision` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.bundle import PodTerm, Selector, Spread
from engine.evaluation.culprit import lack, remedy
from engine.evaluation.nodeset import NodeSet, intersection, node_set_of
from engine.evaluation.outcome import UNSELECTED, PolicyEvaluation, PolicyFailed, ShareNodes
from engine.evaluation.pod_facts import PodFacts
from engine.evaluation.pool_facts import Inputs
from engine.evaluation.preferences import WeightedNodes, tiers_of, with_disjoint_terms
from engine.evaluation.scores import scored
from engine.evaluation.verdicts import ByPool, Verdict, both_hold
from engine.language import BudgetExceeded, CelError, bare
from engine.nodeselector import Meter, TooMany
from engine.placement import (
    WORKLOAD_LABELS,
    Constraint,
    WeightedPodTerm,
    labels_of,
    own_workload,
    pod_term,
    spread_constraint,
    written_out,
)
from engine.pods import NAME_LABEL, free_owner, rolled_out
from engine.program import Arguments, CompiledExemption, CompiledPolicy, CompiledTolerance, Condition, Rule

LABEL_IT = "label the pod in metadata.labels, or have whoever keeps the policy say which pods it counts"
FEWER_VALUES = "have fewer entries in the lists and maps of the pod"
LABEL = 1
"""What it takes to put one of a pod's labels in order, in units of its budget."""
_SUGGESTED = 5
"""So many of a pod's labels are named where one of them is to be chosen."""


def exempting(
    exemptions: Sequence[CompiledExemption], pod_facts: PodFacts
) -> tuple[list[CompiledExemption], list[tuple[CompiledExemption, str]]]:
    """The exemptions that match a pod; and those that can't be decided, and so exempt nobody, with their errors."""
    matching, failed = list[CompiledExemption](), list[tuple[CompiledExemption, str]]()
    unknown = pod_facts.incoming.namespace_unknown
    for one in exemptions:
        given, undecided = one.exemption, unknown if one.reads_namespace else ""
        if undecided:
            conditions = [each for each in one.match_conditions if not each.reads_namespace]
            selected = _may_be_about(given.pod_selector, given.namespace_selector, pod_facts)
        else:
            conditions = list(one.match_conditions)
            selected = given.pod_selector.matches(pod_facts.labels) and given.namespace_selector.matches(
                pod_facts.namespace_labels
            )
        try:
            if not selected or _first(conditions, pod_facts.plain_arguments(), holding=False) is not None:
                continue
        except PolicyFailed as failure:
            undecided = str(failure)
        if undecided:
            failed.append((one, f"exemption {given.name}: {undecided}"))
        else:
            matching.append(one)
    return matching, failed


def exempted(policy: CompiledPolicy, matching: Iterable[CompiledExemption]) -> PolicyEvaluation | None:
    """That a policy leaves a pod alone, if one of the exemptions that match is about it."""
    for one in matching:
        if one.covers(policy.name):
            return PolicyEvaluation(policy, "notMatched", f"exempt by `{one.exemption.name}`: {one.exemption.reason}")
    return None


def evaluate_policy(policy: CompiledPolicy, pod_facts: PodFacts) -> PolicyEvaluation:
    """What a policy says of a pod: not matched, not rolled out, failed, denied, or applied with the nodes it wants.

    The budget, limits on terms and what fails outright end in the outcome `failed`: nothing is raised.
    """
    if pod_facts.incoming.namespace_unknown and policy.reads_namespace:
        return _without_namespace(policy, pod_facts)
    if policy.selective and not (
        policy.pod_selector.matches(pod_facts.labels) and policy.namespace_selector.matches(pod_facts.namespace_labels)
    ):
        return PolicyEvaluation(policy, "notMatched", UNSELECTED)
    known: PolicyEvaluation | None = pod_facts.pool_facts.evaluations.get(policy.name)
    if known is not None and known.policy is policy:
        return known
    arguments = pod_facts.apart() if policy.pool_only else pod_facts.arguments(policy)
    try:
        unmet = _first(policy.match_conditions, arguments, holding=False) if policy.match_conditions else None
        if unmet is not None:
            return PolicyEvaluation(policy, "notMatched", f"`{unmet.name}` is false")
        if not rolled_out(policy.name, policy.policy.rollout, pod_facts.incoming):
            return PolicyEvaluation(policy, "notRolledOut", _not_yet(policy))
        denial = _first(policy.deny, arguments, holding=True) if policy.deny else None
        if denial is not None:
            return PolicyEvaluation(policy, "denied", denial.message or f"`{denial.text}`")
        evaluation = _placed(policy, arguments, pod_facts)
        if policy.pool_only:
            pod_facts.pool_facts.evaluations[policy.name] = evaluation
        return evaluation
    except PolicyFailed as failure:
        return PolicyEvaluation(policy, "failed", failure.remedy, str(failure))
    except (BudgetExceeded, TooMany) as failure:
        read = [path for rule in (*policy.require, *policy.fallback) for path in rule.reads]
        evaluation = PolicyEvaluation(policy, "failed", remedy(failure, read, arguments), str(failure))
        if policy.pool_only:
            pod_facts.pool_facts.evaluations[policy.name] = evaluation
        return evaluation


def _without_namespace(policy: CompiledPolicy, pod_facts: PodFacts) -> PolicyEvaluation:
    """What a policy that reads the Namespace says where nothing but its name is known: failed, unless what it reads
    of the pod alone rules it out."""
    if not _may_be_about(policy.pod_selector, policy.namespace_selector, pod_facts):
        return PolicyEvaluation(policy, "notMatched", UNSELECTED)
    arguments = pod_facts.arguments(policy)
    try:
        known = [each for each in policy.match_conditions if not each.reads_namespace]
        unmet = _first(known, arguments, holding=False)
        if unmet is not None:
            return PolicyEvaluation(policy, "notMatched", f"`{unmet.name}` is false")
        if not rolled_out(policy.name, policy.policy.rollout, pod_facts.incoming):
            return PolicyEvaluation(policy, "notRolledOut", _not_yet(policy))
    except PolicyFailed as failure:
        return PolicyEvaluation(policy, "failed", failure.remedy, str(failure))
    return PolicyEvaluation(policy, "failed", "", pod_facts.incoming.namespace_unknown)


def unread_by(
    policies: Iterable[CompiledPolicy], exemptions: Iterable[CompiledExemption], pod_facts: PodFacts
) -> list[PolicyEvaluation]:
    """What policies say of a pod that was not read: each that may be about it has failed, unless its namespace alone
    exempts it."""
    unknown = pod_facts.incoming.namespace_unknown
    matching = [
        one
        for one in exemptions
        if not (one.match_conditions or one.exemption.pod_selector.requirements or (unknown and one.reads_namespace))
        and one.exemption.namespace_selector.matches(pod_facts.namespace_labels)
    ]
    asked = (policy for policy in policies if policy.policy.mode != "off")
    return [exempted(policy, matching) or _unread(policy, pod_facts) for policy in asked]


def _unread(policy: CompiledPolicy, pod_facts: PodFacts) -> PolicyEvaluation:
    selector = policy.namespace_selector
    if pod_facts.incoming.namespace_unknown:
        about = _may_be_about(Selector(), selector, pod_facts)
    else:
        about = selector.matches(pod_facts.namespace_labels)
    if not about:
        return PolicyEvaluation(policy, "notMatched", UNSELECTED)
    if not policy.policy.rollout:
        return PolicyEvaluation(policy, "notRolledOut", _not_yet(policy))
    return PolicyEvaluation(policy, "failed", FEWER_VALUES, pod_facts.incoming.unread)


def _may_be_about(pod_selector: Selector, namespace_selector: Selector, pod_facts: PodFacts) -> bool:
    """Whether selectors may match a pod of whose Namespace only the name is known."""
    by_name = (each for each in namespace_selector.requirements if each.key == NAME_LABEL)
    return pod_selector.matches(pod_facts.labels) and Selector(tuple(by_name)).matches(pod_facts.namespace_labels)


def _not_yet(policy: CompiledPolicy) -> str:
    return f"rolled out to {policy.policy.rollout} % of workloads, not to this one"


def _first(conditions: Iterable[Condition], arguments: Arguments, *, holding: bool) -> Condition | None:
    """The first condition that holds, or does not; it outweighs an error in another, as in Kubernetes.

    Nothing outweighs a spent budget. Raises PolicyFailed.
    """
    failed: tuple[Condition, CelError] | None = None
    for condition in conditions:
        try:
            if (condition.function(*arguments, None) is True) == holding:
                return condition
        except CelError as error:
            failed = failed or (condition, bare(error))
        except BudgetExceeded as error:
            raise failure_of(condition, error, arguments) from error
    if failed:
        raise failure_of(*failed, arguments) from failed[1]
    return None


def failure_of(item: Condition | CompiledTolerance, error: Exception, arguments: Arguments) -> PolicyFailed:
    """What the error of an expression makes of its policy."""
    return PolicyFailed(f"{item.place}: {error}", remedy(error, item.reads, arguments))


def _placed(policy: CompiledPolicy, arguments: Arguments, pod_facts: PodFacts) -> PolicyEvaluation:
    inputs, pod = pod_facts.inputs(arguments), pod_facts.incoming.pod
    verdict = _required(policy.require, inputs)
    where = None if verdict is None else node_set_of(verdict, pod_facts.pool_index, inputs.meter)
    error = "" if verdict is None else _required_error(policy.require, verdict, inputs)
    if policy.only_requires:
        return PolicyEvaluation(policy, "applied", policy.wanted, error, where)
    errors = [error] if error else []
    wishes = tuple(_wishes(policy, inputs, errors))
    error = next(iter(errors), "") or _first_error(policy.fallback, inputs)
    return PolicyEvaluation(
        policy,
        "applied",
        policy.wanted,
        error,
        where,
        wishes,
        tiers_of(policy.fallback, inputs),
        tuple(_constraint(item, pod, policy, inputs.meter) for item in policy.spread),
        tuple(_pod_term(item, pod, policy, inputs.meter) for item in policy.pod_affinity),
        tuple(_pod_term(item, pod, policy, inputs.meter) for item in policy.pod_anti_affinity),
        arguments,
        tuple(_shares(policy, inputs)),
    )


def _shares(policy: CompiledPolicy, inputs: Inputs) -> Iterable[ShareNodes]:
    """The nodes of each share. Raises BudgetExceeded and TooMany."""
    for share in policy.split:
        verdict = inputs.decide(share.rule.tree)
        nodes = node_set_of(verdict, inputs.pool_facts.pool_index, inputs.meter)
        error = _required_error([share.rule], verdict, inputs)
        yield ShareNodes(nodes if share.strict else with_disjoint_terms(nodes, inputs.meter), error)


def _required(rules: Sequence[Rule], inputs: Inputs) -> Verdict | None:
    """The verdict on all rules together, None where there are none. Raises BudgetExceeded."""
    if len(rules) == 1:
        return inputs.decide(rules[0].tree)
    every = inputs.pool_facts.pool_index.every
    verdict: Verdict | None = None
    for rule in rules:
        mine = inputs.decide(rule.tree)
        verdict = mine if verdict is None else both_hold(verdict, lambda mine=mine: mine, every, inputs.meter)  # type: ignore[misc]
    return verdict


def _required_error(rules: Iterable[Rule], verdict: Verdict, inputs: Inputs) -> str:
    """As `_first_error`, where the verdict does not show already that there is none."""
    every = inputs.pool_facts.pool_index.every
    plain = isinstance(verdict, ByPool) and every and verdict.true | verdict.false == every
    return "" if plain else _first_error(rules, inputs)


def _first_error(rules: Iterable[Rule], inputs: Inputs) -> str:
    """What the first rule ran into that makes it an error, on some pool or everywhere: a field that the pod lacks, with
    what to do about it, whatever the pool."""
    for rule in rules:
        fault = inputs.fault(rule.tree)
        if fault:
            lacking = lack(fault.cause, rule.reads, inputs.arguments)
            return f"{rule.place}: {fault.cause}; {lacking}" if lacking else f"{rule.place}: {fault}"
    return ""


def _wishes(policy: CompiledPolicy, inputs: Inputs, errors: list[str]) -> Iterable[WeightedNodes]:
    """What `prefer` comes to, `item` being the place in it; `errors` says what an entry ran into. Raises TooMany."""
    pool_index = inputs.pool_facts.pool_index
    errors += filter(None, [_first_error([item.rule for item in policy.prefer if item.rule], inputs)])
    for place, item in enumerate(policy.prefer):
        where = None if item.rule is None else node_set_of(inputs.decide(item.rule.tree), pool_index, inputs.meter)
        if item.score is None:
            yield WeightedNodes(with_disjoint_terms(where or NodeSet(()), inputs.meter), item.weight, place)
            continue
        failed: list[str] = []
        for one in scored(item.score, inputs, failed):
            nodes = (
                one.nodes
                if where is None
                else with_disjoint_terms(intersection(one.nodes, where, inputs.meter), inputs.meter)
            )
            yield WeightedNodes(nodes, one.weight, place)
        errors += [f"prefer[{place}].score: {error}" for error in failed]


def _constraint(item: Spread, pod: Mapping[str, Any], policy: CompiledPolicy, meter: Meter) -> Constraint:
    selector = _selector(item, pod, policy, f"spread over `{item.topology_key}`", meter)
    return spread_constraint(
        item.topology_key,
        item.max_skew,
        item.when_unsatisfiable,
        selector,
        min_domains=item.min_domains,
        node_affinity_policy=item.node_affinity_policy,
        node_taints_policy=item.node_taints_policy,
    )


def _pod_term(item: PodTerm, pod: Mapping[str, Any], policy: CompiledPolicy, meter: Meter) -> WeightedPodTerm:
    selector = _selector(item, pod, policy, f"pod affinity over `{item.topology_key}`", meter)
    term = pod_term(item.topology_key, selector, item.namespaces, item.namespace_selector)
    return (None if item.required else item.weight, term)


def _selector(
    item: Spread | PodTerm, pod: Mapping[str, Any], policy: CompiledPolicy, what: str, meter: Meter
) -> dict[str, Any]:
    """The pods that an entry counts, its keys written out with the pod's values. Raises PolicyFailed if it is none."""
    labels, mismatched = labels_of(pod), item.mismatch_label_keys if isinstance(item, PodTerm) else ()
    if item.label_selector is None and not item.match_label_keys:
        meter.spend(LABEL * len(labels))
        return _own_workload(pod, labels, policy, what)
    selector = written_out(labels, item.label_selector, item.match_label_keys, mismatched)
    if selector is None:
        raise PolicyFailed(f"{what} would count no pod: the pod has none of the labels that it selects by", LABEL_IT)
    return selector


def _own_workload(
    pod: Mapping[str, Any], labels: Mapping[str, str], policy: CompiledPolicy, what: str
) -> dict[str, Any]:
    """The pods of the pod's own workload. Raises PolicyFailed where its labels do not tell."""
    owner = free_owner(pod.get("metadata") or {})
    naming = WORKLOAD_LABELS.union(policy.workload_labels) if owner else None
    selector = own_workload(labels, naming)
    if selector is not None:
        return selector
    if naming is None:
        raise PolicyFailed(f"{what} would count no pod: the pod has none of the labels that it selects by", LABEL_IT)
    shared = ", ".join(sorted(labels)[:_SUGGESTED])
    keys = f"`matchLabelKeys` with the ones of its labels that all its pods share ({shared})" if shared else ""
    raise PolicyFailed(
        f"{what}: which pods are this one's workload is not known, for {owner} may label each of its pods otherwise, "
        f"and the pod has none of {', '.join(sorted(naming))}; write {keys or '`labelSelector`'}",
        LABEL_IT,
    )
