"""engine.language.functions: functions and operators against Kubernetes' own.

`kubernetes.json` holds expressions by what the environment of k8s.io/apiserver v0.36.3 with cel-go v0.26.0 (what
Kubernetes 1.36 is built from) made of them: true, false, or a failure, at compile time or at run time.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.documents import Excerpt
from engine.language.checker import check
from engine.language.evaluate import compile_expression
from engine.language.parser import parse
from engine.language.values import Budget, CelError

CORPUS = json.loads((Path(__file__).parent / "kubernetes.json").read_text())


@pytest.mark.parametrize("text", CORPUS["true"])
def test_true(text: str) -> None:
    assert _value(text) is True


@pytest.mark.parametrize("text", CORPUS["false"])
def test_false(text: str) -> None:
    assert _value(text) is False


@pytest.mark.parametrize("text", CORPUS["fails"])
def test_fails(text: str) -> None:
    with pytest.raises(CelError):
        _value(text)


def _value(text: str) -> object:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    if node is not None:
        node, problems = check(node, excerpt, {})
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if node is None or errors:
        raise CelError("\n".join(errors))
    return compile_expression(node, ())(Budget(100_000))
