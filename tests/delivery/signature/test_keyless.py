"""Signatures by identities, as real programs of sigstore made them: what is taken, and what is refused as what.

`recorded/` was written by `record.py`; nothing here asks anybody. `test_instance.py` does the same live, nightly.
"""

from __future__ import annotations

import base64
import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.signature.errors import SignatureError
from delivery.signature.keyless import KeylessError, Signing, signed_by_identity
from delivery.signature.trust import Root, Trust, Verified
from delivery.signature.trust_files import MAX_ROOTS, read_trust
from delivery.signature.verify import verified
from engine.struct import replace

from .made import DAY, NOW, archived, attestation, digest_attestation, public
from .recordings import ISSUER, RECORDED, SUBJECT, TAGS, changed, recorded, root, trust
from .test_verify import CELLS, SPEAKS

WHO = f"{SUBJECT} ({ISSUER})"
ROOT = Path(__file__).parents[3]
Whole = dict[str, Any]


def judge(data: bytes, whom: Trust, name: str = "gpu", version: str = "1.2.0", **more: Any) -> Verified:
    given: Whole = {"seen": "", "now": NOW} | more
    return verified(archived(data), name, version, whom, given["seen"], given["now"])


def fault(data: bytes, whom: Trust, **more: Any) -> tuple[str, str]:
    """What is wrong, and the sentence."""
    with pytest.raises(SignatureError) as error:
        judge(data, whom, **more)
    return error.value.fault, str(error.value)


@pytest.mark.parametrize("subject", [SUBJECT, TAGS])
@pytest.mark.parametrize("name", ["statement", "promised", "cosigned"])
def test_whom_it_is_by_is_told(name: str, subject: str) -> None:
    found = judge(recorded(name), trust(subject), seen="1.2.0")
    words = f"gpu 1.2.0 is signed by {WHO}, good until 2026-11-28 08:00 UTC"
    assert found == Verified("statement", words, WHO, "1.2.0", NOW + DAY)


def test_a_certificate_counts_for_when_it_was_used() -> None:
    """They are good for ten minutes; what was signed is good until it expires by its own word, or for ever."""
    assert judge(recorded("statement"), trust(), now=NOW + DAY * 0.99)
    allowed = trust(allow_digest=True)
    assert judge(recorded("cosigned_digest"), allowed, now=NOW + 10_000 * DAY).kind == "digest"


FORGED = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("whom", "words"),
    [
        (trust(issuer=FORGED), f"it is by {WHO}, who is not trusted; sign this archive with an identity that is"),
        (trust(issuer=f"{ISSUER}/"), "who is not trusted"),
        (trust(issuer=ISSUER[:-1]), "who is not trusted"),
        (trust(SUBJECT[:-1]), "who is not trusted"),
        (trust(SUBJECT[1:]), "who is not trusted"),
        (trust(f"{SUBJECT}.0"), "who is not trusted"),
        (trust(SUBJECT.replace("acme", "acm")), "who is not trusted"),
        (trust(TAGS.replace("tags", "heads")), "who is not trusted"),
        (trust(TAGS.replace("v*", "*v")), "who is not trusted"),
        (
            trust(TAGS, ISSUER, root(name="other_root")),
            "other_root.json does not vouch for its certificate: not enough sources of verified time",
        ),
        (replace(trust(), roots=()), "there are no identities, or no trusted root, to hold it against"),
        (replace(trust(), identities=()), "there are no identities, or no trusted root, to hold it against"),
        (Trust((public("p256"),)), "it is by a certificate, not by a key, and no identities are trusted"),
    ],
)
def test_who_is_not_trusted_is_nobody(whom: Trust, words: str) -> None:
    kind, told = fault(recorded("statement"), whom)
    assert kind == "unknown-identity"
    assert words in told
    assert judge(recorded("statement"), replace(whom, required=False)).kind == "none"


def test_a_branch_does_not_pass_for_a_tag() -> None:
    """`release.yml@refs/heads/x@refs/tags/v1.2.0` ends as it would for a tag."""
    for pattern in (TAGS, TAGS.replace("release.yml", "*"), TAGS.replace("release.yml@refs", "*")):
        assert fault(recorded("branch"), trust(pattern))[0] == "unknown-identity"
    assert judge(recorded("branch"), trust(TAGS.replace("@", "@refs/heads/x@")))


