"""A bundle's own tests: each case is decided like any pod, and what comes out is held against what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.bundle import Bundle, Case, Test
from engine.decision import Decider, Decision
from engine.documents import BundleError, Manifest, Problem, Reading, Source, Span, parse_manifests
from engine.names import PREFERRED, REQUIRED
from engine.pods import IncomingPod, pods_from_documents
from engine.pools import Inventory, inventory_from_documents
from engine.program import Program
from engine.struct import Marked, field, replace

Json = Any


class Result(Marked, frozen=True):
    """One case, run. `expected` and `actual` hold the fields that differ, and only those: none if it passed.

    A case on a file runs for every pod of the file; the first that is not as expected is `decision`.
    """

    unprinted = ("span", "decision")

    test: str
    case: str
    span: Span
    decision: Decision | None
    expected: Mapping[str, Json] = field(default_factory=dict)
    actual: Mapping[str, Json] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.expected

    @property
    def name(self) -> str:
        return f"{self.test}: {self.case}"


class FailedTestsError(BundleError):
    """A bundle that does not do what its own tests expect: one problem for each case that fails."""


def passing(bundle: Bundle, program: Program) -> Program:
    """The program, if it does what the bundle's tests expect. Raises FailedTestsError; else as `run_tests`."""
    failed = [_failure(result) for result in run_tests(bundle, program) if not result.passed]
    if failed:
        raise FailedTestsError(failed)
    return program


def _failure(result: Result) -> Problem:
    differing = [f"`{name}` is not what it expects" for name in result.expected]
    return Problem("failed-case", f"the case `{result.name}` fails: {', '.join(differing)}", result.span)


def run_tests(
    bundle: Bundle, program: Program, wanted: Callable[[str], bool] = bool, beside: Sequence[Program] = ()
) -> Iterator[Result]:
    """The results of the cases whose name (`test: case`) is wanted, in order of the tests' names.

    `beside` are the programs of other bundles that decide together with this one. Raises BundleError for what the cases
    or the files that they name can't be read as.
    """
    for test in bundle.tests:
        cases = [case for case in test.cases if wanted(f"{test.name}: {case.name}")]
        if cases:
            here = replace(program, params={**program.params, **test.params})  # of this bundle, and of no other
            decider = Decider((here, *beside), inventory_of(bundle, test), cluster=test.cluster)
            for case in cases:
                yield run_case(test, case, decider, incoming_pods(bundle, test, case))


def inventory_of(bundle: Bundle, test: Test, reading: Reading | None = None) -> Inventory:
    """The pools of a test. Raises BundleError, also once `reading` is spent, or RequestError."""
    return inventory_from_documents([one for name in test.pools for one in _manifests(bundle, name, reading)])


def incoming_pods(bundle: Bundle, test: Test, case: Case) -> tuple[IncomingPod, ...]:
    """The pods that a case is about. Raises BundleError where there are none, RequestError for one that is no pod."""
    source = case.span.source
    documents = _manifests(bundle, case.file) if case.file else [Manifest(source, _typed(case.pod or {}))]
    namespaces = [Manifest(source, _typed(namespace, "Namespace")) for namespace in test.namespaces]
    pods = pods_from_documents([*documents, *namespaces], namespace=case.namespace, request=case.request, uid=case.uid)
    if not pods:
        what = f"`{case.file}` holds no pod and no workload" if case.file else "this is no pod and no workload"
        raise BundleError([Problem("no-pods", what, case.spans.get("file", case.span))])
    return pods


def run_case(test: Test, case: Case, decider: Decider, pods: Sequence[IncomingPod]) -> Result:
    """The result of one case on its pods."""
    decision: Decision | None = None
    for pod in pods:
        decision = decider.decide(pod)
        differing = dict(_differing(case.expect, decision))
        if differing:
            expected = {name: case.expect[name] for name in differing}
            return Result(test.name, case.name, case.span, decision, expected, differing)
    return Result(test.name, case.name, case.span, decision)


def _typed(given: Mapping[str, Json], kind: str = "Pod") -> dict[str, Json]:
    """An object written inline may leave out what it is."""
    return {"apiVersion": "v1", "kind": kind, **given}


def _manifests(bundle: Bundle, name: str, reading: Reading | None = None) -> tuple[Manifest, ...]:
    source = bundle.source(name) or Source(name, "")
    documents, problems = parse_manifests(source, reading=reading)
    if problems:
        raise BundleError(problems)
    return documents


def _differing(expect: Mapping[str, Json], decision: Decision) -> Iterator[tuple[str, Json]]:
    """The expected fields that are otherwise, with what they are."""
    for name, expected in expect.items():
        actual = FIELDS[name](decision)
        if name in ("policies", "shares"):
            actual = {policy: actual.get(policy) for policy in expected}
        if not _fits(name, expected, actual):
            yield name, actual


def _fits(name: str, expected: Json, actual: Json) -> bool:
    if name == "message":
        return expected in actual
    if name == "warnings":
        return all(any(part in warning for warning in actual) for part in expected)
    if name in ("pools", "untolerated", "overruled"):
        return bool(sorted(expected) == actual)
    return bool(expected == actual)


def _added_tolerations(decision: Decision) -> list[Json]:
    before = decision.incoming.pod.get("spec", {}).get("tolerations") or []
    return [toleration for toleration in _spec(decision).get("tolerations") or [] if toleration not in before]


def _spec(decision: Decision) -> Mapping[str, Json]:
    spec: Mapping[str, Json] = decision.patched.get("spec") or {}
    return spec


def _affinity(decision: Decision, *path: str) -> Json:
    found: Json = _spec(decision).get("affinity")
    for key in path:
        found = (found or {}).get(key)
    return found


_REQUIRED, _PREFERRED = (
    REQUIRED,
    PREFERRED,
)

FIELDS: Mapping[str, Callable[[Decision], Json]] = {
    "allowed": lambda d: d.allowed,
    "message": lambda d: d.message,
    "unchanged": lambda d: not d.placement_patch,
    "pools": lambda d: sorted(d.pools.after),
    "untolerated": lambda d: sorted(d.pools.untolerated),
    "policies": lambda d: {policy.name: policy.outcome for policy in d.policies},
    "shares": lambda d: {policy.name: policy.share.percent for policy in d.policies if policy.share},
    "overruled": lambda d: sorted(policy.name for policy in d.policies if policy.outcome == "overruled"),
    "warnings": lambda d: list(d.warnings),
    "nodeAffinity": lambda d: (_affinity(d, "nodeAffinity", _REQUIRED) or {}).get("nodeSelectorTerms") or [],
    "preferred": lambda d: _affinity(d, "nodeAffinity", _PREFERRED) or [],
    "tolerations": _added_tolerations,
    "topologySpreadConstraints": lambda d: _spec(d).get("topologySpreadConstraints") or [],
    "podAffinity": lambda d: _affinity(d, "podAffinity") or {},
    "podAntiAffinity": lambda d: _affinity(d, "podAntiAffinity") or {},
    "patch": lambda d: list(d.placement_patch),
}
"""What each field of `expect` is held against."""
