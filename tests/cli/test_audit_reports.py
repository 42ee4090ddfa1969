"""cli.audit_reports: which reports are written and removed, and which are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit import Finding, Workload, own_labels, reports_of
from cli.audit import WORKLOADS
from cli.audit_reports import Looked, opened, write
from cli.errors import CommandError
from cluster import Reports
from engine.struct import replace
from tests.audit.test_findings import TIME, found
from tests.cluster.apiserver import ApiServer

from .conftest import Bayplan, sample

REPORTS = "/apis/openreports.io/v1alpha1/reports"
DEPLOYMENTS, PODS = "/apis/apps/v1/deployments", "/api/v1/pods"
DENIES = "deny: [{expression: 'true', message: not here}]"
LOOKED = Looked(WORKLOADS, [""], False, [])


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer().running() as server:
        for path in (REPORTS, DEPLOYMENTS, PODS):
            server.install(path)
        yield server


@pytest.fixture
def reports(api: ApiServer, tmp_path: Path) -> Iterator[Reports]:
    with opened(api.kubeconfig(tmp_path), None, [""], "no") as found:
        yield found


def of(name: str, kind: str = "Deployment", specs: str = DENIES, version: str = "apps/v1") -> Finding:
    return replace(found(specs), workload=Workload(version, kind, "shop", name))


def there(api: ApiServer, *findings: Finding) -> None:
    """Workloads, and their reports as an audit left them; one whose kind has no path is nobody's."""
    for report in reports_of(findings):
        known = report.workload.kind == "Deployment"
        if known:
            api.put(report.workload.name, path=DEPLOYMENTS, metadata={"namespace": "shop", "uid": report.workload.name})
        thing = report.as_object(report.workload.name if known else "", TIME)
        more = {key: value for key, value in thing.items() if key != "metadata"}
        metadata = {**thing["metadata"], "uid": f"r-{report.workload.name}"}
        api.put(report.key[1], path=REPORTS, metadata=metadata, **more)
        api.objects[REPORTS][f"shop/{report.key[1]}"]["metadata"]["labels"] = own_labels(report.bundle)


def done(api: ApiServer) -> list[tuple[str, str]]:
    """What was asked for that is no GET: the method, and the beginning of the report's name."""
    return [(method, path.split("?")[0].rpartition("/")[2].rpartition("-")[0]) for method, path, *_ in api.written]


