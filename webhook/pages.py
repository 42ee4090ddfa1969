"""What the plain port shows besides probes. The one module that imports FastAPI."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response

from telemetry import CONTENT_TYPE
from webhook.health import Health

KEEP_SECONDS = 0.25
"""How old metrics may be: whoever asks for them all the time takes no processor time from decisions."""


def pages_app(health: Health) -> FastAPI:
    """The pages. Who lacks the token reads no name of a policy."""
    app = FastAPI(title="bayplan", openapi_url=None, redirect_slashes=False)
    whole, unnamed = _Kept(health.metrics.text), _Kept(partial(health.metrics.text, policies=False))

    @app.get("/metrics")
    async def read_metrics(request: Request) -> Response:
        kept = whole if health.may_read(request.headers.raw) else unnamed
        return Response(kept.get(), headers={"content-type": CONTENT_TYPE.decode()})

    return app


class _Kept:
    """A text that is made no more often than every `KEEP_SECONDS`, however often it is asked for."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._made = b""
        self._until = 0.0

    def get(self) -> bytes:
        if time.monotonic() >= self._until:
            self._made = self._make()
            self._until = time.monotonic() + KEEP_SECONDS
        return self._made
