"""Keys: read from PEM and from OpenSSH's format, and asked whether a signature fits. All of `cryptography` is here.

It is imported where it is needed, for most commands verify nothing. Which algorithm a signature is checked by is a
property of the trusted key alone: nothing that comes with a signature has a say in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from engine.struct import Marked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_PEM = 1 << 20
RSA_BITS = 2048
"""Limits: bytes of a file of keys; the shortest RSA key that SSH signatures are taken of, in bits."""

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----.*?-----END \1-----", re.DOTALL)
_KINDS = "Ed25519, or ECDSA on P-256 or P-384"
_SSH_KINDS = frozenset(
    b"ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521"
    b" sk-ssh-ed25519@openssh.com sk-ecdsa-sha2-nistp256@openssh.com".split()
)
_REMEDY = {
    "CERTIFICATE": "take its key: `openssl x509 -pubkey -noout`",
    "RSA PUBLIC KEY": f"make another one: {_KINDS}",
}


class BadKeyError(Exception):
    """A text that no key can be read from, and what to do."""


class PublicKey(Marked, frozen=True):
    """A key that archives may be signed by: its DER, and what people call it, say the name of its file."""

    unprinted = ("der",)

    der: bytes
    name: str

    @property
    def hint(self) -> str:
        """How signatures name it: the SHA-256 of its DER, in base64."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    def __str__(self) -> str:
        return f"{self.name} (SHA256:{self.hint.rstrip('=')})"

    def fits(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature is this key's over this message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        key = _loaded(self.der)
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, message, ec.ECDSA(_hash_for(key)))
            else:
                key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @property
    def takes_digests(self) -> bool:
        """Whether a signature can be checked by a SHA-256 alone, without what it was made of."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return isinstance(_loaded(self.der), ec.EllipticCurvePublicKey)

    def fits_digest(self, signature: bytes, digest: bytes) -> bool:
        """The same of a message of which only the SHA-256 is at hand: no for keys that do not sign digests."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        key = _loaded(self.der)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        try:
            key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        except InvalidSignature:
            return False
        return True


class PrivateKey(Marked, frozen=True):
    """A key to sign with."""

    unprinted = ("key",)

    key: Ed25519PrivateKey | EllipticCurvePrivateKey

    def sign(self, message: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec

        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(_hash_for(self.key.public_key())))
        return self.key.sign(message)

    def public(self, name: str) -> PublicKey:
        return PublicKey(_der(self.key.public_key()), name)


def public_keys(data: bytes | bytearray, name: str) -> Iterator[PublicKey | BadKeyError]:
    """The keys of a PEM file, and what is wrong with others that it holds; `name` is what people know it by."""
    found = list(_PEM.finditer(data))
    if not found and data.lstrip().startswith((b"ssh-", b"ecdsa-", b"sk-")):
        yield BadKeyError(f"{name}: holds a key of SSH; those sign commits and tags, and are listed as allowed signers")
    elif not found:
        yield BadKeyError(
            f"{name}: holds no PEM; expected `-----BEGIN PUBLIC KEY-----`, as `openssl pkey -pubout` writes it"
        )
    for at, block in enumerate(found, 1):
        called = name if len(found) == 1 else f"{name}, key {at}"
        try:
            yield PublicKey(_der_of(block), called)
        except BadKeyError as error:
            yield BadKeyError(f"{called}: {error}")


