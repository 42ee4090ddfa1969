"""engine.documents.quantity: exact amounts, and how the API server writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.quantity import nanos, parse_quantity, spelled, written


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("96", 96),
        ("500m", Fraction(1, 2)),
        ("1.5Gi", 3 * 2**29),
        ("64Gi", 64 * 2**30),
        ("1Ki", 1024),
        ("2Ei", 2**61),
        ("1n", Fraction(1, 10**9)),
        ("7u", Fraction(7, 10**6)),
        ("3k", 3000),
        ("3M", 3 * 10**6),
        ("1E", 10**18),
        ("1E3", 1000),
        ("1e-3", Fraction(1, 1000)),
        ("1.5e2", 150),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+5", 5),
        ("-5m", Fraction(-1, 200)),
    ],
)
def test_amounts(text: str, amount: Fraction) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "Gi", "1GB", "1K", "1e", "1e9999", "0x10", "1.2.3", "--1", "1ki", "٣"]
)
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


def spelled_again(text: str) -> str:
    return spelled(nanos(text), text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1025Ki", "1025Ki"),
        ("100k", "100k"),
        ("1000k", "1M"),
        ("12000", "12k"),
        ("1e3", "1e3"),
        ("1e4", "10e3"),
        ("15e-1", "1500e-3"),
        ("1000000E", "1000000E"),
        ("0.1n", "1n"),
        ("-1000m", "-1"),
        ("2048Pi", "2Ei"),
    ],
)
def test_how_the_api_server_writes_it(text: str, written: str) -> None:
    """The examples of the comment above `Quantity` in apimachinery, and its corners."""
    assert spelled_again(text) == written


SUFFIXES = ["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2"]


@given(st.integers(-(10**6), 10**6), st.sampled_from(SUFFIXES))
def test_writing_keeps_the_amount_and_is_stable(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    written = spelled_again(text)
    assert parse_quantity(written) == parse_quantity(text)
    assert spelled_again(written) == written


@pytest.mark.parametrize(
    ("text", "finest", "expected"),
    [
        ("1024Mi", -9, "1Gi"),
        ("1536Mi", -9, "1536Mi"),
        ("3Ki", -9, "3Ki"),
        ("8Gi", -9, "8Gi"),
        ("1.5Gi", -9, "1536Mi"),
        ("+1", -9, "+1"),
        ("5.", -9, "5."),
        ("007", -9, "007"),
        ("1E6", -9, "1E6"),
        ("1.500", -9, "1.500"),
        ("1.5", -9, "1500m"),
        ("0.5", -9, "500m"),
        ("1000", -9, "1k"),
        ("1u", -9, "1u"),
        ("1u", -3, "1m"),
        ("-1u", -3, "-1m"),
        ("00", -9, "0"),
        ("0", -3, "0"),
    ],
)
def test_what_is_read_and_written_again(text: str, finest: int, expected: str) -> None:
    """As a 1.36 API server does: it keeps a text that its short way reads. Many more are compared in tests/e2e."""
    assert written(text, finest) == expected
    assert written(expected, finest) == expected


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1Qi", "--1"])
def test_what_is_no_quantity_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        written(text)
