"""Bundles whose signature is missing or wrong, first and later: none becomes active, and the next good one does."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from delivery.archive import ArchiveSource, Manifest, packed
from delivery.git import GitSource
from delivery.signature.envelope import attestation_of
from delivery.signature.statement import Statement
from delivery.sources import read_address
from delivery.transaction import Demands
from delivery.trusted import Trusted
from tests.delivery.bad_bundles import Serving, good, withstands
from tests.delivery.git_servers import Repository

from .made import digest_attestation, key, public_pem, ssh_key, ssh_public

BAD_VERSION = "6.6.6"


class SignedArchive:
    """An archive and its attestation in a folder; the keys `release` and `p256` are trusted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bundle.tar.gz"
        self.beside = folder / "bundle.tar.gz.sigstore.json"
        self.keys = folder / "keys"
        self.keys.mkdir()
        (self.keys / "release.pub").write_bytes(public_pem(key("ed25519").key))
        (self.keys / "p256.pub").write_bytes(public_pem(key("p256").key))
        self.source = ArchiveSource(self.path)
        self.demands = Demands(Trusted(keys=(str(self.keys),), name="small").vouch)

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.put(files, self.attested(files))

    def put(self, files: Mapping[str, bytes], attestation: bytes | None) -> None:
        self.path.write_bytes(archive(files))
        self.beside.unlink(missing_ok=True)
        if attestation is not None:
            self.beside.write_bytes(attestation)

    def attested(self, files: Mapping[str, bytes], by: str = "release.pub", **changed: Any) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        usual = {"name": "small", "version": version(files), "revision": "", "issued": now, "expires": None}
        digest = hashlib.sha256(archive(files)).hexdigest()
        statement = Statement(**{"archive": digest, **usual, **changed})
        return attestation_of(statement.payload("bundle.tar.gz"), key("ed25519", by))

    def spoil(self, files: Mapping[str, bytes], **changed: Any) -> None:
        self.put(files, self.attested(files, **changed))


