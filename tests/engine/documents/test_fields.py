"""engine.documents.fields: a place is the innermost field, and line and column of its text."""

from __future__ import annotations

import pytest

from engine.documents.fields import field_at
from engine.documents.problems import Problem
from engine.documents.source import Span
from tests.engine.documents.reading import read

TEXT = """\
spec:
  require:
    - expression: |-
        a &&
          bcd
      message: "x\\u0041y"
    - {expression: 'it''s', odd: {k/x: 1}}
  mode: adit
"""


@pytest.mark.parametrize(
    ("found", "place", "shown"),
    [
        ("bcd", "spec.require[0].expression:2:3", "  bcd\n  ^^^"),
        ("&&", "spec.require[0].expression:1:3", "a &&\n  ^^"),
        ('y"\n', "spec.require[0].message:1:3", "xAy\n  ^"),
        ("s', odd", "spec.require[1].expression:1:4", "it's\n   ^"),
        ("odd", "spec.require[1].odd:1:1", "odd\n^^^"),
        ("k/x", "spec.require[1].odd[k/x]:1:1", "k/x\n^^^"),
        ("adit", "spec.mode:1:1", "adit\n^^^^"),
        ("require", "spec.require:1:1", "require\n^^^^^^^"),
    ],
)
def test_a_place_is_a_field(found: str, place: str, shown: str) -> None:
    document = read(TEXT)
    start = TEXT.index(found)
    end = start + (1 if found[0] in "ys" else len(found))
    problem = field_at(document, Problem("r", "m", Span(document.span.source, start, end)))
    assert str(problem.span) == place
    assert problem.span.snippet() == shown


def test_of_a_map_the_key_is_shown() -> None:
    document = read(TEXT)
    start, end = TEXT.index("- expression"), TEXT.index("    - {")
    problem = field_at(document, Problem("r", "m", Span(document.span.source, start, end)))
    assert str(problem.span) == "spec.require:1:1"


def test_of_the_whole_document_it_is_the_object() -> None:
    document = read(TEXT)
    problem = field_at(document, Problem("r", "m", Span(document.span.source, 0, len(TEXT))))
    assert str(problem.span) == "object:1:1"
