"""delivery.git over ssh: a real sshd on loopback, with its own host key, which lets in by keys."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.content import SourceError
from delivery.git import GitSource
from delivery.git.over_pipe import _Process
from delivery.sources import read_address
from delivery.transfer import Transfer
from tests.delivery import bundles
from tests.delivery.git_servers import SSHD, Repository, SshServer, ssh_key


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "it's a folder")
    made.commit({f"bundle/{name}": text for name, text in bundles.files().items()})
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    if SSHD is None:
        pytest.skip("there is no sshd (Debian's openssh-server)")
    folder = tmp_path / "sshd"
    folder.mkdir()
    one = SshServer(folder)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def credentials(tmp_path: Path, server: SshServer) -> Path:
    folder = tmp_path / "credentials with % and blanks"
    folder.mkdir()
    admit(server, folder)
    (folder / "known_hosts").write_text(server.known_hosts())
    return folder


def admit(server: SshServer, credentials: Path) -> None:
    key = ssh_key(credentials / "identity")
    server.authorized.write_text(key.with_suffix(".pub").read_text())


def source(server: SshServer, repository: Repository, credentials: Path, wanted: str = "") -> GitSource:
    return GitSource(read_address(f"git+{server.url(repository)}//bundle{wanted}"), credentials, 20.0)


def failure(one: GitSource) -> str:
    with pytest.raises(SourceError) as caught:
        one.look()
    assert caught.value.step == "look"
    return str(caught.value)


@pytest.mark.parametrize("partial", [False, True], ids=["all of a commit", "what is asked for"])
def test_a_bundle_over_ssh(repository: Repository, server: SshServer, credentials: Path, partial: bool) -> None:
    if partial:
        repository.allow("uploadpack.allowFilter")
    one = source(server, repository, credentials, "?branch=main")
    content = one.fetch()
    assert content.files == {name: text.encode() for name, text in bundles.files().items()}
    assert content.version == one.look() == repository.git("rev-parse", "HEAD")


def test_another_host_key_is_refused(repository: Repository, server: SshServer, credentials: Path) -> None:
    one = source(server, repository, credentials)
    one.look()
    server.stop()
    ssh_key(server.host_key)
    server.start()
    assert "shows another host key than the one in `known_hosts`" in failure(one)
    with pytest.raises(SourceError, match="another host key"):
        one.fetch()
    (credentials / "known_hosts").write_text(server.known_hosts())
    assert one.look() == repository.git("rev-parse", "HEAD")


def test_a_host_that_is_not_known_is_refused(repository: Repository, server: SshServer, credentials: Path) -> None:
    (credentials / "known_hosts").write_text("")
    assert "has a host key that is not in `known_hosts`" in failure(source(server, repository, credentials))
    (credentials / "known_hosts").unlink()
    assert "has a host key that is not in `known_hosts`" in failure(source(server, repository, credentials))


def test_a_key_that_rotates(repository: Repository, server: SshServer, credentials: Path) -> None:
    one = source(server, repository, credentials)
    one.look()
    new = credentials.parent / "new"
    new.mkdir()
    admit(server, new)
    assert "refuses the key `identity`" in failure(one)
    (new / "identity").replace(credentials / "identity")
    assert one.look() == repository.git("rev-parse", "HEAD")


def test_a_server_that_dies_and_comes_back(repository: Repository, server: SshServer, credentials: Path) -> None:
    one = source(server, repository, credentials)
    server.stop()
    assert "Connection refused" in failure(one)
    server.start()
    assert one.look() == repository.git("rev-parse", "HEAD")


def test_a_repository_that_is_not_there(repository: Repository, server: SshServer, credentials: Path) -> None:
    repository.path.rename(repository.folder / "moved.git")
    assert "has no repository there" in failure(source(server, repository, credentials))


def test_last_words_are_read_of_who_takes_no_more() -> None:
    """A server that gives up ends while it is still being written to."""
    command = ["sh", "-c", "printf 'not our ref'"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        process.wait(60)
        one = _Process(process, Transfer("fetch", "they", 60.0, 100))
        assert one.written(b"want more") == 9
        assert one.counted(11) == b"not our ref"
