"""`bayplan audit` as it is called on the command line, in this process: starting one takes longer than most audits."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

from cli.main import main

from .controlplane import Json


def findings(*words: object) -> list[Json]:
    """What it finds, as data; also of what stays as it is."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(["audit", *map(str, words), "-o", "jsonl", "--all", "--fail-on", "none"])
    assert status == 0, (status, err.getvalue())
    found = map(json.loads, out.getvalue().splitlines())
    return [one for one in found if one["kind"] == "Finding"]
