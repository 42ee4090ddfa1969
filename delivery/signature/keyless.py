"""Signatures without a key that lasts: by a certificate that an authority (Fulcio) gave to an identity for minutes.

All of `sigstore` is here, which is an extra of the package. It is imported where a certificate is to be verified or a
signature to be made, for that takes 0.2 s and tens of MiB. To verify, nobody is asked: a trusted root (a file) says
whose certificates, logs and timestamps are believed. A certificate counts for the time at which a log or a timestamp
authority saw the signature, and must be in the log.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NoReturn

from delivery.signature.envelope import DigestSignature, Envelope
from delivery.signature.errors import SignatureError
from delivery.signature.identities import Identity
from delivery.signature.strict_json import at, json_object
from delivery.signature.trust import Root, Trust
from engine.struct import Struct

INSTALL = "install what does it: `pip install 'bayplan[sigstore]'`"
SIGN = "sign this archive with an identity that is trusted, or trust its identity (`--identities`)"
AGAIN = "sign this archive anew"
_ISSUER, _OLD_ISSUER = "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"
"""Extensions by which certificates of Fulcio say who has issued the token of whom they are for."""
_ALWAYS = "1970-01-01T00:00:00Z"
_PERIOD = {"start": _ALWAYS, "end": "9999-12-31T23:59:59Z"}
_CONFIG = {
    "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
    "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
}


class Certified(Struct, frozen=True):
    """Whom a certificate is for: a subject, and who says so."""

    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{_shown(self.subject)} ({_shown(self.issuer)})"


class KeylessError(Exception):
    """Why nothing could be signed by an identity."""


def can_verify_certificates() -> bool:
    """Whether the extra is installed, by which certificates are verified and asked for."""
    return find_spec("sigstore") is not None


class Signing(Struct, frozen=True):
    """Where to sign, as sigstore has it (JSON): the trusted root, and the signing configuration, of one instance."""

    root: bytes
    services: bytes


def signed_by_identity(payload: bytes, token: str, signing: Signing | None) -> tuple[bytes, Certified]:
    """A sigstore bundle with the payload, signed for whom a token is about, and who that is.

    An authority, a log and a timestamp authority are asked over the network: those of `signing`, or else those of the
    public sigstore. Without a token, it is taken from where the job runs: GitHub Actions, GitLab, Buildkite and others.
    Raises KeylessError.
    """
    if not can_verify_certificates():
        raise KeylessError(f"signing by an identity is an extra; {INSTALL}")
    from sigstore.dsse import Statement
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken, detect_credential
    from sigstore.sign import SigningContext

    try:
        said = token or detect_credential()
        if not said:
            raise ValueError("there is no token, and nothing here that gives one; say `--identity-token FILE`")
        if signing is None:
            config = ClientTrustConfig.production()
        else:
            parts = {"trustedRoot": json.loads(signing.root), "signingConfig": json.loads(signing.services)}
            config = ClientTrustConfig.from_json(json.dumps(_CONFIG | parts))
        with SigningContext.from_trust_config(config).signer(IdentityToken(said)) as signer:
            bundle = signer.sign_dsse(Statement(payload))
        return bundle.to_json().encode(), _holder_of(bundle.signing_certificate)
    except Exception as error:  # of a library, and of three servers
        cause = f": {_words(error.__cause__)}" if isinstance(error.__cause__, Exception) else ""
        raise KeylessError(f"no signature by an identity: {_words(error)}{cause}") from error


def certified(attestation: bytes, found: Envelope | DigestSignature, trust: Trust) -> Certified:
    """The trusted identity by whose certificate an attestation is signed. Raises SignatureError.

    `found` is what the attestation holds; of a signature of a digest, it is that of this digest.
    """
    if trust.identities is None:
        reason = "it is by a certificate, not by a key, and no identities are trusted"
        raise SignatureError("unknown-identity", "signature", reason, SIGN)
    if not trust.identities or not trust.roots:
        reason = "it is by a certificate, and there are no identities, or no trusted root, to hold it against"
        raise SignatureError("unknown-identity", "signature", reason, SIGN)
    if not can_verify_certificates():
        raise SignatureError(
            "unsupported", "signature", "it is by a certificate, which can't be verified here", INSTALL
        )
    faults: list[SignatureError] = []
    for root in trust.roots:
        try:
            return _certified(attestation, found, root, trust.identities)
        except SignatureError as error:
            faults.append(error)
    raise max(faults, key=lambda error: (error.fault == "damaged", error.remedy == SIGN))  # the nearest to being right


def _certified(
    attestation: bytes, found: Envelope | DigestSignature, root: Root, identities: Iterable[Identity]
) -> Certified:
    from sigstore.hashes import Hashed
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    holder = _Holder(identities)
    try:
        bundle = Bundle.from_json(attestation)
        times = tuple(_times(json_object(attestation, "the signature"), bundle))
    except Exception as error:  # whatever a library makes of what anybody may have written
        raise SignatureError("unreadable", "signature", _words(error), AGAIN) from error
    try:
        verifier = Verifier(trusted_root=_root_at(root, times))
        if isinstance(found, DigestSignature):
            digest = Hashed(algorithm="SHA2_256", digest=found.digest)
            verifier.verify_artifact(digest, bundle, holder)
        elif verifier.verify_dsse(bundle, holder) != (found.payload_type, found.payload):
            raise ValueError("what is signed is not what is read")
    except Exception as error:  # the same
        _refuse(holder, root, error)
    assert holder.trusted, "what is verified has asked whose certificate it is"
    return holder.trusted


def _refuse(holder: _Holder, root: Root, error: Exception) -> NoReturn:
    """Raise what follows from how far the verification came: what is not certified was said by anybody."""
    if holder.trusted:
        reason = f"it says that it is by {holder.trusted}, and does not fit: {_words(error)}"
        raise SignatureError("damaged", "signature", reason, AGAIN) from error
    if holder.other:
        raise SignatureError(
            "unknown-identity", "signature", f"it is by {holder.other}, who is not trusted", SIGN
        ) from error
    reason = f"{root.name} does not vouch for its certificate: {_words(error)}"
    raise SignatureError(
        "unknown-identity", "signature", reason, f"{AGAIN}, or trust the root that it is by"
    ) from error


class _Holder:
    """Whose certificate it is, asked by `sigstore` once it knows that a trusted authority has issued and logged it."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._identities = tuple(identities)
        self.trusted: Certified | None = None
        self.other: Certified | None = None

    def verify(self, cert: Any) -> None:
        """Raises ValueError where it is nobody's who is trusted."""
        who = _holder_of(cert)
        if not any(one.names(who.issuer, who.subject) for one in self._identities):
            self.other = who
            raise ValueError("the identity is not trusted")
        self.trusted = who


