"""Hostile clients of the admission port, as a program: `hostile.py KIND PORT SOURCE COUNT`, until it is killed.

Each kind keeps COUNT connections to 127.0.0.1 busy with one bad manner, from the address SOURCE, and opens new ones for
those that are cut. It says `ready` once all have been tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import ssl
import sys
from collections.abc import Awaitable, Callable

HEAD = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
PIECE = b"x" * 65536
PAUSE_SECONDS = 0.05
"""Between two connections of one client: a flood, but one that leaves the other core to those who measure."""


class Attacker:
    """What a kind has to work with."""

    def __init__(self, port: int, source: str) -> None:
        self.port = port
        self.source = source
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trust.check_hostname, self.trust.verify_mode = False, ssl.CERT_NONE

    async def connect(self, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self.trust if tls else None
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, local_addr=(self.source, 0))


async def silent(attacker: Attacker) -> None:
    """A connection, and nothing else."""
    reader, _ = await attacker.connect(tls=False)
    await reader.read()


async def greets_halfway(attacker: Attacker) -> None:
    """The beginning of a TLS greeting."""
    reader, writer = await attacker.connect(tls=False)
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00")
    await reader.read()


async def idle(attacker: Attacker) -> None:
    """A whole handshake, and then nothing."""
    reader, _ = await attacker.connect()
    await reader.read()


async def endless_header(attacker: Attacker) -> None:
    _, writer = await attacker.connect()
    writer.write(b"POST /mutate HTTP/1.1\r\nx: ")
    while True:
        await pour(writer, PIECE)


async def endless_headers(attacker: Attacker) -> None:
    _, writer = await attacker.connect()
    writer.write(b"POST /mutate HTTP/1.1\r\n")
    while True:
        await pour(writer, b"a: b\r\n" * 10_000)


async def slow_header(attacker: Attacker) -> None:
    """A byte of a header now and then."""
    _, writer = await attacker.connect()
    writer.write(b"POST /mutate HTTP/1.1\r\nx: ")
    while True:
        await pour(writer, b"x")
        await asyncio.sleep(0.5)


async def unfinished_body(attacker: Attacker) -> None:
    """A body of three megabytes, all but its last byte."""
    reader, writer = await attacker.connect()
    writer.write(HEAD + b"content-length: 3000000\r\n\r\n")
    for _ in range(45):
        writer.write(PIECE)
        await writer.drain()
    await reader.read()


async def tiny_chunks(attacker: Attacker) -> None:
    _, writer = await attacker.connect()
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        await pour(writer, b"1\r\nx\r\n" * 10_000)


async def pipelined(attacker: Attacker) -> None:
    _, writer = await attacker.connect()
    while True:
        await pour(writer, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000)


async def garbage(attacker: Attacker) -> None:
    reader, writer = await attacker.connect()
    writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")
    await reader.read()


async def other_paths(attacker: Attacker) -> None:
    """Requests that are answered 404, one after the other."""
    reader, writer = await attacker.connect()
    while True:
        writer.write(b"GET /other HTTP/1.1\r\nhost: x\r\n\r\n")
        await writer.drain()
        if not await reader.read(4096):
            return


async def never_reads(attacker: Attacker) -> None:
    """Requests one after the other, and no answer is ever read."""
    reader, writer = await attacker.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    request = post(large("<", 1000))
    while True:
        await pour(writer, request)
        await asyncio.sleep(0.01)
        assert reader


async def large_reviews(attacker: Attacker) -> None:
    """Whole reviews of nine megabytes."""
    await send_on(attacker, post(large("<", 1_500_000)))


async def dear_reviews(attacker: Attacker) -> None:
    """Whole reviews with all the terms that fit into 200 KB."""
    await send_on(attacker, post(terms(1_000)))


async def value_bombs(attacker: Attacker) -> None:
    """Bodies that would be a thousand times as many objects as bytes."""
    await send_on(
        attacker, post(b'{"apiVersion":"admission.k8s.io/v1","request":{"object":{"a":[' + b"{}," * 6_000_000)
    )


async def pour(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Write, and notice when the other side has gone."""
    writer.write(piece)
    await writer.drain()
    await asyncio.sleep(0)
    if writer.is_closing():
        raise ConnectionResetError


async def send_on(attacker: Attacker, request: bytes) -> None:
    reader, writer = await attacker.connect()
    while True:
        writer.write(request)
        await writer.drain()
        if not await reader.read(65536):
            return


def post(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


def large(character: str, count: int) -> bytes:
    """A review whose pod has so many of a character in its environment, escaped as the API server does."""
    text = pod_review({"containers": [{"name": "a", "image": "i", "env": [{"name": "A", "value": "%s"}]}]})
    return text.replace(b"%s", rf"\u{ord(character):04x}".encode() * count)


def terms(count: int) -> bytes:
    wanted = [{"matchExpressions": [{"key": f"k{n}", "operator": "In", "values": ["a", "b"]}]} for n in range(count)]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": wanted}}
    return pod_review({"containers": [{"name": "a", "image": "i"}], "affinity": {"nodeAffinity": required}})


def pod_review(spec: object) -> bytes:
    pod = {"metadata": {"name": "p", "namespace": "shop", "labels": {"workload": "training"}}, "spec": spec}
    request = {"uid": "1", "operation": "CREATE", "resource": {"group": "", "version": "v1", "resource": "pods"}}
    request |= {"namespace": "shop", "object": pod}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


KINDS: dict[str, Callable[[Attacker], Awaitable[None]]] = {
    kind.__name__: kind
    for kind in (
        silent, greets_halfway, idle, endless_header, endless_headers, slow_header, unfinished_body, tiny_chunks,
        pipelined, garbage, other_paths, never_reads, large_reviews, dear_reviews, value_bombs,
    )
}  # fmt: skip


async def keep(kind: str, attacker: Attacker, tried: Callable[[], None]) -> None:
    """One client, again and again."""
    for turn in itertools.count():
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, EOFError):
            running = asyncio.ensure_future(KINDS[kind](attacker))
            await asyncio.wait([running], timeout=1.0 if not turn else None)
            if not turn:
                tried()
            await running
        await asyncio.sleep(PAUSE_SECONDS)


async def attack(kind: str, port: int, source: str, count: int) -> None:
    attacker = Attacker(port, source)
    left = count

    def tried() -> None:
        nonlocal left
        left -= 1
        if not left:
            print("ready", flush=True)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    clients = []
    for number in range(count):
        clients.append(asyncio.create_task(keep(kind, attacker, tried)))
        if number % 20 == 19:
            await asyncio.sleep(0.02)
    await asyncio.gather(*clients)


if __name__ == "__main__":
    name, port_, source_, count_ = sys.argv[1:]
    logging.disable()  # of writes into closed connections
    asyncio.run(attack(name, int(port_), source_, int(count_)))
