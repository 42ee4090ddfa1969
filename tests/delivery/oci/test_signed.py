"""A registry whose bundles are signed: what is signed wrongly, or not at all, never decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from delivery.oci.publish import attach, push
from delivery.oci.reference import Reference
from tests.delivery.bad_bundles import archive_of, refuses_older, starts_anew, withstands
from tests.delivery.signature.bad_signatures import ARCHIVES, Attested

from .artifacts import NOBODY
from .conftest import source_of
from .registries import Registry

EVERY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
REGISTRIES = (0, 1)
"""Without a list of what refers to what, and with one."""
EACH = [
    (name, first, registry)
    for at, name in enumerate(ARCHIVES)
    for first in (True, False)
    for registry in REGISTRIES
    if EVERY or (at + first) % 2 == registry
]
"""Each on both registries nightly; else first on the one, later on the other."""


class SignedShelf(Attested):
    """A tag in a registry, and what is attested about what it means."""

    def __init__(self, folder: Path, registry: Registry, repository: str) -> None:
        super().__init__(folder)
        self.reference = Reference(registry.host, repository, "stable")
        self.source = source_of(self.reference)

    def put(self, files: Mapping[str, bytes], attestation: bytes | None) -> None:
        push(self.reference, archive_of(files), "small.tar.gz", {}, NOBODY)
        if attestation is not None:
            attach(self.reference, attestation, NOBODY)


@pytest.fixture
def shelf(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    repository: str,
    open_registry: Registry,
    referring_registry: Registry,
) -> SignedShelf:
    return SignedShelf(tmp_path, (open_registry, referring_registry)[request.param], repository)


@pytest.mark.parametrize(
    ("name", "first", "shelf"),
    EACH,
    ids=[f"{name}-{'first' if first else 'later'}-{registry}" for name, first, registry in EACH],
    indirect=["shelf"],
)
def test_bad_signatures_never_decide(shelf: SignedShelf, name: str, first: bool) -> None:
    spoil, words = ARCHIVES[name]
    withstands(shelf, lambda: spoil(shelf), "signature", words, first=first, demands=shelf.demands)


@pytest.mark.parametrize("shelf", REGISTRIES, indirect=True)
def test_an_older_version_is_refused_once_a_newer_one_was_seen(shelf: SignedShelf) -> None:
    refuses_older(shelf, shelf.demands)


@pytest.mark.parametrize("shelf", REGISTRIES, indirect=True)
def test_so_it_is_for_who_starts_anew(shelf: SignedShelf, tmp_path: Path) -> None:
    starts_anew(shelf, tmp_path / "state", shelf.demands)
