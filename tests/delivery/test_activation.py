"""delivery.activation: what decides is replaced when its sources change, and only by something sound."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from delivery import activation
from delivery.activation import SWITCH_SECONDS, Activation, Stages
from delivery.folder import read_documents
from delivery.follower import Follower, followed
from delivery.sources import read_address
from delivery.transaction import Demands, StepFailedError
from engine.decision import Decider
from engine.pools import Inventory, inventory_from_documents
from engine.pools.nodes import inventory_from_nodes
from engine.program import Program
from telemetry import Metrics
from tests.delivery import bundles
from tests.waiting import wait_for


class Rig:
    """An activation over a bundle's folder, and pools from a file or from a list of Nodes."""

    def __init__(self, bundle: Path, pools: Path | None = None) -> None:
        self.nodes: list[dict[str, object]] | None = None
        self.metrics = Metrics("test")
        self.built: list[Decider] = []
        self._pools = pools
        self.activation = Activation(Stages(self._take, self._build), self.metrics, [pools] if pools else [])
        self.follower = Follower(
            followed(read_address(str(bundle)), 60.0, Demands()), self.activation.take, self.metrics
        )

    def first(self) -> None:
        self.follower.first()
        self.activation.first()

    def version(self) -> str:
        decider = self.activation.decider
        return decider.programs[0].revision.version if decider else ""

    def pools(self) -> list[str]:
        decider = self.activation.decider
        return [pool.name for pool in decider.pool_index.pools] if decider else []

    def failures(self, step: str) -> float:
        return self.metrics.registry.get_sample_value("bayplan_activation_failures_total", {"step": step}) or 0.0

    def _take(self) -> Inventory | None:
        if self._pools:
            return inventory_from_documents(read_documents(self._pools))
        return None if self.nodes is None else inventory_from_nodes(self.nodes)

    def _build(self, programs: tuple[Program, ...], inventory: Inventory, active: Decider | None) -> Decider:
        decider = active.renewed(inventory, programs) if active else Decider(programs, inventory)
        self.built.append(decider)
        return decider


@contextmanager
def following(bundle: Path, pools: Path | None = None) -> Iterator[Rig]:
    rig = Rig(bundle, pools)
    rig.first()
    rig.activation.start()
    rig.follower.start()
    try:
        yield rig
    finally:
        rig.follower.stop()
        rig.activation.stop()


def node(name: str, pool: str) -> dict[str, object]:
    labels = {"cloud.google.com/gke-nodepool": pool}
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}, "status": {}}


def test_files_are_active_at_once(tmp_path: Path) -> None:
    with following(bundles.write(tmp_path / "bundle"), bundles.write_pools(tmp_path)) as rig:
        assert rig.version() == "1.0.0"
        assert rig.pools() == ["general", "gpu"]
        assert rig.activation.unready() == []
        assert rig.activation.pools() == 2
        (active,) = [s for f in rig.metrics.bundle.collect() for s in f.samples]
        assert (active.labels["name"], active.labels["version"], active.value) == ("small", "1.0.0", 1)


