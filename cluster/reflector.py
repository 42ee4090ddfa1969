"""A copy of one kind of objects, kept up to date: list once, then watch.

What has to be right, in the order in which it goes wrong in production: a list comes in pages, and a page can be too
old (410) like a watch can, by status or by an ERROR event; then everything is listed again, at once the first time and
less and less often after that, and what was deleted in between disappears. A watch ends by itself after minutes, is
cut, or goes silent while the connection stays: it goes on from the last version seen, for which bookmarks are asked
for. A server that is overloaded says how long to wait (429); one that is down is asked again at growing, jittered
intervals. Until a new list is complete the old copy stays.

A custom resource may not be there at all (404 under each version of its API): then there are no such objects, and it
is asked for again every few seconds, for it may appear; one that vanishes takes its objects along. What may not be read
(403) is said once, and asked for again less often.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec
import urllib3
from msgspec import Raw, Struct, field

from cluster.client import Cluster, is_silence, plain
from telemetry import Metrics

T = TypeVar("T", bound=Mapping[str, Any])
MAX_PAGE = 256 * 1024 * 1024
MAX_LINE = 32 * 1024 * 1024
"""Bytes of one page of a list, and of one event of a watch."""

log = logging.getLogger("bayplan.cluster")


class Timing(Struct, frozen=True):
    """Seconds, where nothing else is said."""

    page: int = 250
    """Objects of one page of a list."""
    list_silence: float = 30.0
    watch_silence: float = 90.0
    """The API server sends a bookmark about every minute, so a longer silence is a dead connection."""
    watch_least: float = 300.0
    watch_most: float = 600.0
    backoff: float = 0.8
    backoff_most: float = 10.0
    steady: float = 5.0
    """A watch that lasted this long was a good one: the next may follow at once."""
    absent: float = 2.0
    """Between two looks whether a custom resource that is not there has appeared."""
    forbidden: float = 30.0
    patience: float = 10.0
    """How long nobody waits any more for a custom resource that can't be listed, and never was."""


