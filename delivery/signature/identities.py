"""Who may sign archives without a key: a file with an issuer of identities and one of its subjects on each line.

    https://token.actions.githubusercontent.com https://github.com/acme/policies/.github/workflows/release.yml@refs/tags/v*

Issuers are compared as they are. In a subject, `*` stands for any text without `/`, also for none; all else stands for
itself, and nothing may stand before or behind. That is less than a regular expression says, and nothing of it is easily
left out: no anchor, no backslash before a dot.
"""

from __future__ import annotations

from collections.abc import Iterator

from delivery.signature.keys import BadKeyError
from engine.struct import Struct

MAX_LINES = 1_000
"""Limit of lines in a file of identities."""


class Identity(Struct, frozen=True):
    """A line of the file: who says whom it is about, whom, and where it stands."""

    place: str
    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"

    def names(self, issuer: str, subject: str) -> bool:
        """Whether the subject of this issuer is meant."""
        wanted, parts = self.subject.split("/"), subject.split("/")
        return (
            issuer == self.issuer
            and len(wanted) == len(parts)
            and all(_fits(pattern, part) for pattern, part in zip(wanted, parts, strict=True))
        )


def read_identities(data: bytes | bytearray, name: str) -> Iterator[Identity | BadKeyError]:
    """The lines of the file, and what is wrong with those that can't be used; `name` is what people know it by."""
    lines = data.decode(errors="replace").split("\n")
    if len(lines) > MAX_LINES:
        yield BadKeyError(f"{name}: there are {len(lines):,} lines, of which {MAX_LINES:,} are read")
    for at, line in enumerate(lines[:MAX_LINES], 1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield _identity(stripped.split(), f"{name}:{at}")


def _identity(words: list[str], place: str) -> Identity | BadKeyError:
    if len(words) != 2:
        return BadKeyError(f"{place}: there are {len(words)} words; expected an issuer and a subject")
    issuer, subject = words
    if not issuer.startswith(("https://", "http://")):
        return BadKeyError(
            f"{place}: the issuer `{issuer[:100]}` is no address; expected `https://…`, as tokens have it"
        )
    if "*" in issuer:
        return BadKeyError(f"{place}: the issuer `{issuer[:100]}` has `*` in it; only subjects may be patterns")
    if not subject.strip("*/"):
        return BadKeyError(f"{place}: the subject `{subject[:100]}` is everybody; say whom you mean")
    return Identity(place, issuer, subject)


def _fits(pattern: str, text: str) -> bool:
    """Whether a text is a pattern with any texts in place of its `*`, in time that grows with the text alone."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
