"""Run a process that never outlives the tests, even if they are killed.

Between the tests and the process stands a *leash*: this very file as a program. It starts the process, passes SIGTERM
on to it, and kills it as soon as its own standard input ends, which the operating system sees to when the tests die.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom

STOP_SECONDS = 30.0


class Process:
    """A running process with its output in a log file, and with its errors there too or in one of their own."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        errors: Path | None = None,
        environment: Mapping[str, str | Path] | None = None,
    ) -> None:
        """`environment` is laid over that of the tests."""
        self.command = [str(word) for word in command]
        self.log = log
        self._errors = errors or log
        with log.open("ab") as output, self._errors.open("ab") as complaints:
            self._leash = subprocess.Popen(
                [sys.executable, "-S", "-I", __file__, *self.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=complaints,
                start_new_session=True,
                env={**os.environ, **{key: str(value) for key, value in (environment or {}).items()}},
            )

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._leash.poll()

    def output(self) -> str:
        """Everything that it has written so far, standard error last where it has a file of its own."""
        return "".join(path.read_text(errors="replace") for path in dict.fromkeys((self.log, self._errors)))

    def terminate(self) -> int:
        """Ask it to end (SIGTERM), wait until it has, and return its exit status."""
        self._leash.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._leash.wait(STOP_SECONDS)
        return self.kill()

    def kill(self) -> int:
        """Kill it (SIGKILL), if it still runs, and return its exit status."""
        assert self._leash.stdin is not None
        self._leash.stdin.close()
        return self._leash.wait(STOP_SECONDS)


def free_ports(count: int) -> list[int]:
    """Loopback TCP ports that nothing listens on, below the range that outgoing connections take theirs from."""
    random = SystemRandom()
    with contextlib.ExitStack() as taken:
        ports: list[int] = []
        while len(ports) < count:
            candidate = random.randrange(20_000, 32_000)
            listener = taken.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", candidate))
                ports.append(candidate)
        return ports


def _hold(command: list[str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    asked_early = False

    def pass_on(_signal: int, _frame: object) -> None:
        nonlocal asked_early
        if child is None:
            asked_early = True
        else:
            child.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    if asked_early:
        child.terminate()

    def kill_when_let_go() -> None:
        os.read(sys.stdin.fileno(), 1)
        child.kill()

    threading.Thread(target=kill_when_let_go, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    status = _hold(sys.argv[1:])
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other handler to begin with
            signal.signal(-status, signal.SIG_DFL)
        signal.raise_signal(-status)
    sys.exit(status)
