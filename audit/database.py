"""Database: the decisions that are kept, in a file of SQLite; the one module that knows it.

Decisions are rows that point to the world in which they were made. What a world is made of (bundles, pools, the list of
them, settings) is kept once, by its digest, with the number of the last decision that needs it: decisions go in the
order in which they came, so what only those that are gone needed is found without looking at any other.

A row is *kept* once the transaction that holds it is committed (WAL, `synchronous=FULL`): neither kill -9 nor, as far
as the disk keeps its word, a power failure loses it. One process writes a file, held to that by a lock; any number may
read it meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FORM = 1
"""The version of the schema."""
APPLICATION = 0x4261_7970
"""What SQLite and `file` know our files by: "Bayp"."""
MOST_FILES = 16
"""So many processes may write into one folder at the same time, each a file of its own."""
ROOM = 8 << 20
"""Bytes on disk beside the file itself: the log of SQLite, which is written into it from 1 MiB on, and its index."""
LEAST_BYTES = 2 * ROOM
PAGE = 4096
GIVEN_BACK = 2048
"""Free pages that are given back to the disk in one transaction: it takes tens of microseconds each."""
SLACK = 0.9
"""What is left, of what may be there, once the oldest have gone: they don't go one by one."""
BUSY_SECONDS = 1.0
DAMAGED_END, FOREIGN_END = ".damaged", ".other"
"""How names of files end that were set aside."""
DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # our statements are always the same: it is the file that lacks what they name
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_RANGE,
}
LATEST = 1e11
"""Seconds since 1970 that no clock says for another thousand years."""
EXTENT = "SELECT min(id), max(id) FROM decisions"
SCHEMA = (
    "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE, last INTEGER,"
    " body BLOB NOT NULL)",
    "CREATE INDEX things_last ON things (last)",
    "CREATE TABLE decisions (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, uid TEXT NOT NULL,"
    " workload TEXT NOT NULL, outcome TEXT NOT NULL, world INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX decisions_at ON decisions (at)",
    "CREATE INDEX decisions_uid ON decisions (uid)",
    "CREATE INDEX decisions_workload ON decisions (workload)",
)


class UnusableError(Exception):
    """What is kept can't be read, or can't be written now: the text says why."""


class DamagedError(UnusableError):
    """A file is not what was written."""


class ForeignError(DamagedError):
    """A file is another version's, or something else's: it is whole, and nobody's to throw away."""


class Row(NamedTuple):
    """A decision as it is kept. `at` is in seconds since 1970, `world` the thing that says where it was made."""

    at: float
    uid: str
    workload: str
    outcome: str
    world: int
    body: bytes


class Retention(NamedTuple):
    """What is kept at most: for how many seconds, how many decisions, and how many bytes on disk."""

    seconds: float = 7 * 86_400.0
    decisions: int = 100_000
    size: int = 256 << 20


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of SQLite and the disk as ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        kind = DamagedError if code in DAMAGED else UnusableError
        raise kind(f"{what}: {_words(code, error)}") from error
    except OSError as error:
        raise UnusableError(f"{what}: {error.strerror or error}") from error


def _words(code: int, error: sqlite3.Error) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return "the disk is full"
        case sqlite3.SQLITE_IOERR:
            return "the disk fails"
        case sqlite3.SQLITE_READONLY:
            return "it is read-only"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "somebody else is writing it"
    return str(error)


