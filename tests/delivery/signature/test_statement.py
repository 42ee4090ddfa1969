"""Statements: read as they were written, and refused where they say something that is not understood."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.signature.statement import (
    SIGNING,
    STATEMENT,
    ForeignStatementError,
    Statement,
    is_older,
    read_signing,
    read_statement,
)
from delivery.signature.strict_json import UnreadableError

from .made import DIGEST, NOW, statement, with_another

TIMES = st.datetimes(
    datetime.datetime(1970, 1, 1), datetime.datetime(9998, 1, 1), timezones=st.timezones(), allow_imaginary=False
).map(lambda time: time.replace(microsecond=0))
VERSIONS = [
    "0.1.0-alpha",
    "0.1.0",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0",
    "1.10.0",
]
"""From the oldest to the newest."""


def changed(path: str, value: Any) -> bytes:
    return with_another(json.loads(statement().payload("gpu.tar.gz")), path, value)


@given(st.text(), st.sampled_from(VERSIONS), st.text(), TIMES, st.none() | TIMES)
def test_a_statement_is_read_as_it_was_written(
    name: str, version: str, revision: str, issued: datetime.datetime, expires: datetime.datetime | None
) -> None:
    said = Statement(DIGEST, name, version, revision, issued, expires)
    utc = datetime.UTC  # a time that is twice in its zone's year equals none of another zone
    same = Statement(
        DIGEST, name, version, revision, issued.astimezone(utc), expires.astimezone(utc) if expires else None
    )
    assert read_statement(said.payload("x.tar.gz")) == same


def test_a_statement_is_an_in_toto_statement() -> None:
    whole = json.loads(statement().payload("gpu-1.2.0.tar.gz"))
    assert whole == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "gpu-1.2.0.tar.gz", "digest": {"sha256": DIGEST}}],
        "predicateType": "https://bayplan.dev/attestation/bundle/v1",
        "predicate": {
            "bundle": {"name": "gpu", "version": "1.2.0", "revision": "0123abc"},
            "issued": "2026-11-26T08:00:00Z",
            "expires": "2026-11-28T08:00:00Z",
        },
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v2"),
        ("predicateType", "https://slsa.dev/provenance/v1"),
        ("predicateType", "https://bayplan.dev/attestation/bundle/v2"),
    ],
)
def test_statements_about_something_else_are_told_apart(path: str, value: str) -> None:
    with pytest.raises(ForeignStatementError, match=value):
        read_statement(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("_type", None, "`_type` is missing"),
        ("predicate", None, "`predicate` is no object"),
        ("predicate", [], "`predicate` is no object"),
        ("subject", [], "`subject` has 0 entries"),
        ("subject", [{"digest": {"sha256": DIGEST}}] * 3, "`subject` has 3 entries"),
        (
            "subject",
            [{"digest": {"sha256": DIGEST}}, {"digest": {"sha256": ""}}],
            "`subject[1].digest.sha256` is no",
        ),
        ("subject", [{"digest": {"sha512": DIGEST}}], "`digest.sha256` is missing"),
        ("subject", [{"digest": {"sha256": DIGEST.upper()}}], "is no SHA-256"),
        ("subject", [{"digest": {"sha256": DIGEST + "\n"}}], "is no SHA-256"),
        ("subject", "x", "`subject` is no list of objects"),
        ("predicate.bundle", None, "`predicate.bundle` is no object"),
        ("predicate.bundle.name", None, "`predicate.bundle.name` is missing"),
        ("predicate.bundle.name", 3, "`predicate.bundle.name` is no text"),
        ("predicate.bundle.revision", 3, "`predicate.bundle.revision` is no text"),
        ("predicate.bundle.version", "1.2", "is no semantic version"),
        ("predicate.bundle.cluster", "dev", "has `cluster`, which is not known; is it for a newer bayplan?"),
        ("predicate.only", "dev", "`predicate` has `only`, which is not known"),
        ("critical", ["x"], "`the statement` has `critical`"),
        ("predicate.issued", None, "`predicate.issued` is missing"),
        ("predicate.issued", 0, "`predicate.issued` is no text"),
        ("predicate.issued", "2026-11-27", "is no time as in"),
        ("predicate.issued", "2026-11-27T08:00:00", "is no time as in"),
        ("predicate.issued", "2026-13-27T08:00:00Z", "is no time as in"),
        ("predicate.issued", "0001-01-01T00:00:00+23:59", "is no time as in"),
        ("predicate.expires", "never", "is no time as in"),
        ("predicate.expires", False, "`predicate.expires` is no text"),
    ],
)
def test_what_is_no_statement_is_told(path: str, value: Any, words: str) -> None:
    with pytest.raises(UnreadableError) as error:
        read_statement(changed(path, value))
    assert words in str(error.value)


def test_the_older_kind_of_statement_is_read_alike() -> None:
    """It is what cosign signs."""
    assert read_statement(changed("_type", "https://in-toto.io/Statement/v0.1")) == statement()


def test_expires_that_is_null_is_none_at_all() -> None:
    whole = json.loads(statement().payload("x"))
    whole["predicate"]["expires"] = None
    assert read_statement(json.dumps(whole).encode()).expires is None


def test_times_may_have_other_zones() -> None:
    found = read_statement(changed("predicate.issued", "2026-11-27T10:00:00.5+02:00"))
    assert found.issued == NOW + datetime.timedelta(milliseconds=500)


@pytest.mark.parametrize("at", range(len(VERSIONS)))
def test_versions_are_in_semantic_order(at: int) -> None:
    version = VERSIONS[at]
    assert [is_older(version, other) for other in VERSIONS] == [at < place for place in range(len(VERSIONS))]


def test_what_is_no_version_is_older_than_what_is_one() -> None:
    assert is_older("x", "1.0.0")
    assert is_older("", "1.0.0")
    assert not is_older("1.0.0", "x")
    assert not is_older("1.0.0+a", "1.0.0+b")


def test_the_manifest_of_a_registry_is_signed_beside_the_archive() -> None:
    made = statement(more=("0" * 64,))
    assert read_statement(made.payload("gpu-1.2.0.tar.gz")) == made
    said = json.loads(made.payload("gpu-1.2.0.tar.gz"))["subject"]
    assert [one["digest"]["sha256"] for one in said] == [DIGEST, "0" * 64]
    assert len({one["name"] for one in said}) == 2


def test_what_cosign_sign_signs_is_told_apart_from_statements() -> None:
    signing = {"_type": STATEMENT, "subject": [{"name": "a", "digest": {"sha256": DIGEST}}], "predicateType": SIGNING}
    assert read_signing(json.dumps({**signing, "predicate": {}}).encode()) == (DIGEST,)
    assert read_signing(statement().payload("a")) == ()
    with pytest.raises(UnreadableError):
        read_signing(json.dumps({**signing, "subject": []}).encode())
