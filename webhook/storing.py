"""Where a webhook's decisions go to stay: its store, and what is told of that; and what is counted of a collector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from delivery import Candidate
from engine.struct import Struct
from telemetry import Metrics

if TYPE_CHECKING:
    from audit import Recorder, Retention

StoreForm = Literal["sqlite", "files"]
"""How decisions are kept: in a database, or as JSON Lines."""
Take = Callable[[Candidate, str, float], None]


class StoreOptions(Struct, frozen=True):
    """A folder in which decisions are kept, and how much of them."""

    folder: str
    days: float = 7.0
    decisions: int = 100_000
    size: int = 256 << 20
    """Bytes on disk."""
    form: StoreForm = "sqlite"

    @property
    def retention(self) -> Retention:
        from audit import Retention  # whoever keeps nothing starts without what does

        return Retention(self.days * 86_400.0, self.decisions, self.size)


class Counted(Struct, frozen=True):
    """Counts for Prometheus."""

    metrics: Metrics

    def kept(self, decisions: int) -> None:
        self.metrics.store_kept.inc(decisions)

    def dropped(self, reason: str, decisions: int) -> None:
        self.metrics.store_dropped.labels(reason).inc(decisions)

    def failed(self) -> None:
        self.metrics.store_failures.inc()


class Exported(Struct, frozen=True):
    """Counts of what goes to a collector, for Prometheus."""

    metrics: Metrics

    def sent(self, records: int) -> None:
        self.metrics.otlp_sent.inc(records)

    def dropped(self, reason: str, records: int) -> None:
        self.metrics.otlp_dropped.labels(reason).inc(records)


def recorder_of(options: StoreOptions, metrics: Metrics) -> Recorder:
    """Who keeps decisions as the options say."""
    from audit import Files, Recorder

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
