"""What decides now, and how it is replaced while requests are being answered.

A program (from a bundle) and an inventory (from a file, or from the Nodes of a cluster) make a decider. Either may
change at any time, from any thread. The next decider is built beside the one that is serving, and one reference is
swapped. Whatever goes wrong on the way leaves the last good one serving, and says which step failed.

Where several bundles decide together, each has a place. One that changes is swapped by itself: what is known for the
others stays. Where bundles are rolled out to some workloads, those before them have these places for the others.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.rollout import Rollout
from delivery.transaction import Candidate
from engine.bundle import HandsOn
from engine.decision import Decider
from engine.documents import BundleError, RequestError
from engine.pods import DAEMON_SET_CONTROLLERS
from engine.pools import Inventory
from engine.program import Program
from engine.struct import Struct

if TYPE_CHECKING:
    from telemetry import Metrics

POLL_SECONDS = 0.5
"""How often files are looked at."""
PATIENCE = 10
"""How many times as long as looking at them took: folders may be large, and disks slow."""
GATHER_SECONDS = 0.1
GATHER_MOST_SECONDS = 0.5
"""Nodes change in crowds: pools are made of them once nothing has changed this long, and not much later than that."""
SWITCH_SECONDS = 0.0005
"""How soon building, and what webhooks decide beside their event loop, give way to a request that wants to be answered.
The interpreter's own are five milliseconds, and a loop waits for it once for each thing that it reads or writes. A
start has those, for nobody is answered yet, and to let others in takes a twentieth of it."""

log = logging.getLogger("bayplan.activation")


Programs: TypeAlias = tuple[Program, ...]
Build: TypeAlias = Callable[[Programs, Inventory, "Decider | None"], Decider]


class Stages(Struct, frozen=True):
    """The steps to a decider: `take` gives the inventory, or None as long as there is none; `build` brings it together
    with programs, given the decider that is active until then."""

    take: Callable[[], Inventory | None]
    build: Build


def decider_of(
    programs: Programs,
    inventory: Inventory,
    active: Decider | None,
    *,
    mode: str,
    cluster: Mapping[str, Any],
    own_namespace: str,
    daemon_set_controllers: Iterable[str] = DAEMON_SET_CONTROLLERS,
) -> Decider:
    """The decider of programs on an inventory; where there is an active one, that one renewed.

    `mode` is the webhook's own, `cluster` what expressions see under that name; pods of `own_namespace` are left alone,
    and those that `daemon_set_controllers` (users) made for DaemonSets.
    """
    if active is not None:
        return active.renewed(inventory, programs)
    return Decider(
        programs,
        inventory,
        mode=mode,
        cluster=cluster,
        namespaces=(own_namespace,),
        daemon_set_controllers=daemon_set_controllers,
    )


class Rolling(Struct, frozen=True):
    """That bundles decide about `percent` of a hundred workloads; `previous` says by place what the bundle is called
    that decides about the others, where there is one."""

    percent: int
    previous: Mapping[int, str]


class Activation:
    """The decider that is active, kept up to date with programs and inventories."""

    def __init__(
        self,
        stages: Stages,
        metrics: Metrics,
        inventories: Sequence[Path] = (),
        bundles: Sequence[str] = ("",),
        rolling: Rolling | None = None,
    ) -> None:
        """`inventories` are looked at for changes; whoever watches a cluster calls `fleet_changed`, and whoever follows
        a bundle `take`. `bundles` says by place what each is called where it is waited for: nothing, if it is the only
        one. With `rolling`, they decide about some workloads only."""
        self.decider: Decider | Rollout | None = None
        self._stages, self._metrics = stages, metrics
        self._inventories, self._bundles = tuple(inventories), tuple(bundles)
        self._rolling = rolling if rolling and rolling.percent < 100 else None
        self._programs: list[Program | None] = [None] * len(self._bundles)
        self._previous: dict[int, Program] = {}
        self._sides: tuple[Decider | None, Decider | None] = (None, None)
        self._inventory: Inventory | None = None
        self._taken: Fingerprint = b""
        self._complaint = ""
        self._due = 0.0
        self._swapping = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._regroup = False
        self._thread = threading.Thread(target=self._run, name="activation", daemon=True)

    def first(self) -> None:
        """Take the inventory, if there is one already. Raises what is wrong with it."""
        started = time.perf_counter()
        self._taken = fingerprint_of(*self._inventories)
        self._swap({}, self._stages.take(), "start", started)

    def start(self) -> None:
        """Follow the inventory from now on."""
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def fleet_changed(self) -> None:
        """Say that the inventory may be another one now. From any thread; never waits."""
        self._regroup = True
        self._wake.set()

    def take(self, candidate: Candidate, cause: str, started: float, place: int = 0) -> None:
        """Let a bundle decide from now on, as soon as there are an inventory, and bundles in all places. From any
        thread.

        `cause` is a word for the metrics, `started` when the work on it began (`time.perf_counter`).
        """
        self._swap({place: candidate.program}, None, cause, started)

    def take_previous(self, candidate: Candidate, cause: str, started: float, place: int = 0) -> None:
        """Let a bundle decide about the workloads that the one in its place is not rolled out to. From any thread."""
        self._swap({}, None, cause, started, {place: candidate.program})

    @property
    def hands_on(self) -> tuple[HandsOn, ...]:
        """What each bundle wants sent besides other pods; nothing more as long as there is none."""
        return tuple(program.hands_on for program in self._programs if program)

    def unready(self) -> list[str]:
        """What there is to wait for, in words; nothing once a decider is active."""
        if self.decider:
            return []
        lacking = [
            f"bundle `{name}`" if name else "bundle"
            for name, program in zip(self._bundles, self._programs, strict=True)
            if program is None
        ]
        awaited = self._rolling.previous.items() if self._rolling else ()
        lacking += [f"previous bundle `{name}`" for place, name in awaited if place not in self._previous]
        lacking += [] if self._inventory is not None else ["inventory"]
        return [f"no {' and '.join(lacking)} are active yet"]

    def complaints(self) -> list[str]:
        """What is wrong with the inventory, in words."""
        return [self._complaint] if self._complaint else []

    def _run(self) -> None:
        while not self._stop.is_set():
            woken = self._wake.wait(max(0.0, self._due - time.monotonic()))
            if woken:
                self._gather()
            started = time.perf_counter()
            try:
                if self._regroup:
                    self._regroup = False
                    self._renew("nodes")
                if time.monotonic() >= self._due:
                    self._look()
            except Exception:
                self._metrics.activation_failures.labels("swap").inc()
                log.exception("bug while activating, please report it; %s", self._serving())
            if woken:
                self._stop.wait(time.perf_counter() - started)  # at most half of a core, however often nodes change

    def _gather(self) -> None:
        """Wait until changes have come to rest; not at the start, when everybody waits for the first decider."""
        latest = time.monotonic() + GATHER_MOST_SECONDS
        self._wake.clear()
        while self.decider and not self._stop.wait(GATHER_SECONDS) and self._wake.is_set():
            self._wake.clear()
            if time.monotonic() >= latest:
                return

    def _look(self) -> None:
        started = time.monotonic()
        self._due = started + POLL_SECONDS
        now = fingerprint_of(*self._inventories)
        self._due = max(self._due, started + PATIENCE * (time.monotonic() - started))
        if now != self._taken and self._inventories:
            self._taken = now
            self._renew("file")

    def _renew(self, cause: str) -> None:
        started = time.perf_counter()
        try:
            inventory = self._stages.take()
        except (BundleError, RequestError, OSError) as error:
            self._refuse(error)
            return
        if inventory is not None and inventory != self._inventory:
            self._swap({}, inventory, cause, started)
            self._complaint = ""
        elif self._complaint:
            self._complaint = ""
            log.info("the inventory is sound again; %s", self._serving())

    def _swap(
        self,
        programs: Mapping[int, Program],
        inventory: Inventory | None,
        cause: str,
        started: float,
        previous: Mapping[int, Program] | None = None,
    ) -> None:
        """Build a decider of what is given and what is there besides, when all is, and let it decide from now on.

        `programs` are those that are new, by place, and `previous` those before the ones in these places.
        """
        with self._swapping:
            seats = [programs.get(place, there) for place, there in enumerate(self._programs)]
            before = {**self._previous, **(previous or {})}
            ready = tuple(program for program in seats if program is not None)
            inventory = inventory if inventory is not None else self._inventory
            whole = len(ready) == len(seats) and not (self._rolling and self._rolling.previous.keys() - before.keys())
            decider = self._built(ready, before, inventory) if whole and inventory is not None else None
            self._programs, self._previous, self._inventory = seats, before, inventory
            if decider is None:
                return
            if self.decider is None:
                sys.setswitchinterval(SWITCH_SECONDS)
            self.decider = decider
        seconds = time.perf_counter() - started
        self._metrics.activate([program.revision for program in ready], [one.revision for one in before.values()])
        self._metrics.activation_seconds.labels(cause).observe(seconds)
        beside = ", ".join(str(one.revision) for one in before.values())
        whom = f" for {self._rolling.percent} % of workloads, {beside} for the others," if self._rolling else ""
        words = f"{decider.revision} is active{whom}"
        log.info("%s with %d pools (%s, %.0f ms)", words, self.pools(), cause, seconds * 1000)

    def _built(self, programs: Programs, previous: Mapping[int, Program], inventory: Inventory) -> Decider | Rollout:
        """What decides by these programs; where they are rolled out to some workloads, together with those before."""
        build, (new, before) = self._stages.build, self._sides
        new = build(programs, inventory, new)
        if self._rolling is None:
            self._sides = (new, None)
            return new
        old = tuple(previous.get(place, program) for place, program in enumerate(programs))
        before = build(old, inventory, before)
        self._sides = (new, before)
        return Rollout(new, before, self._rolling.percent, self._metrics.rolled_out)

    def _refuse(self, error: Exception) -> None:
        complaint = f"the inventory was not taken: {error}"
        if complaint != self._complaint:
            self._complaint = complaint
            log.error("the inventory was not activated, the step `inventory` failed; %s\n%s", self._serving(), error)
            self._metrics.activation_failures.labels("inventory").inc()

    def _serving(self) -> str:
        return f"{self.decider.revision} stays active" if self.decider else "nothing is active"

    def pools(self) -> int:
        """How many pools decisions know of."""
        return len(self._inventory.pools) if self._inventory else 0

    def strays(self) -> int:
        """How many nodes belong to no pool."""
        return self._inventory.strays if self._inventory else 0
