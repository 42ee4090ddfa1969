"""Conversions between types, `type` and `dyn`. Ranges and texts as in Kubernetes (cel-go)."""

from __future__ import annotations

import math
import re

from engine.language.overload import A, Overload, by_length
from engine.language.types import BOOL, BYTES, DOUBLE, DYN, INT, STRING, UINT, type_of
from engine.language.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    CelError,
    TypeValue,
    Uint,
    checked_int,
    checked_uint,
    kind,
    quoted,
)

_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
_UNSIGNED = re.compile(r"[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])_(?=[0-9])")
_HEX_FLOAT = re.compile(r"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+\Z")
_SPECIAL = re.compile(r"[+-]?(inf|infinity)\Z|nan\Z", re.IGNORECASE)
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def same(value: object) -> object:
    return value


def string_to_int(text: str) -> int:
    """Decimal digits with an optional sign."""
    if not _DECIMAL.match(text) or len(text) > 64 or not INT_MIN <= int(text) <= INT_MAX:
        raise CelError(f"cannot convert {quoted(text)} to int")
    return int(text)


def string_to_uint(text: str) -> Uint:
    """Decimal digits without a sign."""
    if not _UNSIGNED.match(text) or len(text) > 64 or int(text) > UINT_MAX:
        raise CelError(f"cannot convert {quoted(text)} to uint")
    return Uint(text)


def double_to_int(value: float) -> int:
    """Truncates towards zero. The ends of the range are errors: a double can't tell them from their neighbours."""
    if not -(2.0**63) < value < 2.0**63:
        raise CelError("integer overflow")
    return int(value)


def double_to_uint(value: float) -> Uint:
    """Truncates towards zero."""
    if not 0 <= value < 2.0**64:
        raise CelError("unsigned integer overflow")
    return Uint(value)


def int_to_uint(value: int) -> Uint:
    return checked_uint(value)


def uint_to_int(value: int) -> int:
    return checked_int(int(value))


def number_to_double(value: int) -> float:
    return float(value)


def string_to_double(text: str) -> float:
    """As Go's ParseFloat: decimal (`1_000.5`), hexadecimal (`0x1p-2`), `NaN`, `Inf`, `Infinity`; no spaces."""
    if "_" in text:
        text = _BETWEEN_DIGITS.sub("", text)
    if _FLOAT.match(text) or _SPECIAL.match(text):
        value = float(text)
        if not math.isinf(value) or "i" in text.lower():
            return value
    elif _HEX_FLOAT.match(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            pass
    raise CelError(f"cannot convert {quoted(text)} to double")


def string_to_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise CelError(f"cannot convert {quoted(text)} to bool")


def bool_to_string(value: bool) -> str:
    return "true" if value else "false"


def int_to_string(value: int) -> str:
    return str(int(value))


def double_to_string(value: float) -> str:
    """The shortest digits that give the value back, in Go's `%g`: `1`, `0.5`, `1e+06`, `1e-05`, `+Inf`, `NaN`."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, exponent = shortest(abs(value))
    if -4 <= exponent < 6:
        return sign + _plain(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def shortest(value: float) -> tuple[str, int]:
    """The significant digits of a non-negative double, and the power of ten of the first one."""
    text = repr(value)
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = len(whole) - 1 + int(power or 0)
    if whole.strip("0") == "":
        exponent = -1 - (len(fraction) - len(fraction.lstrip("0"))) + int(power or 0)
    return (digits.rstrip("0") or "0", exponent if digits.strip("0") else 0)


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def bytes_to_string(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None


def string_to_bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def type_value(value: object) -> TypeValue:
    return TypeValue(kind(value))


OVERLOADS: tuple[Overload, ...] = (
    Overload("int", "int64_to_int64", (INT,), INT, same, example="int(1) == 1"),
    Overload("int", "uint64_to_int64", (UINT,), INT, uint_to_int, example="int(1u) == 1"),
    Overload("int", "double_to_int64", (DOUBLE,), INT, double_to_int, example="int(-1.9) == -1"),
    Overload("int", "string_to_int64", (STRING,), INT, string_to_int, example='int("-17") == -17'),
    Overload("uint", "uint64_to_uint64", (UINT,), UINT, same, example="uint(1u) == 1u"),
    Overload("uint", "int64_to_uint64", (INT,), UINT, int_to_uint, example="uint(1) == 1u"),
    Overload("uint", "double_to_uint64", (DOUBLE,), UINT, double_to_uint, example="uint(1.9) == 1u"),
    Overload("uint", "string_to_uint64", (STRING,), UINT, string_to_uint, example='uint("17") == 17u'),
    Overload("double", "double_to_double", (DOUBLE,), DOUBLE, same, example="double(1.5) == 1.5"),
    Overload("double", "int64_to_double", (INT,), DOUBLE, number_to_double, example="double(1) == 1.0"),
    Overload("double", "uint64_to_double", (UINT,), DOUBLE, number_to_double, example="double(1u) == 1.0"),
    Overload("double", "string_to_double", (STRING,), DOUBLE, string_to_double, example='double("1e3") == 1000.0'),
    Overload("bool", "bool_to_bool", (BOOL,), BOOL, same, example="bool(true)"),
    Overload("bool", "string_to_bool", (STRING,), BOOL, string_to_bool, example='bool("true")'),
    Overload("string", "string_to_string", (STRING,), STRING, same, example='string("a") == "a"'),
    Overload("string", "bool_to_string", (BOOL,), STRING, bool_to_string, example='string(true) == "true"'),
    Overload("string", "int64_to_string", (INT,), STRING, int_to_string, example='string(-1) == "-1"'),
    Overload("string", "uint64_to_string", (UINT,), STRING, int_to_string, example='string(1u) == "1"'),
    Overload("string", "double_to_string", (DOUBLE,), STRING, double_to_string, example='string(1e21) == "1e+21"'),
    Overload("string", "bytes_to_string", (BYTES,), STRING, bytes_to_string, cost=by_length,
             example='string(b"abc") == "abc"'),
    Overload("bytes", "bytes_to_bytes", (BYTES,), BYTES, same, example='bytes(b"a") == b"a"'),
    Overload("bytes", "string_to_bytes", (STRING,), BYTES, string_to_bytes, cost=by_length,
             example='bytes("é") == b"\\303\\251"'),
    Overload("type", "type", (A,), type_of(A), type_value, example="type(1) == int"),
    Overload("dyn", "to_dyn", (A,), DYN, same, example="dyn(1) == dyn(1.0)"),
)  # fmt: skip
