"""Bundles from a registry."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from delivery.archive import MAX_ARCHIVE, MAX_ATTESTATION, files_of
from delivery.content import Content, SourceError, Step
from delivery.credentials import read_credentials
from delivery.oci.artifact import (
    ARTIFACT,
    ATTESTATION,
    EMPTY,
    LAYER,
    ArtifactError,
    Descriptor,
    digest_of,
    layer_of,
    manifests_of,
    subject_of,
)
from delivery.oci.reference import Reference, referrers_tag
from delivery.oci.registry import Admission, Repository
from delivery.transfer import Transfer
from engine.versions import VersionRange

SECONDS = 60.0
MAX_ATTESTATIONS = 64
MAX_TRANSFER = 64 << 20
"""Limits: artifacts about a bundle; bytes of all answers to a look or fetch."""


class OciSource:
    """A bundle that is an artifact in a registry. `credentials` is a folder; it is read anew each time."""

    def __init__(self, reference: Reference, credentials: Path | None = None, seconds: float = SECONDS) -> None:
        self._reference, self._credentials, self._seconds = reference, credentials, seconds
        from delivery.https import Https  # whoever reads a folder does without

        self._https, self._admission = Https(), Admission()

    @property
    def origin(self) -> str:
        return str(self._reference)

    def look(self) -> str:
        """The digest of the manifest that there is now, and of what is attested about it: that may be renewed."""
        with self._transfer("look") as transfer:
            repository = self._repository(transfer)
            digest, _ = resolved(repository, self._reference, transfer)
            return _version(digest, _attested(repository, digest, transfer))

    def fetch(self) -> Content:
        with self._transfer("fetch") as transfer:
            repository = self._repository(transfer)
            digest, tag = resolved(repository, self._reference, transfer)
            archive = bundle_archive(repository, digest, transfer)
            attestations, version = attestations_of(repository, digest, transfer)
        named = self._reference._replace(tag=tag, digest=digest, versions="")
        return Content(
            version=version,
            origin=str(named),
            files=files_of(archive),
            archive=digest_of(archive).removeprefix("sha256:"),
            manifest=digest.removeprefix("sha256:"),
            attestations=tuple(attestations),
        )

    def close(self) -> None:
        self._https.close()

    def _transfer(self, step: Step) -> AbstractContextManager[Transfer]:
        return Transfer(step, f"the registry `{self._reference.registry}`", self._seconds, MAX_TRANSFER)

    def _repository(self, transfer: Transfer) -> Repository:
        credentials = read_credentials(self._credentials, transfer.step)
        return Repository(self._reference, credentials, self._admission, self._https, transfer)


def resolved(repository: Repository, reference: Reference, transfer: Transfer) -> tuple[str, str]:
    """The digest that a reference means now, and the tag that it was found by, if it was."""
    if reference.digest:
        return reference.digest, reference.tag
    tag = reference.tag or _newest(repository.tags(), reference, transfer)
    return repository.digest(tag), tag


def _newest(tags: list[str], reference: Reference, transfer: Transfer) -> str:
    """The tag of the newest version in a range; a tag has `_` where a version has `+`."""
    by_version = {tag.replace("_", "+"): tag for tag in sorted(tags)}
    newest = VersionRange(reference.versions).newest(by_version)
    if newest is None:
        raise transfer.error(f"none of {len(tags):,} tags is a version in the range `{reference.versions}`")
    return by_version[newest]


def bundle_archive(repository: Repository, digest: str, transfer: Transfer) -> bytes:
    """The archive of the bundle whose manifest has a digest."""
    try:
        layer = layer_of(repository.manifest(digest), ARTIFACT, LAYER)
    except ArtifactError as error:
        raise transfer.error(f"`{digest}` is not a bundle: {error}") from None
    return repository.blob(layer, MAX_ARCHIVE, "the archive")


def attestations_of(repository: Repository, digest: str, transfer: Transfer) -> tuple[list[bytes], str]:
    """The sigstore bundles that are about a manifest, none of them verified, and what this state is called."""
    entries = _attested(repository, digest, transfer)
    found = [_attestation(repository, entry, digest) for entry in entries]
    return [attestation for attestation in found if attestation is not None], _version(digest, entries)


def _version(digest: str, attested: list[Descriptor]) -> str:
    return digest + "".join(sorted(f"+{entry.digest.removeprefix('sha256:')[:16]}" for entry in attested))


def _attested(repository: Repository, digest: str, transfer: Transfer) -> list[Descriptor]:
    """What may be a sigstore bundle about a manifest, as the registry lists it.

    Where it does not keep such lists, the one under the tag that is made for that is taken.
    """
    listed = repository.referrers(digest)
    listed = repository.find(referrers_tag(digest)) if listed is None else listed
    try:
        entries = manifests_of(listed) if listed is not None else []
    except ArtifactError as error:
        raise transfer.error(f"the list of what is attested about `{digest}` can't be read: {error}") from None
    wanted = {entry.digest: entry for entry in entries if entry.artifact_type in ("", ATTESTATION, EMPTY)}
    if len(wanted) > MAX_ATTESTATIONS:
        text = f"there are more than {MAX_ATTESTATIONS} artifacts about `{digest}`: remove what is not needed"
        raise SourceError("limits", text)
    return list(wanted.values())


def _attestation(repository: Repository, entry: Descriptor, digest: str) -> bytes | None:
    """The sigstore bundle that an entry leads to; None where it leads to something else, or is about something else."""
    manifest = repository.find(entry.digest)  # lists outlive what they name
    try:
        if manifest is None or subject_of(manifest) != digest:
            return None
        layer = layer_of(manifest, ATTESTATION, ATTESTATION)
    except ArtifactError:
        return None
    return repository.blob(layer, MAX_ATTESTATION, "an attestation")
