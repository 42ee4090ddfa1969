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


def test_what_an_author_wrote_stays() -> None:
    """A missing key is named even if it is part of a value; what is no part of one is never hidden."""
    given = secretive()

    assert discreet('no such key: "top"', given) == 'no such key: "top"'
    assert discreet('cannot convert "x" to int', given) == 'cannot convert "x" to int'
    assert discreet(f'no such key: "{SECRET}"', given) == 'no such key: "…"'
    assert discreet('cannot convert "hunter2" to int (pool `p`)', given) == 'cannot convert "…" to int (pool `p`)'
