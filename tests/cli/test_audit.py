"""cli.audit: what `bayplan audit` tells of the pods that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Bayplan, sample

SPOT = ("audit", "--bundle", sample("spot-first"), "--pools", sample("spot-first", "pools", "mixed.yaml"))


def running(name: str, labels: dict[str, str], owner: str = "", phase: str = "Running") -> dict[str, Any]:
    """A pod as a cluster shows it: bound, with a status, of a ReplicaSet if it has an owner."""
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{owner}-5d9c", "controller": True, "uid": "1"}
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "labels": labels}
    if owner:
        metadata |= {"ownerReferences": [reference], "labels": {**labels, "pod-template-hash": "5d9c"}}
    spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def listing(tmp_path: Path, *pods: dict[str, Any]) -> Path:
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(pods)}))
    return path


def test_running_pods_are_decided_as_if_created_now_and_told_by_owner(bayplan: Bayplan, tmp_path: Path) -> None:
    pods = listing(
        tmp_path,
        running("resize-1", {"interruptible": "true", "app": "resize"}, "resize"),
        running("resize-2", {"interruptible": "true", "app": "resize"}, "resize"),
        running("web-1", {"app": "web"}, "web"),
        running("done", {"interruptible": "true", "app": "done"}, phase="Succeeded"),
    )
    ran = bayplan(*SPOT, "--pods", pods)
    assert ran.status == 1
    header, line, _, policy, _, total, verdict = ran.out.splitlines()
    assert header.split() == ["OWNER", "PODS", "EFFECT", "POLICIES", "WHY"]
    assert line.split("  ")[0] == "Deployment shop/resize"
    assert "  2  " in line
    assert "gets affinity, tolerations, spread constraints" in line
    assert "  spot-first" in line
    assert policy == "spot-first  1 would change"
    assert total == "3 pods of 2 workloads: 2 would change, 0 would be refused"
    assert verdict == "ready to enforce: 1 workload unchanged, 1 changed as intended"


def test_nothing_to_tell(bayplan: Bayplan, tmp_path: Path) -> None:
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"))
    ran = bayplan(*SPOT, "--pods", pods)
    told = "1 pod of 1 workload: 0 would change, 0 would be refused\nready to enforce: 1 workload unchanged\n"
    assert (ran.status, ran.out) == (0, told)
    assert "stays as it is" in bayplan(*SPOT, "--pods", pods, "--all").out


def test_a_pod_that_was_placed_already_is_no_finding(bayplan: Bayplan, tmp_path: Path) -> None:
    explain = ("explain", *SPOT[1:], "-", "-o", "json", "--show-pod")
    pod = running("resize-1", {"interruptible": "true", "app": "resize"})
    del pod["spec"]["nodeName"]
    placed = bayplan(*explain, stdin=json.dumps(pod)).json[0]["patched"]
    placed["spec"]["nodeName"] = "node-1"
    assert bayplan(*SPOT, "--pods", listing(tmp_path, placed)).status == 0


def test_refusals_and_audited_policies_are_findings(bayplan: Bayplan) -> None:
    where = sample("karpenter-migration")
    ran = bayplan("audit", "--bundle", where, "--pools", where / "pools" / "both.yaml", "--pods", where / "examples")
    assert ran.status == 1
    line = next(line for line in ran.out.splitlines() if line.startswith("StatefulSet shop/orders "))
    assert line.endswith("audited: gets affinity, tolerations, pools 4 → 2  stateful-next")
    where = sample("scheduling-classes")
    ran = bayplan("audit", "--bundle", where, "--pools", where / "pools" / "fleet.yaml", "--pods", where / "examples")
    assert "Pod shop/typo" in ran.out
    assert ran.out.splitlines()[-3:] == [
        "7 pods of 5 workloads: 6 would change, 1 would be refused",
        "not ready to enforce: 0 workloads unchanged, 4 changed as intended, 1 would be refused",
        "  Pod shop/typo (1 pod) would be refused: there is no such scheduling class",
    ]


WAITING = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools: [{name: gpu, selector: {pool: gpu}, taints: [{key: gpu, effect: NoSchedule}]}]
"""


