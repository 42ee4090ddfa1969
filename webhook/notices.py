"""Kubernetes Events for whom a pod belongs to: that it was refused, and by whom, or that it will wait.

A refused pod does not exist: its controller is told, of which the request proves that it exists. Who creates a pod
without one has the answer in hand, and nobody else may write about objects of others by naming them as owners. A pod
that will wait has no uid, and mostly no name, when it is admitted: it is looked for a moment later, and told itself.

No answer waits for this. A thread of its own writes; what is alike is counted in one event; every request to the API
server takes of what a namespace, and all together, may have; what has no room is dropped, the oldest first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cluster import EventFailedError, Events, Sought, Subject
from engine.decision import Decision
from engine.documents import printable
from engine.pods import IncomingPod, vouched_owner
from engine.struct import Struct
from telemetry import Metrics
from webhook.allowances import Places, Rate, Requests

REFUSED, WAITS = "PlacementRefused", "PlacementWaits"
MAX_NOTICES, MAX_EACH = 1_000, 100
"""Events, and pods to be looked for, that are known at a time, in all and of one namespace: what is told again of one
of them is counted there."""
MAX_MESSAGE = 1_024
"""Bytes of an event's message, as the API of events has it."""
SETTLE_SECONDS = 1.0
"""How long after its answer a pod is looked for: other webhooks come after this one."""
LOOKS = 3
"""How often, each time after twice as long."""
REPEAT_SECONDS = 10.0
"""How often an event is counted on, at most."""
EACH, ALL = Rate(25.0, 0.5), Rate(100.0, 10.0)
"""Requests to the API server for one namespace, and in all."""
REST_SECONDS = (1.0, 30.0)
"""How long nothing is asked after a failure that may pass: at first, and at most."""
QUIET_SECONDS = 60.0
"""How often a failure is logged."""
FLUSH_SECONDS = 3.0
TICK_SECONDS = 0.5

Key = tuple[str, str, str]

log = logging.getLogger("bayplan.events")


class _Notice(Struct):
    """One event: what it says, how often that was so, and how often it says so."""

    about: Subject
    reason: str
    message: str
    first: float
    last: float
    count: int = 1
    name: str = ""
    told: int = 0
    due: float = 0.0

    @property
    def namespace(self) -> str:
        return self.about.namespace


class _Search(Struct):
    """A pod that was let by and will wait: what to tell it, and when to look for it."""

    sought: Sought
    message: str
    moment: float
    due: float
    looks: int = 0

    @property
    def namespace(self) -> str:
        return self.sought.namespace


