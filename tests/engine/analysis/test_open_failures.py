"""engine.analysis.open_failures: policies about what must be that their pods' authors can have left out."""

from __future__ import annotations

import json

import pytest

from engine.analysis.examination import examine
from engine.documents import Problem
from tests.engine.analysis.bundles import bundle_of, examined

OPEN = "failurePolicy: Ignore\n"
SELECTED = "podSelector: {matchExpressions: [{key: team, operator: Exists}]}\n"
LABEL = 'pod.metadata.labels["team"]'
ANNOTATION = 'pod.metadata.?annotations[?"n"].orValue("1")'
VARIABLE = f"int({ANNOTATION})"
TOLERATED = f'taint.key == "team" && taint.value == {LABEL}'
REQUIRED = f"{LABEL} == pool.name"


def deny(text: str) -> str:
    return f"{OPEN}deny: [{{expression: {json.dumps(text)}}}]"


def only_if(text: str) -> str:
    return f"{OPEN}matchConditions: [{{name: c, expression: {json.dumps(text)}}}]\n"


def told(spec: str) -> list[Problem]:
    return [problem for problem in examined({"p": spec}).problems if problem.rule == "fails-open"]


@pytest.mark.parametrize(
    ("spec", "witness"),
    [
        (deny(f'{LABEL} == "x"'), 'a pod that says no more than it must does it (no such key: "labels")'),
        (
            SELECTED + deny('pod.metadata.labels["tier"] == "x"'),
            'a pod labelled `team: some` does it (no such key: "tier")',
        ),
        (SELECTED + deny(f"int({LABEL}) > 1"), 'a pod labelled `team: some` does it (cannot convert "some" to int)'),
        (
            deny(f"int({ANNOTATION}) > 1"),
            'a pod with `pod.metadata.annotations.n: x` does it (cannot convert "x" to int)',
        ),
        (
            deny(f'quantity({ANNOTATION}).isGreaterThan(quantity("1Gi"))'),
            'a pod with `pod.metadata.annotations.n: x` does it ("x" is not a quantity)',
        ),
        (deny(f'"abc".matches({ANNOTATION})'), '`pod.metadata.annotations.n: (` does it (invalid pattern "('),
        (deny(f"[1, 2][int({ANNOTATION})] == 1 || 1 == 2"), "a pod with `pod.metadata.annotations.n: x`"),
        (deny("10 / int(pod.spec.?terminationGracePeriodSeconds.orValue(1)) > 9"), "(division by zero)"),
        (deny("pod.spec.containers[1].name == 'x'"), "no more than it must does it (index out of bounds)"),
        (
            f"variables: [{{name: v, expression: {json.dumps(VARIABLE)}}}]\n" + deny("variables.v > 1"),
            'a pod with `pod.metadata.annotations.n: x` does it (cannot convert "x" to int)',
        ),
        (
            only_if(f"{VARIABLE} > 1") + "require: [{expression: pool.gpus > 0}]",
            'a pod with `pod.metadata.annotations.n: x` does it (cannot convert "x" to int)',
        ),
        (
            f"{OPEN}require: [{{expression: pool.gpus > 0}}]\ntolerate: [{{expression: {json.dumps(TOLERATED)}}}]",
            'a pod that says no more than it must does it (no such key: "labels")',
        ),
        (
            only_if(f"{LABEL} == 'a'")
            + "podAntiAffinity: [{topologyKey: host, required: true, labelSelector: {matchLabels: {a: b}}}]",
            'a pod that says no more than it must does it (no such key: "labels")',
        ),
    ],
)  # fmt: skip
def test_a_pod_that_has_the_policy_left_out_is_shown(spec: str, witness: str) -> None:
    (problem,) = told(spec)
    assert problem.severity == "warning"
    assert problem.message == "whoever makes a pod can make this an error, and `p` is left out of the decision then"
    assert witness in problem.hint
    assert problem.hint.endswith(": say `failurePolicy: Fail`, or allow for it in the expression")


@pytest.mark.parametrize(
    "spec",
    [
        deny(f'{LABEL} == "x"').removeprefix(OPEN),
        deny("has(pod.spec.nodeName)"),
        deny('pod.metadata.?labels[?"team"].orValue("") == "x"'),
        deny(f'{ANNOTATION}.matches("^[0-9]{{1,9}}$") && int({ANNOTATION}) > 1'),
        SELECTED + deny(f'{LABEL} == "x"'),
        deny('namespaceObject.metadata.labels["team"] == "x"'),
        deny(f'{LABEL} == "x"') + "\nmode: 'off'",
        only_if(f"{LABEL} == 'x'") + "prefer: [{expression: 'true', weight: 1}]",
        f"{OPEN}require: [{{expression: {json.dumps(REQUIRED)}}}]",
    ],
)
def test_nothing_is_said_of_what_fails_closed_or_can_not_be_made_to_fail(spec: str) -> None:
    """Nor of what the Namespace alone decides, of wishes, and of `require`, where an error is not true."""
    assert told(spec) == []


def test_it_is_said_of_each_expression_also_where_no_pool_is_known_and_where_the_bundle_says_ignore() -> None:
    spec = deny(f'{LABEL} == "x"').removeprefix(OPEN)
    spec += "\n" + only_if(f"{VARIABLE} > 0").removeprefix(OPEN)
    bundle, program = bundle_of({"p": spec}, failurePolicy="Ignore")
    problems = examine(bundle, program, []).problems
    assert [problem.rule for problem in problems] == ["fails-open", "fails-open"]
