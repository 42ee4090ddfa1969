"""The tag of a container's image, as the API server reads its name.

Source: github.com/distribution/reference v0.6 (ParseNormalizedNamed, regexp.go), as k8s.io/kubernetes/pkg/util/parsers
(ParseImageName) calls it.
"""

from __future__ import annotations

import re

_LONGEST = 255
_TEXT = 4096
"""Characters: what is longer names no image."""
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?"
    rf"(?:@(?P<digest>{_DIGEST}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_DIGESTS = {"sha256": 64, "sha384": 96, "sha512": 128}


def tag_of(image: str) -> str:
    """The tag: `latest` where an image says neither tag nor digest, empty where it says only a digest or is no name."""
    if len(image) > _TEXT or _IDENTIFIER.fullmatch(image):
        return ""
    domain, remainder = _split(image)
    if remainder.partition(":")[0] != remainder.partition(":")[0].lower():
        return ""
    found = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if found is None or len(found["name"]) - len(domain) - 1 > _LONGEST:
        return ""
    digest = found["digest"] or ""
    algorithm, _, told = digest.partition(":")
    if digest and not (_DIGESTS.get(algorithm) == len(told) and told == told.lower()):
        return ""
    return found["tag"] or ("" if digest else "latest")


def _split(image: str) -> tuple[str, str]:
    """The registry that an image is of, and the rest."""
    first, slash, rest = image.partition("/")
    if not slash or not (any(sign in first for sign in ".:") or first == "localhost" or first != first.lower()):
        domain, remainder = "docker.io", image
    else:
        domain, remainder = first, rest
    domain = "docker.io" if domain == "index.docker.io" else domain
    library = domain == "docker.io" and "/" not in remainder
    return domain, f"library/{remainder}" if library else remainder
