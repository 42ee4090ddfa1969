"""delivery.oci.reference: names of artifacts, and where they are asked for."""

from __future__ import annotations

import pytest

from delivery.oci.reference import Reference, host_of, reference_of, referrers_tag


def test_only_this_machine_is_asked_without_encryption() -> None:
    assert Reference("registry.example", "a/b").base() == "https://registry.example/v2/a/b"
    assert Reference("docker.io", "a/b").base() == "https://registry-1.docker.io/v2/a/b"
    for here in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000", "localhost"):
        assert Reference(here, "a").base() == f"http://{here}/v2/a"
        assert Reference(here, "a").base(private=True) == f"https://{here}/v2/a"
    for elsewhere in ("localhost.example", "127.0.0.1.example:5000", "128.0.0.1"):
        assert Reference(elsewhere, "a").base().startswith("https://")


@pytest.mark.parametrize(
    ("registry", "host"),
    [("a", "a"), ("a:1", "a"), ("[::1]:5000", "::1"), ("[::1]", "::1"), ("127.0.0.1:80", "127.0.0.1")],
)
def test_the_host_of_a_registry(registry: str, host: str) -> None:
    assert host_of(registry) == host


def test_how_it_is_written() -> None:
    digest = "sha256:" + "0" * 64
    assert str(Reference("a:1", "b/c", tag="1.0")) == "oci://a:1/b/c:1.0"
    assert str(Reference("a", "b", digest=digest)) == f"oci://a/b@{digest}"
    assert str(Reference("a", "b", tag="1", digest=digest)) == f"oci://a/b:1@{digest}"
    assert str(Reference("a", "b", versions="^1.2")) == "oci://a/b?semver=^1.2"
    assert referrers_tag(digest) == "sha256-" + "0" * 64


def test_an_address_is_a_reference() -> None:
    assert reference_of("a:1/b/c", ("tag", "1.0")) == Reference("a:1", "b/c", tag="1.0")
    assert reference_of("a/b", ("semver", "^1")) == Reference("a", "b", versions="^1")
    assert reference_of("a/b", ("digest", "sha256:0")) == Reference("a", "b", digest="sha256:0")
