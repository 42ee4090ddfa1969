"""The two HTTP applications: admission on the TLS port, and what operators and probes read on the plain one.

`POST /mutate` is a raw ASGI endpoint: building request and response objects would cost more than deciding.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from fastapi import FastAPI, Response
from starlette.routing import Route

from engine.documents import RequestError
from telemetry import CONTENT_TYPE, Metrics
from webhook import review
from webhook.admission import Admission, Answer

MAX_BODY = 3 * 1024 * 1024
"""Bytes: what the API server itself takes."""
BODY_SECONDS = 10.0
"""How long a request's body may take to arrive."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("bayplan.admission")


class Mutate:
    """The ASGI endpoint of `/mutate`. While `draining`, each answer asks the API server to connect elsewhere."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.draining = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = _refuse(scope)
        if answer is None:
            body = await _body(receive)
            if body is None:
                return
            answer = body if isinstance(body, Answer) else await self._admission.answer(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer.body))]
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def admission_app(mutate: Mutate) -> FastAPI:
    """The application of the TLS port. It has one path."""
    app = FastAPI(title="bayplan", openapi_url=None, redirect_slashes=False)
    app.router.routes.append(Route("/mutate", endpoint=mutate, methods=["POST"]))
    return app


def health_app(metrics: Metrics, unready: Callable[[], Sequence[str]]) -> FastAPI:
    """The application of the plain port. `unready` gives what readiness waits for, in words."""
    app = FastAPI(title="bayplan", openapi_url=None, redirect_slashes=False)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        reasons = unready()
        text = "".join(f"{reason}\n" for reason in reasons) or "ok\n"
        return Response(text, status_code=503 if reasons else 200, media_type="text/plain")

    @app.get("/metrics")
    async def read_metrics() -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE.decode()})

    return app


def _refuse(scope: Message) -> Answer | None:
    """What can be refused before the body is read."""
    kind = length = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = value
    if not kind.lower().startswith(b"application/json"):
        shown = kind.decode("latin-1") or "nothing"
        return _failure(415, "UnsupportedMediaType", f"content-type: expected `application/json`, got `{shown}`")
    return _too_large() if length and int(length) > MAX_BODY else None


async def _body(receive: Receive) -> bytes | bytearray | Answer | None:
    """The whole body; or why not; or None, when the sender has gone.

    The time limit is asyncio.timeout by hand, which costs a fifth of it and would be a tenth of an answer.
    """
    task, expired = asyncio.current_task(), False
    assert task is not None

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(BODY_SECONDS, expire)
    try:
        return await _gather(receive)
    except asyncio.CancelledError:
        task.uncancel()
        if expired:
            return _failure(408, "Timeout", f"the body did not arrive within {BODY_SECONDS:g} seconds")
        return _failure(503, "ServiceUnavailable", "the webhook stops before the body has arrived")
    finally:
        timer.cancel()


async def _gather(receive: Receive) -> bytes | bytearray | Answer | None:
    message = await receive()
    body: bytes | bytearray = message.get("body", b"")
    while message["type"] == "http.request":
        if len(body) > MAX_BODY:
            return _too_large()
        if not message.get("more_body"):
            return body
        message = await receive()
        body = bytearray(body) if isinstance(body, bytes) else body
        body += message.get("body", b"")
    return None


def _too_large() -> Answer:
    return _failure(413, "RequestEntityTooLarge", f"the body is larger than {MAX_BODY} bytes")


def _failure(code: int, reason: str, message: str) -> Answer:
    return Answer(code, review.failure(code, reason, RequestError("", message)))
