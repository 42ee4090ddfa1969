"""The math extension. Kubernetes does not offer it to policies."""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.language.functions.lists import by_elements
from engine.language.overload import Overload
from engine.language.types import BOOL, DOUBLE, DYN, INT, UINT, Type, list_of
from engine.language.values import NUMBERS, CelError, NoSuchOverload, Uint, checked_int, compare

MAX_ARGUMENTS = 10  # of greatest and least
_NUMBERS = (("int", INT), ("uint", UINT), ("double", DOUBLE))


def _all(values: tuple[object, ...]) -> list[object]:
    first = values[0]
    numbers = list(first) if len(values) == 1 and isinstance(first, (list, tuple)) else list(values)
    if any(number.__class__ not in NUMBERS for number in numbers):
        raise NoSuchOverload("math.greatest or math.least", *values)
    if not numbers:
        raise CelError("math.greatest and math.least need at least one number")
    return numbers


def greatest(*values: object) -> object:
    """The greatest number; of equal ones the first."""
    result, *rest = _all(values)
    for value in rest:
        result = value if compare(value, result) > 0 else result
    return result


def least(*values: object) -> object:
    """The least number; of equal ones the first."""
    result, *rest = _all(values)
    for value in rest:
        result = value if compare(value, result) < 0 else result
    return result


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    def rounded(value: float) -> float:
        return math.copysign(float(rounding(value)), value) if math.isfinite(value) else value

    return rounded


def _half_away(value: float) -> int:
    whole = math.trunc(value)
    return whole + (1 if value > 0 else -1) if abs(value - whole) >= 0.5 else whole


def absolute(value: float) -> float:
    return checked_int(abs(value)) if value.__class__ is int else abs(value)


def absolute_uint(value: Uint) -> Uint:
    return value


def sign(value: float) -> float:
    """-1, 0 or 1 of the number's own type."""
    result = 0 if value == 0 else 1 if value > 0 else -1
    return value if value != value else value.__class__(result)


def is_finite(value: float) -> bool:
    return math.isfinite(value)


def is_infinite(value: float) -> bool:
    return math.isinf(value)


def is_nan(value: float) -> bool:
    return value != value


def square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def bit_and(a: int, b: int) -> int:
    return a.__class__(int(a) & int(b))


def bit_or(a: int, b: int) -> int:
    return a.__class__(int(a) | int(b))


def bit_xor(a: int, b: int) -> int:
    return a.__class__(int(a) ^ int(b))


def bit_not(a: int) -> int:
    return ~a


def bit_not_uint(a: int) -> Uint:
    return Uint(~int(a) & 0xFFFFFFFFFFFFFFFF)


def _shift(bits: int) -> None:
    if bits < 0:
        raise CelError(f"cannot shift by a negative number of bits: {bits}")


def shift_left(a: int, bits: int) -> int:
    """Bits shifted out are lost."""
    _shift(bits)
    word = (int(a) << bits) & 0xFFFFFFFFFFFFFFFF if bits < 64 else 0
    return Uint(word) if a.__class__ is Uint else word - 2**64 if word >= 2**63 else word


def shift_right(a: int, bits: int) -> int:
    """Zeros come in from the left, for negative numbers too."""
    _shift(bits)
    word = (int(a) & 0xFFFFFFFFFFFFFFFF) >> bits if bits < 64 else 0
    return Uint(word) if a.__class__ is Uint else word - 2**64 if word >= 2**63 else word


