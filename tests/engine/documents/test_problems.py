"""engine.documents.problems: what is wrong, said as compilers say it, each once and in order of the source."""

from __future__ import annotations

import pytest

from engine.documents.problems import BundleError, Problem, RequestError, did_you_mean, ordered
from engine.documents.source import Source, Span

SOURCE = Source("policies/p.yaml", "spec:\n  lables: {a: b}\n")


def problem(part: str, rule: str = "unknown-field", expected: str = "", hint: str = "") -> Problem:
    start = SOURCE.text.index(part)
    return Problem(rule, f"`{part}` is not a field", Span(SOURCE, start, start + len(part)), expected, hint)


def test_a_problem_says_where_what_and_how_else() -> None:
    said = str(problem("lables", expected="a field of a policy", hint="did you mean `labels`?"))
    assert said == (
        "policies/p.yaml:2:3: error: `lables` is not a field [unknown-field]\n"
        "      lables: {a: b}\n"
        "      ^^^^^^\n"
        "  expected a field of a policy\n"
        "  did you mean `labels`?"
    )


def test_what_has_no_line_is_said_without_one() -> None:
    whole = Problem("no-policies", "there is no policy", Span(Source("bundle", ""), 0, 0), severity="warning")
    assert str(whole) == "bundle:1:1: warning: there is no policy [no-policies]"


def test_as_json_leaves_out_what_is_not_said() -> None:
    place = {"file": "policies/p.yaml", "line": 2, "column": 3}
    words = {"severity": "error", "rule": "unknown-field", "message": "`lables` is not a field"}
    assert problem("lables").as_json() == {**place, **words}
    assert problem("lables", hint="try").as_json() == {**place, **words, "hint": "try"}


def test_problems_are_told_once_and_in_order() -> None:
    first, second, same_place = problem("spec"), problem("lables"), problem("lables", "another-rule")
    other = Problem("a", "b", Span(Source("bundle.yaml", "x"), 0, 1))
    assert ordered([second, first, other, second, same_place]) == (other, first, same_place, second)
    assert BundleError([second, first]).problems == (first, second)
    assert str(BundleError([second, first])) == f"{first}\n{second}"


@pytest.mark.parametrize(("path", "said"), [("spec.nodeName", "spec.nodeName: is no text"), ("", "is no text")])
def test_an_error_of_a_request_names_the_field(path: str, said: str) -> None:
    error = RequestError(path, "is no text")
    assert (error.path, error.message, str(error)) == (path, "is no text", said)


@pytest.mark.parametrize(
    ("wrong", "suggestion"),
    [("lables", "did you mean `labels`?"), ("NODENAME", "did you mean `nodeName`?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_name_is_suggested_whatever_its_case(wrong: str, suggestion: str) -> None:
    assert did_you_mean(wrong, ["labels", "nodeName", "spec"]) == suggestion
