"""audit.replay: running pods as they were when they were created, and nothing of those that have finished."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from audit.replay import as_created, replayed
from engine.documents import Manifest, Source

SOURCE = Source("pods.yaml", "")


def running(name: str, phase: str = "Running") -> dict[str, Any]:
    spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}


def created(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def of(*documents: Any) -> list[Any]:
    return [manifest.data for manifest in replayed(Manifest(SOURCE, each) for each in documents)]


def test_a_pod_is_neither_bound_nor_has_a_status() -> None:
    given = running("a")
    before = copy.deepcopy(given)
    assert as_created(given) == created("a")
    assert given == before
    assert as_created({"spec": None, "status": {}}) == {"spec": None}


def test_a_mirror_pod_is_created_bound() -> None:
    given = running("a")
    given["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert as_created(given) == {key: value for key, value in given.items() if key != "status"}
    given["metadata"]["annotations"] = {"other": "x"}
    assert "nodeName" not in as_created(given)["spec"]


@pytest.mark.parametrize(
    ("phase", "counts"),
    [("Running", True), ("Pending", True), ("Unknown", True), ("Succeeded", False), ("Failed", False)],
)
def test_pods_that_have_finished_are_left_out(phase: str, counts: bool) -> None:
    assert of(running("a", phase)) == [created("a")] * counts


def test_lists_are_taken_apart_and_say_what_kind_their_items_are() -> None:
    bare = {key: value for key, value in running("a").items() if key not in ("kind", "apiVersion")}
    done = {key: value for key, value in running("b", "Failed").items() if key != "kind"}
    listed = {"kind": "PodList", "items": [bare, done, running("c")]}
    assert of(listed) == [{key: value for key, value in created("a").items() if key != "apiVersion"}, created("c")]
    assert of({"kind": "List", "items": [running("a"), listed, "text"]})[0] == created("a")


def test_everything_else_stays_as_it_is() -> None:
    deployment = {"kind": "Deployment", "spec": {"nodeName": "x"}, "status": {"phase": "Failed"}}
    others = [deployment, {"kind": "List", "items": None}, {"kind": "Playlist"}, "text", None, [running("a")]]
    assert of(*others) == others
