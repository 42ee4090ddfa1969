"""Single objects that a watch does not know yet, looked up at the API server while a request waits for them.

A look-up that several wait for is made once. Each has a thread of its own, so that none stands behind a slow one, and
there are only so many: one more fails at once, for it would come too late anyway. What fails says whether nobody
answered, somebody refused, or there is no such object; the log says so at most once a second, the metric counts each.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import urllib3

from cluster.client import Cluster, is_silence, plain
from cluster.reflector import Kind
from telemetry import Metrics

T = TypeVar("T", bound=Mapping[str, Any])

SECONDS = 1.0
"""How long a look-up may take: to connect, and then to answer."""
AT_ONCE = 16
"""So many look-ups are under way at one time, at most."""
MAX_OBJECT = 4 * 1024 * 1024
"""Bytes: etcd keeps no object of half that size."""

log = logging.getLogger("bayplan.cluster")


class LookupFailedError(Exception):
    """An object could not be read; the text says why. `result` is the word that the metric has for it."""

    def __init__(self, text: str, result: str) -> None:
        super().__init__(text)
        self.result = result


class Lookups(Generic[T]):
    """Look-ups of objects of one kind by name. `find` may be called from any thread."""

    def __init__(self, cluster: Cluster, kind: Kind[T], metrics: Metrics, seconds: float = SECONDS) -> None:
        self._cluster, self._kind, self._metrics, self._seconds = cluster, kind, metrics, seconds
        self._under_way: dict[str, Future[T]] = {}
        self._lock = threading.Lock()
        self._told, self._untold = -1.0, 0

    def find(self, name: str) -> Future[T]:
        """What is kept of an object as the API server has it now, or LookupFailedError: the look-up that is under way
        for it already, or else a new one. Nobody can cancel it."""
        with self._lock:
            future = self._under_way.get(name)
            if future is not None:
                return future
            future = Future()
            future.set_running_or_notify_cancel()
            busy = len(self._under_way) >= AT_ONCE
            if not busy:
                self._under_way[name] = future
        if busy:
            future.set_exception(self._counted(name, LookupFailedError("too many others are being read", "busy")))
            return future
        threading.Thread(target=self._look_up, args=(name, future), name=f"look-up-{name}", daemon=True).start()
        return future

    def _look_up(self, name: str, future: Future[T]) -> None:
        try:
            found = self._found(name)
        except Exception as error:
            failure = self._counted(name, _failure(error))
            self._end(name)
            future.set_exception(failure)
        else:
            self._metrics.lookups.labels("found").inc()
            self._end(name)
            future.set_result(found)

    def _end(self, name: str) -> None:
        """From now on, whoever asks for it begins a new look-up."""
        with self._lock:
            del self._under_way[name]

    def _found(self, name: str) -> T:
        until = time.monotonic() + 2 * self._seconds
        path = f"{self._kind.path}/{quote(name, safe='')}"
        response = self._cluster.get(path, {}, self._seconds, self._seconds)
        try:
            if response.status == 404:
                raise LookupFailedError("the API server does not know it yet", "missing")
            if response.status != 200:
                raise LookupFailedError(f"the API server answered {response.status}", str(response.status))
            return self._kind.kept(json.loads(_body(response, until)))
        finally:
            response.close()

    def _counted(self, name: str, failure: LookupFailedError) -> LookupFailedError:
        self._metrics.lookups.labels(failure.result).inc()
        with self._lock:
            moment = time.monotonic()
            tell = moment >= self._told + 1.0 or self._told < 0
            untold, self._untold = self._untold, 0 if tell else self._untold + 1
            self._told = moment if tell else self._told
        if tell:
            besides = f" (and {untold} more that were not logged)" if untold else ""
            log.warning("%s: `%s` could not be read: %s%s", self._kind.name, name, failure, besides)
        return failure


def _body(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(1 << 16):
        body += chunk
        if len(body) > MAX_OBJECT:
            raise LookupFailedError("its answer is too long", "malformed")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(body)


def _failure(error: Exception) -> LookupFailedError:
    match error:
        case LookupFailedError():
            return error
        case urllib3.exceptions.HTTPError() | OSError():
            reason = plain(error)
            return LookupFailedError(reason, "silence" if is_silence(error) else "unreachable")
        case ValueError():
            return LookupFailedError("its answer can't be read", "malformed")
    log.error("bug while looking an object up, please report it", exc_info=error)
    return LookupFailedError("a bug, which is logged", "bug")
