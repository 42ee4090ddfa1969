"""Reading from disk: a bundle's folder, and files of Kubernetes objects. The engine itself reads neither."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from delivery.files import Found, found_in, is_inside, membership_in, read_file, read_stream, reason
from delivery.membership import IGNORE_FILE
from delivery.requirements import unmet
from engine.bundle import Bundle, parse_bundle
from engine.documents import BundleError, Manifest, Problem, Source, Span, ordered, oversize, parse_manifests, printable
from engine.pools import inventory_problems

MAX_FILE = 1 << 20
MAX_FILES = 1_000
MAX_BUNDLE = 16 << 20
MAX_MANIFESTS = 1 << 29
"""Limits: bytes of one file of a bundle, files of a bundle, bytes of all of them, bytes of a file of objects."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle in a folder. Raises BundleError with everything that is wrong with it."""
    bundle, problems = read_bundle(path)
    if bundle is None or any(problem.severity == "error" for problem in problems):
        raise BundleError(problems)
    return bundle


def read_bundle(path: str | os.PathLike[str]) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """What can be made of the bundle in a folder, and all problems, as `parse_bundle`, those of its `pools` included.

    Read is what belongs to it, as `delivery.membership` says. Symbolic links may not lead out of the folder.
    """
    try:
        return bundle_of(*files_of(path))
    except BundleError as error:
        return None, error.problems


def files_of(path: str | os.PathLike[str]) -> tuple[Mapping[str, bytes | bytearray], list[Problem]]:
    """The bytes of the files of the bundle in a folder, by path below it, and what of them can't be read.

    Raises BundleError where there is no folder that can be listed.
    """
    root = Path(path)
    if not os.path.isdir(root):
        message = f"`{path}` {_no_folder(root)}"
        raise BundleError([_unread(str(path), "no-bundle", message, "a folder with a file `bundle.yaml`")])
    try:
        found = found_in(root, membership_in(root))
    except OSError as error:
        raise BundleError([_unread(IGNORE_FILE, "unreadable", f"the file can't be read: {reason(error)}")]) from error
    if found and not found[0].name:
        raise BundleError([_unread(str(path), "unreadable", f"`{path}` can't be read: {found[0].trouble}")])
    return _read_files(root, found)


def bundle_of(
    files: Mapping[str, bytes | bytearray], problems: Iterable[Problem] = ()
) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """What can be made of the bytes of a bundle's files, by path below it, as `read_bundle`.

    `problems` are those of finding and reading them. Files over the limits are problems, too, and names that a reviewer
    can't read or tell apart.
    """
    texts, problems = _texts(files, [*problems, *_names(files)])
    if any(problem.rule in ("too-many-files", "too-large") for problem in problems):
        return None, ordered(problems)
    bundle, more = parse_bundle(texts)
    lacking = unmet(bundle) if bundle and bundle.requires else ()
    if lacking:  # what else is wrong may be what this Bayplan does not know yet
        return bundle, lacking
    inventories = (Source(name, texts[name]) for name in texts if name.startswith("pools/"))
    wrong = [problem for source in inventories for problem in inventory_problems(source)]
    return bundle, ordered([*problems, *more, *wrong])


def text_of(path: str | os.PathLike[str]) -> Source:
    """The text of one file. Raises BundleError where it can't be read, or is no text."""
    source = _source(os.fspath(path), os.fspath(path), MAX_FILE)
    if isinstance(source, Problem):
        raise BundleError([source])
    return source


def read_documents(path: str | os.PathLike[str]) -> tuple[Manifest, ...]:
    """The Kubernetes objects in a file, or in the YAML and JSON files under a folder, in order of their names.

    Raises BundleError with the places of what is no YAML, and of what can't be read.
    """
    if not os.path.isdir(path):
        return _all([_manifests(_source(os.fspath(path), os.fspath(path), MAX_MANIFESTS))])
    return _all(_manifests(_found_source(one, one.path, MAX_MANIFESTS)) for one in found_in(path))


def streamed_documents(stream: BinaryIO, name: str) -> tuple[Manifest, ...]:
    """The Kubernetes objects of a stream that is open, say a pipe, to its end; `name` is where problems point.

    Raises BundleError as `read_documents`.
    """
    return _all([_manifests(_text(read_stream(stream, MAX_MANIFESTS), name, MAX_MANIFESTS))])


def _all(read: Iterable[tuple[tuple[Manifest, ...], tuple[Problem, ...]]]) -> tuple[Manifest, ...]:
    documents: list[Manifest] = []
    problems: list[Problem] = []
    for some, wrong in read:
        documents += some
        problems += wrong
    if problems:
        raise BundleError(problems)
    return tuple(documents)


def _manifests(source: Source | Problem) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    return ((), (source,)) if isinstance(source, Problem) else parse_manifests(source)