class Notices:
    """Hears of each decision, and has the API server keep events about those that leave somebody without a pod."""

    def __init__(self, events: Events, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._events, self._metrics, self._clock = events, metrics, clock
        self._notices: Places[Key, _Notice] = Places(MAX_EACH, MAX_NOTICES)
        self._searches: Places[Sought, _Search] = Places(MAX_EACH, MAX_NOTICES)
        self._requests = Requests(EACH, ALL)
        self._rest, self._rested = 0.0, 0.0
        self._spoke, self._unsaid = float("-inf"), 0
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._heard.set()
        if self._thread.is_alive():
            self._thread.join(FLUSH_SECONDS)

    def depth(self) -> int:
        """Events that are to be written, and pods that are to be looked for."""
        with self._lock:
            return len(self._searches) + sum(one.told < one.count for _, one in self._notices.items())

    def offer(self, uid: str, dry_run: bool, decision: Decision, size: int) -> None:  # noqa: ARG002 - what watchers hear
        """Hear of an answer. Never waits: most are about pods that were let by and are placed."""
        refused = not decision.allowed
        if dry_run or decision.mode != "enforce" or not (refused or decision.pools.waits):
            return
        incoming = decision.incoming
        if incoming.template is not None:  # its author has the answer, and a DaemonSet makes no pods that wait
            return
        if not refused:
            self._seek(_sought(incoming), _message("; ".join(decision.warnings)), time.time())
        elif owner := vouched_owner(incoming):
            kind, name, uid = (str(owner.get(key, "")) for key in ("kind", "name", "uid"))
            about = Subject(str(owner.get("apiVersion", "")), kind, incoming.namespace_name, name, uid)
            self._tell(about, REFUSED, _message(decision.message), time.time())

    # what is to be told

    def _tell(self, about: Subject, reason: str, message: str, moment: float) -> None:
        key = (about.uid, reason, message)
        with self._lock:
            known = self._notices.get(key)
            if known is not None:
                known.count += 1
                known.last = moment
            else:
                oldest = self._notices.add(key, _Notice(about, reason, message, moment, moment))
                if oldest is not None and oldest.told < oldest.count:
                    self._metrics.events.labels("dropped").inc()
        self._heard.set()

    def _seek(self, sought: Sought, message: str, moment: float) -> None:
        with self._lock:
            known = self._searches.get(sought)
            if known is not None:  # asked again once another webhook changed the pod, or one of many replicas
                known.message, known.due, known.looks = message, self._clock() + SETTLE_SECONDS, 0
            elif self._searches.add(sought, _Search(sought, message, moment, self._clock() + SETTLE_SECONDS)):
                self._metrics.events.labels("dropped").inc()
        self._heard.set()

    # the thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._heard.wait(None if not self.depth() else TICK_SECONDS)
            self._heard.clear()
            try:
                self.work()
            except Exception:
                log.exception("bug while writing events, please report it")
            self._closing.wait(TICK_SECONDS)

    def work(self) -> None:
        """Do what is due and may be asked now."""
        now = self._clock()
        with self._lock:
            searches = self._searches.items()
        for _, search in searches:
            if search.due <= now and self._may_ask(search.namespace):
                self._look(search)
        with self._lock:
            notices = self._notices.items()
        for key, notice in notices:
            if notice.told < notice.count and notice.due <= now and self._may_ask(notice.namespace):
                self._write(key, notice)

    def _may_ask(self, namespace: str) -> bool:
        """Whether one more request may be made for a namespace now; if so, it is."""
        now = self._clock()
        return not self._closing.is_set() and now >= self._rest and self._requests.take(namespace, now)

    def _look(self, search: _Search) -> None:
        try:
            pods = self._events.pods(search.sought, search.moment)
        except EventFailedError as failure:
            if self._failed(failure, f"the pods of {search.sought.namespace} could not be listed"):
                self._forget(search)
            return
        self._rested = 0.0
        for pod in pods:
            self._once(pod, search)
        search.looks += 1
        if search.looks >= LOOKS or (pods and search.sought.name):
            self._forget(search)
        else:
            search.due = self._clock() + SETTLE_SECONDS * 2**search.looks

    def _once(self, pod: Subject, search: _Search) -> None:
        """Tell a pod that it waits, if it was not told so before."""
        with self._lock:
            told = self._notices.get((pod.uid, WAITS, search.message)) is not None
        if not told:
            self._tell(pod, WAITS, search.message, search.moment)

    def _forget(self, search: _Search) -> None:
        with self._lock:
            if self._searches.get(search.sought) is search:
                self._searches.remove(search.sought)

    def _write(self, key: Key, notice: _Notice) -> None:
        with self._lock:
            first, last, count = notice.first, notice.last, notice.count
        about = notice.about
        try:
            if notice.name and not self._events.repeat(about.namespace, notice.name, last, count):
                notice.name = ""  # events are kept for an hour
                notice.due = 0.0
                return
            if not notice.name:
                notice.name = self._events.create(about, notice.reason, notice.message, first, last, count)
                self._metrics.events.labels("created").inc()
            else:
                self._metrics.events.labels("repeated").inc()
        except EventFailedError as failure:
            if self._failed(failure, f"an event about {about.kind} {about.namespace}/{about.name} was not written"):
                with self._lock:
                    self._notices.remove(key)
            return
        self._rested = 0.0
        notice.told, notice.due = count, self._clock() + REPEAT_SECONDS

    def _failed(self, failure: EventFailedError, what: str) -> bool:
        """Count and log a failure; whether it is given up, for else all rest for a while, and ask again."""
        self._metrics.events.labels("failed").inc()
        now = self._clock()
        if now - self._spoke >= QUIET_SECONDS:
            more = f" ({self._unsaid} more before)" if self._unsaid else ""
            log.warning("%s: %s%s", printable(what), failure, more)
            self._spoke, self._unsaid = now, 0
        else:
            self._unsaid += 1
        if not failure.lasting:
            least, most = REST_SECONDS
            self._rested = min(most, max(least, 2 * self._rested))
            self._rest = now + self._rested
        return failure.lasting


def _sought(incoming: IncomingPod) -> Sought:
    """How a pod is found once it is there."""
    metadata = incoming.pod.get("metadata") or {}
    references = metadata.get("ownerReferences") or ()
    controller = next((str(one.get("uid", "")) for one in references if one.get("controller")), "")
    name = str(metadata.get("name") or "")
    return Sought(incoming.namespace_name, name, "" if name else str(metadata.get("generateName") or ""), controller)


def _message(text: str) -> str:
    """A message in one line of characters that show, within MAX_MESSAGE."""
    line = printable(" ".join(text[: 4 * MAX_MESSAGE].split()))
    whole = line.encode(errors="replace")
    if len(whole) <= MAX_MESSAGE:
        return line
    return f"{whole[: MAX_MESSAGE - 3].decode(errors='ignore')}…"
