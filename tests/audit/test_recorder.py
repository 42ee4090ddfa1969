"""audit.recorder: decisions get into the store without anybody waiting, with all that it takes to make them again."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from audit import recorder as module
from audit.database import Database, Reader, Retention, UnusableError
from audit.kept import InventoryParts, WorldParts, kept_decision, unpacked
from audit.recorder import Recorder
from engine.decision import Decider
from engine.pods import IncomingPod
from engine.pools import Inventory
from engine.struct import replace
from tests.audit.test_database import rows_in
from tests.engine import builders

GOLD, BASE = builders.GOLD, builders.BASE
SECRET = "hunter2-the-secret"


class Counts(Counter[str]):
    def kept(self, decisions: int) -> None:
        self["kept"] += decisions

    def dropped(self, reason: str, decisions: int) -> None:
        self[reason] += decisions

    def failed(self) -> None:
        self["failed"] += 1


def pod(name: str = "web", **spec: Any) -> IncomingPod:
    return builders.incoming({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})


def read(folder: Path) -> list[Any]:
    found = []
    for path in sorted(folder.glob("*.sqlite")):
        with closing(Reader(path)) as reader:
            found += [kept_decision(row.body) for row in rows_in(reader)]
    return found


def offer(recorder: Recorder, decider: Decider, *pods: IncomingPod) -> None:
    for one in pods:
        recorder.offer(decider.decide(one), decider, 100)


def until(what: Any) -> None:
    latest = time.monotonic() + 20
    while not what() and time.monotonic() < latest:
        time.sleep(0.01)
    assert what()


def test_decisions_are_kept_in_order_with_their_pods_and_without_environment(tmp_path: Path) -> None:
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    recorder.start()
    container = {"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": SECRET}], "args": ["--fast"]}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"value": SECRET}), "note": "kept"}
    incoming = builders.incoming(
        {"metadata": {"name": "first", "annotations": applied}, "spec": {"containers": [container]}}
    )
    user = {**incoming.request["userInfo"], "extra": {"example.com/token": [SECRET]}}
    incoming = replace(incoming, request={**incoming.request, "userInfo": user})
    offer(recorder, decider, incoming, pod("second"))
    recorder.stop()
    first, second = read(tmp_path)
    assert first.incoming.request["userInfo"]["username"] == user["username"]
    assert first.decision == json.loads(json.dumps(decider.decide(incoming).as_json()))
    assert first.incoming.pod["spec"]["containers"][0]["args"] == ["--fast"]
    assert first.incoming.pod["metadata"]["annotations"] == {"note": "kept"}
    assert second.incoming == pod("second")
    assert counts == {"kept": 2}
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET not in repr(first.incoming.pod)


def test_worlds_are_kept_once_and_pools_that_stay_are_not_kept_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Counts())
    recorder.start()
    first = builders.decider(GOLD)
    second = first.renewed(builders.inventory(builders.FLEET.replace("gpus: 8", "gpus: 9")))
    for decider in (first, first, second, first):
        offer(recorder, decider, pod())
    recorder.stop()
    with closing(Reader(tmp_path / "decisions-0.sqlite")) as reader:
        numbers = [row.world for row in rows_in(reader)]
        assert numbers[0] == numbers[1] == numbers[3] != numbers[2]
        worlds = [unpacked(reader.thing(number) or b"", WorldParts) for number in numbers]
        assert worlds[0].revisions == (first.revision.whole,)
        parts = [unpacked(reader.thing(world.inventory) or b"", InventoryParts) for world in worlds]
        assert len({*parts[0].pools} & {*parts[2].pools}) == 2
        assert isinstance(parts[0].rest, Inventory)


def test_pods_that_no_policy_is_about_are_kept_for_the_next_bundle_may_be(tmp_path: Path) -> None:
    counts, decider = Counts(), builders.decider(f"podSelector: {{matchLabels: {{app: other}}}}\n{GOLD}")
    recorder = Recorder(tmp_path, counts)
    offer(recorder, decider, pod())
    offer(recorder, builders.decider(GOLD, mode="off"), pod())
    recorder.start()
    recorder.stop()
    assert len(read(tmp_path)) == 1
    assert counts == {"kept": 1}


def test_no_answer_waits_and_the_oldest_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DECISIONS", 3)
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    offer(recorder, decider, *(pod(f"p{n}") for n in range(5)))
    assert (recorder.depth(), counts["full"]) == (3, 2)
    recorder.start()
    recorder.stop()
    assert [one.incoming.name for one in read(tmp_path)] == ["p2", "p3", "p4"]


def test_bytes_of_reviews_are_bounded_and_one_too_large_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 250)
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    offer(recorder, decider, *(pod(f"p{n}") for n in range(3)))
    recorder.offer(decider.decide(pod("large")), decider, 251)
    assert (recorder.depth(), counts["full"]) == (2, 2)
    recorder.start()
    recorder.stop()
    assert [one.incoming.name for one in read(tmp_path)] == ["p1", "p2"]


def test_a_failing_disk_is_told_of_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.02)
    folder = tmp_path / "file"
    folder.write_text("")
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(folder, counts)
    recorder.start()
    offer(recorder, decider, pod("a"), pod("b"))
    until(lambda: counts["failed"] > 1)
    assert "can't be written" in recorder.complaints()[0]
    assert recorder.depth() <= 2
    folder.unlink()
    until(lambda: counts["kept"] == 2)
    until(lambda: not recorder.complaints())
    recorder.stop()
    assert [one.incoming.name for one in read(folder)] == ["a", "b"]
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in messages] == ["decisions are not kept", "decisions are kept again"]


def test_what_fails_in_the_middle_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what the failed transaction had of the world is written again."""
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.02)
    failures = iter([True, False])
    forget = Database._forget

    def failing(self: Database, *args: Any) -> None:
        if next(failures, False):
            raise UnusableError("the disk fails")
        forget(self, *args)

    monkeypatch.setattr(Database, "_forget", failing)
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    recorder.start()
    offer(recorder, decider, pod("a"))
    until(lambda: counts["kept"] == 1)
    recorder.stop()
    with closing(Reader(tmp_path / "decisions-0.sqlite")) as reader:
        (row,) = rows_in(reader)
        world = unpacked(reader.thing(row.world) or b"", WorldParts)
        assert reader.thing(world.inventory)


