"""engine.evaluation.scores: what a number comes to as a weight, on each pool and node."""

from __future__ import annotations

from math import inf, nan

import pytest

from engine.evaluation.scores import _clipped
from tests.engine.builders import decide, preferred
from tests.engine.evaluation.builders import (
    CAPACITY,
    FLEET,
    NODEPOOL,
    pools,
    wishes,
)


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


@pytest.mark.parametrize(
    "score",
    ["pool.labels[params.key] == 'r' ? 7 : 0", "node.capacityType == 'spot' || pool.labels[params.key] == 'r' ? 7 : 0"],
)
def test_what_a_score_reads_is_demanded_again(score: str) -> None:
    wish = f"prefer: [{{expression: 'true', score: {score!r}}}]"
    decision = decide(wish, bundle="{params: {key: rack}}", pools=FLEET)
    wishes = [one["preference"] for one in decision.as_json()["placement"]["preferred"]]
    assert wishes
    for one in wishes:
        by_key = {e["key"]: e for e in one["matchExpressions"]}
        assert by_key["rack"]["operator"] == "In"
        assert set(by_key) <= {NODEPOOL, "rack", "karpenter.sh/capacity-type"}
