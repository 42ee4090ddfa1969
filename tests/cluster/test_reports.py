"""cluster.reports: reports are listed page by page, written and removed, and what stands in the way is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.client import ClusterError, connect
from cluster.listing import RefusedError
from cluster.reports import PAGE, PAUSES, Listed, Reports
from tests.cluster.apiserver import ApiServer, Fault, Handler

ALL = "/apis/openreports.io/v1alpha1/reports"
IN_SHOP = "/apis/openreports.io/v1alpha1/namespaces/shop/reports"
PODS, DEPLOYMENTS = "/api/v1/pods", "/apis/apps/v1/deployments"
REPORT = {"metadata": {"namespace": "shop", "name": "web-1", "uid": "u", "resourceVersion": "7"}, "source": "bayplan"}


@pytest.fixture
def reports(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    cluster = connect(api.kubeconfig(tmp_path))
    yield Reports(cluster)
    cluster.close()


def answering(status: int, answer: Any) -> Fault:
    return lambda handler: handler.whole(status, json.dumps(answer).encode())


def test_those_with_our_labels_are_listed_page_by_page(api: ApiServer, reports: Reports) -> None:
    api.install(ALL)
    for number in range(PAGE + 1):
        api.put(f"r{number:03}", path=ALL, metadata={"namespace": "shop"})
    reports.check()
    found = list(reports.each("", {"a": "1", "b/c": "2"}))
    assert [one["metadata"]["name"] for one in found] == [f"r{number:03}" for number in range(PAGE + 1)]
    first, second = api.queries(ALL)[1:]
    assert first["labelSelector"] == second["labelSelector"] == "a=1,b/c=2"
    assert (first["limit"], second["continue"]) == (str(PAGE), str(PAGE))


def test_a_cluster_that_does_not_know_reports_is_told_what_to_install(api: ApiServer, reports: Reports) -> None:
    with pytest.raises(ClusterError, match=r"no kind of objects `reports\.openreports\.io`: install OpenReports first"):
        reports.check("shop")
    assert [path for path, _ in api.requests] == [IN_SHOP]
    api.fail(403, "not you")
    with pytest.raises(RefusedError, match=r"/reports can't be listed: 403 not you$"):
        reports.check()


def test_a_report_is_applied_under_a_name_of_our_own(api: ApiServer, reports: Reports) -> None:
    assert reports.apply(REPORT)
    ((method, path, content, body),) = api.written
    assert (method, path) == ("PATCH", f"{IN_SHOP}/web-1?fieldManager=bayplan-audit&force=true")
    assert (content, body) == ("application/apply-patch+yaml", REPORT)


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_busy_is_asked_again_and_not_for_ever(api: ApiServer, reports: Reports, status: int) -> None:
    api.fail(status)
    assert reports.apply(REPORT)
    assert len(api.written) == 2
    for _ in range(len(PAUSES) + 1):
        api.fail(status, "busy")
    with pytest.raises(RefusedError, match=f"the report shop/web-1 can't be written: {status} busy"):
        reports.apply(REPORT)
    assert not api.faults


def test_a_namespace_that_is_gone_or_going_takes_none(api: ApiServer, reports: Reports) -> None:
    going = {"details": {"causes": [{"reason": "NamespaceTerminating"}]}, "message": "forbidden"}
    for status, answer in ((404, {}), (403, going)):
        api.faults.append(answering(status, answer))
        assert not reports.apply(REPORT)
    others: list[Any] = [{"message": "exceeded quota"}, {"details": 1}, {"details": {"causes": [3]}}, []]
    for one in others:
        api.faults.append(answering(403, one))
        with pytest.raises(RefusedError, match="the report shop/web-1 can't be written: 403"):
            reports.apply(REPORT)


def test_only_what_was_seen_is_removed(api: ApiServer, reports: Reports) -> None:
    assert reports.remove(REPORT)
    ((method, path, _, body),) = api.written
    assert (method, path) == ("DELETE", f"{IN_SHOP}/web-1")
    assert body["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    for status in (404, 409):
        api.fail(status)
        assert not reports.remove(REPORT)
    api.fail(403, "not you")
    with pytest.raises(RefusedError, match="the report shop/web-1 can't be removed: 403 not you"):
        reports.remove(REPORT)


def owned(uid: str, by: str, controller: bool | None = True) -> dict[str, Any]:
    reference = {"apiVersion": "example.com/v1", "kind": "Rollout", "name": by, "uid": uid, "controller": controller}
    return {"namespace": "shop", "uid": f"of-{uid}", "ownerReferences": [reference]}


def test_uids_are_those_of_objects_and_of_their_controllers_where_they_agree(api: ApiServer, reports: Reports) -> None:
    api.install(PODS)
    for name, uid, by in (
        ("a", "1", "web"),
        ("b", "1", "web"),
        ("c", "2", "torn"),
        ("d", "3", "torn"),
        ("e", "4", "no"),
    ):
        api.put(name, path=PODS, metadata=owned(uid, by, controller=None if by == "no" else True))
    maker = ("example.com/v1", "Rollout", "shop")
    wanted = {
        (*maker, "web"),
        (*maker, "torn"),
        (*maker, "no"),
        ("v1", "Pod", "shop", "a"),
        ("v1", "Pod", "other", "b"),
    }
    found = reports.uids(Listed(PODS, "v1", "Pod"), [""], wanted)
    assert found == {(*maker, "web"): "1", (*maker, "torn"): "", ("v1", "Pod", "shop", "a"): "of-1"}


def test_owners_are_asked_for_within_namespaces_and_what_is_refused_or_odd_is_said(
    api: ApiServer, reports: Reports
) -> None:
    kind = Listed(DEPLOYMENTS, "apps/v1", "Deployment")
    for space in ("a", "b"):
        api.install(f"/apis/apps/v1/namespaces/{space}/deployments")
    assert reports.uids(kind, ["a", "b"], {("apps/v1", "Deployment", "a", "web")}) == {}
    with pytest.raises(RefusedError, match="can't be listed: 404"):
        reports.uids(kind, [""], set())

    def odd(handler: Handler) -> None:
        handler.whole(200, b"[]")

    api.faults.append(odd)
    with pytest.raises(ClusterError, match="answered 200, but with no list of objects"):
        reports.uids(kind, ["a"], set())
    api.faults.append(odd)
    with pytest.raises(ClusterError, match="answered 200, but with no list of objects"):
        reports.check()


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with ApiServer().running() as gone:
        cluster = connect(gone.kubeconfig(tmp_path))
    with pytest.raises(ClusterError, match="can't be reached"):
        Reports(cluster).apply(REPORT)
