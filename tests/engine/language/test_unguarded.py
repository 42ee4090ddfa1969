"""engine.language.unguarded: which reads of optional fields are warned of."""

from __future__ import annotations

import pytest

from engine.documents import Excerpt, Problem
from engine.language.checker import check
from engine.language.parser import parse
from engine.language.syntax import Node
from engine.language.types import BOOL
from engine.program import POD
from engine.program.vocabulary import NODE, POOL

VARIABLES = {"pod": POD, "pool": POOL, "node": NODE, "b": BOOL}


def tree(text: str) -> Node:
    node, problems = parse(Excerpt.of(text))
    assert node is not None, problems
    return node


def warnings(text: str, *conditions: str) -> tuple[Problem, ...]:
    _, problems = check(tree(text), Excerpt.of(text), VARIABLES, given=[tree(condition) for condition in conditions])
    assert {(problem.rule, problem.severity) for problem in problems} <= {("unguarded-optional", "warning")}
    return problems


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("pod.spec.priority > 5", ["priority"]),
        ("pod.spec.priority > 5 || pod.spec.priority < 1", ["priority"]),
        ("has(pod.spec.priority) && pod.spec.priority > 5", []),
        ("pod.spec.priority > 5 && has(pod.spec.priority)", []),
        ("has(pod.spec.priority) || pod.spec.priority > 5", ["priority"]),
        ("!has(pod.spec.priority) || pod.spec.priority > 5", []),
        ("!(has(pod.spec.priority) && b) || pod.spec.priority > 5", []),
        ("!(has(pod.spec.priority) || b) || pod.spec.priority > 5", ["priority"]),
        ("has(pod.spec.priority) ? pod.spec.priority : 0", []),
        ("!has(pod.spec.priority) ? 0 : pod.spec.priority", []),
        ("has(pod.spec.priority) ? 0 : pod.spec.priority", ["priority"]),
        ("(b ? has(pod.spec.priority) : false) && pod.spec.priority > 5", []),
        ("pod.spec.?priority.orValue(0) > 5", []),
        ("pod.spec.?priority.hasValue() && pod.spec.priority > 5", []),
        ("has(pod.spec.affinity.nodeAffinity)", ["affinity"]),
        ("has(pod.spec.affinity.nodeAffinity) && has(pod.spec.affinity)", []),
        ("has(pod.spec.affinity.nodeAffinity) && has(pod.spec.affinity.podAffinity)", ["affinity"]),
        ("has(pod.spec.affinity) && has(pod.spec.affinity.nodeAffinity)", []),
        ("'a' in pod.metadata.labels && pod.metadata.labels['a'] == 'b'", ["labels"]),
        ("has(pod.metadata.labels) && 'a' in pod.metadata.labels && pod.metadata.labels.a == 'b'", []),
        ("has(pod.metadata.labels.a)", ["labels"]),
        ("pod.spec.containers.all(c, c.resources.limits['cpu'] == '1')", ["resources", "limits"]),
        ("pod.spec.containers.all(c, has(c.resources) && has(c.resources.limits) && c.resources.limits == {})", []),
        ("pod.spec.containers.filter(c, has(c.ports)).all(x, x.ports.size() > 0)", []),
        ("pod.spec.containers.filter(c, !has(c.ports)).all(x, x.ports.size() > 0)", ["ports"]),
        ("pod.spec.containers.filter(c, has(c.ports)).sortBy(x, x.name).map(c, c.ports)", []),
        ("pod.spec.containers.map(c, has(c.ports), c.ports)", []),
        ("pod.spec.containers.exists(c, has(c.ports)) && pod.spec.containers.all(c, c.ports == [])", ["ports"]),
        ("has(pod.spec.containers[0].ports) && pod.spec.containers[0].ports == []", []),
        ("has(pod.spec.containers[0].ports) && pod.spec.containers[1].ports == []", ["ports"]),
        ("pod.spec.containers.all(pod, has(pod.ports)) && .pod.spec.priority == 1", ["priority"]),
        ("pool.price < 1.0", ["price"]),
        ("node.zone == 'a'", []),
        ("pod.spec.restartPolicy == 'Never' && pod.metadata.namespace == ''", []),
    ],
)
def test_unguarded_reads(text: str, read: list[str]) -> None:
    assert [text[problem.span.start : problem.span.end] for problem in warnings(text)] == read


def test_what_is_given_guards() -> None:
    text = "pod.metadata.labels['a'] == 'b'"
    assert len(warnings(text)) == 1
    assert warnings(text, "has(pod.metadata.labels)") == ()
    assert warnings(text, "b", "'a' in pod.metadata.labels") == ()


def test_a_warning_whole() -> None:
    (problem,) = warnings("pod.spec.priority > 5")
    assert str(problem) == (
        "expression:1:10: warning: `priority` may be absent from `PodSpec`, and reading it then is an error "
        "[unguarded-optional]\n"
        "    pod.spec.priority > 5\n"
        "             ^^^^^^^^\n"
        "  ask first: `has(pod.spec.priority)`, "
        "or read it as `pod.spec.?priority` and give a default with `.orValue(…)`"
    )
