"""engine.analysis.redundancy: policies that another one makes redundant."""

from __future__ import annotations

import pytest

from tests.engine.analysis.bundles import SEEN, STRICT, WIDE, examined, found, told

DEPENDS = "require: [{expression: 'pod.metadata.namespace != pool.name'}]"


@pytest.mark.parametrize(
    ("strict", "wide", "redundant"),
    [
        (STRICT, WIDE, True),
        (STRICT, WIDE.replace("require", "podSelector: {matchLabels: {a: b}}\nrequire"), True),
        (STRICT.replace("require", "podSelector: {matchLabels: {a: b}}\nrequire"), WIDE, False),
        (STRICT.replace("priority: 5", "priority: -5"), WIDE, False),
        (STRICT + "\nwhenEmpty: warn", WIDE, False),
        (STRICT + "\nrollout: 50", WIDE, False),
        (STRICT + "\nmode: audit", WIDE, False),
        (STRICT + '\ndeny: [{expression: \'pod.metadata.labels["x"] == "y"\'}]', WIDE, False),
        (STRICT, WIDE + "\ntolerate: [{expression: 'true'}]", False),
        (
            STRICT,
            WIDE + "\nfailurePolicy: Fail\nmatchConditions: [{name: c, expression: 'pod.spec.hostNetwork'}]",
            False,
        ),
        (DEPENDS, DEPENDS, True),
        (DEPENDS, DEPENDS.replace("!=", "=="), False),
    ],
)
def test_a_policy_that_another_makes_redundant(strict: str, wide: str, redundant: bool) -> None:
    rules = [rule for rule in found({"a": strict, "b": wide}) if rule[0] == "redundant-policy"]
    assert rules == ([("redundant-policy", "policies/b.yaml")] if redundant else [])


@pytest.mark.parametrize(("policies", "redundant"), [(["a"], False), (["b"], True), ([], True)])
def test_an_exemption_may_be_what_another_policy_is_for(policies: list[str], redundant: bool) -> None:
    selector = {"matchLabels": {"open": "yes"}}
    exemption = {"name": "e", "reason": "r", "namespaceSelector": selector, "policies": policies}
    rules = [rule for rule, _ in found({"a": STRICT, "b": WIDE}, exemptions=[exemption])]
    assert rules == (["redundant-policy"] if redundant else [])


def test_a_policy_that_leaves_fewer_pools_is_not_redundant() -> None:
    """What `b` leaves out decides on which taints `c` tolerates."""
    policies = {
        "a": 'require: [{expression: \'node.labels["pool"] == "gold"\'}]',
        "b": 'require: [{expression: \'pool.labels["tier"] == "gold"\'}]',
        "c": "tolerate: [{expression: 'taint.key == \"k\"'}]",
    }
    assert "redundant-policy" not in dict(told(examined(policies, SEEN)))
