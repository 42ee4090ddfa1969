"""cli.explain: what `bayplan explain` tells of a pod."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml

from .conftest import POLICIES, Bayplan, explain_sample, sample

SECRET = "correct-horse-battery-staple"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "train", "namespace": "ml"},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "train",
                "env": [{"name": "TOKEN", "value": SECRET}],
                "resources": {"limits": {"nvidia.com/gpu": 8}},
            }
        ]
    },
}
AUDIT = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: x}\nspec: {version: 1.0.0, mode: audit}\n"
GPU = ("explain", "--bundle", sample("gpu"), "--pools", sample("gpu", "pools", "gke.yaml"))


def test_reads_like_a_person_explaining(bayplan: Bayplan) -> None:
    ran = bayplan(*explain_sample("scheduling-classes", "fleet.yaml", "feature-store.yaml"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Deployment recommendations/feature-store may run in memory and memory-md (2 of 7 pools)")
    assert "pools after   memory, memory-md\n" in ran.out
    assert "scheduling-class  applied  a class runs on its own pools\n" in ran.out
    assert "not about this pod: classless, instance-diverse, io-heavy\n" in ran.out
    assert "\n  +    - {key: scheduling-class, operator: Equal, value: high-memory, effect: NoSchedule}\n" in ran.out
    assert "the patch, 6 operations (RFC 6902)" in ran.out


def test_a_refusal_says_who_and_why(bayplan: Bayplan) -> None:
    ran = bayplan(*explain_sample("scheduling-classes", "fleet.yaml", "more.yaml"))
    assert ran.status == 0
    *_, refused = ran.out.split("\n\nPod ")
    assert refused.startswith("shop/typo\nPolicy scheduling-class: there is no such scheduling class\n")
    assert "the pod is not created" in refused


def test_json_is_one_list_in_input_order(bayplan: Bayplan) -> None:
    decisions = bayplan(*explain_sample("scheduling-classes", "fleet.yaml", "more.yaml"), "-o", "json").json
    assert [decision["pod"]["name"] for decision in decisions] == ["events", "thumbnails", "storefront", "typo"]
    assert [decision["allowed"] for decision in decisions] == [True, True, True, False]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "events"}
    assert decisions[0]["pod"] == {"namespace": "streaming", "name": "events", "owner": owner}
    assert decisions[3]["pod"]["owner"] is None
    keys = {"pod", "revision", "mode", "allowed", "message", "policies", "pools", "placement", "patch", "warnings"}
    assert all(keys <= decision.keys() for decision in decisions)


def test_the_patch_makes_the_pod_that_is_shown(bayplan: Bayplan) -> None:
    ran = bayplan(*GPU, "-", "-o", "json", "--show-pod", stdin=json.dumps(POD))
    (decision,) = ran.json
    unplaced: dict[str, Any] = copy.deepcopy(decision["patched"])
    del unplaced["spec"]["affinity"]
    unplaced["spec"]["tolerations"].pop()
    assert jsonpatch.apply_patch(unplaced, decision["patch"]) == decision["patched"]


def test_what_containers_hold_is_not_printed(bayplan: Bayplan) -> None:
    ran = bayplan(*GPU, "-", stdin=json.dumps(POD))
    assert "may run in a100-8" in ran.out
    assert SECRET not in ran.out + ran.err
    assert SECRET not in bayplan(*GPU, "-", "-o", "json", stdin=json.dumps(POD)).out
    assert SECRET in bayplan(*GPU, "-", "--show-pod", stdin=json.dumps(POD)).out


def test_files_folders_lists_and_standard_input(bayplan: Bayplan, tmp_path: Path) -> None:
    def named(name: str) -> dict[str, Any]:
        return {**POD, "metadata": {"name": name, "namespace": "ml"}}

    listed = {"apiVersion": "v1", "kind": "List", "items": [named("in-list"), named("second")]}
    (tmp_path / "b.json").write_text(json.dumps(listed))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([named("first"), {"kind": "ConfigMap"}]))
    (tmp_path / "notes.txt").write_text("not read")
    ran = bayplan(*GPU, "-", tmp_path, "-o", "json", stdin=yaml.safe_dump(named("typed")))
    assert [decision["pod"]["name"] for decision in ran.json] == ["typed", "first", "in-list", "second"]


def test_namespaces_are_matched_by_name(bayplan: Bayplan) -> None:
    where = sample("tenant-isolation")
    words = ("explain", "--bundle", where, "--pools", where / "pools" / "pools.yaml", where / "examples" / "pods.yaml")
    blind = bayplan(*words, "-o", "json").json
    seeing = bayplan(*words, "--namespace", where / "examples" / "namespaces.yaml", "-o", "json").json
    assert [decision["pools"]["after"] for decision in blind] == [["shared"], ["shared"]]
    assert [decision["pools"]["after"] for decision in seeing] == [["acme"], ["shared"]]


def test_what_expressions_see_of_the_cluster(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    expression = 'cluster.name == "prod" && cluster.labels["tier"] == "gold"'
    folder = bundle({"not-here": f"deny: [{{expression: {json.dumps(expression)}, message: not in prod}}]"})
    words = ("explain", "--bundle", folder, "-", "-o", "json", "--cluster-label", "tier=gold")
    assert bayplan(*words, "--cluster-name", "dev", stdin=json.dumps(POD)).json[0]["allowed"]
    assert not bayplan(*words, "--cluster-name", "prod", stdin=json.dumps(POD)).json[0]["allowed"]
    assert "is not KEY=VALUE" in bayplan(*words, "--cluster-label", "tier", stdin=json.dumps(POD)).err


def test_in_audit_mode_a_refusal_is_what_would_be(bayplan: Bayplan, bundle: Callable[..., Path]) -> None:
    folder = bundle({"no": 'deny: [{expression: "true", message: never}]'}, {"bundle.yaml": AUDIT})
    out = bayplan("explain", "--bundle", folder, "-", stdin=json.dumps(POD)).out
    assert "mode audit: nothing of this is done" in out
    assert "enforced, the pod would not be created" in out


def test_without_pools_one_is_told(bayplan: Bayplan) -> None:
    ran = bayplan("explain", "--bundle", sample("gpu"), "-", stdin=json.dumps(POD))
    assert ran.status == 0
    assert "no pools are known" in ran.err
    assert "not created" in ran.out


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("require: [{expression: node.zone == 'a'}]", False),
        ("deny: [{expression: has(pod.spec.nodeName)}]", False),
        ("prefer: [{expression: node.zone == 'a', score: 'has(node.zone) ? 1 : 2'}]", False),
        ("require: [{expression: pool.gpus > 0}]", True),
        ("require: [{expression: node.capacityType == 'spot'}]", True),
        ("prefer: [{expression: 'true', score: pool.weight}]", True),
        ("tolerate: [{expression: taint.key == 'k'}]", True),
    ],
)
def test_without_pools_one_is_told_only_where_it_matters(
    bayplan: Bayplan, bundle: Callable[..., Path], spec: str, told: bool
) -> None:
    ran = bayplan("explain", "--bundle", bundle({"one": spec}), "-", stdin=json.dumps(POD))
    assert ran.status == 0
    assert ("no pools are known" in ran.err) is told


@pytest.mark.parametrize(
    ("stdin", "complaint"),
    [
        ("", "no pod and no workload in -"),
        ("kind: ConfigMap", "no pod and no workload"),
        ("kind: Pod", "standard input: spec.containers: a pod needs a container"),
        ("kind: Pod\nspec: {containers: [{name: x}], tolerations: {}}", "spec.tolerations: this must be a list"),
        ("- a\n- b", "standard input"),
        ("a: [", "standard input:1:"),
        ("a:\n\tb: 1", "standard input:2:1"),
    ],
)
def test_input_of_no_use(bayplan: Bayplan, stdin: str, complaint: str) -> None:
    ran = bayplan(*GPU, "-", stdin=stdin)
    assert ran.status == 2
    assert complaint in ran.err
    assert "Traceback" not in ran.err


def test_a_line_that_can_not_be_read_is_not_shown(bayplan: Bayplan) -> None:
    """It may be one of the pod's environment."""
    ran = bayplan(*GPU, "-", stdin=f"kind: Pod\nspec:\n  containers:\n  - env:\n    - value: {SECRET}: x\n")
    assert ran.status == 2
    assert ran.err.startswith("bayplan: standard input:5:")
    assert SECRET not in ran.out + ran.err


