"""Google's C++ runtime of CEL as a second opinion on ours, value for value and error for error.

Where the two differ by design (Kubernetes' runtime is cel-go, not cel-cpp), the generator stays away and
`test_known_differences` holds the difference.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from engine.documents import Excerpt
from engine.language import Budget, CelError, Node, check, compile_expression, parse
from engine.language.values import Duration, Timestamp, Uint
from engine.program import POD
from engine.program.vocabulary import POOL
from tests.conformance import expressions
from tests.conformance.test_conformance import named

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
CASES = 200_000 if NIGHTLY else 5_000
PER_EXPRESSION = 4
BLOCKS = 25
ROOTS = {"pod": POD, "pool": POOL}
ERROR = "an error"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _environment() -> Any:
    anything = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional()]
    return cel.NewEnv(variables=dict.fromkeys(ROOTS, anything), extensions=extensions)


def _theirs(compiled: Any, data: dict[str, Any]) -> object:
    try:
        value = compiled.eval(data=data)
        return ERROR if value.type().name() == "ERROR" else _plain(value.plain_value())
    except RuntimeError:
        return ERROR


def _ours(run: Any, data: dict[str, Any]) -> object:
    try:
        return _plain(run(Budget(1_000_000), data["pod"], data["pool"]))
    except CelError:
        return ERROR


def _plain(value: object) -> object:
    """What both runtimes can be compared by: microseconds for times, which is what theirs gives."""
    match value:
        case Timestamp():
            return _EPOCH + timedelta(microseconds=value.nanos // 1000)
        case Duration():
            return timedelta(microseconds=value.nanos // 1000)
        case float() if math.isnan(value):
            return "NaN"
        case bool() | float():
            return (type(value).__name__, value)
        case Uint():
            return int(value)
        case bytearray():
            return bytes(value)
        case list() | tuple():
            return [_plain(element) for element in value]
        case dict():
            return {key: _plain(element) for key, element in value.items()}
    return value


def _trees(text: str) -> tuple[Node, Node]:
    """The expression type-checked, and with all types forgotten."""
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, f"{text}\n{problems}"
    checked, problems = check(node, excerpt, ROOTS, strict=False)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    assert not errors, "\n".join([text, *errors])
    return checked, named(node, tuple(ROOTS))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_agrees_with_cel_cpp(block: int) -> None:
    environment, random = _environment(), Random(f"second opinion {block}")
    for _ in range(CASES // PER_EXPRESSION // BLOCKS):
        text = expressions.expression(random)
        compiled = environment.compile(text)
        ours = [compile_expression(node, tuple(ROOTS)) for node in _trees(text)]
        for _ in range(PER_EXPRESSION):
            data = {"pod": expressions.pod(random), "pool": expressions.pool(random)}
            expected = _theirs(compiled, data)
            for run, mode in zip(ours, ("typed", "untyped"), strict=True):
                assert _ours(run, data) == expected, f"{mode}: {text}\n{data}"


@pytest.mark.parametrize(
    ("text", "kubernetes", "cel_cpp"),
    [
        ("double('NaN') < 1.0", ERROR, ("bool", False)),
        ("duration('1.5s').getMilliseconds()", 1500, 500),
        ("int(duration('1s'))", 1_000_000_000, ERROR),
        ("string(duration('1.5s'))", "1.5s", "1.500s"),
        ("'tacocat'.indexOf('a', 30)", -1, ERROR),
        ("'%e'.format([1.5])", "1.500000×10⁰⁰", "1.500000e+00"),
        ("'abc'.substring(1, 3)", "bc", ERROR),
        ("''.split('')", [], [""]),
    ],
)
def test_known_differences(text: str, kubernetes: object, cel_cpp: object) -> None:
    data: dict[str, Any] = {"pod": {}, "pool": {}}
    assert _ours(compile_expression(_trees(text)[0], tuple(ROOTS)), data) == kubernetes
    try:
        theirs = _theirs(_environment().compile(text), data)
    except RuntimeError:
        theirs = ERROR
    assert theirs == cel_cpp
