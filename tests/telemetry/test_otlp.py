"""telemetry.otlp: what a collector gets is what the specification says, and nobody waits for one."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from telemetry import otlp
from telemetry.otlp import Collector, LogExport, headers_of, request_of
from tests.waiting import wait_for

LINE = {
    "time": "2026-11-27T12:00:00.000001Z",
    "uid": "u",
    "dryRun": False,
    "latencySeconds": 0.25,
    "pod": {"namespace": "shop", "name": "web-", "owner": None},
    "revision": "gpu@1.0.0+sha256:1f",
    "mode": "enforce",
    "allowed": True,
    "message": "ünï\u202ecode",
    "policies": [{"name": "a", "outcome": "applied", "rank": 3}],
    "huge": 2**70,
}


class Counts:
    def __init__(self) -> None:
        self.taken = 0
        self.lost: Counter[str] = Counter()

    def sent(self, records: int) -> None:
        self.taken += records

    def dropped(self, reason: str, records: int) -> None:
        self.lost[reason] += records


class Receiver(ThreadingHTTPServer):
    """A collector that answers as it is told, and has the official library read what it gets."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], ExportLogsServiceRequest]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def records(self) -> list[Any]:
        every = (one for _, _, request in self.requests for one in request.resource_logs)
        return [record for one in every for scope in one.scope_logs for record in scope.log_records]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"{}")
        if status == 200:
            request = Parse(body, ExportLogsServiceRequest())
            self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, request))
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(*answers: tuple[int, bytes]) -> Iterator[Receiver]:
    with Receiver(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def sending(collector: Collector) -> Iterator[tuple[LogExport, Counts]]:
    counts = Counts()
    export = LogExport(collector, counts)
    export.start()
    try:
        yield export, counts
    finally:
        export.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(otlp, "AGAIN_SECONDS", 0.01)


def test_a_record_holds_all_of_the_line(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer secret\n\nX-Scope-OrgID: one\n")
    with receiving() as server:
        with sending(Collector(server.url, str(headers), None, {"service.name": "bayplan"})) as (export, counts):
            export.write(json.dumps(LINE).encode())
            export.write(json.dumps({**LINE, "allowed": False, "difference": "refused"}).encode())
            wait_for(lambda: counts.taken == 2, "the records")
        ((path, told, request),) = server.requests
        assert path == "/v1/logs"
        assert (told["authorization"], told["x-scope-orgid"]) == ("Bearer secret", "one")
        (resource,) = request.resource_logs[0].resource.attributes
        assert (resource.key, resource.value.string_value) == ("service.name", "bayplan")
        one, other = server.records
    assert one.time_unix_nano == 1795780800000001000
    assert one.observed_time_unix_nano > one.time_unix_nano - 10**18
    assert (one.event_name, one.severity_text, other.event_name, other.severity_text) == (
        "bayplan.decision",
        "INFO",
        "bayplan.shadow",
        "WARN",
    )
    body = {pair.key: pair.value for pair in one.body.kvlist_value.values}
    assert body["message"].string_value == LINE["message"]
    assert body["dryRun"].WhichOneof("value") == "bool_value"
    assert body["latencySeconds"].double_value == 0.25
    assert body["huge"].string_value == str(2**70)
    policy = {pair.key: pair.value for pair in body["policies"].array_value.values[0].kvlist_value.values}
    assert policy["rank"].int_value == 3
    attributes = {pair.key: pair.value for pair in one.attributes}
    assert attributes["k8s.namespace.name"].string_value == "shop"
    assert attributes["bayplan.allowed"].bool_value is True


@pytest.mark.parametrize("line", [{}, {"time": None, "pod": None, "policies": None}, {"time": "0000", "allowed": 7}])
def test_odd_lines_are_records_too(line: dict[str, Any]) -> None:
    text = json.dumps(request_of({}, [json.dumps(line).encode()]))
    assert len(Parse(text, ExportLogsServiceRequest()).resource_logs[0].scope_logs[0].log_records) == 1


def test_what_can_not_be_taken_now_is_sent_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bayplan.otlp")
    with receiving((503, b""), (429, b""), (504, b"")) as server, sending(Collector(server.url)) as (export, counts):
        export.write(b"{}")
        wait_for(lambda: counts.taken == 1, "the record")
        assert not counts.lost
        assert export.complaint == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "it answers 503; it is tried again" in caplog.text


def test_what_is_refused_is_counted_and_not_sent_again() -> None:
    partial = b'{"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "no"}}'
    with receiving((400, b"no"), (200, partial), (200, b"[" * 60_000)) as server:
        with sending(Collector(f"{server.url}/own/path")) as (export, counts):
            export.write(b"{}")
            wait_for(lambda: counts.lost["refused"] == 1, "the refusal")
            assert "it answers 400; 1 records are lost" in export.complaint
            for _ in range(3):
                export.write(b"{}")
            wait_for(lambda: counts.taken + counts.lost["refused"] == 4, "the others")
        assert server.requests[0][0] == "/own/path"
        assert counts.lost["refused"] in (2, 3)


def test_nobody_waits_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "STOP_SECONDS", 0.5)
    with sending(Collector("http://127.0.0.1:1")) as (export, counts):
        started = time.thread_time()
        for number in range(5_000):
            export.write(b'{"n": %d}' % number)
        assert time.thread_time() - started < 2
        wait_for(lambda: export.failing() == 1, "the complaint")
        assert export.depth() <= 2_000
        export.write(b'"%s"' % (b"x" * (9 << 20)))
        assert export.depth() >= 1_800  # what is too large alone takes nobody's place
    assert counts.taken == 0
    assert counts.lost.total() == 5_001
    assert counts.lost["full"] >= 3_000


@pytest.mark.parametrize(
    "url", ["collector:4318", "ftp://collector", "http://", "https://u:p@collector", "http://c/v1/logs?x=1"]
)
def test_what_is_no_collector_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="collector"):
        Collector(url)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"Bearer secret", "headers:1: expected `Name: value`"),
        (b"Ok: yes\n\nNo name: secret", "headers:3: expected `Name: value`"),
        (b"Authorization:", "headers:1: expected `Name: value`"),
        (
            b"Authorization: secret\x00",
            "headers:1: the value of `Authorization` has characters that no header may have",
        ),
        ("Authorization: sécret".encode(), "the value of `Authorization` has characters that no header may have"),
        (b"Authorization: \xff\xfesecret", "the value of `Authorization` has characters that no header may have"),
        (b"content-LENGTH: 1", "`content-LENGTH` is for the sender to say"),
        (b"A: secret\n" * 10_000, "headers has more than 64 KiB of headers"),
    ],
)
def test_what_is_wrong_with_headers_is_told_without_them(tmp_path: Path, text: bytes, told: str) -> None:
    headers = tmp_path / "headers"
    headers.write_bytes(text)
    with receiving() as server, sending(Collector(server.url, str(headers))) as (export, counts):
        export.write(b"{}")
        wait_for(lambda: export.failing() == 1, "the complaint")
        assert told in export.complaint
        assert "secret" not in export.complaint
        assert not counts.lost
        headers.write_bytes(b"A: 1\r\nauthorization: Bearer secret\r\n")
        wait_for(lambda: counts.taken == 1, "the record")