def envelope(whole: Whole) -> Whole:
    found: Whole = whole["dsseEnvelope"]
    return found


def material(whole: Whole) -> Whole:
    found: Whole = whole["verificationMaterial"]
    return found


def entry(whole: Whole) -> Whole:
    found: Whole = material(whole)["tlogEntries"][0]
    return found


def checkpoint(whole: Whole) -> Whole:
    found: Whole = entry(whole)["inclusionProof"]["checkpoint"]
    return found


def another(text: str) -> str:
    """Base64 of the same bytes, one of them changed."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def statement_of(**said: str) -> Callable[[Whole], None]:
    def change(whole: Whole) -> None:
        payload = json.loads(base64.b64decode(envelope(whole)["payload"]))
        payload["predicate"]["bundle"] |= said
        envelope(whole)["payload"] = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()

    return change


def stamps(whole: Whole) -> list[Whole]:
    found: list[Whole] = material(whole)["timestampVerificationData"]["rfc3161Timestamps"]
    return found


OTHER = json.loads(recorded("branch"))
CHANGES: list[tuple[str, str, str, Callable[[Whole], object]]] = [
    ("another payload", "damaged", "DSSE: invalid signature", statement_of(version="1.2.1")),
    (
        "another type of payload",
        "damaged",
        "DSSE: invalid signature",
        lambda whole: envelope(whole).update(payloadType="text/plain"),
    ),
    (
        "another signature",
        "unknown-identity",
        "not enough sources of verified time",
        lambda whole: envelope(whole).update(signatures=envelope(OTHER)["signatures"]),
    ),
    (
        "two signatures",
        "unknown-identity",
        "exactly one signature",
        lambda whole: envelope(whole)["signatures"].extend(envelope(OTHER)["signatures"]),
    ),
    (
        "another's envelope",
        "unknown-identity",
        "not enough sources of verified time",
        lambda whole: whole.update(dsseEnvelope=envelope(OTHER)),
    ),
    (
        "another's certificate",
        "unknown-identity",
        "who is not trusted",
        lambda whole: material(whole).update(certificate=material(OTHER)["certificate"]),
    ),
    (
        "a certificate that was changed",
        "unreadable",
        "error parsing asn1 value",
        lambda whole: material(whole)["certificate"].update(
            rawBytes=another(material(whole)["certificate"]["rawBytes"])
        ),
    ),
    ("no certificate", "unreadable", "certificate", lambda whole: material(whole).update(certificate={})),
    (
        "not in a log",
        "unreadable",
        "expected exactly one log entry",
        lambda whole: material(whole).update(tlogEntries=[]),
    ),
    (
        "in a log by no word",
        "unreadable",
        "tlogEntries Field required;",
        lambda whole: material(whole).pop("tlogEntries"),
    ),
    (
        "in two logs",
        "unreadable",
        "expected exactly one log entry",
        lambda whole: material(whole).update(tlogEntries=[entry(whole), entry(whole)]),
    ),
    (
        "another's log entry",
        "damaged",
        "transparency log entry is inconsistent",
        lambda whole: material(whole).update(tlogEntries=material(OTHER)["tlogEntries"]),
    ),
    (
        "no proof of inclusion",
        "unreadable",
        "inclusionProof Field required;",
        lambda whole: entry(whole).pop("inclusionProof"),
    ),
    (
        "no checkpoint",
        "unreadable",
        "checkpoint",
        lambda whole: entry(whole)["inclusionProof"].pop("checkpoint"),
    ),
    (
        "another root of the log",
        "damaged",
        "invalid log entry",
        lambda whole: entry(whole)["inclusionProof"].update(rootHash=entry(OTHER)["inclusionProof"]["rootHash"]),
    ),
    (
        "another's checkpoint",
        "damaged",
        "invalid log entry",
        lambda whole: entry(whole)["inclusionProof"].update(checkpoint=entry(OTHER)["inclusionProof"]["checkpoint"]),
    ),
    (
        "a checkpoint that nobody signed",
        "damaged",
        "invalid log entry",
        lambda whole: checkpoint(whole).update(envelope=checkpoint(whole)["envelope"].replace("\n2\n", "\n3\n")),
    ),
    (
        "no time",
        "unreadable",
        "must contain an inclusion promise or signed timestamp(s)",
        lambda whole: material(whole).pop("timestampVerificationData"),
    ),
    (
        "a time that nobody signed",
        "unreadable",
        "must contain an inclusion promise or signed timestamp(s)",
        lambda whole: (
            material(whole).pop("timestampVerificationData"),
            entry(whole).update(integratedTime="1795824000"),
        ),
    ),
    (
        "a promise of the log that it did not give",
        "unknown-identity",
        "Integrated time only supported",
        lambda whole: (
            material(whole).pop("timestampVerificationData"),
            entry(whole).update(integratedTime="1795824000", inclusionPromise={"signedEntryTimestamp": "AAAA"}),
        ),
    ),
    (
        "another's timestamp",
        "unknown-identity",
        "not enough sources of verified time",
        lambda whole: material(whole).update(timestampVerificationData=material(OTHER)["timestampVerificationData"]),
    ),
    (
        "a timestamp that was changed",
        "unknown-identity",
        "not enough sources of verified time",
        lambda whole: stamps(whole)[0].update(signedTimestamp=another(stamps(whole)[0]["signedTimestamp"])),
    ),
    ("a timestamp twice", "unknown-identity", "duplicate", lambda whole: stamps(whole).append(stamps(whole)[0])),
    ("a timestamp that is none", "unreadable", "", lambda whole: stamps(whole)[0].update(signedTimestamp="AAAA")),
    (
        "a chain of certificates",
        "unreadable",
        "",
        lambda whole: material(whole).update(
            x509CertificateChain={"certificates": [material(whole).pop("certificate")]}
        ),
    ),
    (
        "a key, too",
        "unreadable",
        "expected one of `publicKey` and `certificate`",
        lambda whole: material(whole).update(publicKey={"hint": public("p256").hint}),
    ),
    (
        "a key instead",
        "unknown-key",
        "it is by no trusted key (there are none)",
        lambda whole: (material(whole).pop("certificate"), material(whole).update(publicKey={"hint": "x"})),
    ),
]


@pytest.mark.parametrize(("kind", "words", "change"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_what_was_changed_is_refused(kind: str, words: str, change: Callable[[Whole], object]) -> None:
    found, told = fault(changed("statement", change), trust())
    assert (found, words in told) == (kind, True), told
    assert "\n" not in told
    assert len(told) < 700


PROMISED: list[tuple[str, str, str, Callable[[Whole], object]]] = [
    (
        "another second",
        "damaged",
        "SET: invalid inclusion promise",
        lambda whole: entry(whole).update(integratedTime=str(int(entry(whole)["integratedTime"]) + 1)),
    ),
    (
        "another year",
        "unknown-identity",
        "cert is not valid at validation time",
        lambda whole: entry(whole).update(integratedTime=str(int(entry(whole)["integratedTime"]) + 31_536_000)),
    ),
    (
        "no time",
        "unknown-identity",
        "not enough sources of verified time",
        lambda whole: entry(whole).pop("integratedTime"),
    ),
    ("a time that is none", "unreadable", "", lambda whole: entry(whole).update(integratedTime="soon")),
    ("a time far away", "unreadable", "", lambda whole: entry(whole).update(integratedTime="9" * 30)),
    ("no promise", "unreadable", "inclusion promise", lambda whole: entry(whole).pop("inclusionPromise")),
    (
        "another promise",
        "damaged",
        "SET: invalid inclusion promise",
        lambda whole: entry(whole)["inclusionPromise"].update(
            signedEntryTimestamp=another(entry(whole)["inclusionPromise"]["signedEntryTimestamp"])
        ),
    ),
    ("another payload", "damaged", "DSSE: invalid signature", statement_of(version="1.2.1")),
    (
        "another's envelope",
        "damaged",
        "DSSE: invalid signature",
        lambda whole: whole.update(dsseEnvelope=envelope(OTHER)),
    ),
    (
        "a log that is not trusted",
        "damaged",
        "invalid log entry",
        lambda whole: entry(whole).update(logId=entry(OTHER)["logId"]),
    ),
]


@pytest.mark.parametrize(
    ("kind", "words", "change"), [case[1:] for case in PROMISED], ids=[case[0] for case in PROMISED]
)
def test_what_was_changed_of_an_older_log_is_refused(kind: str, words: str, change: Callable[[Whole], object]) -> None:
    found, told = fault(changed("promised", change), trust())
    assert (found, words in told) == (kind, True), told


def test_a_certificate_that_had_expired_when_it_was_used_is_refused() -> None:
    """Nothing else was changed than that the timestamp is eleven minutes younger."""
    kind, told = fault(recorded("late"), trust())
    assert (kind, "cert is not valid at validation time" in told) == ("unknown-identity", True), told


def test_a_certificate_fits_what_it_has_signed_alone() -> None:
    """That of somebody else who is trusted, too, beside the signature and the timestamp of the first."""
    taken = changed("statement", lambda whole: material(whole).update(certificate=material(OTHER)["certificate"]))
    kind, told = fault(taken, trust(TAGS.replace("@", "@refs/heads/x@")))
    assert (kind, "DSSE: invalid signature" in told) == ("damaged", True), told


def given_up(part: str, when: datetime.timedelta) -> Root:
    """A root in which an authority, or a log, was given up a while before or after it was used."""
    whole = json.loads(recorded("trusted_root"))
    for one in whole[part]:
        period = one["publicKey"]["validFor"] if "publicKey" in one else one["validFor"]
        begun = datetime.datetime.fromisoformat(period["start"])
        period["start"], period["end"] = (f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in (begun - DAY, begun + when))
    return Root("trusted_root.json", json.dumps(whole).encode())


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"])
def test_what_was_given_up_counts_for_what_was_before(part: str) -> None:
    """Roots begin an hour before they were recorded."""
    for name in ("statement", "promised"):
        assert judge(recorded(name), trust(TAGS, ISSUER, given_up(part, DAY)))
        if (name, part) != ("promised", "timestampAuthorities"):
            kind, _ = fault(recorded(name), trust(TAGS, ISSUER, given_up(part, DAY / 48)))
            assert kind in ("unknown-identity", "damaged")


@pytest.mark.parametrize("part", ["certificateAuthorities", "tlogs", "ctlogs", "timestampAuthorities"])
def test_a_root_with_something_left_out_vouches_for_nothing(part: str) -> None:
    listed: tuple[list[Whole], ...] = ([], json.loads(recorded("other_root"))[part])
    for there in listed:
        kind, _ = fault(recorded("statement"), trust(TAGS, ISSUER, root({part: there})))
        assert kind in ("unknown-identity", "damaged"), there


def test_several_roots_keys_and_identities_stand_side_by_side() -> None:
    others = trust("https://example.com/*", "https://example.com")
    both = trust(TAGS, ISSUER, root(name="other_root"), root(), keys=(public("ed25519"),))
    both = replace(both, identities=(*(others.identities or ()), *(both.identities or ())))
    assert judge(recorded("statement"), both).by == WHO
    assert judge(attestation(), both).by == str(public("ed25519"))
    for data in (attestation("p256"), digest_attestation(), b"{}"):
        for attestations in ((data, recorded("statement")), (recorded("statement"), data)):
            content = replace(archived(), attestations=attestations)
            assert verified(content, "gpu", "1.2.0", both, "", NOW).by == WHO
    assert fault(attestation("p256"), both)[0] == "unknown-key"
    assert fault(recorded("branch"), both)[0] == "unknown-identity"
    told = fault(recorded("branch"), both)[1]
    assert "refs/heads/x" in told, "what the root says that vouches for it, not what the other one does"


def test_a_signature_by_a_key_is_nobodys_where_identities_are_asked_for() -> None:
    kind, told = fault(attestation(), trust())
    assert (kind, "it is by no trusted key (there are none)" in told) == ("unknown-key", True)
    assert fault(archived().archive.encode(), trust())[0] == "unreadable"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"name": "spot"}, "wrong-name"),
        ({"version": "1.3.0"}, "wrong-version"),
        ({"now": NOW + DAY}, "expired"),
        ({"now": NOW - 2 * DAY}, "not-yet-valid"),
        ({"seen": "1.10.0"}, "older"),
    ],
)
@pytest.mark.parametrize("name", ["statement", "cosigned"])
def test_the_statement_is_held_against_the_bundle(name: str, given: dict[str, Any], kind: str) -> None:
    found, told = fault(recorded(name), trust(), **given)
    assert found == kind
    assert WHO in told or kind == "older"
    assert fault(recorded(name), trust(required=False), **given)[0] == kind, "who is trusted has signed something else"


def test_it_is_about_this_archive() -> None:
    content = archived(recorded("statement"), digest="0" * 64)
    with pytest.raises(SignatureError, match=r"has signed sha256:\w+, and the archive is sha256:0000") as error:
        verified(content, "gpu", "1.2.0", trust(), "", NOW)
    assert error.value.fault == "wrong-digest"


def test_a_signature_of_the_archive_alone_is_taken_where_that_is_allowed() -> None:
    data, allowed = recorded("cosigned_digest"), trust(allow_digest=True)
    assert fault(data, trust()) == ("no-statement", fault(data, trust())[1])
    found = judge(data, allowed)
    assert (found.kind, found.by, found.version) == ("digest", WHO, "1.2.0")
    assert fault(data, allowed, seen="1.3.0")[0] == "older"
    with pytest.raises(SignatureError) as error:
        verified(archived(data, digest="0" * 64), "gpu", "1.2.0", allowed, "", NOW)
    assert error.value.fault == "wrong-digest"
    assert fault(data, replace(allowed, roots=(root(name="other_root"),)))[0] == "unknown-identity"

    def other_digest(whole: Whole) -> None:
        message = whole["messageSignature"]["messageDigest"]
        message["digest"] = another(message["digest"])

    assert fault(changed("cosigned_digest", other_digest), allowed)[0] == "damaged"


@settings(max_examples=100)
@given(st.data())
def test_whatever_byte_is_changed_nothing_else_is_let_by(data: st.DataObject) -> None:
    whole = json.dumps(json.loads(recorded("statement"))).encode()
    at, flip = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    try:
        found = judge(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :], trust())
    except SignatureError:
        pass
    else:
        assert found == judge(whole, trust())


@settings(max_examples=100)
@given(st.data())
def test_whatever_a_field_is_nothing_else_is_let_by_or_breaks(data: st.DataObject) -> None:
    """Each value anywhere in an attestation, by another of another type."""
    whole: Any = json.loads(recorded("statement"))
    place, key = whole, None
    above: Any = None
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        above, place = place, place[key]
        if data.draw(st.integers(0, 3)) == 0:
            break
    above[key] = data.draw(
        st.sampled_from([None, True, 0, -1, 1 << 80, 1.5, "", "é", "AAAA", [], [[]], [{}], {}, {"a": 1}])
    )
    try:
        found = judge(json.dumps(whole).encode(), trust())
    except SignatureError:
        pass
    else:
        assert found == judge(recorded("statement"), trust())


@pytest.mark.parametrize(
    ("speaks", "trusted", "required", "expected"), [cell[1:] for cell in CELLS if cell[0] == "archive"]
)
def test_the_table_holds_of_identities(speaks: str, trusted: int, required: bool | None, expected: str) -> None:
    """That of docs/bundles.md, whose rows about archives do not say by whom they are signed."""
    wrong = changed("statement", statement_of(version="1.3.0"))
    given = dict(zip(SPEAKS, [(), (recorded("branch"),), (recorded("statement"),), (wrong,)], strict=True))[speaks]
    whom = (Trust(), Trust(signers=()), trust())[trusted]
    try:
        found = verified(archived(*given), "gpu", "1.2.0", replace(whom, required=required), "", NOW).kind
    except SignatureError:
        found = "refuse"  # type: ignore[assignment]
    assert {"none": "serve", "statement": "verify"}.get(found, found) == expected


def test_files_of_identities_and_roots_are_read_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    folder.mkdir()
    for name in ("trusted_root", "other_root"):
        (folder / f"{name}.json").write_bytes(recorded(name))
    (folder / "bad.json").write_text("{}")
    (folder / "worse.json").write_text("-----BEGIN CERTIFICATE-----")
    (tmp_path / "identities").write_text(f"# ours\n{ISSUER} {TAGS}\nnobody\n")
    found = read_trust(None, None, [tmp_path / "identities", tmp_path / "gone"], [folder])
    assert [str(one) for one in found.identities or ()] == [f"{TAGS} ({ISSUER})"]
    assert [one.name for one in found.roots] == ["other_root.json", "trusted_root.json"]
    told = "\n".join(found.problems)
    for words in (
        "identities:3: there are 1 words",
        "gone can't be read",
        "bad.json is no trusted root: its `mediaType`",
    ):
        assert words in told
    assert "worse.json is no trusted root: it is no JSON" in told
    assert judge(recorded("statement"), found).by == WHO
    for number in range(MAX_ROOTS + 1):
        (folder / f"{number}.json").write_bytes(recorded("trusted_root"))
    many = read_trust(None, None, [], [folder])
    assert (len(many.roots), many.identities) == (MAX_ROOTS, ())
    assert "of which 8 are used" in many.problems[-1]


def test_what_cant_be_read_is_told_where_it_may_be_the_cause() -> None:
    whom = replace(trust(), roots=(), problems=("root.json is no trusted root",))
    assert (
        "not all of what is trusted can be read: root.json is no trusted root" in fault(recorded("statement"), whom)[1]
    )


def test_a_root_may_leave_out_what_says_nothing() -> None:
    """As JSON of protocol buffers does, and `cosign trusted-root create`."""
    whole = json.loads(recorded("trusted_root"))
    for one in (*whole["certificateAuthorities"], *whole["timestampAuthorities"]):
        del one["subject"], one["validFor"], one["uri"]
    for one in (*whole["tlogs"], *whole["ctlogs"]):
        del one["publicKey"]["validFor"]
    assert judge(recorded("statement"), trust(TAGS, ISSUER, Root("root.json", json.dumps(whole).encode())))


def test_a_root_that_is_broken_inside_vouches_for_nothing() -> None:
    timeless: Whole = {"publicKey": {"validFor": {"start": "now"}}}
    for part, broken in (("certificateAuthorities", {}), ("tlogs", timeless), ("ctlogs", [1])):
        kind, told = fault(recorded("statement"), trust(TAGS, ISSUER, root({part: [broken]})))
        assert (kind, "trusted_root.json does not vouch" in told) == ("unknown-identity", True)


def python(*lines: str, isolated: bool = False) -> str:
    """What a fresh interpreter prints that runs these lines; `isolated`, without what is an extra."""
    hide = (
        "import sys; sys.modules['sigstore'] = None; import importlib.util; importlib.util.find_spec = lambda _: None"
    )
    text = "\n".join([*([hide] if isolated else []), *lines])
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


VERIFY = (
    "import datetime, sys",
    "from tests.delivery.signature.made import NOW, archived, attestation, public",
    "from tests.delivery.signature.recordings import recorded, trust",
    "from delivery.signature.verify import verified",
    "def by(data, **more): return verified(archived(data), 'gpu', '1.2.0', trust(**more), '', NOW).by",
)


def test_nobody_is_asked() -> None:
    """Not even for a name; whatever would reach out ends the process."""
    guard = (
        "def guard(event, _):",
        "    if event in ('socket.connect', 'socket.sendto', 'socket.getaddrinfo'): raise SystemExit(event)",
        "sys.addaudithook(guard)",
        "print(by(recorded('statement')))",
    )
    assert python(*VERIFY, *guard) == WHO


def test_who_trusts_no_identity_imports_nothing_for_it() -> None:
    lines = (
        "import cli.serve, cli.verify, cli.sign, webhook",
        "by(attestation(), keys=(public('ed25519'),))",
        "print([name for name in sys.modules if name.startswith(('sigstore', 'pydantic', 'tuf', 'rfc3161'))])",
    )
    assert python(*VERIFY, *lines) == "[]"


def test_without_the_extra_what_to_install_is_told() -> None:
    lines = (
        "try: by(recorded('statement'))",
        "except Exception as error: print(type(error).__name__, error.fault, error)",
    )
    told = python(*VERIFY, *lines, isolated=True)
    assert told.startswith("SignatureError unsupported signature: it is by a certificate, which can't be verified here")
    assert told.endswith("install what does it: `pip install 'bayplan[sigstore]'`")


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_what_is_no_token_signs_nothing(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITLAB_CI", "GITHUB_ACTIONS", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    services = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}
    signing = Signing(recorded("trusted_root"), json.dumps(services).encode())
    with pytest.raises(KeylessError, match="no signature by an identity: "):
        signed_by_identity(b"{}", token, signing)


def test_recordings_are_small() -> None:
    assert sum(path.stat().st_size for path in RECORDED.iterdir()) < 100_000
