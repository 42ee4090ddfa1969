"""A bundle's schema of its constants: what it makes of their types, and what does not fit."""

from __future__ import annotations

import pytest

from engine.bundle.params import Schema, schema_of_params
from engine.bundle.reader import parse_bundle
from engine.documents import BundleError, Map, Problems, Source, parse_documents
from engine.language import BOOL, DOUBLE, DYN, INT, STRING, ObjectType, list_of, map_of
from engine.program import compile_bundle
from engine.program.vocabulary import type_of_schema

HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: p}}\nspec:\n"
SCHEMA = """
required: [zones]
properties:
  zones: {type: array, items: {type: string}}
  minimum: {type: integer, description: of nodes}
  price: {type: number}
  on: {type: boolean}
  limits: {type: object, additionalProperties: {type: number}}
  owner: {type: object, properties: {name: {type: string}}, required: [name]}
  any: {type: object}
  many: {type: array}
"""


def read(text: str) -> tuple[Schema, list[str]]:
    ((value,), problems) = parse_documents(Source("s", text))
    assert isinstance(value, Map), problems
    found: Problems = []
    return schema_of_params(value, found), [f"{problem.rule}:{problem.span.line}" for problem in found]


def test_a_schema_gives_types() -> None:
    schema, problems = read(SCHEMA)
    type_ = type_of_schema(schema)
    assert problems == []
    assert isinstance(type_, ObjectType)
    owner = type_.fields["owner"]
    assert isinstance(owner, ObjectType)
    assert owner.fields == {"name": STRING}
    assert owner.optional == frozenset()
    assert {name: inner for name, inner in type_.fields.items() if name != "owner"} == {
        "zones": list_of(STRING),
        "minimum": INT,
        "price": DOUBLE,
        "on": BOOL,
        "limits": map_of(STRING, DOUBLE),
        "any": map_of(STRING, DYN),
        "many": list_of(DYN),
    }
    assert type_.optional == frozenset(type_.fields) - {"zones"}


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


def bundle(params: str, deny: str = "has(pod.spec.nodeName)", test: str = "") -> tuple[object, list[tuple[str, str]]]:
    """The constants, and the problems: rule and the text that they point at."""
    schema = "  paramsSchema:" + SCHEMA.replace("\n", "\n    ").rstrip() + "\n"
    files = {
        "bundle.yaml": HEAD.format("Bundle") + f"  version: 1.0.0\n{params}" + schema,
        "policies/p.yaml": HEAD.format("PlacementPolicy") + f"  deny:\n    - expression: '{deny}'\n",
    }
    if test:
        pod = "{metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}"
        cases = f"  cases: [{{name: a, pod: {pod}, expect: {{allowed: true}}}}]\n"
        files["tests/t.yaml"] = HEAD.format("PlacementTest") + f"  params: {test}\n" + cases
    found, problems = parse_bundle(files)
    assert found is not None
    try:
        problems = (*problems, *compile_bundle(found).warnings)
    except BundleError as error:
        problems = (*problems, *error.problems)
    places = [(each.rule, each.span.source.text[each.span.start : each.span.end]) for each in problems]
    return (found.tests[0].params if test else found.params), places


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


def test_expressions_are_checked_by_the_schema() -> None:
    given = "  params: {zones: []}\n"
    assert bundle(given, "pod.metadata.namespace in params.zones")[1] == []
    assert [rule for rule, _ in bundle(given, "1 in params.zones")[1]] == ["never-equal"]
    assert [rule for rule, _ in bundle(given, "params.minimum > 1")[1]] == ["unguarded-optional"]
    assert bundle(given, "params.?minimum.orValue(0) > 1")[1] == []
    assert [rule for rule, _ in bundle(given, "params.nothing == 1")[1]] == ["unknown-field"]


def test_what_a_test_lays_over_is_checked_too() -> None:
    given = "  params: {zones: []}\n"
    assert bundle(given, test="{price: 3}") == ({"price": 3.0}, [])
    assert bundle(given, test="{price: high}")[1] == [("wrong-type", "high")]
    assert bundle(given, test="{prize: 3}")[1] == [("unknown-field", "prize")]
