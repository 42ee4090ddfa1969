"""Archives: a bundle in one file, whose bytes depend on nothing but the bundle's.

`packed` makes a .tar.gz of a manifest and the files in order of their names; `opened` reads one from bytes, with every
limit looked at before memory is used, and compares each file's digest with the manifest's, both ways. An archive is
not unpacked anywhere. What is read is only what `packed` would have written: a second form would be one in which two
readers may see two bundles.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from typing import Any

from delivery import tar
from delivery.content import Content, SourceError, Step
from delivery.deflate import gzipped
from delivery.files import read_file, reason
from delivery.fingerprint import Fingerprint, fingerprint_of
from delivery.folder import MAX_BUNDLE, MAX_FILE, MAX_FILES
from delivery.membership import Membership
from engine.documents import API_VERSION, Map, Scalar, Source, Value, parse_documents, printable
from engine.struct import Marked, field

MANIFEST = ".manifest.json"
"""The first file of an archive; hidden, and so never a bundle's own."""
KIND = "BundleManifest"
HEAD = "bundle.yaml"
"""The file that says what bundle it is; the manifest says the same."""
MAX_MANIFEST = 1 << 20
MAX_TAR = MAX_BUNDLE + MAX_MANIFEST + (MAX_FILES + 2) * 2 * tar.BLOCK
MAX_ARCHIVE = MAX_TAR + MAX_TAR // 8
"""Limits in bytes: of the manifest, of an archive's tar, of the archive."""
ATTESTATION = ".sigstore.json"
"""What the name of an archive's attestation beside it ends with."""
MAX_ATTESTATION = 1 << 18
REBUILD = "build it anew with `bayplan build`, or fetch it again"
LEAVE_OUT = "leave out what is not of the bundle, in `.bayplanignore`"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Manifest(Marked, frozen=True):
    """What an archive says that it holds.

    `revision` is the commit of Git that it was built from, empty where it was not, or not from that alone; `digests`
    are the SHA-256 of files (hexadecimal), by path.
    """

    unprinted = ("digests",)

    name: str
    version: str
    revision: str = ""
    requires: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        """As it is written into the archive: JSON, keys in order."""
        said: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "version": self.version,
            "requires": dict(self.requires),
            "files": {name: {"sha256": digest} for name, digest in self.digests.items()},
        }
        said |= {"revision": self.revision} if self.revision else {}
        return json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


class Archive(Marked, frozen=True):
    """What an archive holds: its manifest, and the bytes of the bundle's files, by path below it."""

    unprinted = ("files",)

    manifest: Manifest
    files: Mapping[str, bytes]


def packed(files: Mapping[str, bytes], manifest: Manifest) -> bytes:
    """The archive of a bundle's files; the digests of the manifest are made here.

    Raises tar.TarError for a name that is too long.
    """
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    whole = Manifest(manifest.name, manifest.version, manifest.revision, manifest.requires, digests)
    return gzipped(tar.written([(MANIFEST, whole.data()), *sorted(files.items())]))


def opened(data: bytes) -> Archive:
    """What an archive holds. Raises SourceError, whose text names the file and says what to do."""
    try:
        files = dict(tar.read(_Unzipped(data), MAX_FILES + 1, MAX_FILE))
    except tar.TarLimitError as error:
        raise _failed("limits", str(error), LEAVE_OUT) from error
    except tar.TarError as error:
        raise _failed("digest", str(error)) from error
    total = sum(len(one) for name, one in files.items() if name != MANIFEST)
    if total > MAX_BUNDLE:
        raise _too_large(total, MAX_BUNDLE)
    if next(iter(files), "") != MANIFEST:
        raise _failed("digest", f"it does not begin with `{MANIFEST}`", "`bayplan build` makes archives of bundles")
    manifest = _manifest(files.pop(MANIFEST))
    _check_names(files)
    _compare(files, manifest.digests)
    _compare_names(files.get(HEAD, b""), manifest)
    return Archive(manifest, files)


def files_of(data: bytes) -> Mapping[str, bytes]:
    """The bytes of the files of the bundle in an archive, by path below it. Raises SourceError as `opened`."""
    return opened(data).files


