"""A real OpenTelemetry collector gets all that is logged of decisions, over TLS and for whoever shows its token; and no
admission waits for one that is away or hangs. Nightly, for it takes minutes to build; `-s` shows figures.
"""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.programs import BUILD
from tests.waiting import wait_for
from tests.webhook.reviews import pod
from tests.webhook.test_process import TRAINEE, Serve, serving, sources

from .certificates import Authority, make_authority
from .processes import Process, free_ports

pytestmark = [
    pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="builds a collector: nightly"),
    pytest.mark.timeout(1_800),
]
TOKEN = "hunter2-the-token"
PODS = 3_000
"""More than may wait."""
CONFIGURATION = """
extensions:
  bearertokenauth: {{scheme: Bearer, token: {token}}}
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
        tls: {{cert_file: {certificate}, key_file: {key}}}
        auth: {{authenticator: bearertokenauth}}
exporters:
  file: {{path: {arrived}, append: true, flush_interval: 100ms}}
service:
  extensions: [bearertokenauth]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [file]}}
"""

Json = Any


class Place:
    """Where a collector runs, or not: its port, its files, and what arrived there."""

    def __init__(self, program: Path, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.authority: Authority = make_authority(folder)
        self._program, self._folder, self._arrived = program, folder, folder / "arrived.jsonl"
        certificate, key = self.authority.issue("127.0.0.1")
        names = {"port": self.port, "certificate": certificate, "key": key, "arrived": self._arrived, "token": TOKEN}
        self._configuration = folder / "collector.yaml"
        self._configuration.write_text(CONFIGURATION.format(**names))
        self.headers = folder / "headers"
        self.headers.write_text(f"Authorization: Bearer {TOKEN}\n")

    @property
    def arguments(self) -> list[str | Path]:
        return [
            *("--otlp-logs", f"https://127.0.0.1:{self.port}", "--otlp-ca", self.authority.bundle),
            *("--log-decisions", "all"),
        ]

    @contextmanager
    def running(self) -> Iterator[Process]:
        command: list[str | Path] = [self._program, f"--config=file:{self._configuration}"]
        process = Process(command, self._folder / "collector.log")
        try:
            wait_for(lambda: "Everything is ready" in _alive(process).output(), "the collector")
            yield process
        finally:
            process.terminate()

    def requests(self) -> list[Json]:
        if not self._arrived.exists():
            return []
        lines = self._arrived.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def records(self) -> list[Json]:
        every = (one for request in self.requests() for one in request["resourceLogs"])
        return [record for one in every for scope in one["scopeLogs"] for record in scope["logRecords"]]


def _alive(process: Process) -> Process:
    assert process.exit_status is None, process.output()
    return process


@pytest.fixture(scope="module")
def program() -> Path:
    done = subprocess.run([BUILD, "collector"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip().removeprefix("collector="))


@pytest.fixture
def place(program: Path, tmp_path: Path) -> Place:
    folder = tmp_path / "collector"
    folder.mkdir()
    return Place(program, folder)


def plain(value: Json) -> Json:
    """An AnyValue as JSON has it."""
    for kind, one in value.items():
        match kind:
            case "arrayValue":
                return [plain(each) for each in one.get("values", ())]
            case "kvlistValue":
                return pairs(one.get("values", ()))
            case "intValue":
                return int(one)
        return one
    return None


def pairs(values: Sequence[Json]) -> Json:
    return {one["key"]: plain(one["value"]) for one in values}


def metric(serve: Serve, name: str) -> int:
    text = httpx.get(f"{serve.plain}/metrics", timeout=30).text
    return int(sum(float(value) for value in re.findall(rf"^bayplan_otlp_logs_{name}(?:\{{.*\}})? (\S+)$", text, re.M)))


def test_all_of_each_decision_arrives_over_tls_with_a_token(place: Place, tmp_path: Path) -> None:
    refused = pod(spec={"nodeName": "n1"})
    more = ("--cluster-name", "east", "--otlp-headers", place.headers)
    with place.running(), serving(tmp_path, *sources(tmp_path), *place.arguments, *more) as serve:
        for created in (TRAINEE, pod({"app": "web"}), refused):
            serve.create(created)
        wait_for(lambda: metric(serve, "sent_total") == 3, "the records")
        wait_for(lambda: len(place.records()) == 3, "the collector's file")
        lines = {line["time"]: line for line in serve.lines()}
        output = serve.output()
    (resource,) = {json.dumps(one["resource"]) for request in place.requests() for one in request["resourceLogs"]}
    said = pairs(json.loads(resource)["attributes"])
    assert said.keys() == {"service.name", "service.version", "service.instance.id", "k8s.cluster.name"}
    assert (said["service.name"], said["k8s.cluster.name"]) == ("bayplan", "east")
    records = place.records()
    assert len(lines) == len(records) == 3
    for record in records:
        body = plain(record["body"])
        assert body == lines[body["time"]]
        attributes = pairs(record["attributes"])
        assert attributes == {
            "k8s.namespace.name": body["pod"]["namespace"],
            "k8s.pod.name": body["pod"]["name"],
            "bayplan.uid": body["uid"],
            "bayplan.revision": body["revision"],
            "bayplan.mode": "enforce",
            "bayplan.allowed": body["allowed"],
        }
        assert record["eventName"] == "bayplan.decision"
        failed = any(policy["outcome"] == "failed" for policy in body["policies"])
        assert record["severityText"] == ("WARN" if failed or not body["allowed"] else "INFO")
        assert int(record["timeUnixNano"]) <= int(record["observedTimeUnixNano"])
    assert {plain(record["body"])["allowed"] for record in records} == {True, False}
    assert TOKEN not in output


def test_a_token_that_is_not_taken_is_told_and_not_shown_and_may_be_renewed(place: Place, tmp_path: Path) -> None:
    place.headers.write_text("Authorization: Bearer another-secret\n")
    arguments = [*place.arguments, "--otlp-headers", place.headers]
    with place.running() as collector, serving(tmp_path, *sources(tmp_path), *arguments) as serve:
        serve.create(TRAINEE)
        wait_for(lambda: metric(serve, "dropped_total") == 1, "the refusal")
        assert "it answers 401; 1 records are lost" in serve.status()
        assert metric(serve, "failing") == 1
        place.headers.write_text(f"Authorization: Bearer {TOKEN}\n")
        serve.create(TRAINEE)
        wait_for(lambda: metric(serve, "sent_total") == 1, "the record")
        assert metric(serve, "failing") == 0
        for secret in (TOKEN, "another-secret"):
            assert secret not in serve.output() + serve.status() + collector.output()


def test_headers_of_the_environment_are_shown(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{TOKEN}")
    with place.running(), serving(tmp_path, *sources(tmp_path), *place.arguments) as serve:
        serve.create(TRAINEE)
        wait_for(lambda: metric(serve, "sent_total") == 1, "the record")
        assert TOKEN not in serve.output()


def test_a_collector_of_another_authority_gets_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_authority(tmp_path / "other").bundle
    arguments = [*place.arguments, "--otlp-ca", other, "--otlp-headers", place.headers]
    with place.running(), serving(tmp_path, *sources(tmp_path), *arguments) as serve:
        serve.create(TRAINEE)
        wait_for(lambda: metric(serve, "failing") == 1, "the complaint")
        assert "CERTIFICATE_VERIFY_FAILED" in serve.status()
        assert metric(serve, "dropped_total") == 0
        assert place.records() == []


def test_no_admission_waits_and_what_is_lost_is_counted_and_the_rest_arrives(place: Place, tmp_path: Path) -> None:
    """While it is away, while it hangs as one that is frozen does, and while it comes back."""
    arguments = [*place.arguments, "--otlp-headers", place.headers]
    with serving(tmp_path, *sources(tmp_path), *arguments) as serve:
        with place.running():
            there = timed(serve, 0, 300)
            wait_for(lambda: metric(serve, "sent_total") == 300, "the first ones")
        away = timed(serve, 300, 300)
        wait_for(lambda: metric(serve, "failing") == 1, "the complaint")
        with closing(socket.create_server(("127.0.0.1", place.port))):  # whoever connects waits, and is never heard
            hangs = timed(serve, 600, PODS)
        assert metric(serve, "queue_depth") <= 2_000
        with place.running():
            back = timed(serve, 600 + PODS, 100)
            total = 300 + 300 + PODS + 100
            end = time.monotonic() + 120  # it may be asked again only after 30 s
            while metric(serve, "sent_total") + metric(serve, "dropped_total") < total:
                assert time.monotonic() < end, "waited in vain for the rest"
                time.sleep(0.2)
            wait_for(lambda: len(place.records()) == metric(serve, "sent_total"), "the collector's file")
        dropped = metric(serve, "dropped_total")
    numbers = [int(pairs(record["attributes"])["bayplan.uid"].partition(":")[2]) for record in place.records()]
    assert len(numbers) == len(set(numbers)) == total - dropped
    assert PODS + 300 - 2_000 <= dropped <= PODS + 300 - 1_500  # the oldest that waited
    assert set(numbers) >= set(range(total - 1_500, total)) | set(range(300))
    for name, each in {"there": there, "away": away, "hangs": hangs, "comes back": back}.items():
        most = statistics.quantiles(each, n=100)[98]
        print(
            f"\n{name}: median {statistics.median(each) * 1e3:.2f} ms, 99 % {most * 1e3:.2f} ms of {len(each)}", end=""
        )


def timed(serve: Serve, first: int, count: int) -> list[float]:
    """How long so many pods took, in seconds; each has a number of its own as uid, from the first one on."""
    found = []
    for number in range(first, first + count):
        started = time.perf_counter()
        serve.create(TRAINEE, uid=f"n:{number}")
        found.append(time.perf_counter() - started)
    return found
