"""engine.program.compiler: a bundle's expressions are checked with its constants, and bounded together."""

from __future__ import annotations

from engine.bundle import parse_bundle
from engine.documents import BundleError
from engine.program import compile_bundle
from tests.engine.bundle.constants import bundle


def files(spec: str, params: str = "{}") -> dict[str, str]:
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: p}}\nspec:\n"
    bundle = head.format("Bundle") + f"  version: 1.0.0\n  params: {params}\n"
    return {"bundle.yaml": bundle, "policies/p.yaml": head.format("PlacementPolicy") + spec}


def problems(spec: str, params: str = "{}") -> list[tuple[str, int]]:
    bundle, _ = parse_bundle(files(spec, params))
    assert bundle is not None
    try:
        compile_bundle(bundle)
    except BundleError as error:
        return [(problem.rule, problem.span.line) for problem in error.problems if problem.severity == "error"]
    return []


def test_a_variables_size_is_that_of_its_expression() -> None:
    variables = (
        "  variables:\n    - name: pairs\n      expression: >-\n        pod.spec.containers.map(a, a.name).map(n,"
    )
    variables += " pod.spec.containers.map(b, b.name + n)).flatten()\n"
    spec = variables + "  deny:\n    - expression: variables.pairs.exists(a, variables.pairs.exists(b, a == b))\n"
    assert problems(spec) == [("too-expensive", 10)]


def test_a_constants_size_counts() -> None:
    deny = "  deny:\n    - expression: params.a.exists(x, params.a.exists(y, params.a.exists(z, x + y == z)))\n"
    assert problems(deny, "{a: [1, 2, 3]}") == []
    assert problems(deny, f"{{a: [{', '.join(map(str, range(50)))}]}}") == [("too-expensive", 6)]


def test_a_policys_expressions_are_counted_together() -> None:
    one = "    - expression: pod.spec.containers.exists(a, pod.spec.containers.exists(b, a.image + b.image == 'a'))\n"
    assert problems("  deny:\n" + one) == []
    assert problems("  deny:\n" + one * 60) == [("too-expensive", 3)]


def test_expressions_are_checked_by_the_schema() -> None:
    given = "  params: {zones: []}\n"
    assert bundle(given, "pod.metadata.namespace in params.zones")[1] == []
    assert [rule for rule, _ in bundle(given, "1 in params.zones")[1]] == ["never-equal"]
    assert [rule for rule, _ in bundle(given, "params.minimum > 1")[1]] == ["unguarded-optional"]
    assert bundle(given, "params.?minimum.orValue(0) > 1")[1] == []
    assert [rule for rule, _ in bundle(given, "params.nothing == 1")[1]] == ["unknown-field"]
