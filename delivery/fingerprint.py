"""Whether files have changed: bundles, inventories, certificates.

Looked at twice a second instead of waiting for the kernel's events: those do not come from network file systems, nor
when a link further up the path is turned to another folder, which is how ConfigMaps, Secrets and git-sync change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

Fingerprint = tuple[tuple[str, ...], ...]


def fingerprint_of(*paths: str | os.PathLike[str]) -> Fingerprint:
    """Equal as long as no file under the paths has changed. What does not exist, or can't be read, is part of it."""
    return tuple(sorted(entry for path in paths for entry in _entries(os.fspath(path))))


def _entries(path: str) -> Iterable[tuple[str, ...]]:
    yield path, os.path.realpath(path)
    if not os.path.isdir(path):
        yield _entry(path)
        return
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            yield _entry(os.path.join(folder, name))


def _entry(path: str) -> tuple[str, ...]:
    try:
        target = os.readlink(path) if os.path.islink(path) else ""
        if os.path.isdir(path):
            return path, target
        found = os.stat(path)
    except OSError as error:
        return path, error.strerror or str(error)
    return path, target, str(found.st_ino), str(found.st_size), str(found.st_mtime_ns), str(found.st_mode)
