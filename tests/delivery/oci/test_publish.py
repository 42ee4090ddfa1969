"""delivery.oci.publish: into real registries and out of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.content import SourceError
from delivery.oci.artifact import ATTESTATION, INDEX, MANIFEST, described, digest_of, entries_of, index
from delivery.oci.publish import attach, pull
from delivery.oci.reference import Reference, referrers_tag

from .artifacts import NOBODY, archive, manifest_of, published
from .conftest import fails, source_of
from .registries import Between, Handler, Registry
from .test_source import answering

BetweenOf = Callable[[str], Between]
NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"


def test_what_is_there_is_not_sent_again(open_registry: Registry, repository: str, between: BetweenOf) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    way.requests.clear()
    assert published(reference) == digest
    assert [method for method, _, _ in way.requests] == ["GET", "HEAD", "HEAD", "PUT"]


def test_a_version_stays_what_it_is(open_registry: Registry, repository: str) -> None:
    reference = Reference(open_registry.host, repository, "1.0.0")
    digest = published(reference)
    error = fails(lambda: published(reference, "1.0.1"))
    assert f"`{repository}:1.0.0` is `{digest}` already" in str(error)
    assert source_of(reference).look() == digest
    moved = published(reference, "1.0.1", move=True)
    assert source_of(reference).look() == moved != digest
    stable = reference._replace(tag="stable")
    assert published(stable) == digest
    assert published(stable, "1.0.1") == moved == source_of(stable).look()


def test_what_is_pulled_is_what_was_pushed(open_registry: Registry, repository: str) -> None:
    reference = Reference(open_registry.host, repository, "1.2.0")
    digest = published(reference, "1.2.0")
    attach(reference, b"{}", NOBODY)
    assert pull(reference, NOBODY) == (archive("1.2.0"), [b"{}"], digest, "1.2.0")
    assert pull(Reference(open_registry.host, repository, versions="1.x"), NOBODY).tag == "1.2.0"
    blob = open_registry.blob(digest_of(archive("1.2.0")))
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    assert fails(lambda: pull(reference, NOBODY)).step == "digest"


def test_a_registry_that_wants_a_pause_gets_it(
    open_registry: Registry, repository: str, between: BetweenOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = between(open_registry.host)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            way.faults.clear()

    monkeypatch.setattr("delivery.oci.publish.time.sleep", pause)
    way.faults.append(answering("", 429, Retry_After="3"))
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    assert pauses == [3.0, 3.0]
    assert source_of(reference).look() == digest
    way.faults.append(answering("", 429, Retry_After="3600"))
    assert fails(lambda: published(reference)).retry_after == 3600
    way.faults[0] = answering("", 503)
    assert "answers 503" in str(fails(lambda: published(reference)))
    assert len(pauses) == 2


@pytest.mark.parametrize("location", ["http://192.0.2.1/upload", "https://127.0.0.1/upload", "", "http://[::1/"])
def test_an_upload_goes_to_the_registry_only(
    open_registry: Registry, repository: str, between: BetweenOf, location: str
) -> None:
    """Credentials are shown there."""
    way = between(open_registry.host)
    way.faults.append(lambda request: request.command == "POST" and answering("", 202, Location=location)(request))
    error = fails(lambda: published(Reference(way.host, repository, "1.0.0")))
    assert "upload" in str(error)
    assert not any(method == "PUT" for method, _, _ in way.requests)


def test_a_registry_that_keeps_something_else_is_not_believed(
    open_registry: Registry, repository: str, between: BetweenOf
) -> None:
    way = between(open_registry.host)
    wrong = answering("", 201, Docker_Content_Digest="sha256:" + "0" * 64)
    way.faults.append(lambda request: "/manifests/" in request.path and request.command == "PUT" and wrong(request))
    assert fails(lambda: published(Reference(way.host, repository, "1.0.0"))).step == "digest"


def test_the_list_of_attestations_is_everybody_s(open_registry: Registry, repository: str, between: BetweenOf) -> None:
    """What others have put there stays, also what they put there while we do."""
    reference = Reference(open_registry.host, repository, "1.0.0")
    digest = published(reference)
    tag = referrers_tag(digest)
    first = described(MANIFEST, manifest_of(b"first"), "application/spdx+json").as_json() | {"annotations": {"a": "b"}}
    second = described(MANIFEST, manifest_of(b"second")).as_json()
    way = between(open_registry.host)
    listed = [index([first])]

    def a_list(request: Handler) -> bool:
        """The list, as somebody else overwrites it once with one that they read before."""
        if not request.path.endswith(tag):
            return False
        if request.command == "PUT":
            listed.append(request.body)
            if len(listed) == 2:
                listed.append(index([first, second]))
            request.reply(201)
        else:
            request.reply(200, listed[-1], {"Content-Type": INDEX})
        return True

    way.faults.append(a_list)
    ours = attach(reference._replace(registry=way.host), b"{}", NOBODY)
    assert [entry["digest"] for entry in entries_of(listed[-1])] == [first["digest"], second["digest"], ours]
    assert entries_of(listed[-1])[0] == first
    assert entries_of(listed[-1])[-1]["artifactType"] == ATTESTATION


def test_what_stands_in_the_place_of_the_list_is_not_overwritten(open_registry: Registry, repository: str) -> None:
    reference = Reference(open_registry.host, repository, "1.0.0")
    digest = published(reference)
    published(reference._replace(tag=referrers_tag(digest)))
    with pytest.raises(SourceError, match="is no list of attestations"):
        attach(reference, b"{}", NOBODY)


@pytest.mark.skipif(not NIGHTLY, reason="a nightly run builds oras")
def test_oras_reads_what_we_push_and_we_read_what_oras_pushes(
    open_registry: Registry, referring_registry: Registry, repository: str, tmp_path: Path, oras: Path
) -> None:
    def run(*words: object) -> str:
        command = [str(oras), *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for registry in (open_registry, referring_registry):
        name = f"{registry.host}/{repository}"
        reference = Reference(registry.host, repository, "1.0.0")
        digest = published(reference)
        attach(reference, b'{"ours": 1}', NOBODY)
        run("pull", "--plain-http", f"{name}:1.0.0")
        assert (tmp_path / "small-1.0.0.tar.gz").read_bytes() == archive("1.0.0")
        assert digest in run("resolve", "--plain-http", f"{name}:1.0.0")
        discovered = json.loads(run("discover", "--plain-http", "--format", "json", f"{name}:1.0.0"))
        assert [one["digest"] for one in discovered["referrers"]]
        (tmp_path / "theirs.json").write_bytes(b'{"theirs": 1}')
        run("attach", "--plain-http", "--artifact-type", ATTESTATION, f"{name}:1.0.0", f"theirs.json:{ATTESTATION}")
        assert sorted(source_of(reference).fetch().attestations) == [b'{"ours": 1}', b'{"theirs": 1}']
        (tmp_path / "b.tar.gz").write_bytes(archive("1.1.0"))
        layer = "application/vnd.bayplan.bundle.v1.tar+gzip"
        kind = "application/vnd.bayplan.bundle.v1"
        run("push", "--plain-http", "--artifact-type", kind, f"{name}:1.1.0", f"b.tar.gz:{layer}")
        assert pull(reference._replace(tag="1.1.0"), NOBODY).archive == archive("1.1.0")
