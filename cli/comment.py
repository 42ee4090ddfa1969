"""What changes between two revisions of a bundle, as a comment for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from audit import Move
from cli.changes import Comparison, about, counts, difference, verdict
from cli.markdown import LONGEST, MAX_ROWS, block, code, fitting, html, line, table
from cli.terminal import amount
from engine.analysis import SAID, PolicyChange

MARKER = "<!-- bayplan diff -->"
"""Begins every comment: by it the last one is found, to be replaced."""


def as_markdown(comparison: Comparison) -> str:
    """The comment; what does not fit is counted."""
    return fitting(_parts(comparison), "bayplan diff")


def _parts(comparison: Comparison) -> Iterator[str]:
    revisions = comparison.revisions
    yield f"{MARKER}\n### Bayplan: {code(revisions.old.name)} {code(revisions.old.version)}"[:LONGEST] + (
        f" → {code(revisions.new.version)}\n"
    )
    yield _headline(comparison)
    yield ("✅ " if comparison.enough else "❌ ") + code(verdict(comparison).replace("`", "")) + "\n"
    if revisions.bundle:
        rows = [(code(one.field), code(one.before), code(one.after), one.level) for one in revisions.bundle]
        yield table(("bundle", "before", "after", "step"), rows)
    if comparison.pods is not None:
        yield f"**{amount(comparison.pods, 'pod')}**: {counts(comparison.moves)}.\n"
        if comparison.moves:
            yield _moves(comparison.moves)
    yield from map(_policy, comparison.loud)
    if comparison.rewritten:
        names = ", ".join(map(code, comparison.rewritten[:MAX_ROWS]))
        more = f" and {len(comparison.rewritten) - MAX_ROWS} more" if len(comparison.rewritten) > MAX_ROWS else ""
        yield f"Written otherwise, meaning the same: {names}{more}.\n"
    if revisions.names:
        yield f"<sub>Compared on the pools of {', '.join(map(code, revisions.names))}.</sub>"


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
            code(one.owner),
            str(one.pods),
            one.outcome,
            f"{code(one.before)} → {code(one.after)}",
            _all(one.policies),
        )
        for one in moves
    ]
    more = f"\n… and {len(rows) - MAX_ROWS} more.\n" if len(rows) > MAX_ROWS else ""
    return table(("workload", "pods", "outcome", "before → after", "policies"), rows[:MAX_ROWS]) + more


def _all(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


def _policy(change: PolicyChange) -> str:
    was = f", before as {code(change.was)}" if change.was else ""
    lines = [f"<details><summary><b>{html(change.name)}</b> {SAID[change.kind]}{was} ({change.level})</summary>\n"]
    for field in change.fields:
        lines += [f"{code(field.field)}\n", _fenced(field.before, field.after)]
    lines += [f"{code(change.reason.replace('`', ''))}\n"] if change.reason else []
    if change.example:
        lines += [f"For example {code(about(change.example).replace('`', ''))}:\n"]
        lines += [block(difference(change.example))]
    return "\n".join([*lines, "</details>\n"])


def _fenced(before: str, after: str) -> str:
    """Before and after as a block, whose fence is longer than any in it."""
    return block([f"- {line(before)}", f"+ {line(after)}"])
