"""What an attestation says for an archive: that it is the bundle, in the version, that is to be served now."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import NamedTuple

from delivery.signature.envelope import PAYLOAD_TYPE, DigestSignature, Envelope, Signature, read_attestation
from delivery.signature.errors import Fault, SignatureError
from delivery.signature.keyless import Certified, certified
from delivery.signature.keys import PublicKey
from delivery.signature.statement import ForeignStatementError, Statement, read_signing, read_statement
from delivery.signature.strict_json import UnreadableError
from delivery.signature.trust import SKEW, Trust, Verified

SIGN = "sign this archive with `bayplan sign`"
Signatory = PublicKey | Certified
"""Who has signed: a key, or an identity that a certificate is for. Its text says which."""
_OR_ALLOW = f"{SIGN}, or take signatures without a statement (`--allow-digest`)"


class Archive(NamedTuple):
    """What there is to sign: an archive by its SHA-256, and the manifest that names it in a registry, if one does."""

    archive: str
    manifest: str = ""

    def among(self, digests: Iterable[str]) -> bool:
        """Whether it is among what somebody has signed."""
        return self.archive in digests or bool(self.manifest and self.manifest in digests)


def judged(
    attestation: bytes, archive: Archive, name: str, version: str, trust: Trust, now: datetime.datetime
) -> Verified:
    """What one attestation is worth for an archive whose bundle calls itself by this name and version.

    Raises SignatureError.
    """
    try:
        found = read_attestation(attestation)
    except UnreadableError as error:
        raise SignatureError("unreadable", "signature", str(error), SIGN) from error
    if isinstance(found, DigestSignature):
        return _judged_digest(attestation, found, archive.archive, name, version, trust)
    by = _signatory(attestation, found, trust)
    if signing := _signing(found):
        return _judged_signing(signing, archive, name, version, trust, by)
    statement = _statement(found, by)
    _compare(statement, archive, name, version, by)
    _in_time(statement, now, by)
    until = f", good until {statement.expires:%Y-%m-%d %H:%M} UTC" if statement.expires else ""
    words = f"{statement.name} {statement.version} is signed by {by}{until}"
    return Verified("statement", words, str(by), statement.version, statement.expires)


def _judged_digest(
    attestation: bytes, found: DigestSignature, archive: str, name: str, version: str, trust: Trust
) -> Verified:
    claimed = next((key for key in trust.keys or () if key.hint == found.signature.hint), None)
    if not found.algorithm or (claimed and not claimed.takes_digests):
        reason = (
            "it is a signature of the archive's bytes by a key of a kind that signs no digests, and says nothing else"
        )
        raise SignatureError("unsupported", "messageSignature", reason, SIGN)
    if found.algorithm != "SHA2_256":
        reason = (
            f"the archive is signed by its digest of the kind `{found.algorithm[:20]}`; only SHA2_256 can be checked"
        )
        raise SignatureError("unsupported", "messageSignature.messageDigest", reason, SIGN)
    digest = bytes.fromhex(archive)
    by = _signatory(attestation, found, trust)
    if found.digest != digest:
        raise _other_archive("messageSignature.messageDigest", found.digest.hex(), Archive(archive), by)
    if not trust.allow_digest:
        reason = f"{by} has signed the archive's bytes, and says neither which bundle it is nor until when"
        raise SignatureError("no-statement", "statement", reason, _OR_ALLOW)
    return Verified(
        "digest", f"the archive of {name} {version} is signed by {by}, without a statement", str(by), version
    )


def _signing(envelope: Envelope) -> tuple[str, ...]:
    """The digests of what `cosign sign` has signed; none where the envelope says something else."""
    try:
        return read_signing(envelope.payload) if envelope.payload_type == PAYLOAD_TYPE else ()
    except (ForeignStatementError, UnreadableError):
        return ()


def _judged_signing(
    signing: tuple[str, ...], archive: Archive, name: str, version: str, trust: Trust, by: Signatory
) -> Verified:
    if not archive.among(signing):
        raise _other_archive("subject.digest.sha256", signing[0], archive, by)
    if not trust.allow_digest:
        reason = f"{by} has signed it in the registry, and says neither which bundle it is nor until when"
        raise SignatureError("no-statement", "statement", reason, _OR_ALLOW)
    words = f"{name} {version} is signed by {by} in the registry, without a statement"
    return Verified("digest", words, str(by), version)


def _signatory(attestation: bytes, found: Envelope | DigestSignature, trust: Trust) -> Signatory:
    """Who is trusted, and has signed what an attestation holds. Raises SignatureError."""
    if found.certified:
        return certified(attestation, found, trust)
    if isinstance(found, DigestSignature):
        return _signer((found.signature,), trust, lambda key, value: key.fits_digest(value, found.digest))
    return _signer(found.signatures, trust, lambda key, value: key.fits(value, found.signed))


def _signer(signatures: Iterable[Signature], trust: Trust, fits: Callable[[PublicKey, bytes], bool]) -> PublicKey:
    """The trusted key that one of the signatures is by; a hint at one of them is taken at its word."""
    keys = {key.hint: key for key in trust.keys or ()}
    claimed = None
    for one in signatures:
        if one.hint in keys:
            claimed = keys[one.hint]
        for key in [keys[one.hint]] if one.hint in keys else keys.values():
            if fits(key, one.value):
                return key
    if claimed:
        reason = f"it says that it is by {claimed}, and does not fit: what was signed, or the signature, was changed"
        cosigned = "" if claimed.takes_digests else "; of Ed25519, cosign signs a variant (Ed25519ph) that is not taken"
        raise SignatureError("damaged", "signature", reason + cosigned, SIGN)
    known = [str(key) for key in keys.values()]
    some = ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
    reason = f"it is by no trusted key ({some or 'there are none'})"
    raise SignatureError("unknown-key", "signature", reason, f"{SIGN} by a key that is trusted, or trust its key")


def _statement(envelope: Envelope, by: Signatory) -> Statement:
    if envelope.payload_type != PAYLOAD_TYPE:
        reason = f"`payloadType` is `{envelope.payload_type[:100]}`, not `{PAYLOAD_TYPE}`"
        raise SignatureError("no-statement", "statement", reason, SIGN)
    try:
        return read_statement(envelope.payload)
    except ForeignStatementError as error:
        raise SignatureError("no-statement", "statement", f"it is not about a bundle: {error}", SIGN) from error
    except UnreadableError as error:
        raise SignatureError("bad-statement", "statement", f"{error}; signed by {by}", SIGN) from error


def _compare(statement: Statement, archive: Archive, name: str, version: str, by: Signatory) -> None:
    if not archive.among(statement.subjects):
        raise _other_archive("subject.digest.sha256", statement.archive, archive, by)
    compared: tuple[tuple[Fault, str, str, str], ...] = (
        ("wrong-name", "predicate.bundle.name", statement.name, name),
        ("wrong-version", "predicate.bundle.version", statement.version, version),
    )
    for fault, field, said, has in compared:
        if said != has:
            reason = f"{by} has signed this archive as `{said}`, and its `bundle.yaml` says `{has}`"
            raise SignatureError(fault, field, reason, SIGN)


def _in_time(statement: Statement, now: datetime.datetime, by: Signatory) -> None:
    if statement.issued > now + SKEW:
        reason = f"{by} has signed it as of {statement.issued:%Y-%m-%d %H:%M} UTC, which is yet to come"
        raise SignatureError("not-yet-valid", "predicate.issued", reason, "set the clock here, or there and sign anew")
    if statement.expires and statement.expires <= now:
        reason = f"what {by} has signed was good until {statement.expires:%Y-%m-%d %H:%M} UTC"
        remedy = "sign the archive anew with `bayplan sign --expires`, or look whether the source is held back"
        raise SignatureError("expired", "predicate.expires", reason, remedy)


def _other_archive(field: str, said: str, archive: Archive, by: Signatory) -> SignatureError:
    beside = f", its manifest sha256:{archive.manifest}" if archive.manifest else ""
    reason = f"{by} has signed sha256:{said}, and the archive is sha256:{archive.archive}{beside}"
    return SignatureError("wrong-digest", field, reason, f"{SIGN}; if you did, it was changed on the way")
