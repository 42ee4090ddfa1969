"""Lines of a file of identities: who is meant by them, and who is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.signature.identities import MAX_LINES, Identity, read_identities
from delivery.signature.keys import BadKeyError

ACTIONS = "https://token.actions.githubusercontent.com"
RELEASE = "https://github.com/acme/policies/.github/workflows/release.yml@refs/tags/"


def identity(subject: str, issuer: str = ACTIONS) -> Identity:
    (found,) = read_identities(f"{issuer} {subject}\n".encode(), "identities")
    assert isinstance(found, Identity), found
    return found


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        (f"{RELEASE}v1.2.0", [f"{RELEASE}v1.2.0"]),
        (f"{RELEASE}v*", [f"{RELEASE}v1.2.0", f"{RELEASE}v"]),
        (f"{RELEASE}v*.*.*", [f"{RELEASE}v1.2.0", f"{RELEASE}v1.2.0-rc.1"]),
        (RELEASE.replace("policies", "*") + "*", [f"{RELEASE}v1.2.0", f"{RELEASE}x"]),
        ("*@example.com", ["robot@example.com", "@example.com"]),
        ("spiffe://example.com/ns/*/sa/ci", ["spiffe://example.com/ns/prod/sa/ci", "spiffe://example.com/ns//sa/ci"]),
    ],
)
def test_who_is_meant(subject: str, named: list[str]) -> None:
    for one in named:
        assert identity(subject).names(ACTIONS, one)


@pytest.mark.parametrize(
    ("subject", "others"),
    [
        (
            f"{RELEASE}v1.2.0",
            [
                f"{RELEASE}v1.2.0x",
                f"x{RELEASE}v1.2.0",
                f"{RELEASE}v1.2",
                f"{RELEASE}v1.2.0/",
                f"{RELEASE}v1.2.0\n",
                f" {RELEASE}v1.2.0",
                f"{RELEASE}v1.2.0".upper(),
                f"{RELEASE}v1x2.0",
                f"{RELEASE}v1.2.0".replace("github.com", "github-com"),
                f"{RELEASE}v1.2.0".replace("github.com", "github.com.evil.example"),
                "",
            ],
        ),
        (
            f"{RELEASE}v*",
            [
                f"https://evil.example/?{RELEASE}v1.2.0",
                f"{RELEASE}v1/evil",
                RELEASE.replace("tags", "heads") + "v1",
                RELEASE.replace("tags", "heads") + "x@refs/tags/v1",
                RELEASE.replace("release.yml", "other.yml") + "v1",
                RELEASE.replace("acme", "acme-evil") + "v1",
                RELEASE.replace("policies", "policies/../evil") + "v1",
                RELEASE + "w",
            ],
        ),
        (
            "https://github.com/acme/policies/.github/workflows/*@refs/heads/main",
            ["https://github.com/acme/policies/.github/workflows/a.yml@refs/heads/x@refs/heads/main"],
        ),
        ("*@example.com", ["robot@example.com.evil.example", "https://evil.example/@example.com", "example.com"]),
        ("a*a", ["a"]),
        ("a*b*b", ["ab", "axb"]),
        ("a*bc*cd", ["abcd"]),
    ],
)
def test_who_is_not(subject: str, others: list[str]) -> None:
    for other in others:
        assert not identity(subject).names(ACTIONS, other), other


@pytest.mark.parametrize("issuer", [f"{ACTIONS}/", ACTIONS.upper(), f"{ACTIONS}.evil.example", ACTIONS[:-1], "", "*"])
def test_an_issuer_is_the_same_to_the_letter(issuer: str) -> None:
    assert not identity(f"{RELEASE}v*").names(issuer, f"{RELEASE}v1")


@given(st.text("ab*/."), st.text("ab/."))
def test_a_pattern_is_what_a_regular_expression_says(pattern: str, subject: str) -> None:
    wanted = "[^/]*".join(re.escape(part) for part in pattern.split("*"))
    found = Identity("", ACTIONS, pattern).names(ACTIONS, subject)
    assert found == bool(re.fullmatch(wanted, subject))


@pytest.mark.timeout(60)
def test_no_pattern_takes_long() -> None:
    assert not identity("a*" * 1_000 + "b").names(ACTIONS, "a" * 100_000)


def test_lines_are_read_and_told() -> None:
    text = f"""
# who releases
{ACTIONS} {RELEASE}v*

  https://gitlab.com\thttps://gitlab.com/acme/policies//.gitlab-ci.yml@refs/tags/v1.2.0
"""
    found = list(read_identities(text.encode(), "identities"))
    assert [(one.place, one.issuer) for one in found if isinstance(one, Identity)] == [
        ("identities:3", ACTIONS),
        ("identities:5", "https://gitlab.com"),
    ]
    assert str(found[0]) == f"{RELEASE}v* ({ACTIONS})"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (ACTIONS, "x:1: there are 1 words; expected an issuer and a subject"),
        (f"{ACTIONS} a b", "x:1: there are 3 words; expected an issuer and a subject"),
        ("accounts.google.com a@example.com", "x:1: the issuer `accounts.google.com` is no address"),
        ("https://* a@example.com", "x:1: the issuer `https://*` has `*` in it; only subjects may be patterns"),
        (f"{ACTIONS} *", "x:1: the subject `*` is everybody; say whom you mean"),
        (f"{ACTIONS} */**/*", "x:1: the subject `*/**/*` is everybody; say whom you mean"),
        ("-----BEGIN PUBLIC KEY-----", "x:1: there are 3 words"),
        ("\ufffd", "x:1: there are 1 words"),
    ],
)
def test_what_is_no_identity_is_told_and_takes_nothing_from_others(line: str, told: str) -> None:
    error, other = read_identities(f"{line}\n{ACTIONS} {RELEASE}v1\n".encode(), "x")
    assert isinstance(error, BadKeyError)
    assert str(error).startswith(told)
    assert isinstance(other, Identity)


def test_no_more_lines_are_read_than_the_limit() -> None:
    told, *others = read_identities(f"{ACTIONS} a\n".encode() * (MAX_LINES + 5), "x")
    assert str(told) == "x: there are 1,006 lines, of which 1,000 are read"
    assert len(others) == MAX_LINES


@given(st.binary())
def test_whatever_is_in_a_file_is_read_or_told(data: bytes) -> None:
    assert all(isinstance(one, Identity | BadKeyError) for one in read_identities(data, "x"))
