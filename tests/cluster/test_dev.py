"""`bayplan serve --dev` prints a webhook configuration that works as it is."""

from __future__ import annotations

import pytest

from .controlplane import CONTEXT, ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import deployment, pod
from .serving import BUNDLE, running

NAME = "bayplan-dev"
TRAINING = {"workload": "training"}


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
    assert "apiVersion" not in serving.output()
