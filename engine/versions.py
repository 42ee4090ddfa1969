"""Semantic versions and ranges of them, as npm, Helm and Flux write them: `^1.2`, `~1.4.0`, `>=1.2 <2 || 3.x`.

The engine's one module that imports semver, which compares versions, and knows no ranges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from semver import Version

MAX_LENGTH = 256
"""Characters of a version or a range: more is none."""

_PARTIAL = re.compile(
    r"(?P<operator>\^|~>?|>=|<=|>|<|=)?\s*v?"
    r"(?P<numbers>(?:0|[1-9]\d*|[xX*])(?:\.(?:0|[1-9]\d*|[xX*])){0,2})"
    r"(?P<rest>(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)",
    re.ASCII,
)
_SEPARATOR = re.compile(r"\s*,\s*|\s+|\Z")


class _Bound(NamedTuple):
    """From `low` on, that included, up to `high`, that not; None is no bound."""

    low: Version | None
    high: Version | None
    prerelease: Version | None = None

    def admits(self, version: Version) -> bool:
        return (self.low is None or version >= self.low) and (self.high is None or version < self.high)


class VersionRange:
    """A range of versions. Raises ValueError for what is none, in words that tell the part that is wrong.

    Parts with a blank or comma between them must all hold, of those with `||` one. A part that leaves numbers out, or
    has `x` or `*` for them, means all of them. A pre-release is admitted only where a part names one of the same
    version, so that `^1.2` never means `1.3.0-rc.1`.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a range has at most {MAX_LENGTH} characters")
        self.text = text.strip()
        self._any_of = tuple(tuple(_bounds(part)) for part in text.split("||"))

    def admits(self, version: str) -> bool:
        """Whether a version is in the range; what is no semantic version is not. A `v` before it is no matter."""
        parsed = version_of(version)
        return parsed is not None and any(_admitted(bounds, parsed) for bounds in self._any_of)

    def newest(self, names: Iterable[str]) -> str | None:
        """Of these names, say tags, the one of the newest version in the range; None if there is none.

        Of names of one version (`1.2.0` and `v1.2.0`, or other build metadata) the last one by text.
        """
        found = [(version, name) for name in names if (version := version_of(name)) and self.admits(name)]
        return max(found, key=lambda one: (_without_build(one[0]), one[1]))[1] if found else None

    def __str__(self) -> str:
        return self.text


def version_of(text: str) -> Version | None:
    """A semantic version, with or without a `v` before it; None for anything else."""
    if len(text) > MAX_LENGTH:
        return None
    plain = text.removeprefix("v")
    return Version.parse(plain) if Version.is_valid(plain) else None


def _without_build(version: Version) -> Version:
    return version.replace(build=None)


def _admitted(bounds: tuple[_Bound, ...], version: Version) -> bool:
    if not all(bound.admits(version) for bound in bounds):
        return False
    if not version.prerelease:
        return True
    named = (bound.prerelease for bound in bounds if bound.prerelease)
    return any(one.finalize_version() == version.finalize_version() for one in named)


def _bounds(text: str) -> Iterator[_Bound]:
    """The parts of one alternative."""
    text = text.strip()
    at = 0
    while at < len(text):
        match = _PARTIAL.match(text, at)
        end = _SEPARATOR.match(text, match.end()) if match else None
        if not match or not end:
            wrong = re.split(r"[\s,]", text[at:], maxsplit=1)[0]
            raise ValueError(f"`{wrong}` is not a part of a version range")
        yield _bound(match)
        at = end.end()
    if not text:
        raise ValueError("a part of the range is empty")


def _bound(match: re.Match[str]) -> _Bound:
    operator, rest = match["operator"] or "", match["rest"]
    numbers = []
    for number in match["numbers"].split("."):
        if number in ("x", "X", "*"):
            break
        numbers.append(int(number))
    if rest and len(numbers) < 3:
        raise ValueError(f"`{match[0]}` has a pre-release and leaves numbers out")
    low = _version(numbers, rest)
    past = _version(_next(numbers), "") if numbers else None  # the first version that these numbers do not mean
    named = low if low.prerelease else None
    if operator == "^":
        return _Bound(low, _past_caret(numbers), named)
    if operator in ("~", "~>"):
        return _Bound(low, _version(_next(numbers[:2]), "") if numbers else None, named)
    if operator == ">=":
        return _Bound(low if numbers else None, None, named)
    if operator == "<":
        return _Bound(None, low, named)
    exact = len(numbers) == 3
    after = low.replace(prerelease=f"{low.prerelease}.0") if low.prerelease else past
    if operator == ">":
        return _Bound(after if exact else past, None, named)
    if operator == "<=":
        return _Bound(None, after if exact else past, named)
    return _Bound(low if numbers else None, after if exact else past, named)


def _past_caret(numbers: list[int]) -> Version | None:
    """The first version that may break what `numbers` promise: the leftmost number that is not 0 goes up."""
    for at, number in enumerate(numbers):
        if number or at == len(numbers) - 1:
            return _version(_next(numbers[: at + 1]), "")
    return None


def _next(numbers: list[int]) -> list[int]:
    return [*numbers[:-1], numbers[-1] + 1]


def _version(numbers: list[int], rest: str) -> Version:
    full = [*numbers, 0, 0, 0][:3]
    text = ".".join(map(str, full)) + rest
    if not Version.is_valid(text):
        raise ValueError(f"`{text}` is not a semantic version")
    return _without_build(Version.parse(text))
