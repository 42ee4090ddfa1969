"""Optional values: `optional.of`, `orValue` and their kin. `or` and `orValue` look at their argument only if needed."""

from __future__ import annotations

from engine.language.overload import A, Overload, by_length
from engine.language.types import BOOL, list_of, optional_of
from engine.language.values import NO_VALUE, NOTHING, CelError, Optional, is_zero


def of(value: object) -> Optional:
    return Optional(value)


def of_non_zero(value: object) -> Optional:
    """The optional of a value; the empty one for 0, false, null and what is empty."""
    return NOTHING if is_zero(value) else Optional(value)


def none() -> Optional:
    return NOTHING


def value(holder: Optional) -> object:
    if holder.value is NO_VALUE:
        raise CelError("optional.none() dereference")
    return holder.value


def has_value(holder: Optional) -> bool:
    return holder.value is not NO_VALUE


def either(first: Optional, second: Optional) -> Optional:
    return second if first.value is NO_VALUE else first


def or_value(holder: Optional, default: object) -> object:
    return default if holder.value is NO_VALUE else holder.value


def unwrap(holders: list[Optional]) -> list[object]:
    """The values of the optionals that have one."""
    return [holder.value for holder in holders if holder.value is not NO_VALUE]


_SOME = optional_of(A)

OVERLOADS: tuple[Overload, ...] = (
    Overload("optional.of", "optional_of", (A,), _SOME, of, library="optional", example="optional.of(1).hasValue()"),
    Overload("optional.ofNonZeroValue", "optional_ofNonZeroValue", (A,), _SOME, of_non_zero, library="optional",
             example="!optional.ofNonZeroValue(0).hasValue()"),
    Overload("optional.none", "optional_none", (), _SOME, none, library="optional",
             example="optional.none().orValue(1) == 1"),
    Overload("value", "optional_value", (_SOME,), A, value, method=True, library="optional",
             example="optional.of(1).value() == 1"),
    Overload("hasValue", "optional_hasValue", (_SOME,), BOOL, has_value, method=True, library="optional",
             example='{"a": 1}[?"a"].hasValue()'),
    Overload("or", "optional_or_optional", (_SOME, _SOME), _SOME, either, method=True, library="optional",
             example="optional.none().or(optional.of(1)).value() == 1"),
    Overload("orValue", "optional_orValue_value", (_SOME, A), A, or_value, method=True, library="optional",
             example='{"a": 1}[?"b"].orValue(2) == 2'),
    Overload("optional.unwrap", "optional_unwrap", (list_of(_SOME),), list_of(A), unwrap, library="optional",
             cost=by_length, example="optional.unwrap([optional.of(1), optional.none()]) == [1]"),
    Overload("unwrapOpt", "optional_unwrapOpt", (list_of(_SOME),), list_of(A), unwrap, method=True, library="optional",
             cost=by_length, example="[optional.of(1), optional.none()].unwrapOpt() == [1]"),
)  # fmt: skip
