"""engine.language.reading: what is read by the tables is what Lark reads, and what can't be is what Lark refuses."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from engine.documents import Excerpt
from engine.language import grammar, parser
from engine.language.grammar import UnexpectedInput
from engine.language.parser import parse
from engine.language.reading import Unread

WORDS = (
    *(
        "a",
        "b.c",
        "pool",
        ".x",
        "has(a.b)",
        "cel",
        "as",
        "in",
        "true",
        "null",
        "namespace",
        "`q-q`",
        "f(",
        "x, ",
        "//c\n",
    ),
    *("1", "-1", "- 2", "3u", "0x1F", "1.5", ".5e3", '"s"', "r'\\d'", '"""d\n"""', "b'b'", '"\\n"', "'\\q'"),
    *("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "?", ":", "? 1 :", " in "),
    *("(", ")", "[", "]", "{", "}", ",", ".", ".?", "[?", ".map(", ".all(x, ", "{a: 1}", "[1, 2]", "{?'k': 1,}", "@"),
)
VALUES = ("a", "a.b", "p['k']", "f(1, [2])", "-3", "'t'", "[a, ?b,]", "{'k': v}", "m.exists(x, x > 1)", "T{f: 1}", ".a")
OPERATORS = (" && ", " || ", " == ", " in ", " + ", " - ", " * ", " < ", " ? c : ", ".f().", "[0] != ", " -")
CASES = 300_000 if "BAYPLAN_NIGHTLY" in os.environ else 500


def read_by_lark(text: str) -> Any:
    try:
        return parser._parser().parse(text)
    except UnexpectedInput:
        return None


def read_by_tables(text: str) -> Any:
    reader = parser._reader()
    assert reader is not None
    try:
        return reader.read(text)
    except Unread:
        return None


def alike(text: str) -> bool:
    read = read_by_tables(text)
    assert repr(read) == repr(read_by_lark(text)), text  # by repr, for what is wrong with a text is a function
    return read is not None


def joined(dice: Random, depth: int = 2) -> str:
    """An expression that means nothing, but is one."""
    if depth == 0:
        return dice.choice(VALUES)
    parts = [joined(dice, depth - 1)]
    for _ in range(dice.randrange(4)):
        operator = dice.choice(OPERATORS)
        parts += [operator, "g" if operator.endswith(".") else joined(dice, depth - 1)]
    text = "".join(parts)
    return dice.choice((text, text, f"({text})", f"!({text})", f"[{text}]", f"f({text}, {text})", f"x[{text}]"))


def test_expressions_are_read_as_lark_reads_them() -> None:
    dice = Random(0)
    assert sum(alike(joined(dice)) for _ in range(CASES)) > CASES * 0.8


def test_what_is_no_expression_is_one_to_nobody() -> None:
    dice = Random(1)
    for _ in range(CASES):
        alike(" ".join(dice.choice(WORDS) for _ in range(dice.randrange(1, 7))))


@pytest.mark.parametrize("text", ["", " ", "//", "a a", "(", "a ?", "`a`", "#", "a // b", "\u2028", "a\n&&\tb"])
def test_odd_texts(text: str) -> None:
    alike(text)


def test_without_tables_lark_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = parse(Excerpt.of("a || b"))
    monkeypatch.setattr(parser, "_reader", lambda: None)
    assert parse(Excerpt.of("a || b")) == expected


def test_there_are_no_tables_of_another_grammar() -> None:
    assert grammar.tables(parser._parser()) is not None
    assert grammar.tables(grammar.build(None)) is None
