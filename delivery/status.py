"""What is told of a source that is followed: the fields that OPA's status has, and what is held on purpose."""

from __future__ import annotations

import datetime
from typing import Any

from delivery.rollout import Side
from engine.bundle import Revision
from engine.documents import Problem
from engine.struct import Struct


class Status(Struct, frozen=True):
    """One source at one time. Times are seconds since 1970, 0 for never.

    `revision` is the active one, `origin` where it is from, `vouched` who vouches for it, in words, and `expires` until
    when. `step` and `message` say what failed last, empty where nothing is wrong now; `errors` are the bundle's own,
    `warnings` the active one's. `pinned` and `held_back` are digests, `kept` the revisions that can be gone back to.
    `store` says why nothing can be kept, `damaged` what was found to be. It decides about `percent` of a hundred
    workloads, as the active bundle, or as the previous one beside that.
    """

    source: str
    type: str
    revision: Revision | None = None
    origin: str = ""
    vouched: str = ""
    expires: float = 0.0
    step: str = ""
    message: str = ""
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    pinned: str = ""
    suspended: bool = False
    held_back: tuple[str, ...] = ()
    kept: tuple[Revision, ...] = ()
    store: str = ""
    damaged: tuple[str, ...] = ()
    last_request: float = 0.0
    last_successful_request: float = 0.0
    last_successful_download: float = 0.0
    last_successful_activation: float = 0.0
    side: Side = "active"
    percent: int = 100

    @property
    def complaints(self) -> list[str]:
        """What is wrong now, a line each."""
        first = next(iter(self.message.splitlines()), "")
        failed = [f"bundle `{self.source}`: the step `{self.step}` failed: {first}"] if self.step else []
        return [*failed, *([f"bundle `{self.source}`: {self.store}"] if self.store else []), *self.damaged]

    def as_json(self) -> dict[str, Any]:
        """With OPA's names, and others for what OPA has not."""
        active = self.revision
        return {
            "name": active.name if active else None,
            "type": self.type,
            "source": self.source,
            "side": self.side,
            "percent": self.percent,
            "active_revision": active.whole if active else None,
            "version": active.version if active else None,
            "digest": _digest(active.digest) if active else None,
            "params": _digest(active.overrides) if active and active.overrides else None,
            "origin": self.origin,
            "verified": self.vouched,
            "expires": _time(self.expires),
            "last_request": _time(self.last_request),
            "last_successful_request": _time(self.last_successful_request),
            "last_successful_download": _time(self.last_successful_download),
            "last_successful_activation": _time(self.last_successful_activation),
            "code": f"{self.step}_failed" if self.step else "",
            "message": self.message,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
            "pinned": _digest(self.pinned) if self.pinned else None,
            "suspended": self.suspended,
            "held_back": [_digest(one) for one in self.held_back],
            "kept": [one.whole for one in self.kept],
            "store": self.store,
            "damaged": list(self.damaged),
        }


def _digest(digits: str) -> str:
    return f"sha256:{digits}"


def _time(seconds: float) -> str | None:
    """As RFC 3339 has it, in UTC."""
    if not seconds:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
