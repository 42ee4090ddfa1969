"""cluster.reflector: the copy of a cluster's objects converges, whatever the API server and the network do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.objects import NODES as KIND
from cluster.reflector import Timing
from tests.cluster.apiserver import NAMESPACES, ApiServer, Handler
from tests.cluster.following import following
from tests.waiting import wait_for


def test_lists_in_pages_and_follows(api: ApiServer, tmp_path: Path) -> None:
    for n in range(5):
        api.put(f"n{n}", {"pool": "a"})
    with following(api, tmp_path) as copy:
        copy.wait()
        pages = [query.get("continue") for query in api.queries() if "watch" not in query]
        assert pages == [None, "2", "4"]
        assert copy.changes == 1
        api.put("n9", {"pool": "b"})
        api.put("n0", {"pool": "c"})
        api.delete("n3")
        copy.wait()
        assert copy.labels("n0") == {"pool": "c"}
        assert copy.names() == ["n0", "n1", "n2", "n4", "n9"]
    assert set(api.authorizations) == {"Bearer secret"}
    assert api.lists() == 1


def test_what_nobody_reads_is_no_change(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0", {"pool": "a"})
    with following(api, tmp_path) as copy:
        copy.wait()
        for beat in range(3):
            api.put("n0", {"pool": "a"}, status={"images": [{"names": [str(beat)]}]})
        api.put("n1")
        copy.wait()
        assert copy.changes == 2


def test_a_cut_watch_goes_on_where_it_was(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0")
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        api.put("n1")
        copy.wait()
        api.cut()
        wait_for(lambda: len(api.watches()) == 2, "another watch")
        api.put("n2")
        copy.wait()
        assert api.lists() == 1
        assert api.watches() == ["2", "3"]


def test_bookmarks_move_the_place_to_go_on_from(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0")
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        api.bookmark()
        api.put("n1", path=NAMESPACES)
        api.bookmark()
        api.put("n1")
        copy.wait()
        api.forget()
        api.cut()
        wait_for(lambda: len(api.watches()) == 2, "another watch")
        api.put("n2")
        copy.wait()
        assert api.lists() == 1


def test_too_old_by_status_lists_again(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0")
    api.put("n1")
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        with api.changed:
            api.faults.append(lambda handler: handler.whole(410, b'{"kind":"Status","code":410}'))
            api.events.clear()
            api.objects[KIND.path].pop("n0")
            api.version += 1
        api.cut()
        copy.wait()
        assert copy.names() == ["n1"]
        assert copy.restarts()["gone"] == 1


def test_too_old_by_event_lists_again(api: ApiServer, tmp_path: Path) -> None:
    def too_old(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
        handler.chunk(b"")

    api.put("n0")
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        api.faults.append(too_old)
        api.cut()
        wait_for(lambda: api.lists() == 2, "another list")
        api.put("n1")
        copy.wait()


def test_a_page_that_is_too_old_starts_over(api: ApiServer, tmp_path: Path) -> None:
    for n in range(5):
        api.put(f"n{n}")

    def too_old(handler: Handler) -> None:
        handler.whole(410, b'{"kind":"Status","code":410}')

    def first(handler: Handler) -> None:
        api.faults.append(too_old)
        handler._list(KIND.path, {"limit": "2"})

    api.faults.append(first)
    with following(api, tmp_path) as copy:
        copy.wait()
        assert copy.changes == 1
        assert api.lists() == 2


def test_too_old_each_time_is_asked_less_and_less_often(api: ApiServer, tmp_path: Path) -> None:
    """The first list follows at once, the next ones at growing intervals, however long a list itself takes."""
    timing = Timing(page=2, list_silence=2.0, backoff=0.1, backoff_most=10.0, steady=0.05)

    def slow(handler: Handler) -> None:
        time.sleep(2 * timing.steady)
        handler._list(KIND.path, {"limit": "2"})

    def too_old(handler: Handler) -> None:
        handler.whole(410, b'{"kind":"Status","code":410}')

    for _ in range(100):
        api.faults += [slow, too_old]
    with following(api, tmp_path, timing) as copy:
        wait_for(lambda: api.lists() == 2, "another list at once")
        time.sleep(1.0)
        assert api.lists() <= 6
        assert copy.reflector.synced


def test_a_server_that_is_gone_is_not_taken_for_a_silent_one(tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        pass
    with following(gone, tmp_path) as copy:
        wait_for(lambda: copy.restarts().get("cut"), "the refusal")
        assert copy.reflector.problem == "Connection refused"
        assert "silence" not in copy.restarts()


@pytest.mark.parametrize("status", [429, 500, 503, 401, 403])
def test_refusals_are_survived(api: ApiServer, tmp_path: Path, status: int) -> None:
    for _ in range(3):
        api.fail(status, "not now")
    api.put("n0")
    with following(api, tmp_path) as copy:
        wait_for(lambda: copy.reflector.synced or f"{status} not now" in copy.reflector.problem, "the refusal")
        copy.wait()
        assert copy.restarts()[str(status)] == 3
        assert copy.reflector.problem == ""


def test_retry_after_is_kept(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0")
    api.fail(429, Retry_After="1")
    began = time.monotonic()
    with following(api, tmp_path) as copy:
        copy.wait()
    assert time.monotonic() - began >= 1.0


def test_a_silent_connection_is_given_up(api: ApiServer, tmp_path: Path) -> None:
    timing = Timing(page=2, list_silence=2.0, watch_silence=0.2, backoff=0.01, backoff_most=0.05)
    api.put("n0")
    with following(api, tmp_path, timing) as copy:
        copy.wait()
        wait_for(lambda: copy.restarts().get("silence", 0) >= 2, "a silent watch to be given up")
        api.put("n1")
        copy.wait()
        assert api.lists() == 1


def test_garbage_is_survived(api: ApiServer, tmp_path: Path) -> None:
    def garbage(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"type":"ADDED","object":{"metadata":{"name":7}}}\n')
        handler.chunk(b"")

    api.put("n0")
    api.faults.append(lambda handler: handler.whole(200, b"<html>"))
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        api.faults.append(garbage)
        api.cut()
        wait_for(lambda: copy.restarts().get("malformed", 0) == 2, "the garbage")
        api.put("n1")
        copy.wait()


def test_the_old_copy_stays_while_nothing_new_is_known(api: ApiServer, tmp_path: Path) -> None:
    api.put("n0")
    with following(api, tmp_path) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        for _ in range(5):
            api.fail(500)
        api.cut()
        wait_for(lambda: copy.restarts().get("500", 0) == 5, "the failures")
        assert copy.names() == ["n0"]
        assert copy.reflector.synced
        copy.wait()


def test_stops_at_once_while_watching(api: ApiServer, tmp_path: Path) -> None:
    with following(api, tmp_path, Timing()) as copy:
        copy.wait()
        wait_for(lambda: len(api.watches()) == 1, "a watch")
        copy.reflector.stop(seconds=10.0)
        assert not copy.reflector._thread.is_alive()


STEPS = st.lists(
    st.sampled_from(["put", "change", "delete", "cut", "forget", "bookmark", "500", "410", "429", "garbage"]),
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_converges_whatever_happens(tmp_path: Path, steps: list[str]) -> None:
    with ApiServer().running() as api, following(api, tmp_path) as copy:
        for number, step in enumerate(steps):
            names = sorted(api.objects[KIND.path])
            match step:
                case "put":
                    api.put(f"n{number}", {"step": str(number)})
                case "change" if names:
                    api.put(names[0], {"step": str(number)})
                case "delete" if names:
                    api.delete(names[-1])
                case "cut":
                    api.cut()
                case "forget":
                    api.forget()
                case "bookmark":
                    api.bookmark()
                case "500" | "410" | "429":
                    api.fail(int(step))
                case "garbage":
                    api.faults.append(lambda handler: handler.whole(200, b"{"))
        api.cut()
        copy.wait()
