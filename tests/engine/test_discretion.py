"""No error tells a value of the pod's environment, wherever it surfaces."""

from __future__ import annotations

import json
from typing import Any

from engine.discretion import discreet
from tests.engine.test_decide import decide, pod

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


def test_errors_do_not_quote_what_was_made_of_the_environment() -> None:
    value = "pod.spec.containers[0].env[0].value"
    made = (f'int({value} + "x")', f"int({value}.upperAscii())", f"int({value}.reverse())")
    for text in (*made, f'int("x" + dyn({value}))', f'{{"a": 1}}["x" + {value}]'):
        spec = f"failurePolicy: Fail\ndeny: [{{expression: '{text} == 1'}}]"
        exempting = "{exemptions: [{name: e, reason: r, namespaceSelector: {matchLabels: {a: b}}}]}"
        for decision in (decide(spec, given=secretive()), decide(spec, given=secretive(), bundle=exempting)):
            told = json.dumps(decision.as_json()).lower()
            assert decision.policies[0].error
            assert not decision.allowed
            assert '\\"…\\"' in told or "\\u2026" in told
            assert "hunter2" not in told
            assert "2retnuh" not in told


def test_what_others_quote_stays() -> None:
    """Only what comes of a policy that may read the environment is hidden whole."""
    reading = "deny: [{expression: 'int(pod.spec.containers[0].env[0].value + \"x\") == 1'}]"
    other = "deny: [{expression: 'int(\"seven\" + pod.metadata.name) == 1'}]"
    one, two = decide(reading, other, given={**secretive(), "metadata": {"name": "p"}}).policies
    assert 'cannot convert "…" to int' in one.error
    assert 'cannot convert "sevenp" to int' in two.error


def test_what_an_author_wrote_stays() -> None:
    """A missing key is named even if it is part of a value; what is no part of one is never hidden."""
    given = secretive()

    assert discreet('no such key: "top"', given) == 'no such key: "top"'
    assert discreet('cannot convert "x" to int', given) == 'cannot convert "x" to int'
    assert discreet(f'no such key: "{SECRET}"', given) == 'no such key: "…"'
    assert discreet('cannot convert "hunter2" to int (pool `p`)', given) == 'cannot convert "…" to int (pool `p`)'
