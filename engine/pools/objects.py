"""What is read of custom resources, which may be of any shape: their maps and lists, each where it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.documents import RequestError

Object = Mapping[str, Any]


def map_at(value: Object, key: str, path: str) -> Object:
    """The map under a key of the object at a path; an empty one where there is none. Raises RequestError."""
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise RequestError(f"{path}.{key}".lstrip("."), "this must be a map")
    return found


def list_at(value: Object, key: str, path: str) -> Sequence[Any]:
    """The list under a key of the object at a path; an empty one where there is none. Raises RequestError."""
    found = value.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise RequestError(f"{path}.{key}", "this must be a list")
    return found
