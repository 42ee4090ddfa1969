"""Commits and tags that git itself has signed with SSH keys, fetched from real repositories; git is asked, too."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.content import Content, SignedObject, SourceError
from delivery.git import GitSource
from delivery.signature.errors import SignatureError
from delivery.signature.trust import Trust, Verified
from delivery.signature.trust_files import read_trust
from delivery.signature.verify import verified
from delivery.sources import read_address
from tests.delivery import bundles
from tests.delivery.git_servers import Repository

from .made import ssh_key, ssh_public

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
"""Commits are made on 2026-01-01."""
KINDS = [("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521")]


class Signed:
    """A repository that signs with a key, and a file of allowed signers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "served")
        self.allowed = folder / "allowed_signers"
        self.allow("")
        for name, value in (("gpg.format", "ssh"), ("gpg.ssh.allowedSignersFile", str(self.allowed))):
            self.repository.git("config", name, value)

    def use(self, key: Path) -> Path:
        """Sign with this key from now on."""
        self.repository.git("config", "user.signingkey", str(key))
        return key

    def allow(self, *lines: str) -> None:
        self.allowed.write_text("\n".join(lines) + "\n")

    def fetch(self, wanted: str = "") -> Content:
        source = GitSource(read_address(f"git+file://{self.repository.path}{wanted}"))
        try:
            return source.fetch()
        finally:
            source.close()

    def judged(self, wanted: str = "", trust: Trust | None = None, version: str = "1.0.0", seen: str = "") -> Verified:
        trust = trust or read_trust(None, [self.allowed])
        return verified(self.fetch(wanted), "small", version, trust, seen, NOW)

    def git_agrees(self, what: str = "commit", name: str = "HEAD") -> bool:
        try:
            self.repository.git(f"verify-{what}", name)
        except subprocess.CalledProcessError:
            return False
        return True


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


@pytest.fixture
def refused(signed: Signed) -> Callable[..., SignatureError]:
    def run(*words: str, **given: str) -> SignatureError:
        with pytest.raises(SignatureError) as error:
            signed.judged(*words, **given)  # type: ignore[arg-type]
        return error.value

    return run


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_signed_commit_is_verified(signed: Signed, kind: tuple[str, ...]) -> None:
    key = signed.use(ssh_key(signed.folder, *kind))
    signed.allow(f"release@example.com {ssh_public(key)}")
    commit = signed.repository.commit(bundles.files(), "-S")
    assert signed.git_agrees()
    found = signed.judged()
    assert (found.kind, found.version, found.expires) == ("commit", "1.0.0", None)
    assert found.words == f"the commit {commit} is signed by {found.by}"
    assert found.by.startswith("release@example.com (SHA256:")


def test_a_signed_tag_is_verified_whoever_made_the_commit(signed: Signed) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f'* namespaces="git" {ssh_public(key)}')
    signed.repository.commit(bundles.files())
    signed.repository.git("tag", "-s", "-m", "A release", "v1.0.0")
    assert signed.git_agrees("tag", "v1.0.0")
    for wanted in ("?tag=v1.0.0", "?semver=^1"):
        assert signed.judged(wanted).kind == "tag"
    with pytest.raises(SignatureError, match="neither the commit nor a tag has one") as error:
        signed.judged("?branch=main")
    assert error.value.fault == "unsigned"


def test_a_signed_tag_under_another_name_is_refused(signed: Signed) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"* {ssh_public(key)}")
    signed.repository.commit(bundles.files())
    signed.repository.git("tag", "-s", "-m", "A release", "v1.0.0")
    signed.repository.git("update-ref", "refs/tags/v2.0.0", signed.repository.git("rev-parse", "v1.0.0"))
    with pytest.raises(SourceError, match=r"the tag `v2\.0\.0` calls itself `v1\.0\.0`"):
        signed.judged("?tag=v2.0.0")


