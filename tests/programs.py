"""Programs that are not ours, for tests that run them: made once by tests/controlplane/build, and kept."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

BUILD = Path(__file__).parent / "controlplane" / "build"
Programs = Mapping[str, Path]


def built(session: pytest.Session, names: Iterable[str]) -> Programs:
    """Where these programs are, those that could be built, each once however often it is named.

    To be asked before the first test, where no test's time limit counts the minutes that it takes. What fails for
    another reason than that Go or its modules are missing ends the session.
    """
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        told = subprocess.run([BUILD, *dict.fromkeys(names)], stdout=subprocess.PIPE, text=True, check=False)
    if told.returncode not in (0, 2):
        pytest.exit(f"{BUILD} failed", returncode=1)
    pairs = (line.partition("=") for line in told.stdout.splitlines())
    return {name: Path(path) for name, _, path in pairs}