def private_key(data: bytes | bytearray, name: str, passphrase: bytes | None = None) -> PrivateKey:
    """The private key of a PEM file. Raises BadKeyError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    blocks = list(_PEM.finditer(data))
    block = next((one for one in blocks if b"PRIVATE KEY" in one[1]), blocks[0] if blocks else None)
    if block is None or b"PRIVATE KEY" not in block[1] or b"SIGSTORE" in block[1]:
        raise BadKeyError(f"{name}: {_no_private_key(block)}")
    try:
        key = load_pem_private_key(block[0], passphrase)
    except TypeError as error:  # with a passphrase for none, or without one for one
        what = "is not encrypted, and a passphrase was given" if passphrase else "is encrypted: give its passphrase"
        raise BadKeyError(f"{name}: {what}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = (
            "the passphrase is wrong, or the file is damaged" if passphrase else "it is damaged, or of an unknown kind"
        )
        raise BadKeyError(f"{name}: the private key can't be read: {why}") from error
    if isinstance(key, ed25519.Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and _known(key.curve)
    ):
        return PrivateKey(key)
    raise BadKeyError(f"{name}: {_kind(key)} is not supported; expected {_KINDS}")


def ssh_key_fits(key: bytes, scheme: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an SSH signature, of the scheme that it names itself, is this key's over this message.

    `key` is the key as SSH encodes it; a scheme of another kind of key fits none. Raises BadKeyError where the key
    is of a kind that is not supported.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    loaded = _ssh_key(key)
    try:
        if isinstance(loaded, ed25519.Ed25519PublicKey) and scheme == b"ssh-ed25519":
            loaded.verify(signature, message)
        elif isinstance(loaded, ec.EllipticCurvePublicKey) and scheme == _ssh_scheme(loaded):
            loaded.verify(signature, message, ec.ECDSA(_hash_for(loaded)))
        elif isinstance(loaded, rsa.RSAPublicKey) and scheme in (b"rsa-sha2-256", b"rsa-sha2-512"):
            kind = hashes.SHA512() if scheme == b"rsa-sha2-512" else hashes.SHA256()
            loaded.verify(signature, message, padding.PKCS1v15(), kind)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def ecdsa_signature(r: int, s: int) -> bytes:
    """The DER of an ECDSA signature's two numbers."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    return encode_dss_signature(r, s)


def check_ssh_key(key: bytes) -> None:
    """Raises BadKeyError where a key, as SSH encodes it, can't be used."""
    _ssh_key(key)


def _ssh_key(key: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    size = int.from_bytes(key[:4], "big")
    kind = key[4 : 4 + size]
    if kind not in _SSH_KINDS:
        raise BadKeyError("its kind of key is not supported")
    try:
        loaded = load_ssh_public_key(kind + b" " + base64.b64encode(key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKeyError("the key is damaged") from error
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < RSA_BITS:
        raise BadKeyError(f"an RSA key of {loaded.key_size} bits is too short; expected {RSA_BITS} or more")
    return loaded


def _ssh_scheme(key: EllipticCurvePublicKey) -> bytes:
    return f"ecdsa-sha2-nistp{key.curve.key_size}".encode()


def _der_of(block: re.Match[bytes]) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    label = block[1].decode()
    if "PRIVATE" in label:
        raise BadKeyError(
            "holds a private key, which who verifies must not have; write its other half: `openssl pkey -pubout`"
        )
    if label != "PUBLIC KEY":
        raise BadKeyError(f"holds `{label}`, not a public key; {_REMEDY.get(label, 'expected `BEGIN PUBLIC KEY`')}")
    try:
        key = load_pem_public_key(block[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKeyError("the key is damaged, or of an unknown kind") from error
    return _der(key)


def _loaded(der: bytes) -> Ed25519PublicKey | EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return cast("Ed25519PublicKey | EllipticCurvePublicKey", load_der_public_key(der))


def _der(key: Any) -> bytes:
    """The DER of a public key; raises BadKeyError for kinds that are not supported."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PublicKey) or (isinstance(key, ec.EllipticCurvePublicKey) and _known(key.curve)):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    raise BadKeyError(f"{_kind(key)} is not supported; expected {_KINDS}")


def _known(curve: Any) -> bool:
    return curve.name in ("secp256r1", "secp384r1")


def _kind(key: Any) -> str:
    curve = getattr(key, "curve", None)
    name = re.sub("(Private|Public)Key$", "", type(key).__name__)
    return f"the curve {curve.name}" if curve else f"a key of the kind {name}"


def _hash_for(key: EllipticCurvePublicKey) -> Any:
    """The hash that belongs to a curve, as SSH, TLS and sigstore pair them."""
    from cryptography.hazmat.primitives import hashes

    sizes: dict[int, Any] = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}
    return sizes[key.curve.key_size]()


def _no_private_key(block: re.Match[bytes] | None) -> str:
    if block is None:
        return "holds no PEM; expected a private key, as `openssl genpkey` writes it"
    if b"SIGSTORE" in block[1]:
        return "is in cosign's own format; sign with `cosign attest-blob`, or make a key with `openssl genpkey`"
    return f"holds `{block[1].decode()}`; expected a private key"
