"""audit.difference: YAML as people write it, and what differs in it."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from audit.difference import as_yaml, unified

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_yaml_says_what_it_was_given(value: object) -> None:
    assert yaml.safe_load(as_yaml(value)) == value


def test_short_entries_stand_on_one_line() -> None:
    entry = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    assert (
        as_yaml({"matchExpressions": [entry]}) == "matchExpressions:\n  - {key: zone, operator: In, values: [a, b]}\n"
    )
    long = {**entry, "values": [f"zone-{i}" for i in range(20)]}
    assert as_yaml([long]).startswith("- key: zone\n  operator: In\n  values:\n    - zone-0\n")


def test_an_object_that_occurs_twice_is_written_twice() -> None:
    twice = {"a": {"b": "c"}}
    assert as_yaml({"x": twice, "y": twice}) == "x:\n  a: {b: c}\ny:\n  a: {b: c}\n"


@given(plain)
def test_equal_objects_have_no_difference(value: object) -> None:
    assert unified(value, value, ("a", "b")) == []


def test_difference() -> None:
    before, after = {"a": [1, 2], "b": 1}, {"a": [1, 3], "b": 1}
    assert unified(before, after, ("old", "new")) == [
        "--- old",
        "+++ new",
        "@@ -1,2 +1,2 @@",
        "-a: [1, 2]",
        "+a: [1, 3]",
        " b: 1",
    ]