def test_pods_that_would_stay_pending_have_a_total_of_their_own(bayplan: Bayplan, tmp_path: Path) -> None:
    """Also those that no policy changes; in JSON it is said of each."""
    (tmp_path / "tainted.yaml").write_text(WAITING)
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"), running("web-2", {"app": "web"}, "web"))
    bundle = sample("spot-first")
    audit = ("audit", "--bundle", bundle, "--pools", tmp_path / "tainted.yaml", "--pods", pods)
    _, line, _, total, verdict = bayplan(*audit).out.splitlines()
    assert line.split() == ["Deployment", "shop/web", "2", "would", "stay", "Pending"]
    assert total == "2 pods of 1 workload: 0 would change, 0 would be refused, 2 would stay Pending"
    assert verdict == "ready to enforce: 1 workload unchanged"
    (told,) = [finding["pools"] for finding in bayplan(*audit, "-o", "json").json["items"]]
    assert (told["wouldStayPending"], told["taints"]) == (True, {"gpu": ["gpu:NoSchedule"]})


def test_json_has_the_findings_and_what_they_come_to(bayplan: Bayplan) -> None:
    where = sample("scheduling-classes")
    about = ("audit", "--bundle", where, "--pools", where / "pools" / "fleet.yaml", "--pods", where / "examples")
    whole = bayplan(*about, "-o", "json").json
    *lines, rest = [json.loads(line) for line in bayplan(*about, "-o", "jsonl").out.splitlines()]
    assert (rest["kind"], rest["capacity"], rest["drift"]) == ("FindingCluster", whole["capacity"], [])
    same = [{**finding, "time": ""} for finding in whole["items"]]
    assert same == [{**finding, "time": ""} for finding in lines]
    assert (whole["kind"], whole["ready"], whole["pods"]) == ("FindingList", False, 7)
    assert whole["workloads"] == {"denied": 1, "unschedulable": 0, "failed": 0, "changed": 4, "unchanged": 0}
    assert whole["policies"][-1] == {
        "name": "scheduling-class",
        "workloads": {"changed": 3, "denied": 1},
        "reasons": [],
    }


def test_a_pipeline_may_be_held_for_some_of_it_only(bayplan: Bayplan) -> None:
    where = sample("scheduling-classes")
    about = ("audit", "--bundle", where, "--pools", where / "pools" / "fleet.yaml", "--pods", where / "examples")
    statuses = {"denied": 1, "unschedulable,failed": 0, "changed, denied": 1, "none": 0, "unseen,leaves": 0}
    for what, status in statuses.items():
        assert bayplan(*about, "--fail-on", what).status == status, what
    ran = bayplan(*about, "--fail-on", "denied,unplaced")
    assert ran.status == 2
    assert "`unplaced` is none of denied, unschedulable, failed, changed, noPool, taint" in ran.err


@pytest.mark.parametrize(
    "words", [("--jobs", "x"), ("--jobs", "-1"), ("--jobs", "65"), ("--over", "nan"), ("--over", "-1")]
)
def test_numbers_have_bounds(bayplan: Bayplan, words: tuple[str, str]) -> None:
    ran = bayplan(*SPOT, f"{words[0]}={words[1]}")
    assert ran.status == 2
    assert f"`{words[1]}` is no number" in ran.err


def test_several_processes_say_the_same(bayplan: Bayplan) -> None:
    where = sample("scheduling-classes")
    about = ("audit", "--bundle", where, "--pools", where / "pools" / "fleet.yaml", "--pods", where / "examples")
    assert bayplan(*about, "--jobs", "2").out == bayplan(*about).out
    assert bayplan(*about, "--jobs", "0").out == bayplan(*about).out


@pytest.mark.parametrize("by", ["namespace", "policy", "pool"])
def test_the_table_may_be_grouped_otherwise(bayplan: Bayplan, by: str) -> None:
    where = sample("scheduling-classes")
    about = ("audit", "--bundle", where, "--pools", where / "pools" / "fleet.yaml", "--pods", where / "examples")
    header, *lines = bayplan(*about, "--by", by).out.splitlines()
    assert header.split()[:3] == [by.upper(), "WORKLOADS", "PODS"]
    groups = {line.split()[0] for line in lines[: lines.index("")]}
    expected = {
        "namespace": {"media", "recommendations", "shop", "streaming"},
        "policy": {"classless", "instance-diverse", "io-heavy", "scheduling-class"},
    }
    assert groups == expected.get(by, groups)
    assert len(groups) > 1


