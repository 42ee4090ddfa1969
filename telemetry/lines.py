"""Lines of the decision log within a size: what does not fit is left out, and the line says what, and how much.

A pod of hundreds of terms makes a patch of hundreds of kilobytes, and who reads logs (container runtimes, collectors)
cuts long lines into pieces that are no JSON, or drops them. What takes most room goes first, so that as few parts as
possible go; what stays is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.documents import printable_json

MAX_LINE = 64 * 1024
"""Bytes of a line, without its end."""
TEXT, TEXT_BYTES = 1024, 4096
"""Characters that stay of a text which is cut, and what they may take in the line."""
ESCAPED = 3
"""Characters that are not printable take so many times their bytes as JSON's escapes, at most."""
_LISTS = (
    ("patch",),
    ("audited", "patch"),
    ("placement",),
    ("portions",),
    ("pools", "before"),
    ("pools", "after"),
    ("pools", "untolerated"),
    ("pools", "taints"),
    ("pools", "unseen"),
    ("warnings",),
)
_TEXTS = (
    ("message",),
    ("audited", "message"),
    ("uid",),
    ("revision",),
    ("pod", "namespace"),
    ("pod", "name"),
    ("pod", "owner", "apiVersion"),
    ("pod", "owner", "kind"),
    ("pod", "owner", "name"),
)
"""Where a line can be long, as keys from outside to inside; and in `policies`."""

Json = Any
Encode = Callable[[object], bytes]


class _Part(NamedTuple):
    """A part of a line: the bytes that it takes, its name, and what leaves it out and tells of what that was."""

    size: int
    name: str
    leave_out: Callable[[], dict[str, int]]


def bounded(line: Mapping[str, Json], encode: Encode, limit: int = MAX_LINE) -> bytes:
    """A line as JSON of at most so many bytes, also when the log has written what is not printable as escapes.

    What is left out is counted under `omitted`, by its name: the entries of lists and of maps of lists, the characters
    of texts. Of `policies` those that are `notMatched` go first.
    """
    whole = encode(line)
    if len(whole) * ESCAPED <= limit:
        return whole
    text = printable_json(whole) if len(whole) <= limit else whole
    if len(text) <= limit:
        return text
    omitted: dict[str, dict[str, int]] = {}
    short = {**_copied(line), "omitted": omitted}
    for part in sorted(_parts(short, encode), key=lambda part: -part.size):
        for what, count in part.leave_out().items():
            known = omitted.setdefault(part.name, {})
            known[what] = known.get(what, 0) + count
        text = encode(short)
        text = printable_json(text) if len(text) <= limit else text
        if len(text) <= limit:
            break
    return text


def _copied(value: Json) -> Json:
    """The maps of a line, so that keys can be taken from them; what is in lists stays as it is."""
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _parts(line: dict[str, Json], encode: Encode) -> Iterator[_Part]:
    for *outside, key in _LISTS:
        inside = _at(line, outside)
        if inside.get(key):
            yield _Part(len(encode(inside[key])), ".".join((*outside, key)), _taking(inside, key))
    for *outside, key in _TEXTS:
        inside = _at(line, outside)
        if len(inside.get(key) or "") > TEXT:
            yield _Part(len(encode(inside[key])), ".".join((*outside, key)), _cutting(inside, key, encode))
    policies: list[Json] = line.get("policies") or []
    told = [policy for policy in policies if policy["outcome"] != "notMatched"]
    if policies:
        # as large as all of them, so that it comes first
        yield _Part(len(encode(policies)), "policies", _leaving(line, "policies", told))
        yield _Part(len(encode(told)), "policies", _taking(line, "policies"))


def _at(line: dict[str, Json], path: list[str]) -> dict[str, Json]:
    for key in path:
        line = line.get(key) or {}
    return line


def _taking(inside: dict[str, Json], key: str) -> Callable[[], dict[str, int]]:
    def take() -> dict[str, int]:
        value = inside.pop(key)
        count = sum(map(len, value.values())) if isinstance(value, Mapping) else len(value)
        return {"characters" if isinstance(value, str) else "entries": count}

    return take


def _leaving(inside: dict[str, Json], key: str, rest: list[Json]) -> Callable[[], dict[str, int]]:
    def leave() -> dict[str, int]:
        before, inside[key] = inside[key], rest
        return {"entries": len(before) - len(rest)}

    return leave


def _cutting(inside: dict[str, Json], key: str, encode: Encode) -> Callable[[], dict[str, int]]:
    def cut() -> dict[str, int]:
        text = inside[key]
        kept = text[:TEXT]
        while len(printable_json(encode(kept))) > TEXT_BYTES:
            kept = kept[: len(kept) // 2]
        inside[key] = f"{kept}…"
        return {"characters": len(text) - len(kept)}

    return cut
