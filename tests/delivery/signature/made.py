"""Keys, archives and signatures for tests, made once; signatures by hand where ours would refuse to make them."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from delivery.content import Content
from delivery.signature.envelope import attestation_of
from delivery.signature.keys import PrivateKey, PublicKey
from delivery.signature.statement import Statement

KINDS = ("ed25519", "p256", "p384")
NOW = datetime.datetime(2026, 11, 27, 8, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
ARCHIVE = b"the bytes of an archive"
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


def key(kind: str, name: str = "release.pub") -> PrivateKey:
    """A private key, the same for the same words."""
    return _key(kind, name)


@functools.cache
def _key(kind: str, _: str) -> PrivateKey:
    if kind == "ed25519":
        return PrivateKey(ed25519.Ed25519PrivateKey.generate())
    return PrivateKey(ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind]))


def public(kind: str, name: str = "release.pub") -> PublicKey:
    return key(kind, name).public(name)


def private_pem(private: Any) -> bytes:
    pem: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def public_pem(private: Any) -> bytes:
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def statement(**changed: Any) -> Statement:
    """Of the bundle `gpu` in version 1.2.0, good from yesterday until tomorrow."""
    usual: dict[str, Any] = {
        "archive": DIGEST,
        "name": "gpu",
        "version": "1.2.0",
        "revision": "0123abc",
        "issued": NOW - DAY,
        "expires": NOW + DAY,
        "more": (),
    }
    return Statement(**usual | changed)


@functools.cache
def attestation(kind: str = "ed25519", name: str = "release.pub", bundle: str = "gpu", **changed: Any) -> bytes:
    return attestation_of(statement(name=bundle, **changed).payload("gpu-1.2.0.tar.gz"), key(kind, name))


@functools.cache
def digest_attestation(kind: str = "p256", data: bytes = ARCHIVE, **changed: Any) -> bytes:
    """As `cosign sign-blob` makes them."""
    private = key(kind)
    message = {"algorithm": "SHA2_256", "digest": base64.b64encode(hashlib.sha256(data).digest()).decode()}
    whole = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": private.public("").hint}, "tlogEntries": []},
        "messageSignature": {
            "messageDigest": message | changed,
            "signature": base64.b64encode(private.sign(data)).decode(),
        },
    }
    return json.dumps(whole).encode()


def archived(*attestations: bytes, digest: str = DIGEST) -> Content:
    return Content(f"sha256:{digest}", "gpu-1.2.0.tar.gz", {}, archive=digest, attestations=attestations)


def ssh_key(folder: Path, kind: str = "ed25519", *options: str) -> Path:
    """A private key made by ssh-keygen, the same for the same words; its public half stands beside it, with `.pub`."""
    path = folder / f"id_{'-'.join([kind, *(option for option in options if not option.startswith('-'))])}"
    if not path.exists():
        private, line = _ssh_key(kind, *options)
        path.touch(mode=0o600)
        path.write_bytes(private)
        path.with_suffix(".pub").write_bytes(line)
    return path


@functools.cache
def _ssh_key(kind: str, *options: str) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "id")
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path), *options]
        subprocess.run(command, check=True)
        return path.read_bytes(), path.with_suffix(".pub").read_bytes()


def ssh_public(path: Path) -> str:
    """The kind of a key and the key, as a line of allowed signers has them."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def with_another(whole: dict[str, Any], path: str, value: Any) -> bytes:
    """A JSON object with something else at a path of keys; None takes the key away. The object is changed."""
    *above, last = path.split(".")
    place = whole
    for name in above:
        place = place[name]
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return json.dumps(whole).encode()
