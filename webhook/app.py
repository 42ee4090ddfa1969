"""The HTTP application of the TLS port: admission.

`POST /mutate`, and `/validate` where policies are objects, are a raw ASGI endpoint: building request and response
objects would cost more than deciding.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.documents import RequestError
from telemetry import Refusals
from webhook import review
from webhook.admission import Answer
from webhook.turns import Apart, NoTurnError, Runs, Turns, at_once

MAX_BODY = 20 * 1024 * 1024
"""Bytes. The API server takes objects of 3 MiB, each byte of which can be six in a review (`<` is `\\u003c`): 18 MiB.
So is an update of an object of 1.5 MiB, what etcd keeps, for it shows the old one, too. The rest is for the user."""
MANY = 1024 * 1024
MAX_VALUES = 2_000_000
"""In a body over `MANY` bytes, commas and brackets of any kind: about the values that it makes in memory, 70 bytes
each. What the API server sends has fewer, for a value is two bytes of etcd's 1.5 MiB at least."""
LARGE = 32 * 1024
"""Bytes beyond which a body is read and decided apart. Most pods' are 5 to 20 KiB; what is smaller takes ten
milliseconds at most."""
BODY_SECONDS = 10.0
"""How long a request's body may take to arrive."""


class Answers(Protocol):
    """What answers reviews."""

    async def answer(self, body: bytes | bytearray, run: Runs = at_once) -> Answer:
        """The answer to a body. What may take long is done by `run`, which raises NoTurnError."""


class Reviews:
    """The ASGI endpoint of the paths that take reviews. While `draining`, each answer asks to connect elsewhere."""

    def __init__(self, mutate: Answers, refusals: Refusals | None = None, validate: Answers | None = None) -> None:
        self.by_path = {"/mutate": mutate, **({"/validate": validate} if validate else {})}
        self._refusals = refusals
        self.turns, self.apart = Turns(), Apart()
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refuse(scope)
        answer = refused or await self._answer(scope, receive)
        if answer is None:
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer.body))]
        if self.draining or refused:
            headers.append((b"connection", b"close"))
        if answer.status != 200 and self._refusals is not None:
            self._refusals(str(answer.status), _client(scope), str(json.loads(answer.body)["message"]))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        """The answer to a request whose headers are fine; None where nobody waits for one any more."""
        body = await _body(receive)
        if body is None or isinstance(body, Answer):
            return body
        connection, size = scope.get("connection"), len(body)
        answers = self.by_path[scope["path"]]
        try:
            if size > LARGE:
                run = self.apart.of(connection, size)
                if size > MANY and await run(partial(_values, body)) > MAX_VALUES:
                    return _failure(413, "RequestEntityTooLarge", f"the body has more than {MAX_VALUES} values")
                return await answers.answer(body, run)
            if self.turns.take() or await self.turns.wait(connection, size):
                return await answers.answer(body)
        except NoTurnError:
            pass
        return _failure(503, "ServiceUnavailable", "too many reviews wait for their turn")


def admission_app(reviews: Reviews, refusals: Refusals) -> ASGIApp:
    """The application of the TLS port. It has these paths, and is no more: a flood of others costs little."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["path"] in reviews.by_path
        if known and scope["method"] == "POST":
            await reviews(scope, receive, send)
        elif await reviews.turns.mine(scope.get("connection"), 0):
            status, reason = (405, b"Method Not Allowed") if known else (404, b"Not Found")
            refusals(str(status), _client(scope), f"{scope['method']} {scope['path']}")
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(reason)), (b"allow", b"POST")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": reason})

    return route


def counted(app: ASGIApp, refusals: Refusals) -> ASGIApp:
    """An application whose refusals of clients are counted."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
                refusals(str(message["status"]), _client(scope), f"{scope['method']} {scope['path']}")
            await send(message)

        await app(scope, receive, tell)

    return route


def _client(scope: Scope) -> str:
    """Who asks, for the log."""
    return str((scope.get("client") or ("somebody",))[0])


def _values(body: bytes | bytearray) -> int:
    """How many values a body has, about; counted in pieces, between which other threads are let in."""
    pieces = (body[start : start + MANY] for start in range(0, len(body), MANY))
    return len(body) - sum(len(piece.translate(None, b",{[")) for piece in pieces)


def _refuse(scope: Scope) -> Answer | None:
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
