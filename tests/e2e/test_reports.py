"""`bayplan audit --reports`: Reports of OpenReports on a real API server that has their real definition."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from audit import Finding, Workload
from audit.openreports import stored_bytes
from cli.audit import WORKLOADS
from cli.audit_reports import Looked, opened, write
from cli.main import main
from engine.struct import replace
from tests.audit.test_findings import found

from .controlplane import ControlPlane, Json, wait_for
from .fleet import add_general, add_gpu
from .pods import deployment, pod
from .serving import BUNDLE
from .test_replay import SPEC, TRAINING

REPORTS = "/apis/openreports.io/v1alpha1/namespaces/{}/reports"
Report = Callable[..., str]


def reports(cluster: ControlPlane, namespace: str) -> dict[str, Json]:
    """What there is, by the name of the workload."""
    found = cluster.api("GET", REPORTS.format(namespace))["items"]
    return {one["scope"]["name"]: one for one in found}


@pytest.fixture
def report(cluster: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Report:
    """`report("-n", namespace)`: what `bayplan audit --reports` says on standard error of what it wrote."""

    def run(*words: str) -> str:
        where = ("--bundle", str(BUNDLE), "--kubeconfig", str(cluster.kubeconfig))
        status = main(["audit", *where, "--reports", *words])
        said = capsys.readouterr().err
        assert status in (0, 1), said
        return said.removeprefix("bayplan: reports: ")

    return run


def test_reports_say_what_was_found_once_and_go_with_their_workloads(
    openreports: ControlPlane, namespace: str, report: Report
) -> None:
    cluster = openreports
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.apply(
        deployment("train", namespace, replicas=2, labels=TRAINING, spec=SPEC),
        deployment("web", namespace, replicas=1, spec=SPEC),
    )
    cluster.create_pod(namespace, pod("alone", labels=TRAINING, spec=SPEC))
    for number, name in enumerate(("../..", "\u202e" + "<&" * 2_000)):
        forged = pod(f"forged-{number}", labels=TRAINING, spec=SPEC)
        owner = {"apiVersion": "example.com/v1", "kind": "A b/..", "name": name, "uid": str(number), "controller": True}
        cluster.create_pod(namespace, {**forged, "metadata": {**forged["metadata"], "ownerReferences": [owner]}})
    cluster.wait_all_bound(namespace, "app=train", 2)
    assert report("-n", namespace) == "4 written, 0 said so already, 0 removed\n"
    there = reports(cluster, namespace)
    forged_names = there.keys() - {"train", "alone"}
    assert sorted(len(there[name]["metadata"].get("ownerReferences", ())) for name in forged_names) == [0, 1]
    train = there["train"]
    owner = cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/train")["metadata"]["uid"]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "train", "uid": owner}
    assert train["metadata"]["ownerReferences"] == [reference]
    assert train["scope"] == {**reference, "namespace": namespace}
    assert train["summary"] == {"pass": 1, "fail": 1, "warn": 0, "error": 0, "skip": 0}
    result, other = train["results"]
    assert (other["policy"], other["result"]) == ("no-host-network", "pass")
    assert (result["policy"], result["result"], result["severity"]) == ("training", "fail", "medium")
    assert "run where they would not be let any more: 2 in general" in result["message"]
    assert result["properties"]["pods"] == "2"
    assert report("-n", namespace) == "0 written, 4 said so already, 0 removed\n"
    assert reports(cluster, namespace) == there  # with resourceVersion and managedFields

    cluster.kubectl("label", "pod", "alone", "workload-", "-n", namespace)
    cluster.kubectl("annotate", "report", train["metadata"]["name"], "somebody=else", "-n", namespace)
    assert report("-n", namespace, "-l", "app=train") == "0 written, 1 said so already, 0 removed\n"
    assert report("-n", namespace) == "0 written, 3 said so already, 1 removed\n"
    cluster.api("DELETE", f"/apis/apps/v1/namespaces/{namespace}/deployments/train")
    wait_for(lambda: reports(cluster, namespace).keys() == forged_names, "the report to go with its Deployment")


def test_a_cluster_without_the_kind_is_told_how_to_get_it(
    cluster: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--bundle", str(BUNDLE), "--kubeconfig", str(cluster.kubeconfig))
    assert main(["audit", *where, "--reports", "-n", namespace]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "has no kind of objects `reports.openreports.io`: install OpenReports first" in said.err
    assert "kubectl apply --server-side --filename https://" in said.err


MANY = 10_000


@pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="takes minutes")
@pytest.mark.timeout(1200)
def test_ten_thousand_findings_make_no_large_object(
    openreports: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one workload, whose pods are each refused in other words: its report is cut. And of a thousand workloads with
    ten policies each, which all have one; a second run writes nothing."""
    cluster = openreports
    finding = found("deny: [{expression: 'true', message: not here}]")
    (part,) = finding.effect.policies
    accounts: list[Finding] = []
    for number in range(MANY // 10):
        about = {"metadata": {"name": f"one-{number}"}}
        made = cluster.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", about)
        assert made["metadata"]["uid"]
        parts = tuple(part._replace(name=f"policy-{each}", message="<&>" * 300) for each in range(10))
        effect = replace(finding.effect, policies=parts)
        accounts.append(
            replace(finding, workload=Workload("v1", "ServiceAccount", namespace, f"one-{number}"), effect=effect)
        )
    cluster.apply(deployment("web", namespace, replicas=0, spec=SPEC))
    loud = [
        replace(
            finding,
            workload=Workload("apps/v1", "Deployment", namespace, "web"),
            effect=replace(finding.effect, policies=(part._replace(message=f"{number} {'<&>' * 300}"),)),
        )
        for number in range(MANY)
    ]
    looked = Looked([*WORKLOADS, ("/api/v1/serviceaccounts", "v1", "ServiceAccount")], [namespace], False, [])
    for expected in (f"{MANY // 10 + 1:,} written, 0 said", f"0 written, {MANY // 10 + 1:,} said"):
        with opened(str(cluster.kubeconfig), None, [namespace], "no") as writing:
            write(writing, [*loud, *accounts], looked, everything=False)
        assert expected in capsys.readouterr().err
        things = cluster.api("GET", REPORTS.format(namespace))["items"]
        assert max(map(stored_bytes, things)) < 512 * 1024
    (web,) = (one for one in things if one["scope"]["name"] == "web")
    assert web["summary"]["fail"] == MANY
    assert int(web["metadata"]["annotations"]["bayplan.dev/left-out"]) == MANY - len(web["results"]) + 1
    assert {len(one["results"]) for one in things if one is not web} == {10}
    cluster.remove_namespace(namespace)
