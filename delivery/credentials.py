"""What a source shows to be let in, from a folder as a Secret is mounted: one file for each thing, read at each use.

Secrets rotate while a process runs. What is read here is in no message, and in no `repr`.
"""

from __future__ import annotations

import base64
from pathlib import Path

from delivery.content import SourceError, Step
from delivery.files import read_file, reason
from engine.struct import Marked

MAX_CREDENTIAL = 1 << 20


class Credentials(Marked, frozen=True):
    """As of now. Empty is what there is no file for.

    `authority` is PEM: the certificates that a server's may be signed by, in place of the system's. `identity` is the
    private key for ssh, `known_hosts` the keys of the hosts that it may be shown to. `docker` is the configuration of
    Docker, as a Secret of type `kubernetes.io/dockerconfigjson` has it.
    """

    unprinted = ("username", "password", "token", "authority", "identity", "known_hosts", "docker")

    username: str = ""
    password: str = ""
    token: str = ""
    authority: str = ""
    identity: str = ""
    known_hosts: str = ""
    docker: str = ""

    @property
    def authorization(self) -> str:
        """The header of that name for https; empty where there is nothing to show."""
        if self.token:
            return f"Bearer {self.token}"
        if self.username or self.password:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""


def read_credentials(folder: Path | None, step: Step) -> Credentials:
    """The credentials in a folder: `username`, `password`, `bearerToken`, `ca.crt`, `identity`, `known_hosts`, and
    `.dockerconfigjson`.

    Raises SourceError.
    """
    if folder is None:
        return Credentials()
    if not folder.is_dir():
        raise SourceError(step, f"the folder of credentials `{folder}` does not exist")
    username = _word(folder / "username", step)
    if ":" in username:
        raise SourceError(step, f"`{folder / 'username'}` holds a colon, which no user name may")
    return Credentials(
        username,
        _word(folder / "password", step),
        _word(folder / "bearerToken", step),
        _text(folder / "ca.crt", step),
        _text(folder / "identity", step),
        _text(folder / "known_hosts", step),
        _text(folder / ".dockerconfigjson", step),
    )


def _text(path: Path, step: Step) -> str:
    try:
        data = read_file(path, MAX_CREDENTIAL)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SourceError(step, f"`{path}` can't be read: {reason(error)}") from None
    if len(data) > MAX_CREDENTIAL:
        raise SourceError(step, f"`{path}` is larger than {MAX_CREDENTIAL:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SourceError(step, f"`{path}` is not UTF-8") from None


def _word(path: Path, step: Step) -> str:
    """What a file holds, without the line break that editors leave at its end."""
    word = _text(path, step).rstrip("\r\n")
    if not word.isprintable():
        raise SourceError(step, f"`{path}` holds a line break or another character that does not show")
    return word
