"""What an artifact is called: registry, repository, and one of tag, digest and range of versions."""

from __future__ import annotations

import re
from typing import NamedTuple

from delivery.proxies import is_loopback

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DOCKER_HUB = "docker.io"
"""What people call it; it answers at another name, and Docker's configuration knows it by a third."""


class Reference(NamedTuple):
    """An artifact in a registry. Of `tag`, `digest` and `versions` (a range) one is said, and the others are empty.

    Of one that was found there are tag and digest.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""
    versions: str = ""

    def base(self, *, private: bool = False) -> str:
        """Where the registry's API is asked about the repository.

        Only a registry on this machine is asked without encryption, for there nobody is on the way; not even that one
        where certificates of a `private` authority are at hand.
        """
        host = "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry
        scheme = "http" if is_loopback(host_of(host)) and not private else "https"
        return f"{scheme}://{host}/v2/{self.repository}"

    def __str__(self) -> str:
        tag, digest = f":{self.tag}" if self.tag else "", f"@{self.digest}" if self.digest else ""
        return (
            f"oci://{self.registry}/{self.repository}{tag}{digest}{f'?semver={self.versions}' if self.versions else ''}"
        )


def reference_of(location: str, wanted: tuple[str, str]) -> Reference:
    """The reference of an address: `location` is `registry/repository`, `wanted` a `tag`, `digest` or `semver`."""
    registry, _, repository = location.partition("/")
    kind, value = wanted
    return Reference(registry, repository, **{"versions" if kind == "semver" else kind: value})


def host_of(registry: str) -> str:
    """The host of a registry, without its port."""
    name, colon, port = registry.rpartition(":")
    return (name if colon and port.isdecimal() else registry).strip("[]")


def referrers_tag(digest: str) -> str:
    """The tag under which a registry that does not know referrers keeps the list of those of a digest."""
    return digest.replace(":", "-")
