"""delivery.credentials: read from a folder at each use, and shown to nobody but whom they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.content import SourceError
from delivery.credentials import MAX_CREDENTIAL, Credentials, read_credentials


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_credentials(None, "look") == read_credentials(tmp_path, "look") == Credentials()
    assert Credentials().authorization == ""


def test_what_is_in_a_folder(tmp_path: Path) -> None:
    for name in ("username", "password", "ca.crt", "identity", "known_hosts"):
        (tmp_path / name).write_text(f"{name}\r\n")
    found = read_credentials(tmp_path, "look")
    assert (found.username, found.password, found.identity) == ("username", "password", "identity\r\n")
    assert found.authorization == "Basic dXNlcm5hbWU6cGFzc3dvcmQ="
    (tmp_path / "bearerToken").write_text("token\n")
    assert read_credentials(tmp_path, "look").authorization == "Bearer token"


def test_they_are_in_no_representation(tmp_path: Path) -> None:
    for name in ("username", "password", "bearerToken", "identity"):
        (tmp_path / name).write_text("a-secret-word")
    assert "a-secret-word" not in repr(read_credentials(tmp_path, "look"))


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("password", b"one\ntwo\n", "holds a line break"),
        ("bearerToken", b"a\x00b", "holds a line break or another character that does not show"),
        ("username", b"a:b", "holds a colon"),
        ("password", b"a-secret-word\xff", "is not UTF-8"),
        ("ca.crt", b"a" * (MAX_CREDENTIAL + 1), "is larger than"),
    ],
)
def test_what_can_be_no_credential(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=why) as caught:
        read_credentials(tmp_path, "fetch")
    assert caught.value.step == "fetch"
    assert "secret" not in str(caught.value)
    assert f"`{tmp_path / name}`" in str(caught.value)


def test_what_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "password").mkdir()
    with pytest.raises(SourceError, match="can't be read: it is a folder"):
        read_credentials(tmp_path, "look")
    with pytest.raises(SourceError, match=r"the folder of credentials `.*` does not exist"):
        read_credentials(tmp_path / "none", "look")
