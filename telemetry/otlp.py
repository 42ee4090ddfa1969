"""Decisions as log records of OpenTelemetry, on their way to a collector from a thread of their own.

What is sent is OTLP over HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/, opentelemetry/proto/logs/v1), which
every collector takes: the official SDK costs 107 ms of a start and drops without counting (ADR 17). Who decides hands
over the line that the decision log has, and goes on; what is too much is dropped, the oldest first, and counted. What a
collector can't take now is tried again, what it refuses is not.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from telemetry.backlog import Backlog

if TYPE_CHECKING:
    import urllib3

MAX_RECORDS, MAX_BYTES = 2_000, 8 << 20
"""Records, and bytes of their lines, that may wait."""
BATCH, BATCH_BYTES = 200, 1 << 20
GATHER_SECONDS = 0.2
"""How long records may gather before they are sent together."""
AGAIN_SECONDS, AGAIN_MOST_SECONDS = 1.0, 30.0
"""How soon what could not be sent is tried again, and how late at most."""
CONNECT_SECONDS, READ_SECONDS, STOP_SECONDS = 5.0, 10.0, 3.0
AGAIN = (429, 502, 503, 504)
"""Answers after which the specification has the same sent again; all others are final."""
MAX_ANSWER = 64 << 10
"""Bytes of an answer that are read."""
MAX_HEADERS = 64 << 10
"""Bytes of a file of headers."""
OWN_HEADERS = frozenset(
    {"content-type", "content-encoding", "content-length", "transfer-encoding", "connection", "host"}
)
INFO, WARN = (9, "INFO"), (13, "WARN")
LARGEST = 2**63
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

log = logging.getLogger("bayplan.otlp")


class Counts(Protocol):
    """Who counts."""

    def sent(self, records: int) -> None:
        """So many were taken."""

    def dropped(self, reason: str, records: int) -> None:
        """So many are lost: `full`, for too many waited; `refused`, for the collector does not want them; `stop`, for
        the process stopped while it could not be reached; `bug`."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Where records go: the URL, a file of headers (`Name: value`, one a line, read again for each request), and the
    file of authorities that are trusted; what the sender says of itself; and `fixed` headers, which a file of headers
    wins over. Headers are secrets, and are in no message."""

    url: str
    headers: str | None = None
    authority: str | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no URL of a collector."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"`{self.url}` is no URL of a collector, as http://collector:4318")
        if "@" in parts.netloc:
            raise ValueError("a collector's URL holds no password, which process lists show: use a file of headers")
        for name, value in self.fixed.items():
            if told := _wrong(name, value):
                raise ValueError(told)

    @property
    def path(self) -> str:
        """The whole URL: `/v1/logs` where no path is said."""
        return self.url.rstrip("/") + ("" if urlsplit(self.url).path.strip("/") else "/v1/logs")


class _RefusedError(Exception):
    """What was sent is not wanted, now or later."""


class LogExport:
    """Sends records. `write` may be called from any thread and never waits."""

    def __init__(self, collector: Collector, counts: Counts) -> None:
        self.complaint = ""
        self._collector, self._counts = collector, counts
        self._backlog = Backlog[bytes](MAX_RECORDS, MAX_BYTES, len, partial(counts.dropped, "full"))
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._pool: urllib3.PoolManager | None = None
        self._again = AGAIN_SECONDS

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, for a few seconds at most, and stop."""
        left = self._backlog.close(self._thread, STOP_SECONDS)
        if left:
            self._counts.dropped("stop", left)

    def write(self, line: bytes) -> None:
        """Hand over a line of the decision log."""
        self._backlog.add(line)

    def depth(self) -> int:
        """Records that wait."""
        return len(self._backlog)

    def failing(self) -> float:
        """1 while the collector can't be reached, else 0."""
        return float(bool(self.complaint))

    def _run(self) -> None:
        while not self._backlog.closed:
            self._backlog.wait()
            self._backlog.rest(GATHER_SECONDS)
            wait = self._once()
            if wait:
                self._backlog.rest(wait)
        while self._backlog and not self._once():
            pass

    def _once(self) -> float:
        """Send a batch; how long to wait before it is tried again, 0 where it need not be."""
        batch = self._backlog.take(BATCH, BATCH_BYTES)
        if not batch:
            return 0.0
        try:
            rejected = self._send(batch)
        except _RefusedError as error:
            self._complain(f"{error}; {len(batch)} records are lost")
            self._counts.dropped("refused", len(batch))
            return 0.0
        except OSError as error:
            self._complain(f"{error}; it is tried again, and nobody waits for it")
            self._backlog.put_back(batch)
            wait, self._again = self._again, min(2 * self._again, AGAIN_MOST_SECONDS)
            return wait
        except Exception as error:  # its text may quote a pod
            self._counts.dropped("bug", len(batch))
            log.error("bug in sending decisions (%s): %d are lost", type(error).__name__, len(batch))
            return 0.0
        if self.complaint:
            log.info("decisions reach %s again", self._collector.path)
        self.complaint, self._again = "", AGAIN_SECONDS
        self._counts.sent(len(batch) - rejected)
        if rejected:
            self._counts.dropped("refused", rejected)
        return 0.0

    def _complain(self, text: str) -> None:
        told = f"decisions do not reach {self._collector.path}: {text}"
        if not self.complaint:
            log.error("%s", told)
        self.complaint = told

    def _send(self, batch: Sequence[bytes]) -> int:
        """Send records; how many of them were not taken. Raises OSError for what may be tried again, _RefusedError."""
        import gzip  # whoever exports nothing starts without

        from urllib3 import PoolManager, Timeout
        from urllib3.exceptions import HTTPError

        if self._pool is None:
            timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
            self._pool = PoolManager(
                1, timeout=timeout, retries=False, ca_certs=self._collector.authority, headers={"User-Agent": "bayplan"}
            )
        head = {"Content-Type": "application/json", "Content-Encoding": "gzip", **self._headers()}
        body = gzip.compress(json.dumps(request_of(self._collector.resource, batch)).encode(), 1)
        try:
            answer = self._pool.request(
                "POST", self._collector.path, body=body, headers=head, redirect=False, preload_content=False
            )
            try:
                text = answer.read(MAX_ANSWER, decode_content=True)
            finally:
                answer.close()
        except HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        if answer.status in AGAIN:
            raise OSError(f"it answers {answer.status}")
        if not 200 <= answer.status < 300:
            raise _RefusedError(f"it answers {answer.status}")
        return min(_rejected(text), len(batch))

    def _headers(self) -> dict[str, str]:
        """Raises OSError where the file can't be read, or says something else."""
        found = dict(self._collector.fixed)
        if self._collector.headers is None:
            return found
        with open(self._collector.headers, "rb") as file:
            text = file.read(MAX_HEADERS + 1)
        if len(text) > MAX_HEADERS:
            raise OSError(f"{self._collector.headers} has more than {MAX_HEADERS >> 10} KiB of headers")
        for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
            name, _, value = (part.strip() for part in line.partition(":"))
            if line.strip() and (told := _wrong(name, value)):
                raise OSError(f"{self._collector.headers}:{number}: {told}")
            if line.strip():
                found = {key: one for key, one in found.items() if key.lower() != name.lower()} | {name: value}
        return found


