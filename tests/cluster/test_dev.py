"""`bayplan serve --dev`: apply the configuration that it prints, and the API server calls it."""

from __future__ import annotations

from pathlib import Path

import httpx

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import daemon_set, pod
from .processes import Process, free_ports
from .serving import BAYPLAN, BUNDLE

TRAINING = {"workload": "training"}


def test_the_printed_configuration_works(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    port, plain = free_ports(2)
    printed = tmp_path / "webhook.yaml"
    command: list[str | Path] = [BAYPLAN, "serve", "--bundle", BUNDLE, "--kubeconfig", cluster.kubeconfig]
    command += ["--dev", "--dev-config", printed, "--failure-policy", "Fail"]
    command += ["--listen", f"127.0.0.1:{port}", "--health", f"127.0.0.1:{plain}"]
    process = Process(command, tmp_path / "log")
    try:
        wait_for(lambda: _ready(plain), "the webhook", process.output)
        cluster.kubectl("apply", "-f", printed)
        cluster.wait_called("bayplan", namespace)
        created = cluster.create_pod(namespace, pod("trainee", labels=TRAINING))
        assert "affinity" in created["spec"]
        mirror = pod("mirror", labels=TRAINING, spec={"nodeName": "general-1"})
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        cluster.create_pod(namespace, mirror)
        cluster.apply(daemon_set("agents", namespace, labels=TRAINING))
        assert set(cluster.wait_all_bound(namespace, "app=agents", 1).values()) == {"general-1"}
    finally:
        process.kill()
    called = [
        event["requestObject"]["metadata"].get("name", "generated")
        for event in cluster.audit_events(namespace)
        if any(key.startswith("mutate.bayplan.dev/") for key in event["annotations"])
    ]
    assert called == ["trainee"]


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False
