"""delivery.each_once: keys that stand twice are errors, at any depth."""

from __future__ import annotations

import json

import pytest

from delivery.each_once import each_once


def test_what_stands_once_is_read() -> None:
    assert json.loads('{"a": {"b": 1}, "b": [{"a": 2}]}', object_pairs_hook=each_once) == {
        "a": {"b": 1},
        "b": [{"a": 2}],
    }


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "\\u0061": 2}}]'])
def test_what_stands_twice_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="a key stands twice"):
        json.loads(text, object_pairs_hook=each_once)
