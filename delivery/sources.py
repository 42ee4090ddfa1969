"""How a source of bundles is written, and the `Source` that it stands for.

One grammar for every command:

- `./folder`, `./bundle.tar.gz`
- `git+https://host/repo.git//sub/folder?branch=main`, or `tag=v1.2.0`, `semver=^1.2`, `commit=<40 hexadecimal digits>`,
  none of them for the default branch; `git+ssh://git@host:port/repo.git//sub`, `git+file:///path//sub`
- `oci://registry/repository:tag`, `oci://registry/repository@sha256:<64 digits>`, `oci://registry/repository?semver=^1.2`
- `objects://name`, the Bundle of that name in the cluster, with the PlacementPolicies whose label says so

Credentials are never part of it: they would be shown wherever the source is named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import unquote

from delivery import content
from delivery.archive import ArchiveSource
from delivery.folder_source import FolderSource
from engine.documents import BundleError, Problem, Source, Span, did_you_mean, printable
from engine.names import is_label_value, is_subdomain
from engine.struct import Struct
from engine.versions import VersionRange

if TYPE_CHECKING:  # whoever reads a folder does without
    from cluster import PolicyWatch

Kind = Literal["folder", "archive", "git", "oci", "objects"]
ARCHIVES = (".tar.gz", ".tgz")
SCHEMES = ("git+https://", "git+ssh://", "git+file://", "git+http://", "oci://", "objects://")
WANTED = ("branch", "tag", "semver", "commit")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
WRITTEN = "source"
"""What is said of a problem of such a text: it is no rule of `check`, for it is about a command line."""
HIDDEN = "…"
"""What is shown in the place of credentials."""
SECONDS = 60.0
"""How long one question to a source may take, unless something else is said."""
EXAMPLE = "`git+https://host/repo.git//folder?branch=main`"

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_NO_REFERENCE = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/]|/$|\.$|\.lock$")
"""What a name of a branch or a tag never holds: git-check-ref-format."""


class Address(Struct, frozen=True):
    """A source as somebody wrote it, taken apart.

    `location` is a path; of a repository its URL, for git to understand; of an artifact `registry/repository`; of
    objects the bundle's name. `folder` is the one inside a repository, empty for all of it. `wanted` says which state:
    `branch`, `tag`, `semver`, `commit` or `digest`, and its value; both empty where nothing is said.
    """

    text: str
    kind: Kind
    location: str
    folder: str = ""
    wanted: tuple[str, str] = ("", "")

    @property
    def local(self) -> bool:
        """Whether it is a file or folder here, which is asked often and answers at once."""
        return self.kind in ("folder", "archive")


def read_address(text: str, flag: str = "--bundle") -> Address:
    """The parts of a source. Raises BundleError that points into the text; `flag` says whose text it is."""
    return _Reader(Source(flag, text)).address()


def source_of(
    address: Address, credentials: Path | None = None, seconds: float = SECONDS, watch: PolicyWatch | None = None
) -> content.Source:
    """The source of an address.

    `credentials` is a folder of files, read at each use; `seconds` is how long a look or a fetch may take. Objects are
    followed by `watch`; without, kubectl's cluster is asked once.
    """
    if address.kind == "folder":
        return FolderSource(address.location)
    if address.kind == "archive":
        return ArchiveSource(address.location)
    if address.kind == "git":  # whoever reads a folder does without these
        from delivery.git import GitSource

        return GitSource(address, credentials, seconds)
    if address.kind == "objects":
        from delivery.objects import ObjectSource, once

        return ObjectSource(watch) if watch else once(address.location, seconds)
    from delivery.oci import OciSource, reference_of

    return OciSource(reference_of(address.location, address.wanted), credentials, seconds)


class _Reader:
    """Reads one text; the first thing that is wrong ends it, for what follows depends on it."""

    def __init__(self, source: Source) -> None:
        self._source, self._text = source, source.text

    def address(self) -> Address:
        text = self._text
        if not text.strip():
            self._wrong("this names no source", 0, 0, f"a folder, an archive, or {EXAMPLE}")
        if printable(text) != text:
            self._wrong("there is a character that does not show", 0, len(text))
        scheme, found, _ = text.partition("://")
        if not found:
            archive = text.endswith(ARCHIVES) and not os.path.isdir(text)
            return Address(text, "archive" if archive else "folder", text)
        return self._remote(f"{scheme}://")

    def _remote(self, scheme: str) -> Address:
        if scheme not in SCHEMES:
            near = f"did you mean `git+{scheme}`?" if f"git+{scheme}" in SCHEMES else did_you_mean(scheme, SCHEMES)
            known = ", ".join(f"`{one}`" for one in SCHEMES if one != "git+http://")
            self._wrong(f"`{scheme}` is no kind of source", 0, len(scheme), f"a path, or one of {known}", near)
        if (at := self._text.find("#")) >= 0:
            self._wrong(
                "an address of a source has no fragment", at, len(self._text), hint="say `?branch=…` or `?tag=…`"
            )
        if scheme == "objects://":
            return self._objects(len(scheme))
        path, mark, query = self._text.partition("?")
        wanted = self._wanted(query, len(path) + 1, scheme) if mark else ("", "")
        return self._oci(path, scheme, wanted) if scheme == "oci://" else self._git(path, scheme, wanted)

    def _objects(self, start: int) -> Address:
        name = self._text[start:]
        if not is_label_value(name) or not is_subdomain(name):
            what = "lower-case letters, digits, `-` and `.`, 63 at most"
            self._wrong(f"`{name}` is no name of a Bundle", start, len(self._text), what)
        return Address(self._text, "objects", name)

    def _git(self, path: str, scheme: str, wanted: tuple[str, str]) -> Address:
        start = len(scheme)
        rest, sub, folder = path[start:].partition("//")
        authority, slash, repository = rest.partition("/")
        if scheme == "git+file://":
            if authority:
                self._wrong(
                    "the path of a repository here is absolute", start, start + len(authority), "`git+file:///path`"
                )
        else:
            self._authority(authority, start, scheme)
        if not slash or not repository.strip("/"):
            self._wrong("there is no repository", start, len(path), EXAMPLE)
        if sub:
            self._folder(folder, start + len(rest) + 2)
        if (
            scheme == "git+http://"
            and authority.partition(":")[0] not in LOOPBACK
            and not authority.startswith("[::1]")
        ):
            hint = "say `git+https://`"
            self._wrong("whoever is on the way can change what is fetched without encryption", 0, start, hint=hint)
        return Address(self._text, "git", path[len("git+") : start] + unquote(rest), folder.strip("/"), wanted)

    def _authority(self, authority: str, start: int, scheme: str) -> None:
        user, at, host = authority.rpartition("@")
        if at and (scheme != "git+ssh://" or ":" in user):
            hint = "put `username` and `password` into files of the folder of --credentials"
            hidden = Source(self._source.name, self._text[:start] + HIDDEN + self._text[start + len(user) :])
            span = Span(hidden, start, start + len(HIDDEN))
            message = "an address holds no credentials, for it is shown"
            raise BundleError([Problem(WRITTEN, message, span, hint=hint)])
        found = _HOST.fullmatch(host)
        if not found or int(found["port"] or 0) > 65535:
            begin = start + len(user) + len(at)
            self._wrong(f"`{host}` is no host", begin, begin + len(host), "a name or an address, and a port if need be")

    def _folder(self, folder: str, start: int) -> None:
        parts = folder.rstrip("/").split("/")
        if any(part in ("", ".", "..") for part in parts) or parts[0] == ".git":
            end = start + len(folder)
            self._wrong(f"`{folder}` is no folder inside the repository", start, end, "a path without `.` and `..`")

    def _oci(self, path: str, scheme: str, wanted: tuple[str, str]) -> Address:
        start = len(scheme)
        registry, slash, rest = path[start:].partition("/")
        self._authority(registry, start, scheme)
        repository, by_digest, digest = rest.partition("@")
        tag = ""
        if not by_digest:
            repository, _, tag = rest.partition(":")
        begin = start + len(registry) + 1
        if not slash or not _REPOSITORY.fullmatch(repository):
            what = "lower-case letters, digits and `.`, `_`, `-` between them, parts set apart by `/`"
            self._wrong(f"`{repository}` is no name of a repository", begin, begin + len(repository), what)
        after = begin + len(repository) + 1
        if by_digest and not _DIGEST.fullmatch(digest):
            self._wrong(f"`{digest}` is no digest", after, len(path), "`sha256:` and 64 hexadecimal digits")
        if ":" in rest and not by_digest and not _TAG.fullmatch(tag):
            self._wrong(f"`{tag}` is no tag", after, len(path), "letters, digits, `_`, `.` and `-`, 128 at most")
        said = [one for one in (("digest", digest), ("tag", tag), wanted) if one[1]]
        if len(said) != 1:
            what = "which version is not said" if not said else f"`{said[0][0]}` and `{said[1][0]}` can't both be said"
            self._wrong(what, begin, len(self._text), "one of `:tag`, `@sha256:…` and `?semver=^1.2`")
        return Address(self._text, "oci", f"{registry}/{repository}", "", said[0])

    def _wanted(self, query: str, start: int, scheme: str) -> tuple[str, str]:
        """The one thing that a query says."""
        known = ("semver",) if scheme == "oci://" else WANTED
        expected = "one of " + ", ".join(f"`{one}=…`" for one in known)
        parts = query.split("&")
        if len(parts) != 1:
            self._wrong("more than one thing is asked for", start, len(self._text), expected)
        name, equals, value = parts[0].partition("=")
        if name not in known:
            end = start + len(name)
            self._wrong(f"`{name}` is nothing that can be asked for", start, end, expected, did_you_mean(name, known))
        value, begin = unquote(value), start + len(name) + 1
        if not equals or not value:
            self._wrong(f"`{name}` has no value", start, len(self._text), f"`{name}=…`")
        if name == "commit" and not _COMMIT.fullmatch(value):
            hint = f"say `branch={value}` or `tag={value}`" if not _NO_REFERENCE.search(value) else ""
            self._wrong(f"`{value}` is no commit", begin, len(self._text), "its 40 hexadecimal digits", hint)
        if name == "semver":
            self._range(value, begin)
        if name in ("branch", "tag") and _NO_REFERENCE.search(value):
            self._wrong(f"`{value}` is no name of a {name}", begin, len(self._text))
        return name, value

    def _range(self, value: str, start: int) -> None:
        try:
            VersionRange(value)
        except ValueError as error:
            self._wrong(
                f"`{value}` is no range of versions: {error}", start, len(self._text), "as `^1.2` or `>=1.2 <2`"
            )

    def _wrong(self, message: str, start: int, end: int, expected: str = "", hint: str = "") -> NoReturn:
        raise BundleError([Problem(WRITTEN, message, Span(self._source, start, end), expected, hint)])
