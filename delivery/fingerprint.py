"""Whether files have changed: bundles, inventories, certificates.

Looked at twice a second instead of waiting for the kernel's events: those do not come from network file systems, nor
when a link further up the path is turned to another folder, which is how ConfigMaps, Secrets and git-sync change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from delivery.files import EVERY_FILE, found_in, membership_in, reason
from delivery.membership import IGNORE_FILE, Membership
from engine.documents import BundleError

Fingerprint = bytes


def fingerprint_of(*paths: str | os.PathLike[str]) -> Fingerprint:
    """Equal as long as no file under the paths has changed, of those that are read from folders.

    What does not exist, can't be read or is no file is part of it; nothing is opened but `.bayplanignore`, and no error
    raised.
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
    yield _entry(os.path.join(path, IGNORE_FILE))
    for found in found_in(path, _membership(path)):
        yield (found.path, found.trouble) if found.trouble else _entry(found.path)


def _membership(path: str) -> Membership:
    """What belongs to the bundle in a folder; all that may, where its `.bayplanignore` says nothing useful."""
    try:
        return membership_in(path)
    except (BundleError, OSError):
        return EVERY_FILE


def _entry(path: str) -> tuple[str, ...]:
    try:
        target = os.readlink(path) if os.path.islink(path) else ""
        found = os.stat(path)
    except OSError as error:
        return path, reason(error)
    return path, target, *map(str, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode))
