"""Ask an HTTPS server at a steady rate, as a process of its own: `python -m tests.e2e.load` with a JSON object on
standard input (`Load`'s fields), which ends with one on standard output (`Measured`'s).

Requests are due at fixed times, and how long each took counts from when it was due, so that whoever is slow is not
asked less. With no rate, each connection asks again as soon as it was answered.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
UID = "00000000-0000-4000-8000-{:012d}"
"""Of the request of a number. Bodies have `UID_HERE` where it goes."""
UID_HERE = "11111111-1111-4111-8111-111111111111"


@dataclass(frozen=True)
class Load:
    """What to ask: `bodies` take turns; `rate` a second for `seconds`, or as many as can be, over `connections`."""

    url: str
    authority: str
    bodies: Sequence[str]
    rate: float
    seconds: float
    connections: int = 32
    headers: Mapping[str, str] = field(default_factory=dict)
    first: int = 0
    """The number of the first request."""


@dataclass(frozen=True)
class Measured:
    """`took` are the seconds of each request from when it was due; `wrong` are answers other than `wanted`, cut."""

    took: list[float]
    wrong: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.took) / self.seconds

    def quantile(self, percent: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.took)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def told(self, name: str) -> str:
        """A line for people."""
        shown = ", ".join(f"{label} {self.quantile(at):.1f}" for label, at in POINTS)
        mean = 1000 * statistics.fmean(self.took)
        return f"{name}: {len(self.took)} at {self.rate:.0f}/s, {len(self.wrong)} wrong, ms: mean {mean:.1f}, {shown}"


POINTS = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0))


def together(*parts: Measured) -> Measured:
    """Several runs as one."""
    took = [each for part in parts for each in part.took]
    wrong = [each for part in parts for each in part.wrong]
    return Measured(took, wrong, sum(part.seconds for part in parts))


class Asking:
    """A load in another process, that has begun."""

    def __init__(self, load: Load) -> None:
        command = [sys.executable, "-m", "tests.e2e.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)))
        self._process.stdin.close()

    def done(self) -> Measured:
        """Wait for its end."""
        with self._process:
            assert self._process.stdout is not None
            text = self._process.stdout.read()
        assert self._process.returncode == 0
        return Measured(**json.loads(text))


def asked(load: Load) -> Measured:
    """Ask, and wait for the end."""
    return Asking(load).done()


class _Connection:
    """A connection that is kept, and made anew if it breaks."""

    def __init__(self, load: Load, context: ssl.SSLContext) -> None:
        self._place, self._context = urlsplit(load.url), context
        target = self._place.path + (f"?{self._place.query}" if self._place.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {self._place.netloc}", "Content-Type: application/json"]
        self._head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in load.headers.items())])
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: str) -> str:
        """What is wrong with the answer, empty if nothing is."""
        try:
            if self._streams is None:
                host, port = self._place.hostname, self._place.port
                self._streams = await asyncio.open_connection(host, port, ssl=self._context)
            reader, writer = self._streams
            data = body.encode()
            writer.write(f"{self._head}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            answer = await _body(reader, head.lower())
        except (OSError, EOFError, KeyError, ValueError) as error:
            self._streams = None
            return repr(error)
        refused = b'"allowed":true' not in answer and b'"kind":"Pod"' not in answer
        return f"{status} {answer[:500]!r}" if status not in (200, 201) or refused else ""


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """What follows a head in lower case: of a length that is told, or in pieces, as an API server sends long ones."""
    told = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
    if told.get(b"transfer-encoding") != b"chunked":
        return await reader.readexactly(int(told[b"content-length"]))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


async def _run(load: Load) -> Measured:
    context = ssl.create_default_context(cafile=load.authority)
    free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
    took, wrong = list[float](), list[str]()

    async def ask(connection: _Connection, number: int, due: float) -> None:
        body = load.bodies[number % len(load.bodies)].replace(UID_HERE, UID.format(number))
        said = await connection.ask(body)
        took.append(time.perf_counter() - due)
        wrong.extend([said] if said else [])
        free.put_nowait(connection)

    connections = [_Connection(load, context) for _ in range(load.connections)]
    for connection in connections:  # greetings are not what is measured
        await ask(connection, load.first, time.perf_counter())
    took.clear()
    number, begun, running = load.first, time.perf_counter(), set[asyncio.Task[None]]()
    while (now := time.perf_counter()) < begun + load.seconds:
        due = begun + (number - load.first) / load.rate if load.rate else now
        if due > now:
            await asyncio.sleep(due - now)
        connection = await free.get()
        task = asyncio.create_task(ask(connection, number, due if load.rate else time.perf_counter()))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
    await asyncio.gather(*running)
    return Measured(took, wrong[:20], time.perf_counter() - begun)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_run(Load(**json.load(sys.stdin)))))))
