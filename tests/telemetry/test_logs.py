"""telemetry.logs: one line for each record, and who is heard."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys

PROGRAM = """
import logging
from telemetry.logs import configure_logging

configure_logging()
logging.getLogger("bayplan.activation").info("active: %s", "small@1.0.0")
logging.getLogger("bayplan").debug("not this")
logging.getLogger("urllib3.connection").info("nor this")
logging.getLogger("urllib3.connection").warning("but this")
configure_logging()
logging.getLogger("bayplan").error("once")
"""
LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Z]+ [\w.]+: .*)")


def test_lines_are_of_one_form_on_standard_error() -> None:
    """Ours from INFO on, of libraries warnings and errors; in UTC, wherever the machine is."""
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    environment = {"TZ": "Pacific/Auckland", "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    found = [LINE.fullmatch(line) for line in ran.stderr.splitlines()]
    assert ran.stdout == ""
    assert [match and match[2] for match in found] == [
        "INFO bayplan.activation: active: small@1.0.0",
        "WARNING urllib3.connection: but this",
        "ERROR bayplan: once",
    ]
    for match in found:
        assert match is not None
        assert before < datetime.datetime.fromisoformat(match[1]) <= datetime.datetime.now(datetime.UTC)


FORGED = """
import logging
from telemetry.logs import configure_logging

configure_logging()
logging.getLogger("bayplan").info("pod %s", "a\\x1b[2Jb\\n2026-01-01T00:00:00.000Z INFO bayplan: all is well\\u202e")
"""


def test_nobody_forges_a_line_or_moves_the_cursor() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", FORGED], capture_output=True, text=True, check=True, env=environment)
    first, second = ran.stderr.splitlines()
    assert first.endswith("pod a\\u001b[2Jb")
    assert second == "    2026-01-01T00:00:00.000Z INFO bayplan: all is well\\u202e"