def headers_of(text: str) -> dict[str, str]:
    """Headers as OpenTelemetry's environment variables have them: `name=value,name=value`, percent-encoded. Raises
    ValueError, with no value in its text."""
    found = dict[str, str]()
    for number, pair in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, _, value = pair.partition("=")
        found[name.strip()] = unquote(value.strip())
        if told := _wrong(name.strip(), found[name.strip()]):
            raise ValueError(f"pair {number}: {told}" if "=" in pair else f"pair {number}: expected `name=value`")
    return found


def _wrong(name: str, value: str) -> str:
    """What is wrong with a header, without a word of it but its name; nothing where nothing is."""
    if not _NAME.fullmatch(name) or not value:
        return "expected `Name: value`"
    if name.lower() in OWN_HEADERS:
        return f"`{name}` is for the sender to say"
    return (
        ""
        if value.isascii() and value.isprintable()
        else f"the value of `{name}` has characters that no header may have"
    )


def request_of(resource: Mapping[str, str], lines: Sequence[bytes]) -> dict[str, Any]:
    """Lines of the decision log as an ExportLogsServiceRequest."""
    records = [_record(json.loads(line)) for line in lines]
    scope = {"name": "bayplan.decisions"}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _pairs(resource)},
                "scopeLogs": [{"scope": scope, "logRecords": records}],
            }
        ]
    }


def _record(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line as a LogRecord: all of it as the body, and what is searched for as attributes."""
    pod = line.get("pod") or {}
    failed = any(policy.get("outcome") == "failed" for policy in line.get("policies") or ())
    number, text = WARN if failed or line.get("allowed") is False else INFO
    shadow = "difference" in line
    attributes = {
        "k8s.namespace.name": pod.get("namespace"),
        "k8s.pod.name": pod.get("name"),
        "bayplan.uid": line.get("uid"),
        "bayplan.revision": line.get("revision"),
        "bayplan.mode": line.get("mode"),
        "bayplan.allowed": line.get("allowed"),
        "bayplan.difference": line.get("difference"),
    }
    return {
        "timeUnixNano": str(_nanoseconds(line.get("time"))),
        "observedTimeUnixNano": str(time.time_ns()),
        "severityNumber": number,
        "severityText": text,
        "eventName": "bayplan.shadow" if shadow else "bayplan.decision",
        "body": _value(line),
        "attributes": _pairs({key: one for key, one in attributes.items() if one is not None}),
    }


def _nanoseconds(then: object) -> int:
    """RFC 3339 as nanoseconds since 1970; 0, which is unknown, for anything else."""
    try:
        moment = datetime.fromisoformat(str(then))
    except ValueError:
        return 0
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": str(key), "value": _value(one)} for key, one in values.items()]


def _value(value: Any) -> dict[str, Any]:
    """A value of JSON as an AnyValue."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)} if -LARGEST <= value < LARGEST else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case Mapping():
            return {"kvlistValue": {"values": _pairs(value)}}
    return {"arrayValue": {"values": [_value(one) for one in value]}}


def _rejected(text: bytes) -> int:
    """How many records an answer says were not taken."""
    try:
        return max(0, int(json.loads(text or b"{}")["partialSuccess"]["rejectedLogRecords"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
