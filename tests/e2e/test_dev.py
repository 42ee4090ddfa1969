"""`bayplan serve --dev` prints a webhook configuration that works as it is."""

from __future__ import annotations

import pytest

from .controlplane import CONTEXT, ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import daemon_set, deployment, pod
from .serving import BUNDLE, running

NAME = "bayplan-dev"
WEBHOOK = "mutate.bayplan.dev"
TRAINING = {"workload": "training"}
KUBELET = {"username": "system:node:general-1", "groups": ["system:nodes"]}


@pytest.fixture(autouse=True)
def kubeconfig(cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found as kubectl finds it."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def test_configuration_that_is_printed_can_be_applied(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    with running(cluster, ["serve", "--bundle", BUNDLE, "--context", CONTEXT, "--dev"]) as serving:
        applied = cluster.kubectl("apply", "-f", "-", stdin=serving.output())
        assert applied.stdout == f"mutatingwebhookconfiguration.admissionregistration.k8s.io/{NAME} created\n"
        assert applied.stderr == ""
        cluster.wait_called(NAME, namespace)
        cluster.apply(deployment("train", namespace, labels=TRAINING))
        assert set(cluster.wait_all_bound(namespace, "app=train", 1).values()) == {"gpu-1"}


def test_what_is_left_alone_is_not_even_sent(cluster: ControlPlane, namespace: str) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.grant(namespace, "edit", "system:nodes")
    mirror = pod("mirror", labels=TRAINING, spec={"nodeName": "general-1", "automountServiceAccountToken": False})
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    strictly = ("--dev", "--failure-policy", "Fail")
    with running(cluster, ["serve", "--bundle", BUNDLE, "--context", CONTEXT, *strictly]) as serving:
        cluster.kubectl("apply", "-f", "-", stdin=serving.output())
        cluster.wait_called(NAME, namespace)
        cluster.create_pod(namespace, pod("trainee", labels=TRAINING))
        cluster.create_pod(namespace, mirror, user=KUBELET)
        cluster.apply(daemon_set("agents", namespace, labels=TRAINING))
        assert set(cluster.wait_all_bound(namespace, "app=agents", 1).values()) == {"general-1"}
    sent = [event for event in cluster.audit_events(namespace) if any(WEBHOOK in key for key in event["annotations"])]
    assert [event["requestObject"]["metadata"].get("name") for event in sent] == ["trainee"]


def test_namespaces_can_be_named_and_the_configuration_kept_in_a_file(cluster: ControlPlane, namespace: str) -> None:
    add_gpu(cluster, "gpu-1")
    file = cluster.folder / f"{namespace}.yaml"
    restricted = ("--dev-config", file, "--dev-namespace", namespace)
    with running(cluster, ["serve", "--bundle", BUNDLE, "--context", CONTEXT, "--dev", *restricted]) as serving:
        assert serving.output() == ""
        cluster.kubectl("apply", "-f", file)
        cluster.wait_called(NAME, namespace)
        assert "affinity" in cluster.create_pod(namespace, pod("inside", labels=TRAINING))["spec"]
        assert "affinity" not in cluster.create_pod("default", pod("outside", labels=TRAINING), dry_run=True)["spec"]
        wait_for(lambda: serving.decisions(namespace, "inside"), "the decision to be logged", serving.output)
    assert "kind: MutatingWebhookConfiguration" not in serving.output()
