"""cluster.fleet: what pools are known from is followed, whether or not a cluster has such resources or shows them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.client import connect
from cluster.fleet import Fleet, FleetWatch, fleet_of
from cluster.objects import MACHINE_DEPLOYMENTS, NODE_CLAIMS, NODE_POOLS, RESOURCES
from cluster.reflector import Timing
from telemetry import Metrics
from tests.cluster.apiserver import ApiServer
from tests.waiting import wait_for

POOLS, DEPLOYMENTS = NODE_POOLS.path, MACHINE_DEPLOYMENTS.path
OLD_DEPLOYMENTS = MACHINE_DEPLOYMENTS.others[0]
QUICK = Timing(
    list_silence=2.0, watch_silence=5.0, backoff=0.01, backoff_most=0.05, absent=0.05, forbidden=0.05, patience=0.3
)


class Watched:
    """A fleet that is watched, and how often it told of a change."""

    def __init__(self, api: ApiServer, folder: Path, timing: Timing) -> None:
        self.changes = 0
        self.cluster = connect(api.kubeconfig(folder))
        self.metrics = Metrics("test")
        self.watch = FleetWatch(self.cluster, self._changed, self.metrics, timing)

    def fleet(self) -> Fleet:
        wait_for(self.watch.take, "the fleet to be known")
        fleet = self.watch.take()
        assert fleet is not None
        return fleet

    def names(self) -> set[str]:
        return {f"{each['kind']} {each['metadata']['name']}" for each in self.fleet().resources}

    def wait(self, *names: str) -> None:
        wait_for(lambda: self.names() == set(names), f"exactly {names}")

    def _changed(self) -> None:
        self.changes += 1


@contextmanager
def watched(api: ApiServer, folder: Path, timing: Timing = QUICK) -> Iterator[Watched]:
    fleet = Watched(api, folder, timing)
    for reflector in fleet.watch.reflectors:
        reflector.start()
    try:
        yield fleet
    finally:
        for reflector in fleet.watch.reflectors:
            reflector.stop()
        fleet.cluster.close()


def test_without_any_custom_resource_there_are_nodes(api: ApiServer, tmp_path: Path) -> None:
    api.put("n1", {"pool": "a"})
    with watched(api, tmp_path) as fleet:
        assert fleet.fleet().nodes[0]["metadata"] == {"name": "n1", "labels": {"pool": "a"}}
        assert fleet.fleet()[1:] == ([], ())
    assert fleet_of(api.kubeconfig(tmp_path), None) == fleet.fleet()


def test_resources_appear_change_and_vanish(api: ApiServer, tmp_path: Path) -> None:
    with watched(api, tmp_path) as fleet:
        fleet.wait()
        api.install(POOLS)
        api.put("gpu", path=POOLS)
        fleet.wait("NodePool gpu")
        api.put("cpu", path=POOLS)
        fleet.wait("NodePool gpu", "NodePool cpu")
        api.delete("gpu", POOLS)
        fleet.wait("NodePool cpu")
        api.uninstall(POOLS)
        fleet.wait()
        api.install(POOLS)
        api.put("again", path=POOLS)
        fleet.wait("NodePool again")
        assert fleet.fleet().unread == ()


def test_pools_go_even_if_nobody_says_that_they_are_deleted(api: ApiServer, tmp_path: Path) -> None:
    api.install(POOLS)
    api.put("gpu", path=POOLS)
    with watched(api, tmp_path) as fleet:
        fleet.wait("NodePool gpu")
        with api.changed:
            del api.objects[POOLS]
        api.cut()
        fleet.wait()


def test_what_is_not_there_is_asked_for_at_intervals(api: ApiServer, tmp_path: Path) -> None:
    slow = Timing(absent=60.0)
    with watched(api, tmp_path, slow) as fleet:
        fleet.wait()
        paths = sorted(path for kind in RESOURCES for path in kind.paths)
        assert sorted(path for path, _ in api.requests if path.startswith("/apis/")) == paths


def test_an_older_version_of_the_api_will_do(api: ApiServer, tmp_path: Path) -> None:
    api.install(OLD_DEPLOYMENTS)
    api.put("md", path=OLD_DEPLOYMENTS, metadata={"namespace": "fleet"})
    with watched(api, tmp_path) as fleet:
        fleet.wait("MachineDeployment md")
        api.install(DEPLOYMENTS)
        api.put("newer", path=DEPLOYMENTS, metadata={"namespace": "fleet"})
        api.uninstall(OLD_DEPLOYMENTS)
        fleet.wait("MachineDeployment newer")
    read = fleet_of(api.kubeconfig(tmp_path), None)
    assert [each["metadata"]["name"] for each in read.resources] == ["newer"]


def test_names_are_unique_in_their_namespace_only(api: ApiServer, tmp_path: Path) -> None:
    api.install(DEPLOYMENTS)
    with watched(api, tmp_path) as fleet:
        for namespace in ("a", "b"):
            api.put("md", path=DEPLOYMENTS, metadata={"namespace": namespace})
        wait_for(lambda: len(fleet.fleet().resources) == 2, "both")
        assert [each["metadata"]["namespace"] for each in fleet.fleet().resources] == ["a", "b"]


def test_what_may_not_be_read_is_said_once_and_read_when_it_may(
    api: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.put("n1")
    api.install(POOLS)
    api.put("gpu", path=POOLS)
    api.forbidden = {POOLS}
    with caplog.at_level(logging.WARNING), watched(api, tmp_path) as fleet:
        assert fleet.fleet().unread == (f"nodepools can't be read: 403 no {POOLS}",)
        asked = len(api.requests)
        wait_for(lambda: [path for path, _ in api.requests[asked:]].count(POOLS) > 3, "more attempts")
        assert [record.message for record in caplog.records] == [f"nodepools can't be watched: 403 no {POOLS}"]
        assert [node["metadata"]["name"] for node in fleet.fleet().nodes] == ["n1"]
        read = fleet_of(api.kubeconfig(tmp_path), None)
        assert (len(read.nodes), read.resources) == (1, [])
        assert read.unread == (f"nodepools can't be read: {api.url}{POOLS} answered 403: no {POOLS}",)
        api.forbidden.clear()
        fleet.wait("NodePool gpu")
        assert fleet.fleet().unread == ()


def test_nobody_waits_for_ever_for_a_resource_that_fails(api: ApiServer, tmp_path: Path) -> None:
    """A conversion webhook that is down fails all lists of its resource."""
    api.put("n1")
    api.install(DEPLOYMENTS)
    api.put("md", path=DEPLOYMENTS)
    broken = api.objects.pop(DEPLOYMENTS)

    with watched(api, tmp_path) as fleet:
        api.objects[DEPLOYMENTS] = Broken(broken)
        assert fleet.fleet().nodes
        api.objects[DEPLOYMENTS] = dict(broken)
        fleet.wait("MachineDeployment md")


class Broken(dict[str, Any]):
    """Objects that can't be listed."""

    def __getitem__(self, _: str) -> Any:
        return {"metadata": 7}