def _holder_of(certificate: Any) -> Certified:
    """Raises ValueError for a certificate that does not say it, or says it twice."""
    from cryptography.hazmat import asn1
    from cryptography.x509 import OtherName, SubjectAlternativeName

    issuers, subjects = set(), []
    for extension in certificate.extensions:
        if extension.oid.dotted_string == _ISSUER:
            issuers.add(asn1.decode_der(str, extension.value.value))
        elif extension.oid.dotted_string == _OLD_ISSUER:
            issuers.add(extension.value.value.decode())
        elif isinstance(extension.value, SubjectAlternativeName):
            subjects += [
                asn1.decode_der(str, name.value) if isinstance(name, OtherName) else str(name.value)
                for name in extension.value
            ]
    if len(issuers) != 1 or len(subjects) != 1:
        raise ValueError(
            f"the certificate is for {len(subjects)} subjects of {len(issuers)} issuers, not for one of one"
        )
    return Certified(issuers.pop(), subjects[0])


def _times(whole: Mapping[str, Any], bundle: Any) -> Iterator[datetime.datetime]:
    """When it was signed, as logs and authorities are said to have seen it; that they did is yet to be verified."""
    for entry in at(whole, "verificationMaterial", "tlogEntries") or ():
        if seconds := int(entry.get("integratedTime") or 0):
            yield datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    if stamps := bundle.verification_material.timestamp_verification_data:
        yield from (stamp.tst_info.gen_time for stamp in stamps.rfc3161_timestamps)


def _root_at(root: Root, times: Sequence[datetime.datetime]) -> Any:
    """A trusted root without what was not in force at all of these times: authorities and logs that were given up."""
    from sigstore.models import ClientTrustConfig

    whole: dict[str, Any] = json.loads(root.data)
    for part in ("tlogs", "ctlogs"):
        listed = whole.get(part) or ()
        whole[part] = [one for one in listed if _in_force(at(one, "publicKey", "validFor"), times)]
    whole["certificateAuthorities"] = [
        one for one in _authorities(whole, "certificate") if _in_force(one["validFor"], times)
    ]
    whole["timestampAuthorities"] = list(_authorities(whole, "timestamp"))  # those are held against their own times
    return ClientTrustConfig.from_json(json.dumps(_CONFIG | {"trustedRoot": whole})).trusted_root


def _authorities(whole: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """The authorities of a kind, with what others may leave out and this library must have."""
    for one in whole.get(f"{kind}Authorities") or ():
        subject = {"organization": "", "commonName": ""} | one.get("subject", {})
        yield one | {"subject": subject, "validFor": {"start": _ALWAYS} | one.get("validFor", {})}


def _in_force(period: Mapping[str, str] | None, times: Iterable[datetime.datetime]) -> bool:
    said = period or {}
    start, end = (datetime.datetime.fromisoformat(said.get(key, usual)) for key, usual in _PERIOD.items())
    return all(start <= time <= end for time in times)


def _words(error: Exception) -> str:
    """What a library says, in one line, without what was given to it."""
    return _shown(" ".join(str(error).partition(" [type=")[0].split()) or type(error).__name__)


def _shown(text: str) -> str:
    """A text that anybody may have written, for people."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])
