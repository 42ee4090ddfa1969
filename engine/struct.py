"""Frozen values that are cheap to define and to make: msgspec's.

What `@dataclass(frozen=True, slots=True)` makes of a class it writes as Python and compiles, a millisecond for each; a
hundred of them were a third of what a webhook needed to be loaded. Where a field has to be left out of comparisons, or
must not be printed, a class stays a dataclass; `replace` takes both.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from msgspec import Struct, field, structs

__all__ = ["Struct", "field", "replace"]

T = TypeVar("T")


def replace(value: T, /, **changes: Any) -> T:
    """The same value with other fields. Raises TypeError for a field that it has not."""
    if isinstance(value, Struct):
        return structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # noqa: TID251
