"""What comes beside an archive: a sigstore bundle (v0.3, JSON) that holds a DSSE envelope, or a signature of a digest.

Both are only taken apart here. What is signed is the payload with its type; all else, the hint at a key among it, is
said by whoever wrote the file.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from delivery.signature.keys import PrivateKey
from delivery.signature.strict_json import UnreadableError, at, bytes_at, json_object, objects_at, text_at
from engine.struct import Marked, Struct, replace

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_MEDIA_TYPES = (MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 16
"""Limit of signatures in one envelope."""


class Signature(Marked, frozen=True):
    """A signature, and what it says of the key that made it: `PublicKey.hint`, or nothing."""

    unprinted = ("value",)

    hint: str
    value: bytes


class Envelope(Struct, frozen=True):
    """A payload of a type, and its signatures, as DSSE has them."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]
    certified: bool = False
    """Whether it is signed by a certificate that comes with it, not by a key that is known."""

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return pre_authentication(self.payload_type, self.payload)


class DigestSignature(Struct, frozen=True):
    """A signature of a file without a word about it, as `cosign sign-blob` makes them: by the file's digest.

    Both are empty where it is by the file's bytes.
    """

    algorithm: str
    digest: bytes
    signature: Signature
    certified: bool = False


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs: type and payload with their lengths, so that neither can pass for a part of the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_attestation(data: bytes | bytearray) -> Envelope | DigestSignature:
    """What a sigstore bundle holds. Raises UnreadableError."""
    whole = json_object(data, "the signature")
    kind = text_at(whole, "mediaType")
    if kind not in _MEDIA_TYPES:
        raise UnreadableError(f"`mediaType` is `{kind[:100]}`, not `{MEDIA_TYPE}`")
    said = [at(whole, "verificationMaterial", way) is not None for way in ("publicKey", "certificate")]
    if sum(said) != 1:
        raise UnreadableError("expected one of `publicKey` and `certificate` in `verificationMaterial`")
    certified = said[1]
    hint = at(whole, "verificationMaterial", "publicKey", "hint")
    hint = hint if isinstance(hint, str) else ""
    if ("dsseEnvelope" in whole) == ("messageSignature" in whole):
        raise UnreadableError("expected one of `dsseEnvelope` and `messageSignature`")
    found = _envelope(whole, hint) if "dsseEnvelope" in whole else _digest_signature(whole, hint)
    return replace(found, certified=certified)


def attestation_of(payload: bytes, key: PrivateKey) -> bytes:
    """A sigstore bundle with the payload, signed by the key; what reads it wants exactly one signature in each."""
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    hint = key.public("").hint
    whole = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}},
        "dsseEnvelope": {
            "payload": _base64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _base64(signature)}],  # with a `keyid`, cosign finds no key that it could be of
        },
    }
    return json.dumps(whole, separators=(",", ":")).encode()


def _envelope(whole: dict[str, Any], hint: str) -> Envelope:
    path = ("dsseEnvelope", "signatures")
    listed = objects_at(whole, *path)
    if not 0 < len(listed) <= MAX_SIGNATURES:
        raise UnreadableError(f"`dsseEnvelope.signatures` are {len(listed):,}; expected 1 to {MAX_SIGNATURES}")
    signatures = [Signature(one["keyid"] if one.get("keyid") else hint, bytes_at(one, "sig")) for one in listed]
    if not all(isinstance(one.hint, str) for one in signatures):
        raise UnreadableError("`keyid` is no text")
    kind = text_at(whole, "dsseEnvelope", "payloadType")
    return Envelope(kind, bytes_at(whole, "dsseEnvelope", "payload"), tuple(signatures))


def _digest_signature(whole: dict[str, Any], hint: str) -> DigestSignature:
    message = ("messageSignature", "messageDigest")
    if not at(whole, *message):  # of Ed25519, cosign leaves it out
        return DigestSignature("", b"", Signature(hint, bytes_at(whole, "messageSignature", "signature")))
    algorithm = text_at(whole, *message, "algorithm")
    signature = Signature(hint, bytes_at(whole, "messageSignature", "signature"))
    return DigestSignature(algorithm, bytes_at(whole, *message, "digest"), signature)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
