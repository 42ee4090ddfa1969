"""Frozen values that are cheap to define and to make: msgspec's.

What `@dataclass(frozen=True, slots=True)` makes of a class it writes as Python and compiles, a millisecond for each; a
hundred of them were a third of what a webhook needed to be loaded. Where a field has to be left out of comparisons, or
must not be printed, a class stays a dataclass; `replace` takes both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct, field, structs

__all__ = ["Struct", "field", "replace"]

T = TypeVar("T")


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
