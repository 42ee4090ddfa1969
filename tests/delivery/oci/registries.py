"""Real registries on this machine, the token server of one, and somebody in between who does as a test wants.

`distribution` is the reference implementation, which keeps files on disk and knows no referrers; `referrers` is
go-containerregistry's, in memory, which knows them.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.e2e.certificates import Authority
from tests.e2e.processes import Process, free_ports
from tests.waiting import wait_for

ELSEWHERE = "registry.example"
"""What a registry is called by who reaches it through a `Tunnel`."""
USER = "robot"
PASSWORDS = {
    "first": "$2b$05$abcdefghijklmnopqrstuu3rQZA.e/048YzLTJ55aycWHfqo0a49W",
    "second": "$2b$05$abcdefghijklmnopqrstuuKbPhTOR7Pvo59BRa0eQ090CMHpax.C6",
}
"""Passwords of that user, with what bcrypt makes of them."""


@dataclass(frozen=True)
class Registry:
    """A registry that runs. `folder` is where it keeps its files, if it does."""

    host: str
    folder: Path

    def blob(self, digest: str) -> Path:
        """The file of a blob or a manifest."""
        plain = digest.removeprefix("sha256:")
        return self.folder / f"docker/registry/v2/blobs/sha256/{plain[:2]}/{plain}/data"


@contextlib.contextmanager
def distribution(
    program: Path, folder: Path, *, authority: Authority | None = None, auth: Mapping[str, Any] | None = None
) -> Iterator[Registry]:
    """The reference implementation; with TLS where there is an authority, with its own configuration of `auth`."""
    (port,) = free_ports(1)
    settings: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "tests"}
    if authority:
        certificate, key = authority.issue("127.0.0.1", "localhost", ELSEWHERE)
        settings["tls"] = {"certificate": str(certificate), "key": str(key)}
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": settings,
        **({"auth": auth} if auth else {}),
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(configuration))
    process = Process([program, "serve", file], folder / "log", environment={"OTEL_TRACES_EXPORTER": "none"})
    with _running(process, f"127.0.0.1:{port}", authority):
        yield Registry(f"127.0.0.1:{port}", folder / "data")


@contextlib.contextmanager
def referrers(program: Path, folder: Path) -> Iterator[Registry]:
    """The registry that knows what refers to what."""
    (port,) = free_ports(1)
    process = Process([program, f"127.0.0.1:{port}"], folder / "log")
    with _running(process, f"127.0.0.1:{port}", None):
        yield Registry(f"127.0.0.1:{port}", folder)


@contextlib.contextmanager
def _running(process: Process, host: str, authority: Authority | None) -> Iterator[None]:
    scheme = "https" if authority else "http"
    context = ssl.create_default_context(cafile=str(authority.bundle)) if authority else True

    def answers() -> bool:
        assert process.exit_status is None, process.output()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{scheme}://{host}/v2/", verify=context).status_code in (200, 401)
        return False

    try:
        wait_for(answers, "the registry to answer")
        yield
    finally:
        process.terminate()


def let_in(folder: Path, password: str) -> Mapping[str, Any]:
    """The registry's configuration that lets in the user `robot` with a password. It looks again when that changes."""
    file = folder / "htpasswd"
    file.write_text(f"{USER}:{PASSWORDS[password]}\n")
    return {"htpasswd": {"realm": "tests", "path": str(file)}}


class TokenServer:
    """Who issues tokens for a registry: to the user `robot` for what it asks, to everybody else none."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.password, self.seconds = "first", 300
        self.scopes: list[str] = []
        self.shown: list[str | None] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._server = _server(self._answer)
        certificate, key = authority.issue("127.0.0.1", "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.realm = f"https://127.0.0.1:{self._server.server_address[1]}/token"
        self._jwks = folder / "jwks.json"
        numbers = self._key.public_key().public_numbers()
        point = {"x": _base64(numbers.x.to_bytes(32, "big")), "y": _base64(numbers.y.to_bytes(32, "big"))}
        key_of = {"kty": "EC", "crv": "P-256", "kid": "tests", "alg": "ES256", "use": "sig", **point}
        self._jwks.write_text(json.dumps({"keys": [key_of]}))

    @property
    def auth(self) -> Mapping[str, Any]:
        """The registry's configuration."""
        said = {"realm": self.realm, "service": "registry", "issuer": "tests", "jwks": str(self._jwks)}
        return {"token": {**said, "signingalgorithms": ["ES256"]}}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: Handler) -> None:
        shown = request.headers.get("Authorization")
        self.shown.append(shown)
        query = parse_qs(urlsplit(request.path).query)
        if shown != "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode():
            request.reply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}')
            return
        self.scopes += query["scope"]
        access = []
        for scope in query["scope"]:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {"iss": "tests", "sub": USER, "aud": query["service"][0], "access": access, "jti": "1"}
        times = {"iat": now - 120, "nbf": now - 120, "exp": now + self.seconds}
        request.reply(200, json.dumps({"token": self._signed({**claims, **times})}).encode())

    def _signed(self, claims: Mapping[str, Any]) -> str:
        head = {"alg": "ES256", "typ": "JWT", "kid": "tests"}
        payload = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        r, s = decode_dss_signature(self._key.sign(payload.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{payload}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Handler(BaseHTTPRequestHandler):
    """One connection to a server of a test."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Handler], None]
    body = b""

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _handle(self) -> None:
        try:
            type(self).answer(self)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_CONNECT = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def _server(answer: Callable[[Handler], None], port: int = 0) -> ThreadingHTTPServer:
    kind = type("Answering", (Handler,), {"answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", port), kind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@dataclass
class Between:
    """Somebody between us and a registry without TLS: passes requests on, unless a fault answers them itself.

    A fault returns whether it did. `requests` are all that came: method, path and headers. Without a registry behind
    it, everything that no fault answers is not there.
    """

    upstream: str = ""
    faults: list[Callable[[Handler], bool]] = field(default_factory=list)
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _server(self._answer)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Be there again, where it was."""
        self._server = _server(self._answer, self._server.server_address[1])

    def _answer(self, request: Handler) -> None:
        self.requests.append((request.command, request.path, dict(request.headers)))
        request.body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if any(fault(request) for fault in list(self.faults)):
            return
        if not self.upstream:
            request.reply(404)
            return
        connection = http.client.HTTPConnection(self.upstream, timeout=10)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        connection.request(request.command, request.path, request.body, headers)
        response = connection.getresponse()
        data = response.read()
        dropped = ("connection", "date", "server", "transfer-encoding")
        kept = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
        request.reply(response.status, data, kept)
        connection.close()


class Tunnel:
    """A proxy through which a registry is reached by whatever name. `asked` is what it was asked to connect to."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.asked: list[tuple[str, str | None]] = []
        self._server = _server(self._answer)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: Handler) -> None:
        self.asked.append((request.path, request.headers.get("Proxy-Authorization")))
        host, _, port = self._upstream.partition(":")
        with socket.create_connection((host, int(port))) as there:
            request.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            pairs = {request.connection: there, there: request.connection}
            while True:
                readable, _, _ = select.select(list(pairs), [], [])
                for one in readable:
                    data = one.recv(1 << 16)
                    if not data:
                        request.close_connection = True
                        return
                    pairs[one].sendall(data)
