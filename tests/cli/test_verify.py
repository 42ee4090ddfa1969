"""bayplan verify: who vouches for a bundle, as text and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.delivery import bundles
from tests.delivery.git_servers import Repository
from tests.delivery.signature.made import ssh_key, ssh_public

from .conftest import Bayplan


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose commit is signed by the key of the file of allowed signers beside it."""
    made = Repository(tmp_path / "served")
    key = ssh_key(tmp_path)
    made.git("config", "gpg.format", "ssh")
    made.git("config", "user.signingkey", str(key))
    made.commit(bundles.files("1.2.0"), "-S")
    (tmp_path / "allowed").write_text(f"release@example.com {ssh_public(key)}\n")
    return made


def test_a_signed_commit(bayplan: Bayplan, repository: Repository, tmp_path: Path) -> None:
    source = f"git+file://{repository.path}"
    ran = bayplan("verify", source, "--allowed-signers", tmp_path / "allowed", "--name", "small")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("verified: the commit ")
    assert " is signed by release@example.com (SHA256:" in ran.out
    told = bayplan("verify", source, "--allowed-signers", tmp_path / "allowed", "-o", "json").json
    commit = repository.git("rev-parse", "HEAD")
    assert told.pop("by").startswith("release@example.com (SHA256:")
    assert told.pop("message").startswith(f"the commit {commit} is signed by")
    assert told == {
        "source": f"{source} at {commit}",
        "bundle": "small",
        "version": "1.2.0",
        "verified": True,
        "kind": "commit",
        "expires": None,
    }


def test_what_is_not_verified_exits_1_and_says_why(bayplan: Bayplan, repository: Repository, tmp_path: Path) -> None:
    source, allowed = f"git+file://{repository.path}", tmp_path / "allowed"
    for more, fault, words in (
        (("--name", "large"), "wrong-name", "the bundle is `small`, and `large` is to be served from here"),
        (("--seen", "1.10.0"), "older", "1.2.0 is older than 1.10.0"),
    ):
        ran = bayplan("verify", source, "--allowed-signers", allowed, *more)
        assert ran.status == 1
        assert ran.out.startswith("not verified: ")
        assert words in ran.out
        told = bayplan("verify", source, "--allowed-signers", allowed, *more, "-o", "json")
        assert (told.status, told.json["verified"], told.json["fault"]) == (1, False, fault)
        assert f"{told.json['field']}: {told.json['reason']}; {told.json['remedy']}" == told.json["message"]
    allowed.write_text(f"other {ssh_public(ssh_key(tmp_path, 'ecdsa'))}\n")
    ran = bayplan("verify", source, "--allowed-signers", allowed)
    assert ran.status == 1
    assert "which is not among the allowed signers; sign with one of theirs, or add the key to the file" in ran.out


@pytest.mark.usefixtures("repository")
def test_a_folder_carries_no_signature(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = bundles.write(tmp_path / "bundle")
    ran = bayplan("verify", folder, "--allowed-signers", tmp_path / "allowed")
    assert ran.status == 1
    assert "a folder can't carry one; serve an archive or a repository" in ran.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "whom to trust is not said: --key or --identities for archives, --allowed-signers for repositories"),
        (("--allowed-signers", "allowed", "--seen", "latest"), "--seen `latest` is no semantic version"),
        (("--key", "gone.pub"), "gone.pub can't be read: No such file or directory"),
        (("--key", "."), "bundle can't be read: it is a folder"),
        (("--identities", "allowed"), "--identities: say with --trusted-root FILE whose certificates are believed"),
        (("--trusted-root", "allowed"), "whom to trust is not said: --key or --identities for archives"),
        (("--identities", "allowed", "--trusted-root", "allowed"), "allowed is no trusted root: it is no JSON"),
        (("--identities", "gone", "--trusted-root", "gone"), "gone can't be read: No such file or directory"),
        (("--allowed-signers", "empty"), "there is nobody in what was given to trust"),
    ],
)
def test_what_can_not_be_looked_at_exits_2(
    bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bundles.write(tmp_path / "bundle")
    (tmp_path / "allowed").write_text(f"me {ssh_public(ssh_key(tmp_path))}\n")
    (tmp_path / "empty").mkdir() if "--allowed-signers" in words else None
    ran = bayplan("verify", "bundle", *words)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


def test_a_source_that_is_gone_exits_2(bayplan: Bayplan, tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text(f"me {ssh_public(ssh_key(tmp_path))}\n")
    ran = bayplan("verify", f"git+file://{tmp_path}/gone.git", "--allowed-signers", tmp_path / "allowed")
    assert (ran.status, ran.out) == (2, "")
    assert f"git+file://{tmp_path}/gone.git" in ran.err
