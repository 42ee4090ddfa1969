"""Trusted keys and identities, read from files each time they are needed, for they are rotated while a process runs.

A file that is half written, out of place or damaged takes nothing from the others; it is told of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from delivery.files import read_file, reason
from delivery.signature.allowed_signers import allowed_signers
from delivery.signature.identities import read_identities
from delivery.signature.keys import MAX_PEM, BadKeyError, PublicKey, public_keys
from delivery.signature.strict_json import UnreadableError, json_object
from delivery.signature.trust import Root, Trust

MAX_KEYS = 64
MAX_ROOTS = 8
"""Limits of trusted keys for archives, and of trusted roots: each signature is held against each."""
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
"""How a trusted root names its format."""

Path = str | os.PathLike[str]
One = TypeVar("One")


def read_trust(
    keys: Iterable[Path] | None,
    signers: Iterable[Path] | None,
    identities: Iterable[Path] | None = None,
    roots: Iterable[Path] = (),
    *,
    required: bool | None = None,
    name: str = "",
    allow_older: bool = False,
    allow_digest: bool = False,
) -> Trust:
    """The Trust in public keys (PEM), allowed signers and identities, in files and folders of them; None where none are
    configured. `roots` are files, and folders of them, that certificates of identities are held against.

    What can't be read is among the problems of the Trust: it never makes up for a configuration that names nobody.
    """
    problems: list[str] = []
    trusted = None if keys is None else tuple(_good(_of_files(keys, _keys), problems))
    allowed = None if signers is None else tuple(_good(_of_files(signers, allowed_signers), problems))
    if trusted is not None and len(trusted) > MAX_KEYS:
        problems.append(f"there are {len(trusted)} trusted keys, of which {MAX_KEYS} are used")
        trusted = trusted[:MAX_KEYS]
    named = None if identities is None else tuple(_good(_of_files(identities, read_identities), problems))
    rooted = tuple(_good(_of_files(roots, _roots), problems))
    if len(rooted) > MAX_ROOTS:
        problems.append(f"there are {len(rooted)} trusted roots, of which {MAX_ROOTS} are used")
        rooted = rooted[:MAX_ROOTS]
    return Trust(trusted, allowed, required, name, allow_older, allow_digest, tuple(problems), named, rooted)


def _good(found: Iterable[One | BadKeyError], problems: list[str]) -> Iterator[One]:
    for one in found:
        if isinstance(one, BadKeyError):
            problems.append(str(one))
        else:
            yield one


def _of_files(
    paths: Iterable[Path], read: Callable[[bytearray, str], Iterable[One | BadKeyError]]
) -> Iterator[One | BadKeyError]:
    """What `read` makes of each file and its path, and why files can't be read."""
    for path, data in _files(paths):
        if isinstance(data, BadKeyError):
            yield data
        else:
            yield from read(data, path)


def _keys(data: bytearray, path: str) -> Iterable[PublicKey | BadKeyError]:
    return public_keys(data, os.path.basename(path))


def _roots(data: bytearray, path: str) -> Iterable[Root | BadKeyError]:
    return (_root(data, os.path.basename(path)),)


def _root(data: bytearray, name: str) -> Root | BadKeyError:
    try:
        kind = json_object(data, "it").get("mediaType")
    except UnreadableError as error:
        return BadKeyError(f"{name} is no trusted root: {error}")
    if kind != ROOT:
        return BadKeyError(f"{name} is no trusted root: its `mediaType` is not `{ROOT}`")
    return Root(name, bytes(data))


def _files(paths: Iterable[Path]) -> Iterator[tuple[str, bytearray | BadKeyError]]:
    """The files named, and those in folders named that are not hidden, as a mounted Secret has them."""
    for path in paths:
        try:
            inside = sorted(os.listdir(path)) if os.path.isdir(path) else None
        except OSError as error:
            yield os.fspath(path), BadKeyError(f"{path} can't be read: {reason(error)}")
            continue
        if inside is None:
            yield os.fspath(path), _read(path)
        for name in inside or ():
            if not name.startswith("."):
                yield os.path.join(path, name), _read(os.path.join(path, name))


def _read(path: Path) -> bytearray | BadKeyError:
    try:
        data = read_file(path, MAX_PEM)
    except OSError as error:
        return BadKeyError(f"{path} can't be read: {reason(error)}")
    return BadKeyError(f"{path} is too large: at most {MAX_PEM:,} bytes") if len(data) > MAX_PEM else data
