"""audit.database: what is committed stays, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from audit.database import ROOM, DamagedError, Database, Reader, Retention, Row, UnusableError

ROOT = Path(__file__).parents[2]
NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"


def rows(count: int, *, at: float = 0.0, size: int = 100) -> list[Row]:
    noise = random.Random(count)
    return [Row(at + n, f"uid-{n}", "Deployment shop/web", "mutated", 1, noise.randbytes(size)) for n in range(count)]


def keep(database: Database, some: list[Row], now: float = 0.0) -> None:
    with database.transaction(now) as transaction:
        transaction.append(some)


def rows_in(reader: Reader) -> list[Row]:
    return [row for number in reader.numbers() if (row := reader.row(number))]


def kept(path: Path) -> list[Row]:
    with closing(Reader(path)) as reader:
        return rows_in(reader)


def broken_off(database: Database) -> None:
    with database.transaction(0.0) as transaction:
        transaction.append(rows(3))
        raise ZeroDivisionError


def fill(database: Database, some: list[Row]) -> None:
    for _ in range(1_000):
        keep(database, some)


def test_what_is_kept_can_be_read_meanwhile_and_after_a_restart(tmp_path: Path) -> None:
    some = rows(10)
    with closing(Database(tmp_path)) as database:
        keep(database, some)
        assert kept(database.path) == some
        assert database.path.stat().st_mode & 0o077 == 0
    with closing(Database(tmp_path)) as database:
        assert (database.count(), database.complaint) == (10, "")
        keep(database, some[:1])
        with closing(Reader(database.path)) as reader:
            assert reader.numbers()[-2:] == [10, 11]
            assert reader.of_request("uid-0") == [1, 11]


def test_a_transaction_is_kept_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with closing(Database(tmp_path)) as database:
        with pytest.raises(ZeroDivisionError):
            broken_off(database)
        assert database.count() == 0


def test_each_process_has_a_file_of_its_own(tmp_path: Path) -> None:
    with closing(Database(tmp_path)) as one, closing(Database(tmp_path)) as other:
        assert [one.path.name, other.path.name] == ["decisions-0.sqlite", "decisions-1.sqlite"]
    with closing(Database(tmp_path)) as again:
        assert again.path.name == "decisions-0.sqlite"


@pytest.mark.parametrize("limit", [Retention(seconds=50.0), Retention(decisions=50)])
def test_the_oldest_go_by_age_and_by_count(tmp_path: Path, limit: Retention) -> None:
    some = rows(200)
    with closing(Database(tmp_path, limit)) as database:
        for n, row in enumerate(some):
            keep(database, [row], now=float(n))
        left = kept(database.path)
        assert 45 <= len(left) <= 51
        assert left == some[-len(left) :]


def test_the_file_is_bounded_and_what_only_the_oldest_needed_goes_with_them(tmp_path: Path) -> None:
    limit = Retention(size=2 * ROOM)
    with closing(Database(tmp_path, limit)) as database:
        with database.transaction(0.0) as transaction:
            first = transaction.thing("bundle:first", b"1")
        for n in range(120):
            with database.transaction(0.0) as transaction:
                transaction.append([row._replace(world=first) for row in rows(20, at=n, size=10_000)])
                if n == 3:
                    transaction.unneeded([first])
                    stays = transaction.thing("bundle:second", b"2")
            assert database.bytes <= limit.size
        with closing(Reader(database.path)) as reader:
            assert reader.thing(first) is None
            assert reader.thing(stays) == b"2"
            left = [row.at for row in rows_in(reader)]
            assert max(left) == 119 + 19
            assert len(left) > 500
    with closing(Database(tmp_path, Retention(decisions=10))) as database:
        keep(database, [])
        assert database.count() <= 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_loses_nothing_and_takes_more_once_there_is_room(small_disk: Path) -> None:
    some = rows(20, size=5_000)
    with closing(Database(small_disk)) as database:
        with pytest.raises(UnusableError, match="the disk is full"):
            fill(database, some)
        done = len(kept(database.path))
        assert done
        assert done % 20 == 0
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    with closing(Database(small_disk)) as database:
        before = database.count()
        assert database.complaint == ""
        keep(database, some)
        assert database.count() == before + 20 == done + 20


def test_an_empty_full_disk_and_a_folder_that_is_none_are_told_of(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * ((1 << 20) - 4096))
    with pytest.raises(UnusableError, match="the disk is full"):
        Database(small_disk / "here")
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableError, match=r"Not a directory|File exists"):
        Database(tmp_path / "file")


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_set_aside_or_told_of_when_it_is_read(tmp_path: Path, seed: int) -> None:
    """Whatever bytes are overwritten: decisions go on being kept, and nothing else is read than what was written."""
    chance, some = random.Random(seed), rows(300, size=400)
    with closing(Database(tmp_path)) as database:
        keep(database, some)
        path = database.path
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 8, 64, 2000))):
        place = chance.randrange(100 if seed % 2 else len(data))
        data[place] = chance.randrange(256)
    if seed == 3:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with closing(Database(tmp_path)) as database:
        try:
            keep(database, rows(5))
        except DamagedError:
            database.close()
            with closing(Database(tmp_path)) as again:
                keep(again, rows(5))
    assert len(list(tmp_path.glob("*.damaged"))) <= 1
    with closing(Database(tmp_path)) as database:
        assert database.count() >= 5


@pytest.mark.parametrize(
    ("statement", "words", "end"),
    [
        ("PRAGMA user_version = 2", "is of schema version 2, and this bayplan knows version 1", "other"),
        ("PRAGMA application_id = 7", "is something else's", "other"),
        ("DROP TABLE things", "no such table", "damaged"),
    ],
)
def test_a_file_of_another_version_is_set_aside_and_not_lost(
    tmp_path: Path, statement: str, words: str, end: str
) -> None:
    with closing(Database(tmp_path)) as database:
        keep(database, rows(3))
        path = database.path
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    with closing(Database(tmp_path)) as database:
        assert words in database.complaint
        assert "is set aside as" in database.complaint
        assert database.count() == 0
    (aside,) = tmp_path.glob(f"*.{end}")
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT count(*) FROM decisions").fetchone() == (3,)


def test_what_another_version_wrote_outlasts_any_damage(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(Database(tmp_path)) as database:
            keep(database, rows(3))
        with closing(sqlite3.connect(database.path)) as connection:
            connection.execute("PRAGMA user_version = 2")
    for _ in range(3):
        with closing(Database(tmp_path)):
            pass
        database.path.write_bytes(b"no database" * 1000)
    Database(tmp_path).close()
    assert len(list(tmp_path.glob("*.other"))) == 2
    assert len(list(tmp_path.glob("*.damaged"))) == 1


@pytest.mark.parametrize("seed", range(200 if NIGHTLY else 12))
def test_what_is_left_of_a_damaged_file_is_read(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with closing(Database(tmp_path)) as database:
        keep(database, rows(300, size=400))
    data = bytearray(database.path.read_bytes())
    for _ in range(8):
        place = chance.randrange(4096, len(data))
        data[place : place + 40] = chance.randbytes(min(40, len(data) - place))
    database.path.write_bytes(data)
    read = lost = 0
    with closing(Reader(database.path)) as reader:
        for number in reader.numbers():
            try:
                read += reader.row(number) is not None
            except DamagedError:
                lost += 1
    assert read > 150 or lost == 300 or reader.complaint  # all are, where the page is that leads to them
    assert read + lost > 250 or reader.complaint


def test_a_file_that_was_taken_away_is_noticed(tmp_path: Path) -> None:
    with closing(Database(tmp_path)) as database:
        assert not database.gone
        database.path.unlink()
        assert database.gone


WRITER = """
import random, sys
from pathlib import Path
from audit.database import Database, Row
database, noise = Database(Path(sys.argv[1])), random.Random(0)
for n in range(100_000):
    with database.transaction(float(n)) as transaction:
        transaction.append([Row(n, "uid", "Pod a/b", "mutated", 1, noise.randbytes(3000)) for _ in range(7)])
    print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    said = 0
    for attempt in range(20 if NIGHTLY else 2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(random.Random(attempt).uniform(0.0, 0.1))
            writer.kill()
            said += 7 + 7 * len(writer.stdout.read().splitlines())
        with closing(Database(tmp_path, Retention(decisions=1_000_000))) as database:
            assert database.complaint == ""
            assert said <= database.count() <= said + 7 * (attempt + 1)
            assert database.count() % 7 == 0


def test_a_file_gets_smaller_where_less_may_be_kept(tmp_path: Path) -> None:
    with closing(Database(tmp_path, Retention(size=64 << 20))) as database:
        for _ in range(6):
            keep(database, rows(100, size=60_000))
        path, before = database.path, database.bytes
    with closing(Database(tmp_path, Retention(size=0))) as database:
        for _ in range(8):
            keep(database, [])
    assert before > 32 << 20
    assert path.stat().st_size <= 16 << 20
    assert 1 < len(kept(path)) < 600


def test_a_damaged_text_spoils_no_listing(tmp_path: Path) -> None:
    with closing(Database(tmp_path)) as database:
        keep(database, rows(3))
    path = tmp_path / "decisions-0.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE decisions SET workload = CAST(x'ff' AS TEXT) WHERE id = 2")
        connection.commit()
    assert [row.workload for row in kept(path)] == ["Deployment shop/web", "\ufffd", "Deployment shop/web"]