def _read_files(root: Path, all_found: Iterable[Found]) -> tuple[dict[str, bytearray], list[Problem]]:
    """The bytes of the files of a bundle, at most one more than there may be, and what can't be read."""
    inside = os.path.realpath(root)
    files: dict[str, bytearray] = {}
    problems: list[Problem] = []
    for found in all_found:
        if len(files) > MAX_FILES:
            break
        problem = _misplaced(found, inside) or _in_the_way(found, found.name)
        data = problem or _bytes(found.path, found.name, MAX_FILE)
        if isinstance(data, Problem):
            problems.append(data)
        else:
            files[found.name] = data
    return files, problems


def _texts(files: Mapping[str, bytes | bytearray], problems: list[Problem]) -> tuple[dict[str, str], list[Problem]]:
    texts: dict[str, str] = {}
    total = 0
    for name, data in files.items():
        if len(texts) >= MAX_FILES:
            message = "the bundle has too many files"
            problems.append(_unread(name, "too-many-files", message, f"at most {MAX_FILES:,}"))
            break
        total += len(data)
        source = _pointer(data, name) or _text(data, name, MAX_FILE)
        if isinstance(source, Problem):
            problems.append(source)
        else:
            texts[name] = source.text
    if total > MAX_BUNDLE:
        message = f"the bundle is too large: {total:,} bytes"
        problems.append(_unread("bundle.yaml", "too-large", message, f"at most {MAX_BUNDLE:,}"))
    return texts, problems


def _no_folder(path: Path) -> str:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"can't be read: {reason(error)}"
    return "is not a folder"


def _names(files: Iterable[str]) -> Iterator[Problem]:
    """What is wrong with the names of files; those that can't be read are told where the files are."""
    first: dict[str, str] = {}
    for name in files:
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            message = f"`{name}` and `{other}` are one file on systems where upper and lower case are alike"
            yield _unread(name, "file-name", message, "names that differ everywhere")
        problem = _unshown(name)
        if problem:
            yield problem


def _unshown(name: str) -> Problem | None:
    if name.isprintable():
        return None
    not_text = any("\ud800" <= character <= "\udfff" for character in name)
    what = "is not UTF-8" if not_text else "holds a character that does not show"
    return _unread(name, "file-name", f"the name of the file {what}", "a name that a reviewer can read")


def _pointer(data: bytes | bytearray, name: str) -> Problem | None:
    """That a file is not there, only where Git LFS keeps it."""
    if not data.startswith(LFS_POINTER):
        return None
    message = "this is a pointer of Git LFS, and not the file"
    hint = "keep policies out of LFS: `git lfs untrack`, then `git add --renormalize`"
    source = Source(printable(name), data.decode(errors="replace"))
    return Problem("lfs-pointer", message, Span(source, 0, len(LFS_POINTER)), hint=hint)


def _misplaced(found: Found, inside: str) -> Problem | None:
    """What is wrong with where a file of a bundle stands, or with its name."""
    problem = _unshown(found.name)
    if problem:
        return problem
    if found.linked and not is_inside(os.path.realpath(found.path), inside):
        message = f"`{found.name}` is a symbolic link out of the bundle"
        return _unread(found.name, "outside-link", message, "a file, or a link inside the bundle")
    return None


def _in_the_way(found: Found, name: str) -> Problem | None:
    return _unread(name, "unreadable", f"the folder can't be read: {found.trouble}") if found.trouble else None


def _found_source(found: Found, name: str, limit: int) -> Source | Problem:
    return _in_the_way(found, name) or _source(found.path, name, limit)


def _source(path: str, name: str, limit: int) -> Source | Problem:
    """The text of a file, or why there is none."""
    data = _bytes(path, name, limit)
    return data if isinstance(data, Problem) else _text(data, name, limit)


def _bytes(path: str, name: str, limit: int) -> bytearray | Problem:
    """The bytes of a file, or why there are none."""
    try:
        data = read_file(path, limit)
        return _oversize(name, limit, os.stat(path).st_size) if len(data) > limit else data
    except OSError as error:
        return _unread(name, "unreadable", f"the file can't be read: {reason(error)}")


def _oversize(name: str, limit: int, size: int = 0) -> Problem:
    """`size` is that of all of it, where it is known."""
    seen = f"{size:,} bytes" if size > limit else "its end is not seen"
    return oversize(Source(printable(name), ""), seen, f"{limit:,} bytes")


def _text(data: bytes | bytearray, name: str, limit: int) -> Source | Problem:
    if len(data) > limit:
        return _oversize(name, limit)
    name = printable(name)
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        source = Source(name, before + data[error.start :].decode(errors="replace"))
        at = len(before)
        return Problem("encoding", f"the byte 0x{data[error.start]:02x} is not UTF-8", Span(source, at, at + 1))


def _unread(name: str, rule: str, message: str, expected: str = "") -> Problem:
    return Problem(rule, message, Span(Source(printable(name), ""), 0, 0), expected)
