"""Git through a process that speaks for the repository: `ssh` to its host, or `git` for one on this machine.

`ssh` is the system's: it knows host keys, keys on hardware, and whatever else makes a connection, and fails closed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from dulwich.client import GitClient, SubprocessWrapper, TraditionalGitClient
from dulwich.protocol import Protocol

from delivery.credentials import Credentials
from delivery.git.remote import Listening, Remote, shortened
from delivery.transfer import Transfer

MAX_COMPLAINT = 1 << 14
"""Bytes of what a process complains of that are read."""
CLOSE_SECONDS = 2.0
"""How long a process may take to end by itself, once it is not needed any more."""

_GIT = ("git", "-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", "--")
_COMPLAINTS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "shows another host key than the one in `known_hosts`; is it the same host?",
    ),
    (
        "Host key verification failed",
        "has a host key that is not in `known_hosts`; `ssh-keyscan` prints the line to add, which is to be compared",
    ),
    ("error in libcrypto", "can't be asked: what is in `identity` is no private key, or not all of one"),
    ("Permission denied", "refuses the key `identity`; may it read the repository?"),
    ("does not appear to be a git repository", "has no repository there"),
    (
        "No user exists for uid",
        "can't be asked: ssh wants the user that runs Bayplan to have a name; the image's is 65532",
    ),
    ("dubious ownership", "can't be asked: the repository belongs to another user (`git config safe.directory`)"),
)
"""What is in a complaint, and what that means."""


class PipeRemote(Remote):
    """A repository at `ssh://…` or `file:///…`; `credentials` gives what to show, as of now."""

    def __init__(self, url: str, credentials: Callable[[Transfer], Credentials]) -> None:
        self._place, self._credentials = urlsplit(url), credentials

    def client(self, transfer: Transfer, listening: Listening) -> tuple[GitClient, bytes]:
        path = self._place.path
        with contextlib.ExitStack() as closing:
            if self._place.scheme == "file":
                command = [*_GIT, path]
            else:
                path = path.removeprefix("/") if path.startswith("/~") else path
                quoted = "'" + path.replace("'", "'\\''") + "'"
                command = [*self._ssh(transfer, closing), f"git-upload-pack {quoted}"]
            return _Client(command, transfer, listening, closing.pop_all()), b""

    def _ssh(self, transfer: Transfer, closing: contextlib.ExitStack) -> list[str]:
        """It asks nobody anything, and takes no host key that it does not know."""
        place, credentials = self._place, self._credentials(transfer)
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UpdateHostKeys": "no",
            "ConnectTimeout": str(max(1, min(10, int(transfer.left())))),
            "SetEnv": "GIT_PROTOCOL=version=2",
            "LogLevel": "ERROR",
        }
        file = []
        if credentials.identity or credentials.known_hosts:  # these alone, whatever this user has
            file = ["-F", "/dev/null"]
            options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none", "PreferredAuthentications": "publickey"}
            options |= {"GlobalKnownHostsFile": "/dev/null"}
            options |= {"IdentityFile": closing.enter_context(_lent(credentials.identity))}
            options |= {"UserKnownHostsFile": closing.enter_context(_lent(credentials.known_hosts))}
        said = [f"-o{name}={value}" for name, value in options.items()]
        port = ["-p", str(place.port)] if place.port else []
        user = f"{place.username}@" if place.username else ""
        return ["ssh", "-x", "-T", *file, *said, *port, "--", f"{user}{place.hostname}"]


@contextlib.contextmanager
def _lent(text: str) -> Iterator[str]:
    """A path at which `ssh` finds a text, as long as the context lasts: in memory, where there is Linux.

    The file that it is from would do less well: `ssh` refuses a key whose file others may read, as Secrets are mounted,
    or that does not end with a line end, and takes the public key beside it, which may be an older one's.
    """
    data = text.replace("\r\n", "\n").strip("\n").encode() + b"\n"
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("bayplan"), "wb", buffering=0) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            yield f"/proc/{os.getpid()}/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(buffering=0) as named:
            named.write(data)
            yield named.name


class _Client(TraditionalGitClient):
    """Runs a command for a question, and ends it with that."""

    def __init__(
        self, command: list[str], transfer: Transfer, listening: Listening, closing: contextlib.ExitStack
    ) -> None:
        super().__init__(thin_packs=False, quiet=True)
        self._command, self._transfer, self._listening, self._closing = command, transfer, listening, closing

    def close(self) -> None:
        self._closing.close()

    def _connect(
        self,
        cmd: bytes,  # noqa: ARG002
        path: str | bytes,  # noqa: ARG002
        protocol_version: int | None = None,  # noqa: ARG002
    ) -> tuple[Protocol, Callable[[], bool], Any]:
        try:
            process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "GIT_PROTOCOL": "version=2", "LC_ALL": "C"},
            )
        except OSError as error:
            text = f"`{self._command[0]}` can't be run ({error.strerror}), which {self._transfer.whom} is asked by"
            raise self._transfer.error(text) from None
        self._transfer.interrupted_by(process.kill)
        pipe = _Process(process, self._transfer)
        lines = Protocol(self._listening(pipe.counted), pipe.written, pipe.close)
        self._closing.callback(lines.close)
        return lines, pipe.can_read, _Complaint(process, self._transfer)

    @staticmethod
    def _warn_filter_objects() -> None:
        """A server that does not filter sends all, which is measured as it comes."""


class _Process(SubprocessWrapper):
    """A process whose output is counted."""

    def __init__(self, process: subprocess.Popen[bytes], transfer: Transfer) -> None:
        super().__init__(process)
        self._transfer = transfer

    def counted(self, size: int) -> bytes:
        data: bytes = self.read(size)
        self._transfer.received(len(data))
        return data

    def written(self, data: bytes) -> int:
        """Where the process has ended meanwhile, why it did is yet to be read, and not that it takes no more."""
        with contextlib.suppress(BrokenPipeError):
            self.write(data)
        return len(data)

    def close(self, timeout: int | None = None) -> None:  # noqa: ARG002
        for stream in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self.proc.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


class _Complaint:
    """What a process says on standard error, so much of it. dulwich asks where the connection has ended early."""

    def __init__(self, process: subprocess.Popen[bytes], transfer: Transfer) -> None:
        self._process, self._transfer = process, transfer

    def readlines(self) -> list[bytes]:
        """Never gives any: an error in words is raised instead."""
        assert self._process.stderr
        said = b""
        while len(said) < MAX_COMPLAINT and (more := self._process.stderr.read(MAX_COMPLAINT)):
            said += more
        raise self._transfer.error(f"{self._transfer.whom} {_meaning(said.decode(errors='replace'))}")


def _meaning(said: str) -> str:
    """A complaint in our words, where it is known what it means, else in its own."""
    for sign, words in _COMPLAINTS:
        if sign in said:
            return words
    return f"can't be asked: {shortened(said) or 'it ends without a word'}"
