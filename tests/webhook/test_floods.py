"""Hostile clients of every kind against a running webhook, and what a good one notices meanwhile.

The machine's speed is nobody's fault: limits are those of orders, not of milliseconds. What is measured is printed
(`pytest -s`), and a nightly run measures longer.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.waiting import wait_for
from tests.webhook import hostile
from tests.webhook.reviews import body, review
from tests.webhook.test_process import TRAINEE, Serve, serving, sources

MIB = 1024 * 1024
SECONDS = 10.0 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 1.5
EACH_SECONDS = 0.02
COUNTS = {"silent": 1000, "greets_halfway": 1000, "idle": 300, "value_bombs": 10, "large_reviews": 20}
"""Connections at once; of the other kinds a hundred."""
REQUEST = hostile.post(body(review(TRAINEE)))
RESIDENT = re.compile(r"^process_resident_memory_bytes (\S+)$", re.MULTILINE)


class Good:
    """A client that keeps its connection, as the API server does, and counts what it waits."""

    def __init__(self, serve: Serve) -> None:
        self.port = urlsplit(serve.url).port
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trust.check_hostname, self.trust.verify_mode = False, ssl.CERT_NONE
        self.health = httpx.Client(base_url=serve.plain, timeout=20.0)
        self.connection = self.connect()
        self.waited: list[float] = []
        self.probed: list[float] = []

    def connect(self) -> ssl.SSLSocket:
        return self.trust.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=20.0))

    def ask(self) -> None:
        began = time.perf_counter()
        assert answer_on(self.connection).startswith(b"HTTP/1.1 200 ")
        self.waited.append(time.perf_counter() - began)

    def probe(self) -> None:
        began = time.perf_counter()
        assert self.health.get("/healthz").is_success
        assert self.health.get("/readyz").is_success
        self.probed.append((time.perf_counter() - began) / 2)

    def measure(self, seconds: float) -> None:
        self.waited, self.probed = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(self.waited) < 20:
            self.ask()
            if len(self.waited) % 10 == 0:
                self.probe()
            time.sleep(EACH_SECONDS)

    def resident(self) -> float:
        """MiB of the webhook that are in memory."""
        found = RESIDENT.search(self.health.get("/metrics").text)
        assert found is not None
        return float(found[1]) / MIB

    def numbers(self) -> str:
        milliseconds = sorted(1000 * one for one in self.waited)
        probe = 1000 * max(self.probed, default=0.0)
        middle = statistics.median(milliseconds)
        return f"{middle:.1f} ms in the middle, {milliseconds[-1]:.1f} ms at most; probes {probe:.1f} ms at most"


def answer_on(connection: ssl.SSLSocket) -> bytes:
    """Send a review, and read the whole answer."""
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b'"kind":"AdmissionReview"}'):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("flooded")
    with serving(folder, *sources(folder)) as serve:
        yield serve


@pytest.fixture(scope="module")
def good(serve: Serve) -> Iterator[Good]:
    client = Good(serve)
    for _ in range(100):
        client.ask()
    client.measure(SECONDS)
    print(f"\nnobody else: {client.numbers()}; {client.resident():.0f} MiB")
    yield client
    client.connection.close()
    client.health.close()


@contextlib.contextmanager
def attack(kind: str, port: int | None, count: int, source: str) -> Iterator[None]:
    command = [sys.executable, hostile.__file__, kind, str(port), source, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: os.nice(15)) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            yield
        finally:
            running.kill()


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_a_good_client_hardly_notices(good: Good, kind: str) -> None:
    """The same connection goes on all the time: it is never cut, and never waits for long."""
    before = good.resident()
    count = COUNTS.get(kind, 100)
    with attack(kind, good.port, count, "127.0.0.2"):
        good.measure(SECONDS)
        print(f"\n{count} {kind}: {good.numbers()}; {good.resident():.0f} MiB")
    assert statistics.median(good.waited) < 2.0
    assert max(good.waited) < 10.0
    assert max(good.probed) < 5.0
    wait_for(lambda: good.resident() < before + 20, "memory to be given back")


@pytest.mark.parametrize("kind", ["silent", "idle", "unfinished_body", "other_paths"])
def test_nor_does_one_that_shares_the_address(good: Good, kind: str) -> None:
    """As where everything comes through one proxy: what makes progress keeps its place."""
    with attack(kind, good.port, 600 if kind == "silent" else 100, "127.0.0.1"):
        good.measure(SECONDS)
        print(f"\n{kind}, from the good client's address: {good.numbers()}")
        with contextlib.closing(good.connect()) as new:
            assert answer_on(new).startswith(b"HTTP/1.1 200 ")


def test_all_of_it_was_counted_and_little_logged(serve: Serve, good: Good) -> None:
    text = good.health.get("/metrics").text
    counted = dict(re.findall(r'bayplan_refusals_total\{port="admission",reason="(\w+)"\} (\S+)', text))
    assert counted.keys() >= {"evicted", "404", "400", "411", "431", "bodies"}
    lines = [line for line in serve.output().splitlines() if "bayplan.refusals" in line]
    assert 0 < len(lines) < 0.5 * sum(map(float, counted.values()))
