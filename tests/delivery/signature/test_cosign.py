"""Real cosign verifies what we sign, and we verify what it signs. Nightly, for cosign takes minutes to build."""

from __future__ import annotations

import datetime
import hashlib
import json

import pytest

from delivery.signature.errors import SignatureError
from delivery.signature.keys import public_keys
from delivery.signature.statement import PREDICATE
from delivery.signature.trust import Trust
from delivery.signature.trust_files import read_trust
from delivery.signature.verify import verified

from .cosign import NIGHTLY, Cosign, made_in
from .made import KINDS, archived, attestation, key

pytestmark = NIGHTLY


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return made_in(tmp_path_factory.mktemp("cosign"))


@pytest.mark.parametrize("kind", KINDS)
def test_cosign_verifies_what_we_sign(cosign: Cosign, kind: str) -> None:
    assert cosign.verifies(kind, attestation(kind))
    for other in KINDS:
        assert cosign.verifies(other, attestation(kind)) == (other == kind)
    assert not cosign.verifies(kind, attestation(kind, archive=hashlib.sha256(b"another").hexdigest()))
    assert not cosign.verifies(kind, attestation(kind, name="stranger"))


def trust(cosign: Cosign, kind: str) -> Trust:
    return read_trust([cosign.folder / f"cosign-{kind}.pub"], None)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_cosign_writes_are_read(cosign: Cosign, kind: str) -> None:
    (found,) = trust(cosign, kind).keys or ()
    assert [found] == [key(kind).public(found.name)]
    assert list(public_keys(b"", "x")) != []


def stated(cosign: Cosign, kind: str, now: datetime.datetime) -> bytes:
    """A statement that cosign has signed."""
    predicate = {
        "bundle": {"name": "gpu", "version": "1.2.0"},
        "issued": now.isoformat(timespec="seconds"),
        "expires": (now + datetime.timedelta(days=1)).isoformat(timespec="seconds"),
    }
    (cosign.folder / "predicate.json").write_text(json.dumps(predicate))
    return cosign.made("attest-blob", kind, "--type", PREDICATE, "--predicate", "predicate.json")


def test_statements_that_cosign_signs_by_ed25519_are_told(cosign: Cosign) -> None:
    """They are Ed25519ph, which cosign does not verify itself either."""
    now = datetime.datetime.now(datetime.UTC)
    made = stated(cosign, "ed25519", now)
    assert not cosign.verifies("ed25519", made)
    with pytest.raises(SignatureError, match=r"cosign signs a variant \(Ed25519ph\) that is not taken"):
        verified(archived(made), "gpu", "1.2.0", trust(cosign, "ed25519"), "", now)


@pytest.mark.parametrize("kind", ["p256", "p384"])
def test_we_verify_statements_that_cosign_signs(cosign: Cosign, kind: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    made = stated(cosign, kind, now)
    found = verified(archived(made), "gpu", "1.2.0", trust(cosign, kind), "", now)
    assert (found.kind, found.version) == ("statement", "1.2.0")
    for name, version, at, fault in (
        ("spot", "1.2.0", now, "wrong-name"),
        ("gpu", "1.3.0", now, "wrong-version"),
        ("gpu", "1.2.0", now + datetime.timedelta(days=2), "expired"),
    ):
        with pytest.raises(SignatureError) as error:
            verified(archived(made), name, version, trust(cosign, kind), "", at)
        assert error.value.fault == fault


@pytest.mark.parametrize("kind", KINDS)
def test_we_verify_digests_that_cosign_signs_by_sha256(cosign: Cosign, kind: str) -> None:
    made = cosign.made("sign-blob", kind)
    now = datetime.datetime.now(datetime.UTC)
    allowed = read_trust([cosign.folder / f"cosign-{kind}.pub"], None, allow_digest=True)
    if kind == "p256":
        assert verified(archived(made), "gpu", "1.2.0", allowed, "", now).kind == "digest"
        return
    with pytest.raises(SignatureError) as error:  # of P-384 by SHA-384, of Ed25519 not of a digest at all
        verified(archived(made), "gpu", "1.2.0", allowed, "", now)
    assert error.value.fault == "unsupported"
