"""Kubernetes' own manifests, read as kubectl reads them: YAML 1.1 scalars, anchors, JSON, many documents in a file."""

from __future__ import annotations

import json
import re

from engine.documents.composer import Composer, Reading, unreadable
from engine.documents.places import end_of_match
from engine.documents.problems import Problem, ordered
from engine.documents.scalars import kubectl
from engine.documents.source import Source
from engine.documents.tree import List, Plain, Scalar, Value
from engine.struct import Struct

MAX_MANIFESTS = 1 << 29
"""Characters of one file of Kubernetes objects, say all pods of a cluster."""


class Manifest(Struct, frozen=True):
    """One Kubernetes object of a file: as plain data, and, where the file is YAML, with places."""

    source: Source
    data: Plain
    value: Value | None = None

    @property
    def positioned(self) -> Value | None:
        """The value with places; for a document of a JSON file the whole file is read once more, None if in vain."""
        return self.value or next(iter(Composer(self.source, strict=False).compose()), None)


def parse_manifests(
    source: Source, limit: int = MAX_MANIFESTS, reading: Reading | None = None
) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    """The documents of a file of Kubernetes manifests, YAML or JSON (or JSON objects one after the other).

    They are read as kubectl reads them: anchors, aliases, merge keys and keys that are numbers may occur. What is YAML
    is counted, where `reading` is given.
    """
    problems = unreadable(source, limit)
    if problems:
        return (), problems
    objects = _json_objects(source.text)
    if objects is not None:
        return tuple(Manifest(source, data) for data in objects), ()
    composer = Composer(source, strict=False, reading=reading)
    return tuple(Manifest(source, manifest(value), value) for value in composer.compose()), ordered(composer.problems)


def _json_objects(text: str) -> tuple[Plain, ...] | None:
    """The JSON objects that a text consists of; None if it does not, and may be YAML."""
    decoder, objects = json.JSONDecoder(), []
    at = end_of_match(_SPACE, text, 0)
    while at < len(text):
        if text[at] != "{":
            return None
        try:
            data, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        objects.append(data)
        at = end_of_match(_SPACE, text, at)
    return tuple(objects)


def manifest(value: Value) -> Plain:
    """A Kubernetes manifest as kubectl would send it: its scalars, keys too, are YAML 1.1's."""
    if isinstance(value, Scalar):
        return value.text if value.style else kubectl(value.text)
    if isinstance(value, List):
        return [manifest(item) for item in value.items]
    return {_manifest_key(key): manifest(item) for key, item in value.entries}


def _manifest_key(key: Scalar) -> str:
    """A key as JSON has it: true, false and integers of YAML 1.1 spelled out."""
    meaning = key.text if key.style else kubectl(key.text)
    if isinstance(meaning, bool):
        return str(meaning).lower()
    return str(meaning) if isinstance(meaning, int) else key.text


_SPACE = re.compile(r"\s*")
