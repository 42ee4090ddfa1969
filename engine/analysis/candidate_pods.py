"""The pods on which claims about policies are tried: a bundle's own, and those made up from what policies select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from engine.analysis.cases import incoming_pods
from engine.analysis.stage import Stage
from engine.analysis.witness import Wanted, incoming_of, variants
from engine.bundle import Bundle, Case, Policy, Test
from engine.decision import described_pod
from engine.documents import BundleError, RequestError, parse_manifests
from engine.evaluation import PolicyEvaluation
from engine.pods import IncomingPod, pods_from_documents, rolled_out
from engine.program import CompiledPolicy, Program

NAMES = tuple(f"witness-{i}" for i in range(200))
"""Names to try, for which side of a rollout a pod falls on depends on its name."""


@dataclass(frozen=True, slots=True)
class Candidate:
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


def made_up_pods(policies: Iterable[CompiledPolicy], program: Program) -> Iterator[Candidate]:
    """Pods made up from what each policy selects and compares."""
    for policy in policies:
        for wanted in variants(policy.policy, program.params):
            candidate = candidate_for(wanted, (policy.policy,))
            if candidate:
                yield candidate


def candidate_for(wanted: Wanted, policies: Iterable[Policy]) -> Candidate | None:
    """A pod as wanted that these policies have been rolled out to; None where none of NAMES gives one."""
    partial = [policy for policy in policies if policy.rollout < 100]
    for name in NAMES if partial else NAMES[:1]:
        incoming = incoming_of(wanted, name)
        if incoming is None:
            return None
        if all(rolled_out(policy.name, policy.rollout, incoming) for policy in partial):
            return Candidate(str(wanted), incoming)
    return None


def evaluations(candidates: Iterable[Candidate], stages: Sequence[Stage]) -> Iterator[tuple[PolicyEvaluation, Stage]]:
    """What each policy says of each candidate, on each stage."""
    for candidate, stage in product(candidates, stages):
        yield from ((evaluation, stage) for evaluation in stage.decider.evaluations(candidate.incoming))
