"""cli.running: `bayplan explain` about a pod of a cluster by its name: then, now, and what is another thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bayplan, Ran
from .test_cluster import Lists, cluster
from .test_pools import node

NODES = [
    node("g1", {"cloud.google.com/gke-nodepool": "gold", "tier": "gold"}),
    node("t1", {"cloud.google.com/gke-nodepool": "tin", "tier": "tin"}),
]
GOLD = 'require: [{expression: \'pool.labels["tier"] == "gold"\', message: gold only}]'
TIN = GOLD.replace("gold", "tin")
PODS, SETS = "/api/v1/namespaces/shop/pods", "/apis/apps/v1/namespaces/shop/replicasets"
CONTAINERS = [{"name": "main", "image": "x", "env": [{"name": "TOKEN", "value": "hunter2-the-secret"}]}]
TERM = {"matchExpressions": [{"key": "cloud.google.com/gke-nodepool", "operator": "In", "values": ["gold"]}]}
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}}
MAKER = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web-5d9c", "namespace": "shop"},
    "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}}},
}
WAITS = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}


def pod(
    name: str = "web-5d9c-x", annotations: dict[str, str] | None = None, *, owned: bool = True, bound: bool = True
) -> dict[str, Any]:
    """A pod that a policy placed in the pool gold."""
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "controller": True, "uid": "1"}
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "annotations": annotations or {}}
    if owned:
        metadata |= {"ownerReferences": [reference], "labels": {"app": "web", "pod-template-hash": "5d9c"}}
    spec = {"containers": CONTAINERS, "affinity": AFFINITY, **({"nodeName": "g1"} if bound else {})}
    status: dict[str, Any] = {"phase": "Running"} if bound else {"phase": "Pending", "conditions": [WAITS]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


@pytest.fixture
def ask(bayplan: Bayplan, bundle: Callable[..., Path], tmp_path: Path) -> Callable[..., Ran]:
    """`ask(pods, policies, *words)`: explain the first of these pods by its name."""

    def asked(pods: list[dict[str, Any]], policies: dict[str, str], *words: object, **lists: Any) -> Ran:
        served: Lists = {"/api/v1/nodes": NODES, "/api/v1/namespaces": [], PODS: pods, SETS: [MAKER], **lists}
        name = pods[0]["metadata"]["name"] if pods else "web"
        with cluster(tmp_path, served) as path:
            where = ("-n", "shop", "--context", "here", "--kubeconfig", path)
            return bayplan("explain", *(words or (name,)), *where, "--bundle", bundle(policies))

    return asked


def head(ran: Ran) -> list[str]:
    """The lines before those of the decision itself, each in one, without indents."""
    assert ran.status == 0, ran.err
    return [" ".join(line.split()) for line in ran.out.partition("\n\n")[0].splitlines()]


def test_then_now_and_what_is_another_thing(ask: Callable[..., Ran]) -> None:
    marks = {"bayplan.dev/policies": "tier,zone", "bayplan.dev/revision": "trial@0.9.0+sha256:00000000"}
    ran = ask(
        [pod(annotations=marks)], {"tier": TIN, "more": "prefer: [{expression: 'node.zone == \"a\"', weight: 1}]"}
    )
    said = " ".join(head(ran))
    assert said.startswith("Pod shop/web-5d9c-x, of Deployment shop/web, runs on g1 of pool gold ")
    assert "then placed by tier and zone (trial@0.9.0+sha256:00000000) " in said
    assert "now would be placed by more and tier (trial@1.0.0+sha256:" in said
    assert "changed another revision; more now has a say; zone no longer has one; " in said
    assert "its placement would be another one; it would not be let to gold, where it runs " in said
    assert said.endswith("decided as the template of ReplicaSet web-5d9c says")
    assert "+++ the pod as it would be placed now" in ran.out
    assert "gold: tier requires" in ran.out
    assert "hunter2" not in ran.out + ran.err


def test_nothing_is_another_thing(ask: Callable[..., Ran]) -> None:
    first = ask([pod()], {"tier": GOLD}, "web-5d9c-x", "-o", "json").json[0]
    marks = {"bayplan.dev/policies": "tier", "bayplan.dev/revision": first["revision"]}
    placed = pod(annotations=marks)
    placed["spec"]["affinity"] = first["patch"][0]["value"]
    ran = ask([placed], {"tier": GOLD}, "pod/web-5d9c-x")
    assert "changed its placement would be the same" in head(ran)
    assert "as it would be placed now" not in ran.out


def test_a_pod_that_waits_says_why_in_the_schedulers_words(ask: Callable[..., Ran]) -> None:
    said = head(ask([pod(bound=False)], {"tier": GOLD}))
    assert said[0] == "Pod shop/web-5d9c-x, of Deployment shop/web, is Pending: 0/2 nodes are available"
    assert said[1] == "then nothing on it says who placed it"


def test_a_bare_pod_is_decided_as_it_is_or_as_kubectl_was_given_it(ask: Callable[..., Ran]) -> None:
    policies = {"tier": TIN}
    assert "would be refused" in " ".join(head(ask([pod("lone", owned=False)], policies)))
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"containers": CONTAINERS}})}
    said = " ".join(head(ask([pod("lone", applied, owned=False)], policies)))
    assert "would be placed by tier" in said
    assert said.endswith("decided as what `kubectl apply` was given says")
    odd = {"kubectl.kubernetes.io/last-applied-configuration": '{"spec": {"affinity": 7}}'}
    said = " ".join(head(ask([pod("lone", odd, owned=False)], policies)))
    assert said.endswith("decided as it is: what was written then is its own")


def test_makers_that_may_not_be_read_are_done_without(ask: Callable[..., Ran]) -> None:
    served: Any = {SETS: []}
    assert "decided as it is" in " ".join(head(ask([pod()], {"tier": GOLD}, **served)))


def test_as_json(ask: Callable[..., Ran]) -> None:
    marks = {"bayplan.dev/policies": "zone", "bayplan.dev/revision": "trial@0.9.0+sha256:00000000"}
    (decision,) = ask([pod(annotations=marks, bound=False)], {"tier": TIN}, "web-5d9c-x", "-o", "json").json
    assert decision["running"] == {
        "name": "web-5d9c-x",
        "phase": "Pending",
        "node": None,
        "pool": None,
        "unschedulable": "0/2 nodes are available",
        "askedForBy": "the template of ReplicaSet web-5d9c",
        "then": {"revision": "trial@0.9.0+sha256:00000000", "policies": ["zone"]},
        "changed": {"revision": True, "policies": {"more": ["tier"], "fewer": ["zone"]}, "placement": True},
    }
    assert list(decision["whyNot"]) == ["gold"]


def test_what_is_no_pod_is_said_with_what_to_do(
    ask: Callable[..., Ran], bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pod.yaml").write_text(json.dumps(pod()))
    policies = {"tier": GOLD}
    assert ask([pod()], policies, "gone").err == "bayplan: there is no pod `gone` in the namespace `shop`\n"
    file = ask([pod()], policies, "pod.yaml")
    assert file.err.endswith("`pod.yaml` in the namespace `shop`; pod.yaml is a file: leave -n out to explain it\n")
    assert "no pod `../../secrets/x` in" in ask([pod()], policies, "../../secrets/x").err
    words = ("explain", "--bundle", tmp_path / "bundle")
    nowhere = bayplan(*words, "web-5d9c-x", "--context", "here")
    assert nowhere.status == 2
    assert "web-5d9c-x: no such file or folder; for a pod of a cluster say its namespace: " in nowhere.err
    assert "bayplan explain web-5d9c-x -n NAMESPACE --context NAME" in nowhere.err
    assert "say which one with --context NAME" in bayplan(*words, "web-5d9c-x", "-n", "shop").err
    assert bayplan(*words, "manifests/gone.yaml").err.endswith("manifests/gone.yaml: no such file or folder\n")
