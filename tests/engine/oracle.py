"""Kubernetes' own matching, tolerating and validating, as a program: tests/controlplane/oracle, built once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[1] / "controlplane"
BUILD = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}


@dataclass(frozen=True, slots=True)
class Answer:
    """For one pod: which nodes admit it, the taints of which it tolerates (those that keep pods off, and those that
    only advise against a node), how much it prefers each by node affinity, why the API server would refuse it, if so,
    and what the scheduler counts for it (`cpu` in thousandths).
    """

    admits: list[bool]
    tolerates: list[bool]
    welcomes: list[bool]
    scores: list[int]
    refused: str
    requests: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Oracle:
    """The built program."""

    program: Path

    def ask(
        self, cases: Iterable[tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]]
    ) -> list[list[Answer]]:
        """For each case of (pods, nodes) an answer for each pod."""
        questions = "".join(json.dumps({"pods": pods, "nodes": nodes}) + "\n" for pods, nodes in cases)
        done = subprocess.run([self.program], input=questions, capture_output=True, text=True, check=True)
        return [[Answer(**answer) for answer in json.loads(line)] for line in done.stdout.splitlines()]

    def weights(self) -> dict[str, int]:
        """By plugin of the scheduler, how much its score weighs in the default profile."""
        done = subprocess.run([self.program, "weights"], capture_output=True, text=True, check=True)
        found: dict[str, int] = json.loads(done.stdout)
        return found


def built() -> Oracle:
    """The oracle, built into the cache if it is not there. Without Go the test is skipped; with `CI=true` it fails."""
    digest = hashlib.sha256((MODULE / "go.sum").read_bytes() + (MODULE / "oracle" / "main.go").read_bytes())
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = user_cache / "bayplan" / "oracle" / digest.hexdigest()[:16]
    if os.access(program, os.X_OK):
        return Oracle(program)
    go = shutil.which("go")
    if go is None:
        needed = "the oracle is built from Kubernetes' source: install Go"
        if os.environ.get("CI") == "true":
            pytest.fail(needed)
        pytest.skip(needed)
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        target = Path(scratch) / "oracle"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-o", str(target), "./oracle"]
        subprocess.run(command, cwd=MODULE, env={**os.environ, **BUILD}, check=True)
        target.rename(program)
    return Oracle(program)
