"""engine.documents.schema: shapes say what they read."""

from __future__ import annotations

import pytest

from engine.documents import Field, choice, integer, items, mapping, record, text
from engine.documents.schema import schema_of


def test_a_record_says_its_fields() -> None:
    shape = record("a thing", {"name": Field(text, required=True, about="Its name."), "size": Field(integer(1, 3))})
    assert schema_of(items(shape)) == {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Its name."},
                "size": {"type": "integer", "minimum": 1, "maximum": 3},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    }


def test_a_mapping_says_its_values() -> None:
    assert schema_of(mapping(text, choice("a", "b"))) == {
        "type": "object",
        "additionalProperties": {"type": "string", "enum": ["a", "b"]},
    }


def test_what_does_not_say_is_refused() -> None:
    with pytest.raises(TypeError, match="does not say what it reads"):
        items(lambda value, _: value)
