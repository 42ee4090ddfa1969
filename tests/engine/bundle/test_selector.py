"""engine.bundle.selector: Kubernetes' label selectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bundle.selector import EVERYTHING, LabelRequirement, Selector, keys, label_selector, selector
from engine.documents import Problem, Source, parse_documents

EXPRESSIONS = [
    ({"key": "a", "operator": "In", "values": ["1", "2"]}, {"": False, "1": True, "3": False}),
    ({"key": "a", "operator": "NotIn", "values": ["1", "2"]}, {"": True, "1": False, "3": True}),
    ({"key": "a", "operator": "Exists"}, {"": False, "1": True, "3": True}),
    ({"key": "a", "operator": "DoesNotExist"}, {"": True, "1": False, "3": False}),
]


def read(text: str) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    (value,), _ = parse_documents(Source("f", text))
    return label_selector(value, problems), problems


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_operators(expression: dict[str, Any], expected: dict[str, bool]) -> None:
    """The table of facts: which operators hold without the label."""
    made = selector({"matchExpressions": [expression]})
    assert {value: made.matches({"a": value} if value else {}) for value in expected} == expected


def test_all_must_hold() -> None:
    made = selector({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]})
    assert made.matches({"a": "1", "b": "2", "c": "3"})
    assert not made.matches({"a": "1"})
    assert not made.matches({"a": "2", "b": "2"})


def test_nothing_given_matches_everything() -> None:
    assert selector({}) == selector({"matchLabels": {}, "matchExpressions": []}) == EVERYTHING
    assert EVERYTHING.matches({})


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"))
EXPRESSION = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from("abc"),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from("123"), min_size=1),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from("abc"),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)


@given(LABELS, st.lists(EXPRESSION), st.randoms())
def test_order_and_repetition_do_not_matter(labels: dict[str, str], some: list[dict[str, Any]], random: Any) -> None:
    shuffled = [*some, *some]
    random.shuffle(shuffled)
    one = selector({"matchLabels": labels, "matchExpressions": some})
    other = selector({"matchExpressions": shuffled, "matchLabels": dict(reversed(labels.items()))})
    assert one == other
    assert hash(one) == hash(other)


@given(LABELS, LABELS)
def test_match_labels_are_a_part_of_the_labels(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert selector({"matchLabels": wanted}).matches(labels) == (wanted.items() <= labels.items())


def test_keys_that_are_read() -> None:
    assert keys({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}) == {"a", "b"}


def test_a_selector_is_read_as_json() -> None:
    said, problems = read("matchLabels: {a: b, c: ''}\nmatchExpressions: [{key: x/d, operator: In, values: [e, e]}]\n")
    assert problems == []
    expression = {"key": "x/d", "operator": "In", "values": ["e", "e"]}
    assert said == {"matchLabels": {"a": "b", "c": ""}, "matchExpressions": [expression]}
    requirements = (("a", ("b",)), ("c", ("",)), ("x/d", ("e",)))
    assert selector(said) == Selector(tuple(LabelRequirement(key, "In", values) for key, values in requirements))


def test_all_that_is_wrong_is_told() -> None:
    _, problems = read(
        "matchLabels: {a b: c, d: '-'}\nmatchExpressions: [{key: e}, {operator: in, key: f}, {}]\nx: 1\n"
    )
    assert [problem.rule for problem in problems] == [
        "unknown-field",
        "label-key",
        "label-value",
        "missing-field",
        "unknown-word",
        "missing-field",
        "missing-field",
    ]
    assert problems[4].hint == "did you mean `In`?"
