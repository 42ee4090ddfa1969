"""Whether files have changed: bundles, inventories, certificates.

Looked at twice a second instead of waiting for the kernel's events: those do not come from network file systems, nor
when a link further up the path is turned to another folder, which is how ConfigMaps, Secrets and git-sync change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from delivery.files import found_in, reason

Fingerprint = bytes


def fingerprint_of(*paths: str | os.PathLike[str]) -> Fingerprint:
    """Equal as long as no file under the paths has changed, of those that are read from folders.

    What does not exist, can't be read or is no file is part of it; nothing is opened, and no error raised.
    """
    total = hashlib.sha256()
    for path in paths:
        for entry in _entries(os.fspath(path)):
            total.update("\0".join((*entry, "\n")).encode(errors="surrogateescape"))
    return total.digest()


def _entries(path: str) -> Iterator[tuple[str, ...]]:
    yield path, os.path.realpath(path)
    if not os.path.isdir(path):
        yield _entry(path)
        return
    for found in found_in(path):
        yield (found.path, found.trouble) if found.trouble else _entry(found.path)


def _entry(path: str) -> tuple[str, ...]:
    try:
        target = os.readlink(path) if os.path.islink(path) else ""
        found = os.stat(path)
    except OSError as error:
        return path, reason(error)
    return path, target, *map(str, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode))
