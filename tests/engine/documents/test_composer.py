"""engine.document: what YAML means, what is refused, and that every character knows where it stood."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.composer import MAX_DEPTH, parse_documents
from engine.documents.manifests import parse_manifests
from engine.documents.problems import Problem
from engine.documents.scalars import core, kubectl
from engine.documents.source import Source
from engine.documents.tree import List, Map, Scalar, Value, older_meaning, plain
from tests.examples import examples


def read(text: str) -> Value:
    documents, problems = parse_documents(Source("f.yaml", text))
    assert problems == ()
    (document,) = documents
    return document


def problems_of(text: str) -> tuple[Problem, ...]:
    return parse_documents(Source("f.yaml", text))[1]


def rules(text: str) -> list[tuple[str, int, int]]:
    return [(problem.rule, problem.span.line, problem.span.column) for problem in problems_of(text)]


def scalar(text: str, *path: str) -> Scalar:
    value = read(text)
    for name in path:
        assert isinstance(value, Map)
        found = value.get(name)
        assert found is not None
        value = found
    assert isinstance(value, Scalar)
    return value


def placed(text: str, *path: str) -> list[str]:
    """What stands in the source where each character of the value is said to come from."""
    found = scalar(text, *path)
    excerpt = found.excerpt
    assert excerpt.offsets is not None
    assert len(excerpt.offsets) == len(found.text) + 1
    assert list(excerpt.offsets) == sorted(excerpt.offsets)
    assert found.span.start <= excerpt.offsets[0]
    assert not text[found.span.end : excerpt.offsets[-1]].strip()
    return [text[offset] for offset in excerpt.offsets[:-1]]


# Values and places


def test_values_are_what_yaml_means() -> None:
    text = "a: {b: [1, x, null], 'c': \"2\"}\nd:\n- - e\n- f: |\n    g\n"
    assert plain(read(text)) == {"a": {"b": [1, "x", None], "c": "2"}, "d": [["e"], {"f": "g\n"}]}


def test_spans_cover_what_was_written() -> None:
    text = "a:   'it''s' # no\nb:\n  - x\n  - y: 1\n\nc: {d: [1, 2]}  \n"
    value = read(text)
    assert isinstance(value, Map)
    b, c = value.get("b"), value.get("c")
    assert isinstance(b, List)
    assert isinstance(c, Map)
    shown = [text[v.span.start : v.span.end] for v in (value.entries[0][0], value.entries[0][1], b, b.items[1], c)]
    assert shown == ["a", "'it''s'", "- x\n  - y: 1", "y: 1", "{d: [1, 2]}"]


def test_many_documents_and_empty_ones() -> None:
    documents, problems = parse_documents(Source("f", "---\n# nothing\n---\na: 1\n...\n---\n---\n- 2\n"))
    assert [plain(document) for document in documents] == [{"a": 1}, [2]]
    assert problems == ()
    assert parse_documents(Source("f", "")) == ((), ())
    assert parse_documents(Source("f", "# only words\n")) == ((), ())


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


# Where characters stand


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        "a: plain\n",
        "a: plain text  # c\n",
        "a: plain\n  over\n\n\n  lines\n",
        "a: 'it''s   here'\n",
        "a: 'one\n  two\n\n  three '\n",
        'a: "x\\u00e9\\ty \\\n   z"\n',
        'a: "one  \n  two\\n\n\n three"\n',
        "a: |\n  one\n    two\n\n  three\n\n",
        "a: |+\n  one\n\n\nb: 1\n",
        "a: |-\n\n\n  one\n",
        "a: |2-\n    one\n   two\n",
        "a: >\n  one\n  two\n\n  three\n    four\n\n    five\n  six\n",
        "a: >-\n  one &&\n  two\n",
        "a: >+ # comment\n\n  one\n   \n  two\n\n\n",
        "b:\n  - a\n  -\n    - c\na: x\n",
        "a: |\n  no end",
        "a: >\n  no\n  end",
        "a: >2\n\n  \tx\n  y\n",
    ],
)
def test_each_character_stands_where_it_says(text: str, line_end: str) -> None:
    text = text.replace("\n", line_end)
    value = scalar(text, "a")
    assert value.text == yaml.safe_load(text)["a"]
    for said, stood in zip(value.text, placed(text, "a"), strict=True):
        assert stood == said or (said in " \n" and stood in "\r\n\\") or stood == "\\"


def test_a_column_inside_a_folded_expression() -> None:
    text = 'a:\n  - expression: >-\n      pool.labels["x"] == "a"\n      && nod.zone == "b"\n'
    value = read(text)
    assert isinstance(value, Map)
    items = value.get("a")
    assert isinstance(items, List)
    assert isinstance(items.items[0], Map)
    expression = items.items[0].get("expression")
    assert isinstance(expression, Scalar)
    at = expression.text.index("nod.zone")
    span = expression.excerpt.span(at, at + 3)
    assert (span.line, span.column) == (4, 10)
    assert span.snippet() == '      && nod.zone == "b"\n         ^^^'


WORDS = st.text("ab :#'\"\\\t\n\u00e9\u4e2d\U0001f6a2-{}[]>|,!&*%", max_size=30)


@given(WORDS)
def test_double_quoted_as_json_writes_it(words: str) -> None:
    text = f"a: {json.dumps(words, ensure_ascii=False)}\n"
    value = scalar(text, "a")
    assert value.text == words
    stood = placed(text, "a")
    assert all(s == w or s == "\\" for s, w in zip(stood, words, strict=True))


@given(WORDS, st.sampled_from(["|", ">", "'", '"', None]), st.integers(10, 40))
@examples(150)
def test_whatever_pyyaml_writes_is_placed(words: str, style: str | None, width: int) -> None:
    """The emitter chooses indentation indicators, chomping, folding and escapes; each value must be found again."""
    text = yaml.dump({"k": [{"a": words}]}, default_style=style, width=width, allow_unicode=True)
    value = read(text)
    assert isinstance(value, Map)
    items = value.entries[0][1]
    assert isinstance(items, List)
    assert isinstance(items.items[0], Map)
    found = items.items[0].entries[0][1]
    assert isinstance(found, Scalar)
    assert found.text == words
    offsets = found.excerpt.offsets
    assert offsets is not None
    assert list(offsets) == sorted(offsets)
    for said, offset in zip(words, offsets, strict=False):
        stood = text[offset]
        assert stood == said or (said in " \n" and stood == "\n") or stood == "\\"


LINES = st.lists(st.text("ab \t'", max_size=6), max_size=6)


@given(LINES, st.sampled_from(["|", ">", "|-", ">-", "|+", ">+"]), st.integers(1, 4))
@examples(150)
def test_block_scalars_of_any_lines(lines: list[str], header: str, indent: int) -> None:
    body = "".join(f"{' ' * indent}{line}\n" for line in lines)
    text = f"a: {header}{indent}\n{body}b: 1\n"
    try:
        expected = yaml.safe_load(text)["a"]
    except yaml.YAMLError:
        assert problems_of(text)
        return
    value = scalar(text, "a")
    assert value.text == expected
    for said, stood in zip(value.text, placed(text, "a"), strict=True):
        assert stood == said or (said == " " and stood == "\n")


# What is refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [("duplicate-key", 3, 1)]),
        ("a: {b: 1, b: 2}\n", [("duplicate-key", 1, 11)]),
        ("a: &x 1\nb: *x\n", [("yaml-alias", 1, 4), ("yaml-alias", 2, 4)]),
        ("a: &x\n  b: 1\nc:\n  <<: *x\n", [("yaml-alias", 1, 4), ("yaml-alias", 4, 3), ("yaml-alias", 4, 7)]),
        ("a: !!str 1\n", [("yaml-tag", 1, 4)]),
        ("a: !(x)\n", [("yaml-tag", 1, 4)]),
        ('a: !("x" in y)\n', [("yaml-syntax", 1, 4)]),
        ("a: *x.y\n", [("yaml-syntax", 1, 4)]),
        ("1: a\ntrue: b\n~: c\n[d]: e\n", [("key-type", line, 1) for line in (1, 2, 3, 4)]),
        ("a:\n\tb: 1\n", [("yaml-tab", 2, 1)]),
        ("a:\n  b: 1\n\tc: 2\n", [("yaml-tab", 3, 1)]),
        ("a: b: c\n", [("yaml-syntax", 1, 5)]),
        ('a: "x" in y\n', [("yaml-syntax", 1, 8)]),
        ("a: [1, 2].exists(x, x)\n", [("yaml-syntax", 1, 10)]),
        ("a: %x\n", [("yaml-syntax", 1, 4)]),
        ("a: 'x\nb: 1\n", [("yaml-syntax", 1, 4)]),
        ("a: {b: 1\n", [("yaml-syntax", 1, 4)]),
        ('a: "\\q"\n', [("yaml-syntax", 1, 5)]),
        ("a: \x07\n", [("yaml-character", 1, 4)]),
        ("\ufeffa: 1\n", [("yaml-character", 1, 1)]),
        ("a:\n - b\nc\n", [("yaml-syntax", 3, 1)]),
    ],
)
def test_refused(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert rules(text) == expected


def test_everything_refused_is_told_at_once_and_reading_goes_on() -> None:
    documents, problems = parse_documents(Source("f", "a: 1\na: 2\nb: !x 3\n---\nc: *d\n---\ne: [\n"))
    assert [problem.rule for problem in problems] == ["duplicate-key", "yaml-tag", "yaml-alias", "yaml-syntax"]
    assert plain(documents[0]) == {"a": 1, "b": 3}
    assert problems[0].message == "`a` is given twice, first in line 1"


def test_an_unquoted_negation_is_explained() -> None:
    (problem,) = problems_of('- expression: !("debug" in pod.metadata.annotations)\n')
    assert str(problem) == (
        "f.yaml:1:15: error: an unquoted value can't begin with `!` [yaml-syntax]\n"
        '    - expression: !("debug" in pod.metadata.annotations)\n'
        "                  ^\n"
        "  put the whole value in quotes, or write it as a block after `|`"
    )


def test_depth_is_limited_and_told_once_for_each_place() -> None:
    deep = "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5)
    assert rules(f"a: {deep}\nb: {deep}\n") == [("too-deep", 1, MAX_DEPTH + 3), ("too-deep", 2, MAX_DEPTH + 3)]
    read("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_a_large_file_is_refused_unread() -> None:
    (problem,) = problems_of("a: [\n" * 2_000_000)
    assert (problem.rule, problem.span.line) == ("oversize", 1)
    assert problem.message == "the file is too large: 10,000,000 characters"
    assert problem.expected == "at most 1,048,576 characters"


@given(st.text("ab: \n-'\"{}[],|>&*!#?\t1", max_size=40))
@examples(100)
def test_no_text_breaks_the_reader(text: str) -> None:
    documents, problems = parse_documents(Source("f", text))
    assert documents or problems or not text.replace("---", "").strip() or "#" in text or yaml.safe_load(text) is None
    for problem in problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
        assert str(problem)


# Manifests


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
