"""engine.program.compiler: a bundle's expressions are checked with its constants, and bounded together."""

from __future__ import annotations

import json

import pytest

from engine.bundle import parse_bundle
from engine.documents import BundleError
from engine.program import compile_bundle, compile_cost
from tests.engine.analysis.bundles import files_of
from tests.engine.bundle.constants import bundle
from tests.engine.decision.test_hostile import counted


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


GUARDED = "matchConditions: [{name: m, expression: has(pod.metadata.annotations)}]"
READS = "pod.metadata.annotations['a'] == 'b'"
SPECS = (
    f"{GUARDED}\nrequire: [{{expression: \"{READS} || pool.name == 'x'\"}}]",
    f"require: [{{expression: \"{READS} || pool.name == 'x'\"}}]",
    f'podSelector: {{matchLabels: {{a: b}}}}\ndeny: [{{expression: "{READS}"}}]\nfailurePolicy: Fail',
    f'{GUARDED}\ndeny: [{{expression: "{READS}"}}]',
    "deny: [{expression: \"pod.metadata.labels['a'] == 'b'\"}]\npodSelector: {matchLabels: {a: b}}",
    "deny: [{expression: \"pod.metadata.labels['a'] == 'b'\"}]",
    "variables: [{name: v, expression: '1'}]\nrequire: [{expression: variables.v == 1 && node.zone == 'a'}]",
    "variables: [{name: v, expression: \"'a'\"}]\nrequire: [{expression: variables.v == 'a' && node.zone == 'a'}]",
    "variables: [{name: v, expression: \"'a'\"}]\nrequire: [{expression: variables.v == 1 && node.zone == 'a'}]",
    "require: [{expression: variables.v == 1 && node.zone == 'a'}]",
    "require: [{expression: 'size(node.zone) > 1'}]",
    "require: [{expression: node.zone}]\nprefer: [{score: node.zone}]",
    "prefer: [{score: pool.cpu}]\ntolerate: [{expression: 'pool.cpu > 1.0'}]",
    "tolerate: [{expression: taint.key == 'a'}]\nrequire: [{expression: pool.cpu > 1.0}]",
    "deny: [{expression: 'has(pod.spec.tolerations)'}]",
    "require: [{expression: 'has(pod.spec.tolerations) || pool.cpu > 1.0'}]",
    "deny: [{expression: namespaceObject.metadata.labels['a'] == 'b'}]",
    "deny: [{expression: 'a &&'}]",
)


def told(specs: dict[str, str]) -> list[str]:
    """All that is said of policies by their names, errors and warnings."""
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec:\n"
    texts = {"bundle.yaml": head.format("Bundle", "b") + "  version: 1.0.0\n"}
    for name, spec in specs.items():
        indented = "".join(f"  {line}\n" for line in spec.splitlines())
        texts[f"policies/{name}.yaml"] = head.format("PlacementPolicy", name) + indented
    bundle, _ = parse_bundle(texts)
    assert bundle is not None
    try:
        return [str(problem) for problem in compile_bundle(bundle).warnings]
    except BundleError as error:
        return [str(problem) for problem in error.problems]


@pytest.mark.parametrize("second", SPECS)
def test_a_policy_is_told_of_alike_whatever_policies_say_the_same(second: str) -> None:
    """Equal texts share what was made of them only where they mean the same, and where nothing is to be said."""
    alone = told({"q": second})
    for first in SPECS:
        together = told({"p": first, "q": second})
        assert sorted(together) == sorted([*told({"p": first}), *alone]), first


def test_policies_that_say_the_same_share_what_is_made_of_it() -> None:
    spec = f"{GUARDED}\nrequire: [{{expression: pool.cpu > 1.0 || node.zone == 'a'}}]"
    head = "apiVersion: bayplan.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec:\n"
    indented = "".join(f"  {line}\n" for line in spec.splitlines())
    texts = {f"policies/{name}.yaml": head.format("PlacementPolicy", name) + indented for name in ("p", "q")}
    bundle, _ = parse_bundle({"bundle.yaml": head.format("Bundle", "b") + "  version: 1.0.0\n", **texts})
    assert bundle is not None
    one, other = compile_bundle(bundle).policies
    assert one.require[0].tree is other.require[0].tree
    assert one.match_conditions[0].function is other.match_conditions[0].function


# What compiling takes


def alternatives(text: str, count: int) -> str:
    return " || ".join(text.replace("#", str(number)) for number in range(count))


def nested(levels: int) -> str:
    text = 'pod.metadata.name == "a"'
    for level in range(levels):
        text = f'["a"].exists(x{level}, x{level} == "b" || {text})'
    return text


HOSTILE = {
    "alternatives": ("require", alternatives('node.labels["#"] == "a"', 300)),
    "pools": ("require", alternatives('pool.labels["#"] == "a"', 150)),
    "pods and pools": ("require", alternatives('pool.labels["#"] == pod.metadata.name', 80)),
    "pods and nodes": ("require", alternatives('node.labels[pod.metadata.name + "#"] == pod.spec.schedulerName', 60)),
    "pods": ("deny", alternatives('pod.spec.containers[#].args[1] == "a"', 100)),
    "patterns": ("deny", alternatives('pod.metadata.name.matches("#(a|b){1,40}[a-z]{1,50}")', 30)),
    "macros": ("deny", nested(20)),
    "sums": ("deny", " + ".join(["1"] * 90) + " == 1"),
    "lists": ("require", f"node.zone in [{', '.join(repr(str(number)) for number in range(1_000))}]"),
    "no expression": ("deny", alternatives("#", 1_000) + " a"),
    "mistakes": ("deny", alternatives("pod.spec.nodename == #", 60)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_bundle_that_is_too_much_to_compile_is_refused_in_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cost, "MAX_WORK", 100_000)
    effect, text = HOSTILE[kind]
    specs = {f"p{number}": json.dumps({effect: [{"expression": f"{text} // {number}"}]}) for number in range(8)}
    found, problems = parse_bundle(files_of(specs))
    assert found is not None, problems
    rules: list[str] = []

    def refuse() -> None:
        with pytest.raises(BundleError) as refused:
            compile_bundle(found)
        rules.extend(problem.rule for problem in refused.value.problems)

    assert counted(refuse) <= 8 * compile_cost.MAX_WORK
    assert "too-much-work" in rules
