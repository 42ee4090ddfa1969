"""Regular expressions: RE2, linear in the length of the text, as in Kubernetes. The one module that imports re2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import re2

from engine.language.values import CelError, quoted
from engine.memory import Memory

_MOST = 1 << 18
"""Bytes that a compiled pattern takes at most, with all that RE2 keeps of what it has matched."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = _MOST  # such a pattern may take some milliseconds to make
MAX_PATTERN = 1000  # characters
MAX_PRICE = 100_000  # what compiling the patterns of one expression may cost, in units of the run-time budget
_REPEATS = re.compile(r"\{([0-9]{1,4})(?:,([0-9]{0,4}))?\}")
_CLASSES = re.compile(r"\\[pP]|\(\?[a-zA-Z]*i")


class Pattern(Protocol):
    """A compiled pattern. `size` is that of its program: a step over a character takes time in proportion, at worst."""

    size: int

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text."""

    def find(self, text: str) -> str:
        """The leftmost match, or an empty string."""

    def find_all(self, text: str) -> Iterator[str]:
        """The matches, from left to right."""


class _Re2:
    __slots__ = ("_pattern", "size")

    def __init__(self, pattern: str) -> None:
        self._pattern = re2.compile(pattern, _OPTIONS)
        self.size: int = self._pattern.programsize

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


def compile_pattern(pattern: str) -> Pattern:
    """Compiles a pattern in RE2's syntax. Raises CelError for one that is invalid or too large."""
    if len(pattern) > MAX_PATTERN:
        raise CelError(f"the pattern is {len(pattern)} characters long, {MAX_PATTERN} are allowed")
    compiled = _compiled(pattern)
    if isinstance(compiled, str):
        raise CelError(f"invalid pattern {quoted(pattern)}: {compiled}")
    return compiled


_KEPT: Memory[str, Pattern | str] = Memory(8 << 20)
"""Patterns that were texts of a pod's; constants are compiled once, with the expression."""


def _compiled(pattern: str) -> Pattern | str:
    """The pattern, or what is wrong with it."""
    known = _KEPT.get(pattern)
    if known is not None:
        return known
    try:
        made = _Re2(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return _KEPT.keep(pattern, text, 4 * (len(pattern) + len(text)))
    return _KEPT.keep(pattern, made, _MOST)


def price(pattern: str) -> int:
    """What compiling a pattern costs at most, in units of the run-time budget, from its text alone.

    The same whether it has been compiled before or not: a decision must not depend on what was decided earlier.
    """
    repeats = sum(max(int(low), int(high or 0)) for low, high in _REPEATS.findall(pattern))
    classes = len(_CLASSES.findall(pattern))
    return 64 + 8 * len(pattern) + (8 + 2000 * classes) * max(1, repeats)


def matching(text: str, pattern: Pattern) -> int:
    """What matching costs at most, in the same units."""
    return (len(text) + 1) * pattern.size >> 5  # divided by 32