def test_only_namespaces_are_taken_from_files_of_namespaces(bayplan: Bayplan, tmp_path: Path) -> None:
    tenants, mixed, none = sample("tenant-isolation"), tmp_path / "mixed.yaml", tmp_path / "none.yaml"
    labelled = {"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "ml"}}]}
    mixed.write_text(f"{json.dumps(POD)}\n---\n{json.dumps(labelled)}\n")
    none.write_text(json.dumps(POD))
    words = ("explain", "--bundle", tenants, "--pools", tenants / "pools", "-", "-o", "json", "--namespace")
    assert len(bayplan(*words, mixed, stdin=json.dumps(POD)).json) == 1
    ran = bayplan(*words, none, stdin=json.dumps(POD))
    assert (ran.status, ran.err) == (2, f"bayplan: no Namespace in {none}\n")


def test_the_namespace_of_bayplan_is_left_alone(bayplan: Bayplan) -> None:
    inside = {**POD, "metadata": {"name": "train", "namespace": "bayplan"}}
    (decision,) = bayplan(*GPU, "-", "-o", "json", stdin=json.dumps(inside)).json
    assert decision["patch"] == []
    assert decision["message"] == "pods in namespace bayplan are left alone"


def test_files_that_are_not_there(bayplan: Bayplan, tmp_path: Path) -> None:
    assert bayplan(*GPU, tmp_path / "no.yaml").err == f"bayplan: {tmp_path}/no.yaml: no such file or folder\n"
    assert "no such folder" in bayplan("explain", "--bundle", tmp_path / "no", "-").err


EXAMPLES = [path for path in sorted(POLICIES.glob("*/examples/*.yaml")) if path.stem != "namespaces"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_samples_examples_are_explained(bayplan: Bayplan, example: Path) -> None:
    folder = example.parents[1]
    for pools in sorted((folder / "pools").iterdir()):
        ran = bayplan("explain", "--bundle", folder, "--pools", pools, example)
        assert (ran.status, ran.err) == (0, "")


def test_nodes_of_no_pool_are_told_of_with_what_would_help(bayplan: Bayplan) -> None:
    case = Path(__file__).parents[1] / "cases" / "bare-metal-gpu"
    ran = bayplan("explain", "--bundle", case / "bundle", "--pools", case / "pools.yaml", case / "pods.yaml")
    assert ran.err.endswith("holds of none: no node that is known belongs to one: see --pool-label\n")
    assert "reserved-for-ai tolerates taints" in ran.out


def test_of_a_daemon_set_it_says_what_hands_on_makes_of_it(bayplan: Bayplan, tmp_path: Path) -> None:
    bundle, agents = tmp_path / "bundle", tmp_path / "agents.yaml"
    shutil.copytree(sample("tenant-isolation"), bundle)
    template: Any = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
    whole = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "x"}, "spec": spec}
    agents.write_text(yaml.safe_dump(whole))
    arguments = ("--bundle", bundle, "--pools", bundle / "pools")
    assert "Pods of DaemonSets are left alone" in bayplan("explain", *arguments, agents).out

    header = yaml.safe_load((bundle / "bundle.yaml").read_text())
    header["spec"]["handsOn"] = {"daemonSets": "template"}
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(header))
    said = bayplan("explain", *arguments, agents).out
    assert said.startswith("DaemonSet x/a may run in shared (1 of 3 pools)")
    assert "+++ the template as placed" in said
    assert "path: /spec/template/spec/affinity" in said
    audited = bayplan("audit", *arguments, "--pods", agents)
    assert "gets affinity, pools 3 → 1" in audited.out
    template["spec"]["nodeName"] = "node-7"
    agents.write_text(yaml.safe_dump(whole))
    assert "the DaemonSet is not created" in bayplan("explain", *arguments, agents).out