@pytest.mark.parametrize(
    "spec",
    [
        7,
        None,
        [],
        "x",
        {"template": 7},
        {"template": {"metadata": []}},
        {"template": {"spec": {"taints": {"a": 1}, "requirements": 3}}},
    ],
)
def test_odd_shapes_are_kept_as_they_are(spec: Any, api: ApiServer, tmp_path: Path) -> None:
    api.install(POOLS)
    api.put("odd", path=POOLS, spec=spec, status=spec)
    with watched(api, tmp_path) as fleet:
        fleet.wait("NodePool odd")
        assert fleet_of(api.kubeconfig(tmp_path), None) == fleet.fleet()


def test_only_what_is_read_is_kept(api: ApiServer, tmp_path: Path) -> None:
    api.install(POOLS)
    api.install(NODE_CLAIMS.path)
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"expireAfter": "1h"}}
    about: dict[str, Any] = {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "x": "y"},
        "managedFields": [1],
    }
    about["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    api.put("p", {"l": "m"}, POOLS, metadata=about, spec={"weight": 3, "template": template}, status={"conditions": []})
    more = {"spec": {"requirements": []}, "status": {"nodeName": "n", "allocatable": {"cpu": "4"}, "imageID": "i"}}
    api.put("c", {"karpenter.sh/nodepool": "p"}, NODE_CLAIMS.path, apiVersion="karpenter.sh/v1", **more)
    with watched(api, tmp_path) as fleet:
        fleet.wait("NodePool p", "NodeClaim c")
        pool, claim = fleet.fleet().resources
    assert pool == {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {
            "name": "p",
            "labels": {"l": "m"},
            "annotations": {"x": "y"},
            "deletionTimestamp": "2026-01-02T00:00:00Z",
        },
        "spec": {"weight": 3, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}},
        "status": {},
    }
    assert claim["status"] == {"nodeName": "n", "allocatable": {"cpu": "4"}}
    assert "spec" not in claim


def test_status_that_nobody_reads_is_no_change(api: ApiServer, tmp_path: Path) -> None:
    api.install(POOLS)
    api.put("p", path=POOLS)
    with watched(api, tmp_path) as fleet:
        fleet.wait("NodePool p")
        before, same = fleet.changes, fleet.fleet().resources[0]
        for beat in range(3):
            api.put("p", path=POOLS, status={"resources": {"cpu": str(beat)}, "conditions": [beat]})
        api.put("q", path=POOLS)
        fleet.wait("NodePool p", "NodePool q")
        assert fleet.changes == before + 2  # its status is there now, and q
        assert json.dumps(fleet.fleet().resources[0]) != json.dumps(same)
