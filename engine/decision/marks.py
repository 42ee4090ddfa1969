"""What is written on a pod beside its placement, for people: by which revision, and the policies of whom.

Who may create a pod may write these annotations, so nothing is decided by them, and they say what is so whoever wrote
them before: of a pod that is patched, or has one of them already, they are made to name the revision that decides and
the policies that apply, also those that hold already; where none does, they are removed. So they depend on the pod's
placement and not on what was done when, and deciding on the patched pod writes nothing (laws.md, idempotent).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.placement import Operation

Json = Mapping[str, Any]
REVISION, POLICIES = "bayplan.dev/revision", "bayplan.dev/policies"
MARKS = (POLICIES, REVISION)
"""The annotations, in the order in which they are written."""
MAX_VALUE = 1_000
"""Characters of one of them."""
MAX_ANNOTATIONS = 256 * 1024
"""Bytes that all annotations of an object may have together; with more, the API server refuses it."""
MOST_BYTES = 4
"""Of one character, in UTF-8."""


def marks(revision: str, policies: Iterable[str]) -> dict[str, str]:
    """The annotations that name a revision and policies, the names sorted; none where there are no policies."""
    names = _cut(",".join(sorted(policies)))
    return {POLICIES: names, REVISION: _cut(revision)} if names else {}


def marked(pod: Json, wanted: Mapping[str, str], *, placing: bool) -> tuple[Json, tuple[Operation, ...]]:
    """The pod with these annotations and no others of MARKS, and the operations that lead there; the pod itself where
    none does. `placing`: something else is written, so these are. They are not where they would not fit.
    """
    metadata = pod.get("metadata") or {}
    present = metadata.get("annotations")
    own = present if isinstance(present, Mapping) else {}
    there = any(key in own for key in MARKS)
    if not there and not (placing and wanted):
        return pod, ()
    rest = {key: value for key, value in own.items() if key not in MARKS}
    written = {**rest, **(wanted if _fits(rest, wanted) else {})}
    if written == own:
        return pod, ()
    path = "/metadata/annotations"
    if "metadata" not in pod:
        operations = [{"op": "add", "path": "/metadata", "value": {"annotations": written}}]
    elif present is None:
        operations = [{"op": "add", "path": path, "value": written}]
    else:
        operations = list(_operations(path, own, written))
    return {**pod, "metadata": {**metadata, "annotations": written}}, tuple(operations)


def marks_on(pod: Json) -> dict[str, str]:
    """Those of MARKS that a pod has, whoever wrote them."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return {key: annotations[key] for key in MARKS if key in annotations}


def without_marks(pod: Json) -> Json:
    """A pod as somebody else than this project writes it; the pod itself where it has none of MARKS."""
    if not marks_on(pod):
        return pod
    metadata = dict(pod["metadata"])
    metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key not in MARKS}
    if not metadata["annotations"]:
        del metadata["annotations"]
    return {**pod, "metadata": metadata}


def _operations(path: str, own: Mapping[str, str], written: Mapping[str, str]) -> Iterator[Operation]:
    for key in MARKS:
        place = f"{path}/{key.replace('/', '~1')}"
        if key not in written and key in own:
            yield {"op": "remove", "path": place}
        elif key in written and own.get(key) != written[key]:
            yield {"op": "replace" if key in own else "add", "path": place, "value": written[key]}


def _fits(rest: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether the API server takes as many annotations."""
    if not wanted:
        return True
    texts = [text for each in (rest, wanted) for pair in each.items() for text in pair if isinstance(text, str)]
    if MOST_BYTES * sum(map(len, texts)) <= MAX_ANNOTATIONS:
        return True
    return sum(len(text.encode(errors="replace")) for text in texts) <= MAX_ANNOTATIONS


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
