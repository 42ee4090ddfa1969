"""What a plain scalar means: by the core schema of YAML 1.2, and as kubectl reads it (YAML 1.1).

https://yaml.org/spec/1.2.2/#103-core-schema and https://yaml.org/type/
"""

from __future__ import annotations

import re

_CORE_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS = 400  # characters of a number; longer ones are text

_OLD_WORDS = {
    **_CORE_WORDS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_OLD_OCTAL = re.compile(r"([-+]?)0o?([0-7]+)")
_OLD_BINARY = re.compile(r"([-+]?)0b([01]+)")


def core(text: str) -> str | int | float | bool | None:
    """What a plain scalar means in YAML 1.2's core schema."""
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    if not (text[0] in "-+.0123456789" and len(text) <= _MAX_DIGITS):
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return float(f"{special[1]}inf" if special[2] else "nan") if special else text


def kubectl(text: str) -> str | int | float | bool | None:
    """What a plain scalar means to kubectl (YAML 1.1 as go-yaml reads it): `yes` is true, `0644` is 420."""
    if text in _OLD_WORDS:
        return _OLD_WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    digits = text.replace("_", "")
    if octal := _OLD_OCTAL.fullmatch(digits):
        return int(octal[1] + octal[2], 8)
    if binary := _OLD_BINARY.fullmatch(digits):
        return int(binary[1] + binary[2], 2)
    meaning = core(digits)
    return text if isinstance(meaning, str) else meaning
