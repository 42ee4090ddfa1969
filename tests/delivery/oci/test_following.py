"""A registry that is followed: what is good becomes active within one poll, what is bad never does."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
import pytest

from delivery import tar
from delivery.archive import Manifest, packed
from delivery.content import Source
from delivery.deflate import gzipped
from delivery.folder import MAX_FILE
from delivery.oci.artifact import INDEX, MANIFEST, described, digest_of, index
from delivery.oci.publish import attach, push
from delivery.oci.reference import Reference
from tests.delivery.bad_bundles import BAD, Bad, Serving, archive_of, good, withstands, withstands_files
from tests.delivery.test_archive import HOSTILE, hostile

from .artifacts import NOBODY, manifest_of, put_manifest
from .conftest import source_of
from .registries import Between, Registry
from .test_source import answering

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
FILES, ARCHIVES = (BAD, list(HOSTILE)) if NIGHTLY else (BAD[::20], list(HOSTILE)[::20])
"""What is wrong with files, and with archives, is the same wherever they are from: each is tried with folders and
archives, some of them here. Nightly, all are, and in both registries."""


@dataclass
class Shelf:
    """A tag in a registry, and what a test does to it.

    A registry keeps equal blobs once, for all its repositories: what is to be damaged is nobody else's.
    """

    registry: Registry
    reference: Reference
    source: Source

    @classmethod
    def at(cls, registry: Registry, repository: str) -> Shelf:
        reference = Reference(registry.host, repository, "stable")
        return cls(registry, reference, source_of(reference))

    def publish(self, files: Mapping[str, bytes]) -> None:
        self.put(archive_of(files))

    def put(self, archive: bytes) -> None:
        push(self.reference, archive, "small.tar.gz", {}, NOBODY)

    def own(self) -> bytes:
        """Publish a good bundle that no other test has; its archive."""
        archive = packed(
            {**good("6.6.6"), "pools/own.yaml": f"# {self.reference}\n".encode()}, Manifest("small", "6.6.6")
        )
        self.put(archive)
        return archive


Spoil = Callable[[Shelf], None]


def damaged(change: Callable[[bytes], bytes]) -> Spoil:
    """Change an archive on the registry's disk."""

    def spoil(shelf: Shelf) -> None:
        file = shelf.registry.blob(digest_of(shelf.own()))
        file.write_bytes(change(file.read_bytes()))

    return spoil


def described_as(**fields: object) -> Spoil:
    """Say something else in the manifest."""
    return lambda shelf: void(put_manifest(shelf.reference, manifest_of(shelf.own(), **fields)))


def archived(data: bytes) -> Spoil:
    """Have these bytes for an archive."""
    return lambda shelf: shelf.put(data)


def lost(shelf: Shelf) -> None:
    shutil.rmtree(shelf.registry.blob(digest_of(shelf.own())).parent)


def list_of_several(shelf: Shelf) -> None:
    shelf.own()
    manifest = httpx.get(f"{shelf.reference.base()}/manifests/{shelf.reference.tag}", headers={"Accept": MANIFEST})
    put_manifest(shelf.reference, index([described(MANIFEST, manifest.content).as_json()]), INDEX)


def forged_attestation(shelf: Shelf) -> None:
    """What is attested is another thing than the registry was given."""
    attestation = f'{{"about": "{shelf.reference}"}}'.encode()
    shelf.own()
    attach(shelf.reference, attestation, NOBODY)
    shelf.registry.blob(digest_of(attestation)).write_bytes(attestation.replace(b"about", b"forge"))


def removed(shelf: Shelf) -> None:
    shelf.own()
    httpx.delete(f"{shelf.reference.base()}/manifests/{shelf.reference.tag}").raise_for_status()


def void(_: object) -> None:
    """Nothing is made of it."""


@pytest.fixture
def shelf(open_registry: Registry, repository: str) -> Shelf:
    return Shelf.at(open_registry, repository)


