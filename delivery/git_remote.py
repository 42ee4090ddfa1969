"""A repository of Git that is elsewhere, asked by dulwich: its references, and packs of objects that it sends.

dulwich speaks the protocol. How bytes come and go is ours: over https by `Https`, over ssh by the system's `ssh`, so
that what is read is bounded, and waiting has an end. Only the smart protocol is spoken, packs are never fetched without
a depth, and never from elsewhere than the server that was asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from dulwich.client import AbstractHttpGitClient, GitClient, SubprocessWrapper, TraditionalGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.protocol import Protocol as Lines
from dulwich.refs import Ref

from delivery.content import SourceError
from delivery.credentials import Credentials
from delivery.https import Answer, Https
from delivery.transfer import Transfer
from engine.documents import printable

MAX_REDIRECTS = 5
MAX_SAID = 300
"""Characters of what a server says that are told."""
MAX_STDERR = 1 << 14
BLOBLESS = b"blob:none"
_CLOSE_SECONDS = 2
_STRANGE = (NotGitRepository, AssertionError, LookupError, TypeError, ValueError, OSError)
"""What dulwich raises for answers that are none of Git."""


@dataclass(frozen=True, slots=True)
class Refs:
    """Names of a repository's references, and of what they point to: objects. `HEAD` is among them.

    `peeled` says for tags that are objects themselves what they are about.
    """

    names: Mapping[str, str]
    peeled: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """A pack as it was sent, and by which algorithm its objects are named."""

    pack: bytearray
    algorithm: str


class RefusedError(Exception):
    """The server does not hand out what was asked for, with its own words."""


class Remote(Protocol):
    """A repository. Its methods are called within a transfer, and raise SourceError."""

    def refs(self, transfer: Transfer, prefixes: Sequence[str]) -> Refs:
        """The references that begin with one of the prefixes, and maybe others."""

    def pack(
        self, transfer: Transfer, prefixes: Sequence[str], choose: Callable[[Mapping[str, str]], list[str]], whole: bool
    ) -> Received:
        """The objects that `choose` picks, given the references, with what belongs to them, but no history.

        Not `whole`, blobs are left out where the server can do that. Raises RefusedError.
        """

    def close(self) -> None:
        """Let go of connections."""


def remote_of(url: str, credentials: Callable[[Transfer], Credentials]) -> Remote:
    """The repository at `https://…`, `ssh://…` or `file:///…`; `credentials` gives what to show, as of now."""
    return _OverHttps(url, credentials) if url.startswith("http") else _OverPipe(url, credentials)


class _NoHistory:
    """What dulwich asks which commits are here already: none."""

    shallow: frozenset[bytes] = frozenset()

    def __next__(self) -> None:
        return None

    next = __next__

    def ack(self, sha: bytes) -> None:
        """There is nothing that could be in common."""

    def nak(self) -> None:
        """There is nothing that could be in common."""


class _Ear:
    """The end of what was heard. Where a server gives up, dulwich reads over its last words, and finds silence."""

    def __init__(self) -> None:
        self._heard = b""

    def listening(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def listened(size: int) -> bytes:
            data = read(size)
            self._heard = (self._heard + data[-MAX_SAID:])[-2 * MAX_SAID :]
            return data

        return listened

    @property
    def last_words(self) -> str:
        found = _GIVEN_UP.search(self._heard)
        return found[1].decode(errors="replace") if found else ""


_GIVEN_UP = re.compile(rb"[0-9a-f]{4}ERR ([^\n]*)\n?\Z")


class _Asked:
    """The questions to a repository by any client of dulwich."""

    def __init__(self) -> None:
        self._ear = _Ear()

    def refs(self, transfer: Transfer, prefixes: Sequence[str]) -> Refs:
        client, path = self._client(transfer)
        with _understood(transfer, self._ear):
            found = client.get_refs(path, protocol_version=2, ref_prefix=[one.encode() for one in prefixes]).refs
        names = {_text(name): value.decode() for name, value in found.items() if value}
        tags = [name for name in names if name.endswith("^{}")]
        return Refs(names, {tag.removesuffix("^{}"): names.pop(tag) for tag in tags})

    def pack(
        self, transfer: Transfer, prefixes: Sequence[str], choose: Callable[[Mapping[str, str]], list[str]], whole: bool
    ) -> Received:
        client, path = self._client(transfer)
        received = bytearray()

        def wanted(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001
            chosen = choose({_text(name): value.decode() for name, value in refs.items()})
            return [ObjectID(one.encode()) for one in chosen]

        def take(data: bytes) -> int:
            received.extend(data)
            return len(data)

        with _understood(transfer, self._ear):
            result = client.fetch_pack(
                path,
                wanted,
                _NoHistory(),
                take,
                depth=1,
                ref_prefix=[one.encode() for one in prefixes],
                filter_spec=None if whole else BLOBLESS,
                protocol_version=2,
            )
        return Received(received, result.object_format or "sha1")

    def _client(self, transfer: Transfer) -> tuple[GitClient, Any]:
        raise NotImplementedError


class _OverHttps(_Asked):
    def __init__(self, url: str, credentials: Callable[[Transfer], Credentials]) -> None:
        super().__init__()
        self._url, self._credentials, self._https = url, credentials, Https()

    def _client(self, transfer: Transfer) -> tuple[GitClient, Any]:
        client = _HttpsClient(self._url, self._https, transfer, self._credentials(transfer), self._ear)
        return client, ""

    def close(self) -> None:
        self._https.close()


class _HttpsClient(AbstractHttpGitClient):
    """dulwich's client, whose requests are bounded.

    As with git, only the first request may be redirected, to https; the ones that follow go where it led. Credentials
    are shown to the host that was asked for, nobody else.
    """

    def __init__(self, url: str, https: Https, transfer: Transfer, credentials: Credentials, ear: _Ear) -> None:
        super().__init__(url, thin_packs=False, quiet=True)
        self._ear = ear
        self._https, self._transfer, self._credentials = https, transfer, credentials
        self._origin = urlsplit(url)[:2]

    def _get_url(self, path: str | bytes) -> str:  # noqa: ARG002
        return self._base_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002
    ) -> tuple[Any, Callable[[int], bytes]]:
        assert data is None or isinstance(data, bytes)
        if data is None and "/info/refs?service=" not in url:
            raise self._transfer.error(f"{self._transfer.whom} points to packs elsewhere, which are not fetched")
        answer, place = self._followed(url, headers or {}, data)
        if answer.status != 200:
            raise self._refusal(answer)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if not kind.startswith("application/x-git-"):
            raise self._transfer.error(
                f"{self._transfer.whom} does not answer as a Git server there, but with `{_said(kind) or 'nothing'}`"
                "; is the address that of the repository itself?"
            )
        answer.content_type = kind  # type: ignore[attr-defined]
        answer.redirect_location = place if place != url else ""  # type: ignore[attr-defined]
        return answer, self._ear.listening(answer.read)

    def _followed(self, url: str, headers: Mapping[str, str], data: bytes | None) -> tuple[Answer, str]:
        method, place = ("GET" if data is None else "POST"), url
        for _ in range(MAX_REDIRECTS):
            sent = dict(headers)
            if self._credentials.authorization and urlsplit(place)[:2] == self._origin:
                sent["Authorization"] = self._credentials.authorization
            answer = self._https.request(self._transfer, method, place, sent, data, self._credentials.authority)
            if answer.status not in (301, 302, 303, 307, 308) or data is not None:
                return answer, place
            place = urljoin(place, answer.headers.get("Location", ""))
            answer.close()
            if not place.startswith("https://") or not place.endswith(url[url.rindex("/info/refs") :]):
                raise self._transfer.error(f"{self._transfer.whom} redirects to what is no repository over https")
        raise self._transfer.error(f"{self._transfer.whom} redirects in a circle")

    def _refusal(self, answer: Answer) -> SourceError:
        answer.close()
        whom, status, shown = self._transfer.whom, answer.status, bool(self._credentials.authorization)
        match status:
            case 401 | 403 if shown:
                text = f"refuses the credentials ({status}); are they current, and may they read the repository?"
            case 401 | 403:
                text = f"wants credentials ({status}), and there are none; give `username` and `password`, or a token"
            case 404 | 410:
                text = f"has no such repository ({status})" + (
                    ", or does not show it to these credentials"
                    if shown
                    else ", or shows it to nobody without credentials"
                )
            case 407:
                text = "can't be reached: the proxy wants credentials (407)"
            case 429:
                text = "wants to be asked less often (429)"
            case _ if 300 <= status < 400:
                text = f"redirects in the middle of an answer ({status})"
            case _:
                text = f"fails to answer ({status})" if status >= 500 else f"refuses to answer ({status})"
        return self._transfer.error(f"{whom} {text}", answer.retry_after)

    @staticmethod
    def _warn_filter_objects() -> None:
        """A server that does not filter sends all, which is measured as it comes."""


class _OverPipe(_Asked):
    """A process that speaks for the repository: `ssh` to its host, or `git` itself for one on this machine."""

    def __init__(self, url: str, credentials: Callable[[Transfer], Credentials]) -> None:
        super().__init__()
        self._place, self._credentials = urlsplit(url), credentials

    def _client(self, transfer: Transfer) -> tuple[GitClient, Any]:
        path = self._place.path
        if self._place.scheme == "file":
            command = [*_GIT, path]
        else:
            path = path.removeprefix("/") if path.startswith("/~") else path
            quoted = "'" + path.replace("'", "'\\''") + "'"
            command = [*self._ssh(transfer), f"git-upload-pack {quoted}"]
        return _PipeClient(command, transfer, self._ear), b""

    def _ssh(self, transfer: Transfer) -> list[str]:
        place = self._place
        options = [f"-o{name}={value}" for name, value in _ssh_options(transfer, self._credentials(transfer)).items()]
        file = ["-F", "/dev/null"] if "-oIdentitiesOnly=yes" in options else []
        port = ["-p", str(place.port)] if place.port else []
        user = f"{place.username}@" if place.username else ""
        return ["ssh", "-x", "-T", *file, *options, *port, "--", f"{user}{place.hostname}"]

    def close(self) -> None:
        """A process lasts as long as an answer."""


_GIT = ("git", "-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", "--")


def _ssh_options(transfer: Transfer, credentials: Credentials) -> dict[str, str]:
    """It asks nobody anything, and takes no host key that it does not know. With credentials, it uses those alone."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ConnectTimeout": str(max(1, min(10, int(transfer.left())))),
        "SetEnv": "GIT_PROTOCOL=version=2",
        "LogLevel": "ERROR",
    }
    if credentials.identity or credentials.known_hosts:
        options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none", "GlobalKnownHostsFile": "/dev/null"}
        options |= {"PreferredAuthentications": "publickey"}
        options["UserKnownHostsFile"] = _quoted(str(credentials.known_hosts or "/dev/null"))
        options["IdentityFile"] = _quoted(str(credentials.identity or "/dev/null"))
    return options


