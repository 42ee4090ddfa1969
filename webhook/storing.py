"""Where a webhook's decisions go to stay: its store, and what is told of that; and what is counted of a collector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audit import Files, Recorder, Retention
from delivery import Candidate
from telemetry import Metrics

StoreForm = Literal["sqlite", "files"]
"""How decisions are kept: in a database, or as JSON Lines."""
Take = Callable[[Candidate, str, float], None]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """A folder in which decisions are kept, and how much of them."""

    folder: str
    days: float = 7.0
    decisions: int = 100_000
    size: int = 256 << 20
    """Bytes on disk."""
    form: StoreForm = "sqlite"

    @property
    def retention(self) -> Retention:
        return Retention(self.days * 86_400.0, self.decisions, self.size)


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts for Prometheus."""

    metrics: Metrics

    def kept(self, decisions: int) -> None:
        self.metrics.store_kept.inc(decisions)

    def dropped(self, reason: str, decisions: int) -> None:
        self.metrics.store_dropped.labels(reason).inc(decisions)

    def failed(self) -> None:
        self.metrics.store_failures.inc()


@dataclass(frozen=True, slots=True)
class Exported:
    """Counts of what goes to a collector, for Prometheus."""

    metrics: Metrics

    def sent(self, records: int) -> None:
        self.metrics.otlp_sent.inc(records)

    def dropped(self, reason: str, records: int) -> None:
        self.metrics.otlp_dropped.labels(reason).inc(records)


def recorder_of(options: StoreOptions, metrics: Metrics) -> Recorder:
    """Who keeps decisions as the options say."""
    if options.form == "files":
        return Recorder(Path(options.folder), Counted(metrics), options.retention, begin=Files)
    return Recorder(Path(options.folder), Counted(metrics), options.retention)


def keeping(recorder: Recorder | None, take: Take) -> Take:
    """Who takes a bundle, once the recorder knows what it is."""
    if recorder is None:
        return take

    def both(candidate: Candidate, cause: str, started: float) -> None:
        recorder.bundle(candidate.bundle)
        take(candidate, cause, started)

    return both


def told_of(recorder: Recorder, folder: str) -> dict[str, Any]:
    """The store for `status`."""
    return {
        "folder": folder,
        "decisions": recorder.decisions(),
        "bytes": recorder.bytes(),
        "waiting": recorder.depth(),
        "problems": list(recorder.complaints()),
    }
