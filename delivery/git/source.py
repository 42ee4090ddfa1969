"""Bundles from a repository of Git: a branch, a tag, the newest tag of a range of versions, or a commit.

Nothing is checked out, nothing touches the disk: a reference is looked up, its commit is fetched without history, and
the files of one folder are taken from its tree as they were committed. Where the server can send only what is asked
for, trees come first and then the files of that folder; else all of the commit comes, within the limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from delivery.content import Content, SignedObject, SourceError
from delivery.credentials import Credentials, read_credentials
from delivery.files import MAX_DEPTH, MAX_ENTRIES
from delivery.folder import MAX_BUNDLE, MAX_FILE, MAX_FILES
from delivery.git.objects import (
    FILE_MODES,
    FOLDER,
    LINK,
    SUBMODULE,
    Entry,
    entries_of,
    signed_commit,
    signed_tag,
    tag_of,
    tree_of,
)
from delivery.git.pack import BLOB, COMMIT, TAG, TREE, Pack
from delivery.membership import IGNORE_FILE, MAX_IGNORE, Membership, membership
from delivery.transfer import Transfer
from engine.documents import BundleError, Problem, Source, Span, oversize, printable
from engine.versions import VersionRange

if TYPE_CHECKING:
    from delivery.git.remote import Received, Remote
    from delivery.sources import Address

SECONDS = 60.0
"""How long an operation may take, unless something else is said."""
MAX_REFS = 8 << 20
MAX_PACK = 32 << 20
MAX_TREES = 32 << 20
"""Limits in bytes: what a server says of its references, a pack as it is sent, trees in memory."""


class GitSource:
    """A folder of a repository as a source of bundles."""

    def __init__(self, address: Address, credentials: Path | None = None, seconds: float = SECONDS) -> None:
        """`credentials` is a folder, read at each use; `seconds` is how long each operation may take."""
        self._address, self._credentials, self._seconds = address, credentials, seconds
        self._kind, self._wanted = address.wanted
        self._whom = urlsplit(address.location).netloc.rpartition("@")[2] or f"`{address.location}`"
        self._opened: Remote | None = None

    @property
    def origin(self) -> str:
        return self._address.text

    def look(self) -> str:
        if self._kind == "commit":
            return self._wanted
        with Transfer("look", self._whom, self._seconds, MAX_REFS) as transfer:
            refs = self._remote().refs(transfer, self._prefixes())
            name = self._ref(refs.names, transfer)
            found = refs.names[name]
            return self._version(name, refs.peeled.get(name, found), found)

    def fetch(self) -> Content:
        with Transfer("fetch", self._whom, self._seconds, MAX_REFS + 2 * MAX_PACK) as transfer:
            return _Fetch(self, self._address.folder, transfer).content()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _remote(self) -> Remote:
        if self._opened is None:
            # dulwich and an HTTP client are imported by whoever asks a repository
            from delivery.git.over_https import HttpsRemote
            from delivery.git.over_pipe import PipeRemote

            kind = HttpsRemote if self._address.location.startswith("http") else PipeRemote
            self._opened = kind(self._address.location, self._read_credentials)
        return self._opened

    def _read_credentials(self, transfer: Transfer) -> Credentials:
        return read_credentials(self._credentials, transfer.step)

    def _prefixes(self) -> list[str]:
        match self._kind:
            case "branch":
                return [f"refs/heads/{self._wanted}"]
            case "tag":
                return [f"refs/tags/{self._wanted}"]
            case "semver":
                return ["refs/tags/"]
        return ["HEAD"]

    def _ref(self, names: Mapping[str, str], transfer: Transfer) -> str:
        """The reference that is meant. Raises SourceError where there is none."""
        if self._kind == "semver":
            tags = {name.removeprefix("refs/tags/") for name in names if name.startswith("refs/tags/")}
            newest = VersionRange(self._wanted).newest(tags)
            if newest is None:
                raise transfer.error(f"no tag is in the range `{self._wanted}`{_few(tags)}")
            return f"refs/tags/{newest}"
        [name] = self._prefixes()
        if name in names:
            return name
        what = f"{self._kind} `{self._wanted}`" if self._kind else "branch of its own"
        raise transfer.error(f"`{self._address.location}` has no {what}; was it deleted or renamed?")

    def _version(self, ref: str, commit: str, target: str) -> str:
        """How a state is called: by its commit, and if it was asked for by a tag, by that and its object too."""
        if not ref.startswith("refs/tags/"):
            return commit
        return f"{ref.removeprefix('refs/tags/')}@{commit}" + (f"+{target}" if target != commit else "")


class _Fetch:
    """One fetch: from a reference to the files."""

    def __init__(self, source: GitSource, folder: str, transfer: Transfer) -> None:
        self._source, self._folder, self._transfer = source, folder, transfer
        self._remote = source._remote()
        self._ref, self._start = "", ""
        self._objects: dict[str, tuple[int, bytes]] = {}
        self._files: dict[str, bytes] = {}
        self._problems: list[Problem] = []

    def content(self) -> Content:
        pack = self._received(whole=False)
        self._keep(pack)
        commit, signed = self._commit()
        wanted = self._listed(tree_of(self._objects[commit][1]), pack)
        blobs = self._blobs(pack, wanted)
        for path, name in wanted.items():
            self._file(path, blobs[name])
        version = self._source._version(self._ref, commit, self._start)
        return Content(
            version, f"{self._source.origin} at {commit}", self._files, tuple(self._problems), objects=tuple(signed)
        )

    def _received(self, *, whole: bool) -> Pack:
        from delivery.git.remote import RefusedError

        try:
            return self._pack(self._remote.pack(self._transfer, self._source._prefixes(), self._choose, whole=whole))
        except RefusedError as error:
            raise self._transfer.error(
                f"{self._transfer.whom} does not hand out `{self._start}`: {error}. It was removed, or only what"
                " branches and tags point to is handed out (`uploadpack.allowAnySHA1InWant`); ask for a branch or a tag"
            ) from error

    def _choose(self, names: Mapping[str, str]) -> list[str]:
        if not self._start:
            self._ref = "" if self._source._kind == "commit" else self._source._ref(names, self._transfer)
            self._start = names[self._ref] if self._ref else self._source._wanted
        return [self._start]

    def _pack(self, received: Received) -> Pack:
        if len(received.pack) > MAX_PACK:
            raise SourceError("limits", f"the pack is larger than {MAX_PACK >> 20} MiB")
        return Pack(received.pack, self._transfer.left, received.algorithm)

    def _keep(self, pack: Pack) -> None:
        """Commits, tags and trees, all of them: which are needed is known when all are there."""
        size = 0
        for one in pack.objects(COMMIT, TAG, TREE):
            self._objects[one.name] = one.kind, one.data
            size += len(one.data)
            if size > MAX_TREES:
                raise SourceError("limits", f"the folders of the repository take more than {MAX_TREES >> 20} MiB")

    def _object(self, name: str, kind: int, what: str) -> bytes:
        found = self._objects.get(name)
        if found is None or found[0] != kind:
            raise SourceError("digest", f"{self._transfer.whom} left out {what} `{name}`, or it is too large")
        return found[1]

    def _commit(self) -> tuple[str, list[SignedObject]]:
        """The commit that is meant, and the signed objects that lead to it."""
        name, seen = self._start, 0
        signed: list[SignedObject | None] = []
        while self._ref and (found := self._objects.get(name)) is not None and found[0] == TAG:
            tag = tag_of(found[1])
            if name == self._start and f"refs/tags/{tag.called}" != self._ref:
                asked = printable(self._ref.removeprefix("refs/tags/"))
                called = f"the tag `{asked}` calls itself `{printable(tag.called)}`"
                raise SourceError(
                    "digest", f"{called}; a tag that was signed under one name is not taken under another"
                )
            if tag.kind not in ("commit", "tag") or (seen := seen + 1) > 8:
                raise self._transfer.error(f"the tag `{printable(tag.called)}` is about a {tag.kind}, not a commit")
            if name == self._start:  # one that it is about was signed under its own name, not under this one
                signed.append(signed_tag(printable(tag.called), found[1]))
            name = tag.target
        data = self._object(name, COMMIT, "the commit")
        signed.append(signed_commit(name, data))
        return name, [one for one in signed if one]

    def _listed(self, tree: str, pack: Pack) -> dict[str, str]:
        """The names of the blobs of the folder's files, by their path below it; what can't be one is a problem."""
        width = len(tree) // 2
        for part in self._folder.split("/") if self._folder else ():
            entries = {entry.name: entry for entry in entries_of(self._object(tree, TREE, "the folder"), width)}
            found = entries.get(part)
            if found is None or found.mode != FOLDER:
                folders = sorted(entry.name for entry in entries.values() if entry.mode == FOLDER)
                raise self._transfer.error(f"`{self._source.origin}` has no folder `{part}`{_few(folders)}")
            tree = found.target
        belongs = self._membership(entries_of(self._object(tree, TREE, "the folder"), width), pack)
        wanted: dict[str, str] = {}
        above, seen = [("", tree)], 0
        while above:
            self._transfer.left()
            path, tree = above.pop()
            if path.count("/") > MAX_DEPTH:
                raise SourceError("limits", f"folders are nested more than {MAX_DEPTH} deep")
            for entry in entries_of(self._object(tree, TREE, "the folder"), width):
                seen += 1
                if seen > MAX_ENTRIES:
                    raise SourceError("limits", f"there are more than {MAX_ENTRIES:,} files and folders in it")
                below = path + entry.name
                if entry.mode == FOLDER and belongs.enters(below):
                    above.append((f"{below}/", entry.target))
                elif entry.mode in FILE_MODES and belongs.takes(below):
                    wanted[below] = entry.target
                    if len(wanted) > MAX_FILES:  # which whoever reads the bundle tells
                        return dict(sorted(wanted.items()))
                else:
                    self._told(below, entry, belongs)
        return dict(sorted(wanted.items()))

    def _membership(self, entries: Iterable[Entry], pack: Pack) -> Membership:
        """What belongs to the bundle, by the `.bayplanignore` among the entries of its folder."""
        named = next((entry for entry in entries if entry.name == IGNORE_FILE), None)
        try:
            if named is None:
                return membership(None)
            if named.mode not in FILE_MODES:
                raise SourceError("fetch", f"`{IGNORE_FILE}` is no file, and what belongs to the bundle is not known")
            data = self._blobs(pack, {IGNORE_FILE: named.target})[named.target]
            return membership(bytes(MAX_IGNORE + 1) if data is None else data)
        except BundleError as error:
            self._problems += error.problems
            return Membership()

    def _told(self, path: str, entry: Entry, belongs: Membership) -> None:
        """What is no file of Git's, and may stand for one."""
        if not belongs.enters(path) or belongs.named(path):
            return
        if entry.mode == SUBMODULE:
            what, hint = "a submodule, whose files are in another repository", "commit the files here"
        elif entry.mode == LINK and (belongs.takes(path) or "." not in entry.name):
            what, hint = (
                "a symbolic link, which is not followed in a repository",
                "commit what it leads to in its place",
            )
        else:
            return
        message, hint = f"this is {what}", f"{hint}, or name it in `{IGNORE_FILE}`"
        span = Span(Source(printable(path), ""), 0, 0)
        self._problems.append(Problem("not-a-file", message, span, "a file or a folder", hint))

    def _blobs(self, pack: Pack, wanted: Mapping[str, str]) -> dict[str, bytes | None]:
        """The bytes of blobs by name; None for those that are too large."""
        names = set(wanted.values())
        found = _small(pack, names)
        missing = names - found.keys()
        if missing:
            pack = self._asked(sorted(missing))
            found |= _small(pack, missing)
        for path, name in wanted.items():
            if name not in found and not pack.passed_over:
                raise SourceError("digest", f"{self._transfer.whom} left out the file `{printable(path)}`")
        return dict.fromkeys(names) | found

    def _asked(self, names: list[str]) -> Pack:
        """Blobs that the server has left out so far, or all there is, where it does not hand out blobs alone."""
        from delivery.git.remote import RefusedError

        try:
            return self._pack(self._remote.pack(self._transfer, self._source._prefixes(), lambda _: names, whole=True))
        except RefusedError:
            return self._received(whole=True)

    def _file(self, path: str, data: bytes | None) -> None:
        if data is None:
            source = Source(printable(path), "")
            self._problems.append(oversize(source, "its end is not seen", f"{MAX_FILE:,} bytes"))
        else:
            self._files[path] = data


def _small(pack: Pack, names: set[str]) -> dict[str, bytes | None]:
    """The blobs of these names; None for those that are too large. Raises SourceError where all of them are."""
    found: dict[str, bytes | None] = {}
    size = 0
    for one in pack.objects(BLOB):
        if one.name in names:
            found[one.name] = one.data if len(one.data) <= MAX_FILE else None
            size += len(found[one.name] or b"")
            if size > MAX_BUNDLE:
                raise SourceError("limits", f"the bundle is too large: more than {MAX_BUNDLE:,} bytes")
    return found


def _few(names: set[str] | list[str]) -> str:
    """Some of what there is instead, for a message."""
    some = [f"`{printable(name)}`" for name in sorted(names)[-5:]]
    return f"; there are {', '.join(some)}" + (" and others" if len(names) > 5 else "") if some else "; there are none"
