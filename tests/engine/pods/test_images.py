"""engine.pods.images: the tag of an image, as the API server reads it. Whole pods are compared in tests/e2e."""

from __future__ import annotations

import pytest

from engine.pods.images import tag_of


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("a", "latest"),
        ("a:1", "1"),
        ("registry:5000/a", "latest"),
        ("registry:5000/a:1", "1"),
        ("Registry.io/a", "latest"),
        ("a/b/c", "latest"),
        ("a@sha256:" + "0" * 64, ""),
        ("a:latest@sha256:" + "0" * 64, "latest"),
        ("a:1@sha256:0", ""),
        ("a:1@sha256:" + "F" * 64, ""),
        ("a:1@md5:" + "0" * 32, ""),
        ("", ""),
        ("A", ""),
        ("a b", ""),
        ("a___b", ""),
        ("0" * 64, ""),
        ("x" * 300, ""),
        ("a:" + "t" * 129, ""),
        ("a/" * 100_000, ""),
    ],
)
def test_tag(image: str, tag: str) -> None:
    assert tag_of(image) == tag
