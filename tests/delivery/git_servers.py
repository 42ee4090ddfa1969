"""Real repositories of Git on loopback: smart HTTP over TLS around `git http-backend`, ssh by a real sshd."""

from __future__ import annotations

import base64
import contextlib
import getpass
import hashlib
import itertools
import os
import shutil
import socket
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.delivery.authority import Authority
from tests.e2e.processes import free_ports
from tests.waiting import wait_for

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
BACKEND = Path(
    subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip(),
    "git-http-backend",
)


class Repository:
    """A repository with a work tree beside it. `git` runs there; servers serve `folder`, in which it is `repo.git`."""

    def __init__(self, folder: Path, *options: str, work: Path | None = None) -> None:
        self.folder, self.work, self.path = folder, work or folder / "work", folder / "repo.git"
        self._seconds = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        command = ["git", "init", "-q", "-b", "main", *options, "--separate-git-dir", str(self.path), str(self.work)]
        subprocess.run(command, check=True, env=ENVIRONMENT)

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        command = ["git", "-C", str(self.work), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, input=stdin, env=ENVIRONMENT)
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)

    def commit(self, files: Mapping[str, str | bytes] | None = None, *options: str) -> str:
        """Commit files beside what is there; gives the commit."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "A change", *options)
        return self.git("rev-parse", "HEAD")

    def allow(self, *what: str) -> None:
        """Set options to true, such as `uploadpack.allowFilter`."""
        for name in what:
            self.git("config", name, "true")

    def store(self, kind: str, data: bytes) -> str:
        """Write an object as it is, whatever is in it, without asking git; gives its name."""
        whole = f"{kind} {len(data)}\0".encode() + data
        name = hashlib.sha1(whole).hexdigest()
        path = self.path / "objects" / name[:2] / name[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole, 1))
        return name

    def tree(self, entries: Iterable[tuple[str, str, str]]) -> str:
        """Write a tree of entries in the order given, each a mode, a name and the name of an object."""
        lines = (
            f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(target) for mode, name, target in entries
        )
        return self.store("tree", b"".join(lines))

    def tree_of(self, files: Mapping[str, bytes]) -> str:
        """Write files by path, and the trees that lead to them."""
        entries: list[tuple[str, str, str]] = []
        below: dict[str, dict[str, bytes]] = {}
        for path, data in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {})[rest] = data
            else:
                entries.append(("100644", name, self.store("blob", data)))
        entries += [("40000", name, self.tree_of(some)) for name, some in below.items()]
        return self.tree(sorted(entries, key=lambda one: os.fsencode(one[1]) + b"/" * (one[0] == "40000")))

    def record(self, tree: str, ref: str = "refs/heads/main") -> str:
        """Write a commit of a tree without a parent, and have a reference point there; as after a force-push."""
        who = f"A <a@example.org> {1_760_000_000 + next(self._seconds)} +0000"
        commit = self.store("commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\nA change\n".encode())
        self.point(ref, commit)
        return commit

    def point(self, ref: str, name: str | None) -> None:
        """Have a reference point to an object, or be no more."""
        path = self.path / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        if name is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(f"{name}\n")


class Request:
    """What a server was asked."""

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body


Interfere = Callable[["Handler", Request], bool]
"""Answers a request in place of Git, and says whether it did."""


class HttpServer(ThreadingHTTPServer):
    """Git over https. `users` are let in by their password, everybody where there are none; `tokens` too."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, authority: Authority, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.users: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.requests: list[Request] = []
        self.answered = 0
        self.open: set[socket.socket] = set()
        self.interfere: Interfere | None = None
        self.protocol = True
        self.context = authority.context(folder)
        self.port = self.server_address[1]

    def finish_request(self, request: Any, address: Any) -> None:
        request.settimeout(20)
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as wrapped:
            self.open.add(wrapped)
            super().finish_request(wrapped, address)

    def drop(self) -> None:
        """End all connections."""
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what some tests are about."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/repo.git"


class Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers), body)
        self.server.requests.append(request)
        if self.server.interfere and self.server.interfere(self, request):
            return
        if (self.server.users or self.server.tokens) and not self._may():
            self.say(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        self._backend(body)

    def say(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.answered += len(body)
        self.wfile.write(body)

    def _may(self) -> bool:
        kind, _, shown = (self.headers.get("Authorization") or "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(shown).decode().partition(":")
            return self.server.users.get(user) == password
        return kind == "Bearer" and shown in self.server.tokens

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
        }
        if self.server.protocol and (said := self.headers.get("Git-Protocol")):
            environment["GIT_PROTOCOL"] = said
        done = subprocess.run([str(BACKEND)], input=body, capture_output=True, env=environment, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.say(int(headers.pop("Status", "200").split()[0]), headers, answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests look at `requests`."""


@contextlib.contextmanager
def served(folder: Path, authority: Authority, port: int = 0) -> Iterator[HttpServer]:
    """The repositories in a folder over https, as long as the context lasts."""
    server = HttpServer(folder, authority, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.drop()
        thread.join()


SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


def ssh_key(path: Path) -> Path:
    """A new key; gives the file of the private one, beside which is the public one. What was there is replaced."""
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


class SshServer:
    """A real sshd on loopback, for whoever runs the tests. What it lets in is in `authorized`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authorized, self.port = folder, folder / "authorized_keys", free_ports(1)[0]
        self.host_key = ssh_key(folder / "host_key")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert SSHD
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.host_key,
            "AuthorizedKeysFile": self.authorized,
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PermitRootLogin": "yes",
            "AcceptEnv": "GIT_PROTOCOL",
        }
        configuration = self.folder / "sshd_config"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        command = [SSHD, "-D", "-e", "-f", str(configuration)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._listens, "sshd to listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def known_hosts(self) -> str:
        """The line by which a client knows it."""
        return f"[127.0.0.1]:{self.port} {self.host_key.with_suffix('.pub').read_text()}"

    def url(self, repository: Repository) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{repository.path}"

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False
