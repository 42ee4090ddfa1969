"""Markdown of what others wrote: policies, pods, names.

Whoever opens the pull request wrote the policies, and maybe the pods: what they wrote stands in code alone, so that it
can't call people, hide anything or look like something that Bayplan says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.documents import printable

MOST = 65_536
"""Characters that GitHub takes as a comment; GitLab takes a million."""
ROOM = 400
"""Characters that are kept for saying what was left out."""
MAX_ROWS = 50
LONGEST = 2_000
"""Rows of a table, and characters of one text."""


def fitting(parts: Iterable[str], elsewhere: str) -> str:
    """The parts of a comment; those that do not fit are counted, with who tells `elsewhere` of all of it."""
    shown, size, left = list[str](), 0, 0
    for part in parts:
        if size + len(part) + 1 > MOST - ROOM:
            left += 1
            continue
        shown.append(part)
        size += len(part) + 1
    if left:
        shown.append(f"\n… and {left} more parts that do not fit into a comment: `{elsewhere}` tells all of it.")
    return "\n".join(shown)


def block(lines: Iterable[str]) -> str:
    """Lines of a diff, in a fence that is longer than any in it."""
    text = "\n".join(printable(line) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}diff\n{text}\n{fence}\n"


def code(text: str) -> str:
    """A text as code, in a table too."""
    shown = line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown.strip() else "–"


def html(text: str) -> str:
    """A text where HTML may stand."""
    return line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def line(text: str) -> str:
    """One line of what shows, not too long."""
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; its cells are Markdown."""
    head = list(header)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
