"""The encoders extension (base64). Kubernetes does not offer it to policies."""

from __future__ import annotations

import base64
import binascii

from engine.language.overload import Overload, by_length
from engine.language.types import BYTES, STRING
from engine.language.values import CelError, quoted


def decode(text: str) -> bytes:
    """Standard base64, with or without padding."""
    try:
        return base64.b64decode(text if text.endswith("=") else text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise CelError(f"{quoted(text)} is not base64") from None


def encode(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


OVERLOADS: tuple[Overload, ...] = (
    Overload("base64.decode", "base64_decode_string", (STRING,), BYTES, decode, library="encoders", kubernetes=False,
             cost=by_length, example='base64.decode("aGk=") == b"hi"'),
    Overload("base64.encode", "base64_encode_bytes", (BYTES,), STRING, encode, library="encoders", kubernetes=False,
             cost=by_length, example='base64.encode(b"hi") == "aGk="'),
)  # fmt: skip
