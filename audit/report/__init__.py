"""The report of an audit that people forward: one HTML page that needs no other file, no network and no script.

A `Summary` goes in, the bytes of a page come out: the same findings, the same bytes. What stands on the page is words
of pods' authors, who are adversaries: it is escaped by the template, shown without hidden characters, shortened, and
nothing but the page's own style and script is let run. Start with `page.py`.
"""

from audit.report.page import as_html

__all__ = [
    "as_html",  # a Summary as one HTML page of bounded size
]
