"""engine.documents.manifests: what kubectl makes of files that are no bundle's own."""

from __future__ import annotations

from engine.documents.manifests import parse_manifests
from engine.documents.source import Source
from engine.documents.tree import Map


def test_manifests_may_use_anchors_and_old_scalars() -> None:
    text = "x: &a {b: yes, c: 0644}\nw:\n  <<: [*a, {d: 1}]\n  c: '0644'\nz: *a\n1: one\n"
    (document,), problems = parse_manifests(Source("f", text), 1000)
    assert problems == ()
    anchored = {"b": True, "c": 420}
    assert document.data == {"x": anchored, "w": {"c": "0644", "b": True, "d": 1}, "z": anchored, "1": "one"}


def test_manifests_are_what_kubectl_makes_of_them() -> None:
    """As `kubectl annotate --local -o json` prints them."""
    text = """
{a: y, b: N, c: 0644, d: 0o17, e: 0b101, f: 1_000, g: 1:30, h: 08, i: on, j: 1e3, k: .5, l: ~, m: 2024-01-01, o: +5,
 p: 1_0.5, q: "y", t: 0o9, u: -0644, v: 190:20:30, w: 1., x: -0b11, n: 0x1F, 1: one, yes: two, 5.5: three, 010: eight}
"""
    (document,), problems = parse_manifests(Source("f", text), 1000)
    assert problems == ()
    assert document.data == {
        "a": True,
        "b": False,
        "c": 420,
        "d": 15,
        "e": 5,
        "f": 1000,
        "g": "1:30",
        "h": 8,
        "i": True,
        "j": 1000,
        "k": 0.5,
        "l": None,
        "m": "2024-01-01",
        "o": 5,
        "p": 10.5,
        "q": "y",
        "t": "0o9",
        "u": -420,
        "v": "190:20:30",
        "w": 1,
        "x": -3,
        "false": 31,
        "1": "one",
        "true": "two",
        "5.5": "three",
        "8": "eight",
    }


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 9)]
    _, problems = parse_manifests(Source("f", "\n".join(lines)), 10_000)
    assert problems[0].message == "the aliases of this file stand for too much"


def test_an_alias_of_nothing() -> None:
    _, problems = parse_manifests(Source("f", "a: *b\nc:\n  <<: 1\n"), 100)
    assert [problem.message for problem in problems] == [
        "`*b` refers to nothing before it",
        "`<<` can't merge a number",
    ]


def test_json_and_json_after_json() -> None:
    documents, problems = parse_manifests(Source("f", '{"kind": "A"}\n{"kind": "B"}'))
    assert problems == ()
    assert [document.data for document in documents] == [{"kind": "A"}, {"kind": "B"}]
    assert isinstance(documents[0].positioned, Map)


def test_broken_json_is_told_with_its_place() -> None:
    documents, problems = parse_manifests(Source("f", '{"kind": "A",\n "x": [1, }'))
    assert documents == ()
    assert [(problem.rule, problem.span.line) for problem in problems] == [("yaml-syntax", 2)]


def test_flow_yaml_is_not_taken_for_json() -> None:
    (document,), problems = parse_manifests(Source("f", "{kind: A, x: yes}"))
    assert problems == ()
    assert document.data == {"kind": "A", "x": True}
