"""Envelopes: ours are what securesystemslib takes, and whatever is changed is refused or says the same."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as Theirs
from securesystemslib.signer._key import SSlibKey

from delivery.signature.envelope import (
    MAX_SIGNATURES,
    MEDIA_TYPE,
    DigestSignature,
    Envelope,
    attestation_of,
    pre_authentication,
    read_attestation,
)
from delivery.signature.strict_json import MAX_BYTES, UnreadableError

from .made import KINDS, attestation, digest_attestation, key, public, statement, with_another

NAMES = st.sampled_from(["verificationMaterial", "publicKey", "hint", "dsseEnvelope", "payload", "signatures", "sig"])
SOME_JSON = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.text(max_size=4) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
).map(lambda value: json.dumps({"mediaType": MEDIA_TYPE, **value}).encode())


def changed(path: str, value: Any, data: bytes | None = None) -> bytes:
    """An attestation with something else at a path of keys; None takes the key away."""
    return with_another(json.loads(data or attestation()), path, value)


@pytest.mark.parametrize("kind", KINDS)
def test_our_envelopes_are_what_securesystemslib_verifies(kind: str) -> None:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    envelope = json.loads(attestation(kind))["dsseEnvelope"]
    envelope["signatures"][0]["keyid"] = public(kind).hint  # which they can't do without
    theirs = Theirs.from_dict(envelope)
    named = SSlibKey.from_crypto(load_der_public_key(public(kind).der), keyid=public(kind).hint)
    other = SSlibKey.from_crypto(load_der_public_key(public(kind, "other").der), keyid=public(kind).hint)
    assert theirs.verify([named], 1)
    assert theirs.pae() == read_attestation(attestation(kind)).signed  # type: ignore[union-attr]
    with pytest.raises(Exception, match="Accepted signatures do not match threshold"):
        theirs.verify([other], 1)


@given(st.text(), st.binary())
def test_what_is_signed_is_what_securesystemslib_signs(kind: str, payload: bytes) -> None:
    if kind.isprintable():
        assert pre_authentication(kind, payload) == Theirs(payload, kind, {}).pae()


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_no_two_payloads_are_signed_alike(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    if one != other:
        assert pre_authentication(*one) != pre_authentication(*other)


def test_an_attestation_is_read_as_it_was_made() -> None:
    found = read_attestation(attestation())
    assert isinstance(found, Envelope)
    assert found.payload == statement().payload("gpu-1.2.0.tar.gz")
    assert [one.hint for one in found.signatures] == [public("ed25519").hint]


def test_a_signature_of_a_digest_is_read_as_it_was_made() -> None:
    found = read_attestation(digest_attestation())
    assert isinstance(found, DigestSignature)
    assert found.algorithm == "SHA2_256"
    assert public("p256").fits_digest(found.signature.value, found.digest)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no JSON"),
        (b"\xff", "it is not UTF-8"),
        (b"[]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b'{"a":NaN}', "a number is none"),
        (b'{"a":' + b"9" * 5_000 + b"}", "is no JSON"),
        (b'{"mediaType":"a","mediaType":"b"}', "a key stands twice"),
        (attestation()[:-1] + b',"dsseEnvelope":{}}', "a key stands twice"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 50_000, "nested too deep"),
        (b" " * MAX_BYTES + attestation(), "is too large"),
        (attestation() + attestation(), "Extra data"),
        (changed("mediaType", None), "`mediaType` is missing"),
        (changed("mediaType", 3), "`mediaType` is no text"),
        (changed("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.1"), "`mediaType` is `application"),
        (changed("verificationMaterial", None), "expected one of `publicKey` and `certificate`"),
        (
            changed("verificationMaterial.certificate", {"rawBytes": "AA=="}),
            "expected one of `publicKey` and `certificate`",
        ),
        (changed("dsseEnvelope", None), "expected one of `dsseEnvelope` and `messageSignature`"),
        (changed("messageSignature", {}), "expected one of `dsseEnvelope` and `messageSignature`"),
        (changed("dsseEnvelope", []), "`dsseEnvelope.signatures` is missing"),
        (changed("dsseEnvelope.signatures", "x"), "is no list of objects"),
        (changed("dsseEnvelope.signatures", ["x"]), "is no list of objects"),
        (changed("dsseEnvelope.signatures", []), "are 0; expected 1 to"),
        (changed("dsseEnvelope.signatures", [{"sig": "AA=="}] * (MAX_SIGNATURES + 1)), "expected 1 to"),
        (changed("dsseEnvelope.signatures", [{}]), "`sig` is missing"),
        (changed("dsseEnvelope.signatures", [{"sig": "AA"}]), "`sig` is no base64"),
        (changed("dsseEnvelope.signatures", [{"sig": "AB=="}]), "`sig` is no base64"),
        (changed("dsseEnvelope.signatures", [{"sig": "A A=="}]), "`sig` is no base64"),
        (changed("dsseEnvelope.signatures", [{"sig": "-_8="}]), "`sig` is no base64"),
        (changed("dsseEnvelope.signatures", [{"sig": "ä"}]), "`sig` is no base64"),
        (changed("dsseEnvelope.signatures", [{"sig": "AA==", "keyid": 3}]), "`keyid` is no text"),
        (changed("dsseEnvelope.payload", "e30"), "`dsseEnvelope.payload` is no base64"),
        (changed("dsseEnvelope.payloadType", None), "`dsseEnvelope.payloadType` is missing"),
        (changed("messageSignature.messageDigest", {"digest": "AA=="}, digest_attestation()), "`messageSignature.mess"),
        (changed("messageSignature.signature", None, digest_attestation()), "`messageSignature.signature` is missing"),
    ],
)
def test_what_is_no_attestation_is_told(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableError) as error:
        read_attestation(data)
    assert words in str(error.value)
    assert len(str(error.value)) < 300


@given(SOME_JSON | st.binary())
def test_whatever_is_given_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        read_attestation(data)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_is_refused_or_says_the_same(data: st.DataObject) -> None:
    """The signature holds for payload and type; what stands around it may be spelled otherwise and mean as much."""
    kind = data.draw(st.sampled_from(KINDS))
    whole = attestation(kind)
    at = data.draw(st.integers(0, len(whole) - 1))
    other = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    try:
        found = read_attestation(other)
    except UnreadableError:
        return
    assert isinstance(found, Envelope)
    if any(public(kind).fits(one.value, found.signed) for one in found.signatures):
        meant = read_attestation(whole)
        assert isinstance(meant, Envelope)
        assert (found.payload, found.payload_type) == (meant.payload, meant.payload_type)


def test_base64_has_one_spelling() -> None:
    payload = base64.b64encode(b"a").decode()
    assert payload == "YQ=="
    with pytest.raises(UnreadableError):
        read_attestation(changed("dsseEnvelope.payload", "YR=="))


def test_an_attestation_names_its_key() -> None:
    whole = json.loads(attestation_of(b"{}", key("p384")))
    assert whole["verificationMaterial"]["publicKey"]["hint"] == public("p384").hint
