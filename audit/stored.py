"""Stored: decisions out of the store, and made again.

A decision is made again in the world that it was made in, which is kept with it, or in another one. Whether it comes to
the same is asked of all that a decision says, in the one world, and of what a pod's author would notice in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from audit.database import Numbered, Reader, UnusableError
from audit.kept import BundleText, InventoryParts, KeptDecision, WorldParts, as_plain, kept_decision, unpacked
from delivery import bundle_of
from engine.bundle import Bundle
from engine.decision import Decider, Decision
from engine.pools import Inventory, Pool
from engine.program import Program, compile_bundle

Verdict = Literal["same", "other", "uncertain"]
"""It comes to the same; to something else; or to something else because of what was not kept of the pod, perhaps."""
REMEMBERED = 64


class Named(NamedTuple):
    """What is told of a kept decision in a line. `at` is in seconds since 1970."""

    id: str
    at: float
    workload: str
    outcome: str
    revision: str


class CompiledBundle(NamedTuple):
    """A bundle that was kept, and its program."""

    bundle: Bundle
    program: Program


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A kept decision with where it was made, as far as that is kept: `decider` is None where the bundle is not."""

    named: Named
    kept: KeptDecision
    decider: Decider | None = field(repr=False)
    bundles: tuple[CompiledBundle, ...] = field(repr=False)
    inventory: Inventory = field(repr=False)
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
    """The store in a folder, to read. Its methods raise UnusableError."""

    def __init__(self, folder: Path) -> None:
        self._readers = []
        for path in sorted(folder.glob("decisions-*.sqlite")) if folder.is_dir() else ():
            self._readers.append(Reader(path))
        if not self._readers:
            raise UnusableError(f"`{folder}` holds no decisions: it is what `bayplan serve --store` is given")
        self._world = lru_cache(REMEMBERED)(self._world_of)
        self._bundle = lru_cache(REMEMBERED)(self._bundle_of)
        self._inventory = lru_cache(REMEMBERED)(self._inventory_of)
        self._pool = lru_cache(100_000)(lambda place, number: unpacked(self._thing(place, number), Pool))

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> StoredDecisions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def named(self, wanted: str) -> StoredDecision:
        """The decision of an id, or of the uid of the request."""
        place, dot, number = wanted.partition(".")
        known, by_uid = enumerate(self._readers), "uid = ? AND uid <> ''"
        found = [(i, one) for i, reader in known for one in reader.rows(by_uid, wanted)]
        if dot and place.isdecimal() and number.isdecimal() and len(number) < 19:
            found += [
                (i, one)
                for i, reader in enumerate(self._readers)
                if reader.path.name == f"decisions-{place}.sqlite"
                for one in reader.rows("id = ?", int(number))
            ]
        if not found:
            raise UnusableError(f"there is no decision `{wanted}` here: say an id that is listed, or a request's uid")
        return self._stored(*found[-1])

    def newest(self, count: int | None) -> Iterator[StoredDecision]:
        """The newest decisions, all where None, oldest first; of each file for itself."""
        for i, reader in enumerate(self._readers):
            for one in reader.rows(newest=count):
                yield self._stored(i, one)

    def _stored(self, place: int, one: Numbered) -> StoredDecision:
        row = one.row
        kept = kept_decision(row.body)
        revision, decider, bundles, inventory, settings = self._world(place, row.world)
        number = self._readers[place].path.stem.rpartition("-")[2]
        named = Named(f"{number}.{one.id}", row.at, row.workload, row.outcome, revision)
        return StoredDecision(named, kept, decider, bundles, inventory, settings)

    def _thing(self, place: int, number: int) -> bytes:
        body = self._readers[place].thing(number)
        if body is None:
            raise UnusableError(f"`{self._readers[place].path}` lacks where a decision was made")
        return body

    def _world_of(
        self, place: int, number: int
    ) -> tuple[str, Decider | None, tuple[CompiledBundle, ...], Inventory, dict[str, Any]]:
        parts = unpacked(self._thing(place, number), WorldParts)
        inventory = self._inventory(place, parts.inventory)
        settings = parts.settings._asdict()
        revision = ", ".join(parts.revisions)
        bundles = tuple(self._bundle(place, one) for one in parts.bundles if one is not None)
        if len(bundles) < len(parts.bundles):
            return revision, None, bundles, inventory, settings
        decider = Decider([one.program for one in bundles], inventory, **settings)
        if decider.revision.whole != revision:
            raise UnusableError(f"what is kept as `{revision}` is `{decider.revision.whole}`")
        return revision, decider, bundles, inventory, settings

    def _bundle_of(self, place: int, number: int) -> CompiledBundle:
        text = unpacked(self._thing(place, number), BundleText)
        bundle, problems = bundle_of({name: each.encode() for name, each in text.files.items()})
        if bundle is None or any(problem.severity == "error" for problem in problems):
            raise UnusableError("this bayplan does not read a bundle that is kept, which another version took")
        here = replace(bundle, params=text.params, overrides=text.overrides) if text.overrides else bundle
        return CompiledBundle(here, compile_bundle(here))

    def _inventory_of(self, place: int, number: int) -> Inventory:
        parts = unpacked(self._thing(place, number), InventoryParts)
        return replace(parts.rest, pools=tuple(self._pool(place, one) for one in parts.pools))
