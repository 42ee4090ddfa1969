"""engine.analysis.makers: policies that let off what controllers make, and so hardly ever apply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.analysis.examination import examine
from engine.documents import Problem
from tests.engine.analysis.bundles import bundle_of, examined

REQUIRE = "require: [{expression: pool.gpus == 0}]\n"
USER = "request.userInfo.username"
GROUPS = "request.userInfo.?groups.orValue([])"
OPERATOR = "system:serviceaccount:databases:operator"


def told(policies: dict[str, str], **spec: Any) -> list[Problem]:
    return [problem for problem in examined(policies, **spec).problems if problem.rule == "exempts-controllers"]


def only_if(text: str, rest: str = REQUIRE) -> str:
    return f"matchConditions: [{{name: c, expression: {json.dumps(text)}}}]\n{rest}"


def exempt(text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "x", "reason": "r", "matchConditions": [{"name": "c", "expression": text}], **more}]


@pytest.mark.parametrize(
    ("condition", "words", "account"),
    [
        (f'!{USER}.startsWith("system:")', "a Deployment", "replicaset-controller"),
        (f'!{USER}.startsWith("system:serviceaccount:kube-system:")', "a Deployment", "replicaset-controller"),
        (f'!("system:serviceaccounts" in {GROUPS})', "a Deployment", "replicaset-controller"),
        (f'!{GROUPS}.exists(g, g == "system:serviceaccounts:kube-system")', "a Deployment", "replicaset-controller"),
        (f'!{USER}.matches("^system:")', "a Deployment", "replicaset-controller"),
        (f'!{USER}.endsWith(":job-controller")', "a Job", "job-controller"),
        (f'{USER} != "system:serviceaccount:kube-system:statefulset-controller"', "a StatefulSet", "statefulset-c"),
        (f'!{USER}.startsWith("system:") && !("x" in pod.metadata.?labels.orValue({{}}))', "a Deployment", "replica"),
    ],
)
def test_a_condition_that_lets_off_what_a_controller_makes_is_told(condition: str, words: str, account: str) -> None:
    (problem,) = told({"p": only_if(condition)})
    assert problem.severity == "warning"
    assert problem.message == f"this lets the pods of {words} off `p`, whoever wrote it"
    assert problem.hint.startswith(f"`system:serviceaccount:kube-system:{account}")


@pytest.mark.parametrize(
    "condition",
    [
        f'!{USER}.startsWith("system:node:")',
        f'{USER} != "{OPERATOR}"',
        f'{USER} == "alice"',
        f'{USER}.startsWith("system:serviceaccount:ci:")',
        f'!("system:masters" in {GROUPS})',
        "!has(pod.metadata.ownerReferences)",
        'request.operation == "CREATE"',
        f'!{USER}.startsWith("system:serviceaccount:kube-system:") || has(pod.metadata.ownerReferences)',
    ],
)
def test_nothing_is_said_of_a_condition_that_does_not(condition: str) -> None:
    assert told({"p": only_if(condition)}) == []


def test_a_wish_and_a_variable_are_told_too_and_what_is_off_is_not() -> None:
    variable = f"variables: [{{name: system, expression: '{USER}.startsWith(\"system:\")'}}]\n"
    spec = variable + only_if("!variables.system", "prefer: [{expression: pool.gpus == 0, weight: 1}]\n")
    assert len(told({"p": spec})) == 1
    assert told({"p": spec + "mode: 'off'"}) == []


@pytest.mark.parametrize(
    ("deny", "count"),
    [
        (f'has(pod.spec.nodeName) && !{USER}.startsWith("system:")', 1),
        (f'pod.spec.?hostNetwork.orValue(false) && !{USER}.startsWith("system:")', 1),
        (f'pod.metadata.?labels[?"tier"].orValue("") != "" && !("system:serviceaccounts" in {GROUPS})', 1),
        (f'has(pod.spec.nodeName) && {USER} != "{OPERATOR}"', 0),
        ("has(pod.spec.nodeName)", 0),
    ],
)
def test_an_entry_of_deny(deny: str, count: int) -> None:
    assert len(told({"p": f"deny: [{{expression: {json.dumps(deny)}}}]"})) == count


@pytest.mark.parametrize(
    ("require", "count"),
    [(f'{USER}.startsWith("system:") || pool.gpus == 0', 1), (f'{USER} == "{OPERATOR}" || pool.gpus == 0', 0)],
)
def test_what_is_required_of_people_alone(require: str, count: int) -> None:
    assert len(told({"p": f"require: [{{expression: {json.dumps(require)}}}]"})) == count


def test_an_exemption_is_told_once_for_all_policies() -> None:
    policies = {"p": REQUIRE, "q": "podSelector: {matchLabels: {a: b}}\n" + REQUIRE}
    (problem,) = told(policies, exemptions=exempt(f'{USER}.startsWith("system:")'))
    assert problem.message == "this lets the pods of a Deployment off, whoever wrote it"
    assert problem.span.source.name == "bundle.yaml"
    by_label = exempt(f'{USER}.startsWith("system:")', podSelector={"matchLabels": {"exempt": "true"}})
    assert len(told(policies, exemptions=by_label)) == 1


@pytest.mark.parametrize(
    "exemptions",
    [
        exempt(f'{USER} == "{OPERATOR}"'),
        exempt(f'{USER}.startsWith("system:")', namespaceSelector={"matchLabels": {"purpose": "system"}}),
        exempt(f'{USER}.startsWith("system:")', policies=["other"]),
    ],
)
def test_an_exemption_that_has_somebody_elses_say_is_not_told(exemptions: list[dict[str, Any]]) -> None:
    policies = {"p": REQUIRE, "other": "prefer: [{expression: pool.gpus == 0, weight: 1}]\nmode: 'off'"}
    assert told(policies, exemptions=exemptions) == []


def test_no_pool_is_needed() -> None:
    bundle, program = bundle_of({"p": only_if(f'!{USER}.startsWith("system:")')})
    assert [one.rule for one in examine(bundle, program, []).problems] == ["exempts-controllers"]
