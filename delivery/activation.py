"""What decides now, and how it is replaced while requests are being answered.

A program (from a bundle's files) and an inventory (from a file, or from the Nodes of a cluster) make a decider. Either
may change at any time. One thread watches both, builds the next decider beside the one that is serving, and swaps one
reference. Whatever goes wrong on the way leaves the last good one serving, and says which step failed.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.folder import load_bundle
from engine.decision import Decider
from engine.documents import BundleError, RequestError
from engine.pods import DAEMON_SET_CONTROLLERS
from engine.pools import Inventory
from engine.program import Program, compile_bundle

if TYPE_CHECKING:
    from telemetry import Metrics

INVENTORY = "the inventory"
POLL_SECONDS = 0.5
"""How often files are looked at."""
PATIENCE = 10
"""How many times as long as looking at them took: folders may be large, and disks slow."""
GATHER_SECONDS = 0.1
GATHER_MOST_SECONDS = 0.5
"""Nodes change in crowds: pools are made of them once nothing has changed this long, and not much later than that."""
SWITCH_SECONDS = 0.001
"""How soon building gives way to a request that wants to be answered (the interpreter's default is five times that)."""

log = logging.getLogger("bayplan.activation")
process_log = logging.getLogger("bayplan")
"""What a bundle warns of is logged by the process as a whole, as what keeps it from starting is."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The steps from sources to a decider: `load` reads, compiles and tests the bundle; `take` gives the inventory, or
    None as long as there is none; `build` brings them together, given the decider that is active until then."""

    load: Callable[[], Program]
    take: Callable[[], Inventory | None]
    build: Callable[[Program, Inventory, Decider | None], Decider]


def program_from(folder: str) -> Program:
    """The program of the bundle in a folder, whose own tests it passes; what it warns of is logged.

    Raises BundleError (FailedTestsError for its tests) or OSError.
    """
    from engine.analysis import passing  # whoever only reads a folder does without

    bundle = load_bundle(folder)
    program = compile_bundle(bundle)
    for problem in dict.fromkeys((*bundle.warnings, *program.warnings)):
        process_log.warning("%s", problem)
    return passing(bundle, program)


def decider_of(
    program: Program,
    inventory: Inventory,
    active: Decider | None,
    *,
    mode: str,
    cluster: Mapping[str, Any],
    own_namespace: str,
    daemon_set_controllers: Iterable[str] = DAEMON_SET_CONTROLLERS,
) -> Decider:
    """The decider of a program on an inventory; of the same program as the active one's, that one renewed.

    `mode` is the webhook's own, `cluster` what expressions see under that name; pods of `own_namespace` are left alone,
    and those that `daemon_set_controllers` (users) made for DaemonSets.
    """
    if active is not None and active.program is program:
        return active.renewed(inventory)
    return Decider(
        program,
        inventory,
        mode=mode,
        cluster=cluster,
        namespaces=(own_namespace,),
        daemon_set_controllers=daemon_set_controllers,
    )


def _fails_tests(error: Exception) -> bool:
    from engine.analysis import FailedTestsError

    return isinstance(error, FailedTestsError)


class Activation:
    """The decider that is active, kept up to date with its sources."""

    def __init__(self, stages: Stages, metrics: Metrics, bundle: Path, inventories: Sequence[Path] = ()) -> None:
        """`bundle` and `inventories` are looked at for changes; whoever watches a cluster calls `fleet_changed`."""
        self.decider: Decider | None = None
        self._stages, self._metrics = stages, metrics
        self._bundle, self._inventories = bundle, tuple(inventories)
        self._what = f"bundle `{bundle}`"
        self._program: Program | None = None
        self._inventory: Inventory | None = None
        self._loaded: Fingerprint = b""
        self._taken: Fingerprint = b""
        self._refused: Fingerprint = b""
        self._complaints: dict[str, str] = {}
        self._due = 0.0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._regroup = False
        self._thread = threading.Thread(target=self._run, name="activation", daemon=True)

    def first(self) -> None:
        """Load the bundle, and the inventory if there is one already. Raises what is wrong with them."""
        started = time.perf_counter()
        self._loaded, self._taken = fingerprint_of(self._bundle), fingerprint_of(*self._inventories)
        self._swap(self._stages.load(), self._stages.take(), "start", started)

    def start(self) -> None:
        """Follow the sources from now on."""
        sys.setswitchinterval(SWITCH_SECONDS)
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

    def unready(self) -> list[str]:
        """What there is to wait for, in words; nothing once a decider is active."""
        return [] if self.decider else ["no bundle and inventory are active yet"]

    def _run(self) -> None:
        while not self._stop.is_set():
            woken = self._wake.wait(max(0.0, self._due - time.monotonic()))
            if woken:
                self._gather()
            started = time.perf_counter()
            try:
                if self._regroup:
                    self._regroup = False
                    self._take("nodes")
                if time.monotonic() >= self._due:
                    self._look()
            except Exception:
                self._metrics.activation_failures.labels("build").inc()
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
        pools, now = fingerprint_of(*self._inventories), fingerprint_of(self._bundle)
        self._due = max(self._due, started + PATIENCE * (time.monotonic() - started))
        if pools != self._taken and self._inventories:
            self._taken = pools
            self._take("file")
        if now == self._loaded:
            self._refused = b""
            self._repaired(self._what)
        elif now != self._refused:
            self._stop.wait(GATHER_SECONDS)
            if now == fingerprint_of(self._bundle):
                self._load(now)

    def _load(self, seen: Fingerprint) -> None:
        started = time.perf_counter()
        try:
            program = self._stages.load()
        except (BundleError, RequestError, OSError) as error:
            if seen == fingerprint_of(self._bundle):
                self._refused = seen if isinstance(error, BundleError) else b""
                self._refuse("test" if _fails_tests(error) else "load", self._what, error)
            return
        if seen != fingerprint_of(self._bundle):
            return  # it changed under the loader's hands: not everything that was read need belong together
        self._loaded, self._refused = seen, b""
        if self._program is not None and program.revision == self._program.revision:
            self._repaired(self._what)
            return
        self._swap(program, self._inventory, "bundle", started)

    def _take(self, cause: str) -> None:
        started = time.perf_counter()
        try:
            inventory = self._stages.take()
        except (BundleError, RequestError, OSError) as error:
            self._refuse("inventory", INVENTORY, error)
            return
        if inventory is not None and inventory != self._inventory:
            self._swap(self._program, inventory, cause, started)
        else:
            self._repaired(INVENTORY)

    def _swap(self, program: Program | None, inventory: Inventory | None, cause: str, started: float) -> None:
        """Build a decider of both, when both are there, and let it decide from now on."""
        decider = self._stages.build(program, inventory, self.decider) if program and inventory is not None else None
        self._program, self._inventory = program, inventory
        self._complaints.pop(INVENTORY if cause in ("file", "nodes") else self._what, None)
        if decider is None or program is None:
            return
        self.decider = decider
        seconds, revision = time.perf_counter() - started, program.revision
        self._metrics.activate(revision.name, revision.version, str(revision))
        self._metrics.activation_seconds.labels(cause).observe(seconds)
        log.info("%s is active with %d pools (%s, %.0f ms)", revision, self.pools(), cause, seconds * 1000)

    def _refuse(self, stage: str, what: str, error: Exception) -> None:
        complaint = f"{stage}: {error}"
        if complaint != self._complaints.get(what):
            self._complaints[what] = complaint
            log.error("%s was not activated, the step `%s` failed; %s\n%s", what, stage, self._serving(), error)
            self._metrics.activation_failures.labels(stage).inc()

    def _repaired(self, what: str) -> None:
        """Say that something is as it was before it was refused: nothing is swapped then."""
        if self._complaints.pop(what, None):
            log.info("%s is sound again; %s", what, self._serving())

    def _serving(self) -> str:
        return f"{self.decider.program.revision} stays active" if self.decider else "nothing is active"

    def pools(self) -> int:
        """How many pools decisions know of."""
        return len(self._inventory.pools) if self._inventory else 0

    def strays(self) -> int:
        """How many nodes belong to no pool."""
        return self._inventory.strays if self._inventory else 0
