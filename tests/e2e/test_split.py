"""Splits: of each workload's pods this share here and that share there, with real controllers and scheduler."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from .controlplane import ControlPlane, Json, wait_for
from .fleet import add_general
from .hooks import serving
from .pods import IMAGE, deployment, pod_spec
from .processes import free_ports
from .serving import admission

SHARES = [
    {"share": 70, "expression": 'node.labels["disk"] == "ssd"'},
    {"share": 30, "expression": 'node.labels["disk"] == "hdd"'},
]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with one policy that splits."""
    head = {"apiVersion": "bayplan.dev/v1alpha1", "metadata": {"name": "split"}}
    (tmp_path / "policies").mkdir()
    policy = {**head, "kind": "PlacementPolicy", "spec": {"split": SHARES}}
    (tmp_path / "policies" / "split.yaml").write_text(yaml.safe_dump(policy))
    (tmp_path / "bundle.yaml").write_text(yaml.safe_dump({**head, "kind": "Bundle", "spec": {"version": "1.0.0"}}))
    return tmp_path


def workload(kind: str, name: str, namespace: str, **spec: Json) -> Json:
    """A workload whose pods carry `app: <name>`."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": pod_spec({"restartPolicy": "Never"} if kind == "Job" else None),
    }
    selector = {} if kind == "Job" else {"selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**selector, "template": template, **spec},
    }


def disks(cluster: ControlPlane, namespace: str, name: str, count: int) -> Counter[str]:
    """How many of an app's pods are bound to nodes with each disk."""
    bound = cluster.wait_all_bound(namespace, f"app={name}", count)
    return Counter(node.partition("-")[0] for node in bound.values())


def test_pods_are_where_their_share_is(cluster: ControlPlane, namespace: str, bundle: Path) -> None:
    """Exactly where pods have an index, on average elsewhere: of 40, fewer than 14 are one in a million."""
    for disk in ("ssd", "hdd"):
        add_general(cluster, f"{disk}-1", {"disk": disk})
    replicas = {"replicas": 10, "serviceName": "db", "podManagementPolicy": "Parallel"}
    indexed = {"completions": 10, "parallelism": 10, "completionMode": "Indexed"}
    with admission(cluster, namespace, bundle=bundle) as running:
        cluster.apply(
            workload("StatefulSet", "db", namespace, **replicas),
            workload("Job", "batch", namespace, **indexed),
            deployment("web", namespace, replicas=40),
        )
        assert disks(cluster, namespace, "db", 10) == {"ssd": 7, "hdd": 3}
        assert disks(cluster, namespace, "batch", 10) == {"ssd": 7, "hdd": 3}
        web = disks(cluster, namespace, "web", 40)
        told = Counter(
            decision["policies"][0]["share"]["percent"]
            for decision in running.decisions(namespace)
            if (decision["pod"]["owner"] or {}).get("name") == "web"
        )
    assert 14 <= web["ssd"] <= 40
    assert told == {70: web["ssd"], 30: web["hdd"]}


def test_a_pod_keeps_its_share_when_the_webhook_is_called_again(
    cluster: ControlPlane, namespace: str, bundle: Path
) -> None:
    """Each call has a uid of its own."""
    for disk in ("ssd", "hdd"):
        add_general(cluster, f"{disk}-1", {"disk": disk})

    def sidecar(given: Json) -> list[Json]:
        if any(container["name"] == "proxy" for container in given["spec"]["containers"]):
            return []
        return [{"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": IMAGE}}]

    (port,) = free_ports(1)
    with admission(cluster, namespace, bundle=bundle) as running, serving(cluster, port, sidecar):
        hook = cluster.webhook_configuration(f"mesh-{namespace}", f"https://127.0.0.1:{port}/", namespaces=[namespace])
        cluster.activate(hook, namespace)
        cluster.apply(deployment("web", namespace, replicas=20))
        web = disks(cluster, namespace, "web", 20)

        def counted() -> bool:
            return len(mine()) >= 20

        def mine() -> list[Json]:
            owned = (one for one in running.decisions(namespace) if (one["pod"]["owner"] or {}).get("name") == "web")
            return [one for one in owned if one["policies"][0]["outcome"] == "applied"]

        wait_for(counted, "the decisions")
        assert Counter(one["policies"][0]["share"]["percent"] for one in mine()) == {70: web["ssd"], 30: web["hdd"]}
        cluster.api("DELETE", f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/mesh-{namespace}")
    for pod in cluster.pods(namespace, "app=web"):
        assert len(pod["spec"]["containers"]) == 2
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = required["nodeSelectorTerms"]
        assert len(term["matchExpressions"]) == 1
