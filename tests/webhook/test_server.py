"""webhook.server and app: the two ports, over real connections: what HTTP clients of every kind of manners get."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.decision import Decision
from engine.pods import IncomingPod
from telemetry import Metrics, Refusals
from tests.delivery.bundles import decider
from tests.waiting import wait_for
from tests.webhook import asking, hostile
from tests.webhook.reviews import body, patch_of, pod, review
from tests.webhook.test_admission import Holder
from webhook import app
from webhook.admission import Admission
from webhook.app import MAX_BODY, Reviews, admission_app
from webhook.certificates import Certificate
from webhook.connections import ADMISSION, Phase
from webhook.health import Health, HealthApp
from webhook.pair import development
from webhook.server import ListenError, Port, Serving, address_of, listen

READER = {"authorization": "Bearer let-me-read"}
JSON = {"content-type": "application/json"}
TRAINEE = body(review(pod({"workload": "training"})))


class Running:
    """A webhook on free ports, in this process."""

    def __init__(
        self,
        folder: Path,
        shutdown_delay: float = 0.0,
        decides: Any = None,
        clients: Path | None = None,
        names: Sequence[str] = (),
    ) -> None:
        pair = development(["127.0.0.1"])
        metrics = Metrics("test")
        self.unready: list[str] = []
        refusals = Refusals(metrics, "admission")
        self.mutate = Reviews(Admission(decides or Holder(decider()), metrics), refusals)
        token = folder / "token"
        token.write_text("let-me-read\n")
        certificate = Certificate(*pair.write(folder), clients)
        self.trust = ssl.create_default_context(cadata=pair.authority.decode())
        self.sockets = listen("127.0.0.1:0"), listen("127.0.0.1:0")
        self.url, self.plain = (
            f"{scheme}://{address_of(s)}" for scheme, s in zip(("https", "http"), self.sockets, strict=True)
        )
        self.serving = Serving(
            self.mutate,
            Port(admission_app(self.mutate, refusals), refusals, context=certificate.context, names=names),
            Port(HealthApp(Health(metrics, lambda: self.unready, token=token)), Refusals(metrics, "health")),
            shutdown_delay=shutdown_delay,
        )
        self.thread = threading.Thread(target=self.serving.run, args=self.sockets, kwargs={"signals": False})

    def client(self) -> httpx.Client:
        return asking.Client(base_url=self.url, verify=self.trust, headers=JSON)

    def end(self) -> None:
        self.serving.end()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def plain_socket(self) -> ssl.SSLSocket:
        connection = socket.create_connection(self.sockets[0].getsockname())
        return self.trust.wrap_socket(connection, server_hostname="127.0.0.1")


@contextlib.contextmanager
def running(folder: Path, **how: Any) -> Iterator[Running]:
    server = Running(folder, **how)
    server.thread.start()
    wait_for(lambda: _answers(server), "the server")
    try:
        yield server
    finally:
        server.end()


def _answers(server: Running) -> bool:
    try:
        return asking.get(f"{server.plain}/healthz").is_success
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
        asking.post(server.url.replace("https", "http") + "/mutate", content=TRAINEE)


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
    assert asking.get(f"{server.plain}/readyz").text == "ok\n"
    server.unready = ["nodes: 403 no"]
    try:
        answer = asking.get(f"{server.plain}/readyz", headers=READER)
        assert (answer.status_code, answer.text) == (503, "nodes: 403 no\n")
        for stranger in ({}, {"authorization": "Bearer let-me"}, {"authorization": "Basic let-me-read"}):
            answer = asking.get(f"{server.plain}/readyz", headers=stranger)
            assert (answer.status_code, "403" in answer.text) == (503, False)
        assert asking.get(f"{server.plain}/healthz").status_code == 200
    finally:
        server.unready = []


def test_metrics_can_be_read(server: Running) -> None:
    with server.client() as client:
        client.post("/mutate", content=TRAINEE)
    answer = asking.get(f"{server.plain}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'bayplan_admission_requests_total{operation="CREATE",outcome="mutated"}' in answer.text
    assert "process_resident_memory_bytes" in answer.text
    assert "web-5d4f8c7b9" not in answer.text


def test_the_plain_port_does_not_admit(server: Running) -> None:
    assert asking.post(f"{server.plain}/mutate", content=TRAINEE).status_code == 404


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


def test_one_listener_serves_both_families() -> None:
    with contextlib.closing(listen("[::]:0")) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5.0).close()
        assert address_of(listener) == f"[::]:{port}"


def test_without_ipv6_all_addresses_are_those_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with contextlib.closing(listen("[::]:0")) as listener:
        assert address_of(listener).startswith("0.0.0.0:")


class Slow:
    """A decider that takes its time, as no decision should: until it is told to end, half a minute at most."""

    def __init__(self) -> None:
        self.began, self.end = threading.Event(), threading.Event()
        self.decider = self

    def decide(self, incoming: IncomingPod) -> Decision:
        self.began.set()
        latest = time.monotonic() + 30.0
        while not self.end.is_set() and time.monotonic() < latest:  # with the interpreter, not asleep
            sum(range(1000))
        return decider().decide(incoming)


def test_probes_and_metrics_wait_for_no_decision(tmp_path: Path) -> None:
    slow = Slow()
    with running(tmp_path, decides=slow) as server, server.client() as client:
        answer = ThreadPoolExecutor(1).submit(client.post, "/mutate", content=TRAINEE, timeout=60.0)
        assert slow.began.wait(10)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert asking.get(f"{server.plain}{path}").is_success
        assert not answer.done()
        slow.end.set()
        assert answer.result().status_code == 200


def test_what_is_too_much_of_a_head_is_refused(server: Running) -> None:
    long, many = b"x: " + b"y" * 40_000, b"x: y\r\n" * 150
    for head in (long, many, b"a" * 40_000):
        with server.plain_socket() as connection:
            connection.sendall(b"POST /mutate HTTP/1.1\r\n" + head)
            assert connection.recv(4096).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    with server.plain_socket() as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\nx: " + b"y" * 30_000)
        connection.sendall(b"\r\ncontent-length: %d\r\n" % len(TRAINEE))
        connection.sendall(b"content-type: application/json\r\n\r\n" + TRAINEE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_has_not_been_used_yet_is_kept(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a burst the API server opens more than it needs. It does not ask again where one ends as it begins to use it,
    and has nobody decide the pod then.
    """
    monkeypatch.setitem(ADMISSION.seconds, Phase.HEAD, 0.2)
    with server.plain_socket() as unused, server.plain_socket() as begun:
        begun.settimeout(10.0)
        begun.sendall(b"POST")
        with contextlib.suppress(OSError):
            assert begun.recv(4096) == b""
        unused.sendall(hostile.post(TRAINEE))
        assert unused.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_requests_come_one_after_the_other(server: Running) -> None:
    request = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"
    with server.plain_socket() as connection:
        connection.sendall(request * 3)
        connection.settimeout(10.0)
        received = b""
        while piece := connection.recv(4096):
            received += piece
    assert received.count(b"HTTP/1.1 ") <= 1


