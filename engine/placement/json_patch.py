"""The difference that a placement makes to a pod, as RFC 6902 operations.

Only `/spec/affinity`, `/spec/tolerations` and `/spec/topologySpreadConstraints` can be named. A list that only grew
gets its new entries appended, one that did not is replaced; an absent or null parent is added whole, for an operation
that does not apply makes the API server refuse the pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from engine.placement.required import in_order

Operation: TypeAlias = dict[str, Any]

FIELDS = ("affinity", "tolerations", "topologySpreadConstraints")
_STRICTER = (
    "maxSkew",
    "minDomains",
    "tolerationSeconds",
)  # the only values within an entry of the pod's own that ever change


def patch(pod: Mapping[str, Any], patched: Mapping[str, Any]) -> tuple[Operation, ...]:
    """What leads from a pod to the same with a placement worked in: `patched`, the pod itself where nothing changes.

    The same for equal inputs.
    """
    if patched is pod:
        return ()
    old_spec, new_spec = pod.get("spec") or {}, patched["spec"]
    pairs = ((f"/spec/{field}", old_spec.get(field), new_spec.get(field)) for field in FIELDS)
    return tuple(operation for path, old, now in pairs for operation in _difference(path, old, now))


def _difference(path: str, old: Any, new: Any) -> Iterator[Operation]:
    if old is new or old == new:
        return
    if old is None:
        yield {"op": "add", "path": path, "value": new}
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, value in sorted(new.items()):
            yield from _difference(f"{path}/{key}", old.get(key), value)
    elif isinstance(old, list) and _grew(old, new):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _difference(f"{path}/{index}", before, after)
        for item in new[len(old) :]:
            yield {"op": "add", "path": f"{path}/-", "value": item}
    else:
        yield {"op": "replace", "path": path, "value": in_order(new)}


def _grew(old: Any, new: Any) -> bool:
    """Is everything of the old value still in its place?"""
    if old is new:
        return True
    if isinstance(old, list) and isinstance(new, list):
        return len(old) <= len(new) and all(_grew(a, b) for a, b in zip(old, new, strict=False))
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and (key in _STRICTER or _grew(value, new[key])) for key, value in old.items())
    return bool(old == new) or old is None
