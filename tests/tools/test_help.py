"""tools: whoever asks what a tool does, or misspells an option, is told, and nothing is run or written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = sorted(path.name for path in (ROOT / "tools").glob("*.py"))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("--lst", 2)])
def test_a_tool_says_what_it_does(tool: str, option: str, status: int) -> None:
    """A mutation run would take longer than the time that is given; what is written is seen by its time."""
    written = [
        ROOT / "docs" / "functions.md",
        ROOT / "docs" / "report-flow.png",
        ROOT / "engine" / "language" / "table.json",
        ROOT / "engine" / "pods" / "pod_types.py",
        ROOT / "engine" / "program" / "kubernetes_types.py",
    ]
    before = [path.stat().st_mtime_ns for path in written]
    command = [sys.executable, str(ROOT / "tools" / tool), option]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == status, done.stderr
    assert "usage: " in (done.stderr if status else done.stdout)
    assert [path.stat().st_mtime_ns for path in written] == before
