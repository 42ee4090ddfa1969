"""engine.bundle.params: what a schema may say of a bundle's constants, and what does not fit."""

from __future__ import annotations

import pytest

from tests.engine.bundle.constants import bundle, read


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type: text\n", "unknown-word:1"),
        ("propertys: {}\n", "unknown-field:1"),
        ("type: string\nitems: {type: string}\n", "unknown-field:2"),
        ("properties: {a: {type: array, properties: {}}}\n", "unknown-field:1"),
        ("required: [a]\nproperties: {}\n", "unknown-field:1"),
        ("properties: []\n", "wrong-type:1"),
    ],
)
def test_a_schema_may_be_wrong(text: str, problem: str) -> None:
    assert read(text)[1] == [problem]


def test_constants_that_fit_are_kept_and_whole_numbers_become_numbers() -> None:
    params, problems = bundle(
        "  params: {zones: [a], minimum: 4, price: 2, limits: {cpu: 1, memory: 1.5}, any: {x: [1]}}\n"
    )
    assert problems == []
    assert params == {
        "zones": ["a"],
        "minimum": 4,
        "price": 2.0,
        "limits": {"cpu": 1.0, "memory": 1.5},
        "any": {"x": [1]},
    }
    assert isinstance(params, dict)
    assert type(params["price"]) is type(params["limits"]["cpu"]) is float


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ("{zones: a}", ("wrong-type", "a")),
        ("{zones: [1]}", ("wrong-type", "1")),
        ("{zones: [a, [b]]}", ("wrong-type", "[b]")),
        ("{zones: [], minimum: 1.5}", ("wrong-type", "1.5")),
        ("{zones: [], minimum: true}", ("wrong-type", "true")),
        ("{zones: [], price: cheap}", ("wrong-type", "cheap")),
        ("{zones: [], on: 1}", ("wrong-type", "1")),
        ("{zones: [], limits: [1]}", ("wrong-type", "[1]")),
        ("{zones: [], limits: {cpu: a}}", ("wrong-type", "a")),
        ("{zones: [], owner: {}}", ("missing-field", "{}")),
        ("{zones: [], zone: a}", ("unknown-field", "zone")),
        ("{}", ("missing-field", "{}")),
    ],
)
def test_constants_that_do_not_fit_are_pointed_at(params: str, problem: tuple[str, str]) -> None:
    assert bundle(f"  params: {params}\n")[1] == [problem]


def test_required_constants_must_be_there() -> None:
    assert [rule for rule, _ in bundle("")[1]] == ["missing-field"]


def test_what_a_test_lays_over_is_checked_too() -> None:
    given = "  params: {zones: []}\n"
    assert bundle(given, test="{price: 3}") == ({"price": 3.0}, [])
    assert bundle(given, test="{price: high}")[1] == [("wrong-type", "high")]
    assert bundle(given, test="{prize: 3}")[1] == [("unknown-field", "prize")]
