"""telemetry.backlog: whoever hands something over never waits, limits hold, and nothing is lost that is not counted."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.backlog import Backlog
from tests.waiting import wait_for


class Lost:
    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, entries: int) -> None:
        with self._lock:
            self.count += entries


def backlog(entries: int = 3, size: int = 1_000, *, keep: str = "newest") -> tuple[Backlog[bytes], Lost]:
    lost = Lost()
    return Backlog(entries, size, len, lost, keep="oldest" if keep == "oldest" else "newest"), lost


@pytest.mark.parametrize(("keep", "stay"), [("newest", [b"2", b"3", b"4"]), ("oldest", [b"0", b"1", b"2"])])
def test_it_is_bounded_in_entries(keep: str, stay: list[bytes]) -> None:
    one, lost = backlog(keep=keep)
    for n in range(5):
        one.add(b"%d" % n)
    assert len(one) == 3
    assert lost.count == 2
    assert one.take() == stay


@pytest.mark.parametrize(("keep", "stay"), [("newest", [b"bbbb", b"cccc"]), ("oldest", [b"aaaa", b"bbbb"])])
def test_it_is_bounded_in_bytes(keep: str, stay: list[bytes]) -> None:
    one, lost = backlog(100, 9, keep=keep)
    for each in (b"aaaa", b"bbbb", b"cccc"):
        one.add(each)
    assert one.take() == stay
    assert lost.count == 1


@pytest.mark.parametrize("keep", ["newest", "oldest"])
def test_what_is_too_large_by_itself_takes_nobodys_place(keep: str) -> None:
    """Else one pod as large as pods get would empty the queue of all others."""
    one, lost = backlog(3, 9, keep=keep)
    one.add(b"a")
    one.add(b"x" * 10)
    one.add(b"b")
    assert one.take() == [b"a", b"b"]
    assert lost.count == 1


def test_batches_are_the_oldest_so_many_or_so_many_bytes() -> None:
    one, lost = backlog(10)
    for each in (b"aa", b"bb", b"cc", b"dd"):
        one.add(each)
    assert one.take(3, 4) == [b"aa", b"bb"]
    assert one.take(1) == [b"cc"]
    one.wait(0)
    assert one.take(5, 1) == [b"dd"]
    assert one.take(5) == one.take() == []
    assert not lost.count


def test_what_is_put_back_comes_first_and_goes_first_where_there_is_no_room() -> None:
    one, lost = backlog(3)
    one.add(b"a")
    one.add(b"b")
    batch = one.take(2)
    one.add(b"c")
    one.put_back(batch)
    assert one.take() == [b"a", b"b", b"c"]
    for each in (b"d", b"e", b"f"):
        one.add(each)
    one.put_back([b"a", b"b"])
    assert one.take() == [b"d", b"e", b"f"]
    assert lost.count == 2


def test_whoever_takes_is_woken_by_the_first_and_by_the_end() -> None:
    one, _ = backlog()
    taken = list[bytes]()

    def run() -> None:
        while not one.closed:
            one.wait()
            taken.extend(one.take())

    thread = threading.Thread(target=run)
    thread.start()
    for each in (b"a", b"b"):
        one.add(each)
        wait_for(partial(taken.__contains__, each), "what was handed over")
    assert one.close(thread, 20) == 0
    assert not thread.is_alive()


def test_what_waits_at_the_end_is_told() -> None:
    one, lost = backlog()
    one.add(b"a")
    assert one.close(threading.Thread(), 0) == 1
    assert len(one) == lost.count == 0


def test_many_hand_over_while_one_takes_and_puts_back() -> None:
    """Each entry is taken once, or counted as lost, whoever else is at it; in the order of who added it."""
    one, lost = backlog(50)
    taken = list[tuple[int, int]]()
    done = threading.Event()

    def run() -> None:
        turn = 0
        while not (done.is_set() and not one):
            batch, turn = one.take(7), turn + 1
            if turn % 3 == 0:
                one.put_back(batch)
            else:
                taken.extend((int(each[:1]), int(each[2:])) for each in batch)

    def hand(who: int) -> None:
        for n in range(2_000):
            one.add(b"%d %d" % (who, n))

    taker = threading.Thread(target=run)
    givers = [threading.Thread(target=hand, args=(who,)) for who in range(4)]
    for thread in (taker, *givers):
        thread.start()
    for thread in givers:
        thread.join()
    done.set()
    taker.join()
    assert len(taken) == len(set(taken)) == 8_000 - lost.count
    for who in range(4):
        numbers = [n for other, n in taken if other == who]
        assert numbers == sorted(numbers)


@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "back"]), st.integers(0, 12)), max_size=60),
    st.integers(1, 5),
    st.integers(1, 20),
    st.sampled_from(["newest", "oldest"]),
)
def test_limits_hold_and_all_is_accounted_for(steps: list[tuple[str, int]], entries: int, size: int, keep: str) -> None:
    one, lost = backlog(entries, size, keep=keep)
    added, gone, out = 0, 0, list[bytes]()
    for step, number in steps:
        if step == "add":
            one.add(b"x" * number)
            added += 1
        elif step == "take":
            gone += len(out)
            out = one.take(number, number)
        else:
            one.put_back(out)
            out = []
        assert len(one) <= entries
    rest = one.take()
    assert sum(map(len, rest)) <= size
    assert added == lost.count + gone + len(out) + len(rest)
