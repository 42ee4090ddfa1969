"""The sample bundles: clean, tested in every policy, and laid out alike, for people copy them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from delivery.folder import load_bundle
from engine.analysis import run_tests
from engine.bundle import Bundle
from engine.program import compile_bundle

POLICIES = Path(__file__).parents[1] / "policies"
BUNDLES = sorted(path.name for path in POLICIES.iterdir())
EFFECTIVE = {"applied", "denied", "audited", "overruled"}


@pytest.fixture(params=BUNDLES)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return load_bundle(POLICIES / request.param)


def test_they_are_these() -> None:
    assert BUNDLES == [
        "gpu",
        "karpenter-migration",
        "scheduling-classes",
        "spot-first",
        "tenant-isolation",
        "zone-evacuation",
    ]


def test_no_problem_and_no_warning(bundle: Bundle) -> None:
    assert (bundle.warnings, compile_bundle(bundle).warnings) == ((), ())


def test_its_own_tests_pass(bundle: Bundle) -> None:
    results = list(run_tests(bundle, compile_bundle(bundle)))
    assert len(results) >= 3
    assert [(result.name, result.expected, result.actual) for result in results if not result.passed] == []


def test_every_policy_has_a_case_that_it_decides_and_one_that_it_does_not(bundle: Bundle) -> None:
    outcomes: dict[str, set[str]] = defaultdict(set)
    for result in run_tests(bundle, compile_bundle(bundle)):
        assert result.decision
        for said in result.decision.policies:
            outcomes[said.name].add(said.outcome)
    for policy in bundle.policies:
        assert outcomes[policy.name] & EFFECTIVE, policy.name
        assert outcomes[policy.name] - EFFECTIVE, policy.name


def test_each_says_what_it_is_for(bundle: Bundle) -> None:
    readme = (POLICIES / bundle.name / "README.md").read_text()
    assert readme.startswith(f"# {bundle.name}\n")
    assert len(readme.splitlines()) <= 25
    assert bundle.description
    assert all(policy.description for policy in bundle.policies)


def test_laid_out_alike(bundle: Bundle) -> None:
    folder = POLICIES / bundle.name
    assert sorted(path.name for path in folder.iterdir()) == [
        ".bayplanignore",
        "README.md",
        "bundle.yaml",
        "examples",
        "policies",
        "pools",
        "tests",
    ]
