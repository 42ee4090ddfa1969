"""Operators: arithmetic, equality, order, membership. Signatures as in cel-spec's standard definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.language.overload import A, B, Overload, by_content, by_length
from engine.language.types import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, Type, list_of, map_of
from engine.language.values import (
    INT_MIN,
    MAX_SIZE,
    NO_VALUE,
    BudgetExceeded,
    CelError,
    Duration,
    NoSuchOverload,
    Timestamp,
    Uint,
    checked_int,
    checked_uint,
    compare,
    equal,
    find,
)

DURATION_MAX = 2**63 - 1  # nanoseconds: what Kubernetes' runtime can hold, 292 years
TIMESTAMP_MIN, TIMESTAMP_MAX = -62135596800 * 10**9, 253402300800 * 10**9 - 1  # the years 1 to 9999


def checked_duration(nanos: int) -> Duration:
    """The duration if it is within ±292 years. Raises CelError otherwise."""
    if -DURATION_MAX - 1 <= nanos <= DURATION_MAX:
        return Duration(nanos)
    raise CelError("duration out of range")


def checked_timestamp(nanos: int, offset: int = 0) -> Timestamp:
    """The timestamp if it is within the years 1 to 9999. Raises CelError otherwise."""
    if TIMESTAMP_MIN <= nanos <= TIMESTAMP_MAX:
        return Timestamp(nanos, offset)
    raise CelError("timestamp out of range")


def add_int(a: int, b: int) -> int:
    return checked_int(a + b)


def subtract_int(a: int, b: int) -> int:
    return checked_int(a - b)


def multiply_int(a: int, b: int) -> int:
    return checked_int(a * b)


def divide_int(a: int, b: int) -> int:
    """Truncates towards zero, unlike Python."""
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(a) // abs(b)
    return checked_int(quotient if (a < 0) == (b < 0) else -quotient)


def modulo_int(a: int, b: int) -> int:
    """The remainder has the sign of the dividend, unlike Python's."""
    if b == 0:
        raise CelError("modulus by zero")
    if a == INT_MIN and b == -1:
        raise CelError("integer overflow")  # as in Kubernetes: the quotient has no place in 64 bits
    remainder = abs(a) % abs(b)
    return -remainder if a < 0 else remainder


def negate_int(a: int) -> int:
    return checked_int(-a)


def add_uint(a: int, b: int) -> Uint:
    return checked_uint(a + b)


def subtract_uint(a: int, b: int) -> Uint:
    return checked_uint(a - b)


def multiply_uint(a: int, b: int) -> Uint:
    return checked_uint(a * b)


