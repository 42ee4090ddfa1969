"""engine.versions: versions, and ranges of them as npm reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.versions import VersionRange, version_of
from tests.examples import examples

NUMBERS = st.integers(0, 12)
TRIPLES = st.tuples(NUMBERS, NUMBERS, NUMBERS)
TABLE = [
    ("^1.2", "1.2.0 1.3.0 1.99.7 v1.2.1 1.2.3+build", "1.1.9 2.0.0 1.3.0-rc.1 2.0.0-rc.1 1.2 latest"),
    ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
    ("^0.0.3", "0.0.3", "0.0.2 0.0.4"),
    ("^0", "0.0.0 0.9.0", "1.0.0"),
    ("^0.0", "0.0.9", "0.1.0"),
    ("^1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
    ("~1.4", "1.4.0 1.4.9", "1.5.0 1.3.9"),
    ("~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0"),
    ("~1", "1.0.0 1.9.0", "2.0.0"),
    ("1.x", "1.0.0 1.9.9", "2.0.0"),
    ("1.2", "1.2.0 1.2.9", "1.3.0"),
    ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
    (">=1.2 <2 || 3.x", "1.2.0 1.9.9 3.1.0", "2.0.0 1.1.0 4.0.0"),
    (">=1.2, <2", "1.2.0", "2.0.0"),
    (">= 1.2,<2", "1.2.0", "2.0.0"),
    (">1.2", "1.3.0", "1.2.0 1.2.5"),
    (">1.2.3", "1.2.4", "1.2.3"),
    ("<=1.2", "1.2.9", "1.3.0"),
    ("<=1.2.3", "1.2.3", "1.2.4"),
    ("<1.2", "1.1.9", "1.2.0 1.2.0-rc.1"),
    ("=v1.2.3", "1.2.3 v1.2.3", "1.2.4"),
    ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3 1.2.3-rc.2"),
    (">=1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.2 1.2.3 1.2.4", "1.2.3-beta 1.2.4-rc.2"),
    ("<=1.2.3-rc.1", "1.2.3-rc.1 1.2.2", "1.2.3-rc.2 1.2.3"),
    (">1.2.3-rc.1", "1.2.3-rc.2 1.2.3", "1.2.3-rc.1"),
]


@pytest.mark.parametrize(("text", "inside", "outside"), TABLE, ids=[row[0] for row in TABLE])
def test_which_versions_are_in_a_range(text: str, inside: str, outside: str) -> None:
    versions = VersionRange(text)
    assert [version for version in inside.split() if not versions.admits(version)] == []
    assert [version for version in outside.split() if versions.admits(version)] == []
    assert str(versions) == text


NONE = {
    "": "a part of the range is empty",
    "1.2 ||": "a part of the range is empty",
    "newest": "`newest` is not a part of a version range",
    "1.2 or newer": "`or` is not a part of a version range",
    ">=": "`>=` is not a part of a version range",
    "1.2.3.4": "`1.2.3.4` is not a part of a version range",
    "01.2": "`01.2` is not a part of a version range",
    ">=1.2<2": "`>=1.2<2` is not a part of a version range",
    "^1.2-rc.1": "`^1.2-rc.1` has a pre-release and leaves numbers out",
    "1.2.3-01": "`1.2.3-01` is not a semantic version",
    "1 " * 200: "a range has at most 256 characters",
}


@pytest.mark.parametrize(("text", "why"), NONE.items())
def test_what_is_no_range(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"^") as caught:
        VersionRange(text)
    assert str(caught.value) == why


def test_the_newest_of_many_names() -> None:
    names = ["v1.2.0", "1.2.0", "v1.10.0", "1.9.0", "2.0.0", "v1.11.0-rc.1", "latest", "1.10", "x" * 300]
    assert VersionRange("^1").newest(names) == "v1.10.0"
    assert VersionRange("~1.2").newest(names) == "v1.2.0"
    assert VersionRange("~1.2").newest(reversed(names)) == "v1.2.0"
    assert VersionRange(">=1.11.0-0").newest(names) == "2.0.0"
    assert VersionRange("^3").newest(names) is None


@given(TRIPLES, TRIPLES)
@examples(300)
def test_ranges_are_what_their_comparisons_say(bound: tuple[int, int, int], version: tuple[int, int, int]) -> None:
    low, text = ".".join(map(str, bound)), ".".join(map(str, version))
    major, minor, _ = bound
    expected = {
        f">={low}": version >= bound,
        f">{low}": version > bound,
        f"<={low}": version <= bound,
        f"<{low}": version < bound,
        low: version == bound,
        f"~{low}": bound <= version < (major, minor + 1, 0),
        f"^{major + 1}.{minor}": (major + 1, minor, 0) <= version < (major + 2, 0, 0),
        f"{major}.x": version[0] == major,
        f"<{low} || >{low}": version != bound,
        f">={low} <={low}": version == bound,
    }
    assert {each: VersionRange(each).admits(text) for each in expected} == expected


@given(st.text(alphabet="0123456789.xX*^~<>=|, -+rc", max_size=20))
@examples(500)
def test_whatever_is_written_is_a_range_or_none(text: str) -> None:
    with contextlib.suppress(ValueError):
        VersionRange(text).admits("1.2.3")


def test_a_version_is_one_with_or_without_a_v() -> None:
    assert version_of("v1.2.3-rc.1+b") == version_of("1.2.3-rc.1+b")
    for wrong in ("1.2", "vv1.2.3", "1.2.3 ", "01.2.3", "", "1.2.3-" + "1" * 300):
        assert version_of(wrong) is None
