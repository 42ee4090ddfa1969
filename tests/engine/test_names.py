"""engine.names: what the API server takes as names and labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.names import are_label_values, is_dns_label, is_identifier, is_label_key, is_label_value, is_subdomain


@pytest.mark.parametrize("text", ["", "a", "A-b_c.9", "x" * 63, "007"])
def test_label_values(text: str) -> None:
    assert is_label_value(text)


@pytest.mark.parametrize("text", ["x" * 64, "-a", "a-", "_", "a b", "é", "a/b", "a\n"])
def test_no_label_values(text: str) -> None:
    assert not is_label_value(text)


@given(st.lists(st.text("aZ9-_., é\n\x00", max_size=4) | st.sampled_from(["x" * 63, "x" * 64]), max_size=4))
def test_several_label_values_are_what_each_is(texts: list[str]) -> None:
    assert are_label_values(texts) == all(map(is_label_value, texts))


@pytest.mark.parametrize("text", ["a", "a.b/c", "nvidia.com/gpu", "x" * 63, f"{'a.' * 126}a/{'x' * 63}"])
def test_label_keys(text: str) -> None:
    assert is_label_key(text)


@pytest.mark.parametrize("text", ["", "/a", "a/", "A.b/c", "a/b/c", "x" * 64, f"{'a.' * 127}a/x", "a b", "a..b/c"])
def test_no_label_keys(text: str) -> None:
    assert not is_label_key(text)


def test_names_of_objects() -> None:
    assert is_subdomain("a.b-c.d1")
    assert is_subdomain("a" * 253)
    assert not any(map(is_subdomain, ("", "A", "a_b", ".a", "a.", "-a", "a" * 254)))
    assert is_dns_label("a-1")
    assert is_dns_label("a" * 63)
    assert not any(map(is_dns_label, ("", "a.b", "A", "a" * 64, "a\n")))


def test_identifiers() -> None:
    assert all(map(is_identifier, ("a", "_a9", "True", "inner")))
    assert not any(map(is_identifier, ("", "9a", "a-b", "in", "true", "namespace", "ä")))


@pytest.mark.parametrize("value", ["", "a", "A-b_c.9", "x" * 63, "0"])
def test_legal_values(value: str) -> None:
    assert is_label_value(value)


@pytest.mark.parametrize("value", ["x" * 64, "-", "a-", ".a", "a b", "a/b", "ä", "a\n", "+1", "-1"])
def test_illegal_values(value: str) -> None:
    assert not is_label_value(value)


@pytest.mark.parametrize("key", ["a", "kubernetes.io/os", "a.b-c.d/e_F.g", "x" * 63, ("a." * 126 + "a") + "/x"])
def test_legal_keys(key: str) -> None:
    assert is_label_key(key)
