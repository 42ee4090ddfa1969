"""cli.test: what `bayplan test` tells of a bundle's own tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Bayplan, sample

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {karpenter.sh/nodepool: a}}
  - {name: b, selector: {karpenter.sh/nodepool: b}}
"""
POLICY = 'require: [{expression: pool.name == "a", message: only a}]'
TEST = """
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: places}
spec:
  pools: pools/two.yaml
  cases:
    - name: right
      pod: {metadata: {name: x}, spec: {containers: [{name: c, image: i}]}}
      expect: {allowed: true, pools: [a]}
    - name: wrong
      pod: {metadata: {name: x}, spec: {containers: [{name: c, image: i}]}}
      expect:
        EXPECTED
"""


def files(expected: str) -> dict[str, str]:
    return {"pools/two.yaml": POOLS, "tests/t.yaml": TEST.replace("EXPECTED", expected)}


def test_a_failing_case_shows_what_differs(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"only-a": POLICY}, files("{pools: [a, b], policies: {only-a: applied}, message: only b}"))
    ran = bayplan("test", folder)
    assert ran.status == 1
    assert "pass  places: right" in ran.out
    assert "FAIL  places: wrong" in ran.out
    assert f"{folder}/tests/t.yaml:11:" in ran.out
    assert "-pools: [a, b]" in ran.out
    assert "+pools: [a]" in ran.out
    assert "-message: only b" in ran.out
    assert "policies" not in ran.out
    assert ran.out.endswith("2 cases, 1 failed\n")


@pytest.mark.parametrize(
    "expected",
    [
        "{allowed: false}",
        "{message: everywhere}",
        "{unchanged: true}",
        "{pools: [b]}",
        "{untolerated: [a]}",
        "{policies: {only-a: satisfied}}",
        "{overruled: [only-a]}",
        "{warnings: [careful]}",
        "{nodeAffinity: []}",
        "{preferred: [{weight: 1, preference: {}}]}",
        "{tolerations: [{operator: Exists}]}",
        "{topologySpreadConstraints: [{maxSkew: 1}]}",
        "{podAffinity: {a: []}}",
        "{podAntiAffinity: {a: []}}",
        "{patch: []}",
    ],
)
def test_each_expectation_can_fail(bayplan: Bayplan, bundle: Callable[..., Path], expected: str) -> None:
    ran = bayplan("test", bundle({"only-a": POLICY}, files(expected)), "-o", "json")
    right, wrong = ran.json
    assert (right["passed"], wrong["passed"], ran.status) == (True, False, 1)
    (field,) = wrong["expected"]
    assert wrong["expected"][field] != wrong["actual"][field]
    assert wrong["decision"]["pools"]["after"] == ["a"]


def test_run_chooses_cases(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"only-a": POLICY}, files("{pools: [b]}"))
    ran = bayplan("test", folder, "--run", "places: r")
    assert (ran.status, ran.out) == (0, "pass  places: right\n\n1 case, all passed\n")
    assert "no case matches" in bayplan("test", folder, "--run", "nothing").err
    assert bayplan("test", folder, "--run", "nothing").status == 2
    assert "not a regular expression" in bayplan("test", folder, "--run", "(").err


def test_a_bundle_without_tests(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    ran = bayplan("test", bundle({"only-a": POLICY}))
    assert ran.status == 2
    assert "no tests" in ran.err


def test_a_bundle_that_does_not_compile(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"only-a": 'require: [{expression: pool.nam == "a"}]'}, files("{pools: [b]}"))
    ran = bayplan("test", folder)
    assert ran.status == 2
    assert f"{folder}/policies/only-a.yaml:5:" in ran.err
    assert "bayplan check" in ran.err


def test_several_bundles(bayplan: Bayplan) -> None:
    ran = bayplan("test", sample("gpu"), sample("spot-first"))
    assert ran.status == 0
    assert "pass  gpu: " in ran.out
    assert "pass  on-gke: " in ran.out
