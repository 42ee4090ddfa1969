"""Semantic versions, as in Kubernetes' semver library: order by precedence, build metadata left aside."""

from __future__ import annotations

import re
from typing import final

from engine.language.overload import Overload
from engine.language.types import BOOL, INT, STRING, Type
from engine.language.values import UINT_MAX, CelError, Opaque, quoted
from engine.struct import Marked

SEMVER = Type("kubernetes.Semver")
_NUMBER = r"(0|[1-9][0-9]{0,19})"
_WORD = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?\Z"
)
MAX_LENGTH = 1024


@final
class Semver(Marked, Opaque, frozen=True):
    """A version; `before` are the words of its pre-release, each with its rank: numbers first, then texts."""

    uncompared = ("build",)

    major: int
    minor: int
    patch: int
    before: tuple[tuple[int, int, str], ...] = ()
    build: str = ""

    type_name = "kubernetes.Semver"


def semver(text: str, normalize: bool = False) -> Semver:
    """Reads a version. Normalizing takes a leading `v`, leading zeros, and `1` or `1.2` for `1.2.0`."""
    found = _SEMVER.match(_normal(text) if normalize else text) if len(text) <= MAX_LENGTH else None
    if found is None or any(int(part) > UINT_MAX for part in found.groups()[:3]):
        raise CelError(f"{quoted(text)} is not a semantic version")
    words = found[4].split(".") if found[4] else []
    before = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words)
    return Semver(int(found[1]), int(found[2]), int(found[3]), before, found[5] or "")


def _normal(text: str) -> str:
    parts = text.removeprefix("v").split(".", 2)
    for i, part in enumerate(parts):
        if len(part) > 1:
            rest = part.lstrip("0")
            parts[i] = rest if rest[:1].isascii() and rest[:1].isdigit() else "0" + rest
    if len(parts) < 3 and re.search(r"[+-]", parts[-1]):
        raise CelError(f"{quoted(text)} is a short version, which can't have pre-release or build data")
    return ".".join([*parts, "0", "0"][:3] if len(parts) < 3 else parts)


def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        semver(text, normalize)
    except CelError:
        return False
    return True


def compare(a: Semver, b: Semver) -> int:
    """By precedence: a pre-release comes before its release."""
    left, right = (_rank(a), _rank(b))
    return (left > right) - (left < right)


def _rank(value: Semver) -> tuple[object, ...]:
    return (value.major, value.minor, value.patch, not value.before, value.before)


def is_greater(a: Semver, b: Semver) -> bool:
    return compare(a, b) > 0


def is_less(a: Semver, b: Semver) -> bool:
    return compare(a, b) < 0


def _signed(number: int) -> int:
    """Kubernetes turns the unsigned number into a signed one without a check."""
    return number if number < 2**63 else number - 2**64


def major(value: Semver) -> int:
    return _signed(value.major)


def minor(value: Semver) -> int:
    return _signed(value.minor)


def patch(value: Semver) -> int:
    return _signed(value.patch)


_PAIR = (SEMVER, SEMVER)

OVERLOADS: tuple[Overload, ...] = (
    Overload("semver", "string_to_semver", (STRING,), SEMVER, semver, library="semver",
             example='semver("1.2.3") == semver("1.2.3+build")'),
    Overload("semver", "string_bool_to_semver", (STRING, BOOL), SEMVER, semver, library="semver",
             example='semver("v1.2", true) == semver("1.2.0")'),
    Overload("isSemver", "is_semver_string", (STRING,), BOOL, is_semver, library="semver",
             example='isSemver("1.2.3") && !isSemver("1.2")'),
    Overload("isSemver", "is_semver_string_bool", (STRING, BOOL), BOOL, is_semver, library="semver",
             example='isSemver("v1.2", true)'),
    Overload("isGreaterThan", "semver_is_greater_than", _PAIR, BOOL, is_greater, method=True, library="semver",
             example='semver("1.10.0").isGreaterThan(semver("1.9.0"))'),
    Overload("isLessThan", "semver_is_less_than", _PAIR, BOOL, is_less, method=True, library="semver",
             example='semver("1.0.0-rc.1").isLessThan(semver("1.0.0"))'),
    Overload("compareTo", "semver_compare_to", _PAIR, INT, compare, method=True, library="semver",
             example='semver("1.0.0").compareTo(semver("1.0.0")) == 0'),
    Overload("major", "semver_major", (SEMVER,), INT, major, method=True, library="semver",
             example='semver("1.2.3").major() == 1'),
    Overload("minor", "semver_minor", (SEMVER,), INT, minor, method=True, library="semver",
             example='semver("1.2.3").minor() == 2'),
    Overload("patch", "semver_patch", (SEMVER,), INT, patch, method=True, library="semver",
             example='semver("1.2.3").patch() == 3'),
)  # fmt: skip
