"""Frozen values that are cheap to define and to make: msgspec's.

What `@dataclass(frozen=True, slots=True)` makes of a class it writes as Python and compiles, a millisecond for each;
two hundred of them were a third of what a webhook needed to be loaded. Where a field has to be left out of comparisons,
or must not be printed, a class is `Marked`. One that computes fields stays a dataclass; `replace` takes both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

from msgspec import Struct, field, structs
from msgspec.structs import asdict

__all__ = ["Marked", "Struct", "asdict", "field", "replace"]

T = TypeVar("T")


class Marked(Struct, frozen=True):
    """A Struct with fields that are left out of its text, or of comparisons and its hash."""

    unprinted: ClassVar[tuple[str, ...]] = ()
    uncompared: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.uncompared and "__eq__" not in vars(cls):
            cls.__eq__, cls.__hash__ = _equal, _hash  # type: ignore[assignment, method-assign]

    def __repr__(self) -> str:
        shown = (name for name in self.__struct_fields__ if name not in self.unprinted)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def replace(value: T, /, **changes: Any) -> T:
    """The same value with other fields. Raises TypeError for a field that it has not."""
    if isinstance(value, Struct):
        return structs.replace(value, **changes)
    made_of: type[T] = value.__class__
    names = _given(made_of)  # type: ignore[arg-type]
    if changes.keys() <= names.keys():  # dataclasses.replace takes three times as long
        return made_of(*[changes[name] if name in changes else getattr(value, name) for name in names])
    wrong = next(name for name in changes if name not in names)
    raise TypeError(f"{made_of.__name__} is not made with a field `{wrong}`")


@cache
def _given(of: type) -> Mapping[str, None]:
    """The fields that a dataclass is made with, in their order. Each can be given by its place."""
    fields = [each for each in dataclasses.fields(of) if each.init]
    assert not any(each.kw_only for each in fields), of
    return {each.name: None for each in fields}


def _equal(self: Marked, other: object) -> bool:
    compared = _compared(type(self))
    return type(self) is type(other) and bool(compared(self) == compared(other))


def _hash(self: Marked) -> int:
    return hash(_compared(type(self))(self))


@cache
def _compared(kind: type[Marked]) -> Callable[[Any], Any]:
    """What of a value of a class is compared."""
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in kind.uncompared))
