"""engine.documents.scalars: what a plain scalar means to YAML 1.2, to kubectl, and to older readers."""

from __future__ import annotations

import math

import pytest

from engine.documents.scalars import core, kubectl
from engine.documents.tree import older_meaning
from tests.engine.documents.reading import scalar

CORE = [
    ("", None),
    ("~", None),
    ("Null", None),
    ("nULL", "nULL"),
    ("true", True),
    ("FALSE", False),
    ("yes", "yes"),
    ("on", "on"),
    ("y", "y"),
    ("010", 10),
    ("0o10", 8),
    ("0xfF", 255),
    ("-0xf", "-0xf"),
    ("+7", 7),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"),
    ("1.", 1.0),
    (".5", 0.5),
    (".", "."),
    ("-", "-"),
    ("1e3", 1000.0),
    ("-.inf", -math.inf),
    ("+.INF", math.inf),
    ("1.2.3", "1.2.3"),
    ("64Gi", "64Gi"),
    ("9" * 401, "9" * 401),
]


@pytest.mark.parametrize(("text", "meaning"), CORE)
def test_core_schema(text: str, meaning: object) -> None:
    """YAML 1.2.2, 10.3.2: tag resolution."""
    said = core(text)
    assert (said, type(said)) == (meaning, type(meaning))


def test_core_schema_not_a_number() -> None:
    said = core(".nan")
    assert isinstance(said, float)
    assert math.isnan(said)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a_b", "a_b"),
        ("1:30", "1:30"),
        ("08", 8),
        ("", None),
        ("1.5", 1.5),
        ("_1", "_1"),
        ("yes", True),
        ("Off", False),
        ("n", False),
        ("0644", 420),
        ("-0o17", -15),
        ("0b101", 5),
        ("1_000", 1000),
    ],
)
def test_what_kubectl_makes_of_plain_scalars(text: str, meaning: object) -> None:
    said = kubectl(text)
    assert (said, type(said)) == (meaning, type(meaning))


@pytest.mark.parametrize(("text", "then"), [("yes", "true"), ("off", "false"), ("010", "8"), ("10", ""), ("abc", "")])
def test_older_meaning_is_told_where_it_differs(text: str, then: str) -> None:
    assert older_meaning(scalar(f"a: {text}", "a")) == then
    assert older_meaning(scalar(f"a: '{text}'", "a")) == ""
