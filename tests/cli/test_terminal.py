"""cli.terminal: tables, sentences, colours and amounts."""

from __future__ import annotations

import pytest

from cli.terminal import RED, amount, coloured, styled, table, wrapped


def test_columns_line_up_also_where_characters_are_wide() -> None:
    assert table([("a", "1"), ("日本", "2")], ("NAME", "N")) == "NAME  N\na     1\n日本  2"
    assert table([]) == ""


def test_sentences_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = wrapped("a sentence that is longer than the terminal is wide, with a-hyphenated-name-that-stays-whole", "  ")
    assert all(len(line) <= 50 and line.startswith("  ") for line in text.splitlines())
    assert "a-hyphenated-name-that-stays-whole" in text


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert styled("no", RED) == "no"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("no", RED) == "\033[31mno\033[0m"
    assert list(coloured(["+a", "-b", " c"])) == ["\033[32m+a\033[0m", "\033[31m-b\033[0m", " c"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("no", RED) == "no"


def test_amounts() -> None:
    assert [amount(n, "pod") for n in (0, 1, 2)] == ["0 pods", "1 pod", "2 pods"]
    assert amount(2, "policy", "policies") == "2 policies"
