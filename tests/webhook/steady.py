"""Reviews that come at a steady rate over TLS, whatever becomes of those before them, as an API server sends them."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

CONNECTIONS = 8
"""Kept open, and used in turns."""


class Answered(NamedTuple):
    """One review's answer, and how long it took, from when it was due."""

    response: Any
    seconds: float


class _Connection:
    """One connection that is kept open; who comes while it is in use waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._free = asyncio.Lock()

    async def post(self, body: bytes) -> bytes:
        head = f"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        async with self._free:
            self._writer.write(head.encode() + b"\r\n" + body)
            said = await self._reader.readuntil(b"\r\n\r\n")
            status, _, headers = said.decode().lower().partition("\r\n")
            assert status.startswith("http/1.1 200 "), said
            length = int(headers.partition("content-length:")[2].partition("\r\n")[0])
            return await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def steadily(
    port: int, context: ssl.SSLContext, bodies: Sequence[bytes], rate: float, enough: Callable[[], bool]
) -> list[Answered]:
    """The answers to reviews that are sent in turns, `rate` a second, until there are enough. Raises for any error."""
    connections = [
        _Connection(*await asyncio.open_connection("127.0.0.1", port, ssl=context)) for _ in range(CONNECTIONS)
    ]
    answers: list[tuple[bytes, float]] = []

    async def one(number: int, due: float) -> None:
        answer = await connections[number % CONNECTIONS].post(bodies[number % len(bodies)])
        answers.append((answer, time.perf_counter() - due))

    begun, number = time.perf_counter(), 0
    async with asyncio.TaskGroup() as group:
        while not enough():
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
            number += 1
    for connection in connections:
        await connection.close()
    return [Answered(json.loads(answer)["response"], seconds) for answer, seconds in answers]


def p99(answers: Sequence[Answered]) -> float:
    """In seconds."""
    return sorted(one.seconds for one in answers)[int(0.99 * len(answers))]