class ArchiveSource:
    """An archive in a file as a source of bundles; beside it may be what signs it, `<archive>.sigstore.json`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._known: tuple[Fingerprint, str] | None = None

    @property
    def origin(self) -> str:
        return self._path

    def look(self) -> str:
        """The digest of the archive, and of its attestation if there is one; files that stay are not read again."""
        now = self._fingerprint()
        if self._known is None or self._known[0] != now:
            self._known = now, _version(*self._read("look"))
        return self._known[1]

    def fetch(self) -> Content:
        before = self._fingerprint()
        data, attestations = self._read("fetch")
        if self._fingerprint() != before:
            raise SourceError("fetch", f"`{self._path}` changed while it was read")
        archive = opened(data)
        built = f", commit {archive.manifest.revision}" if archive.manifest.revision else ""
        origin = f"{self._path} ({printable(f'{archive.manifest.name} {archive.manifest.version}')}{built})"
        version, digest = _version(data, attestations), hashlib.sha256(data).hexdigest()
        return Content(version, origin, archive.files, archive=digest, attestations=attestations)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _fingerprint(self) -> Fingerprint:
        return fingerprint_of(self._path, self._path + ATTESTATION)

    def _read(self, step: Step) -> tuple[bytes, tuple[bytes, ...]]:
        data = _bytes(self._path, MAX_ARCHIVE, step)
        signed = os.path.lexists(self._path + ATTESTATION)
        return data, (_bytes(self._path + ATTESTATION, MAX_ATTESTATION, step),) if signed else ()


class _Unzipped:
    """The bytes that a gzip file stands for, as a stream that never holds more than it was asked for."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_ARCHIVE:
            raise _too_large(len(data), MAX_ARCHIVE)
        self._inflate = zlib.decompressobj(wbits=31)
        self._left, self._taken = data, 0

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end. Raises SourceError for what is damaged, or too much."""
        taken = bytearray()
        while len(taken) < size and not self._inflate.eof:
            more = self._more(size - len(taken))
            if not more:
                break
            taken += more
        self._taken += len(taken)
        if self._taken > MAX_TAR:
            raise _too_large(self._taken, MAX_TAR)
        if self._inflate.eof and self._inflate.unused_data:
            raise _failed("digest", "there is something after its end")
        if len(taken) < size and not self._inflate.eof:
            raise _failed("digest", "it is cut off")
        return bytes(taken)

    def _more(self, size: int) -> bytes:
        try:
            more = self._inflate.decompress(self._left, size)
        except zlib.error as error:
            what = "it is damaged" if self._taken else "it is no gzip file, or damaged"
            raise _failed("digest", what) from error
        self._left = self._inflate.unconsumed_tail
        return more


def _failed(step: Step, what: str, remedy: str = REBUILD) -> SourceError:
    return SourceError(step, f"the archive can't be taken: {printable(what)}; {remedy}")


def _too_large(size: int, limit: int) -> SourceError:
    message = f"the bundle is too large: {size:,} bytes or more, at most {limit:,} may be"
    return _failed("limits", message, LEAVE_OUT)


def _bytes(path: str, limit: int, step: Step) -> bytes:
    try:
        data = read_file(path, limit)
    except OSError as error:
        raise SourceError(step, f"`{path}` can't be read: {reason(error)}") from error
    if len(data) > limit:
        raise SourceError("limits", f"`{path}` is too large: at most {limit:,} bytes may be")
    return bytes(data)


def _version(data: bytes, attestations: tuple[bytes, ...]) -> str:
    signed = "".join(f"+{hashlib.sha256(one).hexdigest()[:16]}" for one in attestations)
    return f"sha256:{hashlib.sha256(data).hexdigest()}{signed}"


def _manifest(data: bytes) -> Manifest:
    """The manifest in these bytes; keys that are not known are for later versions of Bayplan."""
    try:
        said = json.loads(data.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _failed("digest", f"`{MANIFEST}` is not JSON: {error}") from error
    if not isinstance(said, dict) or (said.get("apiVersion"), said.get("kind")) != (API_VERSION, KIND):
        raise _failed("digest", f"`{MANIFEST}` is no {KIND} of {API_VERSION}", "a later Bayplan may have built it")
    name, version, revision = said.get("name"), said.get("version"), said.get("revision", "")
    requires, files = said.get("requires", {}), said.get("files")
    if not (isinstance(name, str) and isinstance(version, str) and isinstance(revision, str)):
        raise _failed("digest", f"`name`, `version` or `revision` of `{MANIFEST}` is no text")
    for said_of in (name, version, revision):
        if printable(said_of) != said_of or " " in said_of:  # they are shown, and written beside the archive
            raise _failed("digest", f"`{said_of}` in `{MANIFEST}` is no name, version or commit")
    if not isinstance(requires, dict) or not all(isinstance(one, str) for one in requires.values()):
        raise _failed("digest", f"`requires` of `{MANIFEST}` is no map of texts")
    return Manifest(name, version, revision, requires, _digests(files))


def _digests(files: Any) -> dict[str, str]:
    if not isinstance(files, dict):
        raise _failed("digest", f"`files` of `{MANIFEST}` is no map")
    digests = {}
    for name, one in files.items():
        digest = one.get("sha256") if isinstance(one, dict) else None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _failed("digest", f"`{MANIFEST}` has no SHA-256 of `{name}`")
        digests[name] = digest
    return digests


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a key is given twice")
    return said


def _check_names(files: Mapping[str, bytes]) -> None:
    if list(files) != sorted(files):
        raise _failed("digest", "its files are not in order of their names")
    for name in files:
        if not Membership().holds(name):
            raise _failed("digest", f"`{name}` does not belong to a bundle")


def _compare(files: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    for name in sorted(digests.keys() ^ files.keys()):
        where = (
            "in the archive, and not in its manifest" if name in files else "in the manifest, and not in the archive"
        )
        raise _failed("digest", f"`{name}` is {where}")
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != digests[name]:
            raise _failed("digest", f"`{name}` has another digest than the manifest says")


def _compare_names(head: bytes, manifest: Manifest) -> None:
    """That the manifest names the bundle as its own file does; what is wrong with that file is not said here."""
    for document in parse_documents(Source(HEAD, head.decode(errors="replace")))[0]:
        if not isinstance(document, Map) or _text(document, "kind") != "Bundle":
            continue
        for said, path in ((manifest.name, ("metadata", "name")), (manifest.version, ("spec", "version"))):
            own = _text(document, *path)
            if own not in ("", said):
                raise _failed("digest", f"its manifest says `{said}` where `{HEAD}` says `{own}`")


def _text(document: Map, *path: str) -> str:
    """The text at a path, empty where there is none."""
    value: Value | None = document
    for key in path:
        value = value.get(key) if isinstance(value, Map) else None
    return value.text if isinstance(value, Scalar) else ""
