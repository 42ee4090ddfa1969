"""Findings as a page: `audit.report`, which is loaded, with its template engine, when somebody asks for one."""

from __future__ import annotations

from audit.summary import Summary


def as_html(summary: Summary, source: str = "") -> bytes:
    """One HTML page, in UTF-8, that needs nothing but itself; `source` says in words where the pods were read from."""
    from audit.report import as_html as made

    return made(summary, source)
