"""cli.audit: what `bayplan audit` tells of the pods that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    header, line, _, total = ran.out.splitlines()
    assert header.split() == ["OWNER", "PODS", "EFFECT", "POLICIES"]
    assert line.split("  ")[0] == "Deployment shop/resize"
    assert "  2  " in line
    assert "gets affinity, tolerations, spread constraints" in line
    assert line.endswith("spot-first")
    assert total == "3 pods of 2 workloads: 2 would change, 0 would be refused"


def test_nothing_to_tell(bayplan: Bayplan, tmp_path: Path) -> None:
    pods = listing(tmp_path, running("web-1", {"app": "web"}, "web"))
    ran = bayplan(*SPOT, "--pods", pods)
    assert (ran.status, ran.out) == (0, "1 pod of 1 workload: 0 would change, 0 would be refused\n")
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
    assert "would be refused" in ran.out
    assert ran.out.endswith("4 would change, 1 would be refused\n")


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
    _, line, _, total = bayplan(*audit).out.splitlines()
    assert line.split() == ["Deployment", "shop/web", "2", "would", "stay", "Pending"]
    assert total == "2 pods of 1 workload: 0 would change, 0 would be refused, 2 would stay Pending"
    told = [decision["pools"] for decision in bayplan(*audit, "-o", "json").json]
    assert [(one["wouldStayPending"], one["taints"]) for one in told] == [(True, {"gpu": ["gpu:NoSchedule"]})] * 2


def test_json_has_the_decisions_of_explain(bayplan: Bayplan) -> None:
    where = sample("gpu")
    common = ("--bundle", where, "--pools", where / "pools" / "gke.yaml")
    audited = bayplan("audit", *common, "--pods", where / "examples", "-o", "json")
    explained = bayplan("explain", *common, where / "examples", "-o", "json")
    assert audited.json == explained.json
    assert audited.status == 1


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
    *_, line, _, total = bayplan("audit", *about, "--pods", pods).out.splitlines()
    assert "gets affinity, needs a node that nobody has seen: `stedy In [true]`" in line
    assert total.endswith(": 2 would change, 0 would be refused, 2 would need nodes that nobody has seen")
    told = bayplan("explain", *about, sample("gpu") / "examples" / "training.yaml").out
    assert "nobody has declared or seen a node with `stedy In" in " ".join(told.split())
