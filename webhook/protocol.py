"""HTTP on one connection: uvicorn's protocol, with limits on what it takes before an application is asked.

A request's line and headers have a size, one request comes after the other, and no other protocol is spoken. What the
connection owes is told to `Connections` as it goes along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from webhook.connections import Connection, Connections, Origin, Phase

Refused = Callable[[str, Origin, str], None]
"""Counts and logs what got no review: a reason, an origin and a sentence."""


LINGER_SECONDS = 0.05
"""For how long what such clients still send is read and thrown away; otherwise they might not see why."""


class _RefusedError(Exception):
    """A request that is refused while its headers are read: with a status, and why."""


class Protocol(HttpToolsProtocol):  # type: ignore[misc]
    """The protocol of one connection. With `names`, only client certificates that carry one of them are answered."""

    def __init__(
        self,
        connection: Connection,
        connections: Connections,
        refused: Refused,
        names: Collection[str],
        config: uvicorn.Config,
        state: ServerState,
    ) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._connection = connection
        self._places = connections
        self._refused = refused
        self._names = names
        self._head = 0
        """Bytes of the head that is being read, or 0 between two requests."""
        self._in_head = True
        self._over = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._connection.cut = transport.abort
        if self._connection not in self._places:
            transport.abort()
        elif self._names and not self._known(transport):
            self._end("certificate", "the client's certificate carries none of the allowed names")
        else:
            self._places.move(self._connection, Phase.OPEN)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._places.leave(self._connection)
        self._connection.cut = _nothing  # or it would keep the transport, and that this

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            room = self._places.limits.head - self._head
            self._head += len(data)
            if len(data) > room:
                self._feed(data[:room])
                data = data[room:]
            if self._head > self._places.limits.head:  # for it is not over
                self._answer(431, "the headers of a request are too large")
                return
        self._feed(data)
        self._settle()

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            raise ValueError("a request before the answer to the last")
        super().on_message_begin()
        self.scope["connection"] = self._connection

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            raise ValueError("trailers")
        if len(self.headers) >= self._places.limits.headers:
            raise _RefusedError(431, "a request has too many headers")
        super().on_header(name, value)
        if self.headers[-1][0] == b"transfer-encoding":  # chunks could be of one byte each
            raise _RefusedError(411, "the body's length must be said before it, as the API server does")

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            super().on_body(body)
            self._places.hold(self._connection, len(body))

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._places.release(self._connection)
        self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    def _feed(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._answer(400, "asks for another protocol")
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _RefusedError):
                self._answer(*cause.args)
            else:
                said = cause if isinstance(cause, ValueError) else error
                self._answer(400, f"is not HTTP as it should be: {said}")

    def _settle(self) -> None:
        """Say what the connection owes now."""
        if self.flow.write_paused:
            phase = Phase.READING
        elif not self._in_head:
            phase = Phase.BODY
        elif self._head:
            phase = Phase.HEAD
        elif self.cycle is None:
            return
        else:
            phase = Phase.RESTING if self.cycle.response_complete else Phase.BUSY
        if phase is not self._connection.phase:
            self._places.move(self._connection, phase)

    def _answer(self, status: int, sentence: str) -> None:
        """Refuse what can't be read, and end the connection."""
        if self.cycle is None or self.cycle.response_complete:
            text = f"{HTTPStatus(status).phrase}\n".encode()
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain\r\n"
            self.transport.write(f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n".encode() + text)
        self._end(str(status), sentence)

    def _end(self, reason: str, sentence: str) -> None:
        self._over = True
        self._refused(reason, self._connection.origin, sentence)
        self.transport.close()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _known(self, transport: asyncio.Transport) -> bool:
        certificate: dict[str, Any] = transport.get_extra_info("peercert") or {}
        subject = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
        return not subject.union(value for _, value in certificate.get("subjectAltName", ())).isdisjoint(self._names)


def _nothing() -> None:
    """To be called in vain."""
