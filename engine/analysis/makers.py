"""Policies that are about a pod which a person makes, and not about the same pod of a workload, for who makes it.

Each pod of a Deployment is made by the ReplicaSet controller, whoever wrote the Deployment: a condition that exempts
`system:` users, or service accounts of kube-system, exempts everybody. A pod is decided twice, once asked for by
somebody without a name or groups of note, once by its controller; all else is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from engine.analysis.candidate_pods import Candidate, asked_of, candidate_for
from engine.analysis.witness import SOME, Wanted, selected, with_value
from engine.bundle import Named
from engine.decision import EVALUATING, Decider
from engine.documents import Excerpt, Problem
from engine.evaluation import PodFacts, PolicyEvaluation, evaluate_policy, exempted, exempting
from engine.language import Budget, BudgetExceeded, CelError
from engine.nodeselector import TRUE
from engine.pods import IncomingPod, user_of
from engine.program import EACH, CompiledExemption, CompiledPolicy, Condition, FieldPath, Rule
from engine.struct import replace

USER = ("request", "userInfo")
MAX_PODS = 24
"""So many pods are tried for one policy, each with each maker."""
SOMEBODY = {"username": "somebody", "uid": "", "groups": ["system:authenticated"]}
MAKERS = (
    ("apps/v1", "ReplicaSet", "a Deployment"),
    ("apps/v1", "StatefulSet", "a StatefulSet"),
    ("batch/v1", "Job", "a Job"),
    ("v1", "ReplicationController", "a ReplicationController"),
)
"""What controls a pod, and how people call that."""


class Told(NamedTuple):
    """What a policy comes to for a pod, with the exemption that it is due to, if any."""

    evaluation: PolicyEvaluation
    exemption: CompiledExemption | None
    facts: PodFacts


def exempted_makers(policy: CompiledPolicy, decider: Decider, meter: Budget) -> Iterator[Problem]:
    """Warns of each expression by which a policy is not about what controllers make, and so about hardly anybody."""
    exemptions = [one for one in decider.program.exemptions if one.covers(policy.name)]
    items: list[Condition | Rule] = [*policy.match_conditions, *policy.deny, *policy.require]
    items += [condition for one in exemptions for condition in one.match_conditions]
    if not any(_reads_user(item.reads) for item in items):
        return
    told = set[str]()
    for candidate in _pods(policy, exemptions, decider, meter):
        for api_version, kind, words in MAKERS:
            made = _made_by(candidate.incoming, api_version, kind)
            mine, its = (_told(policy, one, exemptions, decider, meter) for one in (made[0], made[1]))
            for place in _culprits(policy, mine, its):
                if place not in told:
                    told.add(place)
                    yield _problem(policy, place, words, made[1], its.exemption, exemptions)


def _reads_user(reads: Iterable[FieldPath]) -> bool:
    return any(path[: len(USER)] == USER[: len(path)] for path in reads if path[0] == "request")


def _pods(
    policy: CompiledPolicy, exemptions: Sequence[CompiledExemption], decider: Decider, meter: Budget
) -> Iterator[Candidate]:
    """Pods that a policy may be about: with something in the fields that its `deny` reads, or the labels that authors
    write where exemptions ask for them (that of a namespace is the say of somebody else)."""
    bases = [one for one in asked_of(policy.policy, decider.program, meter) if not any(map(_is_user, one.fields))]
    paths = dict.fromkeys(path for item in policy.deny for path in item.reads if path[0] == "pod")
    denied = [one for base in bases[:1] for path in paths for value in (SOME, 1) if (one := _with(base, path, value))]
    asked = [Wanted(labels=one.labels) for each in exemptions if (one := selected(each.exemption)) is not None]
    let_off = [met for base in bases[:1] for one in asked if (met := base & one) is not None]
    wanted: Sequence[Wanted] = [*bases[:1], *let_off, *denied, *bases[1:]]
    for one in islice(wanted, MAX_PODS):
        candidate = candidate_for(one, (policy.policy,), meter)
        if candidate is not None:
            yield candidate


def _is_user(path: tuple[str | int, ...]) -> bool:
    return path[: len(USER)] == USER


def _with(wanted: Wanted, path: FieldPath, value: object) -> Wanted | None:
    return with_value(wanted, tuple(0 if step is EACH else step for step in path), value)


def _made_by(incoming: IncomingPod, api_version: str, kind: str) -> tuple[IncomingPod, IncomingPod]:
    """A pod that says what controls it, asked for by somebody, and by the controller."""
    reference = {"apiVersion": api_version, "kind": kind, "name": "witness", "uid": "witness", "controller": True}
    pod = {**incoming.pod, "metadata": {**incoming.pod["metadata"], "ownerReferences": [reference]}}

    def asked_by(user: Mapping[str, Any]) -> IncomingPod:
        return replace(incoming, pod=pod, request={**incoming.request, "userInfo": user})

    return asked_by(SOMEBODY), asked_by(user_of(pod))


def _told(
    policy: CompiledPolicy,
    incoming: IncomingPod,
    exemptions: Sequence[CompiledExemption],
    decider: Decider,
    meter: Budget,
) -> Told:
    facts = PodFacts(incoming, decider.pool_facts, decider.constants)
    matching, _ = exempting(exemptions, facts)
    evaluation = exempted(policy, matching) or evaluate_policy(policy, facts)
    meter.spend(EVALUATING * (2 + len(exemptions)) + facts.spent)
    return Told(evaluation, matching[0] if matching else None, facts)


def _culprits(policy: CompiledPolicy, mine: Told, its: Told) -> Iterator[str]:
    """Places of expressions about the user by which a policy asks less of a pod that its controller makes."""
    if mine.exemption or mine.evaluation.outcome not in ("applied", "denied"):
        return
    if its.exemption:
        yield from (item.place for item in its.exemption.match_conditions if _reads_user(item.reads))
    elif its.evaluation.outcome == "notMatched":
        yield from _turned(policy.match_conditions, policy, mine, its)
    elif its.evaluation.outcome == "applied" and mine.evaluation.outcome == "denied":
        yield from _turned(policy.deny, policy, mine, its)
    elif _confines(mine.evaluation) and not _confines(its.evaluation):
        yield from (rule.place for rule in policy.require if _reads_user(rule.reads))


def _turned(conditions: Iterable[Condition], policy: CompiledPolicy, mine: Told, its: Told) -> Iterator[str]:
    """Conditions about the user that are true of somebody's pod, and false of the controller's."""
    for item in conditions:
        if _reads_user(item.reads) and _holds(item, policy, mine) is True and _holds(item, policy, its) is False:
            yield item.place


def _holds(item: Condition, policy: CompiledPolicy, told: Told) -> object:
    try:
        return item.function(*told.facts.arguments(policy), None)
    except (CelError, BudgetExceeded):
        return None


def _confines(evaluation: PolicyEvaluation) -> bool:
    """Whether a policy leaves a pod fewer than all nodes."""
    return evaluation.nodes is not None and evaluation.nodes.anywhere != TRUE


def _problem(
    policy: CompiledPolicy,
    place: str,
    words: str,
    made: IncomingPod,
    exemption: CompiledExemption | None,
    exemptions: Sequence[CompiledExemption],
) -> Problem:
    named: list[Named] = [each for one in exemptions for each in one.exemption.match_conditions]
    excerpts: list[Excerpt] = [*policy.policy.excerpts, *(each.excerpt for each in named)]
    span = next(excerpt.whole for excerpt in excerpts if str(excerpt.whole) == place)
    off = "" if exemption else f" `{policy.name}`"
    message = f"this lets the pods of {words} off{off}, whoever wrote it"
    user = made.request["userInfo"]["username"]
    hint = f"`{user}` makes them: name the accounts that are meant, or ask for a label of the namespace"
    return Problem("exempts-controllers", message, span, hint=hint, severity="warning")