class SignedRepository:
    """A repository whose commits are signed."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository(folder / "served")
        self.key, self.stranger = ssh_key(folder), ssh_key(folder, "ecdsa")
        self.allowed = folder / "allowed_signers"
        self.allowed.write_text(f"me {ssh_public(self.key)}\n")
        self.repository.git("config", "gpg.format", "ssh")
        self.source = GitSource(read_address(f"git+file://{self.repository.path}"))
        self.demands = Demands(Trusted(signers=(str(self.allowed),), name="small").vouch)

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.commit(files, self.key)

    def commit(self, files: Mapping[str, bytes], signer: Path | None) -> None:
        if signer:
            self.repository.git("config", "user.signingkey", str(signer))
        self.repository.commit(files, *(["-S"] if signer else ["--no-gpg-sign"]))

    def changed(self, files: Mapping[str, bytes], *words: tuple[str, str]) -> None:
        """A signed commit of these files, in which some words are others."""
        self.commit(files, self.key)
        text = self.repository.git("cat-file", "commit", "HEAD")
        for before, after in words:
            text = text.replace(before, after)
        made = self.repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode() + b"\n")
        self.repository.git("update-ref", "refs/heads/main", made)


def archive(files: Mapping[str, bytes]) -> bytes:
    return packed(files, Manifest("small", version(files)))


def version(files: Mapping[str, bytes]) -> str:
    return files["bundle.yaml"].decode().partition("version: ")[2].partition(",")[0]


def at(**shift: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**shift)


BAD = good(BAD_VERSION)
ARCHIVES: dict[str, tuple[Callable[[SignedArchive], None], str]] = {
    "unsigned": (lambda place: place.put(BAD, None), "the archive has none"),
    "empty": (lambda place: place.put(BAD, b""), "is no JSON"),
    "no-json": (lambda place: place.put(BAD, b"<html>not found</html>"), "is no JSON"),
    "deep": (lambda place: place.put(BAD, b'{"a":' * 40_000), "is nested too deep"),
    "key-twice": (
        lambda place: place.put(BAD, place.attested(BAD)[:-1] + b',"mediaType":"x"}'),
        "a key stands twice",
    ),
    "certificate": (
        lambda place: place.put(BAD, place.attested(BAD).replace(b'"publicKey"', b'"certificate"')),
        "by a certificate, not by a key",
    ),
    "stranger": (lambda place: place.spoil(BAD, by="stranger"), "it is by no trusted key"),
    "truncated": (lambda place: place.put(BAD, place.attested(BAD)[:-40]), "is no JSON"),
    "other-payload": (
        lambda place: place.put(BAD, spliced(place.attested(BAD), place.attested(good("6.6.7")))),
        "does not fit: what was signed, or the signature, was changed",
    ),
    "other-archive": (lambda place: place.put(BAD, place.attested(good("6.6.7"))), "has signed sha256:"),
    "other-bundle": (lambda place: place.spoil(BAD, name="large"), "as `large`, and its `bundle.yaml` says `small`"),
    "other-version": (lambda place: place.spoil(BAD, version="7.0.0"), "as `7.0.0`, and its `bundle.yaml` says"),
    "no-version": (lambda place: place.spoil(BAD, version="latest"), "is no semantic version"),
    "not-yet": (lambda place: place.spoil(BAD, issued=at(days=1)), "which is yet to come"),
    "expired": (lambda place: place.spoil(BAD, issued=at(days=-2), expires=at(days=-1)), "was good until"),
    "digest-alone": (
        lambda place: place.put(BAD, digest_attestation(data=archive(BAD))),
        "says neither which bundle it is nor until when",
    ),
}
REPOSITORIES: dict[str, tuple[Callable[[SignedRepository], None], str]] = {
    "unsigned": (lambda place: place.commit(BAD, None), "neither the commit nor a tag has one"),
    "stranger": (lambda place: place.commit(BAD, place.stranger), "which is not among the allowed signers"),
    "changed": (lambda place: place.changed(BAD, ("A change", "Another one")), "and does not fit"),
    "no-ssh": (
        lambda place: place.changed(BAD, ("BEGIN SSH SIGNATURE", "BEGIN SSH"), ("END SSH SIGNATURE", "END SSH")),
        "it is no SSH signature",
    ),
    "gpg": (
        lambda place: place.changed(
            BAD, ("BEGIN SSH SIGNATURE", "BEGIN PGP SIGNATURE"), ("END SSH SIGNATURE", "END PGP SIGNATURE")
        ),
        "signatures by GPG are not supported",
    ),
    "tomorrow": (lambda place: place.changed(BAD, ("1767225600", "9767225600")), "and does not fit"),
}


def spliced(attestation: bytes, other: bytes) -> bytes:
    """One attestation with the payload of another."""
    whole, theirs = json.loads(attestation), json.loads(other)
    whole["dsseEnvelope"]["payload"] = theirs["dsseEnvelope"]["payload"]
    return json.dumps(whole).encode()


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_bad_signatures_of_archives(tmp_path: Path, name: str, first: bool) -> None:
    place = SignedArchive(tmp_path)
    spoil, words = ARCHIVES[name]
    withstands(place, lambda: spoil(place), "signature", words, first=first, demands=place.demands)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", REPOSITORIES)
def test_bad_signatures_of_commits(tmp_path: Path, name: str, first: bool) -> None:
    place = SignedRepository(tmp_path)
    spoil, words = REPOSITORIES[name]
    withstands(place, lambda: spoil(place), "signature", words, first=first, demands=place.demands)


@pytest.mark.parametrize("make", [SignedArchive, SignedRepository])
def test_an_older_version_is_refused_once_a_newer_one_was_seen(
    tmp_path: Path, make: type[SignedArchive] | type[SignedRepository]
) -> None:
    place: SignedArchive | SignedRepository = make(tmp_path)
    serving = Serving(place.source, place.demands)
    for version, expected in (("1.1.0", "1.1.0"), ("1.0.0", "1.1.0"), ("1.1.1", "1.1.1"), ("1.1.0", "1.1.1")):
        place.publish(good(version))
        status = serving.ask()
        assert serving.version == expected
        if version != expected:
            assert status.step == "signature"
            assert f"{version} is older than {expected}, which was seen before" in status.message


def test_a_source_that_is_moved_back_to_what_was_rolled_back_to_is_sound(tmp_path: Path) -> None:
    """It serves already: a version that is older than the newest one seen is no return to it."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        place.publish(good(number))
        assert serving.ask().step == ""
    serving.follower.rollback()
    place.publish(good("1.1.0"))
    assert (serving.ask().step, serving.version, len(serving.taken)) == ("", "1.1.0", 4)
    place.publish(good("1.0.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.1.0")
    place.spoil(good("1.1.0"), issued=at(days=-2), expires=at(days=-1))
    assert "was good until" in serving.ask().message


def test_keys_that_get_lost_stop_what_is_new_and_nothing_else(tmp_path: Path) -> None:
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.publish(good("1.0.0"))
    assert serving.ask().step == ""
    trusted = (place.keys / "release.pub").read_bytes()
    (place.keys / "release.pub").unlink()
    assert (serving.ask().step, serving.version) == ("", "1.0.0")
    place.publish(good("1.1.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.0.0")
    (place.keys / "release.pub").write_bytes(trusted)
    assert (serving.ask().step, serving.version) == ("", "1.1.0")


def test_what_expires_while_it_is_active_stays_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing new comes: perhaps there is nothing, perhaps somebody on the way sees to it."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.spoil(good("1.0.0"), expires=at(hours=1))
    assert serving.ask().step == ""
    now = time.time()
    monkeypatch.setattr("delivery.follower.time.time", lambda: now + 3_700)
    status = serving.ask()
    assert (status.step, serving.version) == ("signature", "1.0.0")
    assert now < status.expires < now + 3_700
    assert status.as_json()["expires"].endswith("+00:00")
    assert "has nothing newer: sign it anew, or look whether updates are held back" in status.message
    assert serving.failures("signature") == 0, "nothing failed: it is only told"
    place.spoil(good("1.0.0"), expires=at(days=1))
    assert (serving.ask().step, serving.version) == ("", "1.0.0")


def test_keys_rotate_while_it_runs(tmp_path: Path) -> None:
    """As the page says: both keys, then signed by the new one, then the old one is taken away."""
    place = SignedArchive(tmp_path)
    serving = Serving(place.source, place.demands)
    place.publish(good("1.0.0"))
    assert serving.ask().step == ""
    (place.keys / "new.pub").write_bytes(public_pem(key("ed25519", "new.pub").key))
    place.spoil(good("1.0.0"), by="new.pub")
    assert serving.ask().step == ""
    (place.keys / "release.pub").unlink()
    place.spoil(good("1.1.0"), by="new.pub")
    assert (serving.ask().step, serving.version) == ("", "1.1.0")
    place.publish(good("1.2.0"))
    assert (serving.ask().step, serving.version) == ("signature", "1.1.0")
