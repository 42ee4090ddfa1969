"""engine.analysis.steps: how large a step of a version is."""

from __future__ import annotations

import pytest

from engine.analysis.steps import Level, bumped, is_enough, largest


@pytest.mark.parametrize(
    ("version", "level", "least"),
    [
        ("1.2.3", "none", "1.2.3"),
        ("1.2.3", "patch", "1.2.4"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "major", "2.0.0"),
        ("0.2.3", "patch", "0.2.4"),
        ("0.2.3", "minor", "0.2.4"),
        ("0.2.3", "major", "0.3.0"),
        ("2.0.0-rc.1", "major", "2.0.0-rc.2"),
        ("1.2.3+build", "major", "2.0.0"),
    ],
)
def test_the_next_version(version: str, level: Level, least: str) -> None:
    assert bumped(version, level) == least
    assert is_enough(version, least, level)


@pytest.mark.parametrize(
    ("old", "new", "level", "enough"),
    [
        ("1.2.3", "1.2.3", "none", True),
        ("1.2.3", "1.2.2", "none", False),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.2.3", "1.3.0", "major", False),
        ("1.2.3", "2.0.0-rc.1", "major", True),
        ("1.2.3", "3.1.4", "minor", True),
        ("2.0.0-rc.1", "2.0.0", "major", True),
        ("2.0.0", "2.0.0-rc.1", "patch", False),
        ("0.9.0", "1.0.0", "major", True),
        ("0.9.0", "0.9.1", "major", False),
    ],
)
def test_whether_a_version_says_enough(old: str, new: str, level: Level, enough: bool) -> None:
    assert is_enough(old, new, level) is enough


def test_the_largest_of_some() -> None:
    assert largest([]) == "none"
    assert largest(["patch", "major", "minor"]) == "major"
