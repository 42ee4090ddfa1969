"""What may be changed of a pod after it was decided, and who may put it on a node: docs/security.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.names import REQUIRED

from .controlplane import ApiError, ControlPlane, Json
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import admission

TRAINING = {"workload": "training"}
JANE = {"username": "jane", "groups": ["team"]}
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
GATED = {"schedulingGates": [{"name": "example.com/wait"}]}


@pytest.fixture
def admitting(cluster: ControlPlane, namespace: str) -> Iterator[ControlPlane]:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.grant(namespace, "edit", "team")
    with admission(cluster, namespace):
        yield cluster


def path_of(namespace: str, name: str, sub: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}{sub}"


def terms(made: Json) -> Json:
    return made["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]


def test_what_is_required_stays_required(admitting: ControlPlane, namespace: str) -> None:
    """Neither by changing a gated pod nor by a subresource."""
    made = admitting.create_pod(namespace, pod("gated", labels=TRAINING, spec=GATED), user=JANE)
    (term,) = terms(made)
    assert "nvidia-a100" in str(term)
    path = path_of(namespace, "gated")
    elsewhere = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}

    def with_terms(*wanted: Json) -> Json:
        return {"spec": {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(wanted)}}}}}

    for widened in (
        {"spec": {"affinity": None}},
        with_terms(elsewhere),
        with_terms(term, elsewhere),
        with_terms({**term, "matchExpressions": term["matchExpressions"][:1]}),
    ):
        said = admitting.request("PATCH", path, widened, content_type=MERGE, user=JANE)
        assert said.status_code == 422, (widened, said.text)
    tightened = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["gpu-1"]}
    narrower = with_terms({**term, "matchExpressions": [*term["matchExpressions"], tightened]})
    admitting.api("PATCH", path, narrower, content_type=MERGE, user=JANE)
    larger = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]}}
    admitting.request("PATCH", f"{path}/resize", larger, content_type=STRATEGIC, user=JANE)
    debugger = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.invalid/debug:1"}]}}
    admitting.request("PATCH", f"{path}/ephemeralcontainers", debugger, content_type=STRATEGIC, user=JANE)
    open_gates = [{"op": "remove", "path": "/spec/schedulingGates"}]
    admitting.api("PATCH", path, open_gates, content_type="application/json-patch+json", user=JANE)
    assert admitting.wait_bound(namespace, "gated") == "gpu-1"


def test_tolerations_can_be_added_and_lead_nowhere(admitting: ControlPlane, namespace: str) -> None:
    """A pod may tolerate everything afterwards: what it is required to have confines it all the same."""
    admitting.add_node("reserved", {"tenant": "blue"}, [{"key": "tenant", "value": "blue", "effect": "NoSchedule"}])
    admitting.create_pod(namespace, pod("hopeful", labels=TRAINING, spec=GATED), user=JANE)
    everything = [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]
    said = admitting.request(
        "PATCH", path_of(namespace, "hopeful"), everything, content_type="application/json-patch+json", user=JANE
    )
    assert {"operator": "Exists"} in said.json()["spec"]["tolerations"], said.text
    open_gates = [{"op": "remove", "path": "/spec/schedulingGates"}]
    admitting.api(
        "PATCH", path_of(namespace, "hopeful"), open_gates, content_type="application/json-patch+json", user=JANE
    )
    assert admitting.wait_bound(namespace, "hopeful") == "gpu-1"


def test_who_may_bind(admitting: ControlPlane, namespace: str) -> None:
    """Not who has the role `edit`. Who may, goes around affinity and taints: that is a scheduler's right."""
    spec = {"schedulerName": "nobodys"}
    for name in ("mine", "theirs"):
        admitting.create_pod(namespace, pod(name, labels=TRAINING, spec=spec), user=JANE)

    def bind(name: str, path: str, user: Json) -> Json:
        target = {"apiVersion": "v1", "kind": "Node", "name": "general-1"}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        return admitting.api("POST", path, body, user=user)

    for path in (path_of(namespace, "mine", "/binding"), f"/api/v1/namespaces/{namespace}/bindings"):
        with pytest.raises(ApiError, match="403"):
            bind("mine", path, JANE)
    may = ("create", "role", "scheduler", "--verb=create", "--resource=pods/binding", "-n", namespace)
    admitting.kubectl(*may)
    admitting.kubectl("create", "rolebinding", "s", "--role=scheduler", "--user=their-scheduler", "-n", namespace)
    bind("theirs", path_of(namespace, "theirs", "/binding"), {"username": "their-scheduler"})
    assert admitting.wait_bound(namespace, "theirs") == "general-1"
    assert not admitting.pod(namespace, "mine")["spec"].get("nodeName")
