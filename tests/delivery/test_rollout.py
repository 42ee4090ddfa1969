"""delivery.rollout: what is new decides about some workloads, what was before about the others; nobody falls back."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from delivery.activation import Activation, Rolling, Stages, decider_of
from delivery.content import SourceError
from delivery.follower import Followed, Follower
from delivery.rollout import Rollout
from delivery.store import Store
from engine.decision import Decider
from engine.pods import IncomingPod
from telemetry import Metrics
from tests.delivery import bundles
from tests.delivery.bad_bundles import good
from tests.delivery.shelf import Shelf
from tests.delivery.test_several import inventory
from tests.engine.builders import decider, incoming, pod

WORKLOADS = 100_000
REFUSING = bundles.TRAINING.replace("  require:", "  deny: [{expression: 'true'}]\n  require:")


def workload(number: int, replica: int = 0) -> IncomingPod:
    """A pod of one of many workloads, of several kinds, in several namespaces."""
    kind = ("ReplicaSet", "StatefulSet", "Job")[number % 3]
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": f"app-{number}", "uid": "u", "controller": True}
    metadata = {"name": f"app-{number}-{replica}", "ownerReferences": [owner], "labels": {"workload": "training"}}
    return incoming(pod(metadata=metadata), namespace=f"team-{number % 7}")


def sides(rollout: Rollout) -> list[bool]:
    """Of each workload, whether it is on the new side."""
    return [rollout.side(workload(number)) == "active" for number in range(WORKLOADS)]


def test_nobody_falls_back_while_it_grows_and_replicas_agree() -> None:
    engine = decider("{require: [{expression: 'true'}]}")
    before = [False] * WORKLOADS
    for percent in (10, 20, 35, 50) if os.environ.get("BAYPLAN_NIGHTLY") else (10, 50):
        now = sides(Rollout(engine, engine, percent))
        assert abs(sum(now) / WORKLOADS - percent / 100) < 0.01
        assert not any(was and not is_now for was, is_now in zip(before, now, strict=True))
        before = now
    others = [Rollout(decider("{require: [{expression: 'true'}]}"), engine, 50) for _ in range(2)]
    for number in range(0, WORKLOADS, 10):
        assert [one.side(workload(number, 3)) == "active" for one in others] == [before[number]] * 2


@pytest.mark.parametrize(("percent", "side"), [(0, "previous"), (100, "active")])
def test_at_both_ends_there_is_one_side(percent: int, side: str) -> None:
    engine = decider("{require: [{expression: 'true'}]}")
    assert {Rollout(engine, engine, percent).side(workload(number)) for number in range(200)} == {side}


def test_who_is_early_for_a_policy_is_not_for_a_bundle() -> None:
    engine = decider("{require: [{expression: 'true'}], rollout: 50}")
    both = 0
    for number in range(2_000):
        early = engine.decide(workload(number)).policies[0].outcome != "notRolledOut"
        both += early and Rollout(engine, engine, 50).side(workload(number)) == "active"
    assert 400 < both < 600


class Rig:
    """A bundle that is rolled out to some workloads, and the one before it, each with a source."""

    def __init__(self, percent: int = 50, state: Path | None = None) -> None:
        self.metrics, self.shelf, self.before = Metrics("test"), Shelf(), Shelf()
        build = partial(decider_of, mode="enforce", cluster={}, own_namespace="bayplan")
        rolling = Rolling(percent, {0: "oci://before"})
        self.activation = Activation(Stages(inventory, build), self.metrics, rolling=rolling)

        def follower(shelf: Shelf, take: Any, name: str) -> Follower:
            return Follower(Followed(shelf, "test", 60.0), take, self.metrics, Store(state, name) if state else None)

        self.new = follower(self.shelf, self.activation.take, "new")
        self.previous = follower(self.before, self.activation.take_previous, "previous")
        self.activation.first()

    def publish(self, new: dict[str, bytes] | None = None, previous: dict[str, bytes] | None = None) -> None:
        for shelf, files in ((self.shelf, new), (self.before, previous)):
            if files is not None:
                shelf.publish(files)
        self.new.ask()
        self.previous.ask()

    def versions(self) -> dict[str, str]:
        """By side, the version that decides about workloads of that side; each of a hundred names it."""
        rollout = self.activation.decider
        assert isinstance(rollout, Rollout)
        found: dict[str, set[str]] = {}
        for number in range(100):
            decision = rollout.decide(workload(number))
            found.setdefault(rollout.side(workload(number)), set()).add(decision.revision.of("training").version)
        return {side: ",".join(versions) for side, versions in found.items()}

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def test_each_side_decides_by_its_revision_and_names_it() -> None:
    rig = Rig()
    rig.publish(good("1.1.0", training=REFUSING), good("1.0.0"))
    assert rig.versions() == {"active": "1.1.0", "previous": "1.0.0"}
    active, previous = (rig.value("bayplan_rollout_decisions_total", side=side) for side in ("active", "previous"))
    assert active + previous == 100
    assert 30 < active < 70
    known = {one.labels["side"]: one.labels["version"] for one in next(iter(rig.metrics.bundle.collect())).samples}
    assert known == {"active": "1.1.0", "previous": "1.0.0"}


def test_nothing_decides_before_both_are_there() -> None:
    rig = Rig()
    rig.publish(new=good("1.1.0"))
    assert rig.activation.decider is None
    assert rig.activation.unready() == ["no previous bundle `oci://before` are active yet"]
    rig.publish(previous=good("1.0.0"))
    assert rig.activation.unready() == []


def test_a_bad_bundle_on_one_side_touches_neither() -> None:
    rig = Rig()
    rig.publish(good("1.1.0"), good("1.0.0"))
    rig.publish(new={**good("1.2.0"), "policies/x.yaml": b"nonsense"})
    assert rig.versions() == {"active": "1.1.0", "previous": "1.0.0"}
    rig.publish(new=good("1.2.1"))
    assert rig.versions() == {"active": "1.2.1", "previous": "1.0.0"}
    rig.publish(previous={"bundle.yaml": b"nonsense"})
    assert rig.versions() == {"active": "1.2.1", "previous": "1.0.0"}


def test_other_pools_are_taken_by_both_sides() -> None:
    rig = Rig()
    rig.publish(good("1.1.0"), good("1.0.0"))
    rollout = rig.activation.decider
    assert isinstance(rollout, Rollout)
    assert rollout.new.pool_index.inventory is rollout.previous.pool_index.inventory


def test_both_sides_survive_a_restart_without_their_sources(tmp_path: Path) -> None:
    before = Rig(state=tmp_path)
    before.publish(good("1.1.0"), good("1.0.0"))
    after = Rig(state=tmp_path)
    for shelf, follower in ((after.shelf, after.new), (after.before, after.previous)):
        shelf.fails["look"] = SourceError("look", "it is away")
        follower.first()
    assert after.versions() == before.versions() == {"active": "1.1.0", "previous": "1.0.0"}


def test_rolled_out_to_all_the_one_before_is_not_waited_for() -> None:
    rig = Rig(percent=100)
    rig.publish(new=good("1.1.0"))
    assert isinstance(rig.activation.decider, Decider)
