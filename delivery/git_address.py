"""How a state of a folder in a repository of Git is written: `git+https://host/repository.git//folder?tag=v1.2.0`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from engine.documents import RequestError, printable
from engine.versions import VersionRange

Kind = Literal["head", "branch", "tag", "semver", "commit"]
_KINDS: tuple[Kind, ...] = ("branch", "tag", "semver", "commit")
_FORM = "`git+https://host/repository.git//folder?branch=main`"


@dataclass(frozen=True, slots=True)
class GitAddress:
    """A folder of a repository, and which of its states is meant: `wanted` is a branch, tag, range or commit.

    `head` is the branch that the repository calls its own, and wants nothing.
    """

    url: str
    folder: str = ""
    kind: Kind = "head"
    wanted: str = ""

    def __str__(self) -> str:
        folder, wanted = self.folder and f"//{self.folder}", f"?{self.kind}={self.wanted}" if self.wanted else ""
        return f"git+{self.url}{folder}{wanted}"

    @property
    def host(self) -> str:
        """Who is asked, for messages."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or "the repository"


def git_address(text: str) -> GitAddress:
    """The address that a text like `git+https://host/repository.git//folder?tag=v1.2.0` says. Raises RequestError."""
    url, _, query = text.removeprefix("git+").partition("?")
    scheme, separator, place = url.partition("://")
    if not separator or not text.startswith("git+") or scheme not in ("https", "ssh", "file"):
        raise _wrong(text, f"expected {_FORM}, or `git+ssh://git@host/repository.git`")
    repository, _, folder = place.partition("//")
    user, at, _ = repository.partition("/")[0].rpartition("@")
    if at and (scheme != "ssh" or ":" in user):
        shown = f"{scheme}://…@{repository.rpartition('@')[2]}"
        raise RequestError(f"`git+{shown}`", "holds credentials; put them into files in the folder of credentials")
    _check_place(text, f"{scheme}://{repository}")
    parts = [part for part in folder.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise _wrong(text, f"the folder `{folder}` leads out of where it is")
    kind, wanted = _wanted(text, query)
    return GitAddress(f"{scheme}://{repository.rstrip('/')}", "/".join(map(unquote, parts)), kind, wanted)


def _check_place(text: str, url: str) -> None:
    try:
        place = urlsplit(url)
        port = place.port
    except ValueError:
        raise _wrong(text, "the host or its port can't be read") from None
    host = place.hostname or ""
    if place.scheme == "file":
        if host or not place.path.strip("/"):
            raise _wrong(text, "expected `git+file:///path/of/the/repository`")
    elif not host or host.startswith("-") or (place.username or "").startswith("-") or port == 0:
        raise _wrong(text, f"has no host; expected {_FORM}")
    elif not place.path.strip("/"):
        raise _wrong(text, f"names no repository; expected {_FORM}")
    if not url.isprintable() or " " in url:
        raise _wrong(text, "holds a blank, or a character that does not show")


def _wanted(text: str, query: str) -> tuple[Kind, str]:
    if not query:
        return "head", ""
    name, _, value = query.partition("=")
    wanted = unquote(value)
    kind = next((kind for kind in _KINDS if kind == name), None)
    if kind is None or not wanted or "&" in value:
        raise _wrong(text, "expected one of `?branch=`, `?tag=`, `?semver=` or `?commit=` with a value")
    if kind == "commit" and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", wanted):
        raise _wrong(text, f"`{printable(wanted)}` is no commit; expected all 40 hexadecimal digits of one")
    if kind == "semver":
        try:
            VersionRange(wanted)
        except ValueError as error:
            raise _wrong(text, f"`{printable(wanted)}` is no range of versions: {error}") from None
    elif not wanted.isprintable() or re.search(r"[ ~^:?*\[\\]|\.\.|//|^[/-]|/$|\.lock$", wanted):
        raise _wrong(text, f"`{printable(wanted)}` can't be the name of a {kind}")
    return kind, wanted


def _wrong(text: str, why: str) -> RequestError:
    return RequestError(f"`{printable(text)}`", why)
