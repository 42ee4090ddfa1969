"""`helm` for the tests of the chart: built once like the rest of the control plane, see tests/controlplane."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[1] / "controlplane" / "build"


@pytest.fixture(scope="session")
def helm() -> Path:
    """The binary. Without it the test is skipped, or in CI fails."""
    built = subprocess.run([BUILD, "helm"], capture_output=True, text=True, check=False)
    for line in built.stdout.splitlines():
        name, _, path = line.partition("=")
        if name == "helm":
            return Path(path)
    reason = "no helm: install Go to have tests/controlplane/build make it, or set KUBEBUILDER_ASSETS"
    if os.environ.get("CI") == "true" or built.returncode == 1:
        pytest.fail(f"{reason}\n{built.stderr}", pytrace=False)
    pytest.skip(reason)
