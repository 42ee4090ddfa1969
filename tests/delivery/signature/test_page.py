"""The steps of docs/bundles.md about signatures, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.archive import Manifest, packed
from tests.delivery import bundles
from tests.delivery.git_servers import ENVIRONMENT, Repository

from .made import ssh_key

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "bundles.md").read_text()
FILES = {name: text.replace("{name: small}", "{name: gpu}") for name, text in bundles.files("1.2.0").items()}


def commands(section: str) -> list[str]:
    """The commands that a section has in its blocks, in order."""
    text = PAGE.partition(f"\n### {section}\n")[2].partition("\n### ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        line.replace("\\\n", " ")
        for block in blocks
        for line in re.findall(r"^\$ ((?:.*\\\n)*.*)", block, re.MULTILINE)
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, in which `bayplan` is this one."""
    program = tmp_path / "bin" / "bayplan"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli.main "$@"\n')
    program.chmod(0o755)
    return tmp_path


def run(home: Path, folder: Path, lines: list[str]) -> str:
    environment = {**ENVIRONMENT, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}
    script = "set -eu\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_archive_step_by_step(home: Path) -> None:
    data = packed({name: text.encode() for name, text in FILES.items()}, Manifest("gpu", "1.2.0"))
    (home / "gpu-1.2.0.tar.gz").write_bytes(data)
    here = [line for line in commands("An archive, step by step") if "oci://" not in line]  # test_cosign has the rest
    steps = [line for line in here if not line.startswith("cosign")]
    assert [line.split()[0] for line in steps] == ["export", "openssl", "openssl", "bayplan", "bayplan"]
    out = run(home, home, steps)
    assert "\nverified: gpu 1.2.0 is signed by release.pub (SHA256:" in out


def test_a_repository_step_by_step(home: Path) -> None:
    repository = Repository(home / "served")
    repository.commit({f"gpu/{name}": text for name, text in FILES.items()})
    (home / ".ssh").mkdir()
    ssh_key(home / ".ssh")
    steps = commands("A repository, step by step")
    assert [line.split()[0] for line in steps] == ["git", "echo", "git", "bayplan"]
    steps = [
        line.replace("git+https://git.example.com/policies.git", f"git+file://{repository.path}") for line in steps
    ]
    out = run(home, repository.work, steps)
    assert "verified: the tag v1.2.0 is signed by release@example.com (SHA256:" in out
