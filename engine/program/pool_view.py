"""PoolView: a pool as expressions read it. What is not known of it can't be read.

Two things may stop an expression that asks what the nodes of a pool carry. Where nobody can tell, it is an error like
any other (UnknownFact). Where it is not the same for all nodes of the pool, or may be asked of a node, `Undecided` goes
through the expression to whoever runs it, who may assume each of the label's states in turn, or put the question to the
node (`open_expressions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from engine.language import CelError, NoSuchKey
from engine.nodeselector import ABSENT, ANY, EXISTS
from engine.pools import POOL_FIELDS, Fact, Pool, Read, capacity_types, open_marker
from engine.struct import replace

T = TypeVar("T")
MAX_ASSUMED = 256
"""As many combinations of labels' values are tried for one pool, at most."""
MANY = 16
"""As many values of a label are listed in a message, at most."""
NUMBERS = {
    "nodes": ("nodes", "how many nodes there are", "nodes"),
    "readyNodes": ("ready_nodes", "how many nodes are ready", "readyNodes"),
    "cpu": ("cpu", "how many cores the nodes have", "cpu"),
    "memory": ("memory", "how much memory the nodes have", "memory"),
    "gpus": ("gpus", "how many GPUs the nodes have", "gpus"),
}
"""Numbers of `pool` that may be unknown: the attribute of Pool, what is not known then, where an inventory says it."""


class PoolLacks(NoSuchKey):
    """A pool, and no pod, lacks a key: it is known that its nodes do not carry a label, say."""


class UnknownFact(CelError):  # noqa: N818 - the words of the design
    """What nobody has said of a pool, and where to say it."""


class Undecided(Exception):  # noqa: N818 - goes through an expression, as BudgetExceeded does
    """A label of a pool is not the same on all nodes, or it is not known what they carry: its key and what is known."""

    def __init__(self, key: str, fact: Fact, what: str = "") -> None:
        self.key, self.fact = key, fact
        super().__init__(what or _doubt(key, fact))

    @property
    def unknown(self) -> UnknownFact:
        """The error that this is where it can't be decided."""
        return UnknownFact(str(self))

    @property
    def given_up(self) -> UnknownFact:
        """The error that this is where it was given up: of a label with values that are known, there are too many."""
        if self.fact.states.finite is None:
            return self.unknown
        return UnknownFact(
            f"the nodes carry one of {len(self.fact.states.finite)} values as `{self.key}`, and of all labels that are "
            f"read here no more than {MAX_ASSUMED} combinations are tried: compare each label by itself, as in "
            f'`pool.labels["{self.key}"] == "…"`, which is asked of the node'
        )

    def states_to_try(self, limit: int, askable: bool) -> list[str | None] | None:
        """The states that the label may be in, None for absence; None where they are more than a few, or not known.

        What is only observed may be different on the next node: where a node may be asked (`askable`), it is.
        """
        values = None if self.fact.open else self.fact.states.finite
        if values is None or not self.key or len(values) > limit or (askable and self.fact.observed):
            return None
        states: list[str | None] = [*sorted(values)]
        return [*states, None] if self.fact.states.absent else states


def _doubt(key: str, fact: Fact) -> str:
    """Why nobody can say now which value of a label all nodes carry, the next one included."""
    states, values = fact.states, sorted(fact.states.finite or ())
    if states == ANY:
        return f"it is not known whether the nodes carry `{key}`: say it under `labels:` or `values:` in an inventory"
    if len(values) > MANY:
        return f"the nodes carry one of {len(values)} values as `{key}`"
    if not values:
        some = "some nodes carry" if states.absent else "the nodes carry"
        return f"{some} `{key}`, and with which value is not known" + ("" if states == EXISTS else f" ({states})")
    listed = " or ".join(f"`{value}`" for value in values)
    if states.absent:
        return f"the nodes carry {listed} as `{key}`, or do not carry it"
    if len(values) == 1:
        return f"the nodes that are there carry {listed} as `{key}`, and the next one may carry another value"
    return f"the nodes carry {listed} as `{key}`, and not all the same"