def test_a_tag_of_a_signed_tag_has_to_be_signed_itself(signed: Signed) -> None:
    """The inner one was signed under another name; who may write tags could have it served under any."""
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"* {ssh_public(key)}")
    signed.repository.commit(bundles.files())
    signed.repository.git("tag", "-s", "-m", "A release", "v1.0.0")
    signed.repository.git("tag", "-a", "--no-sign", "-m", "Another name", "v2.0.0", "v1.0.0")
    signed.repository.git("tag", "-s", "-m", "Another name", "v3.0.0", "v1.0.0")
    assert "object" in signed.repository.git("cat-file", "tag", "v2.0.0")
    with pytest.raises(SignatureError, match="neither the commit nor a tag has one"):
        signed.judged("?tag=v2.0.0")
    assert signed.judged("?tag=v3.0.0").words.startswith("the tag v3.0.0 is signed by")


def test_what_is_not_signed_is_refused(signed: Signed, refused: Callable[..., SignatureError]) -> None:
    signed.allow(f"* {ssh_public(ssh_key(signed.folder))}")
    signed.repository.commit(bundles.files())
    error = refused()
    assert error.fault == "unsigned"
    assert "git commit -S" in error.remedy


def test_a_strangers_signature_is_refused(signed: Signed, refused: Callable[..., SignatureError]) -> None:
    stranger = signed.use(ssh_key(signed.folder, "ecdsa"))
    signed.allow(f"* {ssh_public(ssh_key(signed.folder))}")
    signed.repository.commit(bundles.files(), "-S")
    assert not signed.git_agrees()
    error = refused()
    assert error.fault == "unknown-key"
    listed = subprocess.run(["ssh-keygen", "-lf", str(stranger)], capture_output=True, text=True, check=True).stdout
    assert listed.split()[1] in str(error)


def test_a_commit_that_was_changed_is_refused(signed: Signed, refused: Callable[..., SignatureError]) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"* {ssh_public(key)}")
    signed.repository.commit(bundles.files(), "-S")
    commit = signed.repository.git("cat-file", "commit", "HEAD").replace("A change", "Another change")
    other = signed.repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit.encode() + b"\n")
    signed.repository.git("update-ref", "refs/heads/main", other)
    assert not signed.git_agrees()
    assert refused().fault == "damaged"


DATED = [
    ('valid-after="20260101"', ""),
    ('valid-after="20260101000001Z"', "not-yet-valid"),
    ('valid-after="20260201"', "not-yet-valid"),
    ('valid-before="20260201"', ""),
    ('valid-before="20260101000001Z"', ""),
    ('valid-before="20251231Z"', "expired"),
    ('valid-after="20250101",valid-before="20270101"', ""),
    ('namespaces="git"', ""),
    ('namespaces="file"', "unknown-key"),
    ('namespaces="file,git",valid-before="20251231"', "expired"),
]


@pytest.mark.parametrize(("options", "fault"), DATED)
def test_options_of_allowed_signers_mean_what_they_mean_to_git(signed: Signed, options: str, fault: str) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"me {options} {ssh_public(key)}")
    signed.repository.commit(bundles.files(), "-S")
    assert signed.git_agrees() == (not fault)
    if not fault:
        assert signed.judged().kind == "commit"
        return
    with pytest.raises(SignatureError, match=f"{signed.allowed}:1 allows me") as error:
        signed.judged()
    assert error.value.fault == fault


def test_lines_that_are_out_of_date_or_out_of_order_take_nothing_from_the_others(signed: Signed) -> None:
    """By the first of these alone some libraries refuse everybody."""
    key = signed.use(ssh_key(signed.folder))
    old = ssh_public(ssh_key(signed.folder, "ecdsa"))
    signed.allow(
        f'old valid-before="20200101" {old}',
        f'me valid-before="20200101" {ssh_public(key)}',
        f"ca cert-authority {old}",
        "half a li",
        f"me {ssh_public(key)}",
    )
    signed.repository.commit(bundles.files(), "-S")
    trust = read_trust(None, [signed.allowed])
    assert [problem.split(": ")[0] for problem in trust.problems] == [f"{signed.allowed}:3", f"{signed.allowed}:4"]
    assert signed.judged(trust=trust).kind == "commit"