def _extremes() -> list[Overload]:
    found: list[Overload] = []
    for function, word, run in (("math.greatest", "max", greatest), ("math.least", "min", least)):
        example = "math.greatest(1, 3, 2) == 3" if run is greatest else "math.least(3, 1, 2) == 1"
        shapes: list[tuple[str, tuple[Type, ...], Type]] = []
        for name, t in _NUMBERS:
            shapes += [(name, (t,), t), (f"list_{name}", (list_of(t),), t)]
            shapes += [("_".join([name] * n), (t,) * n, t) for n in range(2, MAX_ARGUMENTS + 1)]
        shapes += [(f"{a}_{b}", (s, t), DYN) for a, s in _NUMBERS for b, t in _NUMBERS if a != b]
        shapes += [("_".join(["dyn"] * n), (DYN,) * n, DYN) for n in range(3, MAX_ARGUMENTS + 1)]
        found += [
            Overload(function, f"math_@{word}_{suffix}", parameters, result, run, library="math", kubernetes=False,
                     cost=by_elements if suffix.startswith("list") else None, example=example)
            for suffix, parameters, result in shapes
        ]  # fmt: skip
    return found


_Row = tuple[str, str, tuple[Type, ...], Type, Callable[..., object], str]


def _others() -> list[Overload]:
    table: list[_Row] = [
        ("math.ceil", "math_ceil_double", (DOUBLE,), DOUBLE, _whole(math.ceil), "math.ceil(1.2) == 2.0"),
        ("math.floor", "math_floor_double", (DOUBLE,), DOUBLE, _whole(math.floor), "math.floor(1.8) == 1.0"),
        ("math.round", "math_round_double", (DOUBLE,), DOUBLE, _whole(_half_away), "math.round(1.5) == 2.0"),
        ("math.trunc", "math_trunc_double", (DOUBLE,), DOUBLE, _whole(math.trunc), "math.trunc(-1.8) == -1.0"),
        ("math.isInf", "math_isInf_double", (DOUBLE,), BOOL, is_infinite, "math.isInf(1.0 / 0.0)"),
        ("math.isNaN", "math_isNaN_double", (DOUBLE,), BOOL, is_nan, "math.isNaN(0.0 / 0.0)"),
        ("math.isFinite", "math_isFinite_double", (DOUBLE,), BOOL, is_finite, "math.isFinite(1.0)"),
        ("math.abs", "math_abs_double", (DOUBLE,), DOUBLE, absolute, "math.abs(-1.5) == 1.5"),
        ("math.abs", "math_abs_int", (INT,), INT, absolute, "math.abs(-1) == 1"),
        ("math.abs", "math_abs_uint", (UINT,), UINT, absolute_uint, "math.abs(1u) == 1u"),
        ("math.bitNot", "math_bitNot_int_int", (INT,), INT, bit_not, "math.bitNot(1) == -2"),
        ("math.bitNot", "math_bitNot_uint_uint", (UINT,), UINT, bit_not_uint, "math.bitNot(0u) > 1u"),
    ]
    for name, t in _NUMBERS:
        table.append(("math.sign", f"math_sign_{name}", (t,), t, sign, "math.sign(-5) == -1"))
        table.append(("math.sqrt", f"math_sqrt_{name}", (t,), DOUBLE, square_root, "math.sqrt(4) == 2.0"))
    for name, t in _NUMBERS[:2]:
        pair, shift = (t, t), (t, INT)
        table += [
            ("math.bitAnd", f"math_bitAnd_{name}_{name}", pair, t, bit_and, "math.bitAnd(3, 6) == 2"),
            ("math.bitOr", f"math_bitOr_{name}_{name}", pair, t, bit_or, "math.bitOr(1, 2) == 3"),
            ("math.bitXor", f"math_bitXor_{name}_{name}", pair, t, bit_xor, "math.bitXor(3, 1) == 2"),
            ("math.bitShiftLeft", f"math_bitShiftLeft_{name}_int", shift, t, shift_left,
             "math.bitShiftLeft(1, 3) == 8"),
            ("math.bitShiftRight", f"math_bitShiftRight_{name}_int", shift, t, shift_right,
             "math.bitShiftRight(8, 3) == 1"),
        ]  # fmt: skip
    return [
        Overload(function, key, parameters, result, run, library="math", kubernetes=False, example=example)
        for function, key, parameters, result, run, example in table
    ]


OVERLOADS: tuple[Overload, ...] = (*_extremes(), *_others())
