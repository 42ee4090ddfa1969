"""delivery.git: bundles from real repositories of Git, over https on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bundles import LOOKS, measured, write_history
from delivery.content import SourceError
from delivery.folder import bundle_of, read_bundle
from delivery.git import GitSource
from delivery.sources import read_address
from tests.delivery import bundles
from tests.delivery.authority import Authority
from tests.delivery.git_servers import HttpServer, Repository, served

FILES = {f"bundle/{name}": text for name, text in bundles.files().items()}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A bundle of version 1.0.0 in the folder `bundle`, on the branch `main`."""
    made = Repository(tmp_path / "served")
    made.commit({**FILES, "README.md": "no part of it"})
    return made


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """10,000 commits."""
    made = Repository(tmp_path_factory.mktemp("history"))
    write_history(made, 10_000)
    return made


@pytest.fixture
def server(repository: Repository, authority: Authority) -> Iterator[HttpServer]:
    with served(repository.folder, authority) as one:
        one.users = {"reader": "secret"}
        yield one


@pytest.fixture
def credentials(tmp_path: Path, authority: Authority) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "ca.crt").write_text(authority.pem)
    (folder / "username").write_text("reader\n")
    (folder / "password").write_text("secret\n")
    return folder


def source(server: HttpServer, credentials: Path | None, wanted: str = "", folder: str = "//bundle") -> GitSource:
    return GitSource(read_address(f"git+{server.url}{folder}{wanted}"), credentials, 20.0)


def failure(one: GitSource, step: str = "fetch") -> str:
    with pytest.raises(SourceError) as caught:
        one.fetch()
    assert caught.value.step == step
    return str(caught.value)


@pytest.mark.parametrize("partial", [False, True], ids=["all of a commit", "what is asked for"])
@pytest.mark.parametrize(
    "wanted", ["", "?branch=main", "?branch=release/1.x", "?tag=v1.0.0", "?tag=light", "?semver=^1.0", "?commit"]
)
def test_each_way_to_name_a_state(
    repository: Repository, server: HttpServer, credentials: Path, wanted: str, partial: bool
) -> None:
    commit = repository.commit()
    repository.git("branch", "release/1.x")
    repository.git("tag", "--annotate", "--message", "A release", "v1.0.0")
    repository.git("tag", "light")
    if partial:
        repository.allow("uploadpack.allowFilter")
    one = source(server, credentials, f"?commit={commit}" if wanted == "?commit" else wanted)
    content = one.fetch()
    assert content.version == one.look()
    assert commit in content.version
    assert content.files == {name: text.encode() for name, text in bundles.files().items()}
    assert content.problems == ()
    assert content.origin == f"{one.origin} at {commit}"
    made, problems = bundle_of(content.files, content.problems)
    assert (made, problems) == read_bundle(repository.work / "bundle")


def test_a_look_asks_for_one_reference(repository: Repository, server: HttpServer, credentials: Path) -> None:
    for at in range(20):
        repository.git("branch", f"other-{at}")
    assert source(server, credentials, "?branch=main").look() == repository.git("rev-parse", "main")
    *_, asked = server.requests
    assert b"ref-prefix refs/heads/main" in asked.body
    assert len(server.requests) == 2


def test_what_is_not_there_is_told_with_what_is(repository: Repository, server: HttpServer, credentials: Path) -> None:
    repository.git("tag", "v1.2.0")
    url = server.url
    gone = "was it deleted or renamed?"
    assert failure(source(server, credentials, "?branch=old")) == f"`{url}` has no branch `old`; {gone}"
    assert failure(source(server, credentials, "?tag=v2")) == f"`{url}` has no tag `v2`; {gone}"
    expected = "no tag is in the range `^2`; there are `v1.2.0`"
    assert failure(source(server, credentials, "?semver=^2")) == expected
    text = failure(source(server, credentials, folder="//bundles"))
    assert text == f"`git+{url}//bundles` has no folder `bundles`; there are `bundle`"
    text = failure(source(server, credentials, f"?commit={'a' * 40}"))
    assert "does not hand out `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`" in text


@pytest.mark.parametrize("partial", [False, True], ids=["all of a commit", "what is asked for"])
def test_the_same_files_belong_as_in_a_folder(
    repository: Repository, server: HttpServer, credentials: Path, partial: bool
) -> None:
    more = {".bayplanignore": "/examples/\n*.draft.yaml\n", "examples/a.yaml": "a: 1", "x/one.draft.yaml": "b: 1"}
    files = {**more, "teams/Two.YML": bundles.TRAINING.replace("training", "two"), ".hidden/c.yaml": "c: 1"}
    repository.commit({f"bundle/{name}": text for name, text in files.items()})
    if partial:
        repository.allow("uploadpack.allowFilter")
    content = source(server, credentials).fetch()
    assert "teams/Two.YML" in content.files
    assert bundle_of(content.files, content.problems) == read_bundle(repository.work / "bundle")
    repository.commit({"bundle/.bayplanignore": "!\n"})
    (problem,) = source(server, credentials).fetch().problems
    assert (problem.rule, str(problem.span)) == ("ignore-file", ".bayplanignore:1:1")


@pytest.mark.parametrize("partial", [False, True], ids=["all of a commit", "what is asked for"])
def test_a_long_history_costs_nothing(
    history: Repository, authority: Authority, credentials: Path, partial: bool
) -> None:
    """10,000 commits: a look is two requests and some lines, a fetch has no history, and takes at most 64 MiB."""
    history.git("config", "uploadpack.allowFilter", str(partial).lower())
    with served(history.folder, authority) as server:
        found = measured(f"git+{server.url}//bundle?branch=main", credentials)
        looks, fetches = 1 + LOOKS, 2
        assert len(server.requests) == 2 * looks + (6 if partial else 3) * fetches
        assert server.answered < 8_000_000
    assert found["MiB"] < 64
