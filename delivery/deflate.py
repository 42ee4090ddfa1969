"""Bytes compressed as gzip has them, the same bytes from every Python on every machine.

What zlib makes of data differs between its versions and its rivals; the digest of an archive, and with it what signs
it, may not. So this is a small encoder of its own: the latest earlier occurrence of four bytes, taken greedily, and
the fixed codes of RFC 1951, §3.2.6. It does not compress as well as zlib, and everybody can decompress it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import accumulate

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of RFC 1952: no name, no time, an unknown system."""
NEAREST, WINDOW, LONGEST = 4, 1 << 15, 258

_LENGTH_BITS = (*[0] * 8, *(bits for bits in range(1, 6) for _ in range(4)))
_LENGTH_BASES = (*accumulate((1 << bits for bits in _LENGTH_BITS[:-1]), initial=3), LONGEST)
_DISTANCE_BITS = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_DISTANCE_BASES = tuple(accumulate((1 << bits for bits in _DISTANCE_BITS[:-1]), initial=1))


def gzipped(data: bytes) -> bytes:
    """The data as a gzip file."""
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return HEADER + _packed(_symbols(data)) + tail


def _symbols(data: bytes) -> Iterator[tuple[int, int]]:
    """What is written, one after the other: a value and how many bits it has."""
    yield 0b011, 3  # the last block, with fixed codes
    latest: dict[bytes, int] = {}
    at = 0
    while at < len(data):
        key = data[at : at + NEAREST]
        before = latest.get(key, -1)
        latest[key] = at
        length = _alike(data, before, at) if before >= 0 and at - before <= WINDOW and len(key) == NEAREST else 0
        if not length:
            yield _LITERALS[data[at]]
            at += 1
            continue
        yield _LENGTHS[length]
        yield _distance(at - before)
        for inside in range(at + 1, at + length):
            latest[data[inside : inside + NEAREST]] = inside
        at += length
    yield _code(256)


def _alike(data: bytes, before: int, at: int) -> int:
    """How many bytes from two places on are the same, as far as one symbol can say."""
    length, most = NEAREST, min(LONGEST, len(data) - at)
    while length < most and data[before + length] == data[at + length]:
        length += 1
    return length


def _packed(symbols: Iterator[tuple[int, int]]) -> bytes:
    """Bits to bytes, the lowest ones first."""
    packed = bytearray()
    pending, bits = 0, 0
    for value, width in symbols:
        pending |= value << bits
        bits += width
        while bits >= 8:
            packed.append(pending & 0xFF)
            pending >>= 8
            bits -= 8
    if bits:
        packed.append(pending)
    return bytes(packed)


def _reversed(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


def _code(symbol: int) -> tuple[int, int]:
    """The fixed code of a literal, the end or a length."""
    if symbol < 144:
        return _reversed(0x30 + symbol, 8), 8
    if symbol < 256:
        return _reversed(0x190 + symbol - 144, 9), 9
    if symbol < 280:
        return _reversed(symbol - 256, 7), 7
    return _reversed(0xC0 + symbol - 280, 8), 8


def _length(length: int) -> tuple[int, int]:
    place = max(place for place, base in enumerate(_LENGTH_BASES) if base <= length)
    code, width = _code(257 + place)
    extra = 0 if length == LONGEST else _LENGTH_BITS[place]
    return code | (length - _LENGTH_BASES[place]) << width, width + extra


def _distance(distance: int) -> tuple[int, int]:
    exponent = max(0, (distance - 1).bit_length() - 2)
    place = 2 * exponent + ((distance - 1) >> exponent)
    return _reversed(place, 5) | (distance - _DISTANCE_BASES[place]) << 5, 5 + _DISTANCE_BITS[place]


_LITERALS = [_code(value) for value in range(256)]
_LENGTHS = [(0, 0)] * 3 + [_length(length) for length in range(3, LONGEST + 1)]
