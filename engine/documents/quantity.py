"""Kubernetes' quantities, exactly: `500m` is a half, `64Gi` is 68719476736.

Source: k8s.io/apimachinery/pkg/api/resource, the grammar above `type Quantity`.
"""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])|[eE]([+-]?[0-9]{1,3}))?"
)
_BINARY = {suffix: Fraction(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {suffix: Fraction(1000) ** power for power, suffix in zip(range(-3, 7), "num kMGTPE", strict=True)}
_WHOLE = {suffix: int(factor) for suffix, factor in (_BINARY | _DECIMAL).items() if factor.denominator == 1}
_MAX_LENGTH = 100


def parse_quantity(text: str) -> Fraction:
    """The number that a quantity stands for. Raises ValueError if it is none."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if not match:
        raise ValueError(f"`{text[:_MAX_LENGTH]}` is not a quantity")
    sign, digits, suffix, exponent = match.groups()
    if digits.isdigit() and suffix in _WHOLE:  # as most are, and a Node's memory
        return Fraction(int(digits) * (-_WHOLE[suffix] if sign == "-" else _WHOLE[suffix]))
    number = Fraction(int(digits)) if digits.isdigit() else Fraction(digits)
    if sign == "-":
        number = -number
    if suffix:
        return number * (_BINARY.get(suffix) or _DECIMAL[suffix])
    return number * Fraction(10) ** int(exponent) if exponent else number


def nanos(text: str) -> int:
    """A quantity in billionths, as Kubernetes keeps it: what is finer is rounded away from zero, and one with a binary
    suffix does not exceed 2^63-1.

    Source: ParseQuantity. Raises ValueError as `parse_quantity`.
    """
    amount = _round_away(parse_quantity(text) * 10**9)
    return max(-_MAX_BINARY, min(_MAX_BINARY, amount)) if text.endswith("i") else amount


def spelled(amount: int, like: str) -> str:
    """An amount in billionths as the API server writes it, with the kind of suffix that the quantity `like` has.

    `1000m` becomes `1`, `1024Mi` `1Gi`, and `0.5` `500m`.
    Source: Quantity.CanonicalizeBytes.
    """
    suffix = like.lstrip("+-.0123456789")
    exact = Fraction(amount, 10**9)
    if suffix in _BINARY and abs(exact) >= 1024 and exact.denominator == 1:
        return _scaled(exact, _BINARY_STEPS)
    if "e" in suffix or (suffix.startswith("E") and len(suffix) > 1 and suffix not in _BINARY):
        return _scaled(exact, _EXPONENT_STEPS)
    return _scaled(exact, _DECIMAL_STEPS)


def written(text: str, finest: int = -9) -> str:
    """A quantity as the API server writes it that has read it: the same text where its short way reads it and nothing
    of it is finer than ten to the power of `finest`; else in its canonical form. Raises ValueError as `parse_quantity`.

    Source: ParseQuantity, which keeps a text, MarshalJSON, and RoundUp, which forgets it.
    """
    return text if _kept(text, finest) else spelled(_rounded(nanos(text), 10 ** (finest + 9)), text)


def _kept(text: str, finest: int) -> bool:
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or text == "0":
        return match is not None
    _, number, suffix, exponent = match.groups()
    whole, _, part = number.partition(".")
    digits = (whole.lstrip("0") or "0") + part
    if suffix in _BINARY:
        power = 10 * (1 + list(_BINARY).index(suffix))
        return not part and len(digits) + power * 3 // 10 <= _BINARY_DIGITS and int(digits) % 8 != 0
    scale = (int(exponent) if exponent else _POWERS[suffix or " "]) - len(part)
    plain = digits[0] != "0" and not digits.endswith("000")
    return plain and len(digits) <= _DECIMAL_DIGITS and scale % 3 == 0 and scale >= finest


def _rounded(amount: int, step: int) -> int:
    """Rounded away from zero to whole steps."""
    return (-(-amount // step) if amount > 0 else amount // step) * step


_BINARY_DIGITS, _DECIMAL_DIGITS = 14, 18
"""So many digits the short way reads, those of a binary suffix included."""
_POWERS = {suffix: power for power, suffix in zip(range(-9, 21, 3), "num kMGTPE", strict=True)}
_MAX_BINARY = (2**63 - 1) * 10**9
_BINARY_STEPS = [*sorted(((scale, suffix) for suffix, scale in _BINARY.items()), reverse=True), (Fraction(1), "")]
_DECIMAL_STEPS = sorted(((scale, suffix.strip()) for suffix, scale in _DECIMAL.items()), reverse=True)
_EXPONENT_STEPS = [(Fraction(10) ** power, f"e{power}" if power else "") for power in range(18, -10, -3)]


def _scaled(amount: Fraction, steps: list[tuple[Fraction, str]]) -> str:
    if amount == 0:
        return "0"
    return next(f"{amount / scale}{suffix}" for scale, suffix in steps if (amount / scale).denominator == 1)


def _round_away(amount: Fraction) -> int:
    """Nothing is finer than a nano; what is, is rounded up, away from zero."""
    return -(-amount.numerator // amount.denominator) if amount > 0 else amount.numerator // amount.denominator
