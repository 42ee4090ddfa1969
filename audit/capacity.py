"""What-if: what is asked of each pool now, and what would be if all pods were created again, against what it has.

A pod that may stay in its pool stays there; one that may not goes where, of the pools that are left for it, most room
is. Which one it would be is the scheduler's to say: sums over pools that a pod may choose from are an estimate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from audit.nodes import Place
from audit.replay import Row
from engine.pools import NODE_RESOURCES, Pool
from engine.struct import Struct

FULL, IDLE = 1.0, 0.3
"""More is asked of a pool than it has past the one share, and it lies idle below the other, if it was not so before."""
STEPS = 16
"""Into so many parts pods of one finding are divided, to be put where room is."""
RESOURCES = ("pods", "cpu", "memory", "gpus")
LOST = ("denied", "unschedulable")
"""Outcomes of pods that would be nowhere."""


class Amounts(NamedTuple):
    """Pods, and what they ask for or a pool has: cores, bytes, GPUs; None where nobody knows."""

    pods: float | None = 0
    cpu: float | None = 0
    memory: float | None = 0
    gpus: float | None = 0

    def as_json(self) -> dict[str, float | None]:
        return {name: None if amount is None else round(amount, 6) for name, amount in self._asdict().items()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Amounts:
        """The amounts of their data. Raises KeyError, TypeError or ValueError for what is none."""
        return Amounts(*(None if data[name] is None else float(data[name]) for name in RESOURCES))


class Load(Struct, frozen=True):
    """What is asked of a pool `before` and `after`, and the `room` that it has. An empty name is of nodes of no pool;
    `nodes` is None where nobody knows how many there are."""

    pool: str
    nodes: int | None
    room: Amounts
    before: Amounts
    after: Amounts
    cluster: str = ""

    @property
    def title(self) -> str:
        """The pool with its cluster; of nodes of no pool, the cluster's name."""
        return f"{self.cluster} {self.pool}".strip()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth a word: where more is asked for than there is, and what would lie idle that does not now."""
        told: list[str] = []
        for name in RESOURCES:
            room, before, after = (getattr(one, name) for one in (self.room, self.before, self.after))
            if room is not None and after > FULL * room and after > before:
                told.append(
                    f"asked for {after / room:.0%} of its {name}" if room else f"asked for {name} that it has not"
                )
        cpu, before, after = self.room.cpu, self.before.cpu or 0, self.after.cpu or 0
        if cpu and after < IDLE * cpu <= before:
            told.append(f"{after / cpu:.0%} of its cpu in use, {before / cpu:.0%} now")
        return tuple(told)

    def as_json(self) -> dict[str, Any]:
        """As data (docs/audit.md)."""
        amounts = {name: getattr(self, name).as_json() for name in ("room", "before", "after")}
        return {"cluster": self.cluster, "pool": self.pool, "nodes": self.nodes, **amounts, "notes": list(self.notes)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Load:
        """The load of its data. Raises KeyError, TypeError or ValueError for what is none."""
        nodes, cluster = data["nodes"], str(data["cluster"])
        room, before, after = (Amounts.from_json(data[name]) for name in ("room", "before", "after"))
        return Load(str(data["pool"]), None if nodes is None else int(nodes), room, before, after, cluster)


def loads_of(rows: Iterable[Row], pools: Sequence[Pool], places: Mapping[str, Place], cluster: str = "") -> list[Load]:
    """What is asked of each pool of a cluster, before and after, in order of the pools; of nodes of no pool, last.

    Pods of DaemonSets stay where they run, for there is one on each node in any case.
    """
    nodes = Counter(place.pool for place in places.values())
    room = {pool.name: _room(pool, places) for pool in pools}
    if nodes[""]:
        room[""] = _room(None, places)
    sums = _Sums(room)
    for row in rows:
        sums.add(row)
    sums.settle()
    counts = {pool.name: nodes[pool.name] or pool.nodes for pool in pools} | {"": nodes[""]}
    return [
        Load(name, counts[name], room[name], Amounts(*sums.before[name]), Amounts(*sums.after[name]), cluster)
        for name in room
    ]


def gpus_in(amounts: Mapping[str, float]) -> float:
    """How many GPUs there are among amounts of resources, of whatever make."""
    return sum(amounts.get(name, 0) for name in NODE_RESOURCES[2:])


def _room(pool: Pool | None, places: Mapping[str, Place]) -> Amounts:
    """What the nodes of a pool have together; or, where they are not known, as if all were as large as the largest."""
    name = pool.name if pool else ""
    there = [place.room for place in places.values() if place.pool == name]
    if there:
        pods = sum(one["pods"] for one in there) if all("pods" in one for one in there) else None
        known = [all(resource in one for one in there) for resource in ("cpu", "memory")]
        cpu, memory = (
            sum(one[resource] for one in there) if all_known else None
            for resource, all_known in zip(("cpu", "memory"), known, strict=True)
        )
        return Amounts(pods, cpu, memory, sum(map(gpus_in, there)) if all(known) else None)
    if pool is None or pool.nodes is None:
        return Amounts(None, None, None, None)
    return Amounts(None, *((None if one is None else one * pool.nodes) for one in (pool.cpu, pool.memory, pool.gpus)))


class _Movers(NamedTuple):
    """Pods of a row that are to be put: where they may be, and what each asks for."""

    row: Row
    homes: Sequence[str]
    each: Sequence[float]
    pods: int


class _Sums:
    """What is asked of pools, as it is added up."""

    def __init__(self, room: Mapping[str, Amounts]) -> None:
        self._room = room
        self._unplaced: list[tuple[_Movers, Sequence[str]]] = []
        self._moving: list[_Movers] = []
        self.before: dict[str, list[float]] = {name: [0.0] * len(RESOURCES) for name in room}
        self.after: dict[str, list[float]] = {name: [0.0] * len(RESOURCES) for name in room}

    def add(self, row: Row) -> None:
        """What pods ask for where they are and stay; the others are put where they may be once these are known."""
        one = row.finding
        each = (1.0, one.requests.get("cpu", 0), one.requests.get("memory", 0), gpus_in(one.requests))
        lost, daemon = one.outcome in LOST, one.workload.kind == "DaemonSet"
        homes = [] if lost else [name for name in row.homes if name in self._room]
        row.now.clear()
        row.after.clear()
        for pool, count in row.placed.items():
            if pool not in self._room:
                continue
            leaving = 0 if daemon else len(row.leaving.get(pool, ()))
            self._put(self.before, row.now, pool, each, count)
            self._put(self.after, row.after, pool, each, 0 if lost else count - leaving)
            self._moving.append(_Movers(row, homes, each, leaving))
        rest = row.pods - sum(row.placed.values())
        if rest > 0 and not daemon:
            now = [name for name in one.effect.pools.before if name in self._room]
            self._unplaced.append((_Movers(row, homes, each, rest), now))

    def settle(self) -> None:
        """Puts those that are nowhere yet: first where they count now; then, once all that stay are known, the rest."""
        for movers, names in self._unplaced:
            here = self._spread(names, movers, self.before, movers.row.now)
            for pool in [pool for pool in here if pool in movers.homes]:
                self._put(self.after, movers.row.after, pool, movers.each, here.pop(pool))
            rest = sum(here.values()) if names else movers.pods
            self._moving.append(movers._replace(pods=rest))
        for movers in self._moving:
            self._spread(movers.homes, movers, self.after, movers.row.after)
        self._unplaced.clear()
        self._moving.clear()

    def _spread(
        self, names: Sequence[str], movers: _Movers, asked: dict[str, list[float]], told: Counter[str]
    ) -> Counter[str]:
        """Puts pods, in a few parts, where the smallest share of what there is would be asked for: how many where."""
        each, pods = movers.each, movers.pods
        step, went = max(1, -(-pods // STEPS)), Counter[str]()
        while names and pods > 0:
            some = min(step, pods)
            name = min(names, key=lambda one: (self._share(asked[one], each, some, self._room[one]), one))
            self._put(asked, told, name, each, some)
            went[name] += some
            pods -= some
        return went

    def _put(
        self, asked: dict[str, list[float]], told: Counter[str], pool: str, each: Sequence[float], pods: int
    ) -> None:
        if pods:
            _add(asked[pool], each, pods)
            told[pool] += pods

    def _share(self, asked: Sequence[float], each: Sequence[float], pods: int, room: Amounts) -> float:
        """Which share of what a pool has would be asked for, of what it has least of; the half where nobody knows."""
        shares = [(was + one * pods) / there for was, one, there in zip(asked, each, room, strict=True) if there]
        return max(shares, default=0.5)


def _add(asked: list[float], each: Sequence[float], pods: int) -> None:
    for i, amount in enumerate(each):
        asked[i] += amount * pods