def test_a_shells_pipe_is_read_and_another_is_not_waited_for(bayplan: Bayplan, tmp_path: Path) -> None:
    """`--pools <(kubectl get nodes -o yaml)` is a pipe that the shell has opened; who else writes is not known."""
    pool = {"name": "a", "selector": {"pool": "a"}}
    text = json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [pool]})
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    ran = bayplan("pools", "--pools", f"/dev/fd/{reading}", "-o", "json")
    os.close(reading)
    assert [one["name"] for one in ran.json] == ["a"]
    os.mkfifo(tmp_path / "pipe.yaml")
    for words in (
        ["pools", "--pools", tmp_path / "pipe.yaml"],
        ["pools", "--pools", tmp_path],
        ["explain", "--bundle", POLICIES / "gpu", tmp_path / "pipe.yaml"],
        ["explain", "--bundle", POLICIES / "gpu", "--namespace", tmp_path, "-"],
        ["audit", "--bundle", POLICIES / "gpu", "--pods", tmp_path],
    ):
        ran = bayplan(*words)
        assert ran.status == 2
        assert f"{tmp_path}/pipe.yaml:1:1" in ran.err
        assert "the file can't be read: it is a named pipe, not a file" in ran.err


def test_standard_input_that_is_no_text(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin="a: \udcff")
    assert "standard input:1:4: error: the byte 0xff is not UTF-8" in ran.err
    assert ran.status == 2


def test_several_bundles_decide_together(bayplan: Bayplan) -> None:
    pods = sample("gpu", "examples", "training.yaml")
    both = ("--bundle", sample("gpu"), "--bundle", sample("spot-first"))
    ran = bayplan("explain", *both, "--pools", sample("gpu", "pools"), pods, "-o", "json", "-v")
    assert ran.status == 0
    decision = ran.json[0]
    assert [one.partition("@")[0] for one in decision["revision"].split(", ")] == ["gpu", "spot-first"]
    of = {one["name"]: one["revision"].partition("@")[0] for one in decision["policies"]}
    assert (of["gpu-nodes"], of["never-spot"]) == ("gpu", "spot-first")
    assert "gpu-nodes" in {reason["policy"] for reason in decision["whyNot"].values() if reason}
    twice = bayplan("explain", "--bundle", sample("gpu"), "--bundle", sample("gpu"), pods)
    assert twice.status == 2
    assert "can't decide together: both have a policy `" in twice.err
    audited = bayplan("audit", *both, "--pools", sample("gpu", "pools"), "--pods", pods)
    assert audited.status == 1
