"""The control plane that every test of this folder runs on: one for the whole session, swept after each test."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .controlplane import PROGRAMS, ControlPlane, start

BUILD = Path(__file__).parents[1] / "controlplane" / "build"
HERE = Path(__file__).parent
NUMBERS = itertools.count(1)
Programs = dict[str, Path]
programs_key = pytest.StashKey[Programs]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("cluster")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, where no test's time limit counts the minutes that it takes."""
    wanted = any(item.get_closest_marker("cluster") for item in session.items)
    if not wanted or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode not in (0, 2):
        pytest.exit(f"{BUILD} failed", returncode=1)
    pairs = (line.partition("=") for line in built.stdout.splitlines())
    session.config.stash[programs_key] = {name: Path(path) for name, _, path in pairs}


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> Programs:
    """The control plane's binaries by name. Without them the test is skipped, or in CI fails."""
    found = pytestconfig.stash[programs_key]
    need(found, *PROGRAMS)
    return found


@pytest.fixture(scope="session")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The one control plane of the session. Tests ask for `cluster` instead."""
    with start(tmp_path_factory.mktemp("control-plane"), programs) as running:
        yield running


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, without nodes or webhooks, for one test: what it makes is removed after it."""
    yield control_plane
    control_plane.sweep()


@pytest.fixture
def namespace(cluster: ControlPlane) -> str:
    """A fresh namespace."""
    name = f"test-{next(NUMBERS)}"
    cluster.add_namespace(name)
    return name


@pytest.fixture
def helm(cluster: ControlPlane) -> ControlPlane:
    """The control plane of a test that also calls `helm`."""
    need(dict(cluster.programs), "helm")
    return cluster


def need(found: Programs, *names: str) -> None:
    missing = ", ".join(name for name in names if name not in found)
    if missing:
        reason = f"no {missing}: install Go to have tests/controlplane/build make them, or set KUBEBUILDER_ASSETS"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
