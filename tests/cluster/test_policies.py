"""cluster.policies: a bundle's objects are followed, whether or not there are such kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.client import ClusterError, connect
from cluster.policies import MAX_SPEC, Policies, PolicyWatch, write_status
from engine.bundle import BUNDLES, POLICIES
from telemetry import Metrics
from tests.cluster.apiserver import ApiServer, Handler
from tests.cluster.test_fleet import QUICK
from tests.waiting import wait_for

GROUP = "/apis/bayplan.dev/v1alpha1"


@contextmanager
def watched(api: ApiServer, folder: Path) -> Iterator[PolicyWatch]:
    cluster = connect(api.kubeconfig(folder))
    watch = PolicyWatch(cluster, "gpu", Metrics("test"), timing=QUICK)
    for reflector in watch.reflectors:
        reflector.start()
    try:
        yield watch
    finally:
        for reflector in watch.reflectors:
            reflector.stop()
        cluster.close()


def taken(watch: PolicyWatch) -> Policies:
    wait_for(lambda: watch.answered, "the objects to be known")
    return watch.take()


def names(watch: PolicyWatch) -> list[str]:
    try:
        return [each["metadata"]["name"] for each in watch.take().policies]
    except ClusterError:
        return []


@pytest.fixture
def kinds(api: ApiServer) -> ApiServer:
    api.install(BUNDLES.path)
    api.install(POLICIES.path)
    return api


def test_a_bundle_and_its_policies_are_asked_for_by_name(kinds: ApiServer, tmp_path: Path) -> None:
    kinds.put("gpu", path=BUNDLES.path, metadata={"uid": "1", "generation": 3}, spec={"version": "1.0.0"})
    kinds.put("a", path=POLICIES.path, spec={"mode": "off"}, status={"revision": "x"})
    with watched(kinds, tmp_path) as watch:
        bundle, policies = taken(watch)
        assert bundle is not None
        assert bundle["metadata"] == {"name": "gpu", "uid": "1", "generation": 3, "annotations": {}}
        assert json.loads(bundle["spec"]) == {"version": "1.0.0"}
        assert [json.loads(each["spec"]) for each in policies] == [{"mode": "off"}]
        assert json.loads(policies[0]["status"]) == {"revision": "x"}
        kinds.put("b", path=POLICIES.path, spec={})
        wait_for(lambda: names(watch) == ["a", "b"], "the second policy")
    asked = {path: query for path, query in kinds.requests if "watch" in query}
    assert asked[BUNDLES.path]["fieldSelector"] == "metadata.name=gpu"
    assert asked[POLICIES.path]["labelSelector"] == "bayplan.dev/bundle=gpu"
    assert {query["limit"] for _, query in kinds.requests if "limit" in query} == {"20"}


def test_kinds_that_are_not_there_are_told_of_and_may_come_and_go(api: ApiServer, tmp_path: Path) -> None:
    api.install(BUNDLES.path)
    with watched(api, tmp_path) as watch:
        with pytest.raises(ClusterError, match=r"`placementpolicies.bayplan.dev`: `bayplan crds \| kubectl apply"):
            taken(watch)
        api.install(POLICIES.path)
        api.put("a", path=POLICIES.path, spec={})
        wait_for(lambda: names(watch) == ["a"], "the kind to appear")
        api.uninstall(POLICIES.path)
        wait_for(lambda: watch.reflectors[1].absent, "the kind to vanish")
        with pytest.raises(ClusterError, match="no kind of objects"):
            watch.take()


def test_kinds_that_may_not_be_read_are_told_of(kinds: ApiServer, tmp_path: Path) -> None:
    kinds.forbidden.add(POLICIES.path)
    with watched(kinds, tmp_path) as watch, pytest.raises(ClusterError, match="placementpolicies can't be read: 403"):
        taken(watch)


def test_of_annotations_only_ours_are_kept(kinds: ApiServer, tmp_path: Path) -> None:
    annotations = {"bayplan.dev/owner": "gpu-team", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    kinds.put("a", path=POLICIES.path, metadata={"annotations": annotations}, spec={})
    kinds.put("b", path=POLICIES.path, metadata={"annotations": {"bayplan.dev/link": "x" * MAX_SPEC}}, spec={})
    with watched(kinds, tmp_path) as watch:
        small, large = taken(watch).policies
        assert small["metadata"]["annotations"] == {"bayplan.dev/owner": "gpu-team"}
        assert large["metadata"]["annotations"] == {}
        assert large["spec"] > MAX_SPEC


def test_of_a_large_object_only_its_size_is_kept(kinds: ApiServer, tmp_path: Path) -> None:
    kinds.put("a", path=POLICIES.path, spec={"description": "x" * MAX_SPEC})
    with watched(kinds, tmp_path) as watch:
        (policy,) = taken(watch).policies
        assert policy["spec"] > MAX_SPEC


@pytest.mark.parametrize(
    ("verbs", "words"),
    [
        (["create", "get", "list", "watch"], ""),
        (["delete", "deletecollection", "get", "list", "watch"], "`placementpolicies` is being deleted"),
    ],
)
def test_a_kind_that_is_being_deleted_is_known(kinds: ApiServer, tmp_path: Path, verbs: list[str], words: str) -> None:
    def discovery(handler: Handler) -> None:
        found = [
            {"name": "bundles", "verbs": ["create"]},
            {"name": "placementpolicies", "verbs": verbs},
            {"name": "placementpolicies/status", "verbs": ["get", "patch"]},
        ]
        handler.whole(200, json.dumps({"kind": "APIResourceList", "resources": found}).encode())

    kinds.instead[GROUP] = discovery
    with watched(kinds, tmp_path) as watch:
        taken(watch)
        if words:
            with pytest.raises(ClusterError, match=words):
                watch.check_kinds()
        else:
            watch.check_kinds()


def test_where_nobody_says_which_kinds_there_are_none_is_taken_to_stay(kinds: ApiServer, tmp_path: Path) -> None:
    with watched(kinds, tmp_path) as watch:
        taken(watch)
        with pytest.raises(ClusterError, match="answered 404"):
            watch.check_kinds()


def test_a_status_that_can_not_be_written_is_told_of(kinds: ApiServer, tmp_path: Path) -> None:
    cluster = connect(kinds.kubeconfig(tmp_path))
    thing = {"kind": "PlacementPolicy", "metadata": {"name": "a", "uid": "1"}}
    kinds.faults.append(lambda handler: handler.whole(501, b"{}"))
    with pytest.raises(ClusterError, match="the status of PlacementPolicy `a` can't be written: 501"):
        write_status(cluster, thing, {})
    cluster.close()
