"""Recorder: decisions on their way into the store, from a thread of its own.

Who decides appends what there is already to a queue, and goes on. The thread takes it from there in batches: it turns
decisions into bytes, and has them kept in one transaction each. The queue is bounded, in entries and in bytes; when it
is full, the oldest are dropped, and counted. What can't be written now waits in it, and is tried again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Protocol

from audit.database import Database, Retention, Row, UnusableError
from audit.kept import (
    InventoryParts,
    WorldParts,
    body_of,
    bundle_text,
    digest_of,
    encoded,
    packed,
    settings_of,
    told_of,
)
from delivery import Rollout
from engine.bundle import Bundle, JointRevision
from engine.decision import Decider, Decision
from engine.pools import Inventory, Pool
from engine.struct import replace
from telemetry import Backlog

MAX_DECISIONS = 2_000
MAX_BYTES = 6 << 20
"""Decisions, and bytes of the reviews that they came in, that may wait: in memory these are eight times as many."""
BATCH, BATCH_BYTES = 200, 4 << 20
GATHER_SECONDS = 0.1
"""How long decisions may gather before they are written together."""
REST = 3.0
"""How many times as long as it computed the thread rests: it takes a quarter of one core at most."""
AGAIN_SECONDS, AGAIN_MOST_SECONDS = 1.0, 30.0
"""How soon what could not be written is tried again, and how late at most."""
TIDY_SECONDS = 600.0
"""How often what is too old goes where nothing new comes."""
STOP_SECONDS = 5.0
WORLDS = 4
"""So many of the worlds in which decisions were made last are remembered."""
BUNDLES = 16

log = logging.getLogger("bayplan.store")


class Counts(Protocol):
    """Who counts."""

    def kept(self, decisions: int) -> None:
        """So many are committed."""

    def dropped(self, reason: str, decisions: int) -> None:
        """So many are lost: `full`, for the queue was; `bug`; `stop`, for the process stopped while the disk failed."""

    def failed(self) -> None:
        """Something could not be written."""


class Writing(Protocol):
    """What can be written together: a Transaction."""

    def thing(self, digest: str, body: bytes) -> int: ...
    def append(self, rows: Sequence[Row]) -> None: ...
    def unneeded(self, things: Iterable[int]) -> None: ...


class Keeping(Protocol):
    """Where decisions are kept: a Database, or Files."""

    complaint: str

    def close(self) -> None: ...
    def count(self) -> int: ...
    def transaction(self, now: float) -> AbstractContextManager[Writing]: ...
    @property
    def bytes(self) -> int: ...
    @property
    def gone(self) -> bool: ...


Begin = Callable[[Path, Retention], Keeping]


class _Waiting(NamedTuple):
    at: float
    decision: Decision
    decider: object
    size: int


class _World(NamedTuple):
    """A world that is kept: its number, and all things that it needs."""

    number: int
    things: frozenset[int]
    decider: Decider


class Recorder:
    """Keeps decisions in a folder. `offer` and `bundle` may be called from any thread, and never wait for the disk."""

    def __init__(
        self,
        folder: Path,
        counts: Counts,
        retention: Retention = Retention(),  # noqa: B008 - it is a value
        *,
        begin: Begin = Database,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.complaint = ""
        self._folder, self._counts, self._retention, self._clock = folder, counts, retention, clock
        full = partial(counts.dropped, "full")
        self._backlog = Backlog[_Waiting](MAX_DECISIONS, MAX_BYTES, attrgetter("size"), full)
        self._lock = threading.Lock()  # of the bundles
        self._bundles: OrderedDict[str, bytes] = OrderedDict()
        self._begin = begin
        self._database: Keeping | None = None
        self._worlds: OrderedDict[int, _World] = OrderedDict()
        self._pools: dict[int, tuple[Pool, str, int]] = {}
        self._bytes = self._total = 0
        self._again = AGAIN_SECONDS
        self._damage = ""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, for a few seconds at most, and stop."""
        left = self._backlog.close(self._thread, STOP_SECONDS)
        if left:
            self._counts.dropped("stop", left)

    def bundle(self, bundle: Bundle) -> None:
        """Say what a revision is, before decisions by it come."""
        text = bundle_text(bundle)
        with self._lock:
            self._bundles[bundle.revision.whole] = text
            while len(self._bundles) > BUNDLES:
                self._bundles.popitem(last=False)

    def offer(self, decision: Decision, decider: object, size: int) -> None:
        """Hand over a decision, and what made it; `size` are the bytes of the review. Never waits."""
        self._backlog.add(_Waiting(self._clock(), decision, decider, size))

    def depth(self) -> int:
        """Decisions that wait."""
        return len(self._backlog)

    def bytes(self) -> int:
        """What the store takes on disk, as it was after the last batch."""
        return self._bytes

    def decisions(self) -> int:
        """How many decisions there were in it at its beginning, and were kept since."""
        return self._total

    def failing(self) -> float:
        """1 while the store can't be written, else 0."""
        return float(bool(self.complaint))

    def complaints(self) -> tuple[str, ...]:
        """What is wrong now, and what was found damaged at the start."""
        return tuple(filter(None, (self.complaint, self._damage)))

    def _run(self) -> None:
        wait = self._once()  # the file is opened, or what keeps it from that is told, before anything comes
        while not self._backlog.closed:
            if wait:
                self._backlog.rest(wait)
            else:
                self._backlog.wait(TIDY_SECONDS)
                self._backlog.rest(GATHER_SECONDS)
            started = time.thread_time()
            wait = self._once()
            self._backlog.rest(REST * (time.thread_time() - started))
        while self._backlog and not self._once():
            pass
        if self._database is not None:
            self._database.close()

    def _once(self) -> float:
        """Write a batch; how long to wait before it is tried again, 0 where it was kept."""
        batch = self._backlog.take(BATCH, BATCH_BYTES)
        try:
            self._write(batch)
        except UnusableError as error:
            self._backlog.put_back(batch)
            self._let_go()
            self._counts.failed()
            if str(error) != self.complaint:
                log.error("decisions are not kept: %s; it is tried again, and admissions do not wait", error)
            self.complaint = str(error)
            wait, self._again = self._again, min(2 * self._again, AGAIN_MOST_SECONDS)
            return wait
        except Exception as error:  # its text may quote a pod
            self._let_go()
            self._counts.dropped("bug", len(batch))
            log.error("bug in the store (%s): %d decisions are not kept", type(error).__name__, len(batch))
            return 0.0
        if self.complaint:
            log.info("decisions are kept again")
        self.complaint, self._again = "", AGAIN_SECONDS
        return 0.0

    def _write(self, batch: list[_Waiting]) -> None:
        """Keep a batch, or raise UnusableError and change nothing."""
        if self._database is not None and self._database.gone:
            self._let_go()
        if self._database is None:
            self._open()
        assert self._database is not None
        made = [self._made(waiting) for waiting in batch]
        with self._database.transaction(self._clock()) as transaction:
            rows = [row._replace(world=self._world(transaction, decider).number) for row, decider in filter(None, made)]
            transaction.append(rows)
            self._forget_worlds(transaction)
        self._counts.kept(len(rows))
        self._total += len(rows)
        self._bytes = self._database.bytes

    def _open(self) -> None:
        self._database = self._begin(self._folder, self._retention)
        if self._database.complaint:
            self._damage = self._database.complaint
            log.error("%s", self._damage)
        self._total = self._database.count()

    def _let_go(self) -> None:
        """Close the file, and forget what is in it: what was written last may not be there."""
        if self._database is not None:
            self._database.close()
        self._database = None
        self._worlds.clear()
        self._pools.clear()

    def _made(self, waiting: _Waiting) -> tuple[Row, Decider] | None:
        """A decision as it is kept, and who made it; None where nothing was decided."""
        decision = waiting.decision
        decider = waiting.decider.decided_by(decision) if isinstance(waiting.decider, Rollout) else waiting.decider
        if not isinstance(decider, Decider) or decision.mode == "off":
            return None
        workload, outcome = (_text(text) for text in told_of(decision))
        uid = _text(decision.incoming.uid)
        try:
            return Row(waiting.at, uid, workload, outcome, 0, body_of(decision, decider)), decider
        except Exception as error:
            self._counts.dropped("bug", 1)
            log.error("bug in the store about request %s (%s): it is not kept", uid, type(error).__name__)
            return None

    def _world(self, transaction: Writing, decider: Decider) -> _World:
        """Where a decider decides, kept."""
        known = self._worlds.get(id(decider))
        if known is None:
            known = self._worlds[id(decider)] = self._new_world(transaction, decider)
        self._worlds.move_to_end(id(decider))
        return known

    def _forget_worlds(self, transaction: Writing) -> None:
        """Say what of the worlds that have gone nobody needs, once their decisions are there."""
        old = set[int]()
        while len(self._worlds) > WORLDS:
            old |= self._worlds.popitem(last=False)[1].things
        if old:
            needed = frozenset[int]().union(*(world.things for world in self._worlds.values()))
            transaction.unneeded(old - needed)
            self._pools = {key: one for key, one in self._pools.items() if one[2] in needed}

    def _new_world(self, transaction: Writing, decider: Decider) -> _World:
        revisions = decider.revision.each if isinstance(decider.revision, JointRevision) else (decider.revision,)
        names = tuple(revision.whole for revision in revisions)
        with self._lock:
            texts = [self._bundles.get(name) for name in names]
        bundles = tuple(
            None if text is None else transaction.thing(f"bundle:{name}", text)
            for name, text in zip(names, texts, strict=True)
        )
        digest, inventory, pools = self._inventory(transaction, decider.pool_index.inventory)
        parts = WorldParts(names, bundles, digest, inventory, settings_of(decider))
        text = encoded(parts)
        number = transaction.thing(digest_of("world", text), packed(text))
        things = frozenset((number, inventory, *pools, *(one for one in bundles if one is not None)))
        return _World(number, things, decider)

    def _inventory(self, transaction: Writing, inventory: Inventory) -> tuple[str, int, list[int]]:
        """The digest of an inventory, the thing that holds it, and those that hold its pools."""
        pools, digests = [], []
        for pool in inventory.pools:
            _, digest, number = self._pools.get(id(pool)) or self._pool(transaction, pool)
            pools.append(number)
            digests.append(digest)
        rest = replace(inventory, pools=())
        digest = digest_of("inventory", encoded((rest, digests)))
        text = encoded(InventoryParts(rest, tuple(pools)))
        return digest.partition(":")[2], transaction.thing(digest, packed(text)), pools

    def _pool(self, transaction: Writing, pool: Pool) -> tuple[Pool, str, int]:
        text = encoded(pool)
        digest = digest_of("pool", text)
        kept = self._pools[id(pool)] = (pool, digest, transaction.thing(digest, packed(text)))
        return kept


def _text(text: str) -> str:
    """A text that any database takes."""
    return text.encode(errors="replace").decode()
