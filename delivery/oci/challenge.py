"""What a registry asks for when it does not let us in: RFC 9110 §11.6.1, and its token servers' three parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from delivery.oci.reference import Reference
from delivery.proxies import is_loopback

MAX_CHALLENGE = 1 << 13
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART = re.compile(
    rf'(?P<key>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_TOKEN}))|(?P<scheme>{_TOKEN})'
)


def challenges(header: str) -> dict[str, dict[str, str]]:
    """The parameters by scheme, both in lower case; of two challenges of one scheme the first."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for part in _PART.finditer(header[:MAX_CHALLENGE]):
        if part["scheme"]:
            current = {}
            found.setdefault(part["scheme"].lower(), current)
        else:
            quoted = part["quoted"]
            value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            current.setdefault(part["key"].lower(), value)
    return found


def token_url(bearer: Mapping[str, str], base: str) -> str:
    """Where a token is to be had, without its query.

    Raises ValueError where that is no place to show credentials at: it must be encrypted, as the registry itself is.
    """
    realm = bearer.get("realm", "")
    try:
        place = urlsplit(realm)
        host, _ = place.hostname, place.port
    except ValueError:
        host = None
    if not host or not realm.isascii() or not realm.isprintable() or place.fragment or "@" in place.netloc:
        raise ValueError("names no place to get a token from")
    local = place.scheme == "http" and base.startswith("http://") and is_loopback(host)
    if place.scheme != "https" and not local:
        raise ValueError(f"sends us to `{place.scheme}://{place.netloc}` for a token, which is not encrypted")
    return realm


def token_query(bearer: Mapping[str, str], reference: Reference, actions: str) -> dict[str, str]:
    """The query of a request for a token that is good for some actions on a repository, and for nothing else."""
    query = {"service": bearer["service"]} if "service" in bearer else {}
    return {**query, "scope": scope(bearer.get("scope", ""), reference, actions)}


def scope(asked: str, reference: Reference, actions: str) -> str:
    """What a token shall be good for: what we need, and not more, for who makes us ask for more gets it.

    A registry may know the repository by a longer or shorter name than we do, and says so.
    """
    kind, _, rest = asked.partition(":")
    name, ours = rest.rpartition(":")[0], reference.repository
    same = kind == "repository" and (name.endswith(f"/{ours}") or ours.endswith(f"/{name}"))
    return f"repository:{name if same else ours}:{actions}"


def with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"
