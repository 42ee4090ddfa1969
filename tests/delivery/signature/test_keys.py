"""Keys from PEM: which are taken, what is said of the others, and that a key alone decides about its algorithm."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from delivery.signature.keys import BadKeyError, PublicKey, private_key, public_keys

from .made import KINDS, key, private_pem, public, public_pem


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_key_signs_fits_it_and_no_other_message_or_key(kind: str) -> None:
    signature = key(kind).sign(b"a message")
    assert public(kind).fits(signature, b"a message")
    assert not public(kind).fits(signature, b"a massage")
    assert not any(public(other, "other").fits(signature, b"a message") for other in KINDS)
    for at in range(len(signature)):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        assert not public(kind).fits(changed, b"a message")
    assert not public(kind).fits(b"", b"a message")
    assert not public(kind).fits(signature + b"\0", b"a message")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_from_pem_and_named_by_its_file(kind: str) -> None:
    (found,) = public_keys(b"# ours\r\n" + public_pem(key(kind).key), "release.pub")
    assert found == public(kind)
    assert isinstance(found, PublicKey)
    assert str(found).startswith("release.pub (SHA256:")
    assert private_key(private_pem(key(kind).key), "release.pem").public("release.pub") == found


def test_a_file_may_hold_several_keys_and_a_bad_one_takes_nothing_from_the_others() -> None:
    damaged = public_pem(key("p256").key).replace(b"MF", b"AA")
    found = list(public_keys(public_pem(key("ed25519").key) + damaged + public_pem(key("p384").key), "keys"))
    assert [str(one) for one in found if isinstance(one, BadKeyError)] == [
        "keys, key 2: the key is damaged, or of an unknown kind"
    ]
    assert [one.name for one in found if isinstance(one, PublicKey)] == ["keys, key 1", "keys, key 3"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no PEM"),
        (b"ssh-ed25519 AAAA", "holds a key of SSH; those sign commits and tags"),
        (private_pem(key("ed25519").key), "holds a private key, which who verifies must not have"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "openssl x509 -pubkey"),
        (b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "damaged"),
        (
            public_pem(rsa.generate_private_key(65537, 2048)),
            "a key of the kind RSA is not supported; expected Ed25519, or ECDSA on",
        ),
        (public_pem(ec.generate_private_key(ec.SECP521R1())), "the curve secp521r1 is not supported"),
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "the curve secp256k1 is not supported"),
        (public_pem(ed448.Ed448PrivateKey.generate()), "a key of the kind Ed448 is not supported"),
    ],
)
def test_what_is_no_key_for_archives_is_told_with_what_to_do(data: bytes, words: str) -> None:
    (found,) = public_keys(data, "x.pub")
    assert isinstance(found, BadKeyError)
    assert str(found).startswith("x.pub: ")
    assert words in str(found)


def test_keys_that_openssl_makes_are_read_with_their_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    making = ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out", str(path)]
    subprocess.run(making, check=True)
    reading = ["openssl", "pkey", "-in", str(path), "-passin", "pass:secret", "-pubout"]
    (trusted,) = public_keys(subprocess.run(reading, check=True, capture_output=True).stdout, "key.pub")
    assert isinstance(trusted, PublicKey)
    assert trusted.fits(private_key(path.read_bytes(), "key.pem", b"secret").sign(b"a"), b"a")
    for passphrase, words in ((None, "is encrypted: give its passphrase"), (b"wrong", "the passphrase is wrong")):
        with pytest.raises(BadKeyError, match=words):
            private_key(path.read_bytes(), "key.pem", passphrase)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no PEM"),
        (public_pem(key("p256").key), "holds `PUBLIC KEY`; expected a private key"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----", "cosign"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "damaged"),
        (private_pem(rsa.generate_private_key(65537, 2048)), "a key of the kind RSA is not supported"),
    ],
)
def test_what_is_no_private_key_is_told(data: bytes, words: str) -> None:
    with pytest.raises(BadKeyError, match=words) as error:
        private_key(data, "key.pem")
    assert str(error.value).startswith("key.pem: ")


def test_parameters_of_a_curve_may_stand_before_a_key(tmp_path: Path) -> None:
    """As `openssl ecparam -genkey` writes them."""
    path = tmp_path / "key.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", str(path)], check=True)
    assert b"BEGIN EC PARAMETERS" in path.read_bytes()
    assert private_key(path.read_bytes(), "key.pem").sign(b"a")


def test_a_passphrase_for_a_key_that_has_none_is_told() -> None:
    with pytest.raises(BadKeyError, match="is not encrypted"):
        private_key(private_pem(key("p256").key), "key.pem", b"secret")


def test_a_signature_of_a_digest_fits_curves_alone() -> None:
    digest = hashlib.sha256(b"data").digest()
    assert public("p256").fits_digest(key("p256").sign(b"data"), digest)
    assert not public("p256").fits_digest(key("p256").sign(b"date"), digest)
    assert not public("ed25519").fits_digest(key("ed25519").sign(b"data"), digest)
    assert not public("ed25519").fits_digest(key("ed25519").sign(digest), digest)


def test_a_private_key_shows_nothing_of_itself() -> None:
    assert repr(key("ed25519")) == "PrivateKey()"
