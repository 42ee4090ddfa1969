"""telemetry.records: lines of the decision log arrive in order or are counted as lost, and writing never waits."""

from __future__ import annotations

import io
import os
import threading
from collections import Counter

from telemetry.records import DecisionLog


class Losses(Counter[str]):
    def __call__(self, reason: str, lines: int) -> None:
        self[reason] += lines


def test_lines_arrive_in_order() -> None:
    stream, losses = io.BytesIO(), Losses()
    log = DecisionLog(stream, losses)
    lines = [b'{"n":%d}' % n for n in range(500)]
    for line in lines:
        log.write(line)
    log.close()
    assert stream.getvalue().splitlines() == lines
    assert not losses


def test_lines_show_all_that_they_hold() -> None:
    stream, losses = io.BytesIO(), Losses()
    log = DecisionLog(stream, losses)
    log.write('{"name":"a\x7f\x9b\u202eb"}'.encode())
    log.write('{"name":"größer"}'.encode())
    log.close()
    assert stream.getvalue().decode() == '{"name":"a\\u007f\\u009b\\u202eb"}\n{"name":"größer"}\n'


class Stuck(io.BytesIO):
    """A stream that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.free = threading.Event(), threading.Event()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.reached.set()
        self.free.wait()
        return super().write(data)


def test_a_stuck_reader_costs_lines_and_no_time() -> None:
    stream, losses = Stuck(), Losses()
    log = DecisionLog(stream, losses, lines=3)
    log.write(b"first")
    stream.reached.wait()
    for n in range(10):
        log.write(b"%d" % n)
    assert log.depth() == 3
    assert losses == {"full": 7}
    stream.free.set()
    log.close()
    assert stream.getvalue() == b"first\n0\n1\n2\n"


def test_the_buffer_is_bounded_in_bytes() -> None:
    stream, losses = Stuck(), Losses()
    log = DecisionLog(stream, losses, size=10)
    log.write(b"first")
    stream.reached.wait()
    for _ in range(4):
        log.write(b"12345")
    assert losses == {"full": 2}
    stream.free.set()
    log.close()


def test_a_reader_that_went_away_is_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    losses = Losses()
    with open(writing, "wb", buffering=0) as stream:
        log = DecisionLog(stream, losses)
        log.write(b"one")
        log.close()
    assert losses == {"write": 1}
