"""A folder as a source of bundles: one that somebody edits, that git-sync or a kubelet keeps, or that never changes."""

from __future__ import annotations

import os
import time

from delivery.content import Content, SourceError
from delivery.fingerprint import fingerprint_of
from delivery.folder import files_of
from engine.documents import BundleError

SETTLE_SECONDS = 0.1
"""A folder that changed is taken once it has been at rest this long."""
MOST_LOOKS = 20
"""How often it is waited for that a folder comes to rest, before the next round's turn."""


class FolderSource:
    """The source of a bundle in a folder. Its versions are fingerprints: looking opens no file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._known = ""

    @property
    def origin(self) -> str:
        return self._path

    def look(self) -> str:
        """The fingerprint of the folder; one that is not the last one is given once it stays the same for a while."""
        now = self._version()
        if self._known and now != self._known:
            now = self._settled(now)
        self._known = now
        return now

    def fetch(self) -> Content:
        before = self._version()
        try:
            files, problems = files_of(self._path)
        except BundleError as error:
            raise SourceError("fetch", error.problems[0].message) from error
        if self._version() != before:  # not everything that was read need belong together
            raise SourceError("fetch", f"`{self._path}` changed while it was read")
        return Content(before, self._path, {name: bytes(data) for name, data in files.items()}, tuple(problems))

    def close(self) -> None:
        """There is nothing to let go of."""

    def _version(self) -> str:
        return fingerprint_of(self._path).hex()

    def _settled(self, now: str) -> str:
        for _ in range(MOST_LOOKS):
            time.sleep(SETTLE_SECONDS)
            before, now = now, self._version()
            if before == now:
                break
        return now
