"""delivery.git.over_https: servers that redirect, refuse, fall silent, break off, lie, or never end; and proxies."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from delivery.content import SourceError
from delivery.git import GitSource
from delivery.sources import read_address
from tests.delivery import bundles
from tests.delivery.authority import Authority
from tests.delivery.git_servers import Handler, HttpServer, Repository, Request, served

SECRET = "a-secret-word"
FILES = {f"bundle/{name}": text for name, text in bundles.files().items()}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("served"))
    made.commit(FILES)
    return made


@pytest.fixture
def server(repository: Repository, authority: Authority) -> Iterator[HttpServer]:
    with served(repository.folder, authority) as one:
        one.users = {"reader": SECRET}
        yield one


@pytest.fixture
def credentials(tmp_path: Path, authority: Authority) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name, text in {"ca.crt": authority.pem, "username": "reader", "password": SECRET}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def source(server: HttpServer, credentials: Path) -> Iterator[GitSource]:
    made = GitSource(read_address(f"git+{server.url}//bundle"), credentials, 20.0)
    yield made
    made.close()


def failure(source: GitSource, step: str = "look") -> SourceError:
    """What a source fails with, in which there are no credentials, however it is shown."""
    with pytest.raises(SourceError) as caught:
        source.fetch() if step == "fetch" else source.look()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.__dict__)
    return caught.value


def answering(
    status: int, headers: dict[str, str] | None = None, body: bytes = b""
) -> Callable[[Handler, Request], bool]:
    def answer(handler: Handler, _: Request) -> bool:
        handler.say(status, headers, body)
        return True

    return answer


REFUSALS = {
    401: "refuses the credentials (401); are they current, and may they read the repository?",
    403: "refuses the credentials (403); are they current, and may they read the repository?",
    404: "has no repository there (404), or does not show it to these credentials",
    418: "refuses to answer (418)",
    429: "wants to be asked less often (429)",
    500: "fails to answer (500)",
    503: "fails to answer (503)",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_a_server_refuses_with(server: HttpServer, source: GitSource, status: int) -> None:
    server.interfere = answering(status, {"Retry-After": "7"})
    error = failure(source)
    assert (str(error), error.retry_after, error.step) == (f"localhost:{server.port} {REFUSALS[status]}", 7.0, "look")
    server.interfere = None
    assert source.look()


@pytest.mark.parametrize(("said", "least", "most"), [("", 0, 0), ("soon", 0, 0), ("-5", 0, 0), ("999999", 3600, 3600)])
def test_how_long_a_server_wants_to_be_left_alone(
    server: HttpServer, source: GitSource, said: str, least: float, most: float
) -> None:
    server.interfere = answering(503, {"Retry-After": said})
    assert least <= failure(source).retry_after <= most


def test_a_server_that_says_until_when(server: HttpServer, source: GitSource) -> None:
    server.interfere = answering(429, {"Retry-After": email.utils.formatdate(time.time() + 1_000, usegmt=True)})
    assert 900 < failure(source).retry_after <= 1_000


def test_credentials_are_read_at_each_use(server: HttpServer, source: GitSource, credentials: Path) -> None:
    source.look()
    server.users = {"reader": "another"}
    assert "refuses the credentials (401)" in str(failure(source))
    (credentials / "password").write_text("another\n")
    assert source.look()
    server.users, server.tokens = {}, {"token"}
    assert "refuses the credentials (401)" in str(failure(source))
    (credentials / "bearerToken").write_text("token\n")
    assert source.look() == source.fetch().version
    for name in ("username", "password", "bearerToken"):
        (credentials / name).unlink()
    assert "wants credentials (401), and there are none" in str(failure(source))


def test_who_signs_certificates_is_read_at_each_use(source: GitSource, credentials: Path) -> None:
    source.look()
    (credentials / "ca.crt").write_text(Authority().pem)
    assert "shows a certificate that is not trusted" in str(failure(source))
    (credentials / "ca.crt").unlink()
    assert "a private authority's certificates go into `ca.crt`" in str(failure(source))
    (credentials / "ca.crt").write_text("not PEM")
    assert "`ca.crt` of the credentials holds no certificates in PEM" in str(failure(source))


def test_another_name_than_the_certificates_is_refused(
    server: HttpServer, source: GitSource, authority: Authority, tmp_path: Path
) -> None:
    server.context = authority.context(tmp_path, ("elsewhere.example",))
    assert "shows a certificate that is not trusted: Hostname mismatch" in str(failure(source))


def test_a_redirect_is_followed_without_credentials(
    server: HttpServer, source: GitSource, repository: Repository, authority: Authority
) -> None:
    with served(repository.folder, authority) as other:
        to = f"https://127.0.0.1:{other.port}/repo.git/info/refs?service=git-upload-pack"
        server.interfere = answering(302, {"Location": to})
        assert source.fetch().version == repository.git("rev-parse", "HEAD")
        assert {request.method for request in other.requests} == {"GET", "POST"}
        assert all("Authorization" not in request.headers for request in other.requests)
        assert all("Authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        (
            "http://localhost/repo.git/info/refs?service=git-upload-pack",
            "redirects to what is no repository over https",
        ),
        ("file:///etc/passwd", "redirects to what is no repository over https"),
        ("https://localhost/login", "redirects to what is no repository over https"),
        ("", "redirects in a circle"),
        ("/repo.git/info/refs?service=git-upload-pack", "redirects in a circle"),
    ],
)
def test_redirects_that_lead_nowhere(server: HttpServer, source: GitSource, location: str, why: str) -> None:
    server.interfere = answering(302, {"Location": location})
    assert str(failure(source)) == f"localhost:{server.port} {why}"
    assert len(server.requests) <= 5


def test_what_is_sent_is_not_redirected(server: HttpServer, source: GitSource) -> None:
    def later(handler: Handler, request: Request) -> bool:
        return request.method == "POST" and answering(307, {"Location": "https://localhost/"})(handler, request)

    server.interfere = later
    assert "redirects in the middle of an answer (307)" in str(failure(source))


PACKETS = b"001e# service=git-upload-pack\n0000000eversion 2\n"
ODD = {
    "a page": ("text/html", b"<html>Log in</html>", "does not answer as a Git server there, but with `text/html`"),
    "the dumb protocol": ("text/plain", b"0" * 40 + b"\trefs/heads/main\n", "but with `text/plain`"),
    "nothing": ("application/x-git-upload-pack-advertisement", b"", "ends the connection before it has answered"),
    "noise": ("application/x-git-upload-pack-advertisement", b"\xff" * 100, "does not go on: Invalid pkt-line"),
    "no version": (
        "application/x-git-upload-pack-advertisement",
        b"000eversion 9\n0000",
        "does not go on: unexpected first line",
    ),
    "half a line": (
        "application/x-git-upload-pack-advertisement",
        b"00ffversion 2\n",
        "does not go on: Length of pkt read",
    ),
    "an error": ("application/x-git-upload-pack-advertisement", PACKETS[:34] + b"0011ERR \x1b[31mno\n", "refuses: "),
}


@pytest.mark.parametrize("what", ODD)
def test_answers_that_are_none_of_git(server: HttpServer, source: GitSource, what: str) -> None:
    kind, body, why = ODD[what]
    server.interfere = answering(200, {"Content-Type": kind}, body)
    text = str(failure(source))
    assert why in text
    assert text.isprintable()
    assert why in str(failure(source, "fetch"))


def dripping(handler: Handler, _: Request) -> bool:
    """An answer that comes byte by byte, none of them late."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for at in range(10_000):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"X-%d: y\r\n" % at)
            handler.wfile.flush()
            time.sleep(0.05)
            continue
        break
    return True


