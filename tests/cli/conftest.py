"""Calling the command line as its users do, in this process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"


@dataclass(frozen=True)
class Ran:
    """What a command did: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Bayplan = Callable[..., Ran]


@pytest.fixture
def bayplan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bayplan:
    """`bayplan("check", folder)`; `stdin` is what standard input holds."""

    def run(*words: object, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode(errors="surrogateescape"))))
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle: its policies' specs by name, and other files by path. The folder."""

    def write(policies: dict[str, str], files: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "bundle"
        for name, spec in policies.items():
            indented = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
            head = f"apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {{name: {name}}}\n"
            _write(folder / "policies" / f"{name}.yaml", f"{head}spec:\n{indented}")
        head = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: trial}\nspec: {version: 1.0.0}\n"
        for path, text in {"bundle.yaml": head, **(files or {})}.items():
            _write(folder / path, text)
        return folder

    return write


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sample(name: str, *parts: str) -> Path:
    """A path inside a sample bundle."""
    return POLICIES.joinpath(name, *parts)


def explain_sample(name: str, pools: str, pods: str) -> Sequence[object]:
    """The arguments that explain a sample's own example."""
    where = sample(name)
    return ("explain", "--bundle", where, "--pools", where / "pools" / pools, where / "examples" / pods)
