"""delivery.transfer: so long, so many bytes, and no more."""

from __future__ import annotations

import socket
import threading

import pytest

from delivery.content import SourceError
from delivery.transfer import Transfer


def test_what_waits_is_interrupted() -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(SourceError, match=r"^they has not answered in full within 0\.1 seconds$") as caught:
        _wait(one)
    assert caught.value.step == "look"


def _wait(one: socket.socket) -> None:
    """For a byte that never comes."""
    with Transfer("look", "they", 0.1, 10) as transfer:
        transfer.interrupted_by(lambda: one.shutdown(socket.SHUT_RDWR))
        if not one.recv(1):
            raise OSError("ended")


def test_whoever_begins_to_wait_too_late_is_interrupted_at_once() -> None:
    over, late = threading.Event(), threading.Event()
    with Transfer("fetch", "they", 0.05, 10) as transfer:
        transfer.interrupted_by(over.set)
        assert over.wait(30)
        transfer.interrupted_by(late.set)
        assert late.is_set()
        with pytest.raises(SourceError):
            transfer.left()


def test_bytes_are_counted() -> None:
    with Transfer("fetch", "they", 60.0, 3 << 20) as transfer:
        transfer.received(3 << 20)
        with pytest.raises(SourceError, match="they sends more than 3 MiB") as caught:
            transfer.received(1)
    assert caught.value.step == "limits"


def test_what_fails_in_time_is_told_as_it_is() -> None:
    with pytest.raises(KeyError), Transfer("fetch", "they", 60.0, 10):
        raise KeyError("a")