def test_where_pods_run_is_known_of_nodes(bayplan: Bayplan, tmp_path: Path) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-1", "labels": {"karpenter.sh/nodepool": "general"}},
    }
    (tmp_path / "nodes.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [node]}))
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"))
    ran = bayplan("audit", "--bundle", sample("gpu"), "--pools", tmp_path / "nodes.json", "--pods", pods, "-o", "json")
    assert ran.json["items"][0]["placed"] == {"general": 1}


@pytest.mark.parametrize("text", ["", '{"kind": "List", "items": []}', "kind: ConfigMap"])
def test_nothing_at_all_is_not_ready(bayplan: Bayplan, tmp_path: Path, text: str) -> None:
    """A pipe may have broken, or a name may be misspelt."""
    (tmp_path / "pods.yaml").write_text(text)
    ran = bayplan(*SPOT, "--pods", tmp_path / "pods.yaml", "-n", "typo")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("bayplan: nothing is decided: there are no pods and no workloads in ")
    assert ran.err.endswith("pods.yaml, namespace typo\n")


def test_it_must_be_told_which_pods(bayplan: Bayplan) -> None:
    ran = bayplan(*SPOT)
    assert ran.status == 2
    assert "--pods" in ran.err


def test_a_daemonsets_pod_is_left_alone(bayplan: Bayplan, tmp_path: Path) -> None:
    pod = running("agent", {"interruptible": "true", "app": "agent"}, "agent")
    pod["metadata"]["ownerReferences"][0] |= {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent"}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    pod["spec"]["affinity"] = {"nodeAffinity": required}
    assert bayplan(*SPOT, "--pods", listing(tmp_path, pod)).status == 0


STEADY = """
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: steady}
spec: {require: [{expression: 'pool.labels["stedy"] == "true"'}]}
"""


def test_pods_for_which_nobody_has_seen_a_node_have_one_as_well(bayplan: Bayplan, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "policies").mkdir(parents=True)
    header = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: typo}\n"
    (bundle / "bundle.yaml").write_text(header + "spec: {version: 1.0.0}\n")
    (bundle / "policies" / "steady.yaml").write_text(STEADY)
    (tmp_path / "pools.yaml").write_text(WAITING.replace("taints: [{key: gpu, effect: NoSchedule}]", "gpus: 8"))
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"), running("web-2", {"app": "web"}, "web"))
    about = ("--bundle", bundle, "--pools", tmp_path / "pools.yaml")
    _, line, _, _, _, total, _ = bayplan("audit", *about, "--pods", pods).out.splitlines()
    assert "gets affinity, needs a node that nobody has seen: `stedy In [true]`" in line
    assert total.endswith(": 2 would change, 0 would be refused, 2 would need nodes that nobody has seen")
    told = bayplan("explain", *about, sample("gpu") / "examples" / "training.yaml").out
    assert "nobody has declared or seen a node with `stedy In" in " ".join(told.split())


def test_a_page_to_forward(bayplan: Bayplan) -> None:
    pods = sample("spot-first", "examples")
    ran = bayplan(*SPOT, "--pods", pods, "-o", "html")
    assert ran.out.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert ran.out.endswith("</html>")
    assert f"<dd>{pods}</dd>" in ran.out
    assert bayplan(*SPOT, "--pods", pods).status == ran.status


def test_what_would_not_be_served_is_not_audited(bayplan: Bayplan, tmp_path: Path) -> None:
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"))
    signed = bayplan(*SPOT, "--pods", pods, "--signature", "required", "--key", tmp_path)
    assert (signed.status, signed.out) == (2, "")
    assert "the step `signature` failed" in signed.err
    other = bayplan(*SPOT, "--pods", pods, "--bundle-name", "gpu", "--signature", "optional")
    assert (other.status, other.out) == (2, "")
    assert "`gpu`" in other.err
    none = bayplan(*SPOT, "--pods", pods, "--params", tmp_path / "none.yaml")
    assert none.err == f"bayplan: --params `{tmp_path / 'none.yaml'}` is no file\n"


def test_constants_of_a_cluster_take_the_place_of_the_bundles(bayplan: Bayplan, tmp_path: Path) -> None:
    pods = listing(tmp_path, running("resize-1", {"interruptible": "true", "app": "resize"}, "resize"))
    (own,) = bayplan(*SPOT, "--pods", pods, "-o", "json").json["items"]
    (here,) = bayplan(*SPOT, "--pods", pods, "-o", "json", "--param", "spotTaints=[]").json["items"]
    assert "+params:" in here["revision"]
    assert "+params:" not in own["revision"]
    assert any(one["path"].startswith("/spec/tolerations") for one in own["patch"])
    assert not any(one["path"].startswith("/spec/tolerations") for one in here["patch"])
