"""engine.documents.writing: what is written is read as the same, and for people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.composer import parse_documents
from engine.documents.source import Source
from engine.documents.tree import plain
from engine.documents.writing import as_yaml

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.text(
    st.sampled_from("a: -|>#'\"\\\n\t{}[],&*!%@`~0.eEx\u0085\u2028\ufeff\u202e"), max_size=20
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["yes", "no", "on", "y", "null", "~", "1e3", "0o17", "017", "1_0", ".inf", "2024-01-01", "<<"])
)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(TEXTS, DATA, min_size=1, max_size=4))
def test_what_is_written_is_read_as_the_same(data: Any) -> None:
    documents, problems = parse_documents(Source("f.yaml", as_yaml(data)))
    assert problems == ()
    assert plain(documents[0]) == data


@given(st.dictionaries(TEXTS, DATA, max_size=4))
def test_equal_data_gives_equal_text(data: dict[str, Any]) -> None:
    assert as_yaml(dict(reversed(data.items()))) == as_yaml(data)


def test_it_is_for_people() -> None:
    data = {
        "spec": {
            "require": [{"expression": "pool.labels[\"a\"] == 'b'", "message": "one\n  two\n"}, {"expression": "x"}],
            "empty": [],
            "none": {},
            "mode": "audit",
            "yes": "no",
            "nested": [[1, 2], [None]],
        }
    }
    assert as_yaml(data) == (
        "spec:\n"
        "  empty: []\n"
        "  mode: audit\n"
        "  nested:\n"
        "    - - 1\n"
        "      - 2\n"
        "    - - null\n"
        "  none: {}\n"
        "  require:\n"
        "    - expression: 'pool.labels[\"a\"] == ''b'''\n"
        "      message: |\n"
        "        one\n"
        "          two\n"
        "    - expression: x\n"
        "  'yes': 'no'\n"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": b"bytes"}, {"a": {1}}])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        as_yaml(value)
