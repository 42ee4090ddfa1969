"""Reading from disk: a bundle's folder, and files of Kubernetes objects. The engine itself reads neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engine.bundle import Bundle, parse_bundle
from engine.documents import BundleError, Manifest, Problem, Source, Span, ordered, oversize, parse_manifests
from engine.pools import inventory_problems

MAX_FILE = 1 << 20
MAX_FILES = 1_000
MAX_BUNDLE = 16 << 20
MAX_MANIFESTS = 1 << 29
"""Limits: bytes of one file of a bundle, files of a bundle, characters of all of them, bytes of a file of objects."""

SUFFIXES = (".yaml", ".yml", ".json")


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The bundle in a folder. Raises BundleError with everything that is wrong with it."""
    bundle, problems = read_bundle(path)
    if bundle is None or any(problem.severity == "error" for problem in problems):
        raise BundleError(problems)
    return bundle


def read_bundle(path: str | os.PathLike[str]) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """What can be made of the bundle in a folder, and all problems, as `parse_bundle`, those of its `pools` included.

    Read are all YAML and JSON files under the folder. Hidden files and folders are left out, and symbolic links may
    not lead out of the folder.
    """
    root = Path(path)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        return None, (_unread(str(path), "no-bundle", f"`{path}` {what}", "a folder with a file `bundle.yaml`"),)
    files, problems = _read_files(root)
    if any(problem.rule in ("too-many-files", "too-large") for problem in problems):
        return None, ordered(problems)
    bundle, more = parse_bundle(files)
    inventories = (Source(name, files[name]) for name in files if name.startswith("pools/"))
    wrong = [problem for source in inventories for problem in inventory_problems(source)]
    return bundle, ordered([*problems, *more, *wrong])


def read_documents(path: str | os.PathLike[str]) -> tuple[Manifest, ...]:
    """The Kubernetes objects in a file, or in the YAML and JSON files under a folder, in order of their names.

    Raises BundleError with the places of what is no YAML, OSError for a file that can't be read.
    """
    root = Path(path)
    files = [found for found in _walk(root) if found.suffix in SUFFIXES] if root.is_dir() else [root]
    documents: list[Manifest] = []
    problems: list[Problem] = []
    for file in files:
        some, wrong = _manifests(file)
        documents += some
        problems += wrong
    if problems:
        raise BundleError(problems)
    return tuple(documents)


def _manifests(file: Path) -> tuple[tuple[Manifest, ...], tuple[Problem, ...]]:
    source = _source(file, str(file), MAX_MANIFESTS)
    return ((), (source,)) if isinstance(source, Problem) else parse_manifests(source)


def _read_files(root: Path) -> tuple[dict[str, str], list[Problem]]:
    inside = root.resolve()
    files: dict[str, str] = {}
    problems: list[Problem] = []
    total = 0
    for file in _walk(root):
        name = file.relative_to(root).as_posix()
        if file.suffix not in SUFFIXES:
            continue
        if len(files) >= MAX_FILES:
            problems.append(_unread(name, "too-many-files", "the bundle has too many files", f"at most {MAX_FILES:,}"))
            break
        if not file.resolve().is_relative_to(inside):
            message = f"`{name}` is a symbolic link out of the bundle"
            problems.append(_unread(name, "outside-link", message, "a file, or a link inside the bundle"))
            continue
        source = _source(file, name, MAX_FILE)
        if isinstance(source, Problem):
            problems.append(source)
            continue
        files[name] = source.text
        total += len(source.text)
    if total > MAX_BUNDLE:
        message = f"the bundle is too large: {total:,} characters"
        problems.append(_unread("bundle.yaml", "too-large", message, f"at most {MAX_BUNDLE:,}"))
    return files, problems


def _walk(root: Path) -> Iterator[Path]:
    """All files under a folder, hidden ones left out, sorted by path.

    A link to a folder is followed where it leads to a hidden folder inside the root, each target once: a kubelet lays
    out a ConfigMap that way. What is not hidden is found without the link.
    """
    inside, found = root.resolve(), []
    followed: set[Path] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        for name in sorted(folders):
            path = Path(folder, name)
            target = path.resolve() if path.is_symlink() else None
            if name.startswith(".") or (target and (target in followed or not _is_hidden(target, inside))):
                folders.remove(name)
            elif target:
                followed.add(target)
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    yield from sorted(found, key=lambda file: file.relative_to(root).as_posix())


def _is_hidden(target: Path, inside: Path) -> bool:
    parts = target.relative_to(inside).parts if target.is_relative_to(inside) else ()
    return any(part.startswith(".") for part in parts)


def _source(file: Path, name: str, limit: int) -> Source | Problem:
    """The text of a file, or why there is none."""
    try:
        size = file.stat().st_size
        if size > limit:
            return oversize(Source(name, ""), f"{size:,} bytes", f"{limit:,} bytes")
        data = file.read_bytes()
    except OSError as error:
        return _unread(name, "unreadable", f"the file can't be read: {error.strerror or error}")
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        source = Source(name, before + data[error.start :].decode(errors="replace"))
        at = len(before)
        return Problem("encoding", f"the byte 0x{data[error.start]:02x} is not UTF-8", Span(source, at, at + 1))


def _unread(name: str, rule: str, message: str, expected: str = "") -> Problem:
    return Problem(rule, message, Span(Source(name, ""), 0, 0), expected)
