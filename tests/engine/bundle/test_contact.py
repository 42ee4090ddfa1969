"""engine.bundle.contact: whom to ask about a policy, and what is wrong with how that is said."""

from __future__ import annotations

import pytest

from engine.bundle import parse_bundle
from engine.bundle.contact import NOBODY, Contact
from engine.documents import Problem

BUNDLE = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: sample%s}\nspec: {version: 1.2.0}\n"
POLICY = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: one%s}
spec: {require: [{expression: 'true'}]}
"""


def read(policy: str = "", bundle: str = "") -> tuple[Contact, tuple[Problem, ...]]:
    """The contact of a policy with these annotations, in a bundle with those."""
    said = [f", annotations: {{{each}}}" if each else "" for each in (bundle, policy)]
    parsed, problems = parse_bundle({"bundle.yaml": BUNDLE % said[0], "policies/p.yaml": POLICY % said[1]})
    assert parsed is not None
    return parsed.policies[0].contact, problems


OWNER, LINK = "bayplan.dev/owner: team", "bayplan.dev/link: 'https://wiki.example/x'"


def test_a_policy_says_whom_to_ask_or_else_its_bundle_does() -> None:
    whole = Contact("team", "https://wiki.example/x")
    assert read() == (NOBODY, ())
    assert read(f"{OWNER}, {LINK}") == (whole, ())
    assert read(bundle=f"{OWNER}, {LINK}") == (whole, ())
    assert read(OWNER, f"bayplan.dev/owner: others, {LINK}") == (whole, ())
    assert read("other.example/owner: anybody, owner: team") == (NOBODY, ())


@pytest.mark.parametrize(
    ("contact", "words"),
    [
        (NOBODY, ""),
        (Contact("team"), "ask team"),
        (Contact(link="https://x.example"), "see https://x.example"),
        (Contact("team", "https://x.example"), "ask team, https://x.example"),
    ],
)
def test_a_contact_in_words(contact: Contact, words: str) -> None:
    assert str(contact) == words


@pytest.mark.parametrize(
    ("annotation", "problems"),
    [
        ("bayplan.dev/owner: ''", [("contact", "error", "this is empty")]),
        (f"bayplan.dev/owner: {'x' * 64}", [("contact", "error", "this has 64 characters")]),
        ('bayplan.dev/owner: "a\\nb"', [("contact", "error", "this is not one line of text")]),
        ("bayplan.dev/link: wiki", [("contact", "error", "`wiki` is no address")]),
        ("bayplan.dev/link: 'javascript:alert(1)'", [("contact", "error", "`javascript:alert(1)` is no address")]),
        ("bayplan.dev/link: 'https://a b'", [("contact", "error", "`https://a b` is no address")]),
        (f"bayplan.dev/link: 'https://{'x' * 200}'", [("contact", "error", "this has 208 characters")]),
        ("bayplan.dev/onwer: team", [("unknown-annotation", "warning", "`bayplan.dev/onwer` means nothing here")]),
    ],
)
def test_what_can_not_stand_beside_a_reason_is_told(annotation: str, problems: list[tuple[str, str, str]]) -> None:
    contact, found = read(annotation)
    assert contact == NOBODY
    assert [(one.rule, one.severity, one.message) for one in found] == problems


def test_an_owner_that_is_no_text_is_told_once() -> None:
    contact, found = read("bayplan.dev/owner: 7")
    assert (contact, [one.rule for one in found]) == (NOBODY, ["wrong-type"])
