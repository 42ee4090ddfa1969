"""Who is connected to a port, what each connection owes, and who must go when there is no room. No I/O.

A connection owes something from the moment that it is accepted: a greeting, a handshake, a request, headers, a body,
the reading of its answer. Whoever owes for too long is cut, and where connections or the bytes of bodies become too
many, whoever has owed longest of the origin that takes most. What is being answered is never cut; what has been
answered and rests is cut last, unless few owe anything, for that is how the API server's connections look.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from enum import Enum

from engine.struct import Struct, field

MIB = 1024 * 1024
KEEP_ALIVE_SECONDS = 120
"""For how long a connection may be without a request. Longer than the 90 s for which the API server keeps idle ones:
who closes first makes the other fail."""

Origin = str | bytes
"""Whom a connection is of: an IPv4 address, or the first 64 bits of an IPv6 one, which are one network's."""


class Phase(Enum):
    """What a connection owes, or that it owes nothing: `BUSY` is being answered, `RESTING` has been."""

    GREETING = "a TLS greeting"
    HANDSHAKE = "the end of the TLS handshake"
    OPEN = "a request"
    """The first. In a burst the API server opens more connections than it needs, and keeps what it has not used."""
    HEAD = "the headers of a request"
    BODY = "the body of a request"
    READING = "to read its answer"
    BUSY = "nothing yet"
    RESTING = "nothing"


FEW = 16
"""Connections that owe something: no more of them are no flood, and may well be the API server's newest."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one port bears. Times are seconds, sizes bytes."""

    connections: int
    """At once, of everybody."""
    of_one_origin: int
    """At once, of one origin."""
    bodies: int
    """Of all bodies that are held at once."""
    bodies_of_one_origin: int
    head: int = 32 * 1024
    """Of a request's line and headers."""
    headers: int = 100
    """Of a request."""
    seconds: dict[Phase, float] = field(
        default_factory=lambda: {
            Phase.GREETING: 5.0,
            Phase.HANDSHAKE: 5.0,
            Phase.OPEN: KEEP_ALIVE_SECONDS,
            Phase.HEAD: 5.0,
            Phase.BODY: 12.0,
            Phase.READING: 10.0,
        }
    )
    """For how long each thing may be owed."""


ADMISSION = Limits(connections=1000, of_one_origin=500, bodies=64 * MIB, bodies_of_one_origin=40 * MIB)
HEALTH = Limits(connections=100, of_one_origin=50, bodies=MIB, bodies_of_one_origin=MIB)


class Connection:
    """One connection; `cut` ends it at once, and may be called in any phase."""

    __slots__ = ("cut", "gone", "held", "origin", "phase", "since")

    def __init__(self, origin: Origin, phase: Phase, since: float, cut: Callable[[], None]) -> None:
        self.origin = origin
        self.phase = phase
        self.since = since
        """When the phase began."""
        self.cut = cut
        self.held = 0
        """Bytes of its body that are in memory."""
        self.gone: Callable[[], None] | None = None
        """Called when the connection ends, by whoever waits for something on its behalf."""


