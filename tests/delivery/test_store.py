"""delivery.store: whatever moment a process is killed at, what is kept is whole; what is damaged is set aside."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from delivery import store as store_module
from delivery.content import Content, SignedObject, SourceError
from delivery.store import DAMAGED, DECIDED, KEEP, MOST_DAMAGED, REVISION, Decided, Kept, Store
from engine.bundle import Revision
from tests.delivery.bad_bundles import Serving, good
from tests.delivery.shelf import Shelf

KILLS = 400 if os.environ.get("BAYPLAN_NIGHTLY") else 40


def kept(number: int, activated: float | None = None, size: int = 10) -> Kept:
    digest = f"{number:064x}"
    files = {"bundle.yaml": bytes(size), "policies/a.yaml": str(number).encode()}
    objects = (SignedObject("v1", b"payload", b"signature"),)
    content = Content(f"v{number}", f"somewhere at v{number}", files, (), "ab" * 32, (b"{}",), objects, "cd" * 32)
    return Kept(Revision("small", f"1.{number}.0", digest), content, number if activated is None else activated, 5.5)


def numbers(store: Store) -> list[int]:
    return [int(one.revision.digest, 16) for one in store.revisions()]


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path, "a source")
    assert (store.revisions(), store.decided()) == ((), Decided())
    store.keep(kept(1))
    decided = Decided("a" * 64, suspended=True, held_back=frozenset(["b" * 64]), seen={"small": "1.2.0"})
    store.decide(decided)
    again = Store(tmp_path, "a source")
    assert again.revisions() == (kept(1),)
    assert again.decided() == decided
    assert again.complaints == []
    assert Store(tmp_path, "another source").revisions() == ()


def test_the_last_ones_are_kept_and_the_pinned_one(tmp_path: Path) -> None:
    store = Store(tmp_path, "a source")
    for number in range(KEEP + 3):
        store.keep(kept(number), pinned=kept(1).revision.digest)
    assert numbers(store) == [7, 6, 5, 4, 1]
    store.keep(kept(5, activated=100))
    assert numbers(store) == [5, 7, 6, 4, 1]  # and whoever became active last is first


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[:-7],
    "cut off in the first line": lambda data: data[:20],
    "empty": lambda _: b"",
    "a bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "zeros": lambda data: bytes(len(data)),
    "another form": lambda data: data.replace(b" 1 sha256", b" 2 sha256", 1),
    "another kind": lambda data: data.replace(b"bayplan-revision", b"bayplan-decided"),
    "something else": lambda _: b"<html>not found</html>\n",
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_damaged_is_set_aside(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path, "a source")
    store.keep(kept(1))
    store.keep(kept(2))
    path = store.folder / f"{kept(2).revision.digest}.revision"
    path.write_bytes(SPOILT[how](path.read_bytes()))
    assert numbers(store) == [1]
    (complaint,) = store.complaints
    assert complaint.startswith(f"`{path}` is set aside: ")
    assert len(list(store.folder.glob(f"*{DAMAGED}"))) == 1
    assert numbers(Store(tmp_path, "a source")) == [1]


@pytest.mark.parametrize("how", ["cut off", "empty", "a bit", "zeros"])
def test_what_was_decided_and_is_damaged_is_set_aside(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path, "a source")
    store.decide(Decided(suspended=True))
    path = store.folder / "decided"
    path.write_bytes(SPOILT[how](path.read_bytes()))
    assert store.decided() == Decided()
    assert len(store.complaints) == 1
    store.decide(Decided(suspended=True))
    assert store.decided().suspended


@pytest.mark.parametrize("reason", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_what_can_not_be_read_now_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """It may be whole: a bundle that was rolled back from must not return because files were scarce at a start."""
    store = Store(tmp_path, "a source")
    decided = Decided(held_back=frozenset(["b" * 64]))
    store.decide(decided)
    store.keep(kept(1))

    def unreadable(path: Path, _: int) -> bytes:
        raise OSError(reason, os.strerror(reason), path)

    with monkeypatch.context() as patched:
        patched.setattr("delivery.store.read_file", unreadable)
        assert (store.decided(), store.revisions()) == (Decided(), ())
    assert [complaint.rpartition(": ")[2] for complaint in store.complaints] == [os.strerror(reason)] * 2
    assert (store.decided(), numbers(store)) == (decided, [1])


def test_a_file_under_the_name_of_another_is_set_aside(tmp_path: Path) -> None:
    store, other = Store(tmp_path, "a source"), Store(tmp_path, "another source")
    store.keep(kept(1))
    other.keep(kept(2))
    name = f"{kept(1).revision.digest}.revision"
    (store.folder / name).rename(store.folder / f"{kept(3).revision.digest}.revision")
    (store.folder / f"{kept(2).revision.digest}.revision").write_bytes(
        (other.folder / f"{kept(2).revision.digest}.revision").read_bytes()
    )
    assert numbers(store) == []
    assert len(store.complaints) == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("content", []),
        ("content.files", []),
        ("content.files", {"a": 5}),
        ("content.objects", [1]),
        ("content.attestations", 7),
        ("activated", {}),
        ("activated", 10**400),
        ("source", None),
    ],
)
def test_what_is_whole_and_says_something_else_is_set_aside(tmp_path: Path, path: str, value: object) -> None:
    """Another program wrote it: its checksum is right, and still nobody is kept from starting."""
    store = Store(tmp_path, "a source")
    store.keep(kept(1))
    file = store.folder / f"{kept(1).revision.digest}.revision"
    told = json.loads(file.read_bytes().partition(b"\n")[2])
    *above, last = path.split(".")
    place = told
    for name in above:
        place = place[name]
    place[last] = value
    store._write(file.name, REVISION, told)
    assert numbers(store) == []
    assert len(store.complaints) == 1


@pytest.mark.parametrize("told", [[], {}, {"pinned": "", "suspended": False, "held_back": 5, "seen": {}}, "text"])
def test_decisions_that_say_something_else_are_set_aside(tmp_path: Path, told: Any) -> None:
    store = Store(tmp_path, "a source")
    store._write("decided", DECIDED, told)
    assert store.decided() == Decided()
    assert len(store.complaints) == 1


def test_what_was_set_aside_does_not_fill_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path, "a source")
    for number in range(MOST_DAMAGED + 4):
        store.keep(kept(number))
        (store.folder / f"{kept(number).revision.digest}.revision").write_bytes(b"?")
        store.revisions()
    assert len(list(store.folder.glob(f"*{DAMAGED}"))) == MOST_DAMAGED


def test_a_file_that_was_being_written_is_swept_away_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, "a source")
    store.keep(kept(1))
    partial = store.folder / ".left"
    partial.write_bytes(b"half")
    store.keep(kept(2))
    assert partial.exists()  # it may be somebody else's, who is not dead
    monkeypatch.setattr(store_module, "STALE_SECONDS", -1.0)
    store.keep(kept(3))
    assert not partial.exists()


@pytest.mark.parametrize("at", ["open", "write", "fsync", "rename"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    store = Store(tmp_path, "a source")
    store.keep(kept(1))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if at == "rename":
            patched.setattr(Path, "rename", full)
        elif at == "write":
            patched.setattr("delivery.store.json.dumps", full)
        else:
            patched.setattr(f"delivery.store.os.{at}", full)
        with pytest.raises(OSError, match="No space left"):
            store.keep(kept(2))
    assert numbers(store) == [1]
    assert store.complaints == []
    assert list(store.folder.glob(".*")) == []


def test_a_really_full_disk(tmp_path: Path) -> None:
    """`ulimit -f` is as near to one as an unprivileged process gets: the kernel refuses to let the file grow."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store(tmp_path, "a source")
        store.keep(kept(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        try:
            store.keep(kept(2, size=100_000))
        except OSError as error:
            os.write(write, str(error.errno).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert os.read(read, 10) == str(errno.EFBIG).encode()
    os.close(read)
    assert numbers(Store(tmp_path, "a source")) == [1]
    assert list(Store(tmp_path, "a source").folder.glob(".*")) == []


def test_killed_at_any_moment_a_whole_revision_is_left(tmp_path: Path) -> None:
    """A process that activates one bundle after the other is killed: whoever starts next serves the last one that it
    told of, or a later one, whole."""
    dice = random.Random(7)
    last = 0
    for _ in range(KILLS):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            _activate_for_ever(tmp_path, last, write)
        os.close(write)
        told = os.read(read, 1 << 16)  # it has begun
        time.sleep(dice.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(read, 1 << 16):
            told += more
        os.close(read)
        whole = [line for line in told.decode().split("\n")[:-1] if line]
        last = max([last, *map(int, whole)])
        store, shelf = Store(tmp_path, "shelf"), Shelf()
        shelf.fails = {"look": SourceError("look", "it is dead")}
        serving = Serving(shelf, store=store)
        serving.follower.first()
        assert serving.follower.status.damaged == ()
        number = int(serving.version.split(".")[1])
        assert number >= last
        assert serving.taken[-1].content.files == good(f"1.{number}.0")
        assert len(serving.follower.status.kept) <= KEEP
        last = number


def _activate_for_ever(folder: Path, number: int, out: int) -> None:
    """In the child: it never comes back."""
    try:
        shelf = Shelf()
        serving = Serving(shelf, store=Store(folder, "shelf"))
        serving.follower.first()
        while True:
            number += 1
            shelf.publish(good(f"1.{number}.0"))
            serving.ask()
            if number % 3 == 0:
                serving.follower.rollback()
                serving.follower.resume()
                serving.ask()
            assert serving.version == f"1.{number}.0"
            os.write(out, f"{number}\n".encode())
    finally:
        os._exit(1)