def test_what_says_so_already_is_not_written_and_what_is_over_is_removed(
    api: ApiServer, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    there(api, of("web"), of("old"))
    api.put("new", path=DEPLOYMENTS, metadata={"namespace": "shop", "uid": "new"})
    write(reports, [of("web"), of("new"), of("gone")], LOOKED, everything=False)
    assert done(api) == [("DELETE", "deployment-old"), ("PATCH", "deployment-new")]
    assert capsys.readouterr().err == "bayplan: reports: 1 written, 1 said so already, 1 removed\n"
    assert api.written[1][3]["metadata"]["ownerReferences"][0]["uid"] == "new"


def test_a_workload_that_is_made_again_owns_its_report(api: ApiServer, reports: Reports) -> None:
    there(api, of("web"))
    api.put("web", path=DEPLOYMENTS, metadata={"namespace": "shop", "uid": "another"})
    write(reports, [of("web")], LOOKED, everything=False)
    assert [body["metadata"]["ownerReferences"][0]["uid"] for *_, body in api.written] == ["another"]


@pytest.mark.parametrize(
    ("looked", "removed"),
    [
        (LOOKED, ["deployment-fine", "deployment-unseen"]),
        (LOOKED.__class__(WORKLOADS, [""], True, []), ["deployment-fine"]),
        (LOOKED.__class__(WORKLOADS, [""], False, ["Deployment"]), ["deployment-fine"]),
    ],
)
def test_what_was_not_looked_at_stays(api: ApiServer, reports: Reports, looked: Looked, removed: list[str]) -> None:
    there(api, of("fine"), of("unseen"))
    write(reports, [of("fine", specs="require: [{expression: 'true'}]")], looked, everything=False)
    assert sorted(done(api)) == [("DELETE", name) for name in removed]


def test_workloads_that_stay_as_they_are_have_a_report_where_that_is_asked_for(
    api: ApiServer, reports: Reports
) -> None:
    api.put("fine", path=DEPLOYMENTS, metadata={"namespace": "shop", "uid": "fine"})
    write(reports, [of("fine", specs="require: [{expression: 'true'}]")], LOOKED, everything=True)
    ((*_, body),) = api.written
    assert [one["result"] for one in body["results"]] == ["pass"]


def test_of_what_is_no_known_workload_pods_say_the_uid_and_nobody_else_may(api: ApiServer, reports: Reports) -> None:
    reference = {"apiVersion": "example.com/v1", "kind": "Rollout", "name": "canary", "uid": "7", "controller": True}
    forged = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "forged", "controller": True}
    for name, each in (("a", reference), ("b", forged)):
        api.put(name, path=PODS, metadata={"namespace": "shop", "uid": name, "ownerReferences": [each]})
    api.put("web", path=DEPLOYMENTS, metadata={"namespace": "shop", "uid": "real"})
    findings = [of("web"), of("canary", "Rollout", version="example.com/v1"), of("ghost", "Rollout"), of("gone", "Pod")]
    write(
        reports,
        [*findings[:3], replace(findings[3], workload=Workload("v1", "Pod", "shop", "gone"))],
        LOOKED,
        everything=False,
    )
    owners = {
        body["scope"]["name"]: [one["uid"] for one in body["metadata"]["ownerReferences"]] for *_, body in api.written
    }
    assert owners == {"web": ["real"], "canary": ["7"], "ghost": []}


def test_owners_that_may_not_be_read_are_said_and_their_reports_written(
    api: ApiServer, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    api.forbidden.add(DEPLOYMENTS)
    write(reports, [of("web")], LOOKED, everything=False)
    assert [body["metadata"]["ownerReferences"] for *_, body in api.written] == [[]]
    told = capsys.readouterr().err
    assert "1 report is owned by nobody, and will stay when Deployments go: " in told


def test_one_that_is_refused_keeps_no_other_from_being_written(
    api: ApiServer, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [of(f"w{number}", "Rollout") for number in range(6)]

    def refusing() -> Any:
        for _ in range(5):
            api.fail(403, "exceeded quota")

    posted: list[str] = []
    original = reports.apply

    def apply(report: dict[str, Any]) -> bool:
        if not posted:
            refusing()
        posted.append(report["metadata"]["name"])
        return original(report)

    reports.apply = apply  # type: ignore[method-assign]
    with pytest.raises(CommandError) as caught:
        write(reports, findings, LOOKED, everything=False)
    assert len(posted) == 6
    assert str(caught.value).count("exceeded quota") == 3
    assert str(caught.value).endswith("\nbayplan: and 2 more")
    assert "1 written" in capsys.readouterr().err


def test_reports_are_about_pods_of_a_cluster(bayplan: Bayplan, tmp_path: Path) -> None:
    for more in (("--merge", "x.jsonl"), ("--bundle", sample("gpu"), "--pods", str(tmp_path))):
        ran = bayplan("audit", "--reports", *more)
        assert ran.status == 2
        assert "--reports goes with pods of a cluster" in ran.err


def test_inside_of_a_cluster_no_other_is_named(bayplan: Bayplan) -> None:
    ran = bayplan("audit", "--bundle", sample("gpu"), "--in-cluster", "yes", "--context", "east")
    assert ran.status == 2
    assert "--in-cluster yes is the cluster that this runs in: leave --context and --kubeconfig out" in ran.err
    ran = bayplan("audit", "--bundle", sample("gpu"), "--in-cluster", "yes")
    assert ran.status == 2
    assert "there is no cluster to connect to" in ran.err
    ran = bayplan("audit", "--bundle", sample("gpu"), "--in-cluster", "auto")
    assert "say which pods" in ran.err
