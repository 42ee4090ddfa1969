"""webhook.server and app: the two ports, over real connections: what HTTP clients of every kind of manners get."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from telemetry import Metrics, Refusals
from tests.delivery.bundles import decider
from tests.waiting import wait_for
from tests.webhook.reviews import body, patch_of, pod, review
from tests.webhook.test_admission import Holder
from webhook import app
from webhook.admission import Admission
from webhook.app import MAX_BODY, Health, Mutate, admission_app, health_app
from webhook.certificates import Certificate, development
from webhook.server import ListenError, Port, Serving, address_of, listen

READER = {"authorization": "Bearer let-me-read"}
JSON = {"content-type": "application/json"}
TRAINEE = body(review(pod({"workload": "training"})))


class Running:
    """A webhook on free ports, in this process."""

    def __init__(self, folder: Path, shutdown_delay: float = 0.0) -> None:
        pair = development(["127.0.0.1"])
        metrics = Metrics("test")
        self.unready: list[str] = []
        refusals = Refusals(metrics, "admission")
        self.mutate = Mutate(Admission(Holder(decider()), metrics), refusals)
        token = folder / "token"
        token.write_text("let-me-read\n")
        certificate = Certificate(*pair.write(folder), metrics)
        self.trust = ssl.create_default_context(cadata=pair.authority.decode())
        self.sockets = listen("127.0.0.1:0"), listen("127.0.0.1:0")
        self.url, self.plain = (
            f"{scheme}://{address_of(s)}" for scheme, s in zip(("https", "http"), self.sockets, strict=True)
        )
        self.serving = Serving(
            self.mutate,
            Port(admission_app(self.mutate, refusals), refusals, context=certificate.context),
            Port(health_app(Health(metrics, lambda: self.unready, token=token)), Refusals(metrics, "health")),
            shutdown_delay=shutdown_delay,
        )
        self.thread = threading.Thread(target=self.serving.run, args=self.sockets, kwargs={"signals": False})

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, headers=JSON)

    def end(self) -> None:
        self.serving.end()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def plain_socket(self) -> ssl.SSLSocket:
        connection = socket.create_connection(self.sockets[0].getsockname())
        return self.trust.wrap_socket(connection, server_hostname="127.0.0.1")


@contextlib.contextmanager
def running(folder: Path, shutdown_delay: float = 0.0) -> Iterator[Running]:
    server = Running(folder, shutdown_delay)
    server.thread.start()
    wait_for(lambda: _answers(server), "the server")
    try:
        yield server
    finally:
        server.end()


def _answers(server: Running) -> bool:
    try:
        return httpx.get(f"{server.plain}/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


def test_admission_goes_over_tls(server: Running) -> None:
    with server.client() as client:
        for _ in range(3):
            answer = client.post("/mutate", content=TRAINEE)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            assert patch_of(answer.json()["response"])
    with pytest.raises(httpx.TransportError):
        httpx.post(server.url.replace("https", "http") + "/mutate", content=TRAINEE)


def test_the_query_that_the_api_server_adds_is_no_matter(server: Running) -> None:
    with server.client() as client:
        assert client.post("/mutate?timeout=2s", content=TRAINEE).status_code == 200


@pytest.mark.parametrize("path", ["/", "/mutate/", "/mutate/more", "/docs", "/openapi.json", "/metrics", "/healthz"])
def test_there_is_no_other_path(server: Running, path: str) -> None:
    with server.client() as client:
        assert client.post(path, content=TRAINEE).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_there_is_no_other_method(server: Running, method: str) -> None:
    with server.client() as client:
        assert client.request(method, "/mutate").status_code == 405


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_there_is_no_other_content_type(server: Running, kind: str) -> None:
    with server.client() as client:
        answer = client.post("/mutate", content=TRAINEE, headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]
    with server.client() as client:
        assert client.post("/mutate", content=TRAINEE, headers={"content-type": "application/json; charset=utf-8"})


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused(server: Running, chunked: bool) -> None:
    """With their length said before, and without: the length must be said."""
    large = b"x" * (MAX_BODY + 1)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 1 << 16):
            yield large[start : start + (1 << 16)]

    with server.client() as client:
        answer = client.post("/mutate", content=pieces() if chunked else large)
        assert answer.status_code == (411 if chunked else 413)
        assert chunked or str(MAX_BODY) in answer.json()["message"]
        assert client.post("/mutate", content=TRAINEE).status_code == 200


def test_bodies_may_come_in_pieces(server: Running) -> None:
    head = b"POST /mutate HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(TRAINEE)
    with server.plain_socket() as connection:
        for piece in (head[:9], head[9:], TRAINEE[:100], TRAINEE[100:101], TRAINEE[101:]):
            connection.sendall(piece)
            time.sleep(0.01)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_never_comes_is_given_up(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)
    head = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    with server.plain_socket() as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_hangs_up_hurts_nobody(server: Running) -> None:
    head = b"POST /mutate HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
    for part in (b"", b"POST /mut", head):
        with server.plain_socket() as connection:
            connection.sendall(part)
    with server.client() as client:
        assert client.post("/mutate", content=TRAINEE).status_code == 200


def test_garbage_instead_of_http(server: Running) -> None:
    with server.plain_socket() as connection:
        connection.sendall(b"\x00\x01nonsense\r\n\r\n")
        assert b" 400 " in connection.recv(4096)


def test_a_crowd_is_answered(server: Running) -> None:
    with ThreadPoolExecutor(30) as pool, server.client() as client:
        answers = list(pool.map(lambda _: client.post("/mutate", content=TRAINEE), range(300)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["response"]["patch"] for answer in answers}) == 1


def test_readiness_says_what_it_waits_for(server: Running) -> None:
    assert httpx.get(f"{server.plain}/readyz").text == "ok\n"
    server.unready = ["nodes: 403 no"]
    try:
        answer = httpx.get(f"{server.plain}/readyz", headers=READER)
        assert (answer.status_code, answer.text) == (503, "nodes: 403 no\n")
        for stranger in ({}, {"authorization": "Bearer let-me"}, {"authorization": "Basic let-me-read"}):
            answer = httpx.get(f"{server.plain}/readyz", headers=stranger)
            assert (answer.status_code, "403" in answer.text) == (503, False)
        assert httpx.get(f"{server.plain}/healthz").status_code == 200
    finally:
        server.unready = []


def test_metrics_can_be_read(server: Running) -> None:
    with server.client() as client:
        client.post("/mutate", content=TRAINEE)
    answer = httpx.get(f"{server.plain}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'bayplan_admission_requests_total{operation="CREATE",outcome="mutated"}' in answer.text
    assert "process_resident_memory_bytes" in answer.text
    assert "web-5d4f8c7b9" not in answer.text


def test_the_plain_port_does_not_admit(server: Running) -> None:
    assert httpx.post(f"{server.plain}/mutate", content=TRAINEE).status_code == 404


def test_ends_though_connections_stay_open(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.client() as client:
        client.post("/mutate", content=TRAINEE)
        half = server.plain_socket()
        half.sendall(b"POST /mutate HTTP/1.1\r\ncontent-length: 5\r\ncontent-type: application/json\r\n\r\n")
        time.sleep(0.5)  # until it has been read
        server.end()
        assert half.recv(4096).startswith(b"HTTP/1.1 503 ")
        half.close()


def test_while_draining_connections_are_asked_to_go(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_delay=1.0) as server, server.client() as client:
        first = client.post("/mutate", content=TRAINEE)
        assert "connection" not in first.headers
        server.serving.end()
        wait_for(lambda: server.serving.draining, "the drain")
        last = client.post("/mutate", content=TRAINEE)
        assert last.status_code == 200
        assert last.headers["connection"] == "close"


def test_a_taken_port_is_said() -> None:
    taken = listen("127.0.0.1:0")
    with (
        contextlib.closing(taken),
        pytest.raises(ListenError, match=r"can't listen on `127.0.0.1:.*address already in"),
    ):
        listen(address_of(taken))


@pytest.mark.parametrize("address", ["", "8443", "host:", "host:port", "127.0.0.1:70000", "nowhere.invalid:1"])
def test_addresses_that_can_not_be(address: str) -> None:
    with pytest.raises(ListenError, match=f"`{address}`"):
        listen(address)


def test_ipv6() -> None:
    with contextlib.closing(listen("[::1]:0")) as listener:
        assert address_of(listener).startswith("[::1]:")


def test_answers_are_json_whatever_comes(server: Running) -> None:
    with server.client() as client:
        for sent in (b"", b"null", b"{}", b"[]", b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'):
            answer = client.post("/mutate", content=sent)
            assert answer.status_code == 400
            assert json.loads(answer.content)["reason"] == "BadRequest"
