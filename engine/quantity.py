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
    scale = _BINARY.get(suffix) or _DECIMAL[suffix] if suffix else Fraction(10) ** int(exponent or 0)
    return Fraction(digits) * scale * (-1 if sign == "-" else 1)
