"""engine.analysis.outvoted: preferences for nodes that the scheduler avoids."""

from __future__ import annotations

import json

import pytest

from engine.analysis.outvoted import AFFINITY_WEIGHT, TAINT_WEIGHT
from tests.engine.analysis.bundles import examined, found
from tests.engine.oracle import built

FLEET = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: soft, selector: {pool: soft}, labels: {tier: soft}, taints: [{key: s, effect: PreferNoSchedule}]}
  - name: some
    selector: {pool: some}
    labels: {tier: some}
    taints: [{key: p, effect: PreferNoSchedule, partial: true}]
  - {name: hard, selector: {pool: hard}, labels: {tier: hard}, taints: [{key: h, effect: NoSchedule}]}
  - {name: plain, selector: {pool: plain}, labels: {tier: plain}}
"""
NODES = """
apiVersion: v1
kind: List
items:
  - {kind: Node, metadata: {name: a, labels: {pool: x}}, spec: {taints: [{key: t1, effect: PreferNoSchedule}]}}
"""
TOLERATE = "tolerate: [{expression: 'taint.key == \"s\"'}]"


def prefers(*tiers: str, more: str = "") -> str:
    return f"prefer: [{{expression: 'pool.labels[\"tier\"] in {json.dumps(tiers)}', weight: 50}}]\n{more}"


def outvoted(*specs: str, pools: str = FLEET) -> int:
    policies = {f"p{i}": spec for i, spec in enumerate(specs)}
    return [rule for rule, _ in found(policies, {"pools/fleet.yaml": pools})].count("outvoted-preference")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (prefers("soft"), True),
        (prefers("plain"), False),
        (prefers("some"), False),
        (prefers("soft", "plain"), False),
        (prefers("soft", more=TOLERATE), False),
        (prefers("soft", more="tolerate: [{expression: 'taint.key == \"other\"'}]"), True),
        (prefers("soft", more='require: [{expression: \'pool.labels["tier"] in ["soft", "plain"]\'}]'), True),
        (prefers("soft", more='require: [{expression: \'pool.labels["tier"] in ["soft", "hard"]\'}]'), False),
        ('prefer: [{expression: \'pool.labels["tier"] == pod.metadata.labels["tier"]\', weight: 5}]', False),
        ("prefer: [{expression: 'pool.labels[\"tier\"] == \"soft\"', score: '50.0'}]", False),
    ],
)
def test_where_every_preferred_node_has_such_a_taint(spec: str, told: bool) -> None:
    assert bool(outvoted(spec)) == told


def test_another_policy_about_the_same_pods_may_tolerate() -> None:
    assert outvoted(prefers("soft"), TOLERATE) == 0
    assert (
        outvoted(
            prefers("soft", more="podSelector: {matchLabels: {a: b}}"),
            f"{TOLERATE}\npodSelector: {{matchLabels: {{a: c}}}}",
        )
        == 1
    )


def test_nodes_with_more_such_taints_make_up_for_one() -> None:
    """1 of 2 taints: 150 points of 300, and 200 for the preference; 3 of 4 are 75 points."""

    def fleet(soft: int, worse: int) -> str:
        def taints(count: int) -> str:
            return ", ".join(f"{{key: k{i}, effect: PreferNoSchedule}}" for i in range(count))

        return FLEET.replace("{key: s, effect: PreferNoSchedule}", taints(soft)) + (
            f"  - {{name: worse, selector: {{pool: w}}, labels: {{tier: worse}}, taints: [{taints(worse)}]}}\n"
        )

    assert outvoted(prefers("soft"), pools=fleet(1, 1)) == 1
    assert outvoted(prefers("soft"), pools=fleet(1, 2)) == 0
    assert outvoted(prefers("soft"), pools=fleet(2, 3)) == 0
    assert outvoted(prefers("soft"), pools=fleet(3, 4)) == 1
    assert (
        outvoted(prefers("soft"), pools=f"{fleet(1, 1)}---\n{NODES}{NODES.partition('items:')[2].replace('t1', 't2')}")
        == 0
    )


def test_the_taint_and_what_to_say_are_told() -> None:
    problems = examined({"p": prefers("soft")}, {"pools/fleet.yaml": FLEET}).problems
    (problem,) = [one for one in problems if one.rule == "outvoted-preference"]
    assert problem.message == "`p` prefers only nodes that the scheduler avoids: their taints outvote the preference"
    assert problem.hint == (
        "soft (s:PreferNoSchedule): say `tolerate: [{expression: 'taint.key == \"s\"'}]`, "
        "unless the pods tolerate it themselves"
    )


def test_the_weights_are_those_of_the_scheduler_s_default_profile() -> None:
    weights = built().weights()
    assert (weights["TaintToleration"], weights["NodeAffinity"]) == (TAINT_WEIGHT, AFFINITY_WEIGHT)
