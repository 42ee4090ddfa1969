"""Webhooks are asked and told through the API server: each running pod of a Deployment, and no other.

The pods have no kubelet. Each is an object whose address is one of this machine, where its webhook runs as a process.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.delivery import bundles
from tests.webhook.test_process import Serve, serving

from .controlplane import ControlPlane, wait_for
from .pods import Json, pod

BAYPLAN = Path(sys.executable).with_name("bayplan")


def own_address() -> str:
    """An address of this machine that is no loopback, for the API server connects to no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


def bayplan(cluster: ControlPlane, folder: Path, namespace: str, port: str, *words: str) -> tuple[int, Json, str]:
    """Exit status, answer and complaints of a command."""
    where = ("-n", namespace, "--deployment", "webhook", "--kubeconfig", cluster.kubeconfig, "--port", port)
    command: list[str | Path] = [BAYPLAN, *words, *where, "--token-file", folder / "token", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr


def deploy(cluster: ControlPlane, namespace: str, address: str) -> None:
    """A Deployment, a pod of it that runs, one that does not yet, and one of somebody else."""
    labels = {"app": "webhook"}
    template = {"metadata": {"labels": labels}, "spec": pod("a")["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    cluster.api(
        "POST",
        f"/apis/apps/v1/namespaces/{namespace}/deployments",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "webhook"}, "spec": spec},
    )
    for name, own in (("webhook-1", labels), ("webhook-2", labels), ("other", {"app": "other"})):
        cluster.create_pod(namespace, pod(name, labels=own))
    for name in ("webhook-1", "other"):
        status = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
        cluster.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "-p", json.dumps(status))


def test_all_pods_of_a_deployment_are_asked_and_told(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    address = own_address()
    bundle = bundles.write(tmp_path / "bundle")
    arguments = ("--bundle", bundle, "--pools", bundles.write_pools(tmp_path), "--health", f"{address}:0")
    with serving(tmp_path, *arguments) as serve:
        port = serve.plain.rpartition(":")[2]
        deploy(cluster, namespace, address)
        status, told, wrong = bayplan(cluster, tmp_path, namespace, port, "status")
        assert (status, wrong) == (0, ""), wrong
        assert [(one["replica"], one["bundles"][0]["version"]) for one in told] == [("webhook-1", "1.0.0")]
        bundles.write(bundle, "1.1.0")
        wait_for(lambda: "small@1.1.0" in serve.output(), "the next version", serve.output)
        status, told, _ = bayplan(cluster, tmp_path, namespace, port, "rollback")
        assert (status, told[0]["bundles"][0]["version"]) == (0, "1.0.0")
        (tmp_path / "token").write_text("another")
        _wrong_token(cluster, serve, namespace, port, tmp_path)


def _wrong_token(cluster: ControlPlane, serve: Serve, namespace: str, port: str, folder: Path) -> None:
    """`serve` reads the file again, so a copy is shown that is another one."""
    shutil.copy(folder / "token", folder / "shown")
    (folder / "token").write_text("let-me-read\n")
    where = ("-n", namespace, "--deployment", "webhook", "--kubeconfig", cluster.kubeconfig, "--port", port)
    command: list[str | Path] = [BAYPLAN, "resume", *where, "--token-file", folder / "shown"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "webhook-1: it does not know the token" in done.stdout
    assert "is followed again" not in serve.output()


def test_a_deployment_that_is_not_there_is_told(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    status, _, wrong = bayplan(cluster, tmp_path, namespace, "8080", "status")
    assert status == 2
    assert f"there is no Deployment `webhook` in the namespace `{namespace}`" in wrong
