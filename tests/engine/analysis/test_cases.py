"""engine.analysis.cases: a bundle's own tests."""

from __future__ import annotations

import pytest

from engine.analysis.cases import Result, run_tests
from engine.bundle import Bundle, parse_bundle
from engine.documents import BundleError
from engine.program import compile_bundle

HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: "
BUNDLE = HEAD + "Bundle\nmetadata: {name: b}\nspec: {version: 1.0.0, params: {zone: a, other: x}}\n"
POLICY = HEAD + "PlacementPolicy\nmetadata: {name: p}\nspec:\n"
POOLS = HEAD + "Inventory\npools:\n  - {name: a, selector: {pool: a}}\n  - {name: b, selector: {pool: b}}\n"
POD = "{spec: {containers: [{name: c, image: i}]}}"


def bundle(policy: str, test: str, **files: str) -> Bundle:
    texts = {"bundle.yaml": BUNDLE, "policies/p.yaml": POLICY + policy, "pools/p.yaml": POOLS}
    texts["tests/t.yaml"] = HEAD + "PlacementTest\nmetadata: {name: t}\nspec:\n  pools: pools/p.yaml\n" + test
    found, problems = parse_bundle(texts | {name.replace("__", "/") + ".yaml": text for name, text in files.items()})
    assert problems == ()
    assert found
    return found


def results(policy: str, test: str, **files: str) -> list[Result]:
    tested = bundle(policy, test, **files)
    return list(run_tests(tested, compile_bundle(tested)))


def test_params_are_laid_over_the_bundles() -> None:
    test = "  params: {zone: b}\n  cases:\n    - {name: one, pod: POD, expect: {pools: [b]}}\n".replace("POD", POD)
    (result,) = results("  require: [{expression: pool.name == params.zone && params.other == 'x'}]\n", test)
    assert result.passed, result.actual


def test_cluster_namespaces_and_request() -> None:
    policy = """\
  namespaceSelector: {matchLabels: {team: ml}}
  deny:
    - expression: cluster.name == "prod" && request.userInfo.username == "jane"
"""
    test = f"""\
  cluster: {{name: prod}}
  namespaces: [{{metadata: {{name: ml, labels: {{team: ml}}}}}}]
  cases:
    - {{name: denied, namespace: ml, request: {{userInfo: {{username: jane}}}}, pod: {POD}, expect: {{allowed: false}}}}
    - {{name: not jane, namespace: ml, pod: {POD}, expect: {{policies: {{p: satisfied}}}}}}
    - {{name: not ml, namespace: web, pod: {POD}, expect: {{policies: {{p: notMatched}}}}}}
"""
    assert [(result.name, result.actual) for result in results(policy, test)] == [
        ("t: denied", {}),
        ("t: not jane", {}),
        ("t: not ml", {}),
    ]


def test_every_pod_of_a_file_must_be_as_expected() -> None:
    spec = "spec: {nodeSelector: {pool: NAME}, containers: [{name: c}]}"
    pods = "".join(f"---\nkind: Pod\nmetadata: {{name: NAME}}\n{spec}\n".replace("NAME", name) for name in "ab")
    test = "  cases:\n    - {name: one, file: examples/two.yaml, expect: {pools: [a]}}\n"
    (result,) = results("  prefer: [{expression: pool.name == 'a', weight: 1}]\n", test, examples__two=pods)
    assert not result.passed
    assert result.decision
    assert result.decision.incoming.name == "b"
    assert (result.expected, result.actual) == ({"pools": ["a"]}, {"pools": ["b"]})


@pytest.mark.parametrize(
    ("source", "text", "complaint"),
    [
        ("file: examples/x.yaml", "kind: ConfigMap\n", "`examples/x.yaml` holds no pod and no workload"),
        ("pod: {kind: ConfigMap}", "kind: Pod\n", "this is no pod and no workload"),
        ("file: examples/x.yaml", "a: [\n", "never closed"),
    ],
)
def test_cases_without_a_pod(source: str, text: str, complaint: str) -> None:
    test = f"  cases:\n    - {{name: one, {source}, expect: {{allowed: true}}}}\n"
    with pytest.raises(BundleError, match=complaint):
        results("  deny: [{expression: 'false'}]\n", test, examples__x=text)


def test_only_what_is_wanted_runs() -> None:
    cases = "".join(f"    - {{name: {name}, pod: {POD}, expect: {{allowed: true}}}}\n" for name in ("one", "two"))
    tested = bundle("  deny: [{expression: 'false'}]\n", "  cases:\n" + cases)
    chosen = run_tests(tested, compile_bundle(tested), lambda name: name == "t: two")
    assert [result.case for result in chosen] == ["two"]


SPLIT = """\
  split:
    - {share: 50, expression: pool.name == "a"}
    - {share: 50, expression: pool.name == "b"}
"""


def test_a_uid_says_the_share_that_can_be_expected() -> None:
    pods = "\n".join(
        f"    - {{name: n{uid}, uid: '{uid}', pod: {POD}, expect: {{pools: [a], shares: {{p: 50}}}}}}"
        for uid in range(8)
    )
    run = results(SPLIT, f"  cases:\n{pods}\n")
    assert {result.passed for result in run} == {True, False}
    assert all(result.passed or result.actual == {"pools": ["b"]} for result in run)
    assert [result.passed for result in results(SPLIT, f"  cases:\n{pods}\n")] == [result.passed for result in run]


def test_another_share_than_expected_is_told() -> None:
    policy = SPLIT.replace("50", "30", 1).replace("50", "70")
    (result,) = results(policy, f"  cases:\n    - {{name: one, pod: {POD}, expect: {{shares: {{p: 30}}}}}}\n")
    assert (result.expected, result.actual) == ({"shares": {"p": 30}}, {"shares": {"p": 70}})


def test_replicas_have_their_index_share() -> None:
    replica = (
        "{metadata: {name: db-%d, namespace: x, ownerReferences: "
        "[{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true}]}, spec: {containers: [{name: c}]}}"
    )
    cases = "\n".join(f"    - {{name: n{i}, pod: {replica % i}, expect: {{pools: [a]}}}}" for i in range(10))
    assert sum(result.passed for result in results(SPLIT, f"  cases:\n{cases}\n")) == 5
