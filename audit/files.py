"""Files: decisions that are kept as JSON Lines, for whoever wants to read, ship or search them with other tools.

The same rows and things as in `database.py`, one a line; each file is whole by itself: it begins with no decision whose
world it does not hold. A file is ended at a sixteenth of what may be kept, and what is too old or too much goes file by
file. What is committed has been synced; what a crash has cut short was not, and the reader leaves it out.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from audit.database import LATEST, DamagedError, Retention, Row, UnusableError, locked
from audit.kept import MAX_UNPACKED, packed, unpacked
from audit.spooled import called, opened

PARTS = 16
"""Into so many files what may be kept is divided at least."""
LEAST_BYTES = 1 << 20
"""Bytes of a file, at least, before it is ended."""
END = ".jsonl"
KINDS = THING, DECISION = "KeptThing", "KeptDecision"
TAIL = 4 << 20
"""Bytes at the end of a file among which its last decision is."""
MOST_LINE = MAX_UNPACKED + (1 << 20)
"""Bytes of a line; what is longer was not written by us."""
FIRST = 64 << 10
"""Bytes at the beginning of a file among which it says what it is."""
LOG_SENTENCE = (
    "{} is a decision log, whose lines name pods and do not hold them, so none can be decided again; `bayplan serve "
    "--store DIR --store-as files` keeps lines that do, and `bayplan audit --bundle BUNDLE --context NAME` decides the "
    "pods that run now"
)
_KEPT = tuple(f'{{"kind":"{kind}","id":'.encode() for kind in KINDS)
_NUMBER = re.compile(rb'^\{"kind":"KeptDecision","id":(\d{1,18}),', re.MULTILINE)

Body = bytes
"""What is kept, packed."""


class _Line(msgspec.Struct):
    """What a line says before what it keeps."""

    kind: str
    id: int
    kept: msgspec.Raw
    digest: str = ""
    at: float = 0.0
    uid: str = ""
    workload: str = ""
    outcome: str = ""
    world: int = 0


class _Place(NamedTuple):
    """Where a line is in its file, and what is asked for often."""

    start: int
    length: int
    at: float = 0.0
    uid: str = ""


_lines = msgspec.json.Decoder(_Line)


class Files:
    """Files in a folder that are this process' to write, of which the last one is written.

    It does for a Recorder what a Database does; its methods raise UnusableError, and one that did has changed nothing.
    """

    def __init__(self, folder: Path, retention: Retention = Retention()) -> None:  # noqa: B008 - it is a value
        self._retention, self.complaint = retention, ""
        self._file = self._lock = -1
        self._size = 0
        self._numbers = {THING: 0, DECISION: 0}
        self._counts: dict[Path, int] = {}
        self._known: dict[str, int] = {}
        self._text: list[Body] = []
        with _told(f"`{folder}` can't be written"):
            number, self._lock = locked(folder)
        self.folder, self._prefix = folder, f"decisions-{number}-"
        try:
            with _told(f"`{folder}` can't be written"):
                self.path = self._new()
                self._counts = {path: _decisions(path) for path in self._old()}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others have the files."""
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    @property
    def bytes(self) -> int:
        """What all of them take on disk."""
        return sum(_size(path) for path in self._all())

    @property
    def gone(self) -> bool:
        """Whether a new file is to be begun: this one has been taken away, or is as long as one gets."""
        missing = self._file >= 0 and not self.path.exists()
        return missing or self._size >= max(LEAST_BYTES, self._retention.size // PARTS)

    def count(self) -> int:
        """How many decisions are kept."""
        return sum(self._counts.values()) + self._numbers[DECISION]

    @contextlib.contextmanager
    def transaction(self, now: float) -> Iterator[Files]:
        """All that is written inside is kept at its end, or nothing is; `now` is in seconds since 1970."""
        before, numbers, known = self._size, dict(self._numbers), dict(self._known)
        self._text = []
        with _told(f"`{self.path}` can't be written"):
            try:
                yield self
                self._commit(b"".join(self._text))
                self._forget(now)
            except BaseException:
                self._numbers, self._known = numbers, known
                if self._file >= 0:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._file, before)
                    self._size = before
                raise

    def thing(self, digest: str, body: Body) -> int:
        """The number of a part of a world."""
        number = self._known.get(digest)
        if number is None:
            number = self._known[digest] = self._next(THING)
            self._write({"kind": THING, "id": number, "digest": digest}, body)
        return number

    def append(self, rows: Sequence[Row]) -> None:
        """Keep decisions, in their order."""
        for row in rows:
            head = {"kind": DECISION, "id": self._next(DECISION), **row._asdict()}
            self._write(head, head.pop("body"))

    def unneeded(self, things: Iterable[int]) -> None:
        """What a file holds stays there as long as the file does."""

    def _next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]

    def _write(self, head: dict[str, Any], body: Body) -> None:
        self._text.append(msgspec.json.encode({**head, "kept": unpacked(body, msgspec.Raw)}) + b"\n")

    def _commit(self, text: Body) -> None:
        if not text:
            return
        if self._file < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)
        self._size += len(text)

    def _forget(self, now: float) -> None:
        """Let go the oldest files, those that are too old and those that are too much."""
        kept = self._retention
        sizes = {path: _size(path) for path in self._all()}
        for path in self._old():
            old = _time_of(path) < now - kept.seconds
            much = sum(sizes.values()) > kept.size or self.count() > kept.decisions
            if not (old or much):
                return
            path.unlink(missing_ok=True)
            sizes.pop(path, None)
            self._counts.pop(path, None)

    def _new(self) -> Path:
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return self.folder / f"{self._prefix}{moment}{END}"

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self._prefix}*{END}"))

    def _old(self) -> list[Path]:
        """Those that are not written any more, the oldest first."""
        return [path for path in self._all() if path != self.path]


