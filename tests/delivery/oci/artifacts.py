"""Bundles as archives and artifacts, right and wrong, put into registries of tests by nobody's client."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

import httpx

from delivery.credentials import Credentials
from delivery.oci.artifact import MANIFEST, bundle_manifest
from delivery.oci.publish import push
from delivery.oci.reference import Reference
from tests.delivery import bundles

NOBODY = Credentials()


def archive(version: str = "1.0.0") -> bytes:
    """The archive of a small bundle."""
    return archive_of({"bundle.yaml": bundles.BUNDLE.replace("VERSION", version).encode()})


def archive_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def files_in(data: bytes) -> dict[str, bytes]:
    """The files of such an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


def published(
    reference: Reference, version: str = "1.0.0", credentials: Credentials = NOBODY, *, move: bool = False
) -> str:
    """Push a small bundle; the digest."""
    return push(reference, archive(version), f"small-{version}.tar.gz", {}, credentials, move=move)


def put_manifest(reference: Reference, manifest: bytes, media_type: str = MANIFEST) -> str:
    """Put a manifest into a registry on this machine, with nothing looked at; its digest."""
    url = f"{reference.base()}/manifests/{reference.tag}"
    httpx.put(url, content=manifest, headers={"Content-Type": media_type}).raise_for_status()
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def manifest_of(data: bytes, **fields: Any) -> bytes:
    """The manifest of a bundle's archive, with some fields changed."""
    return json.dumps({**json.loads(bundle_manifest(data, "small.tar.gz", {})), **fields}).encode()
