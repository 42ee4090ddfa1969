"""Statuses: on each object of a bundle, whether it decides about pods as it is now, and why not.

What is to be said follows from what is active and what failed last, and is written where the object says something
else. So replicas agree without asking each other: whoever comes second finds it said. Those that do not agree, say
while one of them is pinned, write over each other ever more seldom. Nothing waits for this, and nothing depends on it.
"""

from __future__ import annotations

import datetime
import json
import logging
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from delivery.follower import Follower
from delivery.status import Status
from engine.documents import Problem

if TYPE_CHECKING:
    from cluster import PolicyWatch

Json = dict[str, Any]

LOOK_SECONDS = 2.0
"""How often what is to be said is compared with what is said, more or less by half."""
DENIED_SECONDS = 60.0
"""How long nothing is written after a write that failed."""
CONTESTED_SECONDS = 600.0
"""How long, at most, the same is not written again on an object where somebody else has written over it."""
MAX_MESSAGE = 4096
"""Characters of a message; Kubernetes takes 32768 in a condition, and many objects may be wrong at once."""
log = logging.getLogger("bayplan.activation")


class _Written(NamedTuple):
    """An object, what of it makes its file, and that file: its name, and what is in it, or why there is none."""

    thing: Mapping[str, Any]
    says: object
    file: str
    document: bytes | Problem


class _Told(NamedTuple):
    """What was written on an object, how often again, and from when on it may be once more."""

    uid: str
    says: Json
    again: int
    earliest: float


class Statuses:
    """Keeps the statuses of the objects that one follower follows. `now` is the time in seconds since 1970."""

    def __init__(self, watch: PolicyWatch, follower: Follower, now: Callable[[], float]) -> None:
        self._watch, self._follower, self._now = watch, follower, now
        self._failed = ""
        self._documents: dict[str, _Written] = {}
        self._told: dict[str, _Told] = {}
        self._things: Sequence[Mapping[str, Any]] = ()
        self._compared: tuple[object, ...] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="statuses", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(DENIED_SECONDS if self._failed else LOOK_SECONDS * random.uniform(0.5, 1.5)):
            try:
                self.tell()
            except Exception:
                log.exception("bug while writing statuses, please report it; what serves is not touched by it")

    def tell(self) -> int:
        """Write what is not said yet; to how many objects. What keeps it from being written is logged once.

        That an object does not decide is said once it has stayed the same from one look to the next: until then it may
        not have been tried.
        """
        from cluster import ClusterError  # whoever follows no objects does without

        try:
            things = self._watch.take().all
        except ClusterError:
            return 0  # that is told of as the source's fault
        active, status = self._follower.active, self._follower.status
        held = (status.suspended, status.pinned, status.held_back)
        compared = (status.revision, active.content.version if active else "", status.step, status.message, *held)
        known, all_known = {id(thing) for thing in self._things}, len(things) == len(self._things)
        all_known = all_known and all(id(thing) in known for thing in things)
        if all_known and compared == self._compared:
            return 0
        self._things, self._compared = things, ()
        files, written, waiting = active.content.files if active else {}, 0, False
        for each in self._renewed(things):
            thing, said = each.thing, _said(each.thing)
            wanted = _wanted(each, files, status, said)
            if wanted is None or _without_times(wanted) == _without_times(said):
                continue
            if id(thing) not in known and not _is_ready(wanted, thing):
                continue
            if self._waits(each, wanted):
                waiting = True
                continue
            if self._stop.is_set() or not self._write(thing, _timed(wanted, said, self._now())):
                return written
            self._note(each, wanted)
            written += 1
        self._compared, self._failed = compared if all_known and not waiting else (), ""
        return written

    def _waits(self, each: _Written, wanted: Json) -> bool:
        """Whether the same has been written on the object, and somebody has written over it, too short a time ago."""
        told = self._told.get(each.file)
        same = told is not None and (told.uid, told.says) == (each.thing["metadata"]["uid"], _without_times(wanted))
        return told is not None and same and 0 < told.earliest - self._now() <= CONTESTED_SECONDS

    def _note(self, each: _Written, wanted: Json) -> None:
        uid, says, before = each.thing["metadata"]["uid"], _without_times(wanted), self._told.get(each.file)
        again = before.again + 1 if before and (before.uid, before.says) == (uid, says) else 0
        pause = min(LOOK_SECONDS * 2 ** min(again, 16), CONTESTED_SECONDS)
        self._told[each.file] = _Told(uid, says, again, self._now() + pause)

    def _write(self, thing: Mapping[str, Any], status: Json) -> bool:
        from cluster import ClusterError, write_status

        try:
            write_status(self._watch.cluster, thing, status)
        except ClusterError as error:
            if not self._failed:
                log.warning("statuses of objects are not written for now: %s", error)
            self._failed = str(error)
            return False
        return True

    def _renewed(self, things: Iterable[Mapping[str, Any]]) -> Sequence[_Written]:
        """What objects stand for; made anew only of those that say something else."""
        from delivery.objects import document_of, file_of

        before, self._documents = self._documents, {}
        for thing in things:
            file, says = file_of(thing), (thing["spec"], thing["metadata"]["annotations"])
            known = before.get(file)
            document = known.document if known and known.says == says else document_of(thing)
            self._documents[file] = _Written(thing, says, file, document)
        self._told = {file: told for file, told in self._told.items() if file in self._documents}
        return tuple(self._documents.values())


