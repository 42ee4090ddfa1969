"""The harness itself: that pods are really scheduled, and that a webhook is really called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .controlplane import ApiError, ControlPlane, Json
from .hooks import serving
from .pods import deployment, pod
from .processes import free_ports


def test_scheduler_binds_to_the_node_that_the_selector_asks_for(cluster: ControlPlane, namespace: str) -> None:
    for name in ("red", "green", "blue"):
        cluster.add_node(name, {"colour": name})
    cluster.create_pod(namespace, pod("painted", spec={"nodeSelector": {"colour": "green"}}))
    assert cluster.wait_bound(namespace, "painted") == "green"


def test_taints_keep_pods_away(cluster: ControlPlane, namespace: str) -> None:
    cluster.add_node("tainted", taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}])
    cluster.create_pod(namespace, pod("plain"))
    assert "untolerated taint" in cluster.wait_unschedulable(namespace, "plain")


def test_controllers_make_pods_of_workloads(cluster: ControlPlane, namespace: str) -> None:
    cluster.add_node("only")
    cluster.apply(deployment("web", namespace, replicas=3))
    bound = cluster.wait_all_bound(namespace, "app=web", 3)
    assert set(bound.values()) == {"only"}


def test_refusals_are_raised_with_their_message(cluster: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match=r"422: .*spec.containers: Required value"):
        cluster.create_pod(namespace, {"metadata": {"name": "empty"}, "spec": {"containers": []}})


def test_a_test_starts_without_what_others_left(cluster: ControlPlane, namespace: str) -> None:
    cluster.add_node("left-behind")
    hook = cluster.webhook_configuration("left-behind", "https://127.0.0.1:1/")
    cluster.activate(hook, "default")
    cluster.sweep()
    assert cluster.api("GET", "/api/v1/nodes")["items"] == []
    cluster.create_pod("default", pod("unhindered"), dry_run=True)
    assert cluster.api("GET", f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Terminating"


@contextmanager
def painter(cluster: ControlPlane, port: int, name: str = "127.0.0.1") -> Iterator[None]:
    """A webhook that selects the green nodes for every pod."""
    patch = [{"op": "add", "path": "/spec/nodeSelector", "value": {"colour": "green"}}]
    said: dict[str, Json] = {"warnings": ["painted green"], "auditAnnotations": {"colour": "green"}}
    with serving(cluster, port, lambda _: patch, host=name, **said):
        yield


def test_webhook_is_called_and_audited(cluster: ControlPlane, namespace: str) -> None:
    cluster.add_node("red", {"colour": "red"})
    cluster.add_node("green", {"colour": "green"})
    (port,) = free_ports(1)
    hook = cluster.webhook_configuration("painter", f"https://127.0.0.1:{port}/mutate", namespaces=[namespace])
    with painter(cluster, port):
        cluster.activate(hook, namespace)
        created = cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod("plain"))
        assert "Warning: painted green" in created.stderr
        assert cluster.wait_bound(namespace, "plain") == "green"
    (event,) = cluster.audit_events(namespace)
    assert event["annotations"]["painter.tests.bayplan.dev/colour"] == "green"
    assert cluster.admission_patches(namespace) == [
        [{"op": "add", "path": "/spec/nodeSelector", "value": {"colour": "green"}}]
    ]


def test_webhook_behind_a_service_is_called_on_this_machine(cluster: ControlPlane, namespace: str) -> None:
    """What a chart installs is a reference to a Service, whose pods nothing runs here."""
    (port,) = free_ports(1)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "painter", "namespace": namespace}}
    cluster.apply({**service, "spec": {"selector": {"app": "painter"}, "ports": [{"port": port}]}})
    cluster.redirect_service(namespace, "painter")
    hook = cluster.webhook_configuration("behind-a-service", "", namespaces=[namespace])
    reference = {"namespace": namespace, "name": "painter", "port": port, "path": "/mutate"}
    hook["webhooks"][0]["clientConfig"] = {
        "caBundle": hook["webhooks"][0]["clientConfig"]["caBundle"],
        "service": reference,
    }
    with painter(cluster, port, f"painter.{namespace}.svc"):
        cluster.activate(hook, namespace)
        created = cluster.create_pod(namespace, pod("plain"))
    assert created["spec"]["nodeSelector"] == {"colour": "green"}


def test_webhook_that_is_not_there_fails_as_its_policy_says(cluster: ControlPlane, namespace: str) -> None:
    (port,) = free_ports(1)
    url = f"https://127.0.0.1:{port}/mutate"
    closed = cluster.webhook_configuration("closed", url, namespaces=[namespace], failure_policy="Fail")
    cluster.activate(closed, namespace)
    with pytest.raises(ApiError, match='failed calling webhook "closed'):
        cluster.create_pod(namespace, pod("refused"))
    cluster.add_namespace("lenient")
    open_ = cluster.webhook_configuration("open", url, namespaces=["lenient"], failure_policy="Ignore")
    cluster.activate(open_, "lenient")
    cluster.create_pod("lenient", pod("admitted"))
    (event,) = cluster.audit_events("lenient")
    assert "open.tests.bayplan.dev" in event["annotations"].values()
