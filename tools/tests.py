"""All tests, by as many processes at a time as there are processors, and by two at least (`make test`).

Each folder in `tests/` gets a pytest of its own, and so do the files beside the folders. What one of them said is
printed when it has ended, and at last what all of them come to. One process for everything would leave processors idle,
and end up with gigabytes of what tests have left behind. Further arguments are pytest's, and each process gets them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

ROOT = Path(__file__).parent.parent
BESIDE = "test_*.py"
LONGEST = ("e2e", "engine", "delivery", "webhook", BESIDE, "audit", "cluster", "cli")
"""What takes longest (a quarter of an hour to half a minute) starts first, lest all wait for one in the end."""
NO_TESTS = 5
"""How pytest exits where none is left by the arguments."""
LAST_LINE = re.compile(r"^=+ (\d+ .* in [\d.]+s)\b", re.MULTILINE)
OUTCOME = re.compile(r"(\d+) (passed|failed|skipped|deselected|xfailed|xpassed|error)")

PROGRESS = re.compile(rb"\[ *(\d+%)\]")
PROGRESS_SECONDS = 60.0

running: dict[str, tuple[subprocess.Popen[bytes], BinaryIO]] = {}
"""The processes, and the files that they write what they say into, by their names."""
printing = threading.Lock()


class Ended(NamedTuple):
    """One process: what it ran, how it exited, what it said, and how long it took in seconds."""

    name: str
    status: int
    said: str
    seconds: float

    @property
    def outcomes(self) -> Counter[str]:
        """How many tests came out how, by pytest's last line; something may have been said after it."""
        *_, last = ("", *LAST_LINE.findall(self.said))
        return Counter({what: int(count) for count, what in OUTCOME.findall(last)})


def groups() -> dict[str, list[str]]:
    """What each process is to run, by its name, in the order in which they start. No test is in none of them."""
    tests = ROOT / "tests"
    folders = {path.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")}
    found = {name: [f"tests/{name}"] for name in folders}
    if beside := sorted(f"tests/{path.name}" for path in tests.glob(BESIDE)):
        found[BESIDE] = beside
    order = sorted(found, key=lambda name: (LONGEST.index(name) if name in LONGEST else len(LONGEST), name))
    return {f"tests/{name}": found[name] for name in order}


def run(name: str, paths: Sequence[str], options: Sequence[str]) -> Ended:
    """Run a process, and print what it said. That goes into a file, for what tests leave running may hold a pipe."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", *paths, *options]
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        running[name] = process, file
        status = process.wait()
        del running[name]
        file.seek(0)
        said = file.read().decode(errors="replace")
    ended = Ended(name, status, said, time.monotonic() - began)
    with printing:
        print(f"\n{name}, {ended.seconds:.0f} s:\n{said.rstrip()}", flush=True)
    return ended


def far() -> str:
    """How far those that run have come."""
    told = []
    for name, (_, file) in [*running.items()]:
        with contextlib.suppress(ValueError):  # closed in this moment
            end = os.fstat(file.fileno()).st_size
            *_earlier, last = (b"0%", *PROGRESS.findall(os.pread(file.fileno(), 1000, max(end - 1000, 0))))
            told.append(f"{name} {last.decode()}")
    return ", ".join(told)


def stop(*_signal: object) -> NoReturn:
    """Whoever asks this process to end is told by all others what they have come to, too; they clear up."""
    for process, _ in [*running.values()]:
        process.send_signal(signal.SIGINT)
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """Exit status 1 if a test failed, or could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = max(2, processors)  # those of a cluster wait half of the time
    parser.add_argument("--jobs", type=int, default=jobs, help="so many processes at a time (%(default)s here)")
    parser.add_argument("--list", action="store_true", help="what each process would run, and run nothing")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="what each pytest is told too; after --")
    given = parser.parse_args()
    if given.list:
        print(*(" ".join(paths) for paths in groups().values()), sep="\n")
        return 0
    began = time.monotonic()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has its background ignore, and all below
    with ThreadPoolExecutor(max(given.jobs, 1)) as pool:
        started = [pool.submit(run, name, paths, given.options) for name, paths in groups().items()]
        try:
            while wait(started, PROGRESS_SECONDS).not_done:
                print(f"after {time.monotonic() - began:.0f} s: {far()}", flush=True)
            ended = [one.result() for one in started]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # those that run are interrupted too
            raise
    bad = [one for one in ended if one.status not in (0, NO_TESTS) or (one.status == 0 and not one.outcomes)]
    total = sum((one.outcomes for one in ended), Counter[str]())
    counted = ", ".join(f"{count} {what}" for what, count in total.items()) or "no tests ran"
    print(f"\n{f' {counted} in {time.monotonic() - began:.2f}s ':=^80}")  # as pytest ends
    for one in bad:
        print(f"failed: {one.name} (exit status {one.status}): see above")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
