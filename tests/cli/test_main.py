"""cli.main: commands, their help, and how they end."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from cli import init
from cli.main import COMMANDS, parser_of
from engine.release import VERSION

from .conftest import ROOT, Bayplan, sample


def test_help_lists_the_commands(bayplan: Bayplan) -> None:
    for words in ((), ("--help",), ("-h",)):
        ran = bayplan(*words)
        assert ran.status == 0
        for name, line in COMMANDS.items():
            assert f"  {name:<{max(map(len, COMMANDS))}}  {line}" in ran.out


def test_the_table_has_every_module_that_is_a_command() -> None:
    modules = {path.stem for path in (ROOT / "cli").glob("*.py") if "\ndef run(args" in path.read_text()}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(bayplan: Bayplan, command: str) -> None:
    ran = bayplan(command, "--help")
    assert ran.status == 0
    assert f"\nexample:\n  bayplan {command} " in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_says_what_it_is(command: str) -> None:
    for action in parser_of(command)._actions:
        assert action.help, action.dest


def test_version(bayplan: Bayplan) -> None:
    assert bayplan("--version").out == f"bayplan {VERSION}\n"


def test_help_loads_nothing_of_the_engine() -> None:
    code = (
        "import sys; from cli.main import main; main(['--help']); "
        "print([m for m in sys.modules if m.split('.')[0] in ('engine', 'webhook', 'yaml', 'lark')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == "[]\n"


def test_a_command_that_is_not_there(bayplan: Bayplan) -> None:
    assert bayplan("explian").status == 2
    assert "did you mean `explain`?" in bayplan("explian").err
    assert "init, check, test" in bayplan("zzz").err


@pytest.mark.parametrize("words", [("build",), ("explain", "x"), ("pools", "-o", "xml"), ("--colour",)])
def test_wrong_arguments(bayplan: Bayplan, words: tuple[str, ...]) -> None:
    ran = bayplan(*words)
    assert ran.status == 2
    assert "usage: bayplan" in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_cannot_be_read(bayplan: Bayplan, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    ran = bayplan("pools", "--pools", tmp_path / "loop")
    assert ran.status == 2
    assert str(tmp_path / "loop") in ran.err
    assert "Traceback" not in ran.err


def test_a_bug_of_ours_shows_itself(bayplan: Bayplan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(args: argparse.Namespace) -> int:
        raise ZeroDivisionError(args.bundle)

    monkeypatch.setattr(init, "run", broken)
    ran = bayplan("init", "x")
    assert ran.status == 2
    assert "ZeroDivisionError" in ran.err
    assert "please report" in ran.err


def test_a_reader_that_has_seen_enough() -> None:
    command = [sys.executable, "-m", "cli.main", "explain", "--bundle", sample("gpu"), sample("gpu", "examples")]
    process = subprocess.Popen(
        [*map(str, command), "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert "Traceback" not in said
    assert "Exception ignored" not in said
