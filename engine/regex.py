"""Regular expressions: RE2, linear in the length of the text, as in Kubernetes. The one module that imports re2."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import re2

from engine.values import CelError, quoted

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20  # bytes for one compiled pattern: `a{1,1000}{1,1000}` is refused, not compiled
MAX_PATTERN = 1000  # characters


class Pattern(Protocol):
    """A compiled pattern."""

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text."""

    def find(self, text: str) -> str:
        """The leftmost match, or an empty string."""

    def find_all(self, text: str) -> Iterator[str]:
        """The matches, from left to right."""


class _Re2:
    __slots__ = ("_pattern",)

    def __init__(self, pattern: str) -> None:
        self._pattern = re2.compile(pattern, _OPTIONS)

    def matches(self, text: str) -> bool:
        return self._pattern.search(text) is not None

    def find(self, text: str) -> str:
        found = self._pattern.search(text)
        return "" if found is None else str(found.group())

    def find_all(self, text: str) -> Iterator[str]:
        end = -1
        for found in self._pattern.finditer(text):
            # as in Go: an empty match right after another one does not count
            if found.end() > found.start() or found.start() != end:
                yield str(found.group())
            end = found.end()


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Pattern:
    """Compiles a pattern in RE2's syntax. Raises CelError for one that is invalid or too large."""
    if len(pattern) > MAX_PATTERN:
        raise CelError(f"the pattern is {len(pattern)} characters long, {MAX_PATTERN} are allowed")
    try:
        return _Re2(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise CelError(f"invalid pattern {quoted(pattern)}: {text}") from None
