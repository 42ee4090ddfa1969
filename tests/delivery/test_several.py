"""delivery: several bundles that decide together, each from a source of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from delivery.activation import Activation, Stages, decider_of
from delivery.content import SourceError
from delivery.follower import Followed, Follower
from delivery.neighbours import Neighbours
from delivery.store import Store
from delivery.transaction import Demands
from engine.decision import Decider
from engine.documents import Problem, Source, parse_manifests
from engine.pools import Inventory, inventory_from_documents
from telemetry import Metrics
from tests.delivery import bundles
from tests.delivery.shelf import Shelf
from tests.engine.builders import incoming, outcomes, pod

HEAD = "apiVersion: bayplan.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
ML, NET = Demands(owns=("ml-",), others={"net-": "oci://net"}), Demands(owns=("net-",), others={"ml-": "oci://ml"})
TRAINEE = incoming(pod(metadata={"labels": {"workload": "training"}}))


def inventory() -> Inventory:
    return inventory_from_documents(parse_manifests(Source("pools", bundles.POOLS))[0])


def tree(name: str, version: str, **denies: str) -> dict[str, bytes]:
    """A bundle whose policies deny what these expressions say."""
    files = {"bundle.yaml": HEAD.format(kind="Bundle", name=name, spec=f"{{version: {version}}}")}
    for policy, expression in denies.items():
        spec = f"{{deny: [{{expression: '{expression}'}}]}}"
        files[f"{policy}.yaml"] = HEAD.format(kind="PlacementPolicy", name=policy.replace("_", "-"), spec=spec)
    return {path: text.encode() for path, text in files.items()}


class Rig:
    """Two sources, who follows them, and what they decide together."""

    def __init__(self, state: Path | None = None) -> None:
        self.metrics, self.shelves = Metrics("test"), (Shelf(), Shelf())
        build = partial(decider_of, mode="enforce", cluster={}, own_namespace="bayplan")
        self.activation = Activation(Stages(inventory, build), self.metrics, bundles=("oci://ml", "oci://net"))
        neighbours = Neighbours(2, {"name": "", "labels": {}})
        self.ml, self.net = (
            Follower(
                Followed(shelf, "test", 60.0, demands=demands),
                partial(self.activation.take, place=place),
                self.metrics,
                Store(state, f"source {place}") if state else None,
                (neighbours, place),
            )
            for place, (shelf, demands) in enumerate(zip(self.shelves, (ML, NET), strict=True))
        )
        self.activation.first()

    def publish(self, ml: dict[str, bytes] | None = None, net: dict[str, bytes] | None = None) -> None:
        """Have sources hold these bundles, and ask both."""
        for shelf, files in zip(self.shelves, (ml, net), strict=True):
            if files is not None:
                shelf.publish(files)
        self.ml.ask()
        self.net.ask()

    @property
    def versions(self) -> list[str]:
        """Those of what decides now."""
        decider = self.activation.decider
        return [program.revision.version for program in decider.programs] if decider else []

    def decided(self) -> dict[str, str]:
        assert self.activation.decider
        return outcomes(self.activation.decider.decide(TRAINEE))


def test_nothing_decides_before_all_of_them_are_there() -> None:
    rig = Rig()
    assert rig.activation.unready() == ["no bundle `oci://ml` and bundle `oci://net` are active yet"]
    rig.publish(net=tree("net", "1.0.0", net_no="true"))
    assert rig.activation.unready() == ["no bundle `oci://ml` are active yet"]
    assert rig.activation.decider is None
    rig.publish(ml=tree("ml", "2.0.0", ml_no="false"))
    assert rig.activation.unready() == []
    assert rig.decided()["net-no"] == "denied"


def test_a_bad_one_touches_none_of_the_others() -> None:
    rig = Rig()
    rig.publish(tree("ml", "2.0.0", ml_no="false"), tree("net", "1.0.0", net_no="false"))
    rig.publish(net=tree("net", "1.1.0", net_no="nonsense"))
    assert (rig.ml.status.step, rig.net.status.step) == ("", "compile")
    assert rig.versions == ["2.0.0", "1.0.0"]
    rig.publish(ml=tree("ml", "2.1.0", ml_no="true"))
    assert rig.versions == ["2.1.0", "1.0.0"]
    assert rig.decided()["ml-no"] == "denied"
    rig.publish(net=tree("net", "1.1.1", net_no="true"))
    assert (rig.versions, rig.net.status.step) == (["2.1.0", "1.1.1"], "")
    found = [one.labels["version"] for one in rig.metrics.bundle.collect()[0].samples]  # type: ignore[index]
    assert found == ["2.1.0", "1.1.1"]


def test_a_name_that_is_the_others_is_refused_with_both_named() -> None:
    rig = Rig()
    rig.publish(tree("ml", "2.0.0", ml_no="false"), tree("net", "1.0.0", net_no="false"))
    rig.publish(net=tree("net", "1.1.0", ml_no="true"))
    assert rig.net.status.step == "parse"
    said = "`ml-no` is not bundle `net`'s to say, but that of `oci://ml`, which serves beside it"
    assert said in rig.net.status.message
    assert rig.versions == ["2.0.0", "1.0.0"]


def test_one_is_rolled_back_and_the_others_stay() -> None:
    rig = Rig()
    rig.publish(tree("ml", "2.0.0", ml_no="false"), tree("net", "1.0.0", net_no="false"))
    rig.publish(tree("ml", "2.1.0", ml_no="true"), tree("net", "1.1.0", net_no="false"))
    rig.ml.rollback()
    assert rig.versions == ["2.0.0", "1.1.0"]


def test_all_of_them_survive_a_restart_without_their_sources(tmp_path: Path) -> None:
    before = Rig(tmp_path)
    before.publish(tree("ml", "2.0.0", ml_no="false"), tree("net", "1.0.0", net_no="true"))
    after = Rig(tmp_path)
    for shelf, follower in zip(after.shelves, (after.ml, after.net), strict=True):
        shelf.fails["look"] = SourceError("look", "it is away")
        follower.first()
    assert after.versions == ["2.0.0", "1.0.0"]
    assert after.decided() == before.decided()


def test_what_is_known_of_one_that_stays_is_not_made_anew() -> None:
    rig = Rig()
    rig.publish(tree("ml", "2.0.0", ml_no="false"), tree("net", "1.0.0", net_no="false"))
    decider = rig.activation.decider
    assert isinstance(decider, Decider)
    rig.publish(net=tree("net", "1.1.0", net_no="false"))
    after = rig.activation.decider
    assert isinstance(after, Decider)
    assert after.parts[0] is decider.parts[0]  # what is known for the one that stayed is not made anew


def requires(name: str, policy: str, pool: str) -> dict[str, bytes]:
    """A bundle with a policy that wants a pool, and the pools."""
    spec = f"{{require: [{{expression: 'pool.name == \"{pool}\"'}}]}}"
    text = HEAD.format(kind="PlacementPolicy", name=policy, spec=spec)
    return {**tree(name, "1.0.0"), "p.yaml": text.encode(), "pools/a.yaml": bundles.POOLS.encode()}


def conflicts(follower: Follower) -> list[Problem]:
    return [one for one in follower.status.warnings if one.rule == "conflicting-policies"]


def test_what_policies_of_both_do_to_each_other_is_told_where_the_one_is_that_gives_way() -> None:
    rig = Rig()
    rig.publish(requires("ml", "ml-gpu", "gpu"), requires("net", "net-general", "general"))
    rig.ml.examine()
    rig.net.examine()
    assert conflicts(rig.ml) == []
    (warning,) = conflicts(rig.net)
    assert warning.message.startswith("`ml-gpu` and `net-general` together leave no pool to ")
    rig.publish(net=requires("net", "net-gpu", "gpu"))
    rig.net.examine()
    assert (conflicts(rig.ml), conflicts(rig.net)) == ([], [])
    (redundant,) = [one for one in rig.net.status.warnings if one.rule == "redundant-policy"]
    assert redundant.message.startswith("`net-gpu` changes nothing: `ml-gpu` applies wherever it does")


def test_before_both_are_there_nothing_is_told() -> None:
    rig = Rig()
    rig.publish(ml=requires("ml", "ml-gpu", "gpu"))
    rig.ml.examine()
    assert conflicts(rig.ml) == []