class Kind(Struct, Generic[T], frozen=True):
    """A kind of objects: where they are listed, and how one of them becomes what is kept of it.

    `others` are the paths of older versions of its API, looked at where the first is not there. Of an `optional` kind
    there may be no API, or no right to read it. `query` says which of them, by labels or fields; `page` is how many are
    listed at a time, 0 for as many as usual.
    """

    name: str
    path: str
    model: Any
    keep: Callable[[Any], T]
    others: tuple[str, ...] = ()
    optional: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    page: int = 0

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the objects may be listed, the newest version of the API first."""
        return (self.path, *self.others)

    def kept(self, item: object) -> T:
        """What is kept of an object given as JSON. Raises ValueError where it has another shape."""
        try:
            return self.keep(msgspec.convert(item, self.model))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error


class _ListMetadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class _Page(Struct, Generic[T]):
    metadata: _ListMetadata
    items: list[T] | None = None


class _Event(Struct):
    type: str
    object: Raw


class _Metadata(Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(thing: Mapping[str, Any]) -> str:
    """What an object is found by: its name, with its namespace where it has one. Raises ValueError."""
    metadata = thing.get("metadata")
    if not isinstance(metadata, Mapping):
        raise ValueError("an object has no metadata")
    name, namespace = metadata.get("name", ""), metadata.get("namespace")
    return f"{namespace}/{name}" if namespace else str(name)


class _Named(Struct):
    metadata: _Metadata


class _Status(Struct):
    code: int = 0
    message: str = ""


_events = msgspec.json.Decoder(_Event)
_named = msgspec.json.Decoder(_Named)
_statuses = msgspec.json.Decoder(_Status)


class _GoneError(Exception):
    """The version to go on from is too old."""


class _RefusedError(Exception):
    """Any status but 200."""

    def __init__(self, status: int, message: str, retry_after: float) -> None:
        super().__init__(f"{status} {message}".strip())
        self.status, self.retry_after = status, retry_after


class Reflector(Generic[T]):
    """The copy. `changed` is called, on the reflector's thread, after each change of what is kept."""

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind[T],
        changed: Callable[[], None],
        metrics: Metrics,
        timing: Timing | None = None,
    ) -> None:
        self.kind = kind
        self.synced = False
        self.unread = False
        """Of an optional kind: it may not be read, or could not be in all this time."""
        self.absent = False
        """Of an optional kind: there is no such API."""
        self.problem = f"{kind.name} are being listed"
        self._path = kind.path
        self._began = time.monotonic()
        self._cluster, self._changed, self._metrics, self._timing = cluster, changed, metrics, timing or Timing()
        self._objects = msgspec.json.Decoder(kind.model)
        self._pages: msgspec.json.Decoder[_Page[Any]] = msgspec.json.Decoder(_Page[kind.model])  # type: ignore[name-defined]
        self._items: dict[str, T] = {}
        self._version: str | None = None
        self._failures = 0
        self._watched_since = math.inf
        self._stop = threading.Event()
        self._open: urllib3.BaseHTTPResponse | None = None
        self._thread = threading.Thread(target=self._run, name=f"reflector-{kind.name}", daemon=True)
        metrics.cache_synced.labels(kind.name).set(0)

    @property
    def answered(self) -> bool:
        """Whether it is known what there is, or that it can't be known: of an optional kind nobody waits for ever."""
        return self.synced or self.unread

    @property
    def readable(self) -> bool:
        """Whether what is kept was listed, and may be listed again."""
        return self.synced and not self.unread

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self, seconds: float = 1.0) -> None:
        """End the watch and wait for the thread, at most `seconds`."""
        self._stop.set()
        response = self._open
        if response is not None:
            with contextlib.suppress(RuntimeError, ValueError, OSError):  # it ended by itself meanwhile
                response.shutdown()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def get(self, name: str) -> T | None:
        """What is kept of one object, or None."""
        return self._items.get(name)

    def items(self) -> list[T]:
        """What is kept of all objects at one time, sorted by namespace and name."""
        return [item for _, item in sorted(self._items.copy().items())]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._watched_since = math.inf
            wait, reason = self._once()
            if self._stop.is_set():
                return
            if reason:
                self._metrics.watch_restarts.labels(self.kind.name, reason).inc()
            if time.monotonic() - self._watched_since >= self._timing.steady:
                self._failures = 0
            elif wait is None:
                wait = self._backoff(first=0.0 if reason == "gone" else self._timing.backoff)
            self._stop.wait(wait or 0)

    def _once(self) -> tuple[float | None, str]:
        """List if need be, and watch until that ends. How long to wait then (None: as usual), and why, if it began."""
        try:
            if self._version is None:
                self._list()
            self._watch()
        except _GoneError:
            log.info("%s: the watch is too old, listing again", self.kind.name)
            self._version = None
            return None, "gone"
        except _RefusedError as refusal:
            if self.kind.optional and refusal.status == 404:
                return self._missing(), ""
            return self._refused(refusal), str(refusal.status)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return None, self._fail(plain(error), "silence" if is_silence(error) else "cut")
        except (msgspec.MsgspecError, ValueError) as error:
            self._version = None
            return None, self._fail(f"the answer can't be read: {error}", "malformed")
        except Exception:
            log.exception("%s: bug while watching, please report it", self.kind.name)
            self._version = None
            return None, "bug"
        return None, "ended"

    def _refused(self, refusal: _RefusedError) -> float | None:
        """How long to wait after a refusal, None: as usual."""
        self._fail(str(refusal))
        if self.kind.optional and refusal.status == 403:
            self._give_up()
            return self._timing.forbidden * random.uniform(0.8, 1.0)
        return refusal.retry_after or None

    def _give_up(self) -> None:
        """Let nobody wait any longer for what can't be read; it is asked for again all the same."""
        if not self.unread:
            self.unread = True
            self._tell()

    def _missing(self) -> float:
        """There is no such API under this path: it may be under the next one, else there are no such objects."""
        self._version = None
        at = self.kind.paths.index(self._path) + 1
        if at < len(self.kind.paths):
            self._path = self.kind.paths[at]
            return 0.0
        self._path = self.kind.path
        gone = bool(self._items) or not self.synced or self.unread
        if self._items:
            log.warning("%s: the API is gone, and so are they", self.kind.name)
        self._items, self.synced, self.unread, self.absent = {}, True, False, True
        self.problem = f"the cluster has no {self.kind.name}"
        self._metrics.cache_synced.labels(self.kind.name).set(1)
        if gone:
            self._tell()
        return self._timing.absent * random.uniform(0.8, 1.0)

    def _backoff(self, first: float) -> float:
        """How long to wait after one more failure in a row, by `first` for the first of them."""
        usual = self._timing.backoff * 2**self._failures if self._failures else first
        wait: float = min(usual, self._timing.backoff_most)
        self._failures = min(self._failures + 1, 10)
        return wait * random.uniform(0.5, 1.0)

    def _fail(self, text: str, reason: str = "") -> str:
        if text != self.problem and not self._stop.is_set():
            log.warning("%s can't be watched: %s", self.kind.name, text)
        self.problem = text
        if self.kind.optional and not self.synced and time.monotonic() - self._began >= self._timing.patience:
            self._give_up()
        return reason

    def _contact(self) -> None:
        if self.problem and self.synced:
            log.info("%s are being watched", self.kind.name)
            self.problem = ""
        self._metrics.cache_contact.labels(self.kind.name).set(time.time())

    def _list(self) -> None:
        found: dict[str, T] = {}
        query = {"limit": str(self.kind.page or self._timing.page)}
        while True:
            with self._answer(query, self._timing.list_silence) as response:
                page = self._pages.decode(_whole(response))
            for item in page.items or ():
                kept = self.kind.keep(item)
                found[key_of(kept)] = kept
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        if self._stop.is_set():
            return
        different = found != self._items or not self.synced or self.unread or self.absent
        self._items, self._version = found, page.metadata.resource_version
        self.synced, self.unread, self.absent = True, False, False
        self._metrics.cache_synced.labels(self.kind.name).set(1)
        self._contact()
        if different:
            self._tell()

    def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(int(random.uniform(self._timing.watch_least, self._timing.watch_most))),
        }
        with self._answer(query, self._timing.watch_silence) as response:
            self._watched_since = time.monotonic()
            self._contact()
            if self._stop.is_set():  # it was asked to while the answer was on its way, and could not be cut
                return
            for line in _lines(response):
                if self._stop.is_set():
                    return
                self._contact()
                self._event(_events.decode(line))

    def _event(self, event: _Event) -> None:
        if event.type == "ERROR":
            status = _statuses.decode(event.object)
            if status.code == 410:
                raise _GoneError
            raise _RefusedError(status.code, status.message, 0)
        metadata = _named.decode(event.object).metadata
        if event.type in ("ADDED", "MODIFIED"):
            self._put(metadata.key, self._kept(event.object))
        elif event.type == "DELETED" and self._items.pop(metadata.key, None) is not None:
            self._tell()
        self._version = metadata.resource_version or self._version

    def _put(self, name: str, item: T) -> None:
        if self._items.get(name) != item:
            self._items[name] = item
            self._tell()

    def _tell(self) -> None:
        self._metrics.cache_objects.labels(self.kind.name).set(len(self._items))
        self._changed()

    def _kept(self, raw: Raw) -> T:
        return self.kind.keep(self._objects.decode(raw))

    def _answer(self, query: dict[str, str], silence: float) -> _Answer:
        response = self._cluster.get(self._path, {**self.kind.query, **query}, silence)
        if response.status == 200:
            return _Answer(self, response)
        with _Answer(self, response):
            message = _message(response)
        if response.status == 410:
            raise _GoneError
        raise _RefusedError(response.status, message, _retry_after(response))


class _Answer:
    """An open answer, known to the reflector so that `stop` can end it, and closed at the end."""

    def __init__(self, reflector: Reflector[Any], response: urllib3.BaseHTTPResponse) -> None:
        self._reflector, self._response = reflector, response

    def __enter__(self) -> urllib3.BaseHTTPResponse:
        self._reflector._open = self._response
        return self._response

    def __exit__(self, *_: object) -> None:
        self._reflector._open = None
        self._response.close()


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    body = response.read(MAX_PAGE)
    return body + response.read(1) if len(body) == MAX_PAGE else body


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = bytearray()
    while chunk := response.read1(1 << 16):
        rest += chunk
        if b"\n" not in chunk:
            if len(rest) > MAX_LINE:
                raise urllib3.exceptions.HTTPError("an event is too long")
            continue
        *lines, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        yield from filter(None, lines)


def _message(response: urllib3.BaseHTTPResponse) -> str:
    body = response.read(1 << 16)
    try:
        return _statuses.decode(body).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds that the server asks to wait, at most a minute; 0 if it does not."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), 60.0) if value.isascii() and value.isdigit() else 0.0
