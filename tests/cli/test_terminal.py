"""cli.terminal: tables, sentences, colours and amounts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cli.terminal import RED, amount, coloured, progress, safely_shown, styled, table, wrapped

from .conftest import Bayplan, sample


def test_columns_line_up_also_where_characters_are_wide() -> None:
    assert table([("a", "1"), ("日本", "2")], ("NAME", "N")) == "NAME  N\na     1\n日本  2"
    assert table([]) == ""


def test_sentences_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = wrapped("a sentence that is longer than the terminal is wide, with a-hyphenated-name-that-stays-whole", "  ")
    assert all(len(line) <= 50 and line.startswith("  ") for line in text.splitlines())
    assert "a-hyphenated-name-that-stays-whole" in text


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert styled("no", RED) == "no"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with safely_shown():
        print(styled("no", RED), *coloured(["+a", "-b", " c"]))
    assert capsys.readouterr().out == "\033[31mno\033[0m \033[32m+a\033[0m \033[31m-b\033[0m  c\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("no", RED) == "no"


def test_progress_is_for_terminals_and_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress() as tell:
        tell("1 pod")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with safely_shown(), progress() as tell:
        tell("1 pod of \033[2Jx")
        tell("2 pods")  # too soon after the first
    assert capsys.readouterr().err == "\033[1G\033[K1 pod of \\u001b[2Jx\033[1G\033[K"


def test_amounts() -> None:
    assert [amount(n, "pod") for n in (0, 1, 2)] == ["0 pods", "1 pod", "2 pods"]
    assert amount(2, "policy", "policies") == "2 policies"


def test_only_our_own_colours_reach_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with safely_shown():
        print(styled("a\x1b[2J\x1b[0m", RED), "\x1b[32mall passed\x1b[0m")
        print("\x1b[2J", file=sys.stderr)
    shown = capsys.readouterr()
    assert shown.out == "\x1b[31ma\\u001b[2J\\u001b[0m\x1b[0m \\u001b[32mall passed\\u001b[0m\n"
    assert shown.err == "\\u001b[2J\n"


def test_cells_of_a_table_begin_no_line() -> None:
    assert table([("a\nok", "1")]) == "a\\u000aok  1"


HOSTILE = "x\x1b[2J\x1b]0;title\x07\r\u202eevil\u2028\x9b"


def test_no_command_prints_what_a_terminal_obeys(bayplan: Bayplan, tmp_path: Path) -> None:
    """Whoever writes pods and pools chooses their names, labels and annotations."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": HOSTILE, "namespace": HOSTILE, "labels": {"tier": "critical", HOSTILE: HOSTILE}},
        "spec": {
            "containers": [{"name": HOSTILE, "image": HOSTILE}],
            "nodeSelector": {HOSTILE: HOSTILE},
            "tolerations": [{"key": HOSTILE, "operator": "Exists"}],
        },
    }
    odd = {**pod, "spec": {"containers": HOSTILE}}
    pool = {"name": HOSTILE, "selector": {"pool": "a"}, "labels": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE}
    inventory = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [pool]}
    files = {}
    for name, content in (("pod", pod), ("odd", odd), ("pools", inventory)):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(content))
    bundle = str(sample("tenant-isolation"))
    for words in (
        ("explain", "-v", "--bundle", bundle, str(files["pod"])),
        ("explain", "--bundle", bundle, "--pools", str(files["pools"]), str(files["pod"])),
        ("explain", "--bundle", bundle, str(files["odd"])),
        ("explain", "-o", "json", "--bundle", bundle, str(files["pod"])),
        ("audit", "--bundle", bundle, "--pods", str(files["pod"])),
        ("pools", "-v", "--pools", str(files["pools"])),
        ("check", str(files["pools"])),
    ):
        ran = bayplan(*words)
        assert (ran.out + ran.err).replace("\n", "").isprintable(), words
