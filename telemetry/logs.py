"""Logs: one line per record on standard error."""

from __future__ import annotations

import logging
import sys
import time

OWN = "bayplan"
"""The logger of everything that is ours; others below it say which part of the process it is."""


def configure_logging() -> None:
    """One line per record on standard error, UTC: ours from INFO on, of libraries warnings and errors only."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(logging.INFO)
