"""Custom resources that come and go, and that may not be read, while the webhook runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .controlplane import ControlPlane, Json, wait_for
from .fleet import add_general
from .pods import pod
from .serving import BAYPLAN, admission
from .test_inventory import FRESH_SECONDS

SEEN_SECONDS = 6.0
"""Within which a kind of resources that appears or vanishes must be noticed."""
POOLS = "/apis/karpenter.sh/v1/nodepools"
DEPLOYMENTS = "/apis/cluster.x-k8s.io/v1beta2/namespaces/default/machinedeployments"
TRAINEE = pod("trainee", labels={"workload": "training"})


def definition(group: str, kind: str, scope: str, version: str) -> Json:
    """The definition of a custom resource of any shape."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/1111"},
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


NODE_POOLS = definition("karpenter.sh", "NodePool", "Cluster", "v1")
MACHINE_DEPLOYMENTS = definition("cluster.x-k8s.io", "MachineDeployment", "Namespaced", "v1beta2")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def node_pool(name: str, spec: Json) -> Json:
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


def template(labels: dict[str, str]) -> Json:
    return {"template": {"metadata": {"labels": labels}, "spec": {"requirements": []}}}


def create(cluster: ControlPlane, path: str, thing: Json) -> None:
    """Create an object of a kind that the API server may only just have come to know."""
    wait_for(lambda: cluster.request("POST", path, thing).is_success, f"{path} to take an object")


@pytest.fixture
def defined(cluster: ControlPlane) -> Iterator[None]:
    """Take away what a test defined."""
    yield
    for each in (NODE_POOLS, MACHINE_DEPLOYMENTS):
        cluster.request("DELETE", f"{DEFINITIONS}/{each['metadata']['name']}")


@pytest.mark.usefixtures("defined")
def test_pools_come_and_go_with_their_definitions(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")

    def selected() -> str:
        """What a pod that trains is made to ask for, empty where it is refused."""
        answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", TRAINEE, dryRun="All")
        return json.dumps(answer.json()["spec"].get("affinity")) if answer.is_success else ""

    with admission(cluster, namespace) as serving:
        assert not selected()
        cluster.apply(NODE_POOLS)
        create(cluster, POOLS, node_pool("gpu-k", template({"accelerator": "nvidia-a100"})))
        create(cluster, POOLS, node_pool("odd", {"template": {"spec": {"requirements": 7}}}))
        wait_for(lambda: '"gpu-k"' in selected(), "the NodePool to be seen", serving.tail, seconds=SEEN_SECONDS)
        create(cluster, POOLS, node_pool("gpu-l", template({"accelerator": "nvidia-a100"})))
        wait_for(lambda: '"gpu-l"' in selected(), "another one", serving.tail, seconds=FRESH_SECONDS)
        patch = {"spec": {"template": {"metadata": {"labels": {"accelerator": "other"}}}}}
        merge = "application/merge-patch+json"
        cluster.api("PATCH", f"{POOLS}/gpu-l", patch, content_type=merge)
        wait_for(lambda: '"gpu-l"' not in selected(), "its label to change", serving.tail, seconds=FRESH_SECONDS)
        assert '"gpu-k"' in selected()
        cluster.apply(MACHINE_DEPLOYMENTS)
        labels = {"accelerator": "nvidia-a100", "node.cluster.x-k8s.io/pool": "gpu-m"}
        told = {"capacity.cluster-autoscaler.kubernetes.io/labels": "accelerator=nvidia-a100"}
        about = {"name": "gpu-m", "namespace": "default", "annotations": told}
        md: Json = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment", "metadata": about}
        create(cluster, DEPLOYMENTS, {**md, "spec": {"clusterName": "c", **template(labels)}})
        wait_for(lambda: '"gpu-m"' in selected(), "the MachineDeployment", serving.tail, seconds=SEEN_SECONDS)
        for each in (NODE_POOLS, MACHINE_DEPLOYMENTS):
            cluster.api("DELETE", f"{DEFINITIONS}/{each['metadata']['name']}")
        wait_for(lambda: not selected(), "all of them to be gone", serving.tail, seconds=SEEN_SECONDS)
        cluster.apply(NODE_POOLS)
        create(cluster, POOLS, node_pool("gpu-n", template({"accelerator": "nvidia-a100"})))
        wait_for(lambda: '"gpu-n"' in selected(), "the definition to be back", serving.tail, seconds=SEEN_SECONDS)
        assert serving.tail().count("NodePool odd: ") <= 2


@pytest.mark.usefixtures("defined")
def test_what_may_not_be_read_is_told_and_no_failure(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    cluster.apply(NODE_POOLS)
    create(cluster, POOLS, node_pool("gpu", template({})))
    name = f"nodes-only-{namespace}"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    rules = [{"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": ["get", "list", "watch"]}]
    account = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [account]}
    cluster.apply({**rbac, "kind": "ClusterRole", "rules": rules}, binding)
    mine: Path = cluster.account_kubeconfig(namespace, "default")

    def listed() -> str:
        command: list[str | Path] = [BAYPLAN, "pools", "--kubeconfig", mine]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        return " ".join(ran.stdout.split()) if ran.returncode == 0 else ""

    said = wait_for(listed, "the role to be known")
    assert "general" in said.partition("Not read")[0]
    assert "nodepools can't be read:" in said
    assert "cannot list resource" in said
    cluster.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")
    cluster.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")
