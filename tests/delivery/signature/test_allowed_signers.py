"""Files of allowed signers: read as ssh-keygen reads them, but line by line."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest

from delivery.signature.allowed_signers import MAX_LINES, Signer, allowed_signers
from delivery.signature.keys import BadKeyError

from .made import ssh_key, ssh_public
from .test_sshsig import MESSAGE, signed


def read(text: str) -> tuple[list[Signer], list[str]]:
    found = list(allowed_signers(text.encode(errors="surrogateescape"), "allowed"))
    signers = [one for one in found if isinstance(one, Signer)]
    return signers, [str(one) for one in found if isinstance(one, BadKeyError)]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ssh_public(ssh_key(tmp_path_factory.mktemp("keys")))


def test_a_line_is_principals_options_and_a_key(public: str) -> None:
    options = 'NAMESPACES="git",valid-after="20260101",valid-before="20270101120000Z"'
    text = f"# ours\n\n  release@example.com,ci {options} {public} x\r\n"
    (signer,), problems = read(text)
    assert problems == []
    assert (signer.place, signer.principals, signer.namespaces) == ("allowed:3", "release@example.com,ci", "git")
    assert signer.after == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert signer.before == datetime.datetime(2027, 1, 1, 12, tzinfo=datetime.UTC)
    assert str(signer).startswith("release@example.com,ci (SHA256:")


def test_principals_may_be_quoted(public: str) -> None:
    (signer,), _ = read(f'"release team" {public}')
    assert signer.principals == "release team"


def test_a_fingerprint_is_ssh_keygens(tmp_path: Path) -> None:
    key = ssh_key(tmp_path)
    (signer,), _ = read(f"me {ssh_public(key)}")
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    assert listed.split()[1] in str(signer)


LINES = [
    ("me", "it is cut short"),
    ("me ssh-ed25519", "it is cut short"),
    ('me "x {key}', "it is cut short"),
    ("me ssh-ed25519 ????", "the key is no base64"),
    ("me ssh-ed25519 AAAA", "the key is not of the kind `ssh-ed25519`"),
    ("me ssh-rsa {blob}", "the key is not of the kind `ssh-rsa`"),
    ("me ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAQA=", "the key is damaged"),
    ("me ssh-dss AAAAB3NzaC1kc3M=", "its kind of key is not supported"),
    ("me ssh-xmss@openssh.com AAAAFHNzaC14bXNzQG9wZW5zc2guY29t", "its kind of key is not supported"),
    ("me cert-authority {key}", "`cert-authority` is not supported: list the keys themselves"),
    ('me cert-authority,namespaces="git" {key}', "`cert-authority` is not supported: list the keys themselves"),
    ("me ssh-ed25519-cert-v01@openssh.com {blob}", "a certificate is not supported"),
    ("me namespaces=git {key}", "options `namespaces=git` can't be read"),
    ('me namespaces="git",namespaces="x" {key}', "the option `namespaces` stands twice"),
    ("me namespaces {key}", 'the option `namespaces` is not of the form `namespaces="…"`'),
    ('me cert-authority="x" {key}', "the option `cert-authority` is not of the form"),
    ('me until="x" {key}', "the option `until` is not known"),
    ('me valid-before="tomorrow" {key}', "`valid-before` `tomorrow` is no time"),
    ('me valid-before="20261332" {key}', "`valid-before` `20261332` is no time"),
    ('me valid-after="2026010112" {key}', "`valid-after` `2026010112` is no time"),
]


@pytest.mark.parametrize(("line", "words"), LINES)
def test_a_line_that_is_out_of_order_is_told_and_takes_nothing_from_the_others(
    line: str, words: str, public: str
) -> None:
    written = line.replace("{key}", public).replace("{blob}", public.split()[1])
    signers, problems = read(f"before {public}\n{written}\nafter {public}\n")
    assert [signer.principals for signer in signers] == ["before", "after"]
    assert len(problems) == 1
    assert problems[0].startswith(f"allowed:2: {words}")


def test_a_line_that_is_no_text_takes_nothing_from_the_others(public: str) -> None:
    signers, problems = read(f"a {public}\n\udcff\udcfe\x00\nb {public}")
    assert [signer.principals for signer in signers] == ["a", "b"]
    assert len(problems) == 1


def test_a_key_in_pem_is_told() -> None:
    signers, problems = read("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    assert (signers, len(problems)) == ([], 1)
    assert problems[0].startswith("allowed: holds a key in PEM, which signs archives")


def test_too_many_lines_are_told(public: str) -> None:
    signers, problems = read(f"a {public}\n" + "#\n" * MAX_LINES)
    assert len(signers) == 1
    assert problems == [f"allowed: there are {MAX_LINES + 2:,} lines, of which {MAX_LINES:,} are read"]


@pytest.mark.parametrize(
    "namespaces",
    ["git", "file", "file,git", "*", "g?t", "!git", "*,!git", "!file,*", "!file", "GIT", "", "g*t", "*t,x", "gi"],
)
def test_namespaces_mean_what_they_mean_to_ssh_keygen(namespaces: str, tmp_path: Path) -> None:
    key = ssh_key(tmp_path)
    line = f'me namespaces="{namespaces}" {ssh_public(key)}'
    (tmp_path / "allowed").write_text(line + "\n")
    (tmp_path / "signature").write_bytes(signed(key))
    command = ["ssh-keygen", "-Y", "verify", "-f", f"{tmp_path}/allowed", "-I", "me", "-n", "git"]
    done = subprocess.run([*command, "-s", f"{tmp_path}/signature"], input=MESSAGE, capture_output=True, check=False)
    (signer,), _ = read(line)
    assert signer.signs_git == (done.returncode == 0)
