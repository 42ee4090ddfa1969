"""Bundles into a registry, and out of it to a file; attestations beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from delivery.content import SourceError
from delivery.credentials import Credentials
from delivery.oci.artifact import (
    ATTESTATION,
    CONFIG,
    EMPTY_CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    ArtifactError,
    Descriptor,
    attestation_manifest,
    bundle_manifest,
    described,
    digest_of,
    entries_of,
    index,
)
from delivery.oci.reference import Reference, referrers_tag
from delivery.oci.registry import Admission, Repository
from delivery.oci.source import MAX_TRANSFER, attestations_of, bundle_archive, resolved
from delivery.transfer import Transfer
from engine.versions import version_of

SECONDS = 120.0
MAX_WAIT = 60.0
"""How long one attempt may take; how long a registry may ask us to wait for the next."""
TRIES = 4
T = TypeVar("T")


class Pulled(NamedTuple):
    """What was pulled: the archive of a bundle, what is attested about it, its digest, and the tag it was found by."""

    archive: bytes
    attestations: list[bytes]
    digest: str
    tag: str


def push(
    reference: Reference,
    archive: bytes,
    title: str,
    annotations: Mapping[str, str],
    credentials: Credentials,
    *,
    move: bool = False,
) -> str:
    """Put an archive into a registry under a tag; the digest of its manifest. Raises SourceError.

    A tag that is a version is not moved from one content to another, unless that is wanted (`move`).
    """
    manifest = bundle_manifest(archive, title, annotations)

    def put(repository: Repository, transfer: Transfer) -> str:
        if not move and version_of(reference.tag) is not None:
            there = repository.find(reference.tag)
            if there is not None and there != manifest:
                text = f"`{reference.repository}:{reference.tag}` is `{digest_of(there)}` already"
                raise transfer.error(f"{text}, and a version stays what it is: give the bundle a new one")
        repository.upload(CONFIG, EMPTY_CONFIG)
        repository.upload(described(LAYER, archive), archive)
        repository.put(reference.tag, manifest)
        return digest_of(manifest)

    return _patiently(reference, credentials, put)


def pull(reference: Reference, credentials: Credentials) -> Pulled:
    """The archive of a bundle in a registry, compared with its digests. Raises SourceError."""

    def take(repository: Repository, transfer: Transfer) -> Pulled:
        digest, tag = resolved(repository, reference, transfer)
        attestations, _ = attestations_of(repository, digest, transfer)
        return Pulled(bundle_archive(repository, digest, transfer), attestations, digest, tag)

    return _patiently(reference, credentials, take)


def attach(reference: Reference, attestation: bytes, credentials: Credentials) -> str:
    """Put a sigstore bundle beside the bundle that a reference names; the digest of its manifest. Raises SourceError.

    It refers to the bundle's manifest. Where the registry does not keep lists of what refers to what, the list under
    the tag that is made for that gets one entry more.
    """

    def put(repository: Repository, transfer: Transfer) -> str:
        digest, _ = resolved(repository, reference, transfer)
        subject = Descriptor(MANIFEST, digest, len(repository.manifest(digest)))
        manifest = attestation_manifest(attestation, subject)
        repository.upload(CONFIG, EMPTY_CONFIG)
        repository.upload(described(ATTESTATION, attestation), attestation)
        if not repository.put(digest_of(manifest), manifest):
            _list(repository, digest, described(MANIFEST, manifest, ATTESTATION), transfer)
        return digest_of(manifest)

    return _patiently(reference, credentials, put)


def _list(repository: Repository, digest: str, entry: Descriptor, transfer: Transfer) -> None:
    """See to it that the list of what is about a digest has an entry, while others change that list, too."""
    tag = referrers_tag(digest)
    for _ in range(TRIES):
        listed = repository.find(tag)
        try:
            entries = entries_of(listed) if listed is not None else []
        except ArtifactError as error:
            raise transfer.error(f"what stands under the tag `{tag}` is no list of attestations: {error}") from None
        if any(one["digest"] == entry.digest for one in entries):
            return
        repository.put(tag, index([*entries, entry.as_json()]), INDEX)
    raise transfer.error(f"the list under the tag `{tag}` is changed by others all the time: try again")


def _patiently(reference: Reference, credentials: Credentials, work: Callable[[Repository, Transfer], T]) -> T:
    """Do it; where the registry asks for a pause, once more after it."""
    from delivery.https import Https  # whoever reads a folder does without

    https, admission = Https(), Admission()
    for left in range(TRIES - 1, -1, -1):
        try:
            with Transfer("fetch", f"the registry `{reference.registry}`", SECONDS, MAX_TRANSFER) as transfer:
                return work(Repository(reference, credentials, admission, https, transfer), transfer)
        except SourceError as error:
            if not left or not 0 < error.retry_after <= MAX_WAIT:
                raise
            time.sleep(error.retry_after)
        finally:
            https.close()
    raise AssertionError("unreachable")
