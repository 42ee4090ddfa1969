"""What is told of a source that is followed: the fields that OPA's status has, and what is held on purpose."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from engine.documents import Problem


@dataclass(frozen=True, slots=True)
class Status:
    """One source at one time. Times are seconds since 1970, 0 for never.

    `name`, `version` and `digest` are of the active revision, empty where nothing is active; `origin` is where it is
    from. `step` and `message` say what failed last, empty where nothing is wrong now; `errors` are the bundle's own.
    """

    source: str
    type: str
    name: str = ""
    version: str = ""
    digest: str = ""
    origin: str = ""
    step: str = ""
    message: str = ""
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    last_request: float = 0.0
    last_successful_request: float = 0.0
    last_successful_download: float = 0.0
    last_successful_activation: float = 0.0

    @property
    def complaint(self) -> str:
        """What is wrong now, in a line; empty where nothing is."""
        first = next(iter(self.message.splitlines()), "")
        return f"bundle `{self.source}`: the step `{self.step}` failed: {first}" if self.step else ""

    def as_json(self) -> dict[str, Any]:
        """With OPA's names."""
        active = f"{self.name}@{self.version}+sha256:{self.digest}" if self.digest else None
        return {
            "name": self.name,
            "type": self.type,
            "source": self.source,
            "active_revision": active,
            "version": self.version,
            "digest": f"sha256:{self.digest}" if self.digest else None,
            "origin": self.origin,
            "last_request": _time(self.last_request),
            "last_successful_request": _time(self.last_successful_request),
            "last_successful_download": _time(self.last_successful_download),
            "last_successful_activation": _time(self.last_successful_activation),
            "code": f"{self.step}_failed" if self.step else "",
            "message": self.message,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
        }


def _time(seconds: float) -> str | None:
    """As RFC 3339 has it, in UTC."""
    if not seconds:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
