"""What changes between two revisions of a bundle, as a comment for a pull request.

Whoever opens the pull request wrote the policies, and maybe the pods: what they wrote stands in code alone, so that it
can't call people, hide anything or look like something that Bayplan says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from audit import Move
from cli.changes import Comparison, about, counts, difference, verdict
from cli.terminal import amount
from engine.analysis import SAID, PolicyChange
from engine.documents import printable

MARKER = "<!-- bayplan diff -->"
"""Begins every comment: by it the last one is found, to be replaced."""
MOST = 65_536
"""Characters that GitHub takes as a comment; GitLab takes a million."""
ROOM = 400
"""Characters that are kept for saying what was left out."""
MAX_ROWS = 50
LONGEST = 2_000
"""Workloads in the table, and characters of one text."""


def as_markdown(comparison: Comparison) -> str:
    """The comment; what does not fit is counted."""
    parts, left = list(_parts(comparison)), 0
    shown, size = [], 0
    for part in parts:
        if size + len(part) + 1 > MOST - ROOM:
            left += 1
            continue
        shown.append(part)
        size += len(part) + 1
    if left:
        shown.append(f"\n… and {left} more parts that do not fit into a comment: `bayplan diff` tells all of it.")
    return "\n".join(shown)


def _parts(comparison: Comparison) -> Iterator[str]:
    revisions = comparison.revisions
    yield f"{MARKER}\n### Bayplan: {_code(revisions.old.name)} {_code(revisions.old.version)}"[:LONGEST] + (
        f" → {_code(revisions.new.version)}\n"
    )
    yield _headline(comparison)
    yield ("✅ " if comparison.enough else "❌ ") + _code(verdict(comparison).replace("`", "")) + "\n"
    if revisions.bundle:
        rows = [(_code(one.field), _code(one.before), _code(one.after), one.level) for one in revisions.bundle]
        yield _table(("bundle", "before", "after", "step"), rows)
    if comparison.pods is not None:
        yield f"**{amount(comparison.pods, 'pod')}**: {counts(comparison.moves)}.\n"
        if comparison.moves:
            yield _moves(comparison.moves)
    yield from map(_policy, comparison.loud)
    if comparison.rewritten:
        names = ", ".join(map(_code, comparison.rewritten[:MAX_ROWS]))
        more = f" and {len(comparison.rewritten) - MAX_ROWS} more" if len(comparison.rewritten) > MAX_ROWS else ""
        yield f"Written otherwise, meaning the same: {names}{more}.\n"
    if revisions.names:
        yield f"<sub>Compared on the pools of {', '.join(map(_code, revisions.names))}.</sub>"


def _headline(comparison: Comparison) -> str:
    if not comparison.differs:
        return "**No decision changes.**\n"
    by_kind: dict[str, int] = {}
    for one in comparison.loud:
        by_kind[one.kind] = by_kind.get(one.kind, 0) + 1
    told = [f"{amount(number, 'policy', 'policies')} {_plural(kind, number)}" for kind, number in by_kind.items()]
    told += ["the bundle itself changes"] if comparison.revisions.bundle else []
    return f"**{', '.join(told) or 'Pods are placed otherwise'}.**\n"


def _plural(kind: str, number: int) -> str:
    words = SAID[kind]
    return words if number == 1 else words.replace("is ", "are ").replace("decides", "decide")


def _moves(moves: Iterable[Move]) -> str:
    rows = [
        (
            _code(one.owner),
            str(one.pods),
            one.outcome,
            f"{_code(one.before)} → {_code(one.after)}",
            _all(one.policies),
        )
        for one in moves
    ]
    more = f"\n… and {len(rows) - MAX_ROWS} more.\n" if len(rows) > MAX_ROWS else ""
    return _table(("workload", "pods", "outcome", "before → after", "policies"), rows[:MAX_ROWS]) + more


def _all(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _policy(change: PolicyChange) -> str:
    was = f", before as {_code(change.was)}" if change.was else ""
    lines = [f"<details><summary><b>{_html(change.name)}</b> {SAID[change.kind]}{was} ({change.level})</summary>\n"]
    for field in change.fields:
        lines += [f"{_code(field.field)}\n", _fenced(field.before, field.after)]
    lines += [f"{_code(change.reason.replace('`', ''))}\n"] if change.reason else []
    if change.example:
        lines += [f"For example {_code(about(change.example).replace('`', ''))}:\n"]
        lines += [_block(difference(change.example))]
    return "\n".join([*lines, "</details>\n"])


def _fenced(before: str, after: str) -> str:
    """Before and after as a block, whose fence is longer than any in it."""
    return _block([f"- {_line(before)}", f"+ {_line(after)}"])


def _block(lines: Iterable[str]) -> str:
    text = "\n".join(printable(line) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{text}\n{fence}\n"


def _code(text: str) -> str:
    """A text as code, in a table too."""
    line = _line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line.strip() else "–"


def _html(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str) -> str:
    """One line of what shows, not too long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