def test_a_file_that_is_deleted_or_damaged_while_it_is_used_is_begun_anew(tmp_path: Path) -> None:
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    recorder.start()
    offer(recorder, decider, pod("a"))
    until(lambda: counts["kept"] == 1)
    (tmp_path / "decisions-0.sqlite").unlink()
    offer(recorder, decider, pod("b"))
    until(lambda: counts["kept"] == 2)
    recorder.stop()
    assert [one.incoming.name for one in read(tmp_path)] == ["b"]
    (tmp_path / "decisions-0.sqlite").write_bytes(b"no database at all" * 1000)
    other = Recorder(tmp_path, counts)
    other.start()
    offer(other, decider, pod("c"))
    until(lambda: counts["kept"] == 3)
    assert "is set aside" in other.complaints()[0]
    other.stop()


def test_what_the_store_needs_goes_when_no_decision_needs_it(tmp_path: Path) -> None:
    counts, first = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts, Retention(decisions=20))
    recorder.start()
    for n in range(60):
        decider = first.renewed(builders.inventory(builders.FLEET.replace("gpus: 8", f"gpus: {n}")))
        offer(recorder, decider, pod(f"p{n}"))
        if n % 10 == 9:
            until(lambda n=n: counts["kept"] == n + 1)
    recorder.stop()
    with closing(Reader(tmp_path / "decisions-0.sqlite")) as reader:
        rows = rows_in(reader)
        assert 10 <= len(rows) <= 20
        for row in rows:
            world = unpacked(reader.thing(row.world) or b"", WorldParts)
            parts = unpacked(reader.thing(world.inventory) or b"", InventoryParts)
            assert all(reader.thing(pool) for pool in parts.pools)
        (things,) = reader._connection.execute("SELECT count(*) FROM things").fetchone()
        assert things <= 3 * len(rows) + 40


def test_a_bug_costs_one_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counts, decider = Counts(), builders.decider(GOLD)
    recorder = Recorder(tmp_path, counts)
    odd = pod("odd")
    decision = decider.decide(odd)
    odd.pod["metadata"]["odd"] = threading.Lock()
    recorder.offer(decision, decider, 1)
    offer(recorder, decider, pod("fine"))
    recorder.start()
    recorder.stop()
    assert [one.incoming.name for one in read(tmp_path)] == ["fine"]
    assert counts == {"bug": 1, "kept": 1}
    assert "odd" not in caplog.text
