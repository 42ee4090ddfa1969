"""Two HTTP servers: admission over TLS on the main thread's event loop, health and metrics in the clear on their own.

A decision holds its event loop until it is done; probes and metrics are answered by a thread with another one, whatever
happens on the first. On SIGTERM readiness goes first, so that no new connection comes; answers meanwhile ask for the
connection to be closed; then the listeners close, what is being answered is answered, and after a limit the rest is
cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
import uvloop

from engine.struct import Struct
from telemetry import Refusals
from webhook.app import Reviews
from webhook.connections import ADMISSION, HEALTH, KEEP_ALIVE_SECONDS, Connection, Connections, Limits, Origin, shown
from webhook.door import Door
from webhook.memory import give_back
from webhook.protocol import Protocol

GRACE_SECONDS = 5
BACKLOG = 2048
BEAT_SECONDS = 1.0
STUCK_SECONDS = 120.0
"""After which the event loop of admission counts as stuck, far beyond what any decision may take."""

log = logging.getLogger("bayplan.server")


class ListenError(Exception):
    """An address that can't be listened on."""


class Port(Struct, frozen=True):
    """What is served at a port. With a `context`, over TLS; with `names`, too, only to clients whose certificates carry
    one of them. What is refused goes to `refusals`."""

    app: Any
    refusals: Refusals
    limits: Limits | None = None
    context: ssl.SSLContext | None = None
    names: Collection[str] = ()


class _Server(uvicorn.Server):  # type: ignore[misc]
    """uvicorn's, which leaves signals to `serve`, and with a door before it."""

    def __init__(self, port: Port, limits: Limits) -> None:
        super().__init__(_config(port.app))
        self._port = port
        self._limits = port.limits or limits
        self.servers: list[Door] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        port = self._port
        places = Connections(self._limits, time.monotonic, self._refused)

        def protocol(connection: Connection) -> Protocol:
            return Protocol(connection, places, self._refused, port.names, self.config, self.server_state)

        self.servers = [Door(one, places, protocol, self._refused, port.context) for one in sockets or ()]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._port.refusals.flush()
        return bool(await super().on_tick(counter))

    def _refused(self, reason: str, origin: Origin, sentence: str) -> None:
        self._port.refusals(reason, shown(origin), sentence)


def listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT`; port 0 takes any free one. Raises ListenError.

    The host `::` stands for all addresses of both families, or of IPv4 alone where there is no IPv6.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ListenError(f"`{address}` is not HOST:PORT")
    try:
        return _listener(host, int(port))
    except OSError as error:
        raise ListenError(f"can't listen on `{address}`: {(error.strerror or str(error)).lower()}") from error


def _listener(host: str, port: int) -> socket.socket:
    if host == "::":
        if not socket.has_dualstack_ipv6():
            return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)
        return socket.create_server((host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def address_of(listener: socket.socket) -> str:
    """`HOST:PORT` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Serving:
    """Both servers. `run` returns after SIGTERM, SIGINT or `end`."""

    def __init__(self, reviews: Reviews, admission: Port, health: Port, *, shutdown_delay: float = 0.0) -> None:
        """`shutdown_delay` is the seconds that connections have to go elsewhere before the listeners close."""
        self.draining = False
        self._reviews = reviews
        self._delay = shutdown_delay
        self._admission = _Server(admission, ADMISSION)
        self._health = _Server(health, HEALTH)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._beat: float | None = None

    def run(self, admission: socket.socket, health: socket.socket, *, signals: bool = True) -> None:
        """Serve on two listening sockets until asked to end."""
        with (
            ThreadPoolExecutor(1, "health") as thread,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            try:
                runner.run(self._run(admission, health, thread, signals=signals))
            finally:
                self._health.should_exit = True
                self._loop = None

    def end(self) -> None:
        """Ask `run` to end, from any thread."""
        loop, ended = self._loop, self._ended
        if loop is not None and ended is not None:
            loop.call_soon_threadsafe(ended.set)

    def stuck(self) -> bool:
        """Whether the event loop of admission has not come round, or what is done beside it not ended, for far too
        long."""
        late = self._beat is not None and time.monotonic() - self._beat > STUCK_SECONDS
        return late or self._reviews.apart.busy_seconds() > STUCK_SECONDS

    async def _run(
        self, admission: socket.socket, health: socket.socket, thread: ThreadPoolExecutor, *, signals: bool
    ) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._ended.set)
        self._count_beats()
        tidying = asyncio.create_task(give_back())
        tasks: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._admission.serve(sockets=[admission])),
            self._loop.run_in_executor(thread, _run_apart, self._health, health),
        ]
        waiting = asyncio.create_task(self._ended.wait())
        while not (self._admission.started and self._health.started) and not any(task.done() for task in tasks):
            await asyncio.sleep(0.005)
        log.info("serving admission at https://%s/mutate", address_of(admission))
        log.info("serving health and metrics at http://%s", address_of(health))
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        self.draining = self._reviews.draining = True
        log.info("stopping")
        if self._ended.is_set():
            await asyncio.sleep(self._delay)
        self._admission.should_exit = True
        await asyncio.wait(tasks[:1])
        self._health.should_exit = True
        waiting.cancel()
        tidying.cancel()
        await asyncio.gather(*tasks)
        _abort(self._admission)
        await asyncio.sleep(0)
        log.info("stopped")

    def _count_beats(self) -> None:
        self._beat = time.monotonic()
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._count_beats)


def _run_apart(server: _Server, listener: socket.socket) -> None:
    """Run a server on an event loop of its own, in a thread that has none."""

    async def serve() -> None:
        await server.serve(sockets=[listener])
        _abort(server)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def _abort(server: _Server) -> None:
    """Cut whoever did not answer TLS's goodbye in time, and whoever never said anything."""
    for door in server.servers:
        door.clear()


def _config(app: Any) -> uvicorn.Config:
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
    )
