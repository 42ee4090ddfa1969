"""What is remembered of a source: the revisions that served last, and what people decided; on disk, if there is one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from delivery.store import KEEP, Decided, Kept, Store

if TYPE_CHECKING:
    from telemetry import Metrics

STORE_SECONDS = 10.0
"""How soon what could not be written is tried again."""
MIN_DIGITS = 6
"""Digits of a digest that are enough to mean a revision by."""

log = logging.getLogger("bayplan.activation")


class HeldError(Exception):
    """What somebody wants of a source can't be had: the text says why."""


class Keeper:
    """Remembers for one source. `note` is told what there is to say of it, as fields of a Status."""

    def __init__(self, store: Store | None, metrics: Metrics, note: Callable[..., None]) -> None:
        self.decided, self.kept = Decided(), tuple[Kept, ...]()
        self._store, self._metrics, self._note = store, metrics, note
        self._unwritten: list[Callable[[Store], None]] = []
        self._write_again = 0.0
        self._trouble = ""
        self._damaged: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def recall(self) -> None:
        """Read what is on disk. What is damaged there is told of."""
        if self._store:
            self.decided, self.kept = self._store.decided(), self._store.revisions()
            self._tell_damage(self._store)
        self._tell()

    def find(self, to: str) -> Kept:
        """The revision that somebody means: by its version, its digest or the beginning of that, or all of it.

        Raises HeldError.
        """
        digits = to.rpartition("sha256:")[2]
        for one in self.kept:
            by_digest = len(digits) >= MIN_DIGITS and one.revision.digest.startswith(digits)
            if to in (one.revision.version, str(one.revision), one.revision.whole) or by_digest:
                return one
        known = ", ".join(str(one.revision) for one in self.kept) or "none"
        raise HeldError(f"`{to}` is no revision that was kept: {known}")

    def keep(self, kept: Kept) -> None:
        """Remember a revision as the one that became active last."""
        others = [one for one in self.kept if one.revision.digest != kept.revision.digest]
        pinned = [one for one in others[KEEP - 1 :] if one.revision.digest == self.decided.pinned]
        self.kept = (kept, *others[: KEEP - 1], *pinned)
        self._later(lambda store: store.keep(kept, self.decided.pinned))

    def decide(self, decided: Decided) -> None:
        """Remember what was decided."""
        self.decided = decided
        self._later(lambda store: store.decide(decided))

    def write(self) -> None:
        """Write what is to be kept; what can't be written now is tried again later, and told of."""
        if not self._store or not self._unwritten or time.monotonic() < self._write_again:
            return
        with self._lock:
            try:
                while self._unwritten:
                    self._unwritten[0](self._store)
                    del self._unwritten[0]
            except OSError as error:
                self._unwritten = self._unwritten[-2 * KEEP :]
                self._write_again = time.monotonic() + STORE_SECONDS
                self._metrics.activation_failures.labels("keep").inc()
                trouble = f"`{self._store.folder}` can't be written: {error.strerror or error}"
                if trouble != self._trouble:
                    log.error("%s; what is active serves on, and a restart may not know of it", trouble)
                self._trouble = trouble
            else:
                if self._trouble:
                    log.info("`%s` can be written again", self._store.folder)
                self._trouble = ""
            self._tell_damage(self._store)
        self._tell()

    def _later(self, write: Callable[[Store], None]) -> None:
        if self._store:
            self._unwritten.append(write)
            self._write_again = 0.0
            self.write()
        else:
            self._tell()

    def _tell_damage(self, store: Store) -> None:
        while store.complaints:
            complaint = store.complaints.pop()
            self._metrics.activation_failures.labels("kept").inc()
            log.error("%s", complaint)
            self._damaged = (*self._damaged, complaint)[-KEEP:]

    def _tell(self) -> None:
        decided = self.decided
        fields: dict[str, Any] = {
            "pinned": decided.pinned,
            "suspended": decided.suspended,
            "held_back": tuple(sorted(decided.held_back)),
            "kept": tuple(one.revision for one in self.kept),
            "store": self._trouble,
            "damaged": self._damaged,
        }
        self._note(**fields)
