"""Pods that run already, as they were when they were created: what a replay decides about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.decision import without_marks
from engine.documents import Manifest
from engine.pods import MIRROR

FINISHED = ("Succeeded", "Failed")


def as_created(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod as it was before it was bound, for it is decided as if it were created again.

    What names the revision that placed it is gone. A mirror pod is created bound.
    """
    created = {key: value for key, value in without_marks(pod).items() if key != "status"}
    if isinstance(created.get("spec"), dict) and not _mirrors(pod.get("metadata")):
        created["spec"] = {key: value for key, value in created["spec"].items() if key != "nodeName"}
    return created


def replayed(found: Iterable[Manifest]) -> Iterator[Manifest]:
    """The documents with running pods as they were created, and without those that have finished."""
    for manifest in found:
        data = manifest.data
        if not isinstance(data, dict):
            yield manifest
        elif isinstance(data.get("items"), list) and str(data.get("kind", "")).endswith("List"):
            kind = str(data["kind"]).removesuffix("List")
            typed = ({"kind": kind, **item} if kind and isinstance(item, dict) else item for item in data["items"])
            yield from replayed(Manifest(manifest.source, item) for item in typed)
        elif data.get("kind") != "Pod":
            yield manifest
        elif not _finished(data.get("status")):
            yield Manifest(manifest.source, as_created(data), manifest.value)


def _finished(status: object) -> bool:
    return isinstance(status, dict) and status.get("phase") in FINISHED


def _mirrors(metadata: object) -> bool:
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return isinstance(annotations, dict) and MIRROR in annotations
