"""The HTTP application of the plain port: probes, and pages for operators and Prometheus.

Probes are raw ASGI endpoints. FastAPI, which has the pages, would be half of what a process imports before it is ready,
so it is imported for the first page, by a thread that no decision waits for.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.struct import Struct
from telemetry import Metrics

TOKEN = b"x-bayplan-token"
"""Another header for the token: the API server's proxy to pods takes `Authorization` for itself."""


class Operated(Protocol):
    """A source of bundles: what there is to say of it, and what may be decided about it."""

    @property
    def status(self) -> Tells: ...

    def rollback(self, to: str = "") -> object: ...

    def pin(self, to: str = "") -> object: ...

    def suspend(self) -> None: ...

    def resume(self) -> None: ...


class Tells(Protocol):
    """What can be told as JSON."""

    def as_json(self) -> dict[str, Any]: ...


class Health(Struct, frozen=True):
    """What the plain port tells of, and to whom."""

    metrics: Metrics
    unready: Callable[[], Sequence[str]]
    """What readiness waits for, in words."""
    stuck: Callable[[], bool] = lambda: False
    """Whether the process must be started anew."""
    token: Path | None = None
    """A file with the token of those who may read names of policies and bundles; nobody may without one."""
    notes: Callable[[], Sequence[str]] = tuple
    """What is wrong though it is ready: a bundle that was not activated, so that an older one decides on."""
    bundles: Sequence[Operated] = ()
    """The sources of bundles, to be told of and operated."""
    operators: Path | None = None
    """A file with the token of those who may decide what serves; nobody may without one."""
    store: Callable[[], Mapping[str, Any] | None] = lambda: None
    """What there is to say of the store of decisions; None where there is none."""

    def may_read(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request carries the token that the file holds now: an operator's is good for that, too."""
        given = dict(headers)
        return _holds(self.token, given) or _holds(self.operators, given)

    def may_operate(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request carries the operators' token."""
        return _holds(self.operators, dict(headers))


def _holds(file: Path | None, headers: Mapping[bytes, bytes]) -> bool:
    """Whether headers carry the token that a file holds now."""
    if file is None:
        return False
    try:
        wanted = file.read_bytes().strip()
    except OSError:
        return False
    kind, _, mine = headers.get(b"authorization", b"").partition(b" ")
    mine = mine if kind.lower() == b"bearer" else headers.get(TOKEN, b"")
    return bool(wanted) and hmac.compare_digest(mine.strip(), wanted)


class HealthApp:
    """The application. Strangers get no name of a bundle or policy, nor a reason with one."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._pages: asyncio.Future[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        probe = {"/healthz": self._healthz, "/readyz": self._readyz}.get(scope["path"])
        if probe is None:
            if self._pages is None:
                self._pages = asyncio.ensure_future(asyncio.to_thread(_pages, self._health))
            await (await asyncio.shield(self._pages))(scope, receive, send)
        elif scope["method"] != "GET":
            await _say(send, 405, "Method Not Allowed", (b"allow", b"GET"))
        else:
            await _say(send, *probe(scope))

    def _healthz(self, _: Scope) -> tuple[int, str]:
        return (500, "stuck\n") if self._health.stuck() else (200, "ok\n")

    def _readyz(self, scope: Scope) -> tuple[int, str]:
        reasons, notes = self._health.unready(), self._health.notes()
        status = 503 if reasons else 200
        if (reasons or notes) and not self._health.may_read(scope["headers"]):
            told = "not ready: the log says why, and so does this page with the token of --status-token-file"
            return status, f"{told}\n" if reasons else "ok\n"
        return status, "".join(f"{line}\n" for line in (reasons or ["ok", *notes]))


def _pages(health: Health) -> ASGIApp:
    from webhook.pages import pages_app

    return pages_app(health)


async def _say(send: Send, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
