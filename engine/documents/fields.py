"""Places as fields of an object, for those who wrote no file: `spec.require[0].expression:1:12` instead of a line."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace

from engine.documents.problems import Problem
from engine.documents.source import Source, Span
from engine.documents.tree import List, Map, Scalar, Value

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def field_at(document: Value, problem: Problem) -> Problem:
    """The problem with a place in the innermost field of the document that holds it: line and column are of its text.

    Of a map or a list, the field itself is shown: its key.
    """
    path, text, start, end = _within(document, problem.span)
    end = max(start, min(end, len(text)))
    return replace(problem, span=Span(Source(path or "object", text), min(start, end), end))


def _within(value: Value, span: Span) -> tuple[str, str, int, int]:
    """Path and text of the innermost field, and the span in it."""
    path, shown = "", ""
    while True:
        if isinstance(value, Scalar):
            return (path, value.text, *_inside(value, span))
        inner = _inner(value, span)
        if inner is None:
            return path, shown, 0, len(shown)
        step, key, found = inner
        path += step if step.startswith("[") or not path else f".{step}"
        shown = key
        if found is None:
            return path, shown, 0, len(shown)
        value = found


def _inner(value: Map | List, span: Span) -> tuple[str, str, Value | None] | None:
    """The step to the entry that holds a span, its key as text, and its value, None where the span is the key's."""
    if isinstance(value, List):
        for number, item in enumerate(value.items):
            if _holds(item.span, span):
                return f"[{number}]", f"[{number}]", item
        return None
    for key, item in value.entries:
        step = key.text if _PLAIN_KEY.fullmatch(key.text) else f"[{key.text}]"
        if _holds(key.span, span):
            return step, key.text, None
        if _holds(item.span, span):
            return step, key.text, item
    return None


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _inside(scalar: Scalar, span: Span) -> tuple[int, int]:
    """Where in a scalar's text a span of its source is."""
    offsets = scalar.excerpt.offsets
    if offsets is None or (span.start, span.end) == (scalar.span.start, scalar.span.end):
        return 0, len(scalar.text)
    return max(bisect_right(offsets, span.start) - 1, 0), max(bisect_right(offsets, span.end - 1), 0)
