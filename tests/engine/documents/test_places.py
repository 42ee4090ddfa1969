"""engine.documents.places: every character of a value knows where it stood."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.tree import List, Map, Scalar
from tests.engine.documents.reading import problems_of, read, scalar
from tests.examples import examples


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
