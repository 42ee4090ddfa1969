"""bayplan sign: what it writes is verified, and what it can't do is said."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from delivery.archive import Manifest, packed
from tests.delivery import bundles

from .conftest import Bayplan


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an archive of `small` 1.2.0 and a key that openssl has made."""
    monkeypatch.chdir(tmp_path)
    files = {name: text.encode() for name, text in bundles.files("1.2.0").items()}
    Path("small-1.2.0.tar.gz").write_bytes(packed(files, Manifest("small", "1.2.0", "0123abc")))
    make_key("release")
    return tmp_path


def make_key(name: str, *options: str) -> None:
    making = ["openssl", "genpkey", "-algorithm", "ed25519", *options, "-out", f"{name}.pem"]
    subprocess.run(making, check=True)
    reading = ["openssl", "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub"]
    subprocess.run([*reading, *(["-passin", options[-1]] if options else [])], check=True)


@pytest.mark.usefixtures("here")
def test_what_is_signed_is_verified(bayplan: Bayplan) -> None:
    ran = bayplan("sign", "small-1.2.0.tar.gz", "--key", "release.pem", "--expires", "90d")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "signed small 1.2.0: small-1.2.0.tar.gz.sigstore.json\n"
    ran = bayplan("verify", "small-1.2.0.tar.gz", "--key", "release.pub", "--name", "small")
    assert ran.status == 0, ran.out
    assert ran.out.startswith("verified: small 1.2.0 is signed by release.pub (SHA256:")
    assert "), good until 20" in ran.out
    told = bayplan("verify", "small-1.2.0.tar.gz", "--key", "release.pub", "-o", "json").json
    assert (told["kind"], told["bundle"], told["version"]) == ("statement", "small", "1.2.0")
    assert told["expires"].endswith("Z")
    whole = json.loads(Path("small-1.2.0.tar.gz.sigstore.json").read_text())
    said = json.loads(base64.b64decode(whole["dsseEnvelope"]["payload"]))
    assert said["subject"][0]["name"] == "small-1.2.0.tar.gz"
    assert said["predicate"]["bundle"] == {"name": "small", "version": "1.2.0", "revision": "0123abc"}


@pytest.mark.usefixtures("here")
def test_another_key_verifies_nothing(bayplan: Bayplan) -> None:
    make_key("other")
    assert bayplan("sign", "small-1.2.0.tar.gz", "--key", "other.pem").status == 0
    ran = bayplan("verify", "small-1.2.0.tar.gz", "--key", "release.pub")
    assert ran.status == 1
    assert "it is by no trusted key (release.pub (SHA256:" in ran.out
    assert bayplan("verify", "small-1.2.0.tar.gz", "--key", "release.pub", "--key", "other.pub").status == 0


@pytest.mark.usefixtures("here")
def test_a_passphrase_is_read_from_where_it_is_said_to_be(bayplan: Bayplan, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key("locked", "-aes256", "-pass", "pass:secret")
    monkeypatch.setenv("PASSPHRASE", "secret")
    Path("passphrase").write_text("secret\n")
    signing = ("sign", "small-1.2.0.tar.gz", "--key", "locked.pem")
    for option in (("--passphrase-env", "PASSPHRASE"), ("--passphrase-file", "passphrase")):
        assert bayplan(*signing, *option).status == 0
        assert bayplan("verify", "small-1.2.0.tar.gz", "--key", "locked.pub").status == 0
    monkeypatch.setenv("PASSPHRASE", "wrong")
    for where, told in (
        ((), "locked.pem: is encrypted: give its passphrase"),
        (("--passphrase-env", "PASSPHRASE"), "the passphrase is wrong"),
        (("--passphrase-env", "NOTHING"), "there is no variable `NOTHING`"),
        (("--passphrase-file", "gone"), "gone: No such file"),
    ):
        ran = bayplan(*signing, *where)
        assert (ran.status, ran.out) == (2, "")
        assert told in ran.err
        assert "secret" not in ran.err


@pytest.mark.usefixtures("here")
def test_it_may_be_written_elsewhere(bayplan: Bayplan) -> None:
    ran = bayplan("sign", "small-1.2.0.tar.gz", "--key", "release.pem", "-o", "-")
    assert ran.status == 0
    assert ran.json["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert not Path("small-1.2.0.tar.gz.sigstore.json").exists()
    assert bayplan("sign", "small-1.2.0.tar.gz", "--key", "release.pem", "-o", "x.json").status == 0
    assert "dsseEnvelope" in json.loads(Path("x.json").read_text())


@pytest.mark.usefixtures("here")
def test_an_archive_that_was_changed_is_not_verified(bayplan: Bayplan) -> None:
    assert bayplan("sign", "small-1.2.0.tar.gz", "--key", "release.pem").status == 0
    files = {name: text.encode() for name, text in bundles.files("1.2.0", more=bundles.NAMED).items()}
    Path("small-1.2.0.tar.gz").write_bytes(packed(files, Manifest("small", "1.2.0", "0123abc")))
    ran = bayplan("verify", "small-1.2.0.tar.gz", "--key", "release.pub")
    assert ran.status == 1
    assert ran.out.startswith("not verified: subject.digest.sha256: release.pub (SHA256:")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("small-1.2.0.tar.gz", "--key", "release.pub"), "release.pub: holds `PUBLIC KEY`; expected a private key"),
        (("small-1.2.0.tar.gz", "--key", "gone.pem"), "gone.pem: No such file or directory"),
        (("small-1.2.0.tar.gz", "--key", "release.pem", "--expires", "soon"), "`soon` is no time; expected a number"),
        (("small-1.2.0.tar.gz", "--key", "release.pem", "--expires", "0d"), "`0d` is no time"),
        (("gone.tar.gz", "--key", "release.pem"), "gone.tar.gz"),
        ((".", "--key", "release.pem"), "is no archive"),
        (("release.pem", "--key", "release.pem"), "release.pem"),
    ],
)
def test_what_can_not_be_signed_is_told(bayplan: Bayplan, words: tuple[str, ...], told: str) -> None:
    ran = bayplan("sign", *words)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


@pytest.mark.usefixtures("here")
def test_a_folder_is_no_archive(bayplan: Bayplan) -> None:
    bundles.write(Path("folder"))
    ran = bayplan("sign", "folder", "--key", "release.pem")
    assert ran.status == 2
    assert "folder is no archive: `bayplan build` makes one; Git signs commits and tags itself" in ran.err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--key", "release.pem", "--identity-token", "token"), "--identity-token goes with --keyless"),
        (("--key", "release.pem", "--signing-config", "x"), "--signing-config goes with --keyless"),
        (("--keyless", "--passphrase-env", "X"), "a passphrase goes with --key"),
        (("--keyless", "--trusted-root", "x"), "--trusted-root and --signing-config go together"),
        (("--keyless", "--identity-token", "gone"), "gone"),
        (("--keyless", "--identity-token", "small-1.2.0.tar.gz"), "--identity-token `small-1.2.0.tar.gz` is no text"),
        (
            (
                "--keyless",
                "--identity-token",
                "release.pub",
                "--trusted-root",
                "release.pub",
                "--signing-config",
                "release.pub",
            ),
            "--trusted-root `release.pub` is no JSON: Expecting value",
        ),
    ],
)
def test_what_an_identity_can_not_sign_is_said(bayplan: Bayplan, words: tuple[str, ...], told: str) -> None:
    ran = bayplan("sign", "small-1.2.0.tar.gz", *words)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err
    assert not Path("small-1.2.0.tar.gz.sigstore.json").exists()
