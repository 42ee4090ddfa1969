"""A repository of Git that is elsewhere, asked by dulwich: its references, and packs of objects that it sends.

dulwich speaks the protocol. How bytes come and go is ours, over https (`git_over_https`) or through a process
(`git_over_pipe`), so that what is read is bounded, and waiting has an end. Only the smart protocol is spoken, packs are
never fetched without a depth, and never from elsewhere than the server that was asked.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from dulwich.client import GitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import Ref

from delivery.transfer import Transfer
from engine.documents import printable
from engine.struct import Struct

MAX_SAID = 300
"""Characters of what a server says that are told."""
BLOBLESS = b"blob:none"
_STRANGE = (NotGitRepository, AssertionError, LookupError, TypeError, ValueError, OSError)
"""What dulwich raises for answers that are none of Git."""
_GIVEN_UP = re.compile(rb"[0-9a-f]{4}ERR ([^\n]*)\n?\Z")

Choose = Callable[[Mapping[str, str]], list[str]]
"""Which objects are wanted, given the names of the references and of the objects that they point to."""


Read = Callable[[int], bytes]
Listening = Callable[[Read], Read]


class Refs(Struct, frozen=True):
    """Names of a repository's references, and of what they point to: objects. `HEAD` is among them.

    `peeled` says for tags that are objects themselves what they are about.
    """

    names: Mapping[str, str]
    peeled: Mapping[str, str]


class Received(Struct, frozen=True):
    """A pack as it was sent, and by which algorithm its objects are named."""

    pack: bytearray
    algorithm: str


class RefusedError(Exception):
    """The server does not hand out what was asked for, with its own words."""


class Remote:
    """A repository. It is asked within a transfer, and raises SourceError."""

    def refs(self, transfer: Transfer, prefixes: Sequence[str]) -> Refs:
        """The references that begin with one of the prefixes, and maybe others."""
        with self._asked(transfer) as (client, path):
            found = client.get_refs(path, protocol_version=2, ref_prefix=[one.encode() for one in prefixes]).refs
        names = {_text(name): value.decode() for name, value in found.items() if value}
        tags = [name for name in names if name.endswith("^{}")]
        peeled = {tag.removesuffix("^{}"): names.pop(tag) for tag in tags}
        return Refs(names, peeled)

    def pack(self, transfer: Transfer, prefixes: Sequence[str], choose: Choose, *, whole: bool) -> Received:
        """The objects that `choose` picks, with what belongs to them, but no history.

        Not `whole`, blobs are left out where the server can do that. Raises RefusedError.
        """
        received = bytearray()

        def wanted(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001
            chosen = choose({_text(name): value.decode() for name, value in refs.items()})
            return [ObjectID(one.encode()) for one in chosen]

        def take(data: bytes) -> int:
            received.extend(data)
            return len(data)

        with self._asked(transfer) as (client, path):
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

    def close(self) -> None:
        """Let go of connections."""

    def client(self, transfer: Transfer, listening: Listening) -> tuple[GitClient, bytes]:
        """A client for one question, which is closed after it, and the path to ask with.

        All that it reads it reads through what `listening` makes of a function that reads.
        """
        raise NotImplementedError

    @contextlib.contextmanager
    def _asked(self, transfer: Transfer) -> Iterator[tuple[GitClient, bytes]]:
        ear = _Ear()
        client, path = self.client(transfer, ear.listening)
        with _understood(transfer, ear), contextlib.closing(client):
            yield client, path


class _Ear:
    """The end of what was heard. Where a server gives up, dulwich reads over its last words, and finds silence."""

    def __init__(self) -> None:
        self._heard = b""

    def listening(self, read: Read) -> Read:
        def listened(size: int) -> bytes:
            data = read(size)
            self._heard = (self._heard + data[-MAX_SAID:])[-2 * MAX_SAID :]
            return data

        return listened

    @property
    def last_words(self) -> str:
        found = _GIVEN_UP.search(self._heard)
        return found[1].decode(errors="replace") if found else ""


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


@contextlib.contextmanager
def _understood(transfer: Transfer, ear: _Ear) -> Iterator[None]:
    """What goes wrong while dulwich speaks, as SourceError or RefusedError."""
    whom = transfer.whom
    try:
        yield
    except GitProtocolError as error:
        said = shortened(ear.last_words or str(error))
        if isinstance(error, HangupException) and not ear.last_words:
            raise transfer.error(f"{whom} ends the connection before it has answered") from error
        if "not our ref" in said or "unadvertised object" in said:
            raise RefusedError(said) from error
        if "shallow capability" in said:
            text = f"{whom} can't leave out the history (`shallow`), and all of it is too much"
            raise transfer.error(text) from error
        raise transfer.error(f"{whom} {'refuses' if ear.last_words else 'does not go on'}: {said}") from error
    except _STRANGE as error:
        said = shortened(str(error)) or type(error).__name__
        raise transfer.error(f"{whom} does not speak Git as it should: {said}") from error


def shortened(text: str) -> str:
    """What somebody else said, for a message: one line, not too long, only what shows."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}…"


def _text(name: bytes) -> str:
    return os.fsdecode(name)
