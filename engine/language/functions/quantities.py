"""Kubernetes' quantities (`quantity("1.5Gi")`) with the results of k8s.io/apimachinery/pkg/api/resource.

A quantity is a whole number times a power of ten. As there, one that was written with a fraction, a negative exponent
or too many digits is not an integer (`isInteger`), whatever its value.
"""

from __future__ import annotations

import re
from typing import final

from engine.language.overload import Overload
from engine.language.types import BOOL, DOUBLE, INT, STRING, Type
from engine.language.values import INT_MAX, INT_MIN, CelError, Opaque, quoted
from engine.struct import Struct

QUANTITY = Type("kubernetes.Quantity")
_QUANTITY = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:[+-]?[0-9]+)?)\Z")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,3})\Z")
_DIGITS = 18  # of a number that Kubernetes keeps in a machine word
_NANO = 9  # decimal places that are kept


@final
class Quantity(Struct, Opaque, frozen=True, eq=False):
    """`units` times ten to the power of `scale`; `word` says that Kubernetes holds it in a machine word."""

    units: int
    scale: int
    word: bool

    type_name = "kubernetes.Quantity"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and compare(self, other) == 0

    def __hash__(self) -> int:
        return hash(as_float(self))


def quantity(text: str) -> Quantity:
    """Reads a quantity. Raises CelError if it is none."""
    found = _QUANTITY.match(text) if 0 < len(text) <= 256 else None
    if found is None:
        raise CelError(f"{quoted(text)} is not a quantity")
    sign, whole, fraction, suffix = -1 if found[1] == "-" else 1, found[2].lstrip("0"), found[3] or "", found[4]
    exponent = _EXPONENT.match(suffix)
    if suffix in _BINARY:
        return _binary(sign, whole, fraction, _BINARY[suffix])
    if suffix not in _DECIMAL and not exponent:
        raise CelError(f"{quoted(text)} is not a quantity: unknown suffix {quoted(suffix)}")
    power = int(exponent[1]) if exponent else _DECIMAL[suffix]
    units, scale = sign * int(whole + fraction or 0), power - len(fraction)
    if len(whole or "0") + len(fraction) <= _DIGITS and scale >= -_NANO:
        return Quantity(units, scale, word=True)
    return _rounded(units, scale)


def _binary(sign: int, whole: str, fraction: str, power: int) -> Quantity:
    units = sign * (int(whole + fraction or 0) << power)
    short = 15 - len(whole or "0") - power * 3 // 10 - 1 >= 0
    if not fraction and short and abs(units) <= INT_MAX:
        return Quantity(units, 0, word=True)
    rounded = _rounded(units, -len(fraction))
    largest = INT_MAX * 10**-rounded.scale
    return Quantity(max(-largest, min(largest, rounded.units)), rounded.scale, word=False)


