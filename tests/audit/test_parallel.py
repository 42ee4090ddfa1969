"""audit.parallel: several processes come to the same as one."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from audit.findings import Finding
from audit.nodes import places_of
from audit.parallel import LostError, gather, rows
from audit.replay import Replay, in_order
from delivery import Batch
from engine.documents import Manifest, RequestError, Source
from tests.audit.test_replay import NODES, TIME, a_fleet, member, workload
from tests.engine.builders import BASE, decider
from tests.engine.worlds import a_world


def batches(objects: list[Any], size: int = 5) -> Iterator[Batch]:
    for start in range(0, len(objects), size):
        yield Batch("dump.json", start, json.dumps(objects[start : start + size]).encode())


def findings(replay: Replay, found: Any, jobs: int) -> list[Finding]:
    gather(replay.given, found, jobs, lambda _: None)
    return in_order(row.told() for row in rows(replay, jobs, lambda _: None))


@pytest.mark.parametrize("seed", range(6))
def test_several_come_to_the_same_as_one(seed: int) -> None:
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"n": str(i)}}}
        for i in range(9)
    ]
    objects = [one for _ in range(6) for one in a_fleet(dice)] + namespaces + [workload("CronJob", "n", "batch/v1")]
    dice.shuffle(objects)
    told = []
    for jobs in (1, 2, 3):
        replay = Replay(engine, time=TIME, places=places_of(NODES, engine.pool_index))
        manifest = Manifest(Source("more.yaml", ""), workload("Deployment", "other", replicas=0))
        told.append(findings(replay, [*batches(objects), manifest], jobs))
        assert replay.given.namespaces["shop"]["metadata"]["labels"]["n"] == next(
            one["metadata"]["labels"]["n"] for one in objects[::-1] if one["kind"] == "Namespace"
        )
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_wrong_is_said_by_whoever_meets_it(jobs: int) -> None:
    odd = member("a-1", "a")
    odd["spec"]["nodeSelector"] = {"x": 1}
    for broken, path in ((odd, "dump.json: items[40].spec.nodeSelector.x"), ({"a": 1}, "dump.json: items[40]")):
        objects = [*(member(f"b-{i}", f"b{i}") for i in range(40)), broken, *(member("c", "c") for _ in range(20))]
        with pytest.raises(RequestError) as error:
            findings(Replay(decider(BASE), time=TIME), batches(objects), jobs)
        assert error.value.path == path


def test_a_process_that_is_killed_is_said() -> None:
    mother = os.getpid()

    class Deadly(Replay):
        def of_kind(self, kind: Any) -> Any:
            if os.getpid() != mother:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().of_kind(kind)

    with pytest.raises(LostError, match="fewer `--jobs`"):
        findings(Deadly(decider(BASE), time=TIME), batches([member(f"b-{i}", f"b{i}") for i in range(9)]), 2)


def test_how_far_it_is() -> None:
    for jobs in (1, 2):
        counts: list[int] = []
        replay = Replay(decider(BASE), time=TIME)
        objects = [member(f"b-{i}", f"b{i % 3}") for i in range(23)]
        gather(replay.given, batches(objects), jobs, counts.append)
        assert counts == sorted(counts)
        assert (replay.given.pods, len(counts)) == (23, 5)
        rows(replay, jobs, counts.append)
        assert counts[-1] == 3
