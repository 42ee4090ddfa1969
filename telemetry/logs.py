"""Logs: one line per record on standard error."""

from __future__ import annotations

import logging
import sys
import time

from engine.documents import printable_lines

OWN = "bayplan"
"""The logger of everything that is ours; others below it say which part of the process it is."""


class _Records(logging.Formatter):
    """Records as lines that nobody but us can begin: what follows the first line of one is indented."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record)).replace("\n", "\n    ")


def configure_logging() -> None:
    """One line per record on standard error, UTC: ours from INFO on, of libraries warnings and errors only."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = _Records("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(logging.INFO)
