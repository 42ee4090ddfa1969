"""What following a cluster costs `bayplan serve`: a cluster of one Node next to large ones, in the same run.

    python -m benchmarks.follow [--rounds N]

Each is a process of its own, beside another that serves the cluster of `benchmarks.fleet`: lists in pages, watches,
objects as large as real ones. Bayplan has 50 policies. Processor time is what the kernel counts for all threads of the
process, from its start to the first `ok` of `/readyz`, and for each change from its event until nothing is left to do;
memory is what is resident then, and was at most. Modules are compiled before, as an installation has them.

Standard output gets JSON lines, standard error a table.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serve import processor_seconds, write_bundle
from webhook import development

SIZES = (1, 500, 5000)
CHANGES = {"one Node's heartbeat": "heartbeat 1", "500 heartbeats": "heartbeat 500", "one label": "label 1"}
CHANGES |= {"500 labels": "label 500"}
READY_SECONDS = 120.0
REST_SECONDS = 1.0


def measured(folder: Path, nodes: int) -> dict[str, float]:
    """Processor seconds, seconds and MiB of one process on a cluster of so many Nodes."""
    command = [sys.executable, "-m", "benchmarks.fleet", str(nodes), str(folder / "kubeconfig")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdin
        assert cluster.stdout
        cluster.stdout.readline()
        began = time.perf_counter()
        with running(folder) as (process, health):
            while not _is_ready(health):
                time.sleep(0.01)
            found = {"ready": processor_seconds(process.pid), "ready, seconds": time.perf_counter() - began}
            found |= {"MiB": _mebibytes(process.pid, "VmRSS"), "MiB at most": _mebibytes(process.pid, "VmHWM")}
            for name, change in CHANGES.items():
                _rest(process.pid)
                before = processor_seconds(process.pid)
                cluster.stdin.write(f"{change}\n")
                cluster.stdin.flush()
                cluster.stdout.readline()
                _rest(process.pid)
                found[name] = processor_seconds(process.pid) - before
        cluster.kill()
    return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A webhook that watches the cluster, and where its health is told."""
    log = folder / "log"
    command = [sys.executable, "-m", "cli.main", "serve", "--bundle", str(folder / "bundle")]
    certificate, key = development(["127.0.0.1"]).write(folder)  # of files, as the chart has it
    command += ["--kubeconfig", str(folder / "kubeconfig"), "--tls-cert", str(certificate), "--tls-key", str(key)]
    command += ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"]
    compiled = {key: said for key, said in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream, env=compiled)
    try:
        end = time.monotonic() + READY_SECONDS
        while not (said := re.search(r"health and metrics at (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the webhook did not start: {log.read_text()}")
            time.sleep(0.01)
        yield process, said[1]
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def _is_ready(health: str) -> bool:
    connection = http.client.HTTPConnection(health.removeprefix("http://"))
    with contextlib.closing(connection):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def _rest(pid: int) -> None:
    """Wait until a process has nothing to do any more."""
    before = -1.0
    while (now := processor_seconds(pid)) - before > REST_SECONDS / 50:
        before = now
        time.sleep(REST_SECONDS)


def _mebibytes(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and say how many times a cluster of one Node a large one costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    rounds: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bundle(folder / "bundle")
        measured(folder, 1)  # modules are compiled, files are read once
        for _ in range(args.rounds):
            for size in SIZES:
                rounds[size].append(measured(folder, size))
    floor = statistics.median(each["ready"] for each in rounds[1])
    for size, some in rounds.items():
        print(f"{size} Nodes", file=sys.stderr)
        for what in some[0]:
            value = statistics.median(each[what] for each in some)
            ratio = "" if what.startswith("MiB") or what == "ready, seconds" else f"  {value / floor:8.3f} ×"
            print(f"  {what:<22}  {value:8.3f}{ratio}", file=sys.stderr)
            times = None if not ratio else round(value / floor, 4)
            print(json.dumps({"benchmark": "follow", "nodes": size, "what": what, "value": value, "times": times}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
