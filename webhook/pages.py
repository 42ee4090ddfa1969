"""What the plain port shows besides probes. The one module that imports FastAPI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response

from delivery import HeldError
from telemetry import CONTENT_TYPE
from webhook.health import Health, Operated

KEEP_SECONDS = 0.25
"""How old metrics may be: whoever asks for them all the time takes no processor time from decisions."""


ORDERS: Mapping[str, Callable[[Operated, str], object]] = {
    "rollback": lambda bundle, to: bundle.rollback(to),
    "pin": lambda bundle, to: bundle.pin(to),
    "suspend": lambda bundle, _: bundle.suspend(),
    "resume": lambda bundle, _: bundle.resume(),
}
"""What may be asked of a bundle, with the operator's token; two of them may name a revision."""


def pages_app(health: Health) -> FastAPI:
    """The pages. Who lacks the token reads no name of a policy."""
    app = FastAPI(title="bayplan", openapi_url=None, redirect_slashes=False)
    whole, unnamed = _Kept(health.metrics.text), _Kept(partial(health.metrics.text, policies=False))

    @app.get("/metrics")
    async def read_metrics(request: Request) -> Response:
        kept = whole if health.may_read(request.headers.raw) else unnamed
        return Response(kept.get(), headers={"content-type": CONTENT_TYPE.decode()})

    @app.get("/status")
    async def read_status(request: Request) -> Response:
        return _told(health) if health.may_read(request.headers.raw) else _stranger()

    @app.post("/{what}")
    async def operate(request: Request, what: str) -> Response:
        order = ORDERS.get(what)
        if order is None:
            return _json({"message": f"there is no page `/{what}` here"}, 404)
        if not health.may_operate(request.headers.raw):
            return _json({"message": "this needs the token of --operator-token-file"}, 401)
        to, named = request.query_params.get("revision", ""), request.query_params.get("bundle", "")
        try:
            await asyncio.to_thread(order, _one(health.bundles, named), to)
        except HeldError as error:
            return _json({"message": str(error)}, 409)
        return _told(health)

    return app


def _one(bundles: Sequence[Operated], named: str) -> Operated:
    """The bundle of a name or source; the only active one, if none is named. Raises HeldError.

    By its name the active one is meant, not the one before it, which decides about the workloads that are left.
    """
    told = [(one, one.status.as_json()) for one in bundles]
    fitting = [one for one, its in told if named == its["source"]]
    fitting = fitting or [one for one, its in told if its["side"] == "active" and named in ("", its["name"])]
    if len(fitting) == 1:
        return fitting[0]
    every = dict.fromkeys(name for _, its in told for name in sorted({str(its["name"]), its["source"]}))
    known = ", ".join(f"`{name}`" for name in every)
    if fitting and named:
        raise HeldError(f"several bundles are called `{named}`, say its source: {known}")
    raise HeldError(f"there is no bundle `{named}`: {known}" if named else f"say which of the bundles: {known}")


def _told(health: Health) -> Response:
    return _json({"bundles": [one.status.as_json() for one in health.bundles], "store": health.store()})


def _stranger() -> Response:
    return _json({"message": "this needs the token of --status-token-file"}, 401)


def _json(told: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(told, indent=2) + "\n", status, media_type="application/json")


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
