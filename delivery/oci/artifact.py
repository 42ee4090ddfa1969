"""Manifests of artifacts, as the OCI image specification 1.1 has them: how ours are made, and read from whoever.

A bundle is one layer, its archive; an attestation is one layer, a sigstore bundle, whose `subject` is the manifest that
it is about. Equal content gives equal bytes: no times, keys in one order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from delivery.each_once import each_once
from delivery.oci.reference import DIGEST
from engine.documents import printable

ARTIFACT = "application/vnd.bayplan.bundle.v1"
LAYER = "application/vnd.bayplan.bundle.v1.tar+gzip"
ATTESTATION = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_CONFIG = b"{}"
MAX_MANIFEST = 4 << 20
"""Bytes of a manifest: what the specification asks registries to take."""


class ArtifactError(Exception):
    """A manifest is not what is expected: the text says what it is, and what was expected."""


class Descriptor(NamedTuple):
    """What a manifest says of something that is stored elsewhere. `artifact_type` is empty where it says none."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""

    def as_json(self) -> dict[str, Any]:
        said = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**said, "artifactType": self.artifact_type} if self.artifact_type else said


CONFIG = Descriptor(EMPTY, f"sha256:{hashlib.sha256(EMPTY_CONFIG).hexdigest()}", len(EMPTY_CONFIG))


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def described(media_type: str, data: bytes, artifact_type: str = "") -> Descriptor:
    return Descriptor(media_type, digest_of(data), len(data), artifact_type)


def bundle_manifest(archive: bytes, title: str, annotations: Mapping[str, str]) -> bytes:
    """The manifest of a bundle. `title` is the name of the file that other clients write the archive to."""
    layer = described(LAYER, archive).as_json() | {"annotations": {"org.opencontainers.image.title": title}}
    return _manifest(ARTIFACT, layer, {"annotations": {key: annotations[key] for key in sorted(annotations)}})


def attestation_manifest(attestation: bytes, subject: Descriptor) -> bytes:
    """The manifest of a sigstore bundle that is about a manifest."""
    return _manifest(ATTESTATION, described(ATTESTATION, attestation).as_json(), {"subject": subject.as_json()})


def index(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """The list of manifests of these descriptors."""
    return _written({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})


def layer_of(manifest: bytes, kind: str, media_type: str) -> Descriptor:
    """The one layer of an artifact of a kind. Raises ArtifactError."""
    value = _object(manifest)
    found = artifact_type(value)
    if found != kind:
        raise ArtifactError(f"it is an artifact of type {_shown(found)}, not `{kind}`")
    layers = _descriptors(value, "layers")
    if len(layers) != 1:
        raise ArtifactError(f"it has {len(layers)} layers, not one")
    if layers[0].media_type != media_type:
        raise ArtifactError(f"its layer is of type {_shown(layers[0].media_type)}, not `{media_type}`")
    return layers[0]


def artifact_type(manifest: Mapping[str, Any]) -> str:
    """What a manifest is the manifest of. Raises ArtifactError where it is the list of several."""
    media_type = manifest.get("mediaType", MANIFEST)
    if media_type == INDEX or "manifests" in manifest:
        raise ArtifactError("it is a list of several artifacts: name one of them by its digest")
    if manifest.get("schemaVersion") != 2:
        raise ArtifactError("its manifest is not of version 2")
    if media_type != MANIFEST:
        raise ArtifactError(f"its manifest is of type {_shown(media_type)}, not `{MANIFEST}`")
    config = manifest.get("config")
    stated = manifest.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "")
    return stated if isinstance(stated, str) else ""


def subject_of(manifest: bytes) -> str:
    """The digest that an artifact is about; empty where it says none. Raises ArtifactError."""
    subject = _object(manifest).get("subject")
    return _descriptor(subject).digest if subject is not None else ""


def entries_of(listed: bytes) -> list[dict[str, Any]]:
    """The descriptors of a list of manifests, as they stand there. Raises ArtifactError where it is none."""
    value = _object(listed)
    if value.get("mediaType", INDEX) != INDEX or "manifests" not in value:
        raise ArtifactError(f"it is of type {_shown(value.get('mediaType'))}, not `{INDEX}`")
    _descriptors(value, "manifests")
    return list(value["manifests"])


def manifests_of(listed: bytes) -> list[Descriptor]:
    """The descriptors of a list of manifests. Raises ArtifactError where it is none."""
    return [_descriptor(entry) for entry in entries_of(listed)]


def _manifest(kind: str, layer: Mapping[str, Any], more: Mapping[str, Any]) -> bytes:
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": CONFIG.as_json()}
    return _written({**value, "layers": [layer], **{key: some for key, some in more.items() if some}})


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode(), object_pairs_hook=each_once)
    except (ValueError, RecursionError) as error:
        raise ArtifactError("its manifest is no JSON with each key once") from error
    if not isinstance(value, dict):
        raise ArtifactError("its manifest is no JSON object")
    return value


def _descriptors(value: Mapping[str, Any], key: str) -> list[Descriptor]:
    listed = value.get(key)
    if not isinstance(listed, list):
        raise ArtifactError(f"its manifest has no list `{key}`")
    return [_descriptor(one) for one in listed]


def _descriptor(value: Any) -> Descriptor:
    if not isinstance(value, dict):
        raise ArtifactError("its manifest names something without media type, digest and size")
    kind, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(kind, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ArtifactError("its manifest names something without media type, digest and size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ArtifactError(f"its manifest names something by {_shown(digest)}, not by a digest of SHA-256")
    stated = value.get("artifactType")
    return Descriptor(kind, digest, size, stated if isinstance(stated, str) else "")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{printable(text if len(text) <= 100 else text[:99] + '…')}`"