class Database:
    """A file in a folder that is this process' to write: the first one that no other process has.

    Its methods raise UnusableError; one that did has changed nothing, and `close` is all that may follow. `complaint`
    says what was wrong with the file that was there before, empty where nothing was.
    """

    def __init__(self, folder: Path, retention: Retention = Retention()) -> None:  # noqa: B008 - it is a value
        self._retention = retention._replace(size=max(retention.size, LEAST_BYTES))
        self.complaint = ""
        self._lock = -1
        self._connection: sqlite3.Connection | None = None
        try:
            with _told(f"`{folder}` can't be written"):
                number, self._lock = locked(folder)
            self.path = folder / f"decisions-{number}.sqlite"
            self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Have all of it in the one file, and let others have that. What was kept stays so without this."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        total = 0
        for path in _files(self.path):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    @property
    def gone(self) -> bool:
        """Whether the file has been taken away, so that nobody will ever see what is written into it."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    @contextlib.contextmanager
    def transaction(self, now: float) -> Iterator[Transaction]:
        """All that is written inside is kept at its end, or nothing is; `now` is in seconds since 1970.

        Raises UnusableError.
        """
        assert self._connection is not None
        with _told(f"`{self.path}` can't be written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
                self._forget(self._connection, now)
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def count(self) -> int:
        """How many decisions are kept."""
        assert self._connection is not None
        with _told(f"`{self.path}` can't be read"):
            return int(self._connection.execute("SELECT count(*) FROM decisions").fetchone()[0])

    def _begin(self) -> None:
        """Open the file; one that is damaged, or another version's, is set aside, and a new one begun."""
        for last in (False, True):
            try:
                self._connection = _opened(self.path)
                self._inode = self.path.stat().st_ino
                return
            except DamagedError as error:
                if last:
                    raise
                aside = self._set_aside(damaged=not isinstance(error, ForeignError))
                self.complaint = f"{error}; it is set aside as `{aside.name}`, and a new one begun"

    def _set_aside(self, *, damaged: bool) -> Path:
        """Rename the file. A damaged one takes the place of the one that was set aside before; others are all kept."""
        end = DAMAGED_END if damaged else FOREIGN_END
        aside = self.path.with_name(f"{self.path.stem}.{secrets.token_hex(4)}{end}")
        with _told(f"`{self.path}` can't be used, nor be set aside"):
            for old in self.path.parent.glob(f"{self.path.stem}.*{DAMAGED_END}*") if damaged else ():
                old.unlink()
            for path in _files(self.path):
                if path.exists():
                    path.rename(f"{aside}{path.name.removeprefix(self.path.name)}")
        return aside

    def _pages(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Pages of the file, and of these the ones that are used."""
        every = int(connection.execute("PRAGMA page_count").fetchone()[0])
        return every, every - int(connection.execute("PRAGMA freelist_count").fetchone()[0])

    def _forget(self, connection: sqlite3.Connection, now: float) -> None:
        """Let go what is too old, and the oldest of what is too much."""
        kept = self._retention
        if connection.execute("DELETE FROM decisions WHERE at < ?", (now - kept.seconds,)).rowcount:
            self._drop(connection, 0)
        first, last = connection.execute(EXTENT).fetchone()
        if first is not None and last - first >= kept.decisions:  # numbers have no gaps but for what was too old
            self._drop(connection, last - int(kept.decisions * SLACK))
        while self._pages(connection)[1] * PAGE > kept.size - ROOM:
            first, last = connection.execute(EXTENT).fetchone()
            if first is None or first == last:
                return
            self._drop(connection, first + int((last - first) * (1 - SLACK)))
        every, used = self._pages(connection)
        if every * PAGE > kept.size - ROOM:
            for _ in range(min(every - used, GIVEN_BACK)):  # each time one: Python takes but one step of this
                connection.execute("PRAGMA incremental_vacuum")

    def _drop(self, connection: sqlite3.Connection, upto: int) -> None:
        """Remove the decisions up to a number, and what nobody needs any more."""
        connection.execute("DELETE FROM decisions WHERE id <= ?", (upto,))
        connection.execute(
            "DELETE FROM things WHERE last < (SELECT coalesce(min(id), 9223372036854775807) FROM decisions)"
        )


class Transaction:
    """What can be written together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def thing(self, digest: str, body: bytes) -> int:
        """The number of a part of a world, which is needed until `unneeded` says otherwise."""
        insert = (
            "INSERT INTO things (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET last = NULL"
            " RETURNING id"
        )
        return int(self._connection.execute(insert, (digest, body)).fetchone()[0])

    def append(self, rows: Sequence[Row]) -> None:
        """Keep decisions, in their order."""
        insert = "INSERT INTO decisions (at, uid, workload, outcome, world, body) VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.executemany(insert, rows)

    def unneeded(self, things: Iterable[int]) -> None:
        """Say that no decision that is still to come needs these."""
        update = "UPDATE things SET last = (SELECT coalesce(max(id), 0) FROM decisions) WHERE id = ?"
        self._connection.executemany(update, [(one,) for one in things])


def locked(folder: Path) -> tuple[int, int]:
    """The first number in a folder that no process has, and the lock by which this one has it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(MOST_FILES):
        lock = os.open(folder / f"decisions-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
        else:
            return number, lock
    raise OSError(f"{MOST_FILES} other processes write there already")


def _files(path: Path) -> list[Path]:
    """A file, and what SQLite has beside it."""
    return [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm")]


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that may write; the schema is made where there is nothing. Raises UnusableError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        with _told(f"`{path}` can't be used"):
            _settled(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _settled(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size == 0:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    else:
        _checked(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise DamagedError(f"`{path}` can't be used: it is in mode {mode}")
    for setting in ("synchronous = FULL", "wal_autocheckpoint = 256", f"journal_size_limit = {ROOM // 2}"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORM}")
    # whoever wrote it before may have been killed: from now on, what it needed last is needed by what is there
    connection.execute("UPDATE things SET last = (SELECT coalesce(max(id), 0) FROM decisions) WHERE last IS NULL")
    connection.execute("COMMIT")


def _checked(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DamagedError for a file that is not ours, not whole, or another version's."""
    form, application = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
    )
    if form == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return  # somebody was killed before there was anything in it
    if application != APPLICATION:
        raise ForeignError(f"`{path}` is something else's")
    if form != FORM:
        raise ForeignError(f"`{path}` is of schema version {form}, and this bayplan knows version {FORM}")
    told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if told != "ok":
        raise DamagedError(f"`{path}` is damaged: {str(told).splitlines()[-1]}")


