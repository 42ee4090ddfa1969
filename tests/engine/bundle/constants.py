"""A schema of constants, and bundles that have one."""

from __future__ import annotations

from engine.bundle.params import Schema, schema_of_params
from engine.bundle.reader import parse_bundle
from engine.documents import BundleError, Map, Problems, Source, parse_documents
from engine.program import compile_bundle

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
