"""SSH signatures: what ssh-keygen makes is taken, what it refuses is refused, and nothing is spelled in two ways."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from delivery.signature.keys import BadKeyError
from delivery.signature.sshsig import MAX_BYTES, BadSignatureError, _string, read_ssh_signature

from .made import ssh_key, ssh_public

KINDS = [("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "384"), ("ecdsa", "-b", "521")]
MESSAGE = b"tree 0123\n\nwhat was done\n"


def signed(key: Path, message: bytes = MESSAGE, *options: str) -> bytes:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", *options]
    return subprocess.run(command, input=message, capture_output=True, check=True).stdout


def theirs(folder: Path, signature: bytes, line: str, message: bytes = MESSAGE) -> bool:
    """What ssh-keygen says of a signature."""
    (folder / "allowed").write_text(line + "\n")
    (folder / "signature").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", f"{folder}/allowed", "-I", "me", "-n", "git"]
    done = subprocess.run([*command, "-s", f"{folder}/signature"], input=message, capture_output=True, check=False)
    return done.returncode == 0


def armoured(data: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(data) + b"\n-----END SSH SIGNATURE-----\n"


def blob(signature: bytes) -> bytes:
    return base64.b64decode(b"".join(signature.splitlines()[1:-1]))


def security_key_signature(
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, flags: int
) -> tuple[str, bytes]:
    """The public key of a security key, and its signature, as such a device would make it."""
    application, counter = b"ssh:", b"\0\0\0\7"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        kind = b"sk-ssh-ed25519@openssh.com"
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key = _string(kind) + _string(raw) + _string(application)
    else:
        kind = b"sk-ecdsa-sha2-nistp256@openssh.com"
        raw = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        key = _string(kind) + _string(b"nistp256") + _string(raw) + _string(application)
    inner = b"SSHSIG" + b"".join(map(_string, (b"git", b"", b"sha512", hashlib.sha512(MESSAGE).digest())))
    outer = hashlib.sha256(application).digest() + bytes([flags]) + counter + hashlib.sha256(inner).digest()
    if isinstance(private, ed25519.Ed25519PrivateKey):
        made = private.sign(outer)
    else:
        numbers = decode_dss_signature(private.sign(outer, ec.ECDSA(SHA256())))
        made = b"".join(_string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers)
    signature = _string(kind) + _string(made) + bytes([flags]) + counter
    parts = (key, b"git", b"", b"sha512", signature)
    line = f"{kind.decode()} {base64.b64encode(key).decode()}"
    return line, armoured(b"SSHSIG\0\0\0\1" + b"".join(map(_string, parts)))


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("options", [(), ("-O", "hashalg=sha256")], ids=["sha512", "sha256"])
def test_what_ssh_keygen_signs_fits(tmp_path: Path, kind: tuple[str, ...], options: tuple[str, ...]) -> None:
    key = ssh_key(tmp_path, *kind)
    found = read_ssh_signature(signed(key, MESSAGE, *options))
    assert base64.b64encode(found.key).decode() == ssh_public(key).split()[1]
    assert found.namespace == b"git"
    assert found.fits(MESSAGE)
    assert not found.fits(MESSAGE + b"\n")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_what_a_security_key_signs_fits(tmp_path: Path, kind: str) -> None:
    private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    line, signature = security_key_signature(private, flags=1)
    assert theirs(tmp_path, signature, f"me {line}")
    assert read_ssh_signature(signature).fits(MESSAGE)
    assert not read_ssh_signature(signature).fits(MESSAGE + b"\n")


def test_a_security_key_must_have_been_touched() -> None:
    _, signature = security_key_signature(ed25519.Ed25519PrivateKey.generate(), flags=0)
    with pytest.raises(BadSignatureError, match="nobody touched the security key"):
        read_ssh_signature(signature).fits(MESSAGE)


def test_what_a_plain_key_signs_is_not_taken_for_a_security_keys(tmp_path: Path) -> None:
    """The key that is trusted is bound to its application and to a touch; the same numbers without them are not it."""
    private = ed25519.Ed25519PrivateKey.generate()
    line, _ = security_key_signature(private, flags=1)
    inner = b"SSHSIG" + b"".join(map(_string, (b"git", b"", b"sha512", hashlib.sha512(MESSAGE).digest())))
    for scheme in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"):
        plain = _string(scheme) + _string(private.sign(inner)) + b"\1\0\0\0\7" * scheme.startswith(b"sk")
        parts = (base64.b64decode(line.split()[1]), b"git", b"", b"sha512", plain)
        signature = armoured(b"SSHSIG\0\0\0\1" + b"".join(map(_string, parts)))
        assert not read_ssh_signature(signature).fits(MESSAGE)
        assert not theirs(tmp_path, signature, f"me {line}")


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadKeyError, match="an RSA key of 1024 bits is too short; expected 2048 or more"):
        read_ssh_signature(signed(ssh_key(tmp_path, "rsa", "-b", "1024"))).fits(MESSAGE)


@pytest.mark.parametrize("kind", KINDS[:3], ids="-".join)
def test_a_scheme_of_another_key_fits_none(tmp_path: Path, kind: tuple[str, ...]) -> None:
    found = read_ssh_signature(signed(ssh_key(tmp_path, *kind)))
    own = int.from_bytes(found.blob[:4], "big")
    raw = found.blob[4 + own :]
    for scheme in (b"ssh-ed25519", b"ssh-rsa", b"rsa-sha2-256", b"rsa-sha2-512", b"ecdsa-sha2-nistp384", b"none", b""):
        if scheme != found.blob[4 : 4 + own]:
            other = type(found)(found.key, found.namespace, found.hash_name, _string(scheme) + raw)
            with contextlib.suppress(BadSignatureError):
                assert not other.fits(MESSAGE)


@pytest.mark.parametrize("kind", KINDS[:3], ids="-".join)
def test_any_changed_byte_is_refused(tmp_path: Path, kind: tuple[str, ...]) -> None:
    whole = blob(signed(ssh_key(tmp_path, *kind)))
    for at in range(len(whole)):
        other = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            found = read_ssh_signature(armoured(other))
            fits = found.namespace == b"git" and found.key in whole and found.fits(MESSAGE)
        except (BadSignatureError, BadKeyError):
            continue
        assert not fits, at


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (b"", "it is no SSH signature"),
        (b"-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----\n", "it is no SSH signature"),
        (armoured(b"SSHSIG\0\0\0\1") * 2, "it is no SSH signature"),
        (b"x" + armoured(b"SSHSIG\0\0\0\1"), "it is no SSH signature"),
        (armoured(b"SSHSIG\0\0\0\1").replace(b"\n-----END", b"=\n-----END"), "the signature is no base64"),
        (armoured(b"SSHSIG\0\0\0\2"), "it is no SSH signature of version 1"),
        (armoured(b"SSHSIG\0\0\0\1"), "cut short"),
        (armoured(b"SSHSIG\0\0\0\1\xff\xff\xff\xff"), "cut short"),
        (
            armoured(b"SSHSIG\0\0\0\1" + _string(b"") * 2 + _string(b"x") + _string(b"sha256") + _string(b"")),
            "more than",
        ),
        (armoured(b"SSHSIG\0\0\0\1" + _string(b"") * 3 + _string(b"md5") + _string(b"")), "its hash `md5`"),
        (armoured(b"SSHSIG\0\0\0\1" + _string(b"") * 3 + _string(b"sha256") + _string(b"") + b"x"), "more than"),
        (armoured(b"a" * MAX_BYTES), "the signature is too large"),
    ],
)
def test_what_is_no_ssh_signature_is_told(signature: bytes, words: str) -> None:
    with pytest.raises(BadSignatureError, match=words):
        read_ssh_signature(signature)


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([b"sha256", b"sha512"]))
def test_whatever_is_given_fits_or_is_refused(key: bytes, signature: bytes, hash_name: bytes) -> None:
    parts = map(_string, (key, b"git", b"", hash_name, signature))
    with contextlib.suppress(BadSignatureError, BadKeyError):
        assert not read_ssh_signature(armoured(b"SSHSIG\0\0\0\1" + b"".join(parts))).fits(b"")
