"""engine.program.fields_read: the fields of the pod that an expression's text says that it reads."""

from __future__ import annotations

import pytest

from engine.documents import Excerpt
from engine.language import check, parse
from engine.program.fields_read import EACH, FieldsRead, fields_read
from engine.program.vocabulary import NAMESPACE, POD, REQUEST
from tests.engine.builders import decider

ROOTS = {"pod": POD, "namespaceObject": NAMESPACE, "request": REQUEST}
LABELS = ("pod", "metadata", "labels")
CONTAINERS = ("pod", "spec", "containers")


def read(text: str) -> FieldsRead:
    excerpt = Excerpt.of(text)
    node, problems = parse(excerpt)
    assert node, problems
    return fields_read(check(node, excerpt, ROOTS)[0], {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('pod.metadata.labels["a"] == "x" || pod.metadata.labels.b == "y"', [(*LABELS, "a"), (*LABELS, "b")]),
        ('pod.metadata.?labels[?"a"].orValue("") == namespaceObject.metadata.name',
         [(*LABELS, "a"), ("namespaceObject", "metadata", "name")]),
        ("pod.spec.containers.all(c, c.image == 'x')", [CONTAINERS, (*CONTAINERS, EACH, "image")]),
        ("pod.spec.containers.filter(c, has(c.env)).exists(d, d.env[0].name == 'x')",
         [CONTAINERS, (*CONTAINERS, EACH, "env"), (*CONTAINERS, EACH, "env", 0, "name")]),
        ("pod.metadata.labels.exists(k, k == 'x')", [LABELS]),
        ("pod.metadata.labels.exists(k, v, v == 'x')", [LABELS, (*LABELS, EACH)]),
        ("pod.metadata.labels[pod.spec.hostname] == 'x'", [(*LABELS, EACH), ("pod", "spec", "hostname")]),
        ("pod.metadata.?labels.optMap(l, l.size()).orValue(0) > 1", [LABELS]),
        ("cel.bind(n, pod.spec.hostname, n + n) == ''", [("pod", "spec", "hostname")]),
        ('"pod" == "x"', []),
    ],
)  # fmt: skip
def test_fields_are_told_in_the_order_of_the_text(text: str, expected: list[tuple[object, ...]]) -> None:
    assert list(read(text).paths) == expected


def test_variables_are_read_through() -> None:
    spec = """
variables:
  - {name: team, expression: 'pod.metadata.labels["team"]'}
  - {name: first, expression: 'pod.spec.containers.filter(c, c.name != variables.team)'}
deny: [{expression: 'variables.first[0].image == variables.team'}]
"""
    (policy,) = decider(spec).program.policies
    team = (*LABELS, "team")
    assert policy.deny[0].reads == ((*CONTAINERS, 0, "image"), CONTAINERS, (*CONTAINERS, EACH, "name"), team)


def test_variables_that_double_each_other_are_no_longer_told_than_once() -> None:
    """Each is looked at once, however often the next ones name it."""
    named = ["{name: v0, expression: pod.spec.containers.size()}"]
    named += [f"{{name: v{i}, expression: 'variables.v{i - 1} - variables.v{i - 1}'}}" for i in range(1, 40)]
    (policy,) = decider(f"variables: [{', '.join(named)}]\ndeny: [{{expression: variables.v39 == 1}}]").program.policies
    assert policy.deny[0].reads == (CONTAINERS,)
