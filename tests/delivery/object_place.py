"""Objects of a cluster as a `Place` of bundles, in memory: what the API server has, as a test says it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from cluster import MAX_SPEC, ClusterError, Policies, PolicyWatch
from delivery.objects import ObjectSource
from engine.documents import API_VERSION, Source, parse_manifests
from tests.delivery.bad_bundles import BAD, Bad

Json = dict[str, Any]
REQUIRE: Json = {"require": [{"expression": 'node.zone == "a"'}]}
KINDS = ("Bundle", "PlacementPolicy")


def thing(name: str, spec: object, kind: str = "PlacementPolicy", annotations: Json | None = None) -> Json:
    """An object as it is watched."""
    raw = json.dumps(spec).encode()
    metadata = {"name": name, "uid": f"uid-{name}", "generation": 1, "annotations": annotations or {}}
    return {"kind": kind, "metadata": metadata, "spec": raw, "status": b"null"}


class Watched(PolicyWatch):
    """Objects as a test says they are, and a clock."""

    def __init__(self, *policies: Json, version: str = "1.0.0") -> None:
        self.name, self.time = "small", 0.0
        self.bundle: Json | None = thing("small", {"version": version}, "Bundle")
        self.policies = list(policies)
        self.wrong = self.going = ""
        self.source = ObjectSource(self, now=lambda: self.time)

    def take(self) -> Policies:
        if self.wrong:
            raise ClusterError(self.wrong)
        return Policies(self.bundle, tuple(self.policies))

    def check_kinds(self) -> None:
        if self.going:
            raise ClusterError(self.going)

    def look(self, after: float) -> str:
        self.time += after
        return self.source.look()

    def names(self) -> list[str]:
        return sorted(self.source.fetch().files)


class ObjectPlace:
    """The objects that stand for the documents of files; each publication has come to rest when it is looked at."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.source = self.watched.source

    def publish(self, files: Mapping[str, bytes]) -> None:
        found = [document for name, data in files.items() for document in _documents(name, data)]
        things = [thing(each["metadata"]["name"], each["spec"], each["kind"]) for each in found]
        self.put(
            next((each for each in things if each["kind"] == "Bundle"), None),
            *(each for each in things if each["kind"] == "PlacementPolicy"),
        )

    def put(self, bundle: Json | None, *policies: Json) -> None:
        """Have these objects, and no others."""
        self.watched.bundle, self.watched.policies = bundle, list(policies)
        self.watched.wrong = self.watched.going = ""
        self.rest()

    def rest(self) -> None:
        """Let a while pass in which nothing changes."""
        self.watched.look(0)
        self.watched.time += 5


def as_object(bad: Bad) -> bool:
    """Whether there can be objects that say what these files say: each of a kind of ours, and no name twice."""
    if any(data is None or not _documents(name, data) for name, data in bad.files.items()):
        return False
    found = [document for name, data in bad.tree().items() for document in _documents(name, data)]
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    return len(names) == len(found) and sum(kind == "Bundle" for kind, _ in names) == 1


def _documents(name: str, data: bytes) -> list[Json]:
    """What can be objects: documents of our kinds that are named."""
    try:
        found, problems = parse_manifests(Source(name, data.decode()))
    except UnicodeDecodeError:
        return []
    whole = [each.data for each in found if isinstance(each.data, dict)] if not problems else []
    return [
        each
        for each in whole
        if each.get("kind") in KINDS and each.get("apiVersion") == API_VERSION and "spec" in each
        if isinstance(each.get("metadata"), dict) and each["metadata"].get("name")
    ]


def _named(count: int, spec: Json) -> tuple[Json, ...]:
    return tuple(thing(f"policy-{number}", spec) for number in range(count))


def _without(place: ObjectPlace, going: str) -> None:
    """Objects that vanish while something is the matter with their kind."""
    place.watched.policies.clear()
    place.watched.going = going
    place.watched.look(0)
    place.watched.time += 5


def _unknown(place: ObjectPlace, why: str) -> None:
    place.watched.wrong = why


AS_OBJECTS = tuple(bad for bad in BAD if as_object(bad))
DENY: Json = {"deny": [{"expression": "false"}]}
BUNDLE = thing("small", {"version": "6.6.6"}, "Bundle")
HUGE = {**DENY, "description": "x" * (100 << 10)}
Spoil = Callable[[ObjectPlace], None]
SPOILT: Mapping[str, tuple[Spoil, str, str]] = {
    "no bundle": (lambda place: place.put(None, thing("bad", DENY)), "fetch", "the cluster has no Bundle `small`"),
    "no policies": (lambda place: place.put(BUNDLE), "parse", "has no policies"),
    "no version": (lambda place: place.put(thing("small", {}, "Bundle"), thing("bad", DENY)), "parse", "bundle.yaml"),
    "a spec of nothing": (lambda place: place.put(BUNDLE, thing("bad", None)), "parse", "policies/bad.yaml"),
    "a spec that is a list": (lambda place: place.put(BUNDLE, thing("bad", [DENY])), "parse", "policies/bad.yaml"),
    "a large spec": (
        lambda place: place.put(BUNDLE, {**thing("bad", DENY), "spec": MAX_SPEC + 1}),
        "limits",
        "policies/bad.yaml:1:1: error: the file is too large",
    ),
    "a large bundle": (lambda place: place.put(BUNDLE, *_named(170, HUGE)), "limits", "the bundle is too large"),
    "many": (lambda place: place.put(BUNDLE, *_named(1_001, DENY)), "limits", "too many files"),
    "deep": (
        lambda place: place.put(BUNDLE, {**thing("bad", DENY), "spec": b"[" * 5000 + b"]" * 5000}),
        "parse",
        "levels of nesting",
    ),
    "cut off": (
        lambda place: place.put(BUNDLE, {**thing("bad", DENY), "spec": b'{"deny": ['}),
        "parse",
        "policies/bad.yaml",
    ),
    "no kind": (lambda place: _unknown(place, "the cluster has no kind of objects"), "look", "no kind of objects"),
    "unreadable": (lambda place: _unknown(place, "it is forbidden"), "look", "it is forbidden"),
}
"""What only objects can be, the step that fails, and what is said."""
GOING: tuple[Spoil, str, str] = (lambda place: _without(place, "is being deleted"), "look", "is being deleted")
"""A kind that goes with its objects; who starts then finds a bundle without policies, as above."""