def test_a_certificate_is_refused_and_told(signed: Signed, refused: Callable[..., SignatureError]) -> None:
    authority = ssh_key(signed.folder, "ecdsa")
    key = ssh_key(signed.folder)
    making = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", "me", f"{key}.pub"]
    subprocess.run(making, check=True)
    signed.use(Path(f"{key}-cert.pub"))
    signed.allow(f"me cert-authority {ssh_public(authority)}")
    signed.repository.commit(bundles.files(), "-S")
    error = refused()
    assert error.fault == "unsupported"
    assert "it is by a certificate of SSH" in str(error)


@pytest.mark.parametrize(
    ("kind", "words"), [("PGP SIGNATURE", "by GPG"), ("PGP MESSAGE", "by GPG"), ("SIGNED MESSAGE", "by X.509")]
)
def test_other_signatures_are_told(signed: Signed, kind: str, words: str) -> None:
    signature = f"-----BEGIN {kind}-----\n\nAA==\n-----END {kind}-----\n".encode()
    content = Content(
        "c", "git+https://example.com/a", {}, objects=(SignedObject("commit c", b"tree a\n\n", signature),)
    )
    trust = read_trust(None, [signed.allowed])
    with pytest.raises(SignatureError, match=f"signatures {words} are not supported; sign with an SSH key") as error:
        verified(content, "small", "1.0.0", trust, "", NOW)
    assert error.value.fault == "unsupported"


def test_a_signature_for_something_else_than_git_is_refused(signed: Signed) -> None:
    key = ssh_key(signed.folder)
    signed.allow(f"* {ssh_public(key)}")
    payload = b"tree a\ncommitter A <a@b> 1767225600 +0000\n\n"
    making = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "file"]
    signature = subprocess.run(making, input=payload, capture_output=True, check=True).stdout
    content = Content("c", "git+https://example.com/a", {}, objects=(SignedObject("commit c", payload, signature),))
    with pytest.raises(SignatureError, match="it was made for `file`, not for `git`"):
        verified(content, "small", "1.0.0", read_trust(None, [signed.allowed]), "", NOW)


def test_an_older_version_than_the_one_seen_is_refused(signed: Signed, refused: Callable[..., SignatureError]) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"* {ssh_public(key)}")
    signed.repository.commit(bundles.files(), "-S")
    assert refused(seen="1.0.1").fault == "older"
    assert signed.judged(seen="1.0.0").version == "1.0.0"


def test_a_commit_of_tomorrow_is_not_yet_valid(signed: Signed) -> None:
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f"* {ssh_public(key)}")
    signed.repository.commit(bundles.files(), "-S")
    before = datetime.datetime(2025, 12, 31, tzinfo=datetime.UTC)
    with pytest.raises(SignatureError, match="it was signed at 2026-01-01 00:00 UTC, which is yet to come"):
        verified(signed.fetch(), "small", "1.0.0", read_trust(None, [signed.allowed]), "", before)


def test_a_merge_of_a_signed_tag_says_when_it_was_signed_itself(signed: Signed) -> None:
    """The tag that was merged stands in the commit's headers, with a tagger and a signature of its own."""
    key = signed.use(ssh_key(signed.folder))
    signed.allow(f'me valid-before="20260301" {ssh_public(key)}')
    git = signed.repository.git
    signed.repository.commit(bundles.files())
    git("checkout", "-q", "-b", "side")
    signed.repository.commit({"README.md": "more"})
    git("tag", "-s", "-m", "Side", "side-1")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-S", "-m", "Merge", "side-1")
    assert "mergetag" in git("cat-file", "commit", "HEAD")
    assert signed.git_agrees()
    assert signed.judged().kind == "commit"