def _quoted(path: str) -> str:
    """A path in an option of ssh, which takes blanks for separators, and `%` for its own."""
    return '"' + path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'


class _PipeClient(TraditionalGitClient):
    def __init__(self, command: list[str], transfer: Transfer, ear: _Ear) -> None:
        super().__init__(thin_packs=False, quiet=True)
        self._command, self._transfer, self._ear = command, transfer, ear

    def _connect(
        self,
        cmd: bytes,  # noqa: ARG002
        path: str | bytes,  # noqa: ARG002
        protocol_version: int | None = None,  # noqa: ARG002
    ) -> tuple[Lines, Callable[[], bool], Any]:
        try:
            process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "GIT_PROTOCOL": "version=2"},
            )
        except FileNotFoundError:
            raise self._transfer.error(f"there is no `{self._command[0]}` here; install it") from None
        self._transfer.interrupted_by(process.kill)
        pipe = _Process(process, self._transfer)
        return (
            Lines(self._ear.listening(pipe.read), pipe.write, pipe.close),
            pipe.can_read,
            _Complaint(process, self._transfer),
        )

    @staticmethod
    def _warn_filter_objects() -> None:
        """As over https."""


class _Process(SubprocessWrapper):
    """A process of `ssh`, whose output is counted."""

    def __init__(self, process: subprocess.Popen[bytes], transfer: Transfer) -> None:
        super().__init__(process)
        self._transfer = transfer
        read: Callable[[int], bytes] = self.read
        self._read = read
        self.read = self._counted  # type: ignore[assignment]

    def _counted(self, size: int = -1) -> bytes:
        data = self._read(size)
        self._transfer.received(len(data))
        return data

    def close(self, timeout: int | None = None) -> None:  # noqa: ARG002
        for stream in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self.proc.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


