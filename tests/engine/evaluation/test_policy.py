"""engine.evaluation.policy: what one policy hands on of spread and pod affinity."""

from __future__ import annotations

import pytest

from tests.engine.builders import decide, outcomes, patched
from tests.engine.evaluation.builders import (
    PREFERRED,
)


def test_all_that_a_spread_constraint_says_is_written() -> None:
    spec = """
spread:
  - topologyKey: z
    maxSkew: 2
    whenUnsatisfiable: DoNotSchedule
    minDomains: 3
    nodeAffinityPolicy: Ignore
    nodeTaintsPolicy: Honor
    labelSelector: {matchLabels: {x: y}}
    matchLabelKeys: [app]
"""
    assert patched(decide(spec))["topologySpreadConstraints"] == [
        {
            "topologyKey": "z",
            "maxSkew": 2,
            "whenUnsatisfiable": "DoNotSchedule",
            "minDomains": 3,
            "nodeAffinityPolicy": "Ignore",
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"app": "web", "x": "y"}},
        }
    ]


def test_all_that_a_pod_term_says_is_written() -> None:
    spec = """
podAffinity:
  - {topologyKey: z, required: true, labelSelector: {matchLabels: {x: y}}, namespaceSelector: {matchLabels: {n: m}}}
podAntiAffinity:
  - {topologyKey: z, weight: 7, matchLabelKeys: [app], namespaces: [b, a]}
"""
    affinity = patched(decide(spec))["affinity"]
    assert affinity["podAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "z",
                "labelSelector": {"matchLabels": {"x": "y"}},
                "namespaceSelector": {"matchLabels": {"n": "m"}},
            }
        ]
    }
    term = {"topologyKey": "z", "labelSelector": {"matchLabels": {"app": "web"}}, "namespaces": ["a", "b"]}
    assert affinity["podAntiAffinity"] == {PREFERRED: [{"weight": 7, "podAffinityTerm": term}]}


@pytest.mark.parametrize(
    ("effect", "what"),
    [
        (
            "spread: [{topologyKey: z, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, matchLabelKeys: [lacking]}]",
            "spread over",
        ),
        ("podAffinity: [{topologyKey: z, weight: 5, matchLabelKeys: [lacking]}]", "pod affinity over"),
    ],
)
def test_what_would_count_no_pod_fails_the_policy(effect: str, what: str) -> None:
    """An empty selector counts everything."""
    decision = decide(effect)
    assert outcomes(decision) == {"one": "failed"}
    assert decision.policies[0].error == (
        f"{what} `z` would count no pod: the pod has none of the labels that it selects by"
    )
