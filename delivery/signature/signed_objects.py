"""What the signature of a commit or tag says for the files that it leads to."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

from delivery.content import SignedObject
from delivery.signature.allowed_signers import NAMESPACE, Signer, fingerprint
from delivery.signature.errors import Fault, SignatureError
from delivery.signature.keys import BadKeyError
from delivery.signature.sshsig import BadSignatureError, SshSignature, read_ssh_signature
from delivery.signature.trust import SKEW, Kind, Trust, Verified

SIGN = "sign with an SSH key: `git config gpg.format ssh`, then `git commit -S` or `git tag -s`"
_WHEN = re.compile(rb"^(?:committer|tagger) [^\n]*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)


def judged_object(one: SignedObject, version: str, trust: Trust, now: datetime.datetime) -> Verified:
    """What the signature of one commit or tag is worth. Raises SignatureError.

    That it leads to the files, and by the name that was asked for, is what its source answers for: names of objects are
    hashes of what is in them.
    """
    field = f"signature of {one.name}"
    found = _read(one.signature, field)
    lines = [signer for signer in trust.signers or () if signer.key == found.key]
    if not lines:
        reason = f"it is by the key {fingerprint(found.key)}, which is not among the allowed signers"
        raise SignatureError("unknown-key", field, reason, "sign with one of theirs, or add the key to the file")
    if found.namespace != NAMESPACE.encode():
        reason = f"it was made for `{found.namespace[:50].decode(errors='replace')}`, not for `{NAMESPACE}`"
        raise SignatureError("damaged", field, reason, SIGN)
    try:
        fits = found.fits(one.payload)
    except (BadSignatureError, BadKeyError) as error:
        raise SignatureError("damaged", field, str(error), SIGN) from error
    if not fits:
        reason = f"it says that it is by {lines[0]}, and does not fit: the object, or the signature, was changed"
        raise SignatureError("damaged", field, reason, SIGN)
    signer = _allowed(lines, _signed_at(one, field, now), field)
    kind: Kind = "tag" if one.payload.startswith(b"object ") else "commit"
    return Verified(kind, f"the {one.name} is signed by {signer}", str(signer), version)


def _read(signature: bytes, field: str) -> SshSignature:
    if signature.startswith((b"-----BEGIN PGP", b"-----BEGIN SIGNED MESSAGE")):
        kind = "GPG" if b"PGP" in signature[:16] else "X.509"
        raise SignatureError("unsupported", field, f"signatures by {kind} are not supported", SIGN)
    try:
        found = read_ssh_signature(signature)
    except BadSignatureError as error:
        raise SignatureError("unreadable", field, str(error), SIGN) from error
    if b"-cert-v01@" in found.key[:64]:
        reason = "it is by a certificate of SSH, which is not supported"
        raise SignatureError("unsupported", field, reason, "sign with the key itself, and list it")
    return found


def _signed_at(one: SignedObject, field: str, now: datetime.datetime) -> datetime.datetime | None:
    """When it was signed, as it says itself; None where it says nothing."""
    found = _WHEN.search(one.payload.split(b"\n\n", 1)[0])
    if not found:
        return None
    at = datetime.datetime.fromtimestamp(min(int(found[1]), 1 << 37), datetime.UTC)
    if at > now + SKEW:
        reason = f"it was signed at {_time(at)}, which is yet to come"
        raise SignatureError("not-yet-valid", field, reason, "set the clock here, or there and sign anew")
    return at


def _allowed(lines: Iterable[Signer], at: datetime.datetime | None, field: str) -> Signer:
    """The first line by which the key may sign at that time. Raises SignatureError with what is against the first."""
    against = []
    for line in lines:
        fault, why, remedy = _against(line, at)
        if fault is None:
            return line
        against.append(SignatureError(fault, field, f"{line.place} allows {line} {why}", remedy))
    raise against[0]


def _against(line: Signer, at: datetime.datetime | None) -> tuple[Fault | None, str, str]:
    """What keeps a line from allowing something that was signed at a time: the fault, and the words around it."""
    if not line.signs_git:
        return "unknown-key", f"to sign `{line.namespaces}` only", "add `git` to its `namespaces`"
    if line.after is None and line.before is None:
        return None, "", ""
    if at is None:
        return "not-yet-valid", "for a time only, and it does not say when it was signed", "sign anew"
    if line.after and at < line.after:
        why = f"from {_time(line.after)} on, and it was signed at {_time(at)}"
        return "not-yet-valid", why, "sign anew, or change `valid-after`"
    if line.before and at >= line.before:
        return (
            "expired",
            f"until {_time(line.before)}, and it was signed at {_time(at)}",
            "sign with a key that is allowed",
        )
    return None, "", ""


def _time(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
