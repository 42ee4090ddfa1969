"""Objects of a cluster as a source of bundles: one Bundle, and the PlacementPolicies that carry its name in a label.

Each object stands for a file, which is written from its spec and the annotations that say whom to ask: whatever else
the API server keeps of it is nobody's decision. Its version is a digest over these files.

Objects change one by one, and what is served changes as a whole. So a state counts once nothing has changed for a
while: what somebody applies together becomes active together. Objects that vanish with their kind are not taken for
policies that somebody deleted.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster import MAX_SPEC, ClusterError, Policies, PolicyWatch, connect
from delivery.content import Content, SourceError
from engine.bundle import canonical
from engine.documents import Plain, Problem, Source, Span, as_yaml, oversize
from telemetry import Metrics

BUNDLE_FILE = "bundle.yaml"
SCHEME = "objects://"
QUIET_SECONDS = 1.0
"""How long nothing must have changed for what there is to count,"""
MOST_SECONDS = 30.0
"""and how long changes that do not end are waited for."""
MAX_DEPTH = 64
"""Levels of nesting, as in a file of a bundle."""


def file_of(thing: Mapping[str, Any]) -> str:
    """The name of the file that an object stands for."""
    return BUNDLE_FILE if thing["kind"] == "Bundle" else f"policies/{thing['metadata']['name']}.yaml"


def document_of(thing: Mapping[str, Any]) -> bytes | Problem:
    """The file that an object stands for, or why there is none. Its spec is bytes of JSON, or their number."""
    spec, where = thing["spec"], Source(file_of(thing), "")
    if isinstance(spec, int):
        return oversize(where, f"{spec:,} bytes", f"{MAX_SPEC:,} bytes")
    try:
        data = json.loads(spec)
    except (ValueError, RecursionError):
        return Problem("too-deep", f"more than {MAX_DEPTH} levels of nesting", Span(where, 0, 0))
    if not _is_flat(data, MAX_DEPTH):
        return Problem("too-deep", f"more than {MAX_DEPTH} levels of nesting", Span(where, 0, 0))
    return as_yaml(canonical({**thing, "spec": data}, thing["kind"])).encode()


def _is_flat(value: Plain, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_flat(each, levels - 1) for each in inner if isinstance(each, (dict, list)))


def _said(thing: Mapping[str, Any]) -> object:
    """What of an object makes its file."""
    return thing["spec"], thing["metadata"]["annotations"]


class ObjectSource:
    """The source of the bundle of a name in a cluster. It is followed by whoever gives `watch`."""

    def __init__(
        self,
        watch: PolicyWatch,
        quiet: float = QUIET_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch, self._quiet, self._now = watch, quiet, now
        self._written: dict[str, tuple[object, bytes | Problem]] = {}
        self._read: tuple[Sequence[Mapping[str, Any]], Content] | None = None
        self._settled: tuple[str, Content] | None = None
        self._seen = ""
        self._changed = self._began = 0.0

    @property
    def origin(self) -> str:
        return f"{SCHEME}{self._watch.name}"

    def look(self) -> str:
        """The digest of the files that the objects stand for, once they have stayed the same for a while."""
        content = self._content(self._taken("look"))
        now = self._now()
        if content.version != self._seen:
            pending = self._settled is not None and self._seen != self._settled[0]
            self._began = self._began if pending else now
            self._seen, self._changed = content.version, now
        settled = self._settled
        if settled is None or (content.version != settled[0] and self._at_rest(now)):
            if settled is not None and settled[1].files.keys() - content.files.keys():
                self._still_there()
            self._settled = settled = (content.version, content)
        return settled[0]

    def fetch(self) -> Content:
        if self._settled is None:
            self.look()
        assert self._settled is not None
        content = self._settled[1]
        if BUNDLE_FILE not in content.files and not any(p.span.source.name == BUNDLE_FILE for p in content.problems):
            raise SourceError("fetch", f"the cluster has no Bundle `{self._watch.name}` that its policies belong to")
        return content

    def close(self) -> None:
        """There is nothing to let go of: the watch is somebody else's."""

    def _at_rest(self, now: float) -> bool:
        return now - self._changed >= self._quiet or now - self._began >= MOST_SECONDS

    def _taken(self, step: str) -> Policies:
        try:
            return self._watch.take()
        except ClusterError as error:
            raise SourceError("look" if step == "look" else "fetch", str(error)) from error

    def _still_there(self) -> None:
        try:
            self._watch.check_kinds()
        except ClusterError as error:
            raise SourceError("look", str(error)) from error

    def _content(self, found: Policies) -> Content:
        things = found.all
        if self._read and len(self._read[0]) == len(things) and all(map(operator.is_, self._read[0], things)):
            return self._read[1]
        self._written = written = {file_of(thing): (_said(thing), self._document(thing)) for thing in things}
        files = {name: text for name, (_, text) in written.items() if isinstance(text, bytes)}
        problems = tuple(text for _, text in written.values() if isinstance(text, Problem))
        total = hashlib.sha256()
        for name in sorted(written):
            text = written[name][1]
            data = text if isinstance(text, bytes) else text.message.encode()
            total.update(b"%s\0%d\0%s" % (name.encode(), len(data), data))
        content = Content(f"sha256:{total.hexdigest()}", self.origin, files, problems)
        self._read = (things, content)
        return content

    def _document(self, thing: Mapping[str, Any]) -> bytes | Problem:
        """The file of an object, or what is wrong with it: that of last time, if it says what it said last time."""
        known = self._written.get(file_of(thing))
        return known[1] if known is not None and known[0] == _said(thing) else document_of(thing)


class _Once(ObjectSource):
    """Objects that are asked for once: the watch is its own, and ends with it."""

    def __init__(self, name: str, seconds: float) -> None:
        self._seconds = seconds
        try:
            watch = PolicyWatch(
                connect(in_cluster="no" if "KUBECONFIG" in os.environ else "auto"), name, Metrics("once")
            )
        except ClusterError as error:
            raise SourceError("look", str(error)) from error
        super().__init__(watch, quiet=0.0)
        for reflector in watch.reflectors:
            reflector.start()

    def _taken(self, step: str) -> Policies:
        until = time.monotonic() + self._seconds
        while not self._watch.answered and time.monotonic() < until:
            time.sleep(0.02)
        return super()._taken(step)

    def close(self) -> None:
        for reflector in self._watch.reflectors:
            reflector.stop()
        self._watch.cluster.close()


def once(name: str, seconds: float) -> ObjectSource:
    """The source of the bundle of a name, for who reads it once: in kubectl's cluster, be it the one that this runs in.
    Raises SourceError."""
    return _Once(name, seconds)
