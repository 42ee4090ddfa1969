"""Archives that commands make, or take as they are."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

from cli.errors import CommandError
from delivery import (
    Address,
    Content,
    Demands,
    Manifest,
    SourceError,
    candidate_of,
    commit_of,
    opened,
    packed,
    read_address,
    source_of,
)
from engine.struct import Marked


class Built(Marked, frozen=True):
    """An archive as bytes, what its manifest says, and what signs it, if it was one already."""

    unprinted = ("data",)

    data: bytes
    manifest: Manifest
    attestation: bytes = b""


def content_of(address: Address, credentials: Path | None = None) -> Content:
    """What the source of an address has now; `credentials` is a folder. Raises CommandError."""
    source = source_of(address, credentials)
    try:
        return source.fetch()
    except SourceError as error:
        raise CommandError(f"{source.origin}: {error}") from error
    finally:
        source.close()


def built(text: str) -> Built:
    """The archive of the bundle that somebody names: a folder, an archive, an address.

    Raises StepFailedError with the step of activation that would fail, CommandError and BundleError for what can't be
    read. Warnings go to standard error.
    """
    address = read_address(text, "BUNDLE")
    content = content_of(address)
    candidate = candidate_of(content, Demands(), {}, time.time())
    for warning in candidate.warnings:
        print(warning, end="\n\n", file=sys.stderr)
    if address.kind == "archive":
        with open(address.location, "rb") as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != content.archive:
            raise CommandError(f"{text} changed while it was read")
        return Built(data, opened(data).manifest, content.attestations[0] if content.attestations else b"")
    bundle = candidate.bundle
    if address.kind == "git":  # called by its commit, with a tag before it if one was asked for
        revision = content.version.rpartition("@")[2].partition("+")[0]
    else:
        revision = commit_of(Path(address.location), content.files) if address.kind == "folder" else ""
    data = packed(content.files, Manifest(bundle.name, bundle.version, revision, bundle.requires))
    return Built(data, opened(data).manifest)  # what can't be read back is not released
