"""One source, followed: it is asked again and again, and what it holds becomes active once it passed every step.

Each follower has a thread of its own, so that a source that is slow, or a bundle that takes long to test, holds up
neither other sources nor the pools that decisions know of.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from delivery import content
from delivery.sources import Address, source_of
from delivery.status import Status
from delivery.transaction import Candidate, Demands, StepFailedError, asking, bug, candidate_of

if TYPE_CHECKING:
    from telemetry import Metrics

LOCAL_SECONDS = 0.5
"""How often a file or folder is looked at."""
PATIENCE = 10
"""How many times as long as asking a source took it is left alone: folders may be large, and disks slow."""
JITTER = 0.2
"""How much sooner or later than its turn a source is asked, at most, as a part of the interval: replicas spread out."""
FIRST_SECONDS = 1.0
"""How soon a source that failed is asked again. Twice as long each further time."""
WEARY = 5
"""How many intervals the growing pause between fetches that fail is at most; asking alone costs no more than usual."""

log = logging.getLogger("bayplan.activation")
process_log = logging.getLogger("bayplan")
"""What a bundle warns of is logged by the process as a whole, as what keeps it from starting is."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A source and how it is followed: every `interval` seconds, more or less by `jitter`; `kind` is for people.

    One that is `local` can be asked before anybody else does anything.
    """

    source: content.Source
    kind: str
    interval: float
    jitter: float = JITTER
    local: bool = False
    demands: Demands = field(default_factory=Demands)


def followed(address: Address, poll_seconds: float) -> Followed:
    """How a source is followed: what is here twice a second, what is elsewhere every `poll_seconds`, more or less.

    Raises BundleError.
    """
    source = source_of(address)
    if address.local:
        return Followed(source, address.kind, LOCAL_SECONDS, jitter=0.0, local=True)
    return Followed(source, address.kind, poll_seconds)


class Follower:
    """Follows one source. What passed every step is given to `take`, which makes it decide from then on."""

    def __init__(self, followed: Followed, take: Callable[[Candidate, str, float], None], metrics: Metrics) -> None:
        """`take` gets the candidate, a word for why, and since when it was worked on (`time.perf_counter`)."""
        self._followed, self._take, self._metrics = followed, take, metrics
        self._source = followed.source
        self._what = f"bundle `{self._source.origin}`"
        self._active: Candidate | None = None
        self._version = ""
        self._refused = ""
        self._refusal: StepFailedError | None = None
        self._told = ""
        self._served: set[str] = set()
        self._failures = 0
        self._status = Status(source=self._source.origin, type=followed.kind)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle", daemon=True)

    @property
    def local(self) -> bool:
        """Whether its source can be asked at once."""
        return self._followed.local

    @property
    def status(self) -> Status:
        """What there is to say of it now; one value, whole."""
        return self._status

    def first(self) -> None:
        """Ask now, before anybody follows. Raises StepFailedError where nothing becomes active."""
        failed = self.ask("start")
        if failed and self._active is None:
            raise failed

    def start(self) -> None:
        """Follow from now on."""
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._source.close()

    def _run(self) -> None:
        pause = self._pause(None, 0.0) if self._active else 0.0
        while not self._stop.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._stop.is_set():
                return
            started = time.monotonic()
            failed = self.ask()
            pause = self._pause(failed, time.monotonic() - started)

    def _pause(self, failed: StepFailedError | None, took: float) -> float:
        """Seconds until the next round. After a failure soon, then later and later."""
        interval = self._followed.interval
        if failed is None or failed.lasting:
            self._failures = 0
            pause = interval
        else:
            self._failures += 1
            most = interval if failed.step == "look" else WEARY * interval
            pause = min(interval, FIRST_SECONDS) * 2.0 ** min(self._failures - 1, 20)
            pause = max(min(pause, most), failed.retry_after)
        jitter = random.uniform(1 - self._followed.jitter, 1 + self._followed.jitter)
        return max(pause * jitter, PATIENCE * took if self.local else 0.0)

    def ask(self, cause: str = "bundle") -> StepFailedError | None:
        """Ask once, and activate what is new. What failed just now, if something did; it has been told."""
        try:
            self._follow(cause)
        except StepFailedError as failed:
            self._tell(failed)
            return failed
        except Exception as error:
            unexpected = bug("swap", error)
            unexpected.__cause__ = error
            self._tell(unexpected)
            return unexpected
        return None

    def _follow(self, cause: str) -> None:
        started = time.perf_counter()
        self._note(last_request=time.time())
        with asking("look"):
            version = self._source.look()
        self._note(last_successful_request=time.time())
        if self._active and version == self._version:
            self._refused, self._refusal = "", None
            self._sound()
            return
        if self._refusal and version == self._refused:
            self._say(self._refusal)
            return
        with asking("fetch"):
            given = self._source.fetch()
        self._note(last_successful_download=time.time())
        try:
            self._activate(candidate_of(given, self._followed.demands), cause, started)
        except StepFailedError as failed:
            if failed.lasting:
                self._refused, self._refusal = given.version, failed
            raise
        self._version, self._refused, self._refusal = given.version, "", None
        self._sound()

    def _activate(self, candidate: Candidate, cause: str, started: float) -> None:
        """Let a candidate decide from now on; one that says what the active one says takes its place without a swap."""
        revision, before = candidate.revision, self._active
        if before is None or before.revision != revision:
            for problem in candidate.warnings:
                process_log.warning("%s", problem)
            self._take(candidate, cause, started)
            if str(revision) in self._served and before:
                log.info("%s is back, after %s: it had been active before", revision, before.revision)
            self._served.add(str(revision))
        self._active = candidate
        self._note(
            name=revision.name,
            version=revision.version,
            digest=revision.digest,
            origin=candidate.content.origin,
            warnings=candidate.warnings,
            last_successful_activation=time.time(),
        )

    def _tell(self, failed: StepFailedError) -> None:
        """Say and count what failed just now."""
        self._metrics.activation_failures.labels(failed.step).inc()
        self._say(failed)

    def _say(self, failed: StepFailedError) -> None:
        """Say what stands in the way: once in the log, as long as it does in the status."""
        complaint = f"{failed.step}: {failed}"
        if complaint != self._told:
            self._told = complaint
            trace = failed.__cause__ if failed.bug else None
            words = "%s was not activated, the step `%s` failed; %s\n%s"
            log.error(words, self._what, failed.step, self._serving(), failed, exc_info=trace)
        self._note(step=failed.step, message=str(failed), errors=failed.problems)

    def _sound(self) -> None:
        """Say that nothing is wrong any more, if something was."""
        if self._told:
            log.info("%s is sound again; %s", self._what, self._serving())
        self._told = ""
        self._note(step="", message="", errors=())

    def _serving(self) -> str:
        return f"{self._active.revision} stays active" if self._active else "nothing is active"

    def _note(self, **fields: Any) -> None:
        self._status = replace(self._status, **fields)
