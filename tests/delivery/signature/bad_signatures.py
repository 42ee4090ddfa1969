"""Places of bundles that somebody has signed, and what can be wrong with that."""

from __future__ import annotations

import datetime
import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from delivery.archive import ArchiveSource
from delivery.content import Source
from delivery.git import GitSource
from delivery.signature.envelope import attestation_of
from delivery.signature.statement import Statement
from delivery.sources import read_address
from delivery.transaction import Demands
from delivery.trusted import Trusted
from tests.delivery.bad_bundles import archive_of, good
from tests.delivery.git_servers import Repository

from .made import digest_attestation, key, public_pem, ssh_key, ssh_public


class Attested:
    """A place of archives and what is attested about them; the keys `release` and `p256` are trusted."""

    source: Source

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys"
        self.keys.mkdir()
        (self.keys / "release.pub").write_bytes(public_pem(key("ed25519").key))
        (self.keys / "p256.pub").write_bytes(public_pem(key("p256").key))
        self.demands = Demands(Trusted(keys=(str(self.keys),), name="small").vouch)

    @abstractmethod
    def put(self, files: Mapping[str, bytes], attestation: bytes | None) -> None:
        """Have the archive of these files be there, and this attestation or none."""

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.put(files, self.attested(files))

    def attested(self, files: Mapping[str, bytes], by: str = "release.pub", **changed: Any) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        usual = {"name": "small", "version": version(files), "revision": "", "issued": now, "expires": None}
        digest = hashlib.sha256(archive_of(files)).hexdigest()
        statement = Statement(**{"archive": digest, **usual, **changed})
        return attestation_of(statement.payload("bundle.tar.gz"), key("ed25519", by))

    def spoil(self, files: Mapping[str, bytes], **changed: Any) -> None:
        self.put(files, self.attested(files, **changed))


class SignedArchive(Attested):
    """An archive and its attestation in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "bundle.tar.gz"
        self.beside = folder / "bundle.tar.gz.sigstore.json"
        self.source = ArchiveSource(self.path)

    def put(self, files: Mapping[str, bytes], attestation: bytes | None) -> None:
        self.path.write_bytes(archive_of(files))
        self.beside.unlink(missing_ok=True)
        if attestation is not None:
            self.beside.write_bytes(attestation)


class SignedRepository:
    """A repository whose commits are signed."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository(folder / "served")
        self.key, self.stranger = ssh_key(folder), ssh_key(folder, "ecdsa")
        self.former = ssh_key(folder, "ecdsa", "-b", "521")
        self.allowed = folder / "allowed_signers"
        self.allowed.write_text(f'me {ssh_public(self.key)}\nme valid-before="20251231" {ssh_public(self.former)}\n')
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


def version(files: Mapping[str, bytes]) -> str:
    return files["bundle.yaml"].decode().partition("version: ")[2].partition(",")[0]


def at(**shift: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**shift)


BAD = good("6.6.6")
LARGE = {**BAD, "bundle.yaml": BAD["bundle.yaml"].replace(b"small", b"large")}
ARCHIVES: dict[str, tuple[Callable[[Attested], None], str]] = {
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
    "other-name": (
        lambda place: place.spoil(LARGE, name="large"),
        "the bundle is `large`, and `small` is to be served from here",
    ),
    "other-version": (lambda place: place.spoil(BAD, version="7.0.0"), "as `7.0.0`, and its `bundle.yaml` says"),
    "no-version": (lambda place: place.spoil(BAD, version="latest"), "is no semantic version"),
    "not-yet": (lambda place: place.spoil(BAD, issued=at(days=1)), "which is yet to come"),
    "expired": (lambda place: place.spoil(BAD, issued=at(days=-2), expires=at(days=-1)), "was good until"),
    "digest-alone": (
        lambda place: place.put(BAD, digest_attestation(data=archive_of(BAD))),
        "says neither which bundle it is nor until when",
    ),
}
REPOSITORIES: dict[str, tuple[Callable[[SignedRepository], None], str]] = {
    "unsigned": (lambda place: place.commit(BAD, None), "neither the commit nor a tag has one"),
    "stranger": (lambda place: place.commit(BAD, place.stranger), "which is not among the allowed signers"),
    "expired": (lambda place: place.commit(BAD, place.former), "until 2025-12-31 00:00 UTC"),
    "other-name": (
        lambda place: place.commit(LARGE, place.key),
        "the bundle is `large`, and `small` is to be served from here",
    ),
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
