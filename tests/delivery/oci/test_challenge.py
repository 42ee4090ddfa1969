"""delivery.oci.challenge: what a registry asks for, and where we go for it."""

from __future__ import annotations

import pytest

from delivery.oci.challenge import challenges, scope, token_query, token_url, with_query
from delivery.oci.reference import Reference

OURS = Reference("registry.example", "team/policies", "1.0.0")
HTTPS, LOCAL = "https://registry.example/v2/team/policies", "http://127.0.0.1:5000/v2/team/policies"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ('Basic realm="here"', {"basic": {"realm": "here"}}),
        ("Negotiate", {"negotiate": {}}),
        (
            'Bearer realm="https://a/token",service="b",scope="repository:c:pull,push"',
            {"bearer": {"realm": "https://a/token", "service": "b", "scope": "repository:c:pull,push"}},
        ),
        ('bearer REALM = "a" , service=b', {"bearer": {"realm": "a", "service": "b"}}),
        ('Basic realm="a", Bearer realm="b"', {"basic": {"realm": "a"}, "bearer": {"realm": "b"}}),
        ('Bearer realm="a", Bearer realm="b"', {"bearer": {"realm": "a"}}),
        (r'Basic realm="a \"b\" \\"', {"basic": {"realm": 'a "b" \\'}}),
        ('Basic realm="never closed', {"basic": {}, "realm": {}, "never": {}, "closed": {}}),
        ("Bearer " + "a" * 100_000, {"bearer": {}, "a" * 8185: {}}),
    ],
)
def test_challenges(header: str, found: dict[str, dict[str, str]]) -> None:
    assert challenges(header) == found


@pytest.mark.parametrize(
    ("realm", "base"),
    [
        ("https://auth.example/token", HTTPS),
        ("https://auth.example:8443/token?a=b", HTTPS),
        ("https://auth.example/token", LOCAL),
        ("http://localhost:5001/token", LOCAL),
    ],
)
def test_a_token_is_got_from_an_encrypted_place(realm: str, base: str) -> None:
    assert token_url({"realm": realm}, base) == realm


@pytest.mark.parametrize(
    ("realm", "base"),
    [
        ("", HTTPS),
        ("Registry", HTTPS),
        ("http://auth.example/token", HTTPS),
        ("http://127.0.0.1/token", HTTPS),
        ("http://auth.example/token", LOCAL),
        ("file:///etc/passwd", HTTPS),
        ("https:///token", HTTPS),
        ("https://us:er@auth.example/token", HTTPS),
        ("https://auth.example:port/token", HTTPS),
        ("https://[::1/token", HTTPS),
        ("https://auth.example/\n", HTTPS),
        ("https://äuth.example/", HTTPS),
        ("https://auth.example/#x", HTTPS),
    ],
)
def test_credentials_are_shown_nowhere_else(realm: str, base: str) -> None:
    with pytest.raises(ValueError, match=r"names no place|not encrypted"):
        token_url({"realm": realm}, base)


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "x",
        "repository:other:pull",
        "repository:team/policies:pull,push,delete",
        "registry:catalog:*",
        "repository:team/policies:*",
    ],
)
def test_no_token_is_asked_for_that_can_do_more_than_we_need(asked: str) -> None:
    assert scope(asked, OURS, "pull") == "repository:team/policies:pull"


def test_a_registry_may_know_the_repository_by_another_name() -> None:
    assert scope("repository:mirror/team/policies:pull", OURS, "pull") == "repository:mirror/team/policies:pull"
    assert scope("repository:policies:pull", OURS, "pull,push") == "repository:policies:pull,push"
    assert scope("registry:team/policies:*", OURS, "pull") == "repository:team/policies:pull"


def test_a_query() -> None:
    query = token_query({"service": "a b"}, OURS, "pull,push")
    assert (
        with_query("https://a/t", query) == "https://a/t?service=a+b&scope=repository%3Ateam%2Fpolicies%3Apull%2Cpush"
    )
    assert with_query("https://a/t?x=y", token_query({}, OURS, "pull")).startswith("https://a/t?x=y&scope=")
