"""A bundle that is read once, from wherever it is: for commands that look at it, and end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from delivery.content import Content, SourceError
from delivery.folder import bundle_of, read_bundle
from delivery.sources import Address, read_address, source_of
from engine.bundle import Bundle
from engine.documents import BundleError, Problem, RequestError, printable

GIT_SECONDS = 30.0
"""How long `git` may take to say what a revision is."""


def bundle_from(text: str, flag: str, credentials: Path | None = None) -> Bundle:
    """The bundle that a source has now, as it is written on the command line: a folder, an archive, or an address.

    `credentials` is a folder of files. Raises BundleError for what is wrong with the bundle or the text (`flag` says
    whose it is), SourceError for what is wrong with the source.
    """
    return _sound(*bundle_as_read(text, flag, credentials))


def bundle_as_read(text: str, flag: str, credentials: Path | None = None) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """The same as far as it can be read, and all that is wrong with it. Raises likewise where there is nothing."""
    address = read_address(text, flag)
    if address.kind == "folder":
        return read_bundle(address.location)
    source = source_of(address, credentials)
    try:
        content = source.fetch()
        return bundle_of(content.files, content.problems)
    finally:
        source.close()


def bundle_at(folder: Path, revision: str) -> Bundle | None:
    """The bundle that a folder was at a revision of the Git repository that holds it; None where there was none yet.

    A revision is whatever `git rev-parse` takes: a branch, a tag, a commit, `origin/main`, `HEAD~2`. Nothing is checked
    out. Raises RequestError where there is no such repository or revision, SourceError for what can't be read, and
    BundleError for what was wrong with the bundle then.
    """
    where = folder.resolve()
    try:
        store = _git(where, "rev-parse", "--path-format=absolute", "--git-common-dir")
        above = _git(where, "rev-parse", "--show-prefix").rstrip("/")
    except _GitFailedError as error:
        raise RequestError(f"{folder}", f"is in no repository of Git that can be read: {error}") from error
    try:
        commit = _git(where, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except _GitFailedError as error:
        hint = "is it spelled right? In CI, history may have to be fetched first (`fetch-depth: 0`, `GIT_DEPTH: 0`)"
        what = f"is no revision of the repository that holds {folder}; {hint}"
        raise RequestError(f"`{printable(revision)}`", what) from error
    if not _git(where, "ls-tree", "--name-only", commit, "--", "."):
        return None
    from delivery.git import GitSource  # whoever reads a folder does without

    location = f"file://{store}"
    source = GitSource(Address(f"{folder} at {revision}", "git", location, above, ("commit", commit)))
    try:
        return _bundle(source.fetch())
    finally:
        source.close()


def commit_of(folder: Path, files: Iterable[str]) -> str:
    """The commit of Git that these files of a folder are of, as they are; empty where that is not so of all."""
    where = folder.resolve()
    try:
        commit = _git(where, "rev-parse", "--verify", "--quiet", "HEAD")
        tracked = set(_git(where, "-c", "core.quotePath=false", "ls-files", "-z").split("\0"))
        changed = _git(where, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (_GitFailedError, SourceError):
        return ""
    return commit if not changed and tracked.issuperset(files) else ""


def _bundle(content: Content) -> Bundle:
    return _sound(*bundle_of(content.files, content.problems))


def _sound(bundle: Bundle | None, problems: tuple[Problem, ...]) -> Bundle:
    if bundle is None or any(problem.severity == "error" for problem in problems):
        raise BundleError(problems)
    return bundle


class _GitFailedError(Exception):
    """`git` could not say it: its own words."""


def _git(where: Path, *words: str) -> str:
    """What `git` says in a folder, without its line end."""
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *words], capture_output=True, timeout=GIT_SECONDS, check=False, text=True
        )
    except FileNotFoundError as error:
        raise SourceError("fetch", "there is no `git` on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError("fetch", f"`git` did not answer within {GIT_SECONDS:.0f} s") from error
    if done.returncode:
        raise _GitFailedError(printable(done.stderr.strip().removeprefix("fatal: ")) or "git says no more")
    return done.stdout.strip("\n")
