"""Two HTTP servers on one event loop: admission over TLS, health and metrics in the clear.

On SIGTERM readiness goes first, so that no new connection comes; answers meanwhile ask for the connection to be closed;
then the listeners close, what is being answered is answered, and after a limit the rest is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
import uvloop

from webhook.app import Mutate

KEEP_ALIVE_SECONDS = 120
"""Longer than the 90 s for which the API server keeps idle connections: who closes first makes the other fail."""
GRACE_SECONDS = 5
CONNECTIONS = 1000
"""At once; more are answered 503 at once, which the API server treats as its failure policy says."""
BACKLOG = 2048

log = logging.getLogger("bayplan.server")


class ListenError(Exception):
    """An address that can't be listened on."""


class _Server(uvicorn.Server):  # type: ignore[misc]
    """uvicorn's, which leaves signals to `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT`; port 0 takes any free one. Raises ListenError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ListenError(f"`{address}` is not HOST:PORT")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"can't listen on `{address}`: {(error.strerror or str(error)).lower()}") from error


def address_of(listener: socket.socket) -> str:
    """`HOST:PORT` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Serving:
    """Both servers. `run` returns after SIGTERM, SIGINT or `end`."""

    def __init__(
        self,
        mutate: Mutate,
        admission: Any,
        health: Any,
        context: ssl.SSLContext,
        *,
        shutdown_delay: float = 0.0,
    ) -> None:
        """`admission` and `health` are the ASGI applications; `shutdown_delay` the seconds that connections have to go
        elsewhere before the listeners close."""
        self.draining = False
        self._mutate = mutate
        self._delay = shutdown_delay
        self._admission = _Server(_config(admission, ssl_context_factory=lambda *_: context))
        self._health = _Server(_config(health))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    def run(self, admission: socket.socket, health: socket.socket, *, signals: bool = True) -> None:
        """Serve on two listening sockets until asked to end."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._run(admission, health, signals=signals))
            finally:
                self._loop = None

    def end(self) -> None:
        """Ask `run` to end, from any thread."""
        loop, ended = self._loop, self._ended
        if loop is not None and ended is not None:
            loop.call_soon_threadsafe(ended.set)

    async def _run(self, admission: socket.socket, health: socket.socket, *, signals: bool) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._ended.set)
        tasks = [
            asyncio.create_task(self._admission.serve(sockets=[admission])),
            asyncio.create_task(self._health.serve(sockets=[health])),
        ]
        waiting = asyncio.create_task(self._ended.wait())
        while not (self._admission.started and self._health.started) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.005)
        log.info("serving admission at https://%s/mutate", address_of(admission))
        log.info("serving health and metrics at http://%s", address_of(health))
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        self.draining = self._mutate.draining = True
        log.info("stopping")
        if self._ended.is_set():
            await asyncio.sleep(self._delay)
        self._admission.should_exit = True
        await asyncio.wait(tasks[:1])
        self._health.should_exit = True
        waiting.cancel()
        await asyncio.gather(*tasks)
        for server in (self._admission, self._health):
            for connection in list(server.server_state.connections):
                connection.transport.abort()  # whoever did not answer TLS's goodbye in time
        await asyncio.sleep(0)
        log.info("stopped")


def _config(app: Any, ssl_context_factory: Callable[..., ssl.SSLContext] | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
        ssl_context_factory=ssl_context_factory,
    )