class Connections:
    """All connections of one port. `dropped` is told of each that had to go: why, in a word, and a sentence."""

    def __init__(self, limits: Limits, clock: Callable[[], float], dropped: Callable[[str, Origin, str], None]) -> None:
        self.limits = limits
        self.held = 0
        """Bytes of all bodies that are in memory."""
        self._clock = clock
        self._dropped = dropped
        self._all: dict[Connection, None] = {}
        self._owed = 0
        self._owing: dict[Origin, dict[Connection, None]] = {}
        self._resting: dict[Origin, dict[Connection, None]] = {}
        self._count: dict[Origin, int] = {}
        self._bodies: dict[Origin, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, connection: object) -> bool:
        return connection in self._all

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._all))

    def enter(self, origin: Origin, phase: Phase, cut: Callable[[], None]) -> Connection | None:
        """A place for a new connection, somebody else's if need be; None where all are being answered."""
        limits = self.limits
        if self._count.get(origin, 0) >= limits.of_one_origin and not self._make_room(origin):
            return None
        if len(self._all) >= limits.connections and not self._make_room():
            return None
        connection = Connection(origin, phase, self._clock(), cut)
        self._all[connection] = None
        self._count[origin] = self._count.get(origin, 0) + 1
        self._file(connection)
        return connection

    def move(self, connection: Connection, phase: Phase) -> None:
        """The connection is in another phase from now on."""
        if connection not in self._all:
            return
        self._unfile(connection)
        connection.phase, connection.since = phase, self._clock()
        self._file(connection)

    def hold(self, connection: Connection, size: int) -> None:
        """More of a body is in memory; where that is too much, the largest of whoever has most goes."""
        if connection not in self._all:
            return
        limits, origin = self.limits, connection.origin
        connection.held += size
        self.held += size
        self._bodies[origin] = self._bodies.get(origin, 0) + size
        while connection.held:
            if self._bodies[origin] > limits.bodies_of_one_origin:
                victim = self._largest(origin)
            elif self.held > limits.bodies:
                victim = self._largest(max(self._bodies, key=lambda one: self._bodies[one]))
            else:
                return
            self._drop(victim or connection, "bodies", "too many bytes of requests wait for their end")

    def _largest(self, origin: Origin) -> Connection | None:
        """The connection of an origin that holds most, of those whose body is unfinished or waits for its turn."""
        spare = (one for one in self._all if one.origin == origin and (one.phase is not Phase.BUSY or one.gone))
        return max(spare, key=lambda one: one.held, default=None)

    def release(self, connection: Connection) -> None:
        """Nothing of the connection's body is in memory any more."""
        size, connection.held = connection.held, 0
        if size:
            self.held -= size
            left = self._bodies[connection.origin] - size
            if left:
                self._bodies[connection.origin] = left
            else:
                del self._bodies[connection.origin]

    def leave(self, connection: Connection) -> None:
        """The connection has ended, or is about to."""
        if connection not in self._all:
            return
        self._unfile(connection)
        del self._all[connection]
        self.release(connection)
        left = self._count[connection.origin] - 1
        if left:
            self._count[connection.origin] = left
        else:
            del self._count[connection.origin]
        if connection.gone is not None:
            connection.gone()

    def sweep(self) -> None:
        """Cut all that have owed something for too long."""
        now, seconds = self._clock(), self.limits.seconds
        late = [one for of in self._owing.values() for one in of if now - one.since > seconds[one.phase]]
        for one in late:
            self._drop(one, "late", f"owed {one.phase.value} for {seconds[one.phase]:g} seconds")

    def make_room(self) -> bool:
        """Cut somebody, because there is room for nobody; whether anybody could be."""
        return self._make_room()

    def _make_room(self, origin: Origin | None = None) -> bool:
        many = self._owed > FEW if origin is None else len(self._owing.get(origin, ())) > FEW
        for crowd in (self._owing, self._resting) if many else (self._resting, self._owing):
            of = origin if origin is not None else max(crowd, key=lambda one: len(crowd[one]), default="")
            victim = next(iter(crowd.get(of, ())), None)
            if victim is not None:
                self._drop(victim, "evicted", f"made room for others, owing {victim.phase.value}")
                return True
        return False

    def _drop(self, connection: Connection, why: str, sentence: str) -> None:
        self._dropped(why, connection.origin, sentence)
        self.leave(connection)
        connection.cut()

    def _file(self, connection: Connection) -> None:
        phase = connection.phase
        if phase is not Phase.BUSY:
            crowd = self._resting if phase is Phase.RESTING else self._owing
            self._owed += crowd is self._owing
            of = crowd.get(connection.origin)
            if of is None:
                crowd[connection.origin] = {connection: None}
            else:
                of[connection] = None

    def _unfile(self, connection: Connection) -> None:
        phase = connection.phase
        if phase is not Phase.BUSY:
            crowd = self._resting if phase is Phase.RESTING else self._owing
            self._owed -= crowd is self._owing
            of = crowd[connection.origin]
            del of[connection]
            if not of:
                del crowd[connection.origin]


def origin_of(host: str) -> Origin:
    """The origin of a client's address as `accept` says it."""
    if ":" not in host:
        return host
    number = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if number.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntoa(number[12:])
    return number[:8]


def shown(origin: Origin) -> str:
    """An origin in a log."""
    return origin if isinstance(origin, str) else socket.inet_ntop(socket.AF_INET6, origin + bytes(8)) + "/64"