def test_threads_give_way_soon_from_when_somebody_is_answered(tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    rig = Rig(bundles.write(tmp_path / "bundle"), None)
    try:
        sys.setswitchinterval(0.005)
        rig.first()
        assert (rig.activation.unready(), sys.getswitchinterval()) == (["no inventory are active yet"], 0.005)
        rig.activation.first()
        rig.nodes = [node("a", "general")]
        rig.activation._renew("nodes")
        assert (rig.activation.unready(), sys.getswitchinterval()) == ([], SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)


def test_a_new_version_takes_over(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with following(bundle, bundles.write_pools(tmp_path)) as rig:
        bundles.write(bundle, "1.1.0")
        wait_for(lambda: rig.version() == "1.1.0", "the new version")
        assert len(rig.built) == 2
        (active,) = [s for f in rig.metrics.bundle.collect() for s in f.samples]
        assert active.labels["version"] == "1.1.0"


def test_what_does_not_compile_leaves_the_last_good_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with following(bundle, bundles.write_pools(tmp_path)) as rig, caplog.at_level("INFO", "bayplan"):
        bundles.write(bundle, "2.0.0", training=bundles.TRAINING.replace("pool.labels", "pool.lables"))
        wait_for(lambda: rig.failures("compile") == 1, "the failure")
        assert rig.version() == "1.0.0"
        assert "the step `compile` failed" in caplog.text
        assert "small@1.0.0" in caplog.text
        assert "did you mean `labels`?" in caplog.text
        bundles.write(bundle, "2.0.0")
        wait_for(lambda: rig.version() == "2.0.0", "the repaired bundle")
        assert rig.failures("compile") == 1


TEST = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: own}
spec:
  cases:
    - name: anything
      pod: {metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}
      expect: {allowed: ALLOWED}
"""


@pytest.mark.parametrize("what", ["bundle", "pools"])
def test_a_pipe_that_nobody_writes_into_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    bundle, pools = bundles.write(tmp_path / "bundle"), bundles.write_pools(tmp_path)
    with following(bundle, pools) as rig, caplog.at_level("INFO", "bayplan"):
        odd = bundle / "policies" / "odd.yaml" if what == "bundle" else pools
        odd.unlink(missing_ok=True)
        os.mkfifo(odd)
        wait_for(lambda: rig.failures("fetch" if what == "bundle" else "inventory") >= 1, "the failure")
        assert "odd.yaml:1:1" in caplog.text or f"{pools}:1:1" in caplog.text
        assert "it is a named pipe, not a file" in caplog.text
        assert rig.version() == "1.0.0"
        odd.unlink()
        bundles.write(bundle, "1.1.0")
        bundles.write_pools(tmp_path)
        wait_for(lambda: rig.version() == "1.1.0", "the next version")
        wait_for(lambda: "the inventory is sound again" in caplog.text or what == "bundle", "the inventory")


def test_what_is_put_back_is_sound_again_and_broken_again_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two checkouts and a link, as git-sync has them: turning the link back leaves no trace of having been away."""
    bundles.write(tmp_path / "1")
    bundles.write(tmp_path / "2", "2.0.0", training=bundles.TRAINING.replace("pool.labels", "pool.lables"))
    bundle, pools = tmp_path / "current", bundles.write_pools(tmp_path)

    def turn(commit: str) -> None:
        (tmp_path / "next").symlink_to(commit)
        (tmp_path / "next").rename(bundle)

    def told(words: str) -> int:
        return sum(words in record.message for record in caplog.records)

    turn("1")
    with following(bundle, pools) as rig, caplog.at_level("INFO", "bayplan"):
        for times in (1, 2):
            turn("2")
            wait_for(lambda: told("the step `compile` failed") == times, "the failure")  # noqa: B023  (waited for here)
            pools.write_text("kind: [\n")  # what is wrong elsewhere is another matter
            wait_for(lambda: told("the step `inventory` failed") == times, "the other failure")  # noqa: B023
            turn("1")
            wait_for(lambda: told(f"bundle `{bundle}` is sound again") == times, "good news")  # noqa: B023
            bundles.write_pools(tmp_path)
            wait_for(lambda: told("the inventory is sound again") == times, "the other good news")  # noqa: B023
        assert rig.failures("compile") == 2
        assert len(rig.built) == 1


def test_looking_takes_no_more_than_a_part_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large folders are, and however slow their disk."""
    looks: list[float] = []

    def slow(*_: object) -> bytes:
        looks.append(time.monotonic())
        time.sleep(0.1)
        return b""

    with following(bundles.write(tmp_path / "bundle"), bundles.write_pools(tmp_path)) as rig:
        monkeypatch.setattr("delivery.folder_source.fingerprint_of", slow)
        wait_for(lambda: len(looks) >= 5, "a look at two places, whole, and another; the first may have begun before")
        rig.activation.fleet_changed()
    assert max(later - earlier for earlier, later in pairwise(looks)) >= 1.8


def test_what_fails_its_own_tests_leaves_the_last_good_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    own = bundle / "tests" / "own.yaml"
    own.parent.mkdir()
    own.write_text(TEST.replace("ALLOWED", "true"))
    with following(bundle, bundles.write_pools(tmp_path)) as rig, caplog.at_level("INFO", "bayplan"):
        before = rig.activation.decider
        own.write_text(TEST.replace("ALLOWED", "false"))
        wait_for(lambda: rig.failures("test") == 1, "the failure")
        assert "the step `test` failed" in caplog.text
        assert "tests/own.yaml:6:" in caplog.text
        assert "the case `own: anything` fails: `allowed` is not what it expects" in caplog.text
        own.write_text(TEST.replace("ALLOWED", "true"))
        wait_for(lambda: "is sound again; small@1.0.0" in caplog.text, "the repaired test")
        assert rig.activation.decider is before


def test_a_bundle_that_fails_its_own_tests_does_not_start(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle", own=TEST.replace("ALLOWED", "false"))
    with pytest.raises(StepFailedError, match="failed-case"):
        Rig(bundle, bundles.write_pools(tmp_path)).first()


def test_a_bundle_that_goes_and_comes_back(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with following(bundle, bundles.write_pools(tmp_path)) as rig:
        shutil.rmtree(bundle)
        wait_for(lambda: rig.failures("fetch") >= 1, "the failure")
        assert rig.version() == "1.0.0"
        bundles.write(bundle, "1.2.0")
        wait_for(lambda: rig.version() == "1.2.0", "the bundle that came back")


def test_a_bundle_that_is_only_touched_is_the_same(tmp_path: Path) -> None:
    bundle, pools = bundles.write(tmp_path / "bundle"), bundles.write_pools(tmp_path)
    with following(bundle, pools) as rig:
        bundles.write(bundle)
        bundles.write_pools(tmp_path)
        bundles.write(bundle, "1.1.0")
        wait_for(lambda: rig.version() == "1.1.0", "the new version")
        assert len(rig.built) == 2


def test_a_config_map_is_followed(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    for folder, version in (("..1", "1.0.0"), ("..2", "1.5.0")):
        bundles.write(mount / folder, version)
    (mount / "..data").symlink_to("..1")
    for name in ("bundle.yaml", "policies"):
        (mount / name).symlink_to(f"..data/{name}")
    with following(mount, bundles.write_pools(tmp_path)) as rig:
        assert rig.version() == "1.0.0"
        assert rig.activation.decider is not None
        assert len(rig.activation.decider.programs[0].policies) == 3
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
        shutil.rmtree(mount / "..1")
        wait_for(lambda: rig.version() == "1.5.0", "the swapped bundle")


def test_a_file_of_pools_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pools = bundles.write_pools(tmp_path)
    with following(bundles.write(tmp_path / "bundle"), pools) as rig, caplog.at_level("INFO", "bayplan"):
        pools.write_text(bundles.POOLS.replace("name: gpu", "name: nogpu"))
        wait_for(lambda: rig.pools() == ["general", "nogpu"], "the new pools")
        pools.write_text("kind: [")
        wait_for(lambda: rig.failures("inventory") == 1, "the failure")
        assert rig.pools() == ["general", "nogpu"]
        pools.write_text(bundles.POOLS.replace("name: gpu", "name: nogpu"))
        wait_for(lambda: "the inventory is sound again" in caplog.text, "the repaired pools")


def test_nodes_that_change_together_are_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "GATHER_SECONDS", 1.0)
    monkeypatch.setattr(activation, "GATHER_MOST_SECONDS", 20.0)
    with following(bundles.write(tmp_path / "bundle")) as rig:
        rig.nodes = []
        rig.activation.fleet_changed()
        wait_for(lambda: rig.activation.decider, "the first inventory")
        for n in range(500):
            rig.nodes = [*rig.nodes, {"metadata": {"name": f"n{n}", "labels": {"karpenter.sh/nodepool": f"p{n}"}}}]
            rig.activation.fleet_changed()
        wait_for(lambda: len(rig.pools()) == 500, "the new nodes")
        assert len(rig.built) == 2


def test_who_never_rests_is_heard_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "GATHER_MOST_SECONDS", 0.2)
    with following(bundles.write(tmp_path / "bundle")) as rig:
        rig.nodes = []
        rig.activation.fleet_changed()
        wait_for(lambda: rig.activation.decider, "the first inventory")
        rig.nodes = [{"metadata": {"name": "n", "labels": {"karpenter.sh/nodepool": "p"}}}]

        def heard() -> bool:
            rig.activation.fleet_changed()
            return rig.pools() == ["p"]

        wait_for(heard, "the new node, while changes go on")


def test_nodes_come_and_go(tmp_path: Path) -> None:
    with following(bundles.write(tmp_path / "bundle")) as rig:
        assert rig.activation.decider is None
        assert rig.activation.unready()
        rig.nodes = []
        rig.activation.fleet_changed()
        wait_for(lambda: rig.activation.decider is not None, "the first inventory")
        assert rig.activation.unready() == []
        rig.nodes = [node("n1", "a"), node("n2", "b")]
        rig.activation.fleet_changed()
        wait_for(lambda: rig.pools() == ["a", "b"], "two pools")
        rig.nodes = rig.nodes[:1]
        rig.activation.fleet_changed()
        wait_for(lambda: rig.pools() == ["a"], "one pool")


def test_the_same_nodes_are_no_change(tmp_path: Path) -> None:
    with following(bundles.write(tmp_path / "bundle")) as rig:
        rig.nodes = [node("n1", "a")]
        for _ in range(3):
            rig.activation.fleet_changed()
        wait_for(lambda: rig.pools() == ["a"], "a pool")
        before = rig.activation.decider
        rig.nodes = [node("n7", "a")]
        rig.activation.fleet_changed()
        rig.nodes = [node("n1", "a"), node("n2", "b")]
        rig.activation.fleet_changed()
        wait_for(lambda: rig.pools() == ["a", "b"], "two pools")
        assert before is rig.built[0]
        assert len(rig.built) == 2


def test_nodes_and_bundles_change_together(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with following(bundle) as rig:
        for number in range(1, 4):
            rig.nodes = [node(f"n{n}", f"pool-{n}") for n in range(number)]
            rig.activation.fleet_changed()
            bundles.write(bundle, f"1.{number}.0")
        wait_for(lambda: rig.version() == "1.3.0" and len(rig.pools()) == 3, "both")


def test_a_broken_bundle_does_not_start(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle", broken="kind: PlacementPolicy\n")
    with pytest.raises(StepFailedError) as raised:
        Rig(bundle, bundles.write_pools(tmp_path)).first()
    assert "policies/broken.yaml" in str(raised.value)


def test_a_bug_while_building_leaves_the_last_good_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with following(bundle, bundles.write_pools(tmp_path)) as rig:
        rig.activation._stages = Stages(rig._take, lambda *_: 1 / 0)  # type: ignore[arg-type]
        bundles.write(bundle, "1.1.0")
        wait_for(lambda: rig.failures("swap") >= 1 and "ZeroDivisionError" in caplog.text, "the bug")
        assert rig.version() == "1.0.0"
        assert "small@1.0.0" in caplog.text
