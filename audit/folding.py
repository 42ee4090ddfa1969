"""Folding: pods of which the same is certain to be decided, told by a key, so that each kind of pod is decided once.

Pods of one template differ in what each of them has for itself: name, uid, times, the index of a StatefulSet's pod, the
volume of its token. That is left out of the key where no policy reads it; everything else stays in it. A key that is
too fine costs time only: what comes to the same for one workload is joined afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from audit.inputs import paths_of
from engine.bundle import PodTerm, Spread
from engine.decision import Decider
from engine.pods import MIRROR
from engine.program import EACH, CompiledExemption, CompiledPolicy, FieldPath, Program

OWN_FIELDS = (
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "managedFields",
    "selfLink",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
"""Of `metadata`: what each object has for itself."""
OWN_LABELS = (
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    "batch.kubernetes.io/job-completion-index",
)
"""Labels by which controllers tell their pods apart. None of them is in a selector that is made of a pod's labels."""
OURS = "bayplan.dev/"
"""What begins annotations that decisions may touch."""
_TOKEN, _SAME = re.compile(rb"kube-api-access-[a-z0-9]{5}"), b"kube-api-access"
_MIRRORS = MIRROR.encode()


class _Reference(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""
    version: str = msgspec.field(name="apiVersion", default="")
    controller: bool | None = None


class Controller(msgspec.Struct, frozen=True, gc=False):
    """The object that made a pod, as the pod names it; all empty of a bare one."""

    version: str = ""
    kind: str = ""
    name: str = ""


class _Status(msgspec.Struct, gc=False):
    phase: str | None = None


class Pod(msgspec.Struct, gc=False):
    """A pod of which nothing is read but the texts of its fields: most pods need no more."""

    kind: str
    metadata: dict[str, msgspec.Raw]
    spec: dict[str, msgspec.Raw]
    status: _Status | None = None

    @property
    def phase(self) -> str:
        return (self.status and self.status.phase) or ""

    @property
    def name(self) -> str:
        return _text(self.metadata.get("name"))

    @property
    def namespace(self) -> str:
        """Empty where it says none."""
        return _text(self.metadata.get("namespace"))

    @property
    def node(self) -> str:
        """The name of its node, empty where it has none."""
        return _text(self.spec.get("nodeName"))

    @property
    def created(self) -> str:
        """When it was created, RFC 3339; empty where it does not say."""
        return _text(self.metadata.get("creationTimestamp"))

    @property
    def controller(self) -> Controller:
        return _controller(bytes(self.metadata.get("ownerReferences", b"null")))


BARE = Controller()
_pods = msgspec.json.Decoder(Pod)
_references = msgspec.json.Decoder(list[_Reference] | None)
_texts = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_any_text = msgspec.json.Decoder(str | None)


def read_pod(text: bytes | msgspec.Raw) -> Pod | None:
    """The pod of a JSON text; None for anything else, and for what is too odd to be told by its texts."""
    try:
        pod = _pods.decode(text)
        _ = pod.name, pod.node, pod.created, pod.controller, _texts.decode(pod.metadata.get("annotations", b"null"))
        _texts.decode(pod.metadata.get("labels", b"null"))
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return pod if pod.kind == "Pod" else None


def pod_of(data: Mapping[str, Any]) -> Pod | None:
    """The same of a pod that has been read as data."""
    try:
        return read_pod(json.dumps(data).encode())
    except (TypeError, ValueError, RecursionError):
        return None


class Fold:
    """What a decider's decisions depend on of a pod that exists already."""

    def __init__(self, decider: Decider) -> None:
        programs = decider.programs
        policies = [policy for program in programs for policy in program.policies]
        paths = {path for program in programs for path in _paths(program)}
        dealt = any(policy.split for policy in policies)
        fields = () if dealt else (*OWN_FIELDS, "name")
        self._left_alone = all(program.hands_on.daemon_sets != "pods" for program in programs)
        self._metadata = {name for name in fields if not _overlaps(paths, "metadata", name)}
        labels = () if dealt else OWN_LABELS
        self._labels = frozenset(key for key in labels if not _overlaps(paths, "metadata", "labels", key))
        self._annotations = None if dealt else _keys_read(paths)
        self._spec = {name for name in ("hostname", "volumes") if not dealt and not _overlaps(paths, "spec", name)}
        self._tokens = not any(map(_names_volumes, paths))

    def key(self, pod: Pod) -> bytes:
        """What is equal for pods of which the same is decided, as they were created."""
        metadata, spec = pod.metadata, pod.spec
        owner = pod.controller
        controlled = owner != BARE
        bound = _MIRRORS in bytes(metadata.get("annotations", b""))
        daemon = self._left_alone and (owner.version, owner.kind) == ("apps/v1", "DaemonSet")
        parts: list[bytes] = []
        for name, value in spec.items():
            if (name == "nodeName" and not bound) or (controlled and name in self._spec):
                continue
            told = bytes(value)
            if daemon and name == "affinity" and "nodeName" in spec:
                told = told.replace(bytes(spec["nodeName"]), b"node")  # it is left alone whatever node it is made for
            parts += (name.encode(), told)
        text = b"\0".join(parts)
        if self._tokens and _SAME in text:
            text = _TOKEN.sub(_SAME, text)
        parts = [text]
        for name, value in metadata.items():
            if name in self._metadata and (controlled or name != "name"):
                continue
            told = bytes(value)
            if name == "annotations" and self._annotations is not None:
                told = self._told(told)
            elif name == "labels" and controlled:
                told = self._labelled(told, text)
            parts += (name.encode(), told)
        return blake2b(b"\0".join(parts), digest_size=16).digest()

    def _told(self, annotations: bytes) -> bytes:
        """The annotations that count, and whether there are any: without, a patch that adds one adds the map, too."""
        read = self._annotations or ()
        own = _texts.decode(annotations) or {}
        kept = [
            (key.encode(), bytes(value))
            for key, value in own.items()
            if key in read or key == MIRROR or key.startswith(OURS)
        ]
        return b"\0".join([b"+" if own else b"", *(part for pair in kept for part in pair)])

    def _labelled(self, labels: bytes, spec: bytes) -> bytes:
        """The labels without those by which a controller tells its pods apart, unless the pod names them itself."""
        own = [key for key in self._labels if key.encode() in labels and key.encode() not in spec]
        if not own:
            return labels
        kept = [(key.encode(), bytes(value)) for key, value in (_texts.decode(labels) or {}).items() if key not in own]
        return b"\0".join(part for pair in kept for part in pair)


@lru_cache(maxsize=4096)
def _controller(references: bytes) -> Controller:
    found = (each for each in _references.decode(references) or () if each.controller)
    return next((Controller(each.version, each.kind or "?", each.name) for each in found), BARE)


def _text(value: msgspec.Raw | None) -> str:
    return "" if value is None else (_any_text.decode(value) or "")


def _paths(program: Program) -> Iterator[FieldPath]:
    """All fields that expressions and selectors read."""
    for policy in program.policies:
        yield from paths_of(policy)
        yield from (("pod", "metadata", "labels", key) for key in _counted(policy))
    for exemption in program.exemptions:
        yield from _of_exemption(exemption)


def _counted(policy: CompiledPolicy) -> Iterator[str]:
    """The labels by which the pods are told that spread constraints and pod affinity count."""
    yield from policy.workload_labels
    items: tuple[PodTerm | Spread, ...] = (*policy.spread, *policy.pod_affinity, *policy.pod_anti_affinity)
    for item in items:
        yield from item.match_label_keys
        yield from item.mismatch_label_keys if isinstance(item, PodTerm) else ()
        yield from (key for key in OWN_LABELS if key in json.dumps(item.label_selector, default=str))


def _of_exemption(one: CompiledExemption) -> Iterator[FieldPath]:
    yield from (("pod", "metadata", "labels", each.key) for each in one.exemption.pod_selector.requirements)
    yield from (path for condition in one.match_conditions for path in condition.reads)


def _overlaps(paths: Iterable[FieldPath], *way: str) -> bool:
    """Whether an expression reads a field of the pod, something in it, or something that it is in."""
    wanted = ("pod", *way)
    return any(all(a in (b, EACH) for a, b in zip(path, wanted, strict=False)) for path in paths)


def _keys_read(paths: Iterable[FieldPath]) -> frozenset[str] | None:
    """The annotations that are read; None where it may be any of them."""
    found = set()
    for path in paths:
        if not _overlaps([path], "metadata", "annotations"):
            continue
        if len(path) < 4 or not isinstance(path[3], str):
            return None
        found.add(path[3])
    return frozenset(found)


def _names_volumes(path: FieldPath) -> bool:
    """Whether an expression may read the name of a volume: of the spec or a container as a whole, or of a mount."""
    if path[:1] != ("pod",):
        return False
    inside = path[3:] if path[2:3] in (("containers",), ("initContainers",), ("ephemeralContainers",)) else None
    whole = len(path) < 3 or (inside is not None and len(inside) < 2) or EACH in path[1:3]
    return whole or any(step in ("volumes", "volumeMounts") for step in path) or (inside or ())[1:2] == (EACH,)
