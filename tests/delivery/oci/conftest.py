"""The registries of this folder's tests, built once by tests/controlplane/build, and what is put into them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from delivery.content import SourceError
from delivery.oci.reference import Reference
from delivery.oci.source import SECONDS, OciSource
from tests.e2e.certificates import Authority, make_authority
from tests.programs import Programs, built

from .registries import Between, Registry, TokenServer, distribution, let_in, referrers

IN_CI = os.environ.get("CI") == "true"
NEEDED = {
    "distribution_program": "distribution",
    "referrers_program": "referrers",
    "oras": "oras",
}
"""What must be built for a test that asks for a fixture."""
NAMES = itertools.count(1)
programs_key = pytest.StashKey[Programs]()


def needed(item: pytest.Item) -> list[str]:
    fixtures = getattr(item, "fixturenames", ())
    return [name for fixture, name in NEEDED.items() if fixture in fixtures]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and needed(item):
            item.add_marker("cluster")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, where no test's time limit counts the minutes that it takes."""
    own = [item for item in session.items if item.path.is_relative_to(Path(__file__).parent)]
    waiting = [item for item in own if needed(item) and not _is_skipped(item)]
    if not waiting or session.config.option.collectonly:
        return
    programs = built(session, (name for item in waiting for name in needed(item)))
    session.config.stash[programs_key] = programs
    for item in waiting:
        absent = ", ".join(name for name in needed(item) if name not in programs)
        if absent and not IN_CI:
            reason = f"no {absent}: have Go and its modules, to let tests/controlplane/build make them"
            item.add_marker(pytest.mark.skip(reason=reason))


def _is_skipped(item: pytest.Item) -> bool:
    """Whether a test is left out: nothing is built for it."""
    return any(mark.args[0] for mark in item.iter_markers("skipif"))


def _program(pytestconfig: pytest.Config, name: str) -> Path:
    programs = pytestconfig.stash[programs_key]
    if name not in programs:
        pytest.fail(f"no {name}", pytrace=False)
    return programs[name]


@pytest.fixture(scope="session")
def distribution_program(pytestconfig: pytest.Config) -> Path:
    return _program(pytestconfig, "distribution")


@pytest.fixture(scope="session")
def referrers_program(pytestconfig: pytest.Config) -> Path:
    return _program(pytestconfig, "referrers")


@pytest.fixture(scope="session")
def oras(pytestconfig: pytest.Config) -> Path:
    return _program(pytestconfig, "oras")


@pytest.fixture(scope="session")
def open_registry(distribution_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The reference implementation, without TLS and for everybody."""
    with distribution(distribution_program, tmp_path_factory.mktemp("distribution")) as running:
        yield running


@pytest.fixture(scope="session")
def referring_registry(referrers_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The registry that knows what refers to what, without TLS and for everybody."""
    with referrers(referrers_program, tmp_path_factory.mktemp("referrers")) as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def token_server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    server = TokenServer(tmp_path_factory.mktemp("tokens"), authority)
    yield server
    server.close()


@pytest.fixture(scope="session")
def token_registry(
    distribution_program: Path,
    authority: Authority,
    token_server: TokenServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Registry]:
    """The reference implementation with TLS, which lets in whom the token server gives a token."""
    folder = tmp_path_factory.mktemp("distribution-tokens")
    with distribution(distribution_program, folder, authority=authority, auth=token_server.auth) as running:
        yield running


@pytest.fixture
def basic_registry(distribution_program: Path, authority: Authority, tmp_path: Path) -> Iterator[Registry]:
    """The reference implementation with TLS, which lets in the user `robot`, at first with the password `first`."""
    folder = tmp_path / "distribution"
    folder.mkdir()
    auth = let_in(folder, "first")
    with distribution(distribution_program, folder, authority=authority, auth=auth) as running:
        yield running


@pytest.fixture
def between() -> Iterator[Callable[..., Between]]:
    """Make somebody between us and a registry."""
    with ExitStack() as made:

        def make(upstream: str = "") -> Between:
            one = Between(upstream)
            made.callback(one.close)
            return one

        yield make


@pytest.fixture
def repository() -> str:
    """A name of a repository that no other test uses."""
    return f"team/policies-{next(NAMES)}"


sources: list[OciSource] = []


def source_of(reference: Reference, credentials: Path | None = None, seconds: float = SECONDS) -> OciSource:
    """A source that is closed at the end of the test."""
    sources.append(OciSource(reference, credentials, seconds))
    return sources[-1]


@pytest.fixture(autouse=True)
def close_sources() -> Iterator[None]:
    yield
    while sources:
        sources.pop().close()


def fails(ask: Callable[[], object]) -> SourceError:
    """The error that something ends with."""
    with pytest.raises(SourceError) as caught:
        ask()
    return caught.value
