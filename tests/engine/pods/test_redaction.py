"""engine.pods.redaction: no error tells a value of the pod's environment, wherever it surfaces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.pods.redaction import reads_environment, redacted, redactor
from tests.engine.builders import decide, inventory, pod

SECRET = "hunter2:top"


def secretive() -> dict[str, Any]:
    """A pod whose environment nobody is to see."""
    return pod(containers=[{"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": SECRET}]}])


def test_errors_do_not_quote_the_environment() -> None:
    """Of conditions, variables, requirements and tolerations, failing closed or open, whole values or parts of them."""
    value = "pod.spec.containers[0].env[0].value"
    read = f"int({value})"
    part = f'int({value}.split(":")[0])'
    for text in (read, part, f'{{"a": 1}}[{value}]'):
        spec = f"failurePolicy: Fail\ndeny: [{{expression: '{text} == 1'}}]"
        require = f"require: [{{expression: '{text} == pool.gpus'}}]"
        audited = f"mode: audit\n{spec}"
        for decision in (decide(spec, given=secretive()), decide(require, audited, given=secretive())):
            assert decision.policies[0].error
            assert "hunter2" not in json.dumps(decision.as_json())


@pytest.mark.parametrize(
    "text",
    [
        'int(VALUE + "x") == 1',
        "int(VALUE.upperAscii()) == 1",
        "int(VALUE.reverse()) == 1",
        'int("x" + dyn(VALUE)) == 1',
        '{"a": 1}["x" + VALUE] == 1',
        '"x".matches("(" + VALUE)',
        "[1, 2][int(PORT)] == 1",
        '"abc".charAt(int(PORT)) == "a"',
        "{1: 2}[int(PORT)] == 2",
        'int("%s".format([pod.spec.containers])) > 0',
    ],
)
@pytest.mark.parametrize("audit", [False, True])
def test_errors_do_not_tell_what_was_made_of_the_environment(text: str, audit: bool) -> None:
    text = text.replace("VALUE", "pod.spec.containers[0].env[0].value")
    text = text.replace("PORT", "pod.spec.containers[0].env[1].value")
    given = pod(
        containers=[
            {"name": "c", "image": "i", "env": [{"name": "P", "value": SECRET}, {"name": "N", "value": "8472913"}]}
        ]
    )
    spec = f"failurePolicy: Fail\ndeny: [{{expression: {json.dumps(text)}}}]" + "\nmode: audit" * audit
    decision = decide(spec, given=given)
    told = json.dumps(decision.as_json()).lower()
    assert decision.policies[0].error.endswith(
        ": an error that is not told, for the expression may read the pod's environment"
    )
    assert decision.policies[0].error.startswith("policies/one.yaml:")
    assert decision.allowed is audit
    assert not any(secret in told for secret in ("hunter2", "2retnuh", "8472913"))


def test_what_an_audited_decision_says_is_discreet_too() -> None:
    pool_index = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: p1, selector: {pool: p1}, taints: [{key: k, value: v, effect: NoSchedule}]}
  - {name: p2, selector: {pool: p2}, taints: [{key: k, value: v, effect: NoSchedule}]}
"""
    read = 'taint.key == "k" && (pool.name == "p1" || int(pod.spec.containers[0].env[0].value) > 0)'
    decision = decide(
        "mode: audit\npriority: 10\nrequire: [{expression: 'pool.name == \"p2\"'}]",
        f"failurePolicy: Fail\ntolerate: [{{expression: {json.dumps(read)}}}]",
        "whenEmpty: ignore\nrequire: [{expression: 'pool.name == \"p1\"'}]",
        given=secretive(),
        pools=inventory(pool_index),
    )
    assert decision.audited is not None
    assert not decision.audited.allowed
    assert "hunter2" not in json.dumps(decision.as_json())


def test_what_others_quote_stays() -> None:
    """Only what comes of a policy that may read the environment is withheld."""
    reading = "deny: [{expression: 'int(pod.spec.containers[0].env[0].value + \"x\") == 1'}]"
    other = "deny: [{expression: 'int(\"seven\" + pod.metadata.name) == 1'}]"
    one, two = decide(reading, other, given={**secretive(), "metadata": {"name": "p"}}).policies
    assert "is not told" in one.error
    assert 'cannot convert "sevenp" to int' in two.error


def test_where_nothing_fails_an_author_may_quote_what_an_environment_holds_too() -> None:
    given = pod(containers=[{"name": "c", "image": "i", "env": [{"name": "TIER", "value": "gold"}]}])
    decision = decide("require: [{expression: pool.labels.tier == 'gold', message: 'it needs \"gold\"'}]", given=given)
    assert 'it needs "gold"' in decision.message


