"""engine.analysis.preferences: preferences that tell nothing apart, and tiers that come out equal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.engine.analysis.bundles import SEEN, WIDE, examined, told
from tests.engine.builders import decide, inventory, patched
from tests.engine.matching import PREFERRED


@pytest.mark.parametrize(
    ("spec", "idle"),
    [
        ("prefer: [{expression: 'pool.gpus > 2', weight: 5}]", "on no node"),
        ("prefer: [{expression: 'pool.gpus >= 0', weight: 5}]", "on every node"),
        ('prefer: [{expression: \'node.labels["arch"] in ["amd64", "arm64"]\', weight: 5}]', "on every node"),
        ("prefer: [{expression: 'pool.gpus > 0', weight: 5}]", ""),
        ('prefer: [{expression: \'node.labels["zone"] == "a"\', weight: 5}]', ""),
        (f"{WIDE}\nprefer: [{{expression: 'pool.gpus > 0', weight: 5}}]", "on no node"),
        (f"{WIDE}\nprefer: [{{expression: 'pool.gpus == 0', weight: 5}}]", "on every node"),
        ("prefer: [{expression: 'pool.gpus > 2 && pod.metadata.namespace == pool.name', weight: 5}]", "on no node"),
        ("prefer: [{expression: 'pool.gpus > 0 && pod.metadata.namespace == pool.name', weight: 5}]", ""),
        ("prefer: [{expression: 'true', score: pool.gpus}]", ""),
        ("prefer: [{expression: 'pool.gpus > 0', score: pool.gpus}]", ""),
        ("prefer: [{expression: 'true', score: pool.gpus * 0 + 7}]", "scores the same on every node"),
        ("prefer: [{expression: 'pool.gpus >= 0', score: '7'}]", "scores the same on every node"),
        ("prefer: [{expression: 'true', score: size(pod.spec.containers)}]", ""),
        ("prefer: [{expression: 'true', score: '-pool.gpus'}]", "scores nothing on any node"),
        ("prefer: [{expression: 'pool.gpus == 0', score: pool.gpus}]", "scores nothing on any node"),
        ("prefer: [{expression: 'true', score: int(pool.price)}]", "scores nothing on any node"),
        (f"{WIDE}\nprefer: [{{expression: 'true', score: pool.gpus + 1}}]", "scores the same on every node"),
        ("prefer: [{expression: 'true', score: 'node.labels[\"zone\"] == \"a\" ? 5 : 6'}]", ""),
        ("prefer: [{expression: 'true', score: 'node.labels[\"arch\"] == \"s390x\" ? 5 : 6'}]", "scores the same"),
        ("fallback: [{expression: 'pool.gpus > 2'}]", ""),
        ("fallback: [{expression: 'pool.gpus > 0'}, {expression: 'pool.gpus == 0'}]", ""),
        ("fallback: [{expression: 'pool.gpus > 0'}, {expression: 'pool.gpus > 1'}]", "only on nodes of an earlier one"),
        ("fallback: [{expression: 'pool.gpus >= 0'}]", "tier is true on every node"),
        ("fallback: [{expression: 'pool.gpus > 1'}, {expression: 'true'}]", ""),
        (f"{WIDE}\nfallback: [{{expression: 'pool.gpus == 0'}}]", "tier is true on every node"),
        (
            'fallback: [{expression: \'node.labels["zone"] in ["a", "b"]\'}, '
            '{expression: \'node.labels["zone"] == "b"\'}]',
            "only on nodes of an earlier one",
        ),
        (
            'fallback: [{expression: \'node.labels["zone"] == "a"\'}, '
            '{expression: \'node.labels["zone"] in ["a", "b"]\'}]',
            "",
        ),
        ("fallback: [{expression: pool.name == pod.metadata.namespace}, {expression: pool.gpus > 0}]", ""),
        (
            "fallback: [{expression: pool.gpus > 0}, "
            "{expression: pool.gpus > 1 && pool.name == pod.metadata.namespace}]",
            "only on nodes of an earlier one",
        ),
        ("fallback: [{expression: pool.name != pod.metadata.namespace}]", ""),
    ],
)
def test_a_preference_that_never_matters(spec: str, idle: str) -> None:
    problems = examined({"p": spec}).problems
    assert [problem.rule for problem in problems] == (["idle-preference"] if idle else [])
    assert all(idle in problem.message for problem in problems)


@pytest.mark.parametrize(
    "more",
    [
        "tolerate: [{expression: 'taint.key == \"k\"'}]",
        'require: [{expression: \'pod.metadata.name == "p" || pool.labels["tier"] == "gold"\'}]',
    ],
)
def test_a_preference_for_the_only_pool_matters_beside_nodes_of_none(more: str) -> None:
    stray = "apiVersion: v1\nkind: Node\nmetadata: {name: s, labels: {rack: a}}\nspec: {}\n"
    pools = SEEN["pools/p.yaml"].split("  - name: seen")[0] + "---\n" + stray
    wish = 'prefer: [{expression: \'pool.labels["tier"] == "gold"\', weight: 7}]'
    assert "idle-preference" not in dict(told(examined({"a": f"{wish}\n{more}"}, {"pools/p.yaml": pools})))


def pools_named(count: int) -> str:
    pools = [{"name": f"p{i}", "selector": {"pool": f"p{i}"}} for i in range(count)]
    return json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pools})


def of_pools(places: Iterable[int]) -> list[str]:
    return [f'pool.name == "p{i}"' for i in places]


@pytest.mark.parametrize(
    ("tiers", "tied"),
    [
        (of_pools(range(100)), False),
        (of_pools(range(101)), True),
        ([*of_pools([0]), *of_pools(range(200, 299)), *of_pools([1])], False),  # most have no node
        ([*of_pools(range(100)), 'pool.name == "nobody"'], False),
        ([f'int(node.labels["b{i}"]) > 1' for i in range(7)], False),
        ([f'int(node.labels["b{i}"]) > 1' for i in range(8)], True),
        ([f'int(node.labels["b{i}"]) > 1 || node.labels["z"] == "s"' for i in range(6)], False),
        ([f'int(node.labels["b{i}"]) > 1 || node.labels["z"] == "s"' for i in range(7)], True),
    ],
)
def test_tiers_that_come_out_equal(tiers: list[str], tied: bool) -> None:
    """It is told exactly where two weights in a pod are equal."""
    spec = json.dumps({"fallback": [{"expression": tier} for tier in tiers]})
    said = [rule for rule, _ in told(examined({"a": spec}, {"pools/p.yaml": pools_named(101)}))]
    assert [rule for rule in said if rule == "tied-tiers"] == (["tied-tiers"] if tied else [])
    affinity = patched(decide(spec, pools=inventory(pools_named(101))))["affinity"]["nodeAffinity"]
    weights = [wish["weight"] for wish in affinity[PREFERRED]]
    assert tied == (len(set(weights)) < len(weights))


def test_tiers_that_only_some_pods_have() -> None:
    """They are none for any pod that is tried, so nothing is told of them."""
    spec = {"fallback": [{"expression": f"int(node.labels.b{i}) > int(pod.metadata.labels.app)"} for i in range(8)]}
    said = told(examined({"a": json.dumps(spec)}, {"pools/p.yaml": pools_named(2)}))
    assert {rule for rule, _ in said} == {"unseen-label"}


@pytest.mark.parametrize(
    ("tiers", "require"),
    [
        (of_pools(range(101)), '!(pool.name in ["p99", "p100"])'),
        (of_pools(range(101)), 'pool.name in ["p0", "p1"]'),
        ([f'node.labels["r{i}"] == "v"' for i in range(150)], ""),  # more values than a pod can carry
    ],
)
def test_tiers_of_which_no_two_that_are_left_come_out_equal(tiers: list[str], require: str) -> None:
    spec: dict[str, Any] = {"fallback": [{"expression": tier} for tier in tiers]}
    if require:
        spec["require"] = [{"expression": require}]
    found = told(examined({"a": json.dumps(spec)}, {"pools/p.yaml": pools_named(101)}))
    assert "tied-tiers" not in dict(found)


def test_tiers_that_come_out_equal_in_one_inventory_only() -> None:
    spec = json.dumps({"fallback": [{"expression": tier} for tier in of_pools(range(101))]})
    both = {"pools/p.yaml": pools_named(101), "pools/few.yaml": pools_named(2)}
    assert told(examined({"a": spec}, both)) == []
