"""delivery.oci.artifact: manifests made and read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from delivery.oci.artifact import (
    ARTIFACT,
    ATTESTATION,
    INDEX,
    LAYER,
    MANIFEST,
    ArtifactError,
    attestation_manifest,
    bundle_manifest,
    described,
    digest_of,
    entries_of,
    index,
    layer_of,
    manifests_of,
    subject_of,
)

MADE = bundle_manifest(b"archive", "gpu-1.2.0.tar.gz", {"b": "2", "a": "1"})


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(MADE), **fields}).encode()


def test_a_bundle_has_one_manifest() -> None:
    """Its digest is what others pin and sign: another one for the same content would be another version."""
    assert digest_of(MADE) == "sha256:24ac68aee287ecdc14ef892f1c2066910149a8a74252250e4476d2dd48e3bbf0"
    assert bundle_manifest(b"archive", "gpu-1.2.0.tar.gz", {"a": "1", "b": "2"}) == MADE
    assert layer_of(MADE, ARTIFACT, LAYER) == described(LAYER, b"archive")
    assert subject_of(MADE) == ""


def test_an_attestation_says_what_it_is_about() -> None:
    about = attestation_manifest(b"{}", described(MANIFEST, MADE))
    assert subject_of(about) == digest_of(MADE)
    assert layer_of(about, ATTESTATION, ATTESTATION) == described(ATTESTATION, b"{}")


def test_a_list_keeps_what_others_have_written_into_it() -> None:
    theirs = {**described(MANIFEST, b"a").as_json(), "annotations": {"who": "others"}, "artifactType": "x/y"}
    ours = described(MANIFEST, b"b", ATTESTATION).as_json()
    listed = index([theirs, ours])
    assert entries_of(listed) == [theirs, ours]
    assert [one.artifact_type for one in manifests_of(listed)] == ["x/y", ATTESTATION]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"\xff", "its manifest is no JSON with each key once"),
        (b"{", "its manifest is no JSON with each key once"),
        (b"[" * 100_000, "its manifest is no JSON with each key once"),
        (MADE.replace(b'"layers"', b'"schemaVersion":2,"layers"'), "its manifest is no JSON with each key once"),
        (b"[]", "its manifest is no JSON object"),
        (b"{}", "its manifest is not of version 2"),
        (changed(mediaType=INDEX), "it is a list of several artifacts: name one of them by its digest"),
        (changed(manifests=[]), "it is a list of several artifacts: name one of them by its digest"),
        (changed(mediaType=7), f"its manifest is of type `7`, not `{MANIFEST}`"),
        (changed(artifactType="a\n" + "b" * 200), f"it is an artifact of type `a\\u000a{'b' * 97}…`, not `{ARTIFACT}`"),
        (
            changed(artifactType=None, config={"mediaType": "image"}),
            f"it is an artifact of type `image`, not `{ARTIFACT}`",
        ),
        (changed(artifactType=None, config=None), f"it is an artifact of type ``, not `{ARTIFACT}`"),
        (changed(layers=None), "its manifest has no list `layers`"),
        (changed(layers=[]), "it has 0 layers, not one"),
        (changed(layers=[*json.loads(MADE)["layers"]] * 2), "it has 2 layers, not one"),
        (changed(layers=[7]), "its manifest names something without media type, digest and size"),
        (changed(layers=[{}]), "its manifest names something without media type, digest and size"),
    ],
)
def test_what_is_no_bundle_is_told_as_what_it_is(manifest: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        layer_of(manifest, ARTIFACT, LAYER)
    assert str(caught.value) == message


@pytest.mark.parametrize("size", [-1, 1.5, True, "7", None])
def test_a_size_is_a_number_of_bytes(size: object) -> None:
    layer = {**described(LAYER, b"").as_json(), "size": size}
    with pytest.raises(ArtifactError, match="without media type, digest and size"):
        layer_of(changed(layers=[layer]), ARTIFACT, LAYER)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "../../etc", 7, None])
def test_a_digest_is_of_sha256(digest: object) -> None:
    layer = {**described(LAYER, b"").as_json(), "digest": digest}
    with pytest.raises(ArtifactError, match=r"not by a digest of SHA-256"):
        layer_of(changed(layers=[layer]), ARTIFACT, LAYER)


def test_another_kind_of_layer_is_no_archive_of_a_bundle() -> None:
    with pytest.raises(ArtifactError, match="its layer is of type `application/zip`"):
        layer_of(changed(layers=[described("application/zip", b"").as_json()]), ARTIFACT, LAYER)


@pytest.mark.parametrize("listed", [b"{}", MADE, b"[]", b'{"manifests":[{}]}', b'{"manifests":{}}'])
def test_what_is_no_list_of_manifests_is_refused(listed: bytes) -> None:
    with pytest.raises(ArtifactError):
        entries_of(listed)
