"""That the harness leaves no process behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .controlplane import wait_for
from .processes import Process


def test_processes_do_not_outlive_the_tests(tmp_path: Path) -> None:
    """A program that starts a process as the tests do and is then killed takes the process with it."""
    beat = tmp_path / "beat"
    program = (
        "import time; from pathlib import Path; from tests.e2e.processes import Process\n"
        f"process = Process(['sh', '-c', 'while echo >> {beat}; do sleep 0.05; done'], Path('{tmp_path}/log'))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == "started\n"
        wait_for(lambda: beat.exists(), "the process to run")
        tests.kill()
    size = -1
    while size != (size := beat.stat().st_size):
        time.sleep(1)


def test_process_is_asked_to_end_and_says_how_it_did(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo ready; while true; do sleep 0.05; done"
    process = Process(["sh", "-c", script], tmp_path / "log")
    wait_for(lambda: "ready" in process.output(), "the script")
    assert process.exit_status is None
    assert process.terminate() == 7
    assert process.output() == "ready\nbye\n"
    killed = Process(["sleep", "600"], tmp_path / "killed")
    assert killed.kill() == -9
