"""Trusted keys, read from files each time they are needed, for they are rotated while a process runs.

A file that is half written, out of place or damaged takes nothing from the others; it is told of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from delivery.files import read_file, reason
from delivery.signature.allowed_signers import Signer, allowed_signers
from delivery.signature.keys import MAX_PEM, BadKeyError, PublicKey, public_keys
from delivery.signature.trust import Trust

MAX_KEYS = 64
"""Limit of trusted keys for archives: each signature is held against each."""

Path = str | os.PathLike[str]
One = TypeVar("One")


def read_trust(
    keys: Iterable[Path] | None,
    signers: Iterable[Path] | None,
    *,
    required: bool | None = None,
    name: str = "",
    allow_older: bool = False,
    allow_digest: bool = False,
) -> Trust:
    """The Trust in public keys (PEM) and allowed signers, in files and folders of them; None where none are configured.

    What can't be read is among the problems of the Trust: it never makes up for a configuration that names nobody.
    """
    problems: list[str] = []
    trusted = None if keys is None else tuple(_good(_keys(keys), problems))
    allowed = None if signers is None else tuple(_good(_signers(signers), problems))
    if trusted is not None and len(trusted) > MAX_KEYS:
        problems.append(f"there are {len(trusted)} trusted keys, of which {MAX_KEYS} are used")
        trusted = trusted[:MAX_KEYS]
    return Trust(trusted, allowed, required, name, allow_older, allow_digest, tuple(problems))


def _good(found: Iterable[One | BadKeyError], problems: list[str]) -> Iterator[One]:
    for one in found:
        if isinstance(one, BadKeyError):
            problems.append(str(one))
        else:
            yield one


def _keys(paths: Iterable[Path]) -> Iterator[PublicKey | BadKeyError]:
    for path, data in _files(paths):
        if isinstance(data, BadKeyError):
            yield data
        else:
            yield from public_keys(data, os.path.basename(path))


def _signers(paths: Iterable[Path]) -> Iterator[Signer | BadKeyError]:
    for path, data in _files(paths):
        if isinstance(data, BadKeyError):
            yield data
        else:
            yield from allowed_signers(data, path)


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