class Reader:
    """A file to read, while somebody may be writing it. Its methods raise UnusableError; `complaint` says what of it
    could not be read."""

    def __init__(self, path: Path) -> None:
        self.path, self.complaint = path, ""
        with _told(f"`{path}` can't be read"):
            self._connection = sqlite3.connect(
                f"file:{_escaped(path)}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
            self._connection.text_factory = _decoded
        with _told(f"`{path}` can't be read"):
            form = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if form != FORM:
            self.close()
            raise ForeignError(f"`{path}` is of schema version {form}, and this bayplan knows version {FORM}")

    def close(self) -> None:
        self._connection.close()

    def numbers(self, since: float = 0.0) -> list[int]:
        """The numbers of the decisions since a time, in the order in which they came. Where the file is damaged, those
        that can still be found, and `complaint` says so."""
        found = set[int]()
        for walk in ("INDEXED BY decisions_at", "INDEXED BY decisions_uid", "NOT INDEXED"):
            try:
                with _told(f"`{self.path}` can't be read"):
                    query = f"SELECT id FROM decisions {walk} WHERE at >= ?"
                    found.update(one[0] for one in self._connection.execute(query, (since,)))
                return sorted(found)
            except DamagedError as error:
                self.complaint = str(error)
        return sorted(found)

    def of_request(self, uid: str) -> list[int]:
        """The numbers of the decisions about a request."""
        with _told(f"`{self.path}` can't be read"):
            query = "SELECT id FROM decisions WHERE uid = ? AND uid <> '' ORDER BY id"
            return [one[0] for one in self._connection.execute(query, (uid,))]

    def row(self, number: int) -> Row | None:
        """One decision, so that nobody who writes waits for who reads; None where it is gone."""
        query = "SELECT at, uid, workload, outcome, world, body FROM decisions WHERE id = ?"
        with _told(f"`{self.path}` can't be read"):
            found = self._connection.execute(query, (number,)).fetchone()
            first, last = (0, 0) if found else self._connection.execute(EXTENT).fetchone()
        if found is None and first is not None and first < number < last:  # numbers have no gaps
            raise DamagedError(f"`{self.path}` lacks a decision between others")
        if found and not (isinstance(found[0], float) and 0 <= found[0] < LATEST and isinstance(found[5], bytes)):
            raise DamagedError(f"`{self.path}` has a decision that is none")
        return None if found is None else Row(*found)

    def thing(self, number: int) -> bytes | None:
        """A part of a world; None where it is gone with the decisions that needed it."""
        with _told(f"`{self.path}` can't be read"):
            found = self._connection.execute("SELECT body FROM things WHERE id = ?", (number,)).fetchone()
        return bytes(found[0]) if found else None


def _decoded(text: bytes) -> str:
    """A text as it is, but for what was damaged in it."""
    return text.decode(errors="replace")


def _escaped(path: Path) -> str:
    return "".join(
        f"%{byte:02x}" if chr(byte) in "?#%" or byte < 33 or byte > 126 else chr(byte) for byte in os.fsencode(path)
    )
