"""The door of a port: who is let in, in which order, and when they must have said what they want.

uvicorn would see a connection only when its TLS handshake is over. Here each is counted from its first packet, and
handshakes, half a millisecond of processor time each, are made one in each round of the event loop, of one origin
after the other and only with those whose greeting is there: nobody waits for the silent, and requests are answered in
between.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from webhook.connections import Connection, Connections, Origin, Phase, origin_of

ACCEPTS = 32
"""New connections in one round of the event loop."""
RECEIVE_BUFFER = 64 * 1024
"""Bytes that the kernel keeps of what a connection sends and nobody has read yet; it takes twice that for its own."""
PEEK_SECONDS = 0.02
"""After which a greeting that was not whole is looked at again."""
PAUSE_SECONDS = 0.1
"""How long nobody is accepted after the system had no room for a connection."""
SWEEP_SECONDS = 0.25
CLOSE_SECONDS = 1.0
"""For how long a goodbye of TLS is waited for, and what still comes is thrown away."""
HANDSHAKE = 0x16
MAX_GREETING = 16 * 1024
RESET = struct.pack("ii", 1, 0)


class Door:
    """Accepts connections on a listening socket, hands each to a protocol, and cuts those that take too much.

    `protocol` makes the protocol of a connection; `refused` counts and logs: a reason, an origin and a sentence.
    """

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        protocol: Callable[[Connection], asyncio.Protocol],
        refused: Callable[[str, Origin, str], None],
        context: ssl.SSLContext | None,
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._protocol = protocol
        self._refused = refused
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._greeted: dict[Origin, deque[tuple[Connection, socket.socket]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._loop.add_reader(listener.fileno(), self._accept)
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Accept nobody any more. Who has been accepted goes on."""
        self._closed = True
        self._loop.remove_reader(self._listener.fileno())

    def clear(self) -> None:
        """Cut everybody who is left."""
        self._sweeper.cancel()
        for connection in self._connections:
            self._connections.leave(connection)
            connection.cut()

    async def wait_closed(self) -> None:
        """As uvicorn asks of a server: nothing is left to wait for."""

    def _sweep(self) -> None:
        self._connections.sweep()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            try:
                stranger, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file descriptor or no memory is left
                self._refused("full", "", f"could not accept a connection: {(error.strerror or '').lower()}")
                self._connections.make_room()
                self._pause()
                return
            stranger.setblocking(False)
            self._enter(stranger, origin_of(address[0]))

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _enter(self, stranger: socket.socket, origin: Origin) -> None:
        phase = Phase.GREETING if self._context else Phase.HEAD
        connection = self._connections.enter(origin, phase, lambda: self._shut(stranger))
        if connection is None:
            self._refused("full", origin, "there is no room for another connection")
            _reset(stranger)
        elif self._context:
            self._loop.add_reader(stranger.fileno(), self._peek, connection, stranger)
        else:
            self._start(self._serve(connection, stranger))

    def _shut(self, stranger: socket.socket) -> None:
        """End a connection whose handshake has not begun."""
        self._loop.remove_reader(stranger.fileno())
        _reset(stranger)

    def _peek(self, connection: Connection, stranger: socket.socket) -> None:
        """Look whether a greeting is whole, and leave it where it is."""
        if stranger.fileno() < 0 or connection.phase is not Phase.GREETING:
            return
        try:
            head = stranger.recv(5, socket.MSG_PEEK)
            size = 5 + int.from_bytes(head[3:5])
            whole = len(head) == 5 and len(stranger.recv(size, socket.MSG_PEEK)) == size
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            head, size, whole = b"", 0, False
        if not head or head[0] != HANDSHAKE or size > MAX_GREETING:
            self._connections.leave(connection)
            self._shut(stranger)
            said = "closed the connection before a TLS greeting" if not head else "does not speak TLS"
            self._refused("tls" if head else "left", connection.origin, said)
            return
        self._loop.remove_reader(stranger.fileno())
        if not whole:
            self._loop.call_later(PEEK_SECONDS, self._peek, connection, stranger)
            return
        self._connections.move(connection, Phase.HANDSHAKE)
        if not self._greeted:
            self._loop.call_soon(self._next)
        self._greeted.setdefault(connection.origin, deque()).append((connection, stranger))

    def _next(self) -> None:
        """Begin one handshake, and come back in the next round."""
        if not self._greeted:
            return
        origin, crowd = next(iter(self._greeted.items()))
        del self._greeted[origin]
        connection, stranger = crowd.popleft()
        if crowd:
            self._greeted[origin] = crowd
        if stranger.fileno() >= 0:
            self._start(self._serve(connection, stranger))
        if self._greeted:
            self._loop.call_soon(self._next)

    def _start(self, serving: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection, stranger: socket.socket) -> None:
        """Hand a connection to its protocol, with TLS around it."""
        connection.cut = lambda: _end(stranger)
        tls = self._context is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(connection),
                stranger,
                ssl=self._context,
                ssl_handshake_timeout=60.0 if tls else None,  # a sweep comes long before
                ssl_shutdown_timeout=CLOSE_SECONDS if tls else None,
            )
        except OSError as error:
            if connection in self._connections:
                self._refused("tls", connection.origin, f"TLS failed: {_said(error)}")
            self._connections.leave(connection)


def _end(stranger: socket.socket) -> None:
    """End a connection that a transport holds already."""
    with contextlib.suppress(OSError):
        stranger.shutdown(socket.SHUT_RDWR)


def _reset(stranger: socket.socket) -> None:
    """Close without a goodbye, which would keep the connection in the kernel for a while."""
    with contextlib.suppress(OSError):
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    stranger.close()


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "unknown").replace("_", " ").lower()
    return (error.strerror or str(error) or type(error).__name__).lower()
