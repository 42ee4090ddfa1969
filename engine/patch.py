"""The difference that a placement makes to a pod, as RFC 6902 operations.

Only `/spec/affinity`, `/spec/tolerations` and `/spec/topologySpreadConstraints` can be named, and Bayplan's own
annotations. A list that only grew gets its new entries appended, one that did not is replaced; an absent or null parent
is added whole, for an operation that does not apply makes the API server refuse the pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from engine.placement import Placement, placed
from engine.requirement import MAX_TERMS

Operation: TypeAlias = dict[str, Any]

FIELDS = ("affinity", "tolerations", "topologySpreadConstraints")
ANNOTATIONS = "bayplan.dev/"
_STRICTER = ("maxSkew", "minDomains")  # the only values within an entry of the pod's own that ever change


def patch(
    pod: Mapping[str, Any],
    placement: Placement,
    limit: int = MAX_TERMS,
    *,
    annotations: Mapping[str, str] | None = None,
) -> tuple[Operation, ...]:
    """What to do to a pod so that the placement holds: nothing where it holds already, the same for equal inputs.

    `annotations` are Bayplan's own to set: ValueError for others. Raises TooMany.
    """
    new = placed(pod, placement, limit)
    operations = list(annotate(pod, annotations or {}))
    if new is not pod:
        old_spec, new_spec = pod.get("spec") or {}, new["spec"]
        for field in FIELDS:
            operations += _difference(f"/spec/{field}", old_spec.get(field), new_spec.get(field))
    return tuple(operations)


def annotate(pod: Mapping[str, Any], annotations: Mapping[str, str]) -> Iterator[Operation]:
    """Operations that set annotations, whose keys must begin with `bayplan.dev/`."""
    foreign = [key for key in annotations if not key.startswith(ANNOTATIONS)]
    if foreign:
        raise ValueError(f"not an annotation of ours: {foreign[0]}")
    existing = (pod.get("metadata") or {}).get("annotations")
    wanted = {**(existing or {}), **dict(sorted(annotations.items()))}
    yield from _difference("/metadata/annotations", existing, wanted if annotations else existing, changing=True)


def _difference(path: str, old: Any, new: Any, *, changing: bool = False) -> Iterator[Operation]:
    if old is new or old == new:
        return
    if old is None:
        yield {"op": "add", "path": path, "value": new}
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, value in sorted(new.items()):
            place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if changing and key in old and old[key] != value:
                yield {"op": "replace", "path": place, "value": value}
            else:
                yield from _difference(place, old.get(key), value)
    elif isinstance(old, list) and _grew(old, new):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _difference(f"{path}/{index}", before, after)
        for item in new[len(old) :]:
            yield {"op": "add", "path": f"{path}/-", "value": item}
    else:
        yield {"op": "replace", "path": path, "value": _in_order(new)}


def _in_order(value: Any) -> Any:
    """With the fields of objects in one order, however the pod that they come from was written."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, (list, tuple)) else value


def _grew(old: Any, new: Any) -> bool:
    """Is everything of the old value still in its place?"""
    if old is new:
        return True
    if isinstance(old, list) and isinstance(new, list):
        return len(old) <= len(new) and all(_grew(a, b) for a, b in zip(old, new, strict=False))
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and (key in _STRICTER or _grew(value, new[key])) for key, value in old.items())
    return bool(old == new) or old is None
