"""What is read of custom resources, which may be of any shape: their maps and lists, each where it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.documents import RequestError
from engine.pools.pool import TAINT_EFFECTS, Taint

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


def text_at(value: Object, key: str, path: str) -> str:
    """The text under a key of the object at a path; empty where there is none. Raises RequestError."""
    found = value.get(key)
    return "" if found is None else text_of(found, f"{path}.{key}".lstrip("."))


def texts_at(value: Object, key: str, path: str) -> dict[str, str]:
    """The map of texts under a key of the object at a path; an empty one where there is none. Raises RequestError.

    Nulls are left out, as the API server does (k8s.io/apiextensions-apiserver, PruneNonNullableNullsWithoutDefaults).
    """
    found = map_at(value, key, path)
    place = f"{path}.{key}".lstrip(".")
    return {text_of(name, place): text_of(said, f"{place}.{name}") for name, said in found.items() if said is not None}


def taints_at(value: Object, key: str, path: str) -> list[Taint]:
    """The taints under a key of the object at a path. Raises RequestError."""
    return [taint_of(each, f"{path}.{key}[{at}]") for at, each in enumerate(list_at(value, key, path))]


def taint_of(each: object, path: str) -> Taint:
    """The taint at a path. Raises RequestError for what the API server would not take."""
    if not isinstance(each, Mapping) or not text_at(each, "key", path):
        raise RequestError(path, "a taint needs a key")
    effect = text_at(each, "effect", path)
    if effect not in TAINT_EFFECTS:
        said = f"`{effect}` is not an effect of a taint" if effect else "a taint needs an effect"
        raise RequestError(f"{path}.effect", f"{said}: expected {', '.join(TAINT_EFFECTS)}")
    return Taint(text_at(each, "key", path), text_at(each, "value", path), effect)


def text_of(value: object, path: str) -> str:
    """The text at a path. Raises RequestError for what YAML takes for something else: the API server refuses it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        raise RequestError(path, f"this must be text: quote `{'null' if value is None else str(value).lower()}`")
    raise RequestError(path, f"this must be text{': quote it' if isinstance(value, (int, float)) else ''}")


LEAVING = "it is being deleted: its nodes count as long as they are there, and no more come"
"""What is said of an object that is_leaving."""


def is_leaving(value: Object) -> bool:
    """Whether an object is being deleted, and waits only for who must do something first."""
    return bool(map_at(value, "metadata", "").get("deletionTimestamp"))
