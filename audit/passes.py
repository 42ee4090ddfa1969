"""Passes: which kept decisions are about one admission of one pod.

The API server asks a webhook of reinvocation policy `IfNeeded` once more where another one changed the pod since. The
second review has a uid of its own, and the pod has no uid yet, and no name where one is generated. But what was there
before any webhook was asked is the same in both: who asked and when, to the second (`managedFields`), the name or what
it will begin with, the owner, and the volume of the pod's token, whose name is random. The second review says something
else than the first one, and all that the answer gave the pod. What this can't tell apart are pods without a token that
are made in one second from one template: of these, the second review has to say all that the first one said, too.

Who makes pods could pass off one for another of their own, at the same time: so whoever reads is told how many are
taken for second ones. What lost: docs/adr/0020-passes.md.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

from audit.findings import patched
from audit.stored import StoredDecision
from engine.pods import IncomingPod
from engine.struct import replace

SECONDS = 60.0
"""How long the API server works at a request at most, unless it is told otherwise."""
HELD = 1_000
"""So many decisions are held at most until it is known that no second one follows."""
PARTS = (("spec", ""), ("metadata", "annotations"))
FIELDS = ("affinity", "tolerations", "topologySpreadConstraints")
"""Where answers write: these fields of the spec, and annotations."""
TOKEN = "kube-api-access-"

Json = Any
Said = tuple[str, str, Json]


class Admitted(NamedTuple):
    """An admission: what was decided last, and before, if the API server asked twice."""

    last: StoredDecision
    first: StoredDecision | None = None

    @property
    def told(self) -> StoredDecision:
        """The decision that says what came of the pod: the last one, unless it found all done by the first answer."""
        if self.first is None or self.last.named.outcome != "unchanged":
            return self.last
        return self.first if _answered(self.first) is not _asked(self.first).pod else self.last

    @property
    def as_asked(self) -> StoredDecision:
        """The last decision, about the pod without what the first answer gave it: of lists these entries, of the
        affinity all, for what others made of ours can't be told from it."""
        if self.first is None or self.last.kept.incoming is None:
            return self.last
        incoming = self.last.kept.incoming
        pod = _without(incoming.pod, _asked(self.first).pod, _answered(self.first))
        return replace(self.last, kept=replace(self.last.kept, incoming=replace(incoming, pod=pod)))


def by_admission(found: Iterable[StoredDecision]) -> Iterator[Admitted]:
    """Admissions, of decisions in the order of their time."""
    held = _Held()
    for one in found:
        yield from held.until(one.named.at - SECONDS)
        held.take(one)
    yield from held.until(float("inf"))


class _Entry:
    """A decision that is held, and the one before it. What takes longer is made when it is asked for."""

    def __init__(self, one: StoredDecision) -> None:
        self.one = one
        self.key = _key(one)
        self.first: StoredDecision | None = None
        self.gone = False

    @cached_property
    def asked(self) -> bytes:
        """The pod as it came, in short."""
        return _digest(_asked(self.one).pod)

    @cached_property
    def answered(self) -> bytes:
        """The pod as it went, in short."""
        return _digest(_answered(self.one))

    @cached_property
    def said_then(self) -> frozenset[Said]:
        """What it said as it came."""
        return frozenset(_said(_asked(self.one).pod))

    @cached_property
    def said_since(self) -> frozenset[Said]:
        """What it said as it went."""
        return frozenset(_said(_answered(self.one)))

    def follows(self, other: _Entry) -> bool:
        """Whether this is what came of the pod that went from there: not the same, or it would not be asked about, with
        all that the answer gave it; and if nothing tells it from its neighbours, with all else, too."""
        if self.asked in (other.asked, other.answered) or _refused(other.one):
            return False
        kept = other.said_since - other.said_then if self.key.known else other.said_since
        return kept <= self.said_then


