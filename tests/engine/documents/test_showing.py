"""engine.documents.showing: nothing that is shown moves a cursor, begins a line or hides what stands beside it."""

from __future__ import annotations

import json
import sys
import unicodedata

from engine.documents.composer import parse_documents
from engine.documents.showing import hidden, printable, printable_json, printable_lines
from engine.documents.source import Source

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_text_that_shows_is_left_as_it_is() -> None:
    for text in ("", "team-a/web", "größer als 2 €", "日本", "naïve 🚀"):
        assert printable(text) == printable_lines(text) == text
        assert (
            printable_json(json.dumps(text, ensure_ascii=False).encode())
            == json.dumps(text, ensure_ascii=False).encode()
        )


def test_what_does_not_show_is_its_escape() -> None:
    assert printable("a\x1b[2Jb\r\u202ec\U000e0001") == "a\\u001b[2Jb\\u000d\\u202ec\\U000e0001"
    assert printable("a\nb\tc\ud800") == "a\\u000ab\\u0009c\\ud800"
    assert printable_lines("a\n\tb\x85c\u2028d") == "a\n\tb\\u0085c\\u2028d"


def test_whatever_stands_in_a_text_each_line_of_it_is_printable() -> None:
    for character in [*EVERY, "\ud800", "\udfff"]:
        assert printable(f"a{character}b").isprintable()
        assert printable_lines(f"a{character}b").replace("\n", "").replace("\t", "").isprintable()


def test_json_means_the_same_and_shows() -> None:
    text = "".join(EVERY)
    line = printable_json(json.dumps(text, ensure_ascii=False).encode())
    assert line.decode().isprintable()
    assert json.loads(line) == text


def test_hidden_are_formatting_characters_and_line_ends_that_are_no_newline() -> None:
    """The table says what this Python's own Unicode says, as far as that goes."""
    meant = {c for c in EVERY if unicodedata.category(c) in ("Cf", "Zl", "Zp")} | {"\x85"}
    found = {c for c in EVERY if hidden(c)}
    newer = {chr(code) for code in range(0x13430, 0x13460)} | {"\u0890", "\u0891"}  # of Unicode 15
    assert found - newer == meant - newer


def test_check_tells_each_line_of_a_bundle_that_hides_something() -> None:
    text = "a: x # \u202e\u202d hidden\nb: ok\nc: 'z\u200bz'\n"
    _, problems = parse_documents(Source("bundle.yaml", text))
    assert [(p.rule, p.severity, p.span.line, p.span.column) for p in problems] == [
        ("hidden-character", "warning", 1, 8),
        ("hidden-character", "warning", 3, 6),
    ]
    assert "U+202E" in problems[0].message
    assert not parse_documents(Source("bundle.yaml", 'c: "z\\u200bz"\n# größer'))[1]
