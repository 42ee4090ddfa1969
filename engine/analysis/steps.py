"""Semantic versions of bundles: how far one is from another (https://semver.org).

Of versions below 1.0.0 the second number counts as the first does later, and the third as the two others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from engine.versions import version_of

Level = Literal["none", "patch", "minor", "major"]
"""How much a revision changes: no file at all; no decision; something is added; somebody is placed otherwise."""
LEVELS: tuple[Level, ...] = get_args(Level)


def largest(levels: Iterable[Level]) -> Level:
    """The largest of some levels, `none` if there are none."""
    return max(levels, key=LEVELS.index, default="none")


def bumped(version: str, level: Level) -> str:
    """The next version after a change of this level."""
    given = version_of(version)
    if level == "none" or given is None:
        return version
    if given.prerelease:
        return str(given.bump_prerelease())
    step = level if given.major else {"major": "minor"}.get(level, "patch")
    return str({"major": given.bump_major, "minor": given.bump_minor, "patch": given.bump_patch}[step]())


def is_enough(old: str, new: str, level: Level) -> bool:
    """Whether a version says that a change of this level was made since another one.

    From one pre-release to the next, and to the release, everything may change.
    """
    before, after, least = version_of(old), version_of(new), version_of(bumped(old, level))
    if before is None or after is None or least is None or level == "none":
        return before is None or after is None or after >= before
    return after > before and (bool(before.prerelease) or after.finalize_version() >= least)
