"""The control plane that every test of this folder runs on: one for the whole session, swept after each test."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from .controlplane import PROGRAMS, ControlPlane, start

BUILD = Path(__file__).parents[1] / "controlplane" / "build"
IN_CI = os.environ.get("CI") == "true"
NUMBERS = itertools.count(1)
Programs = Mapping[str, Path]
programs_key = pytest.StashKey[Programs]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, where no test's time limit counts the minutes that it takes."""
    waiting = [item for item in session.items if item.get_closest_marker("cluster")]
    if not waiting or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode not in (0, 2):
        pytest.exit(f"{BUILD} failed", returncode=1)
    pairs = (line.partition("=") for line in built.stdout.splitlines())
    programs = {name: Path(path) for name, _, path in pairs}
    session.config.stash[programs_key] = programs
    if (absent := lacking(programs, PROGRAMS)) and not IN_CI:
        for item in waiting:
            item.add_marker(pytest.mark.skip(reason=absent))


def lacking(programs: Programs, wanted: Iterable[str]) -> str | None:
    """What to say when not all wanted programs are there."""
    absent = ", ".join(name for name in wanted if name not in programs)
    if not absent:
        return None
    return f"no {absent}: install Go to have tests/controlplane/build make them, or set KUBEBUILDER_ASSETS"


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The one control plane of the session. Tests ask for `cluster` instead."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, PROGRAMS):
        pytest.fail(absent, pytrace=False)
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
    """The control plane for a test that also calls `helm`, which KUBEBUILDER_ASSETS may lack."""
    if absent := lacking(cluster.programs, ["helm"]):
        if IN_CI:
            pytest.fail(absent, pytrace=False)
        pytest.skip(absent)
    return cluster
