"""The control plane that every test of this folder runs on: one for the whole session, swept after each test.

Karpenter and Cluster API act on whatever they see, so the modules that ask for `karpenter` or `cluster_api` get control
planes of their own; such a module says `cluster` again, as the control plane of that one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs import Programs, built

from .certificates import Authority, make_authority
from .cluster_api import ClusterApi
from .cluster_api import start as start_cluster_api
from .controlplane import PROGRAMS, ControlPlane, start, wait_for
from .karpenter import Karpenter
from .karpenter import start as start_karpenter
from .processes import free_ports
from .tenants import Policed, police

IN_CI = os.environ.get("CI") == "true"
NUMBERS = itertools.count(1)
programs_key = pytest.StashKey[Programs]()


NEEDED = {
    "control_plane": PROGRAMS,
    "helm": ("helm",),
    "helm_program": ("helm",),
    "karpenter": (*PROGRAMS, "karpenter-kwok"),
    "policed": (*PROGRAMS, "karpenter-kwok"),
    "shown": (*PROGRAMS, "helm"),
    "cluster_api": (*PROGRAMS, "cluster-api"),
    "karpenter_beside": ("karpenter-kwok",),
}
"""What must be built for a test that asks for a fixture."""
TALKATIVE = ("karpenter", "cluster_api", "karpenter_beside")
"""Fixtures whose `output()` tells why a test failed."""
TAIL = 20_000


def needed(item: pytest.Item) -> list[str]:
    """The programs that a test needs, in the order in which they are built."""
    fixtures = getattr(item, "fixturenames", ())
    return list(dict.fromkeys(name for fixture in NEEDED if fixture in fixtures for name in NEEDED[fixture]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and needed(item):
            item.add_marker("cluster")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, where no test's time limit counts the minutes that it takes."""
    waiting = [item for item in session.items if item.get_closest_marker("cluster") and needed(item)]
    if not waiting or session.config.option.collectonly:
        return
    programs = built(session, (name for item in waiting for name in needed(item)))
    session.config.stash[programs_key] = programs
    for item in waiting:
        if (absent := lacking(programs, needed(item))) and not IN_CI:
            item.add_marker(pytest.mark.skip(reason=absent))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what Karpenter or Cluster API said."""
    report = yield
    for name in TALKATIVE:
        if report.failed and (running := getattr(item, "funcargs", {}).get(name)):
            report.sections.append((name, running.output()[-TAIL:]))
    return report


def lacking(programs: Programs, wanted: Iterable[str]) -> str | None:
    """What to say when not all wanted programs are there."""
    absent = [name for name in wanted if name not in programs]
    if not absent:
        return None
    brought = any(name in (*PROGRAMS, "helm") for name in absent)
    remedy = "have Go and its modules, to let tests/controlplane/build make them"
    return f"no {', '.join(absent)}: {remedy}{', or set KUBEBUILDER_ASSETS' if brought else ''}"


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
def helm_program(pytestconfig: pytest.Config) -> Path:
    """`helm`, which KUBEBUILDER_ASSETS may lack."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, ["helm"]):
        pytest.fail(absent, pytrace=False)
    return programs["helm"]


@pytest.fixture
def helm(cluster: ControlPlane, helm_program: Path) -> ControlPlane:
    """The control plane for a test that also calls `helm`."""
    assert cluster.programs["helm"] == helm_program
    return cluster


@pytest.fixture
def openreports(cluster: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with the kind of reports that OpenReports defines, which is gone after the test."""
    kind = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/reports.openreports.io"
    cluster.define(Path(__file__).parent / "openreports")
    yield cluster
    cluster.request("DELETE", kind)
    wait_for(lambda: cluster.request("GET", kind).status_code == 404, "the kind of reports to be gone")


@pytest.fixture(scope="module")
def running_karpenter(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Karpenter]:
    """The one Karpenter of a module. Tests ask for `karpenter` instead."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, NEEDED["karpenter"]):
        pytest.fail(absent, pytrace=False)
    with start(tmp_path_factory.mktemp("karpenter"), programs) as plane, start_karpenter(plane) as running:
        yield running


@pytest.fixture
def karpenter(running_karpenter: Karpenter) -> Iterator[Karpenter]:
    """Karpenter on a control plane of its own, without NodePools: what the test makes is removed after it."""
    yield running_karpenter
    running_karpenter.sweep()


@dataclass(frozen=True, slots=True)
class Shown:
    """A control plane whose API server shows a client certificate at one port of this machine; who signed that."""

    cluster: ControlPlane
    port: int
    authority: Authority


@pytest.fixture(scope="module")
def shown(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """For a module about webhooks that ask for client certificates: the Service `bayplan` in the namespace `mutual` is
    shown one with the name `api-server`."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, NEEDED["shown"]):
        pytest.fail(absent, pytrace=False)
    (port,) = free_ports(1)
    clients = make_authority(tmp_path_factory.mktemp("clients"))
    certificates = {f"bayplan.mutual.svc:{port}": clients.issue("api-server", client=True)}
    with start(tmp_path_factory.mktemp("shown"), programs, certificates) as plane:
        yield Shown(plane, port, clients)


@pytest.fixture(scope="module")
def policed(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    """The one fleet of tenants of a module, with the policies that keep them apart, on a control plane of its own."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, NEEDED["policed"]):
        pytest.fail(absent, pytrace=False)
    folder = tmp_path_factory.mktemp("policed")
    with start(folder, programs) as plane, police(plane, folder / "bundle") as running:
        yield running


@pytest.fixture(scope="module")
def running_cluster_api(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterApi]:
    """The one manager of Cluster API of a module. Tests ask for `cluster_api` instead."""
    programs = pytestconfig.stash[programs_key]
    if absent := lacking(programs, NEEDED["cluster_api"]):
        pytest.fail(absent, pytrace=False)
    with start(tmp_path_factory.mktemp("cluster-api"), programs) as plane, start_cluster_api(plane) as running:
        yield running


@pytest.fixture
def cluster_api(running_cluster_api: ClusterApi) -> Iterator[ClusterApi]:
    """Cluster API on a control plane of its own, without MachineDeployments: they are removed after the test."""
    yield running_cluster_api
    running_cluster_api.sweep()


@pytest.fixture(scope="module")
def running_karpenter_beside(running_cluster_api: ClusterApi) -> Iterator[Karpenter]:
    """The one Karpenter beside a module's Cluster API. Tests ask for `karpenter_beside` instead."""
    with start_karpenter(running_cluster_api.cluster) as running:
        yield running


@pytest.fixture
def karpenter_beside(cluster_api: ClusterApi, running_karpenter_beside: Karpenter) -> Iterator[Karpenter]:
    """Karpenter on the control plane that Cluster API acts on, without NodePools: they are removed after the test."""
    assert running_karpenter_beside.cluster is cluster_api.cluster
    yield running_karpenter_beside
    running_karpenter_beside.remove_all()
