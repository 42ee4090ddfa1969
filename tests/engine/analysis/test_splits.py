"""engine.analysis.splits: shares without nodes, and shares with nodes in common."""

from __future__ import annotations

import pytest

from tests.engine.analysis.bundles import examined, told

COMMON = "overlapping-shares", "shares of 70 % and 30 % of `p` have nodes of {} in common"
EMPTY = "unsatisfiable-share", "no pool satisfies the share of 30 % of `p`, whatever the pod"


def split(first: str, second: str) -> str:
    return f"""
split:
  - {{share: 70, expression: '{first}'}}
  - {{share: 30, expression: '{second}'}}
"""


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ('pool.labels["tier"] == "gold"', 'pool.labels["tier"] == "base"', []),
        ('node.labels["zone"] == "a"', 'node.labels["zone"] == "b"', []),
        ('pool.labels["tier"] == "gold"', 'pool.labels["tier"] == "none"', [EMPTY]),
        ('pool.labels["tier"] == "gold"', "pool.gpus > 5", [EMPTY]),
        ('pool.labels["tier"] == "base"', 'pool.labels["arch"] == "arm64"', [(COMMON[0], COMMON[1].format("arm"))]),
        ("true", 'pool.labels["tier"] == "gold"', [(COMMON[0], COMMON[1].format("gold"))]),
        ("true", "pool.name == pod.metadata.namespace", []),
        ('pool.labels["tier"] == "gold"', 'pool.labels["tier"] == "x" && pod.metadata.namespace == "y"', [EMPTY]),
    ],
)
def test_what_is_told_of_shares(first: str, second: str, expected: list[tuple[str, str]]) -> None:
    assert told(examined({"p": split(first, second)})) == expected


def test_what_the_policy_requires_counts() -> None:
    spec = 'require: [{expression: pool.name == "gold"}]' + split("true", 'pool.labels["tier"] == "base"')
    message = "no pool satisfies the share of 30 % of `p` beside what the policy requires, whatever the pod"
    assert told(examined({"p": spec})) == [("unsatisfiable-share", message)]


def test_it_must_hold_on_every_inventory() -> None:
    other = "{name: n, selector: {n: n}, labels: {tier: none}}"
    other = f"{{apiVersion: bayplan.dev/v1alpha1, kind: Inventory, pools: [{other}]}}"
    spec = split('pool.labels["tier"] == "gold"', 'pool.labels["tier"] == "none"')
    assert told(examined({"p": spec}, {"pools/other.yaml": other})) == []