class _Held:
    """Decisions of a while, in order, and by what is the same whenever they are about one pod."""

    def __init__(self) -> None:
        self._order: deque[_Entry] = deque()
        self._by_key: dict[bytes, list[_Entry]] = {}
        self._by_uid: dict[str, _Entry] = {}

    def take(self, one: StoredDecision) -> None:
        entry = _Entry(one)
        before = self._before(entry)
        if before is not None:
            entry.first = before.first or before.one
            self._forget(before)
        self._order.append(entry)
        if entry.key.text:
            self._by_key.setdefault(entry.key.text, []).append(entry)
        if entry.key.uid:
            self._by_uid[entry.key.uid] = entry

    def until(self, at: float) -> Iterator[Admitted]:
        """What none will follow: what is older, and the oldest of what is too much."""
        while self._order and (self._order[0].gone or len(self._order) >= HELD or self._order[0].one.named.at < at):
            entry = self._order.popleft()
            if not entry.gone:
                self._forget(entry)
                yield Admitted(entry.one, entry.first)

    def _before(self, entry: _Entry) -> _Entry | None:
        """What was decided about the same pod before; also the same review, which came twice."""
        same = self._by_uid.get(entry.key.uid)
        if same is not None and same.key == entry.key:
            return same
        looked = set[bytes]()
        for each in self._by_key.get(entry.key.text, ()):
            if each.first is None and each.answered not in looked:
                looked.add(each.answered)
                if entry.follows(each):
                    return each
        return None

    def _forget(self, entry: _Entry) -> None:
        entry.gone = True
        if entry.key.text:
            others = self._by_key[entry.key.text]
            others.remove(entry)
            if not others:
                del self._by_key[entry.key.text]
        if self._by_uid.get(entry.key.uid) is entry:
            del self._by_uid[entry.key.uid]


class _Key(NamedTuple):
    """What both passes have in common; `known` if no other pod has it. Empty texts are of nothing."""

    text: bytes = b""
    known: bool = False
    uid: str = ""


def _key(one: StoredDecision) -> _Key:
    incoming = one.kept.incoming
    if incoming is None:
        return _Key()
    if incoming.template is not None:
        return _Key(uid=incoming.uid)
    metadata, spec = (_map(incoming.pod.get(name)) for name in ("metadata", "spec"))
    user = _map(incoming.request.get("userInfo")).get("username")
    own = [metadata.get(name) for name in ("name", "generateName", "ownerReferences")]
    when = [(one.get("manager"), one.get("time")) for one in _maps(metadata.get("managedFields"))]
    volumes = (str(one.get("name")) for one in _maps(spec.get("volumes")))
    token = next((name for name in volumes if name.startswith(TOKEN)), "")
    text = _digest([incoming.namespace_name, user, incoming.request.get("dryRun"), own, when, token])
    return _Key(text, bool(token or metadata.get("name")), incoming.uid)


def _maps(entries: Json) -> Iterator[Mapping[str, Json]]:
    yield from map(_map, entries if isinstance(entries, list) else ())


def _map(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _asked(one: StoredDecision) -> IncomingPod:
    assert one.kept.incoming is not None  # nothing else has a key
    return one.kept.incoming


def _refused(one: StoredDecision) -> bool:
    """Whether the answer ended the request."""
    return one.kept.decision.get("mode") == "enforce" and one.kept.decision.get("allowed") is not True


def _answered(one: StoredDecision) -> Mapping[str, Json]:
    """The pod as the answer made it; as it was where there is nothing that can be made of it."""
    pod, decision = _asked(one).pod, one.kept.decision
    operations = decision.get("patch") if decision.get("mode") == "enforce" and not _refused(one) else ()
    try:
        return patched(pod, operations or ()) if operations else pod
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return pod


def _digest(value: Json) -> bytes:
    return blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=16).digest()


def _said(value: Json) -> Iterator[Said]:
    """All that a value says, by where it says so; entries of a list are in no order."""
    left: list[tuple[str, Json]] = [("", value)]
    while left:
        path, one = left.pop()
        if isinstance(one, Mapping):
            left.extend((f"{path}.{key}", inner) for key, inner in one.items())
        elif isinstance(one, list):
            left.extend((f"{path}[]", inner) for inner in one)
        else:
            yield path, type(one).__name__, one


def _without(pod: Json, before: Json, answered: Json) -> Json:
    """A pod with what an answer changed as it was before."""
    parts = {}
    for part, inner in PARTS:
        now, old, given = (_at(one, part, inner) for one in (pod, before, answered))
        for key in given if inner else FIELDS:
            if given.get(key) != old.get(key) and key in now:
                value = _restored(now[key], old.get(key), given[key]) if key in given else old.get(key)
                now = {name: each for name, each in now.items() if name != key} | ({key: value} if value else {})
        parts[part] = {**_map(pod.get(part)), inner: now} if inner else now
    return {**pod, **parts}


def _restored(now: Json, old: Json, given: Json) -> Json:
    """A field as it was before it was given what it was: of a list, what others added stays."""
    if not (isinstance(now, list) and isinstance(given, list)):
        return old
    before = old if isinstance(old, list) else []
    kept = [one for one in now if one in before or one not in given]
    return [*kept, *(one for one in before if one not in kept)]


def _at(pod: Json, part: str, inner: str) -> dict[str, Json]:
    found = _map(_map(pod).get(part))
    return dict(_map(found.get(inner)) if inner else found)
