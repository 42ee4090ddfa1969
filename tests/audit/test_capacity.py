"""audit.capacity: what is asked of each pool before and after."""

from __future__ import annotations

import random
from typing import Any

import pytest

from audit.capacity import Amounts, Load, loads_of
from audit.nodes import places_of
from audit.parallel import rows
from audit.replay import Replay
from engine.decision import Decider
from tests.audit.test_replay import NODES, TIME, a_fleet, member, workload
from tests.engine.builders import BASE, GOLD, decider
from tests.engine.worlds import a_world

DENIES = "deny: [{expression: 'true'}]"
ROOM = {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10", "nvidia.com/gpu": "2"}}
SIZED = [{**node, "status": ROOM} for node in NODES]
"""Of pool gpu one, of pool plain two, of none one."""


def asking(pod: dict[str, Any], **requests: str) -> dict[str, Any]:
    pod["spec"]["containers"][0] |= {"resources": {"requests": requests}}
    return pod


def loads(engine: Decider, *objects: Any, nodes: list[Any] = SIZED) -> dict[str, Load]:
    places = places_of(nodes, engine.pool_index)
    replay = Replay(engine, time=TIME, places=places)
    for one in objects:
        replay.given.take(one)
    return {one.pool: one for one in loads_of(rows(replay, 1, lambda _: None), engine.pool_index.pools, places)}


def test_pods_that_may_not_stay_go_where_they_may() -> None:
    """Pool legacy is known by name only, so nobody knows what it has: it is as good as half full."""
    pods = [asking(member(f"a-{i}", "a", f"node-{i}"), cpu="2", memory="1Gi") for i in (1, 2, 3)]
    found = loads(decider(BASE), *pods)
    assert {name: (one.nodes, one.before.pods, one.after.pods) for name, one in found.items()} == {
        "gpu": (1, 1, 0),
        "legacy": (None, 0, 1),
        "plain": (2, 2, 2),
        "": (1, 0, 0),
    }
    assert found["plain"].room == Amounts(20, 8, 16 * 2**30, 4)
    assert found["plain"].before == Amounts(2, 4, 2 * 2**30, 0)
    assert found["legacy"].room == Amounts(None, None, None, None)


@pytest.mark.parametrize("spec", [DENIES, GOLD])
def test_what_would_be_nowhere_is_asked_of_no_pool(spec: str) -> None:
    """A pod that is refused, and one that does not tolerate what is left."""
    found = loads(decider(spec), asking(member("a-1", "a", "node-2"), cpu="2"))
    assert (found["plain"].before.cpu, found["plain"].after.cpu) == (2, 0)
    assert sum(one.after.pods or 0 for one in found.values()) == 0


def test_templates_and_pods_that_wait_are_asked_for_where_they_may_be() -> None:
    template = asking({"spec": workload("Deployment", "w", replicas=4)["spec"]["template"]["spec"]}, cpu="1")
    big = workload("Deployment", "w", replicas=4)
    big["spec"]["template"]["spec"] = template["spec"]
    waiting = asking(member("a-1", "a"), cpu="1")
    del waiting["spec"]["nodeName"]
    found = loads(decider(BASE), big, waiting)
    assert sum(one.before.pods or 0 for one in found.values()) == 5
    assert (found["gpu"].after.pods, sum(one.after.pods or 0 for one in found.values())) == (0, 5)


def test_pods_of_daemon_sets_stay() -> None:
    pods = [member(f"d-{i}", "d", f"node-{i}", "DaemonSet") for i in (1, 2)]
    found = loads(decider(BASE), *pods)
    assert [(one.before.pods, one.after.pods) for one in found.values()] == [(1, 1), (0, 0), (1, 1), (0, 0)]


def test_what_is_worth_a_word() -> None:
    def notes(room: Amounts, before: Amounts, after: Amounts) -> tuple[str, ...]:
        return Load("p", 1, room, before, after).notes

    nothing, room = Amounts(), Amounts(10, 10, 10, 0)
    assert notes(room, nothing, Amounts(1, 12, 1)) == ("asked for 120% of its cpu",)
    assert notes(room, nothing, Amounts(1, 1, 1, 1)) == ("asked for gpus that it has not",)
    assert notes(room, Amounts(1, 12, 1), Amounts(1, 11, 1)) == ()  # it was worse
    assert notes(room, Amounts(1, 5, 1), Amounts(1, 1, 1)) == ("10% of its cpu in use, 50% now",)
    assert notes(Amounts(None, None, None, None), nothing, Amounts(9, 9, 9, 9)) == ()


def test_nodes_that_do_not_say_what_they_have() -> None:
    found = loads(decider(BASE), member("a-1", "a"), nodes=[*SIZED[:2], NODES[2]])
    assert found["plain"].room == Amounts(None, None, None, None)
    assert found["gpu"].room.cpu == 4


@pytest.mark.parametrize("seed", range(25))
def test_no_pod_is_counted_twice_or_lost(seed: int) -> None:
    """What stays is where it was; of what is asked for, no more is asked for afterwards."""
    dice = random.Random(seed)
    engine = a_world(dice).decider()
    fleet = [asking(one, cpu=f"{dice.randint(1, 9)}00m") for one in a_fleet(dice)]
    nodes = [one for pool in engine.pool_index.pools for one in _nodes_of(pool.selector, pool.name)]
    for one in fleet:
        one["spec"]["nodeName"] = dice.choice(nodes)["metadata"]["name"] if nodes else "elsewhere"
    found = loads(engine, *fleet, nodes=nodes)
    before, after = (sum(getattr(one, name).pods for one in found.values()) for name in ("before", "after"))
    assert after <= before + 1e-9
    assert before <= len(fleet)
    if nodes:
        assert before == len(fleet)
    for load in found.values():
        assert all(amount is not None and amount >= -1e-9 for amount in (*load.before, *load.after))


def _nodes_of(selector: Any, name: str) -> list[Any]:
    return [{"metadata": {"name": f"{name}-{i}", "labels": dict(selector)}, "status": ROOM} for i in range(2)]
