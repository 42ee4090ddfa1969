"""The pods on which claims about policies are tried: a bundle's own, and those made up from what policies select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.analysis.cases import incoming_pods
from engine.analysis.stage import PARSING, Stage
from engine.analysis.witness import Wanted, incoming_of, variants
from engine.bundle import Bundle, Case, Policy, Test
from engine.decision import described_pod
from engine.documents import BundleError, RequestError, parse_manifests
from engine.evaluation import PolicyEvaluation
from engine.language import Budget
from engine.pods import IncomingPod, pods_from_documents, rolled_out
from engine.program import CompiledPolicy, Program
from engine.struct import Struct, replace

NAMES = tuple(f"witness-{i}" for i in range(200))
"""Names to try, for which side of a rollout a pod falls on depends on its name."""

MAKING, PER_FIELD, NAMING, GUESSING = 700, 40, 30, 100
"""What it costs to make up a pod, each field of it, to try a name for it, and to see what an expression looks for."""


class Candidate(Struct, frozen=True):
    """A pod to try, and what it is called in messages."""

    words: str
    incoming: IncomingPod


def own_pods(bundle: Bundle) -> Iterator[Candidate]:
    """The pods of a bundle's tests and examples, as far as they can be read; `bayplan test` says what can't."""
    for test in bundle.tests:
        for case in test.cases:
            words = f"the pod of test case `{test.name}: {case.name}`"
            yield from (Candidate(words, incoming) for incoming in pods_of_case(bundle, test, case))
    examples = [source for source in bundle.sources if source.name.startswith("examples/")]
    documents = [one for source in examples for one in parse_manifests(source)[0]]
    try:
        found = pods_from_documents(documents)
    except RequestError:
        return
    yield from (Candidate(f"{described_pod(incoming)} of the examples", incoming) for incoming in found)


def pods_of_case(bundle: Bundle, test: Test, case: Case) -> tuple[IncomingPod, ...]:
    """The pods of a test case, none where they can't be read."""
    try:
        return incoming_pods(bundle, test, case)
    except (BundleError, RequestError):
        return ()


def made_up_pods(policy: CompiledPolicy, program: Program, meter: Budget) -> Iterator[Candidate]:
    """Pods made up from what a policy selects and compares."""
    for wanted in asked_of(policy.policy, program, meter):
        candidate = candidate_for(wanted, (policy.policy,), meter)
        if candidate:
            yield candidate


def asked_of(policy: Policy, program: Program, meter: Budget) -> list[Wanted]:
    """The pods that a policy may be about."""
    meter.spend(GUESSING + sum(GUESSING + PARSING * len(excerpt.value) for excerpt in policy.excerpts))
    return variants(policy, program.params)


def candidate_for(wanted: Wanted, policies: Iterable[Policy], meter: Budget) -> Candidate | None:
    """A pod as wanted that these policies have been rolled out to; None where none of NAMES gives one."""
    partial = [policy for policy in policies if policy.rollout < 100]
    price = MAKING + PER_FIELD * (len(wanted.labels) + len(wanted.namespace) + len(wanted.fields))
    meter.spend(price)
    first = incoming_of(wanted, NAMES[0])
    if first is None:
        return None
    for name in NAMES if partial else NAMES[:1]:
        meter.spend(NAMING * len(partial))
        named = replace(first, pod={**first.pod, "metadata": {**first.pod["metadata"], "name": name}})
        if all(rolled_out(policy.name, policy.rollout, named) for policy in partial):
            meter.spend(0 if name == NAMES[0] else price)
            incoming = first if name == NAMES[0] else incoming_of(wanted, name)
            return Candidate(str(wanted), incoming) if incoming else None
    return None


class Tried(NamedTuple):
    """What the policies that apply to a pod say of it, on one stage."""

    candidate: Candidate
    stage: Stage
    evaluations: tuple[PolicyEvaluation, ...]


def tried(candidate: Candidate, stages: Iterable[Stage]) -> Iterator[Tried]:
    """A pod on each stage, at the expense of these."""
    for stage in stages:
        evaluations = stage.decider.evaluations(candidate.incoming, stage.meter)
        yield Tried(candidate, stage, tuple(one for one in evaluations if one.outcome == "applied"))


def by_policy(trials: Iterable[Tried]) -> dict[str, list[tuple[PolicyEvaluation, Stage]]]:
    """What each policy says of the pods that it applies to."""
    found: dict[str, list[tuple[PolicyEvaluation, Stage]]] = {}
    for trial in trials:
        for evaluation in trial.evaluations:
            found.setdefault(evaluation.policy.name, []).append((evaluation, trial.stage))
    return found