def test_what_an_author_wrote_stays() -> None:
    """A missing key is named even if it is part of a value; what is no part of one is never hidden."""
    given = secretive()

    assert redacted('no such key: "top"', given) == 'no such key: "top"'
    assert redacted('cannot convert "x" to int', given) == 'cannot convert "x" to int'
    assert redacted(f'no such key: "{SECRET}"', given) == 'no such key: "…"'
    assert redacted('cannot convert "hunter2" to int (pool `p`)', given) == 'cannot convert "…" to int (pool `p`)'


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        ("pod.spec.containers.exists(c, c.env.exists(e, e.value == 'x'))", True),
        ("pod.spec.containers[0].?env.orValue([]).size() > 1", True),
        ('dyn(pod)["spec"] == 1', True),
        ("dyn(variables.first) == 1", True),
        ("variables.first.env[0].value == ''", True),
        ('"%s".format([pod]) == ""', True),
        ('pod.metadata.labels["env"] == "x" && pod.spec.containers[0].env[0].value == "y"', True),
        ('pod.metadata.labels[pod.spec.containers[0].env[0].value] == "x"', True),
        ('dyn(pool.labels)["x"] == 1', False),
        ('"%d".format([pool.gpus]) == pool.labels["n"]', False),
        ("dyn(pool.labels).x == pool.labels['env']", False),
        ('int(pod.metadata.labels["env"]) > 1', False),
        ("int(pod.metadata.labels.env) > 1", False),
        ("int(pod.metadata.labels[?'env'].orValue('1')) > 1", False),
        ('"env" in pod.metadata.labels && int(pod.metadata.?labels.env.orValue("")) > 1', False),
        ("int(pod.spec.nodeSelector['env']) > 1", False),
        ("pool.labels['environment'] == pod.metadata.name", False),
    ],
)
def test_which_expressions_may_read_the_environment(expression: str, reads: bool) -> None:
    assert reads_environment(expression) is reads


def test_errors_about_labels_are_told() -> None:
    for text in ('dyn(pool.labels)["x"] == 1', 'int(pod.metadata.labels["env"]) > 1'):
        given = pod(metadata={"labels": {"env": "prod"}})
        decision = decide(f"require: [{{expression: {json.dumps(text)}}}]", given=given)
        assert not decision.allowed
        assert "an error that is not told" not in json.dumps(decision.as_json())


APPLIED = json.dumps({"kind": "Pod", "spec": secretive()["spec"]})
COPY = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.mark.parametrize(
    "text",
    [
        f'int(pod.metadata.annotations["{COPY}"]) > 0',
        f'int(pod.metadata.annotations["{COPY}"].substring(20)) > 0',
        f'int(pod.metadata.annotations["{COPY[:9]}" + "{COPY[9:]}"].split("hunter")[1]) > 0',
        "pod.metadata.annotations.exists(k, int(pod.metadata.annotations[k].reverse()) > 0)",
        "pod.metadata.annotations.map(k, int(pod.metadata.annotations[k])).sum() > 0",
        'int(pod.metadata.annotations[pod.metadata.labels["app"]].upperAscii()) > 0',
        f'int(pod.metadata.?annotations[?"{COPY}"].orValue("")) > 0',
    ],
)
def test_the_copy_of_the_manifest_that_kubectl_keeps_is_environment_too(text: str) -> None:
    given = pod(metadata={"labels": {"app": COPY}, "annotations": {COPY: APPLIED}})
    decision = decide(f"failurePolicy: Fail\ndeny: [{{expression: {json.dumps(text)}}}]", given=given)
    told = json.dumps(decision.as_json()).lower()
    assert decision.policies[0].error
    assert not any(secret in told for secret in ("hunter2", "2retnuh"))


@pytest.mark.parametrize(
    "text",
    [
        'int(pod.metadata.annotations["size"]) > 0',
        'int(pod.metadata.?annotations[?"size"].orValue("")) > 0',
        '"size" in pod.metadata.annotations && int(pod.metadata.annotations["size"]) > 0',
        'has(pod.metadata.annotations) && int(pod.metadata.annotations["size"]) > 0',
    ],
)
def test_an_annotation_that_is_named_is_told(text: str) -> None:
    given = pod(metadata={"annotations": {"size": "large", COPY: APPLIED}})
    decision = decide(f"failurePolicy: Fail\ndeny: [{{expression: {json.dumps(text)}}}]", given=given)
    assert "large" in decision.policies[0].error


@pytest.mark.parametrize("applied", ["{", "[]", "7", '{"spec": {"containers": [7, {"env": 3}]}}', "[" * 100_000])
def test_a_copy_that_is_none_is_no_trouble(applied: str) -> None:
    given = pod(metadata={"annotations": {COPY: applied}})
    decision = decide('failurePolicy: Fail\ndeny: [{expression: "int(pod.metadata.name) > 0"}]', given=given)
    assert "web-0" in decision.policies[0].error


def test_what_is_looked_for_in_a_large_environment_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a limit it is not looked for any more, and hidden."""
    given = pod(containers=[{"name": "c", "image": "i", "env": [{"name": "A", "value": "x" * 100}] * 2}])
    monkeypatch.setattr("engine.pods.redaction.SEARCHED", 250)
    hide = redactor(given)
    for _ in range(10):
        assert hide('"plain" and "xx"') == '"plain" and "…"'
    assert hide('"third" and "plain"') == '"…" and "plain"'


def test_a_piece_of_any_value_is_hidden() -> None:
    values = [{"name": f"N{i}", "value": f"secret-{i}"} for i in range(50)]
    given = pod(containers=[{"name": "c", "image": "i", "env": values}], initContainers=[{"name": "d", "env": values}])
    assert redacted('"cret-7" "secret-49" "secret-50" "7secret"', given) == '"…" "…" "secret-50" "7secret"'
