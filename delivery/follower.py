"""One source, followed: it is asked again and again, and what it holds becomes active once it passed every step.

Each follower has a thread of its own, so that a source that is slow, or a bundle that takes long to test, holds up
neither other sources nor the pools that decisions know of. What somebody decided about the source (to stay at a
revision, to go back to one, not to ask) is obeyed from any thread, at once, and after a restart.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delivery import content
from delivery.keeper import HeldError, Keeper
from delivery.neighbours import Neighbours
from delivery.pace import Pace, hurry
from delivery.rollout import Side
from delivery.schedule import JITTER, Schedule
from delivery.sources import SECONDS, Address, source_of
from delivery.status import Status
from delivery.store import Decided, Kept, Store
from delivery.transaction import Candidate, Demands, StepFailedError, asking, bug, candidate_of, conflicts_of
from engine.bundle import Revision
from engine.documents import Problem
from engine.struct import Struct, field, replace
from engine.versions import version_of

if TYPE_CHECKING:
    from cluster import PolicyWatch
    from telemetry import Metrics

LOCAL_SECONDS = 0.5
"""How often a file or folder is looked at."""
EXAMINE_SECONDS = 2.0
"""How long after the start what policies do to each other is looked for: readiness comes first."""
log = logging.getLogger("bayplan.activation")
process_log = logging.getLogger("bayplan")
"""What a bundle warns of is logged by the process as a whole, as what keeps it from starting is."""


class Followed(Struct, frozen=True):
    """A source and how it is followed: every `interval` seconds, more or less by `jitter`; `kind` is for people.

    One that is `local` can be asked before anybody else does anything. Its bundle decides about `percent` of a hundred
    workloads, as the active one or the previous one.
    """

    source: content.Source
    kind: str
    interval: float
    jitter: float = JITTER
    local: bool = False
    demands: Demands = field(default_factory=Demands)
    side: Side = "active"
    percent: int = 100


def followed(
    address: Address,
    poll_seconds: float,
    demands: Demands,
    credentials: Path | None = None,
    timeout_seconds: float = SECONDS,
    watch: PolicyWatch | None = None,
) -> Followed:
    """How a source is followed: what is here twice a second, what is elsewhere every `poll_seconds`, more or less.

    `credentials` is a folder; one question takes at most `timeout_seconds`; `watch` follows objects, so that asking
    costs nothing. Raises BundleError.
    """
    source = source_of(address, credentials, timeout_seconds, watch)
    if watch:
        return Followed(source, address.kind, LOCAL_SECONDS, jitter=0.0, demands=demands)
    if address.local:
        return Followed(source, address.kind, LOCAL_SECONDS, jitter=0.0, local=True, demands=demands)
    return Followed(source, address.kind, poll_seconds, demands=demands)


class Follower:
    """Follows one source. What passed every step is given to `take`, which makes it decide from then on."""

    def __init__(
        self,
        followed: Followed,
        take: Callable[[Candidate, str, float], None],
        metrics: Metrics,
        store: Store | None = None,
        beside: tuple[Neighbours, int] | None = None,
    ) -> None:
        """`take` gets the candidate, a word for why, and since when it was worked on (`time.perf_counter`). `beside`
        are bundles that serve together with this one, and its place among them."""
        self._followed, self._take, self._metrics = followed, take, metrics
        self._source, self._demands = followed.source, followed.demands
        self._what = f"bundle `{self._source.origin}`"
        self._beside = beside
        self._active: Candidate | None = None
        self._state = ("", "")  # the source's version, and that of what is laid over it: of the active candidate,
        self._refused = ("", "")  # of what was refused for what it holds,
        self._passed = ("", "")  # and of what is sound and held back
        self._refusal: StepFailedError | None = None
        self._commands = 0
        self._served: set[Revision] = set()
        self._unexamined: Candidate | None = None
        self._told = ""
        self._status = Status(self._source.origin, followed.kind, side=followed.side, percent=followed.percent)
        self._lock = threading.RLock()
        self._keeper = Keeper(store, metrics, self._note)
        self._schedule = Schedule(followed.interval, followed.jitter, patient=followed.local)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bundle", daemon=True)

    @property
    def local(self) -> bool:
        """Whether its source can be asked at once."""
        return self._followed.local

    @property
    def active(self) -> Candidate | None:
        """What decides now."""
        return self._active

    @property
    def status(self) -> Status:
        """What there is to say of it now; one value, whole."""
        status, told = self._status, self._beside[0].warnings(self._beside[1]) if self._beside else ()
        return replace(status, warnings=(*status.warnings, *told)) if told else status

    # from the start to the end

    def first(self) -> None:
        """Have something be active before anybody follows: what the source has, if it is here, else what was kept.

        Raises StepFailedError where the source is here, and nothing is active afterwards.
        """
        self._keeper.recall()
        failed = None
        if self._keeper.decided.pinned:
            self._restore(self._keeper.decided.pinned)
        if self.local:
            failed = self.ask("start")
        if self._active is None:
            self._restore()
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
        if not self._thread.is_alive():
            self._source.close()

    def _run(self) -> None:
        pause = self._schedule.pause(None, 0.0) if self._active and self.local else 0.0
        examine_from = time.monotonic() + EXAMINE_SECONDS
        while not self._stop.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._stop.is_set():
                return
            started = time.monotonic()
            failed = self.ask()
            self._keeper.write()
            if self._unexamined and time.monotonic() >= examine_from:
                self.examine()
            pause = self._schedule.pause(failed, time.monotonic() - started)
            if self._unexamined:
                pause = min(pause, EXAMINE_SECONDS)

    # one round

    def ask(self, cause: str = "bundle") -> StepFailedError | None:
        """Ask once, and activate what is new. What failed just now, if something did; it has been told."""
        try:
            if not self._keeper.decided.suspended:
                self._follow(cause)
            elif self._lay_over(cause):
                self._sound()
        except StepFailedError as failed:
            with contextlib.suppress(Exception):  # what serves does not wait for the source, whose failure is told
                self._lay_over(cause)
            self._tell(failed)
            return failed
        except Exception as error:
            unexpected = bug("swap", error)
            unexpected.__cause__ = error
            self._tell(unexpected)
            return unexpected
        return None

    def _follow(self, cause: str) -> None:
        started, commands, decided = time.perf_counter(), self._commands, self._keeper.decided
        self._note(last_request=time.time())
        with asking("look"):
            version = self._source.look()
        self._note(last_successful_request=time.time())
        state = (version, self._demands.overrides.version())
        held = state == self._passed or self._stays(state[0], decided)
        if held and state[1] == self._state[1]:  # else what serves is laid over anew
            self._refusal = None
            self._still_signed()
            return
        if self._refusal and state == self._refused:
            self._say(self._refusal)
            return
        candidate, state, vouched = self._fetched(state, decided)
        with self._lock:
            if commands != self._commands:
                return  # somebody decided something meanwhile: the next round knows
            self._refusal = None
            if decided.pinned not in ("", candidate.revision.digest) or candidate.revision.digest in decided.held_back:
                if state != self._passed:
                    log.info("%s has %s, which is held back; %s", self._what, candidate.revision, self._serving())
                self._passed = state
                self._lay_over(cause)
            else:
                self._activate(candidate, cause, started, vouched)
                self._state = state
        self._sound()

    def _lay_over(self, cause: str) -> bool:
        """Have what serves do so with the constants that are laid over it now, if these are others; whether they are.

        Raises StepFailedError.
        """
        started, laid = time.perf_counter(), self._demands.overrides.version()
        with self._lock:
            if self._active is None or laid == self._state[1]:
                return False
            vouched = self._keeper.kept[0].vouched
            candidate = candidate_of(self._active.content, self._demands.once, {}, vouched, self._pace())
            self._activate(candidate, cause, started, vouched)
            self._state = (self._state[0], laid)
        return True

    def _still_signed(self) -> None:
        """Say whether what is active was signed for a time that is over: it stays, and updates may be held back."""
        expires = self._active.vouched.expires if self._active and self._active.vouched else None
        if expires is None or expires.timestamp() > time.time():
            self._sound()
            return
        text = (
            f"what is active was signed until {expires:%Y-%m-%d %H:%M} UTC, and {self._what} has nothing newer: sign it"
            " anew, or look whether updates are held back on the way"
        )
        self._say(StepFailedError("signature", text, lasting=True))

    def _stays(self, version: str, decided: Decided) -> bool:
        """Whether what is active is what is to be: the source calls it the same, or somebody pinned it."""
        active = self._active
        return active is not None and (version == self._state[0] or decided.pinned == active.revision.digest)

    def _fetched(self, state: tuple[str, str], decided: Decided) -> tuple[Candidate, tuple[str, str], float]:
        """The candidate that there is now, the state that it stands for, and the time for which it was found signed.

        Raises StepFailedError.
        """
        seen: Mapping[str, str] = {}
        if self._active and self._stays(state[0], decided):  # only what is laid over it is another
            given, now = self._active.content, self._keeper.kept[0].vouched
            state = (self._state[0], state[1])  # of what serves: what is pinned is not what the source has
        else:
            with asking("fetch"):
                given = self._source.fetch()
            serves = self._active is not None and given.files == self._active.content.files
            now, seen = time.time(), {} if serves else decided.seen  # what serves, say rolled back to, is no return
            self._note(last_successful_download=now)
            state = (given.version, state[1])
        try:
            return candidate_of(given, self._demands, seen, now, self._pace()), state, now
        except StepFailedError as failed:
            if failed.lasting:
                self._refused, self._refusal = state, failed
            raise

    def _pace(self) -> Callable[[], None]:
        """How a candidate is worked on: beside answers, as soon as there are any."""
        return Pace(self._stop.wait).rest if self._active else hurry

    def _activate(self, candidate: Candidate, cause: str, started: float, vouched: float) -> None:
        """Let a candidate decide from now on; one that says what the active one says takes its place without a swap.

        `vouched` is the time for which it was found to be signed.
        """
        revision, before = candidate.revision, self._active
        now = time.time()
        if before is None or before.revision != revision:
            for problem in candidate.warnings:
                process_log.warning("%s", problem)
            self._take(candidate, cause, started)
            if revision in self._served and before:
                log.info("%s is back, after %s: it had been active before", revision, before.revision)
            self._served.add(revision)
            self._unexamined = candidate if candidate.conflicts is None or self._beside else None
            if self._beside:
                self._beside[0].note(self._beside[1], candidate)
            self._note(last_successful_activation=now)
        self._active = candidate
        expires = candidate.vouched.expires if candidate.vouched else None
        self._note(
            revision=revision,
            origin=candidate.content.origin,
            warnings=candidate.warnings,
            vouched=candidate.vouched.words if candidate.vouched else "",
            expires=expires.timestamp() if expires else 0.0,
        )
        self._keeper.keep(Kept(revision, candidate.content, now, vouched))
        self._see(candidate)

    def _see(self, candidate: Candidate) -> None:
        """Keep the newest version that somebody vouched for."""
        vouched = candidate.vouched.version if candidate.vouched else ""
        seen = self._keeper.decided.seen.get(candidate.revision.name, "")
        new, old = version_of(vouched), version_of(seen)
        if new is not None and (old is None or new > old):
            decided = self._keeper.decided
            self._keeper.decide(replace(decided, seen={**decided.seen, candidate.revision.name: vouched}))

    def examine(self) -> None:
        """Look for what the policies of the active revision do to each other; it stands in nobody's way."""
        candidate, self._unexamined = self._unexamined, None
        if candidate is None:
            return
        try:
            found = conflicts_of(candidate) if candidate.conflicts is None else ()
            self._tell_conflicts(candidate, found)
            if self._beside:
                self._beside[0].examine()
        except Exception:
            log.exception("bug while examining %s, please report it; it stays active", candidate.revision)

    def _tell_conflicts(self, candidate: Candidate, found: tuple[Problem, ...]) -> None:
        with self._lock:
            if self._active is not candidate or candidate.conflicts is not None:
                return
            self._active = replace(candidate, conflicts=found)
            self._note(warnings=self._active.warnings)
        for problem in found:
            process_log.warning("%s", problem)

    # what somebody decides

    def rollback(self, to: str = "") -> Revision:
        """Go back to the revision before, or to one that is named, and hold back what is active now. Raises HeldError.

        What the source has next, if it is something else, is activated as always; what is held back is not.
        """
        with self._lock:
            active = self._serving_now()
            away = active.revision.digest
            if to:
                target = self._keeper.find(to)
            else:
                passed_over = {away, *self._keeper.decided.held_back}
                earlier = [one for one in self._keeper.kept if one.revision.digest not in passed_over]
                if not earlier:
                    raise HeldError(f"there is no revision before {active.revision} that could decide: none was kept")
                target = earlier[0]
            if target.revision.digest == away:
                raise HeldError(f"{active.revision} is active already")
            self._back(target, "rollback")
            held = (self._keeper.decided.held_back | {away}) - {target.revision.digest}
            pinned = target.revision.digest if self._keeper.decided.pinned else ""
            self._order(replace(self._keeper.decided, held_back=held, pinned=pinned))
            log.warning("rolled back from %s, which is held back, to %s", active.revision, self._status.revision)
            return self._status.revision or target.revision

    def pin(self, to: str = "") -> Revision:
        """Stay at the active revision, or go to one that is named and stay there. Raises HeldError."""
        with self._lock:
            active = self._serving_now()
            target = self._keeper.find(to) if to else None
            if target and target.revision.digest != active.revision.digest:
                self._back(target, "pin")
            digest = target.revision.digest if target else active.revision.digest
            held = self._keeper.decided.held_back - {digest}
            self._order(replace(self._keeper.decided, pinned=digest, held_back=held))
            log.warning("%s is pinned: it stays, whatever %s has", self._status.revision, self._what)
            return self._status.revision or active.revision

    def suspend(self) -> None:
        """Do not ask the source any more."""
        with self._lock:
            self._order(replace(self._keeper.decided, suspended=True))
            log.warning("%s is suspended: it is not asked any more; %s", self._what, self._serving())

    def resume(self) -> None:
        """Follow the source again: nothing is pinned, suspended or held back."""
        with self._lock:
            self._order(replace(self._keeper.decided, pinned="", suspended=False, held_back=frozenset()))
            log.warning("%s is followed again; %s", self._what, self._serving())

    @property
    def held(self) -> bool:
        """Whether it is not followed as always: something is pinned, suspended or held back."""
        decided = self._keeper.decided
        return bool(decided.pinned or decided.suspended or decided.held_back)

    def _order(self, decided: Decided) -> None:
        self._commands += 1
        self._refusal, self._passed, self._refused = None, ("", ""), ("", "")
        self._keeper.decide(decided)
        self._wake.set()

    def _serving_now(self) -> Candidate:
        if self._active is None:
            raise HeldError("nothing is active yet")
        return self._active

    def _back(self, kept: Kept, cause: str) -> None:
        """Let a kept revision decide again. Raises HeldError where it can't any more."""
        started = time.perf_counter()
        try:
            candidate = candidate_of(kept.content, self._demands.once, {}, kept.vouched, self._pace())
        except StepFailedError as failed:
            raise HeldError(f"{kept.revision} can't decide: the step `{failed.step}` failed: {failed}") from failed
        if candidate.revision.digest != kept.revision.digest:
            raise HeldError(f"{kept.revision} can't decide: what was kept as it is {candidate.revision}")
        self._activate(candidate, cause, started, kept.vouched)
        self._state = ("", self._demands.overrides.version())

    # what is kept

    def _restore(self, digest: str = "") -> None:
        """Let the newest kept revision decide that still can; the one with a digest, if that is given."""
        for kept in [one for one in self._keeper.kept if digest in ("", one.revision.digest)]:
            if kept.revision.digest in self._keeper.decided.held_back:
                continue
            try:
                self._back(kept, "kept")
            except HeldError as error:
                self._metrics.activation_failures.labels("kept").inc()
                log.error("kept on disk, and of no use: %s", error)
                self._note(message=str(error), step="kept")
                continue
            self._state = (kept.content.version, self._demands.overrides.version())
            log.warning("%s serves what was kept on disk: %s", self._what, kept.revision)
            return
        if digest:
            log.error("%s is pinned to the revision sha256:%s, which was not kept", self._what, digest)

    # what is told

    def _tell(self, failed: StepFailedError) -> None:
        """Say and count what failed just now."""
        self._say(failed)
        self._metrics.activation_failures.labels(failed.step).inc()

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
        with self._lock:
            self._status = replace(self._status, **fields)
