"""engine.documents.composer: what YAML means, and what of it is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.composer import MAX_DEPTH, MAX_READ, PROBLEM, Reading, parse_documents
from engine.documents.source import Source
from engine.documents.tree import List, Map, plain
from tests.engine.documents.reading import problems_of, read
from tests.examples import examples


def rules(text: str) -> list[tuple[str, int, int]]:
    return [(problem.rule, problem.span.line, problem.span.column) for problem in problems_of(text)]


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


# How much is read


def test_files_are_read_until_it_is_too_much_and_that_is_told_once() -> None:
    reading = Reading(1_000)
    documents, problems = parse_documents(Source("a.yaml", "x: [" + "{}, " * 400 + "]"), reading=reading)
    assert (len(documents), problems, reading.spent) == (1, (), False)
    documents, problems = parse_documents(Source("b.yaml", "x: 1\ny:\n" + "- {}\n" * 400), reading=reading)
    (problem,) = problems
    assert (problem.rule, problem.span.source.name, documents) == ("too-much-to-read", "b.yaml", ())
    assert problem.span.line > 50
    assert parse_documents(Source("c.yaml", "x: 1"), reading=reading) == ((), ())
    assert reading.spent


@pytest.mark.parametrize("line", [" k: 1\n", " ? x\n", " - &a x\n", " - \u200b\n", " [a]: x\n", "- !a x\n"])
def test_what_is_wrong_is_told_as_long_as_it_does_not_take_too_long(line: str) -> None:
    _, problems = parse_documents(Source("a.yaml", "a:\n" + line * 60_000))
    assert len(problems) <= MAX_READ // PROBLEM + 2
    assert "too-much-to-read" in {each.rule for each in problems}