def _said(thing: Mapping[str, Any]) -> Json:
    """The status that an object has."""
    try:
        said = json.loads(thing["status"])
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _wanted(written: _Written, files: Mapping[str, bytes], status: Status, said: Json) -> Json | None:
    """The status that an object is to have; None where that is not known yet. `files` are those that are active."""
    thing, document, revision = written.thing, written.document, status.revision
    if revision is not None and not isinstance(document, Problem) and files.get(written.file) == document:
        since = said.get("revision") if _is_ready(said, thing) and thing["kind"] != "Bundle" else None
        more: Json = {"revision": since or revision.whole}
        if thing["kind"] == "Bundle":
            more["policies"] = sum(name.startswith("policies/") for name in files)
        return more | _condition(thing, "True", "Active", "")
    if isinstance(document, Problem):
        return _condition(thing, "False", "Unreadable", str(document))
    why = _why_not(written.file, status)
    return _condition(thing, "False", *why) if why else None


def _why_not(file: str, status: Status) -> tuple[str, str] | None:
    """A word and a sentence for why an object does not decide as it is; None while it has not been tried."""
    mine = [
        str(problem) for problem in status.errors if problem.span.source.name == file and problem.severity == "error"
    ]
    if mine:
        return "Refused", "\n".join(mine)
    others = sorted({problem.span.source.name for problem in status.errors if problem.severity == "error"})
    if others:
        return "BundleRefused", f"nothing of the bundle changes until this is right, too: {', '.join(others)}"
    if status.step:
        return "BundleRefused", f"the step `{status.step}` failed: {status.message}"
    if status.suspended or status.pinned or status.held_back:
        held = "suspended" if status.suspended else "pinned" if status.pinned else "held back"
        return "HeldBack", f"somebody decided that what is active stays: it is {held}; `bayplan resume` ends that"
    return None


def _condition(thing: Mapping[str, Any], status: str, reason: str, message: str) -> Json:
    generation = thing["metadata"]["generation"]
    cut = message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 2]} …"
    ready = {"type": "Ready", "status": status, "reason": reason, "message": cut, "observedGeneration": generation}
    return {"observedGeneration": generation, "conditions": [ready]}


def _is_ready(said: Json, thing: Mapping[str, Any]) -> bool:
    """Whether an object says of itself, as it is now, that it decides."""
    return _ready(said).get("status") == "True" and said.get("observedGeneration") == thing["metadata"]["generation"]


def _ready(said: Json) -> Json:
    conditions = said.get("conditions")
    each = conditions if isinstance(conditions, list) else []
    return next((one for one in each if isinstance(one, dict) and one.get("type") == "Ready"), {})


def _without_times(status: Json) -> Json:
    """What a status says, but for since when, and for conditions of somebody else."""
    ready = {key: value for key, value in _ready(status).items() if key != "lastTransitionTime"}
    return {**status, "conditions": [ready]}


def _timed(wanted: Json, said: Json, now: float) -> Json:
    """With the time since when it is ready or not: of old if it was so before."""
    ready, before = wanted["conditions"][0], _ready(said)
    moment = f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    since = before.get("lastTransitionTime") if before.get("status") == ready["status"] else None
    return {**wanted, "conditions": [{**ready, "lastTransitionTime": since or moment}]}