def silent(handler: Handler, _: Request) -> bool:
    with contextlib.suppress(OSError):
        handler.rfile.read(1)  # until the other side has enough
    return True


def half(handler: Handler, _: Request) -> bool:
    handler.close_connection = True
    kind = "application/x-git-upload-pack-advertisement"
    handler.say(200, {"Content-Type": kind, "Content-Length": "1000"}, b"000eversion 2\n")
    return True


def slow_body(handler: Handler, _: Request) -> bool:
    handler.say(200, {"Content-Type": "application/x-git-upload-pack-advertisement", "Content-Length": "9999"}, b"000e")
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"v")
            time.sleep(0.05)
    return True


@pytest.mark.parametrize("how", [dripping, silent, slow_body])
def test_a_server_that_takes_too_long(server: HttpServer, credentials: Path, how: Callable[..., bool]) -> None:
    server.interfere = how
    address = read_address(f"git+{server.url}//bundle")
    with contextlib.closing(GitSource(address, credentials, 1.0)) as source:
        for step in ("look", "fetch"):
            error = failure(source, step)
            assert (error.step, str(error)) == (
                step,
                f"localhost:{server.port} has not answered in full within 1 seconds",
            )
        server.interfere = None
        with contextlib.closing(GitSource(address, credentials, 20.0)) as patient:
            assert patient.look()


