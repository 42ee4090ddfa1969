"""delivery.git: bundles from real repositories of Git, over https on loopback."""

from __future__ import annotations

import os
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
from tests.delivery.bad_bundles import BAD, Bad, Serving, good, withstands, withstands_files
from tests.delivery.git_place import MAIN, SPOILT, GitPlace, Spoilt
from tests.delivery.git_servers import Handler, HttpServer, Repository, served

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
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


@pytest.fixture(scope="module")
def reused(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One for many tests: each begins without a branch."""
    return Repository(tmp_path_factory.mktemp("reused"))


@pytest.fixture
def place(reused: Repository) -> GitPlace:
    reused.point(MAIN, None)
    return GitPlace(reused)


EACH = [(bad, first) for at, bad in enumerate(BAD) for first in (False, True) if NIGHTLY or not first or at % 6 == 0]


@pytest.mark.parametrize(("bad", "first"), EACH, ids=[f"{bad.name}-{'first' * first}" for bad, first in EACH])
def test_a_bad_bundle_changes_nothing(place: GitPlace, bad: Bad, first: bool) -> None:
    withstands_files(place, bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda spoilt: spoilt.name)
def test_a_bad_repository_changes_nothing(place: GitPlace, spoilt: Spoilt, first: bool) -> None:
    withstands(place, lambda: void(spoilt.spoil(place)), spoilt.step, spoilt.words, first=first)


@pytest.mark.parametrize("first", [True, False] if NIGHTLY else [False], ids=["first", "later"][not NIGHTLY :])
@pytest.mark.parametrize("bad", BAD if NIGHTLY else BAD[::9], ids=lambda bad: bad.name)
def test_so_it_is_over_https(
    repository: Repository, server: HttpServer, credentials: Path, bad: Bad, first: bool
) -> None:
    place = GitPlace(repository, server.url, credentials)
    withstands_files(place, bad, first=first)
    place.source.close()


@pytest.mark.skipif(not NIGHTLY, reason="the same without https runs always")
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda spoilt: spoilt.name)
def test_so_is_a_bad_repository(
    repository: Repository, server: HttpServer, credentials: Path, spoilt: Spoilt, first: bool
) -> None:
    place = GitPlace(repository, server.url, credentials)
    withstands(place, lambda: void(spoilt.spoil(place)), spoilt.step, spoilt.words, first=first)
    place.source.close()


def void(_: object) -> None:
    """Nothing is made of it."""


def bundle(version: str) -> dict[str, bytes]:
    return {f"bundle/{name}": data for name, data in good(version).items()}


def test_what_is_published_is_active_after_one_look(
    repository: Repository, server: HttpServer, credentials: Path
) -> None:
    """Also after the branch was forced to where it had never been."""
    place = GitPlace(repository, server.url, credentials)
    serving = Serving(place.source)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        place.publish(good(version))
        assert (serving.ask().step, serving.version) == ("", version)
        asked = len(server.requests)
        assert serving.ask().step == ""
        assert len(server.requests) == asked + 2
    commit = repository.record(repository.tree_of(bundle("0.9.0")))
    assert (serving.ask().step, serving.version) == ("", "0.9.0")
    assert commit in serving.follower.status.origin
    place.source.close()


def test_a_server_that_is_away_changes_nothing(repository: Repository, server: HttpServer, credentials: Path) -> None:
    place = GitPlace(repository, server.url, credentials)
    serving = Serving(place.source)
    place.publish(good("1.0.0"))
    serving.ask()
    for status, wait in ((500, "0"), (429, "30"), (503, "30")):
        server.interfere = lambda handler, _, say=(status, {"Retry-After": wait}): handler.say(*say) or True
        place.publish(good("1.0.1"))
        assert (serving.ask().step, serving.version) == ("look", "1.0.0")
    server.interfere = lambda handler, request: (
        request.method == "POST" and b"command=fetch" in request.body and half(handler)
    )
    assert (serving.ask().step, serving.version) == ("fetch", "1.0.0")
    server.interfere = None
    assert (serving.ask().step, serving.version) == ("", "1.0.1")
    place.source.close()


def half(handler: Handler) -> bool:
    """Half of an answer, and nothing more."""
    handler.close_connection = True
    handler.say(
        200, {"Content-Type": "application/x-git-upload-pack-result", "Content-Length": "99999"}, b"000dpackfile\n"
    )
    return True


def test_a_tag_that_moves_and_one_that_goes(repository: Repository, server: HttpServer, credentials: Path) -> None:
    serving = Serving(source(server, credentials, "?tag=stable"))
    for version in ("1.0.0", "1.1.0"):
        repository.record(repository.tree_of(bundle(version)), "refs/tags/stable")
        assert (serving.ask().step, serving.version) == ("", version)
    repository.point("refs/tags/stable", None)
    status = serving.ask()
    assert (status.step, serving.version) == ("look", "1.1.0")
    assert "has no tag `stable`; was it deleted or renamed?" in status.message
    repository.record(repository.tree_of(bundle("1.2.0")), "refs/tags/stable")
    assert (serving.ask().step, serving.version) == ("", "1.2.0")


def test_the_newest_tag_of_a_range(repository: Repository, server: HttpServer, credentials: Path) -> None:
    serving = Serving(source(server, credentials, "?semver=^1.0"))
    for version, active in (("1.0.0", "1.0.0"), ("1.10.0", "1.10.0"), ("1.9.0", "1.10.0"), ("2.0.0", "1.10.0")):
        repository.record(repository.tree_of(bundle(version)), f"refs/tags/v{version}")
        assert (serving.ask().step, serving.version) == ("", active)
    repository.point("refs/tags/v1.10.0", None)
    assert (serving.ask().step, serving.version) == ("", "1.9.0")


def test_a_signed_tag_is_taken_under_its_own_name_only(place: GitPlace, reused: Repository) -> None:
    """Whoever may push could have an old release pass for the newest one."""
    place.publish(good("1.0.0"))
    who = "tagger A <a@example.org> 1760000000 +0000"
    head = (reused.path / MAIN).read_text().strip()
    signature = "-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n"
    tag = reused.store("tag", f"object {head}\ntype commit\ntag v1.0.0\n{who}\n\nOne\n{signature}".encode())
    reused.point("refs/tags/v1.0.0", tag)
    reused.point("refs/tags/v9.0.0", tag)
    url = f"git+{reused.path.as_uri()}//bundle"
    content = GitSource(read_address(f"{url}?tag=v1.0.0")).fetch()
    assert [one.name for one in content.objects] == ["tag v1.0.0"]
    assert content.version == f"v1.0.0@{head}+{tag}"
    for wanted in ("tag=v9.0.0", "semver=>=1"):
        text = failure(GitSource(read_address(f"{url}?{wanted}")), "digest")
        assert text.startswith("the tag `v9.0.0` calls itself `v1.0.0`; a tag that was signed under one name")
    reused.point("refs/tags/v9.0.0", None)


def test_a_tag_of_a_tag_and_a_tag_of_no_commit(place: GitPlace, reused: Repository) -> None:
    place.publish(good("1.0.0"))
    head = (reused.path / MAIN).read_text().strip()
    inner = reused.store("tag", f"object {head}\ntype commit\ntag inner\ntagger A <a> 1 +0000\n\nA\n".encode())
    outer = reused.store("tag", f"object {inner}\ntype tag\ntag outer\ntagger A <a> 1 +0000\n\nA\n".encode())
    blob = reused.store("blob", b"a: 1")
    odd = reused.store("tag", f"object {blob}\ntype blob\ntag odd\ntagger A <a> 1 +0000\n\nA\n".encode())
    for name, target in (("outer", outer), ("odd", odd)):
        reused.point(f"refs/tags/{name}", target)
    url = f"git+{reused.path.as_uri()}//bundle"
    one = GitSource(read_address(f"{url}?tag=outer"))
    assert one.look() == one.fetch().version == f"outer@{head}+{outer}"
    assert "the tag `odd` is about a blob, not a commit" in failure(GitSource(read_address(f"{url}?tag=odd")))


@pytest.mark.parametrize("protocol", [True, False], ids=["protocol 2", "protocol 0"])
def test_a_commit_that_no_branch_points_to(
    repository: Repository, server: HttpServer, credentials: Path, protocol: bool
) -> None:
    """Protocol 2 hands out every object, older servers what references point to, unless they are told otherwise."""
    server.protocol = protocol
    old = repository.git("rev-parse", "HEAD")
    new = repository.record(repository.tree_of(bundle("2.0.0")))
    assert source(server, credentials, f"?commit={new}").fetch().version == new
    one = source(server, credentials, f"?commit={old}")
    if not protocol:
        assert "(`uploadpack.allowAnySHA1InWant`); ask for a branch or a tag" in failure(one)
        repository.allow("uploadpack.allowAnySHA1InWant")
    assert one.fetch().version == old
    assert source(server, credentials, "?branch=main").look() == new


def test_a_commit_is_known_without_asking(server: HttpServer, credentials: Path) -> None:
    assert source(server, credentials, f"?commit={'a' * 40}").look() == "a" * 40
    assert server.requests == []


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "--object-format=sha256")
    commit = repository.commit(FILES)
    for wanted in ("", f"?commit={commit}"):
        one = GitSource(read_address(f"git+{repository.path.as_uri()}//bundle{wanted}"))
        assert one.look() == one.fetch().version == commit
