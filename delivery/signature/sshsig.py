"""SSH signatures, as `ssh-keygen -Y sign` and Git make them: taken apart, and held against a key that is trusted.

The format is PROTOCOL.sshsig of OpenSSH. Nothing in it is optional here: what could be spelled in two ways is refused
in all but one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from delivery.signature.keys import ecdsa_signature, ssh_key_fits
from engine.struct import Marked

MAX_BYTES = 1 << 16
"""Limit of an armoured signature, in bytes; one by a key of RSA with 16,384 bits has about six thousand."""

_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END SSH SIGNATURE-----\s*", re.ASCII
)
_MAGIC = b"SSHSIG"
_HASHES = (b"sha256", b"sha512")
_PRESENT = 1
"""The flag by which a security key says that somebody touched it."""


class BadSignatureError(Exception):
    """What is no SSH signature as they are made, in words."""


class SshSignature(Marked, frozen=True):
    """`key` is the one that it says it is by, as SSH encodes it; `blob` the signature itself, with its scheme."""

    unprinted = ("blob",)

    key: bytes
    namespace: bytes
    hash_name: bytes
    blob: bytes

    def fits(self, message: bytes) -> bool:
        """Whether it is one by its key over this message. Raises BadSignatureError and BadKeyError."""
        digest = hashlib.new(self.hash_name.decode(), message).digest()
        signed = _MAGIC + b"".join(map(_string, (self.namespace, b"", self.hash_name, digest)))
        kind, _ = _taken(self.key)
        scheme, rest = _taken(self.blob)
        raw, rest = _taken(rest)
        if kind.startswith(b"sk-"):
            if scheme != kind:
                return False
            signed, rest = _touched(self.key, signed, rest)
            scheme = kind.removeprefix(b"sk-").removesuffix(b"@openssh.com")
        if rest:
            raise BadSignatureError("something follows the signature")
        return ssh_key_fits(self.key, scheme, _der(raw) if scheme.startswith(b"ecdsa-") else raw, signed)


def read_ssh_signature(armoured: bytes) -> SshSignature:
    """A signature that Git keeps beside a commit or tag. Raises BadSignatureError."""
    if len(armoured) > MAX_BYTES:
        raise BadSignatureError(f"the signature is too large: {len(armoured):,} bytes, at most {MAX_BYTES:,}")
    found = _ARMOUR.fullmatch(armoured)
    if not found:
        raise BadSignatureError("it is no SSH signature")
    try:
        data = base64.b64decode(found[1].replace(b"\r", b"").replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignatureError("the signature is no base64") from error
    if data[:10] != _MAGIC + b"\0\0\0\1":
        raise BadSignatureError("it is no SSH signature of version 1")
    key, rest = _taken(data[10:])
    namespace, rest = _taken(rest)
    reserved, rest = _taken(rest)
    hash_name, rest = _taken(rest)
    blob, rest = _taken(rest)
    if reserved or rest:
        raise BadSignatureError("it holds more than an SSH signature does")
    if hash_name not in _HASHES:
        raise BadSignatureError(f"its hash `{hash_name[:20].decode(errors='replace')}` is not one of sha256 and sha512")
    return SshSignature(key, namespace, hash_name, blob)


def _touched(key: bytes, signed: bytes, rest: bytes) -> tuple[bytes, bytes]:
    """What a security key has signed: the application, flags and a counter around the message; and what follows."""
    if len(rest) < 5:
        raise BadSignatureError("the signature of a security key is cut short")
    flags, counter, rest = rest[:1], rest[1:5], rest[5:]
    if not flags[0] & _PRESENT:
        raise BadSignatureError("nobody touched the security key")
    parts = key
    application = b""
    while parts:
        application, parts = _taken(parts)
    return hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(signed).digest(), rest


def _der(raw: bytes) -> bytes:
    """An ECDSA signature as OpenSSL writes it, of one as SSH writes it."""
    r, rest = _taken(raw)
    s, rest = _taken(rest)
    if rest or not 0 < len(r) <= 67 or not 0 < len(s) <= 67:
        raise BadSignatureError("the numbers of the signature are damaged")
    return ecdsa_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _taken(data: bytes) -> tuple[bytes, bytes]:
    """The first string of SSH's encoding, and what follows."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise BadSignatureError("the signature is cut short")
    return data[4 : 4 + size], data[4 + size :]
