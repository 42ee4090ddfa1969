"""Bundles as archives and artifacts, right and wrong, put into registries of tests by nobody's client."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx

from delivery.archive import Manifest, packed
from delivery.credentials import Credentials
from delivery.oci.artifact import MANIFEST, bundle_manifest
from delivery.oci.publish import push
from delivery.oci.reference import Reference
from tests.delivery import bundles

NOBODY = Credentials()


def archive(version: str = "1.0.0") -> bytes:
    """The archive of a small bundle."""
    return packed({"bundle.yaml": bundles.BUNDLE.replace("VERSION", version).encode()}, Manifest("small", version))


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
