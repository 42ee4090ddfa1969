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


NOBODY_READS = """
import logging, threading, time
from telemetry.logs import configure_logging

lost = []
close = configure_logging(lost.append)
for number in range(20_000):
    logging.getLogger("bayplan").info("%d %s", number, "x" * 100)
print("went on", len(lost) > 10_000, flush=True)
close()
print("ended", flush=True)
"""


def test_nobody_needs_to_read() -> None:
    """Standard error is a pipe that is full: the program goes on, counts what is lost, and ends."""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", NOBODY_READS]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as ran:
        assert ran.stdout is not None
        assert ran.stdout.read() == "went on True\nended\n"
        assert ran.wait(30) == 0


RESUMED = """
import logging, os, sys, time
from telemetry.logs import configure_logging

close = configure_logging()
for number in range(20_000):
    logging.getLogger("bayplan").info("%d %s", number, "x" * 100)
print("filled", flush=True)
sys.stdin.readline()
logging.getLogger("bayplan").info("again")
close()
"""


def test_what_was_lost_is_said() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", RESUMED]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as ran:
        assert ran.stdin is not None
        assert ran.stdout is not None
        assert ran.stderr is not None
        assert ran.stdout.readline() == "filled\n"
        lines = [ran.stderr.readline() for _ in range(1000)]
        ran.stdin.write("\n")
        ran.stdin.close()
        lines += ran.stderr.read().splitlines(keepends=True)
    written = sum(" INFO bayplan: " in line and "again" not in line for line in lines)
    note = re.compile(r"\((\d+) lines of the log were lost here, for nobody read them\)\n")
    lost = [int(found[1]) for line in lines if (found := note.fullmatch(line))]
    assert lost  # once or more often: the pipe takes some lines between
    assert sum(lost) == 20_000 - written
    assert lines[-1].endswith("INFO bayplan: again\n")
