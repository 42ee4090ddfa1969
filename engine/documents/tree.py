"""Value: what a document holds, with the place where it stood. A Scalar, List or Map, all frozen."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from engine.documents.places import offsets_of
from engine.documents.scalars import core, kubectl
from engine.documents.source import Excerpt, Span
from engine.struct import Struct

Style = Literal["", "'", '"', "|", ">"]
Plain: TypeAlias = Any
"""What `json.loads` makes: dict, list, str, int, float, bool or None."""


class Scalar(Struct, frozen=True):
    """A scalar: its characters, how it was written (`""`: plain, no quotes), and where."""

    text: str
    style: Style
    span: Span

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means in the core schema."""
        return self.text if self.style else core(self.text)

    @property
    def excerpt(self) -> Excerpt:
        """Its characters, each with its place; where the way back is not certain, the whole scalar's place."""
        return Excerpt(self.text, self.span, offsets_of(self.text, self.style, self.span))


class List(Struct, frozen=True):
    """A sequence."""

    items: tuple[Value, ...]
    span: Span


class Map(Struct, frozen=True):
    """A mapping in source order; its keys are unique."""

    entries: tuple[tuple[Scalar, Value], ...]
    span: Span

    def get(self, name: str) -> Value | None:
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        return next((key for key, _ in self.entries if key.text == name), None)


Value: TypeAlias = Scalar | List | Map


def plain(value: Value) -> Plain:
    """The value as `json.loads` would give it, without positions."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, List):
        return [plain(item) for item in value.items]
    return {key.text: plain(item) for key, item in value.entries}


def kind_of(value: Value) -> str:
    """What a value is, in words an author knows: `a list`, `text`, `true`."""
    if isinstance(value, List):
        return "a list"
    if isinstance(value, Map):
        return "a map"
    meaning = value.value
    if isinstance(meaning, str):
        return "text"
    if isinstance(meaning, bool):
        return "true or false"
    return "nothing" if meaning is None else "a number"


def older_meaning(scalar: Scalar) -> str:
    """What YAML 1.1 made of a plain scalar that means something else now, in words; empty where both agree."""
    if scalar.style:
        return ""
    now, then = scalar.value, kubectl(scalar.text)
    if now == then and type(now) is type(then):
        return ""
    return ("true" if then else "false") if isinstance(then, bool) else str(then)
