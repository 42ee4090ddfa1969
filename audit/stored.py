"""Stored: decisions out of the store, and made again.

A decision is made again in the world that it was made in, which is kept with it, or in another one. Whether it comes to
the same is asked of all that a decision says, in the one world, and of what a pod's author would notice in the other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from audit.database import DAMAGED_END, FOREIGN_END, DamagedError, Reader, Row, UnusableError
from audit.files import END, FileReader
from audit.kept import BundleText, InventoryParts, KeptDecision, WorldParts, as_plain, kept_decision, unpacked
from audit.spooled import SQLITE, STANDARD_INPUT, begins, called
from delivery import bundle_of
from engine.bundle import Bundle
from engine.decision import Decider, Decision
from engine.documents import BundleError
from engine.pools import Inventory, Pool
from engine.program import Program, compile_bundle
from engine.struct import Marked, replace

Verdict = Literal["same", "other", "uncertain"]
"""It comes to the same; to something else; or to something else because of what was not kept of the pod, perhaps."""
REMEMBERED = 16
PACKED = ".gz"
SHOWN = 3


class Named(NamedTuple):
    """What is told of a kept decision in a line. `at` is in seconds since 1970."""

    id: str
    at: float
    workload: str
    outcome: str
    revision: str


class _World(NamedTuple):
    """Where decisions were made; `decider` is None where a bundle is not kept."""

    revision: str
    decider: Decider | None
    bundles: tuple[CompiledBundle, ...]
    inventory: Inventory
    settings: Mapping[str, Any]


class CompiledBundle(NamedTuple):
    """A bundle that was kept, and its program."""

    bundle: Bundle
    program: Program


class StoredDecision(Marked, frozen=True):
    """A kept decision with where it was made, as far as that is kept: `decider` is None where the bundle is not."""

    unprinted = ("decider", "bundles", "inventory")

    named: Named
    kept: KeptDecision
    decider: Decider | None
    bundles: tuple[CompiledBundle, ...]
    inventory: Inventory
    settings: Mapping[str, Any]

    def again(self, decider: Decider | None = None) -> Decision:
        """The decision made again, by the decider that it was made by, or by another one. Raises UnusableError."""
        judge = decider or self.decider
        if self.kept.incoming is None:
            raise UnusableError(f"{self.named.id} can't be made again: the pod was too large to be kept")
        if judge is None:
            raise UnusableError(f"{self.named.id} can't be made again: `{self.named.revision}` was not kept")
        return judge.decide(self.kept.incoming)

    def judge(self, programs: Sequence[Program], inventory: Inventory | None = None, **other: Any) -> Decider:
        """Who decides by these bundles, on the pools of then if no others are given, with the settings of then, but for
        `other` ones."""
        return Decider(programs, self.inventory if inventory is None else inventory, **{**self.settings, **other})

    def verdict(self, decision: Decision) -> Verdict:
        """Whether a decision comes to the same as the one that was kept, word by word."""
        if as_plain(decision.as_json()) == self.kept.decision:
            return "same"
        told = {policy["name"]: policy for policy in self.kept.decision.get("policies", ())}
        blind = set(self.kept.blind)
        involved = [one.name for one in decision.policies if one.outcome not in ("notMatched", "off")]
        involved += [name for name, one in told.items() if one["outcome"] not in ("notMatched", "off")]
        return "uncertain" if blind.intersection(involved) else "other"


class StoredDecisions:
    """The store in a folder, or one file of it, to read.

    What can't be read is left out and told by `complaints`; all else goes on.
    """

    def __init__(self, place: Path) -> None:
        """Raises UnusableError where nothing can be read at all."""
        self._readers: list[Reader | FileReader] = []
        self._lost: Counter[str] = Counter()
        self._closed: list[str] = []
        for path in _files_in(place):
            try:
                self._readers.append(Reader(path) if _is_database(path) else FileReader(path))
            except UnusableError as error:
                self._closed.append(str(error))
        self._aside = [*_aside(place)]
        if not self._readers:
            nothing = f"{called(place)} holds no decisions: it is what `bayplan serve --store` is given"
            raise UnusableError("; ".join([*(self._closed or [nothing]), *self._aside]))
        remembered = lru_cache(max(REMEMBERED, 4 * len(self._readers)))  # those that write at a time have their own
        self._world = remembered(self._world_of)
        self._bundle = remembered(self._bundle_of)
        self._inventory = remembered(self._inventory_of)
        self._pool = lru_cache(100_000)(lambda place, number: unpacked(self._thing(place, number), Pool))

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> StoredDecisions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lost(self) -> int:
        """How many of the decisions that were asked for could not be read."""
        return self._lost.total()

    @property
    def complaints(self) -> list[str]:
        """What could not be read, so far as it was asked for."""
        files = [*self._closed, *(reader.complaint for reader in self._readers if reader.complaint)]
        count = [f"{number:,} of the decisions can't be used: {text}" for text, number in self._lost.most_common()]
        return [*(f"{one}; what can be read of it is" for one in files), *self._aside, *count]

    def named(self, wanted: str) -> StoredDecision:
        """The decision of an id, or of the uid of the request. Raises UnusableError."""
        place, dot, number = wanted.rpartition(".")
        found: list[tuple[int, int]] = []
        for i, reader in enumerate(self._readers):
            try:
                found += [(i, one) for one in reader.of_request(wanted)]
            except DamagedError as error:
                reader.complaint = str(error)
            if dot and place == _stem(reader) and number.isdecimal() and len(number) < 19:
                found.append((i, int(number)))
        for i, one in reversed(found):
            row = self._readers[i].row(one)
            if row is not None:
                return self._stored(i, one, row)
        raise UnusableError(f"there is no decision `{wanted}` here: say an id that is listed, or a request's uid")

    def newest(self, count: int | None = None, since: float = 0.0) -> Iterator[StoredDecision]:
        """The newest decisions since a time, all where None, of each file so many; those of all files in order."""
        files = (self._rows(i, count, since) for i in range(len(self._readers)))
        for place, number, row in heapq.merge(*files, key=lambda one: one[2].at):
            try:
                yield self._stored(place, number, row)
            except UnusableError as error:
                self._lost[str(error)] += 1

    def _rows(self, place: int, count: int | None, since: float) -> Iterator[tuple[int, int, Row]]:
        """The newest of one file as they are kept, oldest first."""
        reader = self._readers[place]
        try:
            numbers = reader.numbers(since)
        except UnusableError as error:
            reader.complaint = str(error)
            return
        for number in numbers if count is None else numbers[-count:]:
            try:
                row = reader.row(number)
            except UnusableError as error:
                self._lost[str(error)] += 1
                continue
            if row is not None:
                yield place, number, row

    def _stored(self, place: int, number: int, row: Row) -> StoredDecision:
        kept = kept_decision(row.body)
        world = self._world(place, row.world)
        if isinstance(world, UnusableError):
            raise world
        named = Named(f"{_stem(self._readers[place])}.{number}", row.at, row.workload, row.outcome, world.revision)
        return StoredDecision(named, kept, world.decider, world.bundles, world.inventory, world.settings)

    def _thing(self, place: int, number: int) -> bytes:
        body = self._readers[place].thing(number)
        if body is None:
            raise UnusableError(f"`{self._readers[place].path}` lacks where a decision was made")
        return body

    def _world_of(self, place: int, number: int) -> _World | UnusableError:
        """Where decisions were made, or why it is not known, which is not asked for twice."""
        try:
            parts = unpacked(self._thing(place, number), WorldParts)
            inventory = self._inventory(place, parts.inventory)
            bundles = tuple(self._bundle(place, one) for one in parts.bundles if one is not None)
        except UnusableError as error:
            return error
        settings, revision = parts.settings._asdict(), ", ".join(parts.revisions)
        if len(bundles) < len(parts.bundles):
            return _World(revision, None, bundles, inventory, settings)
        decider = Decider([one.program for one in bundles], inventory, **settings)
        if decider.revision.whole != revision:
            return UnusableError(f"what is kept as `{revision}` is `{decider.revision.whole}`")
        return _World(revision, decider, bundles, inventory, settings)

    def _bundle_of(self, place: int, number: int) -> CompiledBundle:
        text = unpacked(self._thing(place, number), BundleText)
        bundle, problems = bundle_of({name: each.encode() for name, each in text.files.items()})
        if bundle is None or any(problem.severity == "error" for problem in problems):
            raise UnusableError("this bayplan does not read a bundle that is kept, which another version took")
        here = replace(bundle, params=text.params, overrides=text.overrides) if text.overrides else bundle
        try:
            return CompiledBundle(here, compile_bundle(here))
        except BundleError as error:
            raise UnusableError("this bayplan does not compile a bundle that is kept, which another one did") from error

    def _inventory_of(self, place: int, number: int) -> Inventory:
        parts = unpacked(self._thing(place, number), InventoryParts)
        return replace(parts.rest, pools=tuple(self._pool(place, one) for one in parts.pools))


def _files_in(place: Path) -> list[Path]:
    """The files of a store: those of its folder, or the one that is named."""
    if not place.is_dir():
        return [place] if place == STANDARD_INPUT or place.exists() else []
    found = {path for end in (".sqlite", END, f"{END}{PACKED}") for path in place.glob(f"decisions-*{end}")}
    return sorted(path for path in found if path.suffix != PACKED or path.with_suffix("") not in found)


def _aside(place: Path) -> Iterator[str]:
    """What of a folder is not read, for it was set aside."""
    for end, why in ((FOREIGN_END, "that another version, or something else, wrote"), (DAMAGED_END, "with damage")):
        names = sorted(path.name for path in place.glob(f"decisions-*{end}"))
        if names:
            files = "1 file" if len(names) == 1 else f"{len(names):,} files"
            shown = ", ".join(f"`{name}`" for name in names[:SHOWN]) + ", …" * (len(names) > SHOWN)
            yield f"{files} of `{place}` {why}, which a webhook set aside: {shown}; what is there is left out"


def _is_database(path: Path) -> bool:
    """Whether a file is a database; what can't be read is told of by who reads it."""
    try:
        return path.suffix == ".sqlite" or begins(path, SQLITE)
    except OSError:
        return False


def _stem(reader: Reader | FileReader) -> str:
    """What ids of a file begin with."""
    if reader.path == STANDARD_INPUT:
        return "stdin"
    name = reader.path.name.removeprefix("decisions-").removesuffix(PACKED)
    return name.rpartition(".")[0] or name