class FileReader:
    """A file to read, while somebody may be writing it; also one that is packed, or `-`. Its methods raise
    UnusableError; `complaint` says what of it could not be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decisions: dict[int, _Place] = {}
        self._things: dict[int, _Place] = {}
        with _told(f"{called(path)} can't be read"):
            self._file, self.complaint = opened(path)
        try:
            with _told(f"{called(path)} can't be read"):
                self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def numbers(self, since: float = 0.0) -> list[int]:
        """The numbers of the decisions since a time, in the order in which they came."""
        return [number for number, place in self._decisions.items() if place.at >= since]

    def of_request(self, uid: str) -> list[int]:
        """The numbers of the decisions about a request."""
        return [number for number, place in self._decisions.items() if uid and place.uid == uid]

    def row(self, number: int) -> Row | None:
        """One decision; None where there is none."""
        place = self._decisions.get(number)
        if place is None:
            return None
        one = self._line(place)
        if not 0 <= one.at < LATEST:
            raise DamagedError(f"{called(self.path)} has a decision that is none")
        return Row(one.at, one.uid, one.workload, one.outcome, one.world, packed(bytes(one.kept)))

    def thing(self, number: int) -> bytes | None:
        """A part of a world; None where it is not there."""
        place = self._things.get(number)
        return None if place is None else packed(bytes(self._line(place).kept))

    def _look(self) -> None:
        start = wrong = 0
        for text in iter(lambda: self._file.readline(MOST_LINE), b""):
            length = len(text)
            if text.endswith(b"\n"):  # what is cut short was never acknowledged
                try:
                    one = _lines.decode(text)
                    place = _Place(start, length, one.at, one.uid)
                    {THING: self._things, DECISION: self._decisions}[one.kind][one.id] = place
                except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError):
                    self._refuse_log(text)
                    wrong += 1
            start += length
        if wrong and not (self._decisions or self._things):
            raise UnusableError(
                f"{called(self.path)} holds no decisions with their pods, which `bayplan serve --store DIR --store-as "
                "files` writes"
            )
        if wrong:
            self.complaint = f"{called(self.path)} has {wrong:,} lines that were not written so"

    def _refuse_log(self, text: bytes) -> None:
        """Say of the decision log that it holds no pods, which whoever gives it may believe."""
        if not self._decisions and _is_logged(text):
            raise UnusableError(LOG_SENTENCE.format(called(self.path)))

    def _line(self, place: _Place) -> _Line:
        with _told(f"{called(self.path)} can't be read"):
            self._file.seek(place.start)
            text = self._file.read(place.length)
        try:
            return _lines.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DamagedError(f"{called(self.path)} is not what was written: {error}") from error


def _is_logged(text: bytes) -> bool:
    """Whether a line is one of the decision log, also with what container runtimes write before or around it."""
    try:
        line = msgspec.json.decode(text[text.find(b"{") :])
        if isinstance(line, dict) and isinstance(line.get("log"), str):
            line = msgspec.json.decode(line["log"])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return isinstance(line, dict) and {"uid", "revision", "pod"} <= line.keys()


def taken_for_manifests(path: Path) -> str:
    """What to say where a file that holds decisions is given for one of manifests; nothing where it is none."""
    try:
        with open(path, "rb") as file:
            lines = file.read(FIRST).splitlines()
    except OSError:
        return ""
    if any(map(_is_logged, lines)):
        return LOG_SENTENCE.format(called(path))
    if any(line.startswith(_KEPT) for line in lines):
        return f"{called(path)} holds decisions: say it to `bayplan replay` or `bayplan audit` with --log"
    return ""


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableError(f"{what}: {error.strerror or error}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _time_of(path: Path) -> float:
    """When a file was written last, in seconds since 1970."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _decisions(path: Path) -> int:
    """How many decisions a file holds: the number of its last one."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        found = _NUMBER.findall(file.read())
    return int(found[-1]) if found else 0