class _Complaint:
    """What `ssh` and the server say on standard error, so much of it."""

    def __init__(self, process: subprocess.Popen[bytes], transfer: Transfer) -> None:
        self._process, self._transfer = process, transfer

    def readlines(self) -> list[bytes]:
        """Never: an error in words is raised instead. dulwich asks for this where the connection has ended early."""
        assert self._process.stderr
        said = b""
        while len(said) < MAX_STDERR and (more := self._process.stderr.read(MAX_STDERR)):
            said += more
        raise self._transfer.error(f"{self._transfer.whom} {_ssh_words(said.decode(errors='replace'))}")


def _ssh_words(said: str) -> str:
    """What `ssh` complains of, and what to do."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(("@", "**"))]
    told = _said("; ".join(lines))
    for sign, words in (
        (
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
            "shows another host key than the one in `known_hosts`; is it the same host?",
        ),
        (
            "Host key verification failed",
            "has a host key that is not in `known_hosts`; `ssh-keyscan` prints the line to add",
        ),
        (
            "UNPROTECTED PRIVATE KEY",
            "can't be asked: others may read the key `identity`, so ssh does not use it; mode 0400",
        ),
        ("Permission denied", "refuses the key `identity`; may it read the repository?"),
    ):
        if sign in said:
            return words
    return f"can't be asked: {told or 'it says nothing'}"


@contextlib.contextmanager
def _understood(transfer: Transfer, ear: _Ear) -> Iterator[None]:
    """What goes wrong while dulwich speaks, as SourceError or RefusedError."""
    try:
        yield
    except GitProtocolError as error:
        said = _said(ear.last_words or str(error))
        if isinstance(error, HangupException) and not ear.last_words:
            raise transfer.error(f"{transfer.whom} ends the connection before it has answered") from error
        if "not our ref" in said or "unadvertised object" in said:
            raise RefusedError(said) from error
        if "shallow capability" in said:
            raise transfer.error(
                f"{transfer.whom} can't leave out the history (`shallow`), and all of it is too much"
            ) from error
        raise transfer.error(f"{transfer.whom} refuses: {said}") from error
    except _STRANGE as error:
        raise transfer.error(
            f"{transfer.whom} does not speak Git as it should: {_said(str(error)) or type(error).__name__}"
        ) from error


def _said(text: str) -> str:
    """What somebody else said, for a message: one line, not too long, only what shows."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}…"


def _text(name: bytes) -> str:
    return os.fsdecode(name)
