"""What an audit found, as a comment for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from audit import Line, Summary, shortened, worth_telling
from cli.markdown import MAX_ROWS, code, fitting, table
from cli.terminal import amount

MARKER = "<!-- bayplan audit -->"
"""Begins every comment: by it the last one is found, to be replaced."""
SIGNS = {"denied": "⛔", "unschedulable": "⏳", "failed": "⚠️", "changed": "✏️", "unchanged": ""}
"""By outcome: what stands before a line."""


def as_markdown(summary: Summary) -> str:
    """The comment; what does not fit is counted."""
    return fitting(_parts(summary), "bayplan audit")


def _parts(summary: Summary) -> Iterator[str]:
    yield f"{MARKER}\n### Bayplan audit\n"
    yield f"{'✅' if summary.ready else '❌'} **{summary.verdict}**\n"
    yield f"{summary.total}.\n"
    if summary.drifts:
        pods = amount(sum(one.pods for one in summary.drifts), "pod")
        yield f"{pods} of {amount(len(summary.drifts), 'workload')} would not be let where they run.\n"
    policies = [(code(one.name), code(one.text)) for one in summary.by_policy()]
    if policies:
        yield table(("policy", "comes to"), policies[:MAX_ROWS]) + _more(len(policies))
    noted = [(code(one.title or "nodes of no pool"), "; ".join(one.notes)) for one in summary.loads if one.notes]
    if noted:
        yield table(("pool", "if all pods were created again"), noted[:MAX_ROWS]) + _more(len(noted))
    blockers = summary.lines("owner", summary.blockers)
    if blockers:
        yield "In the way:\n"
        yield table(_HEADER, map(_row, blockers[:MAX_ROWS])) + _more(len(blockers))
    others = [one for one in summary.findings if worth_telling(one) and one not in summary.blockers]
    lines = summary.lines("owner", others)
    if lines:
        yield f"<details><summary>{amount(len(lines), 'line')} about what else would happen</summary>\n"
        yield table(_HEADER, map(_row, lines[:MAX_ROWS])) + _more(len(lines))
        yield "</details>\n"


_HEADER = ("workload", "pods", "effect", "policies", "why")


def _row(line: Line) -> tuple[str, ...]:
    sign = SIGNS[line.outcome]
    effect = f"{sign} {code(line.effect)}" if sign else code(line.effect)
    policies, because = ", ".join(map(code, line.policies)) or "–", code(shortened(line.why))
    return code(line.group), f"{line.pods:,}", effect, policies, because


def _more(rows: int) -> str:
    return f"\n… and {rows - MAX_ROWS} more.\n" if rows > MAX_ROWS else ""
