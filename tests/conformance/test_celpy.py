"""Where celpy, whose grammar ours extends, answers differently from the language's definition, and we do not.

A third opinion, for those who come from it: each line is an expression, what the definition (and we) say, and what
celpy's interpreter says. Where celpy changes its mind this fails, so that the line can go.
"""

from __future__ import annotations

import celpy
import pytest
from celpy.evaluation import CELEvalError

from engine.documents import Excerpt
from engine.language import DYN, Budget, CelError, check, compile_expression, parse

DATA = {"m": {"a": 1}, "l": [{"a": 1}, {}], "n": None}
ERROR = "error"
CRASH = "an exception that is none of CEL's"

DIFFERENCES = [
    # equality across types is false, not an error
    ('dyn("a") == dyn(1)', False, ERROR),
    ("dyn(5) == dyn(null)", False, ERROR),
    ("m != dyn(null)", True, ERROR),
    ('dyn("x") in [dyn(1), dyn(2)]', False, ERROR),
    ("dyn(1) == dyn(1.0)", True, ERROR),
    # the order of numbers across types works both ways
    ("1 < 1.5", True, ERROR),
    # has() asks for the last field only: what comes before must be there
    ("has(m.b.c)", ERROR, False),
    # an error inside a literal is an error of the whole
    ("{'status': 1 / 0}", ERROR, "a map that holds an error"),
    # operands of && and || are booleans
    ("m.a && true", ERROR, 1),
    # escapes
    (r"'\?' == '?'", True, False),
    # what celpy's grammar and library do not have
    ("[1, 2,].size() == 2", True, ERROR),
    ("m.?a.orValue(2) == 1", True, ERROR),
    ("'abc'.charAt(1) == 'b'", True, ERROR),
    ("[1, 2].all(i, v, i < v)", True, CRASH),
    ("n.exists(x, x == 1)", ERROR, CRASH),
]


def ours(text: str) -> object:
    """Our value, or that it is an error."""
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node is not None, problems
    node, _ = check(node, excerpt, dict.fromkeys(DATA, DYN), strict=False)
    try:
        return compile_expression(node, tuple(DATA))(Budget(1000), *DATA.values())
    except CelError:
        return ERROR


def theirs(text: str) -> object:
    """celpy's value, or how it fails."""
    environment = celpy.Environment()
    try:
        program = environment.program(environment.compile(text))
        value = program.evaluate({name: celpy.json_to_cel(value) for name, value in DATA.items()})
    except (CELEvalError, celpy.CELParseError):
        return ERROR
    except Exception:
        return CRASH
    if isinstance(value, dict) and any(isinstance(each, CELEvalError) for each in value.values()):
        return "a map that holds an error"
    return bool(value) if isinstance(value, (bool, celpy.celtypes.BoolType)) else value


@pytest.mark.parametrize(("text", "right", "celpys"), DIFFERENCES, ids=[text for text, _, _ in DIFFERENCES])
def test_known_differences(text: str, right: object, celpys: object) -> None:
    """We say what the definition says; celpy says what is written here."""
    assert ours(text) == right
    assert theirs(text) == celpys
