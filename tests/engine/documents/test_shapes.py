"""engine.documents.shapes: shapes refuse what does not fit, and never break on it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bundle import parse_bundle
from engine.bundle.fields import BUNDLE, CASE, EXPECT, POD_TERM, POLICY, PREFERENCE, SPREAD, TEST
from engine.documents.composer import parse_documents
from engine.documents.manifests import parse_manifests
from engine.documents.problems import BundleError, Problem, RequestError
from engine.documents.shapes import (
    BAD,
    Field,
    Problems,
    Shape,
    boolean,
    choice,
    constant,
    distinct,
    filled,
    integer,
    items,
    mapping,
    number,
    record,
    some,
    text,
)
from engine.documents.source import Source
from engine.pools import inventory_from_documents
from engine.pools.inventory_file import INVENTORY, POOL, TAINT
from tests.examples import examples


def read(shape: Shape, written: str) -> tuple[Any, list[str]]:
    """What a shape makes of a document, and the problems that it has with it: `rule: expected`."""
    problems: Problems = []
    (value,), refused = parse_documents(Source("f", written))
    assert refused == ()
    said = shape(value, problems)
    return said, [f"{problem.rule}: {problem.expected}" for problem in problems]


@pytest.mark.parametrize(
    ("shape", "written", "value"),
    [
        (text, "yes", "yes"),
        (text, "'1'", "1"),
        (filled, "x", "x"),
        (boolean, "TRUE", True),
        (integer(1, 100), "100", 100),
        (integer(-5, 5), "-5", -5),
        (integer(0, 2**31 - 1), "0x10", 16),
        (number, "0.5", 0.5),
        (choice("a", "off"), "off", "off"),
        (items(text), "[]", ()),
        (some(text), "[a]", ("a",)),
        (distinct(text), "[a, b]", ("a", "b")),
        (mapping(text, integer(0, 9)), "{a: 1}", {"a": 1}),
        (constant, "{a: [1, x, {b: null}]}", {"a": [1, "x", {"b": None}]}),
        (record("a thing", {"a": Field(text), "b": Field(text, "c")}), "{a: x}", {"a": "x", "b": "c"}),
    ],
)
def test_what_fits(shape: Shape, written: str, value: object) -> None:
    assert read(shape, written) == (value, [])


@pytest.mark.parametrize(
    ("shape", "written", "problem"),
    [
        (text, "1", "wrong-type: text"),
        (text, "true", "wrong-type: text"),
        (text, "[a]", "wrong-type: text"),
        (filled, "' '", "empty-text: "),
        (boolean, "yes", "wrong-type: true or false"),
        (boolean, "'true'", "wrong-type: true or false"),
        (integer(1, 100), "0", "out-of-range: a whole number from 1 to 100"),
        (integer(1, 100), "1.0", "wrong-type: a whole number from 1 to 100"),
        (integer(1, 2**31 - 1), "0", "out-of-range: a whole number, at least 1"),
        (integer(-(2**31), 2**31 - 1), "2147483648", "out-of-range: a whole number"),
        (number, "-1", "out-of-range: a number that is not negative"),
        (number, ".nan", "out-of-range: a number that is not negative"),
        (choice("a", "b", "c"), "d", "unknown-word: `a`, `b` or `c`"),
        (choice("a"), "{}", "wrong-type: `a`"),
        (items(text), "{}", "wrong-type: a list"),
        (some(text), "[]", "empty-list: "),
        (mapping(text, text), "[]", "wrong-type: a map"),
        (record("a thing", {}), "x", "wrong-type: a map"),
        (constant, "9223372036854775808", "out-of-range: an integer of 64 bits"),
    ],
)
def test_what_does_not(shape: Shape, written: str, problem: str) -> None:
    assert read(shape, written) == (BAD, [problem])


def test_what_is_refused_is_left_out_and_the_rest_is_kept() -> None:
    shape = record(
        "a thing", {"a": Field(text, required=True), "b": Field(items(integer(0, 9))), "c": Field(text, "d")}
    )
    said, problems = read(shape, "{b: [1, x, 10, 2], c: 1, e: 5}")
    assert said == {"b": (1, 2)}
    assert [problem.split(":")[0] for problem in problems] == [
        "unknown-field",
        "missing-field",
        "wrong-type",
        "out-of-range",
        "wrong-type",
    ]


def test_hints() -> None:
    def hint(shape: Shape, written: str) -> str:
        problems: list[Problem] = []
        (value,), _ = parse_documents(Source("f", written))
        shape(value, problems)
        return problems[0].hint

    assert hint(text, "1.0") == 'quote it: "1.0"'
    assert hint(boolean, "on") == "write `true`"
    assert hint(integer(0, 9), "'5'") == "leave the quotes out"
    assert hint(integer(0, 99), "010") == "write `10` or `8`"
    assert hint(choice("audit", "enforce"), "enforced") == "did you mean `enforce`?"
    assert hint(record("a thing", {"labels": Field(text)}), "{label: x}") == "did you mean `labels`?"


# No document breaks a table

WORDS = sorted({key for table in (POLICY, SPREAD, POD_TERM, PREFERENCE, BUNDLE, TEST, CASE, EXPECT) for key in table})
WORDS += sorted({*POOL, *TAINT, "matchLabels", "matchExpressions", "operator", "key", "values", "expression", "name"})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a", "In", "Exists", "deny", "audit", "DoNotSchedule", "1Gi", "a b", "x" * 64]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


def specs(fields: dict[str, Field]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(fields)), ANYTHING, max_size=6)


@given(
    st.sampled_from(["Bundle", "PlacementPolicy", "PlacementTest", "Inventory"]),
    st.one_of(specs(POLICY), specs(BUNDLE), specs(TEST), ANYTHING),
    ANYTHING,
)
@examples(150)
def test_no_document_breaks_the_reading_of_a_bundle(kind: str, spec: Any, name: Any) -> None:
    document = {"apiVersion": "bayplan.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    bundle = {
        "apiVersion": "bayplan.dev/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": "b"},
        "spec": {"version": "1.0.0"},
    }
    parsed, problems = parse_bundle({"bundle.yaml": json.dumps(bundle), "policies/p.yaml": json.dumps(document)})
    assert parsed is not None
    assert all(str(problem) for problem in problems)
    assert problems or parsed.policies


@given(
    st.lists(specs(POOL) | ANYTHING, max_size=3),
    st.dictionaries(st.sampled_from(sorted(INVENTORY)), ANYTHING, max_size=2),
)
@examples(100)
def test_no_document_breaks_the_reading_of_an_inventory(pools: list[Any], more: dict[str, Any]) -> None:
    document = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", **more, "pools": pools}
    documents, _ = parse_manifests(Source("f", json.dumps(document)))
    try:
        found = len(inventory_from_documents(documents).pools)
    except (BundleError, RequestError) as error:
        found = len(pools) if str(error) else -1
    assert found == len(pools)