@pytest.fixture(params=["without referrers", "with referrers"] if NIGHTLY else ["without referrers"])
def either(
    request: pytest.FixtureRequest, open_registry: Registry, referring_registry: Registry, repository: str
) -> Shelf:
    """One in each of the registries."""
    return Shelf.at(open_registry if request.param == "without referrers" else referring_registry, repository)


OTHER = packed(good("6.6.7"), Manifest("small", "6.6.7"))
SPOILED: Mapping[str, tuple[Spoil, str, str]] = {
    "a bit": (
        damaged(lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]),
        "digest",
        "not what its digest says",
    ),
    "another archive": (damaged(lambda _: OTHER), "digest", "where its manifest says"),
    "a part of it": (damaged(lambda data: data[:-1]), "digest", "where its manifest says"),
    "more than it": (damaged(lambda data: data + b"x"), "limits", "larger than it may be"),
    "nothing of it": (damaged(lambda _: b""), "digest", "has 0 bytes"),
    "an attestation": (forged_attestation, "digest", "not what its digest says"),
    "it is gone": (lost, "fetch", "the archive"),
    "another kind": (described_as(artifactType="application/vnd.example"), "fetch", "is not a bundle"),
    "no layer": (described_as(layers=[]), "fetch", "it has 0 layers"),
    "several artifacts": (list_of_several, "fetch", "it is a list of several artifacts"),
    "no tag": (removed, "look", "does not have"),
    "text": (archived(b"kind: Bundle\n"), "digest", "it is no gzip file"),
    "no bytes": (archived(b""), "digest", "cut off"),
    "an empty archive": (archived(gzip.compress(b"", mtime=0)), "digest", "the archive can't be taken"),
    "too large inside": (archived(gzipped(tar.written([("a", bytes(MAX_FILE + 1))]))), "limits", "can't be taken"),
    "cut off": (archived(OTHER[:-20]), "digest", "the archive can't be taken"),
    "no manifest inside": (archived(gzipped(tar.written(good().items()))), "digest", "does not begin with"),
}


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", SPOILED)
def test_what_is_bad_in_a_registry_never_decides(shelf: Shelf, name: str, first: bool) -> None:
    spoil, step, words = SPOILED[name]
    withstands(shelf, lambda: spoil(shelf), step, words, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", FILES, ids=lambda bad: bad.name)
def test_bad_files_never_decide(either: Shelf, bad: Bad, first: bool) -> None:
    withstands_files(either, bad, first=first)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_bad_archives_never_decide(either: Shelf, name: str, first: bool) -> None:
    data, step, words = hostile(name)
    withstands(either, lambda: either.put(data), step, words, first=first)


def test_a_registry_that_is_away_for_a_while(
    open_registry: Registry, repository: str, between: Callable[[str], Between]
) -> None:
    reference = Reference(open_registry.host, repository, "stable")
    way = between(open_registry.host)
    serving = Serving(source_of(reference._replace(registry=way.host)))
    shelf = Shelf(open_registry, reference, source_of(reference))
    shelf.publish(good("1.0.0"))
    assert serving.ask().step == ""
    shelf.publish(good("1.0.1"))
    for status in (500, 429, 404, 401, 403):
        way.faults[:] = [answering("", status)]
        assert (serving.ask().step, serving.version) == ("look", "1.0.0")
    way.close()
    assert (serving.ask().step, serving.version) == ("look", "1.0.0")
    way.reopen()
    way.faults.clear()
    assert (serving.ask().step, serving.version) == ("", "1.0.1")


def test_a_poll_without_change_asks_little(
    open_registry: Registry, repository: str, between: Callable[[str], Between]
) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "stable")
    shelf = Shelf(open_registry, reference, source_of(reference))
    shelf.publish(good("1.0.0"))
    serving = Serving(shelf.source)
    serving.ask()
    way.requests.clear()
    serving.ask()
    assert [method for method, _, _ in way.requests] == ["HEAD", "GET", "GET"]
    assert not any("/blobs/" in path for _, path, _ in way.requests)
