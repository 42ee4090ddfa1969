"""The table of what is let by, in full, and what is wrong with what is not; docs/bundles.md shows the same table."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.content import Content, SignedObject
from delivery.signature.allowed_signers import Signer, allowed_signers
from delivery.signature.envelope import attestation_of
from delivery.signature.errors import SignatureError
from delivery.signature.statement import SIGNING, STATEMENT
from delivery.signature.trust import Trust, Verified
from delivery.signature.verify import MAX_SIGNATURES, verified
from engine.struct import replace

from .made import (
    ARCHIVE,
    DAY,
    DIGEST,
    KINDS,
    NOW,
    archived,
    attestation,
    digest_attestation,
    key,
    public,
    ssh_key,
    ssh_public,
)
from .test_sshsig import signed

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHO = b"A <a@b> 1795766400 +0000"
PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor %b\ncommitter %b\n\nwords\n" % (WHO, WHO)
"""A commit of NOW."""


class Ways(NamedTuple):
    """What a source of one kind gives, by what speaks for it."""

    unsigned: Content
    by_a_stranger: Content
    good: Content
    wrong: Content


class World(NamedTuple):
    archive: Ways
    objects: Ways
    folder: Ways
    signers: tuple[Signer, ...]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("keys")
    mine, strange = ssh_key(folder), ssh_key(folder, "rsa", "-b", "2048")
    signers = tuple(
        one for one in allowed_signers(f"me {ssh_public(mine)}".encode(), "allowed") if isinstance(one, Signer)
    )
    archive = Ways(
        archived(),
        archived(attestation(name="stranger")),
        archived(attestation()),
        archived(attestation(expires=NOW - DAY)),
    )
    good = signed(mine, PAYLOAD)
    objects = Ways(
        repository(b""),
        repository(signed(strange, PAYLOAD)),
        repository(good),
        repository(good, PAYLOAD.replace(b"words", b"other")),
    )
    plain = Content("fingerprint", "./gpu", {})
    return World(archive, objects, Ways(plain, plain, plain, plain), signers)


def repository(signature: bytes, payload: bytes = PAYLOAD) -> Content:
    """What a repository gives whose commit has this signature."""
    objects = (SignedObject(f"commit {COMMIT}", payload, signature),) if signature else ()
    return Content(COMMIT, "git+https://example.com/policies.git", {}, objects=objects)


def outcome(content: Content, trust: Trust, seen: str = "") -> str:
    """What becomes of a bundle: `verified`, `unverified`, or the fault."""
    try:
        found = verified(content, "gpu", "1.2.0", trust, seen, NOW)
    except SignatureError as error:
        return error.fault
    assert (found.by == "") == (found.kind == "none") == (found.version == "")
    return "unverified" if found.kind == "none" else "verified"


PAGE = Path(__file__).parents[3] / "docs" / "bundles.md"
SPEAKS = ["unsigned", "signed by a stranger", "signed, all of it right", "signed, something is wrong"]
ROWS = re.findall(rf"^\| (archive|objects|folder) \| ({'|'.join(SPEAKS)}) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
REQUIRED = [False, None, True]
COLUMNS = [(0, 0, 1), (2, 3, 3), (4, 5, 5)]
"""Columns of the page: nobody is trusted, nobody for this kind of source, somebody; each by what is required."""
CELLS = [
    (source, speaks, trusted, required, row.split(" | ")[COLUMNS[trusted][at]])
    for source, speaks, row in ROWS
    for trusted in range(3)
    for at, required in enumerate(REQUIRED)
]


@pytest.mark.parametrize(("source", "speaks", "trusted", "required", "expected"), CELLS)
def test_the_table(world: World, source: str, speaks: str, trusted: int, required: bool | None, expected: str) -> None:
    content: Content = getattr(world, source)[SPEAKS.index(speaks)]
    keys, signers = (public("ed25519"),), world.signers
    if trusted == 0:
        trust = Trust(required=required)
    elif trusted == 1:
        trust = Trust(None, signers, required) if source == "archive" else Trust(keys, None, required)
    else:
        trust = Trust(keys, signers, required)
    found = outcome(content, trust)
    assert {"verified": "verify", "unverified": "serve"}.get(found, "refuse") == expected, found


def test_the_table_is_complete() -> None:
    assert len(CELLS) == len({cell[:4] for cell in CELLS}) == 9 * 9


@pytest.mark.parametrize("source", ["archive", "objects"])
@pytest.mark.parametrize("required", REQUIRED)
def test_a_configuration_that_names_nobody_is_one(world: World, source: str, required: bool | None) -> None:
    """An empty folder of keys is not the same as none: a Secret that got lost must not open the door."""
    content = getattr(world, source).good
    assert outcome(content, Trust((), (), required)) == ("unverified" if required is False else "unknown-key")


def by_bytes() -> bytes:
    """As cosign signs by Ed25519."""
    whole = json.loads(digest_attestation("ed25519"))
    whole["messageSignature"]["messageDigest"] = {}
    return json.dumps(whole).encode()


FAULTS = [
    ("unsigned", archived(), {}, "signature: the archive has none; sign this archive with `bayplan sign`"),
    ("unreadable", archived(b"{}"), {}, "signature: `mediaType` is missing"),
    (
        "unknown-key",
        archived(attestation(name="stranger")),
        {},
        "signature: it is by no trusted key (release.pub (SHA256:",
    ),
    ("unknown-key", archived(attestation("p384")), {}, "signature: it is by no trusted key"),
    ("wrong-digest", archived(attestation(archive="0" * 64)), {}, "subject.digest.sha256: release.pub (SHA256:"),
    (
        "wrong-digest",
        archived(attestation(), digest="0" * 64),
        {},
        f"has signed sha256:{DIGEST}, and the archive is sha256:00",
    ),
    ("wrong-name", archived(attestation()), {"name": "spot"}, "predicate.bundle.name: release.pub (SHA256:"),
    ("wrong-name", archived(attestation(bundle="spot")), {}, "as `spot`, and its `bundle.yaml` says `gpu`"),
    ("wrong-version", archived(attestation(version="1.3.0")), {}, "as `1.3.0`, and its `bundle.yaml` says `1.2.0`"),
    (
        "not-yet-valid",
        archived(attestation(issued=NOW + DAY, expires=None)),
        {},
        "predicate.issued: release.pub (SHA256:",
    ),
    ("expired", archived(attestation(expires=NOW)), {}, "was good until 2026-11-27 08:00 UTC; sign the archive anew"),
    (
        "older",
        archived(attestation()),
        {"seen": "1.10.0"},
        "version: 1.2.0 is older than 1.10.0, which was seen before",
    ),
    ("no-statement", archived(digest_attestation()), {}, "says neither which bundle it is nor until when"),
    ("wrong-digest", archived(digest_attestation(data=b"other")), {}, "messageSignature.messageDigest: release.pub"),
    ("unsupported", archived(digest_attestation(algorithm="SHA2_384")), {}, "of the kind `SHA2_384`"),
    ("unknown-key", archived(digest_attestation("p384")), {}, "by no trusted key"),
    ("unsupported", archived(digest_attestation("ed25519")), {}, "of a kind that signs no digests"),
    ("unsupported", archived(by_bytes()), {}, "of a kind that signs no digests"),
]
BOTH = Trust((public("ed25519"), public("p256")))


@pytest.mark.parametrize(("fault", "content", "given", "words"), FAULTS)
def test_what_is_wrong_is_told_with_its_field_and_what_to_do(
    fault: str, content: Content, given: dict[str, str], words: str
) -> None:
    with pytest.raises(SignatureError) as error:
        verified(content, given.get("name", "gpu"), "1.2.0", BOTH, given.get("seen", ""), NOW)
    assert (error.value.step, error.value.fault) == ("signature", fault)
    assert words in str(error.value)
    assert str(error.value) == f"{error.value.field}: {error.value.reason}; {error.value.remedy}"


def test_what_is_verified_says_by_whom_and_until_when() -> None:
    found = verified(archived(attestation()), "gpu", "1.2.0", BOTH, "1.2.0", NOW)
    by = str(public("ed25519"))
    assert found == Verified(
        "statement", f"gpu 1.2.0 is signed by {by}, good until 2026-11-28 08:00 UTC", by, "1.2.0", NOW + DAY
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_verifies(kind: str) -> None:
    assert outcome(archived(attestation(kind)), Trust((public(kind),))) == "verified"


def test_while_keys_rotate_either_is_good() -> None:
    """The old key, then both, then the new one: what was signed by both is good all along."""
    old, new = public("ed25519", "2025.pub"), public("p256", "2026.pub")
    by_old, by_new = attestation("ed25519", "2025.pub"), attestation("p256", "2026.pub")
    for keys in ((old,), (old, new), (new,)):
        assert outcome(archived(by_old, by_new), Trust(keys)) == "verified"
        assert outcome(archived(by_new, by_old), Trust(keys)) == "verified"
    assert outcome(archived(by_new), Trust((old,))) == "unknown-key"
    assert outcome(archived(by_old), Trust((new,))) == "unknown-key"


def test_one_good_signature_among_others_is_enough() -> None:
    others = (
        b"{}",
        attestation(name="stranger"),
        attestation(expires=NOW),
        digest_attestation(),
        attestation(archive="0" * 64),
    )
    assert outcome(archived(*others, attestation()), BOTH) == "verified"
    assert outcome(archived(*others), BOTH) == "expired", "the one that is nearest to being right is told"


def test_one_good_signature_in_an_envelope_is_enough() -> None:
    whole = json.loads(attestation())
    (good,) = whole["dsseEnvelope"]["signatures"]
    stranger = json.loads(attestation(name="stranger"))["dsseEnvelope"]["signatures"]
    whole["dsseEnvelope"]["signatures"] = [*stranger, {"sig": "AA=="}, good, *stranger]
    assert outcome(archived(json.dumps(whole).encode()), BOTH) == "verified"
    whole["dsseEnvelope"]["signatures"] = [*stranger, {"sig": "AA=="}]
    assert outcome(archived(json.dumps(whole).encode()), BOTH) == "damaged"


def test_of_many_keys_a_few_are_named() -> None:
    keys = tuple(public("ed25519", f"{number}.pub") for number in range(5))
    with pytest.raises(SignatureError, match=r"by no trusted key \(0\.pub .*, 2\.pub \(SHA256:[^ ]*\) and 2 more\)"):
        verified(archived(attestation()), "gpu", "1.2.0", Trust(keys), "", NOW)


def test_no_more_signatures_are_looked_at_than_the_limit() -> None:
    assert outcome(archived(*[b"{}"] * (MAX_SIGNATURES - 1), attestation()), BOTH) == "verified"
    assert outcome(archived(*[b"{}"] * MAX_SIGNATURES, attestation()), BOTH) == "unreadable"


@pytest.mark.parametrize("hint", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hint_at_another_key_chooses_no_algorithm(kind: str, hint: str) -> None:
    """Each key checks by its own algorithm alone; a signature that names the wrong key is damaged."""
    whole = json.loads(attestation(kind))
    whole["verificationMaterial"]["publicKey"]["hint"] = public(hint).hint
    whole["dsseEnvelope"]["signatures"][0]["keyid"] = public(hint).hint
    found = outcome(archived(json.dumps(whole).encode()), Trust(tuple(map(public, KINDS))))
    assert found == ("verified" if kind == hint else "damaged")


@pytest.mark.parametrize("hint", ["", "unknown", None])
def test_a_hint_that_says_nothing_is_none(hint: str | None) -> None:
    whole = json.loads(attestation("p256"))
    whole["verificationMaterial"]["publicKey"] = {} if hint is None else {"hint": hint}
    whole["dsseEnvelope"]["signatures"][0].pop("keyid", None)
    assert outcome(archived(json.dumps(whole).encode()), BOTH) == "verified"


def test_a_signature_of_the_archive_alone_is_taken_where_that_is_allowed() -> None:
    allowed = replace(BOTH, allow_digest=True)
    found = verified(archived(digest_attestation()), "gpu", "1.2.0", allowed, "1.1.0", NOW)
    assert (found.kind, found.version, found.expires) == ("digest", "1.2.0", None)
    assert outcome(archived(digest_attestation()), allowed, seen="1.3.0") == "older"
    assert outcome(archived(digest_attestation(), digest="0" * 64), allowed) == "wrong-digest"
    with pytest.raises(SignatureError, match="of a kind that signs no digests") as error:
        verified(archived(digest_attestation("ed25519")), "gpu", "1.2.0", allowed, "", NOW)
    assert error.value.fault == "unsupported"


def test_one_bundle_is_not_served_as_another() -> None:
    """Both are signed by the same key; where a source is for one of them, the other is refused, signed or not."""
    spot = replace(BOTH, name="spot")
    for content, trust in ((archived(attestation()), spot), (archived(), Trust(name="spot"))):
        with pytest.raises(SignatureError, match=r"the bundle is `gpu`, and `spot` is to be served from here") as error:
            verified(content, "gpu", "1.2.0", trust, "", NOW)
        assert error.value.fault == "wrong-name"
    with pytest.raises(SignatureError, match=r"as `gpu`, and its `bundle\.yaml` says `spot`"):
        verified(archived(attestation()), "spot", "1.2.0", spot, "", NOW)


@pytest.mark.parametrize(
    ("seen", "allow_older", "expected"),
    [
        ("", False, "verified"),
        ("1.2.0", False, "verified"),
        ("1.1.9", False, "verified"),
        ("1.2.0-rc.1", False, "verified"),
        ("1.2.1-rc.1", False, "older"),
        ("1.10.0", False, "older"),
        ("1.10.0", True, "verified"),
    ],
)
def test_versions_only_grow(seen: str, allow_older: bool, expected: str) -> None:
    assert outcome(archived(attestation()), replace(BOTH, allow_older=allow_older), seen) == expected


def test_clocks_may_differ_by_a_little() -> None:
    assert outcome(archived(attestation(issued=NOW + DAY / 1440)), BOTH) == "verified"
    assert outcome(archived(attestation(issued=NOW + DAY / 24)), BOTH) == "not-yet-valid"


def test_keys_that_cant_be_read_are_told_where_they_may_be_the_cause() -> None:
    trust = Trust((), None, problems=("old.pub: holds no PEM", "b", "c"))
    with pytest.raises(SignatureError, match=r"can be read: old\.pub: holds no PEM; and 2 more"):
        verified(archived(attestation()), "gpu", "1.2.0", trust, "", NOW)


def test_what_is_not_verified_says_why() -> None:
    for content, trust, words in (
        (archived(attestation()), Trust(), "gpu 1.2.0 is signed, which was not verified: nobody is trusted"),
        (archived(), Trust(), "gpu 1.2.0 is not signed"),
        (
            archived(),
            replace(BOTH, required=False),
            "gpu 1.2.0 is not verified, which is not required: signature:",
        ),
    ):
        assert verified(content, "gpu", "1.2.0", trust, "9.0.0", NOW).words.startswith(words)


@given(st.data())
def test_whatever_byte_is_changed_nothing_else_is_let_by(data: st.DataObject) -> None:
    """Of the attestation or of the archive: refused, or the same statement is verified of the same archive."""
    whole = attestation("ed25519")
    at, flip = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    content = archived(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
    try:
        found = verified(content, "gpu", "1.2.0", BOTH, "", NOW)
    except SignatureError:
        pass
    else:
        assert found == verified(archived(whole), "gpu", "1.2.0", BOTH, "", NOW)
    at = data.draw(st.integers(0, len(ARCHIVE) - 1))
    other = ARCHIVE[:at] + bytes([ARCHIVE[at] ^ flip]) + ARCHIVE[at + 1 :]
    assert outcome(archived(whole, digest=hashlib.sha256(other).hexdigest()), BOTH) == "wrong-digest"


MANIFEST = "12" * 32
IN_REGISTRY = replace(archived(attestation(archive=MANIFEST)), manifest=MANIFEST)
"""A statement about the manifest alone, as `cosign attest` makes it in a registry."""


def signing(digest: str) -> bytes:
    """What `cosign sign` makes in a registry."""
    subject = [{"name": "registry.example/gpu", "digest": {"sha256": digest}}]
    payload = {"_type": STATEMENT, "subject": subject, "predicateType": SIGNING, "predicate": {}}
    return attestation_of(json.dumps(payload).encode(), key("p256"))


def test_a_statement_about_the_manifest_is_about_the_archive() -> None:
    assert verified(IN_REGISTRY, "gpu", "1.2.0", BOTH, "", NOW).kind == "statement"
    assert outcome(replace(IN_REGISTRY, manifest="34" * 32), BOTH) == "wrong-digest"
    assert outcome(replace(IN_REGISTRY, manifest=""), BOTH) == "wrong-digest"
    both = archived(attestation(more=(MANIFEST,)))
    for manifest in ("", MANIFEST, "34" * 32):
        assert verified(replace(both, manifest=manifest), "gpu", "1.2.0", BOTH, "", NOW)


def test_what_cosign_signs_in_a_registry_counts_where_digests_do() -> None:
    content = replace(archived(signing(MANIFEST)), manifest=MANIFEST)
    assert outcome(content, BOTH) == "no-statement"
    allowed = replace(BOTH, allow_digest=True)
    found = verified(content, "gpu", "1.2.0", allowed, "1.1.0", NOW)
    assert (found.kind, found.version) == ("digest", "1.2.0")
    assert outcome(content, allowed, seen="1.3.0") == "older"
    assert outcome(replace(content, manifest="34" * 32), allowed) == "wrong-digest"
    assert outcome(replace(content, manifest=""), allowed) == "wrong-digest"
    stranger = attestation_of(b"{}", key("p256", "stranger"))
    assert outcome(replace(archived(stranger), manifest=MANIFEST), allowed) == "unknown-key"
