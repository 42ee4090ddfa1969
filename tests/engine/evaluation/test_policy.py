"""What one policy says of a pod by itself: scores, tiers, and what it hands on of spread and pod affinity."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from engine.evaluation.scores import _clipped
from tests.engine.builders import decide, inventory, outcomes, patched, preferred
from tests.engine.decision.test_limits import pools_of_nodes

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODEPOOL = "karpenter.sh/nodepool"
CAPACITY = "karpenter.sh/capacity-type"


def pools(count: int, more: str = "") -> Any:
    """So many pools p0, p1, ... with as many GPUs as their number."""
    listed = "\n".join(
        f"  - {{name: p{i}, selector: {{karpenter.sh/nodepool: p{i}}}, gpus: {i}{more}}}" for i in range(count)
    )
    return inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n{listed}")


def wishes(decision: Any) -> list[tuple[int, list[dict[str, Any]]]]:
    """Weights and what they are for, as they are written."""
    node = patched(decision).get("affinity", {}).get("nodeAffinity", {})
    return [(one["weight"], one["preference"]["matchExpressions"]) for one in node.get(PREFERRED, ())]


# Scores


@pytest.mark.parametrize(
    ("score", "weight"),
    [
        (0, 0),
        (1, 1),
        (99.6, 100),
        (100, 100),
        (101, 100),
        (10**30, 100),
        (-5, 0),
        (0.4, 0),
        (2.5, 2),
        (inf, 100),
        (-inf, 0),
        (nan, 0),
        (True, 0),
        (None, 0),
        ("7", 0),
    ],
)
def test_a_score_is_clipped(score: object, weight: int) -> None:
    assert _clipped(score) == weight


def test_a_score_that_reads_no_pool_is_of_every_node() -> None:
    """A node of no pool has it, too."""
    found = wishes(decide("prefer: [{expression: 'true', score: 'has(node.zone) && node.zone == \"a\" ? 30 : 20'}]"))
    zone = "topology.kubernetes.io/zone"
    assert (30, [{"key": zone, "operator": "In", "values": ["a"]}]) in found
    assert all(e["key"] == zone for _, expressions in found for e in expressions)


def test_a_score_that_is_the_same_everywhere_is_not_written() -> None:
    decision = decide("prefer: [{expression: 'true', score: size(pod.spec.containers) * 30}]")
    assert (decision.patch, decision.as_json()["placement"]) == ((), {})


def test_a_capacity_type_is_scored_as_each_provider_says_it() -> None:
    spec = "prefer: [{expression: 'true', score: 'node.capacityType == \"spot\" ? 60 : 10'}]"
    found = wishes(decide(spec))
    assert (60, [{"key": "cloud.google.com/gke-nodepool", "operator": "In", "values": ["legacy"]}]) not in found
    said = {weight: {e["key"] for w, expressions in found for e in expressions if w == weight} for weight, _ in found}
    assert {"cloud.google.com/gke-spot", CAPACITY} <= said[60]
    assert {"cloud.google.com/gke-spot", CAPACITY} <= said[10]


def test_a_score_that_fails_on_one_pool_still_weighs_the_others() -> None:
    """Whichever comes first; the error is recorded."""
    decision = decide(
        "prefer: [{expression: 'true', score: '10 / (pool.gpus - 1)'}]", pools=pools(4)
    )  # p1 divides by zero, p0 comes to less than nothing
    assert preferred(decision) == {"p2": 10, "p3": 5}
    assert decision.policies[0].error == "prefer[0].score: division by zero (pool `p1`)"
    everywhere = decide("prefer: [{expression: 'true', score: '10 / (size(pod.spec.containers) - 1)'}]")
    assert (everywhere.patch, everywhere.policies[0].error) == ((), "prefer[0].score: division by zero")


def test_a_score_holds_only_where_its_expression_does() -> None:
    spec = "prefer: [{expression: pool.gpus > 1, score: pool.gpus * 10}, {expression: pool.gpus < 3, weight: 5}]"
    assert preferred(decide(spec, pools=pools(4))) == {"p2": 20, "p3": 30, "p0,p1,p2": 5}


# Tiers


def test_a_node_counts_for_its_best_tier() -> None:
    """Pools that are of two tiers are told apart from those of one, wherever the tiers overlap."""
    spec = "fallback: [{expression: 'pool.gpus in [0, 1]'}, {expression: 'pool.gpus in [1, 2]'}]"
    found = {weight: expressions[0]["values"] for weight, expressions in wishes(decide(spec, pools=pools(4)))}
    first, second = sorted(found, reverse=True)
    assert (found[first], found[second]) == (["p0", "p1"], ["p2"])


def test_tiers_overlap_in_part_of_a_pool() -> None:
    spec = "fallback: [{expression: 'pool.gpus < 2 && node.zone == \"a\"'}, {expression: 'pool.gpus > 0'}]"
    found = wishes(decide(spec, pools=pools(3)))
    weights = {
        (pool, zone): sum(
            weight
            for weight, expressions in found
            if all(admits(e, {NODEPOOL: pool, "topology.kubernetes.io/zone": zone}) for e in expressions)
        )
        for pool in ("p0", "p1", "p2")
        for zone in ("a", "b")
    }
    first, second = weights["p0", "a"], weights["p2", "a"]
    assert first > second > 0
    assert weights == {
        ("p0", "a"): first,
        ("p0", "b"): 0,
        ("p1", "a"): first,
        ("p1", "b"): second,
        ("p2", "a"): second,
        ("p2", "b"): second,
    }


def admits(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    value, listed = labels.get(expression["key"]), expression.get("values", [])
    match expression["operator"]:
        case "In":
            return value in listed
        case "NotIn":
            return value not in listed
        case "Exists":
            return value is not None
        case _:
            return value is None


def test_a_tier_over_nodes_leaves_out_the_pools_of_a_better_one() -> None:
    """Though pools do not matter to it."""
    spec = "fallback: [{expression: pool.gpus > 1}, {expression: 'node.zone == \"a\"'}]"
    (first, one), (second, other) = wishes(decide(spec, pools=pools(3)))
    assert (first, one) == (2 * second, [{"key": NODEPOOL, "operator": "In", "values": ["p2"]}])
    zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
    assert other == [{"key": NODEPOOL, "operator": "NotIn", "values": ["p2"]}, zone]


def test_tiers_over_nodes_alone() -> None:
    spec = 'fallback: [{expression: \'node.zone == "a"\'}, {expression: \'node.zone in ["a", "b"]\'}]'
    (first, one), (second, other) = wishes(decide(spec))
    assert first == 2 * second
    assert (one[0]["values"], other[0]["values"]) == (["a"], ["b"])


# What was observed is demanded again


@pytest.mark.parametrize(
    ("labels", "capacity", "said"),
    [
        ({NODEPOOL: "k", CAPACITY: "spot"}, "spot", {"key": CAPACITY, "operator": "In", "values": ["spot"]}),
        (
            {"eks.amazonaws.com/nodegroup": "g", "eks.amazonaws.com/capacityType": "SPOT"},
            "spot",
            {"key": "eks.amazonaws.com/capacityType", "operator": "In", "values": ["SPOT"]},
        ),
        (
            {"cloud.google.com/gke-nodepool": "g", "cloud.google.com/gke-spot": "true"},
            "spot",
            {"key": "cloud.google.com/gke-spot", "operator": "In", "values": ["true"]},
        ),
        (
            {"kubernetes.azure.com/agentpool": "a"},
            "on-demand",
            {"key": "kubernetes.azure.com/scalesetpriority", "operator": "NotIn", "values": ["spot"]},
        ),
    ],
)
def test_the_capacity_type_of_nodes_that_are_there(labels: dict[str, str], capacity: str, said: dict[str, Any]) -> None:
    """Another may come, which is of another type."""
    decision = decide(
        f"require: [{{expression: '\"{capacity}\" in pool.capacityTypes'}}]", pools=pools_of_nodes(labels)
    )
    terms = patched(decision)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert any(said in one["matchExpressions"] for one in terms["nodeSelectorTerms"])


# What is handed on


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
