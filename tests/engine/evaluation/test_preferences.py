"""engine.evaluation.preferences: fallback tiers, and which nodes each of them is of."""

from __future__ import annotations

from typing import Any

from tests.engine.builders import decide
from tests.engine.evaluation.builders import (
    NODEPOOL,
    pools,
    wishes,
)


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
