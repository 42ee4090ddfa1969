"""What a replay is given, kept until all of it is known: kinds of pods, workloads, Namespaces.

Pods are told apart by what decisions depend on (see `folding.py`), so what is kept grows with the workloads, not with
the pods. Who gathers may be several processes: what they met is put together in the order in which it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from audit.folding import BARE, Controller, Fold, Pod, pod_of, read_pod
from audit.selection import Selection
from engine.documents import RequestError
from engine.pods import namespace_of, unlisted
from engine.struct import Struct, field

Json = Mapping[str, Any]
Order = tuple[int, int]
"""When something was read: the turn of what it came in, then its place in there."""

FINISHED = ("Succeeded", "Failed")
_objects = msgspec.json.Decoder(list[msgspec.Raw])


class Kind(Struct):
    """Pods of which the same is decided: an example (as JSON, if it came so), its place in messages, the names of all
    by their node, and when the youngest was created, RFC 3339."""

    pod: Json | bytes
    place: str
    controller: Controller
    order: Order
    names: dict[str, list[str]] = field(default_factory=dict)
    youngest: str = ""

    @property
    def data(self) -> Json:
        """The example."""
        return self.pod if isinstance(self.pod, Mapping) else msgspec.json.decode(self.pod)

    @property
    def pods(self) -> int:
        return sum(map(len, self.names.values()))


class Gathered:
    """What was met so far. `turn` numbers what is handed over, and is set before by whoever does; `pods` counts."""

    def __init__(self, fold: Fold, selection: Selection) -> None:
        self._fold, self._selection = fold, selection
        self._kinds: dict[bytes | Order, Kind] = {}
        self._namespaces: dict[str, tuple[Order, Json]] = {}
        self._workloads: list[tuple[Order, str, Json]] = []
        self._number = 0
        self.turn = self.pods = 0

    def fresh(self) -> Gathered:
        """One that has met nothing yet."""
        return Gathered(self._fold, self._selection)

    def take(self, data: object, place: str = "") -> None:
        """An object, or a list of them; what has nothing to do with pods is left out. Of two Namespaces of one name
        the later counts. Raises RequestError, whose path begins with `place`, for what is no object.
        """
        for where, one in unlisted(place, data):
            kind = one.get("kind")
            if kind == "Pod":
                self._pod(pod_of(one), one, where)
            elif kind == "Namespace":
                name, seen = namespace_of(where, one)
                self._namespaces[name] = self._next(), seen
            elif kind or not isinstance(one.get("items"), list):
                self._workloads.append((self._next(), where, one))
            else:
                raise RequestError(where.rstrip(".: "), "expected a list that says its `kind`")

    def take_list(self, name: str, start: int, data: bytes) -> None:
        """The objects of a JSON list, the first of which has the number `start` in the list of the file of that name;
        -1 if it is none's. Raises RequestError as `take`, for what is no JSON, and for what does not say what it is."""
        try:
            for number, text in enumerate(_objects.decode(data), start):
                self._text(text, f"{name}: " if start < 0 else f"{name}: items[{number}].")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(name, f"this is no JSON: {error}") from None

    def _text(self, text: msgspec.Raw, place: str) -> None:
        pod = read_pod(text)
        if pod is not None:
            self._pod(pod, text, place)
            return
        data = msgspec.json.decode(text)
        if not isinstance(data, dict) or not data.get("kind"):
            raise RequestError(place.rstrip(".: "), "expected an object that says its `kind`")
        self.take(data, place)

    def _pod(self, pod: Pod | None, given: Json | msgspec.Raw, place: str) -> None:
        """A pod; one that is too odd to be folded is a kind of its own."""
        if pod.phase in FINISHED if pod else is_finished(given):
            return
        if not self._selection.has(pod or (given if isinstance(given, Mapping) else {})):
            return
        self.pods += 1
        order = self._next()
        key = order if pod is None else self._fold.key(pod)
        kind = self._kinds.get(key)
        if kind is None:
            example = given if isinstance(given, Mapping) else bytes(given)
            kind = self._kinds[key] = Kind(example, place, pod.controller if pod else BARE, order)
        kind.names.setdefault(pod.node if pod else "", []).append(pod.name if pod else "")
        kind.youngest = max(kind.youngest, pod.created if pod else "")

    def _next(self) -> Order:
        self._number += 1
        return self.turn, self._number

    def absorb(self, other: Gathered) -> None:
        """What was met by another one, too."""
        self.pods += other.pods
        self._workloads += other._workloads
        for name, (order, seen) in other._namespaces.items():
            if name not in self._namespaces or self._namespaces[name][0] < order:
                self._namespaces[name] = order, seen
        for key, kind in other._kinds.items():
            mine = self._kinds.setdefault(key, kind)
            if mine is kind:
                continue
            first, second = sorted((mine, kind), key=lambda one: one.order)
            for node, names in second.names.items():
                first.names.setdefault(node, []).extend(names)
            first.youngest = max(first.youngest, second.youngest)
            self._kinds[key] = first

    @property
    def kinds(self) -> list[Kind]:
        """In the order in which they were met."""
        return sorted(self._kinds.values(), key=lambda kind: kind.order)

    @property
    def workloads(self) -> list[tuple[str, Json]]:
        """All objects that are neither pods nor Namespaces, each with its place in messages, in their order."""
        return [(place, data) for _, place, data in sorted(self._workloads, key=lambda one: one[0])]

    @property
    def namespaces(self) -> dict[str, Json]:
        """By name, as expressions see them."""
        return {name: seen for name, (_, seen) in self._namespaces.items()}


def is_finished(pod: object) -> bool:
    """Whether a pod has run to its end."""
    status = pod.get("status") if isinstance(pod, Mapping) else None
    return isinstance(status, Mapping) and status.get("phase") in FINISHED
