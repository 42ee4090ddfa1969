"""engine.analysis.node_names: pods that name their node, go around what policies require, and are not refused."""

from __future__ import annotations

from typing import Any

import pytest

from engine.analysis.examination import examine
from engine.documents import Problem
from tests.engine.analysis.bundles import bundle_of, examined

REQUIRE = "require: [{expression: pool.gpus == 0}]\n"
DENY = "deny: [{expression: has(pod.spec.nodeName)}]\n"
TEAM_A = "podSelector: {matchLabels: {team: a}}\n"
TEAM_B = "podSelector: {matchLabels: {team: b}}\n"
TENANTS = "namespaceSelector: {matchExpressions: [{key: tenant, operator: Exists}]}\n"
OTHERS = "namespaceSelector: {matchExpressions: [{key: tenant, operator: DoesNotExist}]}\n"
VARIABLE = """variables: [{name: at, expression: 'pod.spec.?nodeName.orValue("")'}]\n"""
SPLIT = """split:
- {share: 60, expression: pool.name == "gold"}
- {share: 40, expression: pool.name == "base"}
"""


def told(policies: dict[str, str], **spec: Any) -> list[Problem]:
    return [problem for problem in examined(policies, **spec).problems if problem.rule == "undenied-node-name"]


@pytest.mark.parametrize(
    ("policies", "those", "witness"),
    [
        ({"p": REQUIRE, "d": TEAM_A + DENY}, "`p` is", "a pod with `pod.spec.nodeName: some-node`"),
        ({"p": TEAM_B + REQUIRE, "d": TEAM_A + DENY}, "`p` is", "a pod labelled `team: b` with"),
        ({"p": OTHERS + REQUIRE, "d": TENANTS + DENY}, "`p` is", "a pod with `pod.spec.nodeName: some-node` is"),
        ({"p": REQUIRE, "d": OTHERS + DENY}, "`p` is", "in a namespace labelled `tenant: some`"),
        (
            {"p": TEAM_A + REQUIRE, "q": TEAM_B + REQUIRE, "d": "podSelector: {matchLabels: {team: c}}\n" + DENY},
            "`p` and `q` are",
            "a pod labelled `team: a` with",
        ),
        ({"p": REQUIRE, "d": TEAM_A + DENY, "e": TEAM_B + DENY}, "`p` is", "a pod with"),
        ({"p": SPLIT, "d": TEAM_A + DENY}, "`p` is", "a pod with"),
        ({"p": REQUIRE + "deny: [{expression: has(pod.spec.nodeName) && has(pod.spec.hostNetwork)}]"}, "`p` is", ""),
        (
            {"p": REQUIRE, "d": VARIABLE + TEAM_A + "deny: [{expression: 'variables.at.startsWith(\"gold\")'}]"},
            "`p` is",
            "",
        ),
        (
            {"p": REQUIRE, "d": """deny: [{expression: 'pod.spec.?nodeName.orValue("").startsWith("gold-")'}]"""},
            "`p` is",
            "a pod with `pod.spec.nodeName: some-node` is allowed",
        ),
        (
            {
                "p": REQUIRE,
                "d": "podSelector: {matchExpressions: [{key: debug, operator: NotIn, values: [a, b]}]}\n" + DENY,
            },
            "`p` is",
            "a pod labelled `debug: a` with",
        ),
    ],
)
def test_a_pod_that_slips_by_is_shown(policies: dict[str, str], those: str, witness: str) -> None:
    (problem,) = told(policies)
    assert problem.severity == "warning"
    assert problem.message.startswith(f"pods that {those} about may name their node all the same")
    assert witness in problem.hint


@pytest.mark.parametrize(
    "policies",
    [
        {"p": REQUIRE},
        {"p": REQUIRE, "d": "deny: [{expression: has(pod.spec.hostNetwork)}]"},
        {"p": REQUIRE, "d": DENY},
        {"p": REQUIRE + DENY, "d": TEAM_A + DENY},
        {"p": TEAM_A + REQUIRE, "d": TEAM_A + DENY},
        {"p": REQUIRE, "d": TENANTS + DENY, "e": OTHERS + DENY},
        {"p": "prefer: [{expression: pool.gpus == 0, weight: 1}]", "d": TEAM_A + DENY},
        {"p": REQUIRE + "mode: 'off'", "d": TEAM_A + DENY},
        {"p": REQUIRE, "d": DENY + "mode: audit"},
        {"p": REQUIRE, "d": DENY + "rollout: 5"},
        {"p": REQUIRE, "d": TEAM_A + DENY, "e": "deny: [{expression: 'true'}]"},
        {
            "p": REQUIRE + "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}",
            "d": TEAM_A + DENY,
        },
        {
            "p": REQUIRE,
            "d": DENY + "matchConditions: [{name: c, expression: request.userInfo.username != 'scheduler'}]",
        },
    ],
)
def test_nothing_is_said_where_all_are_refused_or_nobody_speaks_of_node_names(policies: dict[str, str]) -> None:
    """Nor of wishes, of pods that are left alone anyway, of what is tried out yet, and of accounts that are let off."""
    assert told(policies) == []


def test_many_policies_make_one_warning_and_no_pool_is_needed() -> None:
    policies = {f"p{i}": f"podSelector: {{matchLabels: {{app: a{i}}}}}\n{REQUIRE}" for i in range(5)}
    bundle, program = bundle_of({**policies, "d": TEAM_A + DENY})
    (problem,) = [one for one in examine(bundle, program, []).problems if one.rule == "undenied-node-name"]
    assert problem.message.startswith("pods that `p0`, `p1`, `p2` and 2 more are about")


def test_what_an_exemption_lets_off_is_not_told() -> None:
    exemption = {"name": "x", "reason": "r", "policies": ["p"], "namespaceSelector": {"matchLabels": {"team": "b"}}}
    selected = "namespaceSelector: {matchLabels: {team: b}}\n"
    assert told({"p": selected + REQUIRE, "d": TEAM_A + DENY}, exemptions=[exemption]) == []
