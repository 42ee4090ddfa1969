"""What belongs to a bundle, said once: of paths below it with `/`, and of the text of its `.bayplanignore`.

Every YAML and JSON file does, wherever it stands and however its suffix is spelled, but for two kinds that are left out
on purpose: what is hidden (its name, or a folder's on the way, begins with a dot), and what `.bayplanignore` names, in
the syntax of `.gitignore`. A folder, a Git repository and whoever builds an archive ask the same question here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from engine.documents import BundleError, Problem, Source, Span
from engine.struct import Marked

IGNORE_FILE = ".bayplanignore"
"""Stands beside `bundle.yaml`; in a folder below it, it is a hidden file as any other."""
SUFFIXES = (".yaml", ".yml", ".json")
MAX_IGNORE = 1 << 16
"""Bytes of a `.bayplanignore`."""


_PLAIN = re.compile(r"#.*|(?:/?[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?)?")
_FEW = 16
_ANY_FOLDER = re.compile(r"(?<![^/!])\*\*/$")


def _nothing(_: str) -> bool:
    return False


class Membership(Marked, frozen=True):
    """Which paths below a bundle belong to it. `named` says what `.bayplanignore` names; folders end with `/` there."""

    unprinted = ("named",)

    named: Callable[[str], bool] = _nothing

    def holds(self, path: str) -> bool:
        """Whether a file belongs to the bundle, by all of its path."""
        *above, _ = parts = path.split("/")
        folders = ("/".join(parts[:depth]) for depth in range(1, len(above) + 1))
        return all(map(self.enters, folders)) and self.takes(path)

    def enters(self, folder: str) -> bool:
        """Whether anything below a folder may belong to the bundle, where that is so of the folders above it."""
        return not _hidden(folder) and not self.named(f"{folder}/")

    def takes(self, path: str) -> bool:
        """Whether a file belongs to the bundle, where the folder that it is in may be entered."""
        return path.lower().endswith(SUFFIXES) and not _hidden(path) and not self.named(path)


def members(paths: Iterable[str], ignore: Membership) -> tuple[str, ...]:
    """Those of the paths that belong to the bundle, in order of names."""
    return tuple(sorted(path for path in paths if ignore.holds(path)))


@lru_cache(maxsize=16)
def membership(ignore: bytes | None) -> Membership:
    """The Membership that a `.bayplanignore` of these bytes makes, or none at all.

    Raises BundleError with what is wrong with it, by line.
    """
    if not ignore:
        return Membership()
    source = _source(ignore)
    lines = [line.removesuffix("\r") for line in source.text.split("\n")]
    problems = [_unreadable(source, number) for number, line in enumerate(lines) if not _is_pattern(line)]
    if problems:
        raise BundleError(problems)
    return Membership(_matcher(lines))


def _is_pattern(line: str) -> bool:
    try:
        _matcher([line])
    except ValueError:
        return False
    return True


def _matcher(lines: Iterable[str]) -> Callable[[str], bool]:
    """Whether patterns name a path, the last word first. Raises ValueError. In linear time, whatever they are."""
    lines = tuple(lines)
    if len(lines) <= _FEW and all(map(_PLAIN.fullmatch, lines)):
        return _by_name(tuple(line for line in lines if line and not line.startswith("#")))
    from pathspec import GitIgnoreSpec  # few bundles need it, and it takes long to import

    folders_only = (_ANY_FOLDER.sub("**/*/", line) for line in lines)  # what Git makes of it, and pathspec does not
    return GitIgnoreSpec.from_lines(folders_only, backend="re2").match_file


def _by_name(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """The same of a few names of files and folders, which is what most bundles have."""
    rooted = tuple(f"/{one.strip('/')}/" for one in patterns if "/" in one[:-1] and not one.endswith("/"))
    rooted_folders = tuple(f"/{one.strip('/')}/" for one in patterns if "/" in one[:-1] and one.endswith("/"))
    names = tuple(f"/{one}/" for one in patterns if "/" not in one)
    folders = tuple(f"/{one}" for one in patterns if one.find("/") == len(one) - 1)

    def named(path: str) -> bool:
        begun, ended = f"/{path}", f"/{path}/"
        if begun.startswith(rooted_folders) or ended.startswith(rooted):
            return True
        return any(one in begun for one in folders) or any(one in ended for one in names)

    return named


def _unreadable(source: Source, number: int) -> Problem:
    line = source.line(number + 1)
    start = sum(len(one) + 1 for one in source.text.split("\n")[:number])
    expected = "a pattern as in `.gitignore`, say `examples/`"
    return Problem("ignore-file", f"`{line}` names no files", Span(source, start, start + len(line)), expected)


def _hidden(path: str) -> bool:
    return path.rpartition("/")[2].startswith(".")


def _source(ignore: bytes) -> Source:
    if len(ignore) > MAX_IGNORE:
        raise BundleError([_unusable("the file is too large", f"at most {MAX_IGNORE:,} bytes")])
    try:
        return Source(IGNORE_FILE, ignore.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BundleError([_unusable(f"the byte 0x{ignore[error.start]:02x} is not UTF-8", "")]) from error


def _unusable(message: str, expected: str) -> Problem:
    return Problem("ignore-file", message, Span(Source(IGNORE_FILE, ""), 0, 0), expected)