def test_a_server_that_is_silent_before_anything_is_encrypted(credentials: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = read_address(f"git+https://127.0.0.1:{mute.getsockname()[1]}/repo.git")
        with contextlib.closing(GitSource(address, credentials, 1.0)) as source:
            assert "has not answered in full within 1 seconds" in str(failure(source))


def test_half_an_answer(server: HttpServer, source: GitSource) -> None:
    server.interfere = half
    assert "has broken off its answer" in str(failure(source))
    server.interfere = None
    assert source.look()


def test_an_answer_without_end(server: HttpServer, source: GitSource) -> None:
    def endless(handler: Handler, request: Request) -> bool:
        if request.method == "GET":
            return False
        line = b"%040x refs/heads/main-%020d\n" % (7, 7)
        packet = b"%04x" % (len(line) + 4) + line
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-git-upload-pack-result")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                handler.wfile.write(packet * 1_000)
        return True

    server.interfere = endless
    error = failure(source)
    assert (error.step, str(error)) == ("limits", f"localhost:{server.port} sends more than 8 MiB")


class Proxy:
    """A proxy on loopback that connects, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        where = head.split()[1].decode()
        self.asked.append(head.decode())
        with client, socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2]))) as target:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(target, client), daemon=True)
            back.start()
            self._copy(client, target)
            back.join(10)

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def test_a_proxy_of_the_environment(server: HttpServer, credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets to know the host, and neither what is asked nor who asks."""
    monkeypatch.setenv("NO_PROXY", "example.org")
    url = server.url.replace("localhost", "other.localhost")
    source = GitSource(read_address(f"git+{url}//bundle"), credentials, 20.0)
    with contextlib.closing(Proxy()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert source.look()
        assert [head.split()[1] for head in proxy.asked] == [f"other.localhost:{server.port}"]
        assert "Authorization" not in "".join(proxy.asked)
    source.close()
    assert "can't be reached through the proxy" in str(failure(source))


def test_a_server_that_dies_and_comes_back(repository: Repository, authority: Authority, credentials: Path) -> None:
    with served(repository.folder, authority) as server:
        source = GitSource(read_address(f"git+{server.url}//bundle"), credentials, 20.0)
        before = source.look()
    assert "can't be reached: Connection refused" in str(failure(source))
    assert failure(source, "fetch").step == "fetch"
    with served(repository.folder, authority, server.port):
        assert source.look() == before == source.fetch().version
    source.close()


def test_connections_are_kept(server: HttpServer, source: GitSource) -> None:
    for _ in range(5):
        source.look()
    assert len(server.requests) == 10
    assert len(server.open) == 1