def divide_uint(a: int, b: int) -> Uint:
    if b == 0:
        raise CelError("division by zero")
    return Uint(a // b)


def modulo_uint(a: int, b: int) -> Uint:
    if b == 0:
        raise CelError("modulus by zero")
    return Uint(a % b)


def divide_double(a: float, b: float) -> float:
    """IEEE 754: dividing by zero gives an infinity or NaN, not an error."""
    if b != 0:
        return a / b
    if a == 0 or a != a:
        return math.nan
    return math.copysign(math.inf, math.copysign(1, a) * math.copysign(1, b))


def add_double(a: float, b: float) -> float:
    return a + b


def subtract_double(a: float, b: float) -> float:
    return a - b


def multiply_double(a: float, b: float) -> float:
    return a * b


def negate_double(a: float) -> float:
    return -a


def concatenate(a: str, b: str) -> str:
    _bounded(a, b)
    return a + b


def concatenate_bytes(a: bytes, b: bytes) -> bytes:
    _bounded(a, b)
    return a + b


def concatenate_lists(a: list[object], b: list[object]) -> list[object]:
    _bounded(a, b)
    return [*a, *b]


def _bounded(a: str | bytes | list[object], b: str | bytes | list[object]) -> None:
    if len(a) + len(b) > MAX_SIZE:
        raise BudgetExceeded(f"a value grew beyond {MAX_SIZE} elements")


def add_duration(a: Duration, b: Duration) -> Duration:
    return checked_duration(a.nanos + b.nanos)


def subtract_duration(a: Duration, b: Duration) -> Duration:
    return checked_duration(a.nanos - b.nanos)


def add_timestamp_duration(a: Timestamp, b: Duration) -> Timestamp:
    return checked_timestamp(a.nanos + b.nanos, a.offset)


def add_duration_timestamp(a: Duration, b: Timestamp) -> Timestamp:
    return add_timestamp_duration(b, a)


def subtract_timestamp_duration(a: Timestamp, b: Duration) -> Timestamp:
    return checked_timestamp(a.nanos - b.nanos, a.offset)


def subtract_timestamps(a: Timestamp, b: Timestamp) -> Duration:
    return checked_duration(a.nanos - b.nanos)


def not_equal(a: object, b: object) -> bool:
    return not equal(a, b)


def less(a: object, b: object) -> bool:
    return compare(a, b, "_<_") < 0


def less_equals(a: object, b: object) -> bool:
    return compare(a, b, "_<=_") <= 0


def greater(a: object, b: object) -> bool:
    return compare(a, b, "_>_") > 0


def greater_equals(a: object, b: object) -> bool:
    return compare(a, b, "_>=_") >= 0


def negate(a: bool) -> bool:
    """CEL's `!`."""
    if a is True:
        return False
    if a is False:
        return True
    raise NoSuchOverload("!_", a)


def is_in(value: object, container: object) -> bool:
    """CEL's `in`: a key of a map, or an element of a list. Never an error for an element of another type."""
    if isinstance(container, dict):
        if value.__class__ is str:
            return value in container
        return value.__class__ in _KEYS and find(container, value) is not NO_VALUE
    if isinstance(container, (list, tuple)):
        if value.__class__ is str:
            return value in container
        return any(equal(value, element) for element in container)
    raise NoSuchOverload("@in", value, container)


_KEYS = frozenset({int, Uint, bool, float})


def by_member(_: object, container: object) -> int:
    """What `in` costs: a map is looked up, a list is walked."""
    return by_length(container) if isinstance(container, (list, tuple)) else 0


def _arithmetic() -> list[Overload]:
    table: tuple[tuple[str, str, Type, Type, Type, Callable[..., object], str], ...] = (
        ("_+_", "add_int64", INT, INT, INT, add_int, "1 + 2 == 3"),
        ("_+_", "add_uint64", UINT, UINT, UINT, add_uint, "1u + 2u == 3u"),
        ("_+_", "add_double", DOUBLE, DOUBLE, DOUBLE, add_double, "1.5 + 2.0 == 3.5"),
        ("_+_", "add_string", STRING, STRING, STRING, concatenate, '"a" + "b" == "ab"'),
        ("_+_", "add_bytes", BYTES, BYTES, BYTES, concatenate_bytes, 'b"a" + b"b" == b"ab"'),
        ("_+_", "add_list", list_of(A), list_of(A), list_of(A), concatenate_lists, "[1] + [2] == [1, 2]"),
        ("_+_", "add_duration_duration", DURATION, DURATION, DURATION, add_duration,
         'duration("1m") + duration("1s") == duration("61s")'),
        ("_+_", "add_timestamp_duration", TIMESTAMP, DURATION, TIMESTAMP, add_timestamp_duration,
         'timestamp("2026-01-01T00:00:00Z") + duration("24h") == timestamp("2026-01-02T00:00:00Z")'),
        ("_+_", "add_duration_timestamp", DURATION, TIMESTAMP, TIMESTAMP, add_duration_timestamp,
         'duration("24h") + timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-02T00:00:00Z")'),
        ("_-_", "subtract_int64", INT, INT, INT, subtract_int, "5 - 3 == 2"),
        ("_-_", "subtract_uint64", UINT, UINT, UINT, subtract_uint, "5u - 3u == 2u"),
        ("_-_", "subtract_double", DOUBLE, DOUBLE, DOUBLE, subtract_double, "5.5 - 3.0 == 2.5"),
        ("_-_", "subtract_duration_duration", DURATION, DURATION, DURATION, subtract_duration,
         'duration("1m") - duration("1s") == duration("59s")'),
        ("_-_", "subtract_timestamp_duration", TIMESTAMP, DURATION, TIMESTAMP, subtract_timestamp_duration,
         'timestamp("2026-01-02T00:00:00Z") - duration("24h") == timestamp("2026-01-01T00:00:00Z")'),
        ("_-_", "subtract_timestamp_timestamp", TIMESTAMP, TIMESTAMP, DURATION, subtract_timestamps,
         'timestamp("2026-01-02T00:00:00Z") - timestamp("2026-01-01T00:00:00Z") == duration("24h")'),
        ("_*_", "multiply_int64", INT, INT, INT, multiply_int, "-2 * 3 == -6"),
        ("_*_", "multiply_uint64", UINT, UINT, UINT, multiply_uint, "2u * 3u == 6u"),
        ("_*_", "multiply_double", DOUBLE, DOUBLE, DOUBLE, multiply_double, "1.5 * 2.0 == 3.0"),
        ("_/_", "divide_int64", INT, INT, INT, divide_int, "-7 / 2 == -3"),
        ("_/_", "divide_uint64", UINT, UINT, UINT, divide_uint, "7u / 2u == 3u"),
        ("_/_", "divide_double", DOUBLE, DOUBLE, DOUBLE, divide_double, "7.0 / 2.0 == 3.5"),
        ("_%_", "modulo_int64", INT, INT, INT, modulo_int, "-7 % 2 == -1"),
        ("_%_", "modulo_uint64", UINT, UINT, UINT, modulo_uint, "7u % 2u == 1u"),
    )  # fmt: skip
    sized = {"add_string", "add_bytes", "add_list"}
    return [
        Overload(function, name, (left, right), result, run, cost=by_length if name in sized else None, example=example)
        for function, name, left, right, result, run, example in table
    ]


def _orders() -> list[Overload]:
    names = {INT: "int64", UINT: "uint64", DOUBLE: "double", STRING: "string", BYTES: "bytes", BOOL: "bool",
             TIMESTAMP: "timestamp", DURATION: "duration"}  # fmt: skip
    same = [(t, t, names[t]) for t in names]
    numbers = (INT, UINT, DOUBLE)
    mixed = [(a, b, f"{names[a]}_{names[b]}") for a in numbers for b in numbers if a != b]
    operators = (
        ("_<_", "less", less, "1 < 2"),
        ("_<=_", "less_equals", less_equals, "2 <= 2.5"),
        ("_>_", "greater", greater, '"b" > "a"'),
        ("_>=_", "greater_equals", greater_equals, "2u >= 2"),
    )
    return [
        Overload(function, f"{word}_{suffix}", (a, b), BOOL, implementation, example=example)
        for function, word, implementation, example in operators
        for a, b, suffix in same + mixed
    ]


OVERLOADS: tuple[Overload, ...] = (
    *_arithmetic(),
    Overload("-_", "negate_int64", (INT,), INT, negate_int, example="-(1 + 2) == -3"),
    Overload("-_", "negate_double", (DOUBLE,), DOUBLE, negate_double, example="-(1.5) == 0.0 - 1.5"),
    *_orders(),
    Overload("_==_", "equals", (A, A), BOOL, equal, cost=by_content, example="[1, 2] == [1, 2]"),
    Overload("_!=_", "not_equals", (A, A), BOOL, not_equal, cost=by_content, example='"a" != "b"'),
    Overload("@in", "in_list", (A, list_of(A)), BOOL, is_in, cost=by_member, example="2 in [1, 2]"),
    Overload("@in", "in_map", (A, map_of(A, B)), BOOL, is_in, example='"a" in {"a": 1}'),
    Overload("!_", "logical_not", (BOOL,), BOOL, negate, example="!false"),
    Overload("_&&_", "logical_and", (BOOL, BOOL), BOOL, None, example="true && 1 < 2"),
    Overload("_||_", "logical_or", (BOOL, BOOL), BOOL, None, example="1 / 0 > 1 || true"),
    Overload("_?_:_", "conditional", (BOOL, A, A), A, None, example="(1 < 2 ? 3 : 4) == 3"),
)
