"""Documents, values and problems of a text, as tests of several modules ask for them."""

from __future__ import annotations

from engine.documents.composer import parse_documents
from engine.documents.problems import Problem
from engine.documents.source import Source
from engine.documents.tree import Map, Scalar, Value


def read(text: str) -> Value:
    documents, problems = parse_documents(Source("f.yaml", text))
    assert problems == ()
    (document,) = documents
    return document


def problems_of(text: str) -> tuple[Problem, ...]:
    return parse_documents(Source("f.yaml", text))[1]


def scalar(text: str, *path: str) -> Scalar:
    value = read(text)
    for name in path:
        assert isinstance(value, Map)
        found = value.get(name)
        assert found is not None
        value = found
    assert isinstance(value, Scalar)
    return value
