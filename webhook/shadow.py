"""A shadow: a second bundle that is asked about the same pods once they are answered, and decides nothing.

Pods wait in a queue that is bounded, for a thread of its own, which works for a part of the time at most: what does not
fit is dropped and counted, so no answer waits for a shadow, and none is changed by it. What is recorded are differences
alone, a line of the decision log each, with both decisions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from delivery import Activation, Candidate
from engine.decision import Decider, Decision, decided_alike, placed_alike
from engine.pools import Inventory
from engine.program import Program
from telemetry import MAX_LINE, Backlog, DecisionLog, Metrics, bounded, now
from webhook import review

MAX_PODS = 1_000
MAX_BYTES = 16 << 20
"""Pods, and bytes of the reviews that they came in, that may wait."""
REST = 4.0
"""How many times as long as it decided the thread rests: it takes a fifth of one core at most."""
SHOWN = ("pools", "patch", "warnings", "audited")
"""What a line says of the shadow besides the sentence, where there is room."""
MAX_MESSAGE = 1_000
"""Characters of the shadow's sentence where there is not."""
FLUSH_SECONDS = 2.0
"""How long stopping waits for the pod at work."""

Difference = Literal["refused", "allowed", "placed", "audited"]
Build = Callable[[tuple[Program, ...], Inventory, Decider | None], Decider]

log = logging.getLogger("bayplan.shadow")


class _Waiting(NamedTuple):
    """A pod that was answered: its request's uid, whether it was a dry run, and what was decided."""

    uid: str
    dry_run: bool
    decision: Decision
    size: int


class Shadow:
    """Decides again, by another bundle on the same inventory, what has been answered."""

    def __init__(self, active: Activation, build: Build, metrics: Metrics, decisions: DecisionLog) -> None:
        """`build` makes the decider of programs on an inventory, given the last one."""
        self._active, self._build, self._metrics, self._log = active, build, metrics, decisions
        self._programs: dict[int, Program] = {}
        self._decider: Decider | None = None
        dropped = metrics.shadow_dropped.inc
        self._backlog = Backlog[_Waiting](MAX_PODS, MAX_BYTES, attrgetter("size"), dropped, keep="oldest")
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def take(self, candidate: Candidate, cause: str, started: float, place: int = 0) -> None:  # noqa: ARG002 - a follower's
        """Let a bundle be the shadow of the one in its place from now on. From any thread."""
        self._programs = {**self._programs, place: candidate.program}
        log.info("%s is asked as the shadow", candidate.revision)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._metrics.shadow_dropped.inc(self._backlog.close(self._thread, FLUSH_SECONDS))

    def depth(self) -> int:
        """Pods that wait."""
        return len(self._backlog)

    def offer(self, uid: str, dry_run: bool, decision: Decision, size: int) -> None:
        """Hand over what was answered: `size` are the bytes of the review. Never waits."""
        if self._programs:
            self._backlog.add(_Waiting(uid, dry_run, decision, size))

    def _run(self) -> None:
        while not self._backlog.closed:
            self._backlog.wait()
            for waiting in () if self._backlog.closed else self._backlog.take(1):
                started = time.perf_counter()
                self._look(waiting)
                self._backlog.rest(REST * (time.perf_counter() - started))

    def _look(self, waiting: _Waiting) -> None:
        """Decide one pod again. A bug here is logged by its type alone: its text may quote the pod."""
        try:
            decider = self._built()
            if decider is None:
                return
            decision = decider.decide(waiting.decision.incoming)
            self._metrics.shadow_decisions.inc()
            difference = difference_of(waiting.decision, decision)
            if difference:
                self._metrics.shadow_differences.labels(difference).inc()
                self._log.write(_line(waiting, decision, difference))
        except Exception as error:
            name = type(error).__name__
            log.error("bug in the shadow about request %s (%s): the answer was not touched", waiting.uid, name)
            self._metrics.shadow_dropped.inc()

    def _built(self) -> Decider | None:
        """The shadow's decider on the inventory that decides now; None as long as one of them is not there."""
        shadows, active = self._programs, self._active.decider
        if not shadows or active is None:
            return None
        inventory = active.pool_index.inventory
        programs = tuple(shadows.get(place, program) for place, program in enumerate(active.programs))
        built = self._decider
        same = built is not None and tuple(map(id, built.programs)) == tuple(map(id, programs))
        if built is None or not same or built.pool_index.inventory is not inventory:
            self._decider = built = self._build(programs, inventory, built)
        return built


def difference_of(active: Decision, shadow: Decision) -> Difference | None:
    """What a pod's author would notice of the shadow in place of the active bundle, in a word; None if nothing."""
    if placed_alike(active, shadow):
        return None if decided_alike(active, shadow) else "audited"
    if active.refused != shadow.refused:
        return "refused" if shadow.refused else "allowed"
    return "placed"


def _line(waiting: _Waiting, shadow: Decision, difference: Difference) -> bytes:
    """The line of the log: the active decision as it is logged, and under `shadow` what the other one would be."""
    line: dict[str, Any] = {
        "time": now(),
        "uid": waiting.uid,
        "dryRun": waiting.dry_run,
        "difference": difference,
        **waiting.decision.as_json(),
    }
    whole = shadow.as_json()
    short: dict[str, Any] = {key: whole[key] for key in ("revision", "mode", "allowed", "message") if key in whole}
    short["policies"] = [policy for policy in whole["policies"] if policy["outcome"] != "notMatched"]
    text = bounded(line | {"shadow": short | {key: whole[key] for key in SHOWN if key in whole}}, review.encode_json)
    if len(text) <= MAX_LINE:
        return text
    few = {"revision": short["revision"], "allowed": short["allowed"], "message": short["message"][:MAX_MESSAGE]}
    return bounded(line | {"shadow": few | {"omitted": True}}, review.encode_json)
