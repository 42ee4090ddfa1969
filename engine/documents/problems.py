"""Problem, and whose fault an error is: the bundle's author's, the request's, or a bug.

Exception
├── BundleError      the bundle's author: a list of problems, each with its place in the bundle
├── RequestError     whoever sent the request or the object: a field path and what is wrong there
└── (anything else)  a bug in Bayplan: a traceback in the log and a plain answer
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

from engine.documents.source import Span
from engine.struct import Struct

Severity = Literal["error", "warning", "info"]


class Problem(Struct, frozen=True):
    """One thing that is wrong in a bundle.

    `rule` is a stable identifier in kebab case (`unknown-field`), `message` says what is wrong (lower case, user input
    in backticks), `expected` what would be right, `hint` what to try (`did you mean `x`?`).
    """

    rule: str
    message: str
    span: Span
    expected: str = ""
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        """As compilers say it: place, severity, message, rule; the line; carets; what was expected; a suggestion."""
        lines = [f"{self.span}: {self.severity}: {self.message} [{self.rule}]"]
        shown = self.span.snippet().splitlines()
        lines += [f"    {line}".rstrip() for line in shown] if shown[0].strip() else []
        lines += [f"  expected {self.expected}"] if self.expected else []
        lines += [f"  {self.hint}"] if self.hint else []
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """For `-o json`: file, line and column from 1, and the words."""
        place: dict[str, object] = {"file": self.span.source.name, "line": self.span.line, "column": self.span.column}
        words = {"severity": self.severity, "rule": self.rule, "message": self.message}
        more = {"expected": self.expected, "hint": self.hint}
        return place | words | {key: value for key, value in more.items() if value}


class BundleError(Exception):
    """A bundle that can't be used. `problems` holds everything that is wrong, in source order, warnings included."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = ordered(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RequestError(Exception):
    """A request or an object that can't be used: `path` is the field's (`request.object.spec`), `message` the rest."""

    def __init__(self, path: str, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{path}: {message}" if path else message)


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In source order, each once."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (p.span.source.name, p.span.start, p.span.end, p.rule, p.message)))


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``did you mean `x`?`` with the nearest known name, or an empty string."""
    names = sorted(set(known))
    folded = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(wrong.lower(), list(folded), n=1, cutoff=0.6)
    return f"did you mean `{folded[near[0]]}`?" if near else ""
