"""What the documentation says of the language is true: each example is checked and run."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from engine.documents import Excerpt, Problem, Source, parse_manifests
from engine.language import (
    INT,
    OVERLOADS,
    Budget,
    CelError,
    Node,
    ObjectType,
    Type,
    check,
    compile_expression,
    equal,
    parse,
)
from engine.language.functions.formatting import MAX_PRECISION
from engine.language.parser import MACROS, MAX_LENGTH, MAX_NESTING
from engine.language.values import MAX_SIZE
from engine.nodeselector import FALSE, TRUE, Terms
from engine.pods import requests_of
from engine.pods.defaults import defaulted
from engine.pools import inventory_from_documents, words_of
from engine.program import PoolView, vocabulary
from engine.program.model import NAMES
from engine.program.node_expressions import MAX_UNROLLED, compile_truth, reads_node
from engine.program.open_expressions import open_truth

ROOT = Path(__file__).parents[1]
BUDGET = 100_000
EXAMPLES = sorted({(o.example, o.kubernetes) for group in OVERLOADS.values() for o in group})


def tool(name: str) -> ModuleType:
    """A module of `tools/`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FUNCTIONS = tool("functions")


def checked(text: str, roots: Mapping[str, Type]) -> tuple[Node | None, list[str]]:
    """The typed tree and the rules that its problems are named after; no tree where one of them is an error."""
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    if node is not None:
        node, problems = check(node, excerpt, roots)
    return (None if any(p.severity == "error" for p in problems) else node), [problem.rule for problem in problems]


def value(node: Node | None, values: Mapping[str, Any]) -> object:
    assert node is not None
    return compile_expression(node, tuple(values))(Budget(BUDGET), *values.values())


def test_the_page_of_functions_is_what_the_code_says() -> None:
    """If not: python tools/functions.py."""
    assert (ROOT / "docs" / "functions.md").read_text() == FUNCTIONS.page()


@pytest.mark.parametrize(("example", "kubernetes"), EXAMPLES)
def test_examples_of_functions_are_true(example: str, kubernetes: bool) -> None:
    node, rules = checked(example, {})
    assert rules == [] if kubernetes else set(rules) == {"not-in-kubernetes"}
    assert value(node, {}) is True


def test_examples_call_the_function_that_they_are_examples_of() -> None:
    symbols = {**FUNCTIONS.SYMBOLS, **FUNCTIONS.UNARY, "_?_:_": "?"}
    overloads = [overload for group in OVERLOADS.values() for overload in group]
    names = {overload.id: symbols.get(overload.function, f"{overload.function}(") for overload in overloads}
    assert [overload.id for overload in overloads if names[overload.id] not in overload.example] == []


@pytest.mark.parametrize("macro", FUNCTIONS.MACROS, ids=lambda macro: macro.form)
def test_examples_of_macros_are_true(macro: Any) -> None:
    node, rules = checked(macro.example, {})
    assert rules == ([] if macro.kubernetes else ["not-in-kubernetes"])
    assert value(node, {}) is True


def test_every_macro_has_an_example_of_each_form() -> None:
    name = re.compile(r"([\w.]+)\(")
    forms = [(name.match(macro.form) or pytest.fail(macro.form))[1] for macro in FUNCTIONS.MACROS]
    assert {form if form in MACROS else form.rpartition(".")[2] for form in forms} == MACROS


# language.md: every line of a block is an expression and, after `//`, what becomes of it

LANGUAGE = (ROOT / "docs" / "language.md").read_text()
PARAMS = {"euZones": ["eu-1a", "eu-1b"], "minimum": 4}
VARIABLES = ObjectType("variables", fields={"gpus": INT})
ROOTS: Mapping[str, Type] = {
    "pod": vocabulary.POD,
    "namespaceObject": vocabulary.NAMESPACE,
    "requests": vocabulary.REQUESTS,
    "params": vocabulary.params_type(PARAMS),
    "variables": VARIABLES,
    "pool": vocabulary.POOL,
}


def lines(kind: str) -> list[tuple[str, str]]:
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
    pairs = (line.rpartition(" // ") for block in blocks for line in block.splitlines())
    return [(expression.strip(), expected) for expression, _, expected in pairs]


def data() -> dict[str, Any]:
    """The pod and the pool of the page, and what its sentences say of the others."""
    pod, inventory = re.findall(r"^```yaml\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
    labels = {"kubernetes.io/metadata.name": "research", "team": "ml"}
    (pool,) = inventory_from_documents(parse_manifests(Source("pools.yaml", inventory))[0]).pools
    given = defaulted(yaml.safe_load(pod))
    return {
        "pod": given,
        "requests": requests_of(given),
        "namespaceObject": {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "research", "labels": labels},
        },
        "params": PARAMS,
        "variables": {"gpus": 2},
        "pool": PoolView(pool),
    }


DATA = data()


@pytest.mark.parametrize(("expression", "expected"), lines("cel"))
def test_expressions_become_what_the_page_says(expression: str, expected: str) -> None:
    kind, _, text = expected.partition(": ")
    node, rules = checked(expression, ROOTS)
    match kind:
        case "refused":
            assert node is None
            assert text in rules
        case "warning":
            assert node is not None
            assert rules == [text]
        case "error":
            with pytest.raises(CelError) as caught:
                value(node, DATA)
            assert str(caught.value) == text
        case _:
            wanted, _ = checked(expected, {})
            found = value(node, DATA)
            assert equal(found, value(wanted, {})), found
            assert type(found) is type(value(wanted, {}))


def conditions(terms: Terms) -> str:
    """Node selector terms as the page writes them."""
    if terms in (TRUE, FALSE):
        return "every node" if terms == TRUE else "no node"
    return " or ".join(" && ".join(f"{key} {values}" for key, values in term.requirements) for term in terms)


@pytest.mark.parametrize(("expression", "expected"), lines("affinity"))
def test_expressions_over_a_node_become_the_affinity_that_the_page_says(expression: str, expected: str) -> None:
    node, rules = checked(expression, {**ROOTS, "node": vocabulary.NODE})
    assert node is not None, rules
    truth = compile_truth(node, NAMES, Excerpt.of(expression)) if reads_node(node) else open_truth(node)
    if isinstance(truth, Problem):
        assert expected == f"refused: {truth.rule}"
        return
    true, _ = truth((Budget(BUDGET), *(DATA.get(name, {}) for name in NAMES)), words_of("gke"))
    assert conditions(true) == expected


def test_the_page_has_every_variable_and_limit() -> None:
    compiled = {*(name.removesuffix("()") for name in NAMES), "node", "taint"}
    assert [name for name in sorted(compiled) if f"| `{name}` |" not in LANGUAGE] == []
    for limit in (MAX_LENGTH, MAX_NESTING, MAX_SIZE, MAX_UNROLLED, MAX_PRECISION):
        assert f"| {limit:,} |" in LANGUAGE


def test_the_page_lists_what_kubernetes_does_not_have() -> None:
    section = LANGUAGE.partition("## What differs")[2].partition("\n## ")[0]
    beyond = {o.function for group in OVERLOADS.values() for o in group if not o.kubernetes}
    words = {name.partition(".")[0] + ".…" if "." in name else name for name in beyond}
    assert [word for word in sorted(words) if f"`{word}`" not in section] == []
