"""Trusted keys in files and folders, as Secrets are mounted and rotated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from delivery.signature.trust import Trust
from delivery.signature.trust_files import MAX_KEYS, read_trust

from .made import key, private_pem, public, public_pem, ssh_key, ssh_public


def test_nothing_configured_is_not_the_same_as_nobody(tmp_path: Path) -> None:
    assert read_trust(None, None) == Trust()
    assert read_trust([tmp_path], []) == Trust((), ())
    assert not read_trust(None, None).requires
    assert read_trust([tmp_path], None).requires
    assert read_trust(None, []).requires
    assert not read_trust([tmp_path], [], required=False).requires
    assert read_trust(None, None, required=True).requires


def test_files_and_folders_of_keys(tmp_path: Path) -> None:
    """A Secret is mounted as links to a hidden folder that is a link itself, which is exchanged as a whole."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("2025.pub", "2026.pub"):
        (tmp_path / "..2026" / name).write_bytes(public_pem(key("p256", name).key))
        (tmp_path / name).symlink_to(f"..data/{name}")
    alone = tmp_path.parent / f"{tmp_path.name}.pub"
    alone.write_bytes(public_pem(key("ed25519").key))
    trust = read_trust([tmp_path, alone], None)
    assert trust.keys == (
        public("p256", "2025.pub"),
        public("p256", "2026.pub"),
        key("ed25519").public(alone.name),
    )
    assert trust.problems == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "can't be read: No such file or directory"),
        (lambda path: path.write_bytes(b""), "holds no PEM"),
        (lambda path: path.write_bytes(public_pem(key("p256").key)[:60]), "holds no PEM"),
        (lambda path: path.write_bytes(private_pem(key("p256").key)), "holds a private key"),
        (lambda path: path.write_bytes(b"#" * ((1 << 20) + 1)), "is too large"),
        (lambda path: path.mkdir(), "can't be read: it is a folder"),
        (os.mkfifo, "can't be read: it is a named pipe"),
        (lambda path: path.symlink_to(path), "leads back to itself"),
    ],
)
def test_what_cant_be_read_takes_nothing_from_the_others(tmp_path: Path, make: object, words: str) -> None:
    (tmp_path / "good.pub").write_bytes(public_pem(key("ed25519").key))
    make(tmp_path / "bad.pub")  # type: ignore[operator]
    trust = read_trust(
        [tmp_path / "good.pub", *([] if (tmp_path / "bad.pub").is_dir() else [tmp_path / "bad.pub"])], None
    )
    if not (tmp_path / "bad.pub").is_dir():
        assert [words in problem for problem in trust.problems] == [True]
    assert [one.name for one in trust.keys or ()] == ["good.pub"]
    inside = read_trust([tmp_path], None)
    assert [one.name for one in inside.keys or ()] == ["good.pub"]
    assert all(words in problem for problem in inside.problems)


def test_all_of_it_being_unreadable_still_requires_a_signature(tmp_path: Path) -> None:
    trust = read_trust([tmp_path / "gone"], [tmp_path / "gone"])
    assert (trust.keys, trust.signers, trust.requires) == ((), (), True)
    assert len(trust.problems) == 2


def test_keys_past_the_limit_are_told(tmp_path: Path) -> None:
    (tmp_path / "keys.pub").write_bytes(public_pem(key("ed25519").key) * (MAX_KEYS + 1))
    trust = read_trust([tmp_path], None)
    assert len(trust.keys or ()) == MAX_KEYS
    assert trust.problems == (f"there are {MAX_KEYS + 1} trusted keys, of which {MAX_KEYS} are used",)


def test_allowed_signers_of_several_files(tmp_path: Path) -> None:
    line = f"me {ssh_public(ssh_key(tmp_path))}\n"
    (tmp_path / "a").write_text(line)
    (tmp_path / "b").write_text("x\n" + line)
    trust = read_trust(None, [tmp_path / "a", tmp_path / "b"])
    assert [signer.place for signer in trust.signers or ()] == [f"{tmp_path}/a:1", f"{tmp_path}/b:2"]
    assert [problem.partition(": ")[0] for problem in trust.problems] == [f"{tmp_path}/b:1"]
