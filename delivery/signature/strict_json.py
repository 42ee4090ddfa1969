"""JSON from whoever may write into a registry: of bounded size, each key once, and base64 in one spelling."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from delivery.each_once import each_once

MAX_BYTES = 1 << 18
"""Limit of one attestation, in bytes; ours have about two thousand."""


class UnreadableError(Exception):
    """What is not the JSON that is expected: the text names the field."""


def json_object(data: bytes | bytearray, what: str) -> dict[str, Any]:
    """The object that is all of the text. Raises UnreadableError."""
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"{what} is too large: {len(data):,} bytes, at most {MAX_BYTES:,}")
    try:
        value = json.loads(data.decode(), object_pairs_hook=each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{what} is no JSON: {_why(error)}") from error
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} is no JSON object")
    return value


def at(value: Mapping[str, Any], *path: str) -> Any:
    """What stands at a path of keys; None where there is nothing, or something else than objects on the way."""
    found: Any = value
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def text_at(value: Mapping[str, Any], *path: str) -> str:
    """The text at a path of keys. Raises UnreadableError."""
    found = at(value, *path)
    if not isinstance(found, str):
        raise UnreadableError(f"`{'.'.join(path)}` is {'missing' if found is None else 'no text'}")
    return found


def bytes_at(value: Mapping[str, Any], *path: str) -> bytes:
    """What the text at a path of keys says in base64, with its padding and nothing else. Raises UnreadableError."""
    said = text_at(value, *path)
    try:
        data = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError(f"`{'.'.join(path)}` is no base64") from error
    if base64.b64encode(data).decode() != said:
        raise UnreadableError(f"`{'.'.join(path)}` is no base64 as it is written")
    return data


def objects_at(value: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    """The list of objects at a path of keys. Raises UnreadableError."""
    found = at(value, *path)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UnreadableError(f"`{'.'.join(path)}` is {'missing' if found is None else 'no list of objects'}")
    return cast("list[dict[str, Any]]", found)


def _no_constant(_: str) -> Any:
    raise ValueError("a number is none")


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at byte {error.pos:,}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)