class PoolView(dict[str, object]):
    """The fields of `pool` that are known, values of CEL; to read another raises UnknownFact or Undecided.

    `assumed` are states of labels that are taken for granted, None for absence; a label that nobody can decide about
    (`given_up`) is an error. `reads` takes down what is read of labels, where somebody wants to know.
    """

    __slots__ = ("_assumed", "_given_up", "_pool", "_reads")

    def __init__(
        self,
        pool: Pool,
        assumed: Mapping[str, str | None] | None = None,
        reads: set[Read] | None = None,
        given_up: frozenset[str] = frozenset(),
    ) -> None:
        self._pool, self._assumed, self._reads, self._given_up = pool, assumed or {}, reads, given_up
        labels = dict(pool.labels)
        labels.update((key, state) for key, state in self._assumed.items() if state is not None)
        super().__init__(
            name=pool.name,
            provider=pool.provider,
            labels=_Labels(labels, pool, self._assumed, given_up)
            if reads is None
            else _NotedLabels(labels, pool, self._assumed, given_up, reads),
            values=_Values(pool, reads),
            annotations=dict(pool.annotations),
            taints=[taint._asdict() for taint in pool.taints],
            weight=pool.weight,
        )
        for field, key in POOL_FIELDS.items():
            values = [labels[key]] if key in self._assumed and key in labels else pool.fact(key).values
            if values is not None:
                self[field] = list(values)
        types = capacity_types(pool)
        if types is not None:
            self["capacityTypes"] = list(types)
        for field, (attribute, _, _) in NUMBERS.items():
            number = getattr(pool, attribute)
            if number is not None:
                self[field] = float(number) if field == "cpu" else number
        if pool.price is not None:
            self["price"] = float(pool.price)

    def assuming(self, key: str, state: str | None) -> PoolView:
        """The same pool, if its nodes carry a label in this state; None for absence."""
        return PoolView(self._pool, {**self._assumed, key: state}, self._reads, self._given_up)

    def believing(self, *keys: str) -> PoolView:
        """The same pool, if what its nodes carry as these labels holds of the next one, too; without keys, as any."""
        facts = self._pool.facts
        believed = {key: facts[key]._replace(open=False) for key in keys or facts if key in facts and facts[key].open}
        pool = replace(self._pool, facts={**facts, **believed}) if believed else self._pool
        return PoolView(pool, self._assumed, self._reads, self._given_up)

    def giving_up(self, keys: frozenset[str]) -> PoolView:
        """The same pool, where labels that are undecided are an error."""
        return PoolView(self._pool, self._assumed, self._reads, self._given_up | keys)

    def noting(self) -> tuple[PoolView, set[Read]]:
        """The same pool, and what will have been read of its labels through this view."""
        reads: set[Read] = set()
        return PoolView(self._pool, self._assumed, reads, self._given_up), reads

    def __missing__(self, field: str) -> object:
        if field in NUMBERS:
            _, what, place = NUMBERS[field]
            raise UnknownFact(f"{what} is not known: say `{place}:` in an inventory")
        label = POOL_FIELDS.get(field, "")
        if label or field == "capacityTypes":
            place = f"`values: {{{label}: [...]}}`" if label else "the labels that tell it"
            words = f"which {_LISTED[field]} the nodes have is not known: say {place} in an inventory"
            key = label or open_marker(self._pool)
            raise self._undecided(Undecided(key, self._pool.fact(key), words))
        raise PoolLacks(field)

    def _undecided(self, undecided: Undecided) -> Exception:
        """What it is by now: given up, or assumed to be unknown, or still to be decided."""
        if undecided.key in self._given_up:
            return undecided.given_up
        return undecided.unknown if undecided.key in self._assumed else undecided


_LISTED = {
    "zones": "zones",
    "regions": "regions",
    "architectures": "architectures",
    "operatingSystems": "operating systems",
    "instanceTypes": "instance types",
    "capacityTypes": "capacity types",
}


class _Walked(dict[str, T]):
    """A mapping that has a say before all of it is read; `get` asks as `in` does."""

    __slots__ = ()

    def _walked(self) -> None:
        """Notes that all of it is read, or raises what keeps it from being read."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        self._walked()
        return super().__iter__()

    def items(self):  # type: ignore[no-untyped-def]
        self._walked()
        return super().items()

    def keys(self):  # type: ignore[no-untyped-def]
        self._walked()
        return super().keys()

    def values(self):  # type: ignore[no-untyped-def]
        self._walked()
        return super().values()

    def __len__(self) -> int:
        self._walked()
        return super().__len__()

    def get(self, key: object, default: object = None) -> object:  # type: ignore[override]
        return super().__getitem__(key) if key in self else default  # type: ignore[index]


class _Labels(_Walked[str]):
    """`pool.labels`: the labels that are the same on all nodes. To ask for another raises Undecided, unless it is
    known to be absent; to walk all of them is an error where others may be there.
    """

    __slots__ = ("_assumed", "_given_up", "_pool")

    def __init__(
        self, labels: Mapping[str, str], pool: Pool, assumed: Mapping[str, str | None], given_up: frozenset[str]
    ) -> None:
        super().__init__(labels)
        self._pool, self._assumed, self._given_up = pool, assumed, given_up

    def _absent(self, key: object) -> None:
        """Returns if a label is known to be absent. Raises Undecided."""
        if isinstance(key, str) and self._assumed.get(key, "") is not None:
            fact = self._pool.fact(key)
            if fact.states != ABSENT:
                raise Undecided(key, fact).given_up if key in self._given_up else Undecided(key, fact)

    def __missing__(self, key: str) -> str:
        self._absent(key)
        raise PoolLacks(key)

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        self._absent(key)
        return False

    def _walked(self) -> None:
        pool = self._pool
        if pool.declared or not all(fact.settled for fact in pool.facts.values()):
            raise UnknownFact("which labels besides the known ones the nodes carry is not known")


class _NotedLabels(_Labels):
    """The same, taking down what is read."""

    __slots__ = ("_reads",)

    def __init__(
        self,
        labels: Mapping[str, str],
        pool: Pool,
        assumed: Mapping[str, str | None],
        given_up: frozenset[str],
        reads: set[Read],
    ) -> None:
        super().__init__(labels, pool, assumed, given_up)
        self._reads = reads

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            self._reads.add(Read("labels", key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> str:
        self._reads.add(Read("labels", key))
        return super().__getitem__(key)

    def _walked(self) -> None:
        self._reads.add(Read("all"))
        super()._walked()


class _Values(_Walked[list[str]]):
    """`pool.values`: the values that nodes may carry. To ask for a label of which these are not known is an error."""

    __slots__ = ("_pool", "_reads")

    def __init__(self, pool: Pool, reads: set[Read] | None) -> None:
        super().__init__(pool.choices)
        self._pool, self._reads = pool, reads

    def _walked(self) -> None:
        if self._reads is not None:
            self._reads.add(Read("all"))

    def __getitem__(self, key: str) -> list[str]:
        if key in self:
            return super().__getitem__(key)
        raise PoolLacks(key)

    def __contains__(self, key: object) -> bool:
        if self._reads is not None and isinstance(key, str):
            self._reads.add(Read("values", key))
        if super().__contains__(key):
            return True
        if isinstance(key, str):
            fact = self._pool.fact(key)
            if fact.open:
                raise Undecided(key, fact)
            if not fact.settled:
                raise Undecided(key, fact).unknown
        return False