def test_more_values_than_anybody_sends_are_refused(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/mutate", content=b"[" + b"{}," * 1_100_000 + b"{}]")
        assert answer.status_code == 413
        assert "values" in answer.json()["message"]


def test_what_the_api_server_can_make_of_a_pod_is_read(server: Running) -> None:
    """1.5 MiB of `<`, six bytes each on the wire."""
    with server.client() as client:
        answer = client.post("/mutate", content=hostile.large("<", 1_572_864))
        assert answer.status_code == 200
        assert answer.json()["response"]["allowed"] is True


def test_what_gets_no_review_is_counted(server: Running) -> None:
    def count(reason: str) -> float:
        time.sleep(0.3)  # metrics may be a little old
        text = asking.get(f"{server.plain}/metrics").text
        found = re.search(rf'bayplan_refusals_total\{{port="admission",reason="{reason}"\}} (\S+)', text)
        return float(found[1]) if found else 0.0

    reasons = ("404", "405", "415", "413", "411", "400", "tls", "left")
    before = {reason: count(reason) for reason in reasons}
    with server.client() as client:
        client.post("/other", content=TRAINEE)
        client.get("/mutate")
        client.post("/mutate", content=TRAINEE, headers={"content-type": "text/plain"})
        client.post("/mutate", content=b"x" * (MAX_BODY + 1))
        client.post("/mutate", content=iter([TRAINEE]))
        client.post("/mutate", content=b"{}")
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(server.sockets[0].getsockname()) as connection:
            connection.sendall(words)
            if words:
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(10) == b""
    wait_for(lambda: all(count(reason) > before[reason] for reason in reasons), "everything to be counted")


def test_strangers_get_no_name_of_a_policy(server: Running) -> None:
    with server.client() as client:
        assert client.post("/mutate", content=TRAINEE).status_code == 200
    assert 'policy="training"' not in asking.get(f"{server.plain}/metrics").text
    assert "bayplan_admission_requests_total{" in asking.get(f"{server.plain}/metrics").text
    assert 'policy="training"' in asking.get(f"{server.plain}/metrics", headers=READER).text


def client_pair(name: str, folder: Path) -> tuple[bytes, ssl.SSLContext]:
    """An authority, PEM, and what a client does that shows a certificate of it with that name."""
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (f"of {name}", name))
    pem = []
    for whose, key in zip((issuer, subject), keys, strict=True):
        builder = x509.CertificateBuilder().subject_name(whose).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        constraints = x509.BasicConstraints(ca=whose is issuer, path_length=None)
        signed = builder.add_extension(constraints, critical=True).sign(keys[0], hashes.SHA256())
        pem.append(signed.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = keys[1].private_bytes(serialization.Encoding.PEM, *plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    (folder / "both.pem").write_bytes(private + pem[1])
    context.load_cert_chain(folder / "both.pem")
    return pem[0], context


def test_only_clients_with_a_certificate_are_answered(tmp_path: Path) -> None:
    authority, known = client_pair("api.example", tmp_path / "a")
    _, unknown = client_pair("api.example", tmp_path / "b")
    another, unnamed = client_pair("other.example", tmp_path / "c")
    authorities = tmp_path / "clients.crt"
    authorities.write_bytes(authority + another)
    with running(tmp_path, clients=authorities, names=("api.example",)) as server:

        def answers(context: ssl.SSLContext) -> bool:
            try:
                return asking.post(f"{server.url}/mutate", content=TRAINEE, headers=JSON, verify=context).is_success
            except httpx.TransportError:
                return False

        assert answers(known)
        assert not answers(unknown)
        assert not answers(unnamed)
        assert not answers(server.trust)