def test_headers_may_be_those_of_the_environment(tmp_path: Path) -> None:
    fixed = headers_of("Authorization=Bearer%20secret%3D, x-scope=a,")
    assert fixed == {"Authorization": "Bearer secret=", "x-scope": "a"}
    collector = Collector("http://collector", fixed=fixed)
    assert "secret" not in repr(collector)
    headers = tmp_path / "headers"
    headers.write_text("authorization: Bearer other\n")
    with receiving() as server:
        with sending(Collector(server.url, str(headers), fixed=fixed)) as (export, counts):
            export.write(b"{}")
            wait_for(lambda: counts.taken == 1, "the record")
        told = server.requests[0][1]
    assert (told["authorization"], told["x-scope"]) == ("Bearer other", "a")


@pytest.mark.parametrize("text", ["secret", "a=1,=secret", "a=secret%0d%0aB:c", "host=secret", "a b=secret", "a="])
def test_what_no_environment_may_say_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"pair [12]: ") as raised:
        headers_of(text)
    assert "secret" not in str(raised.value)
    with pytest.raises(ValueError, match="has characters"):
        Collector("http://collector", fixed={"a": "\n"})


def test_headers_that_are_none_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Bearer secret\n")
    with receiving() as server, sending(Collector(server.url, str(headers))) as (export, counts):
        export.write(b"{}")
        wait_for(lambda: export.failing() == 1, "the complaint")
        assert "headers:1: expected `Name: value`" in export.complaint
        assert "secret" not in export.complaint
        headers.write_text("Authorization: Bearer secret\n")
        wait_for(lambda: counts.taken == 1, "the record")