def _rounded(units: int, scale: int) -> Quantity:
    """Away from zero, to nine decimal places."""
    if scale < -_NANO:
        step = 10 ** (-_NANO - scale)
        units, scale = (-(-units // step) if units > 0 else units // step), -_NANO
    return Quantity(units, scale, word=False)


def is_quantity(text: str) -> bool:
    try:
        quantity(text)
    except CelError:
        return False
    return True


def as_float(value: Quantity) -> float:
    """Near the value, with the rounding of Kubernetes."""
    try:
        return float(value.units) * float(f"1e{value.scale}") if value.scale else float(value.units)
    except OverflowError:
        raise CelError("the quantity is too large") from None


def _integer(value: Quantity) -> int | None:
    if not value.word or value.scale < 0:
        return None
    whole: int = value.units * 10**value.scale
    return whole if INT_MIN <= whole <= INT_MAX else None


def is_integer(value: Quantity) -> bool:
    return _integer(value) is not None


def as_integer(value: Quantity) -> int:
    whole = _integer(value)
    if whole is None:
        raise CelError("cannot convert value to integer")
    return whole


def sign(value: Quantity) -> int:
    return (value.units > 0) - (value.units < 0)


def _aligned(a: Quantity, b: Quantity) -> tuple[int, int, int]:
    scale = min(a.scale, b.scale)
    return a.units * 10 ** (a.scale - scale), b.units * 10 ** (b.scale - scale), scale


def compare(a: Quantity, b: Quantity) -> int:
    left, right, _ = _aligned(a, b)
    return (left > right) - (left < right)


def is_greater(a: Quantity, b: Quantity) -> bool:
    return compare(a, b) > 0


def is_less(a: Quantity, b: Quantity) -> bool:
    return compare(a, b) < 0


def add(a: Quantity, b: Quantity | int) -> Quantity:
    other = b if isinstance(b, Quantity) else Quantity(b, 0, word=True)
    if a.word and other.word and 0 in (a.units, other.units):
        return a if other.units == 0 else other
    left, right, scale = _aligned(a, other)
    total = left + right
    fits = all(INT_MIN <= number <= INT_MAX for number in (left, right, total))
    return Quantity(total, scale, word=a.word and other.word and fits)


def subtract(a: Quantity, b: Quantity | int) -> Quantity:
    other = b if isinstance(b, Quantity) else Quantity(b, 0, word=True)
    return add(a, Quantity(-other.units, other.scale, other.word))


_PAIR = (QUANTITY, QUANTITY)
_WITH_INT = (QUANTITY, INT)

OVERLOADS: tuple[Overload, ...] = (
    Overload("quantity", "string_to_quantity", (STRING,), QUANTITY, quantity, library="quantity",
             example='quantity("1Gi") == quantity("1024Mi")'),
    Overload("isQuantity", "is_quantity_string", (STRING,), BOOL, is_quantity, library="quantity",
             example='isQuantity("500m") && !isQuantity("500x")'),
    Overload("sign", "quantity_sign", (QUANTITY,), INT, sign, library="quantity",
             example='sign(quantity("-1")) == -1'),
    Overload("isInteger", "quantity_is_integer", (QUANTITY,), BOOL, is_integer, method=True, library="quantity",
             example='quantity("2k").isInteger() && !quantity("500m").isInteger()'),
    Overload("asInteger", "quantity_get_int", (QUANTITY,), INT, as_integer, method=True, library="quantity",
             example='quantity("2k").asInteger() == 2000'),
    Overload("asApproximateFloat", "quantity_get_float", (QUANTITY,), DOUBLE, as_float, method=True,
             library="quantity", example='quantity("500m").asApproximateFloat() == 0.5'),
    Overload("isGreaterThan", "quantity_is_greater_than", _PAIR, BOOL, is_greater, method=True, library="quantity",
             example='quantity("2Gi").isGreaterThan(quantity("2G"))'),
    Overload("isLessThan", "quantity_is_less_than", _PAIR, BOOL, is_less, method=True, library="quantity",
             example='quantity("500m").isLessThan(quantity("1"))'),
    Overload("compareTo", "quantity_compare_to", _PAIR, INT, compare, method=True, library="quantity",
             example='quantity("1").compareTo(quantity("1000m")) == 0'),
    Overload("add", "quantity_add", _PAIR, QUANTITY, add, method=True, library="quantity",
             example='quantity("1").add(quantity("500m")) == quantity("1500m")'),
    Overload("add", "quantity_add_int", _WITH_INT, QUANTITY, add, method=True, library="quantity",
             example='quantity("1").add(1) == quantity("2")'),
    Overload("sub", "quantity_sub", _PAIR, QUANTITY, subtract, method=True, library="quantity",
             example='quantity("1").sub(quantity("500m")) == quantity("500m")'),
    Overload("sub", "quantity_sub_int", _WITH_INT, QUANTITY, subtract, method=True, library="quantity",
             example='quantity("2").sub(1) == quantity("1")'),
)  # fmt: skip
