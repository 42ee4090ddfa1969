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
_MAX_LENGTH = 100


def parse_quantity(text: str) -> Fraction:
    """The number that a quantity stands for. Raises ValueError if it is none."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if not match:
        raise ValueError(f"`{text[:_MAX_LENGTH]}` is not a quantity")
    sign, digits, suffix, exponent = match.groups()
    number = Fraction(int(digits)) if digits.isdigit() else Fraction(digits)
    if sign == "-":
        number = -number
    if suffix:
        return number * (_BINARY.get(suffix) or _DECIMAL[suffix])
    return number * Fraction(10) ** int(exponent) if exponent else number


def canonical(text: str) -> str:
    """A quantity as the API server writes it: `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`.

    Source: Quantity.CanonicalizeBytes. Raises ValueError as `parse_quantity`.
    """
    amount = parse_quantity(text)
    suffix = text.lstrip("+-.0123456789")
    if suffix in _BINARY and abs(amount) >= 1024 and amount.denominator == 1:
        return _scaled(amount, _BINARY_STEPS)
    nano = _round_away(amount * 10**9)
    if "e" in suffix or (suffix.startswith("E") and len(suffix) > 1):
        return _scaled(Fraction(nano, 10**9), _EXPONENT_STEPS)
    return _scaled(Fraction(nano, 10**9), _DECIMAL_STEPS)


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
