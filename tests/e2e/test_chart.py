"""Helm installs the chart, and pods go through what it installed.

No kubelet runs its pods, so a process here stands for them: with the arguments, files, certificate and service account
that the chart gives them. The Service is redirected to it, and the API server checks the certificate as ever.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import main
from delivery import Manifest, packed

from .controlplane import ApiError, ControlPlane, Json, wait_for
from .fleet import add_general, add_gpu
from .mounts import container_arguments
from .pods import daemon_set, deployment, pod
from .processes import free_ports
from .serving import BUNDLE, Serving, running

CHART = Path(__file__).parents[2] / "charts" / "bayplan"
NAME = "bayplan"
WEBHOOK = "mutate.bayplan.dev"
MINE = f"app.kubernetes.io/instance={NAME}"
TRAINING = {"workload": "training"}
FILES = {str(path.relative_to(BUNDLE)): path.read_bytes() for path in BUNDLE.rglob("*.yaml")}
BUNDLE_VALUES = {"archive": base64.b64encode(packed(FILES, Manifest("cluster-tests", "1.0.0"))).decode()}


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the chart, in a namespace of its own and behind a port of this machine."""

    cluster: ControlPlane
    namespace: str
    port: int

    def install(self, **values: Any) -> None:
        """Install the chart with the tests' bundle, and have the API server find its Service here.

        It waits long enough for machines that do much else at the same time.
        """
        webhook = {"timeoutSeconds": 20, **values.pop("webhook", {})}
        given = {"bundle": BUNDLE_VALUES, "service": {"port": self.port}, "mode": "enforce", "webhook": webhook}
        given |= values
        self.helm("install", "--values", "-", stdin=given)
        self.cluster.redirect_service(self.namespace, NAME)

    def helm(self, verb: str, *more: str, stdin: Json = None) -> None:
        chart = () if verb == "uninstall" else (CHART,)
        self.cluster.helm(verb, NAME, *chart, "--namespace", self.namespace, *more, stdin=stdin)

    def replica(self, folder: Path) -> AbstractContextManager[Serving]:
        """One pod of the Deployment as it is now."""
        installed = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}")
        account = self.cluster.account_kubeconfig(self.namespace, NAME)
        arguments = container_arguments(self.cluster, installed, folder)
        return running(self.cluster, [*arguments, "--kubeconfig", account], self.port)

    def trusted(self) -> str:
        """The authority that the installed configuration trusts, PEM."""
        path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{NAME}"
        bundle: str = self.cluster.api("GET", path)["webhooks"][0]["clientConfig"]["caBundle"]
        return base64.b64decode(bundle).decode()


@pytest.fixture
def release(helm: ControlPlane, namespace: str) -> Iterator[Release]:
    """A release that is not installed yet; in the end it is uninstalled."""
    home = f"{namespace}-home"
    helm.add_namespace(home)
    planned = Release(helm, home, free_ports(1)[0])
    yield planned
    planned.helm("uninstall", "--ignore-not-found")


def test_pods_go_through_what_helm_installed(release: Release, namespace: str, tmp_path: Path) -> None:
    cluster = release.cluster
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    cluster.add_node("of-blue", {"tenant": "blue"})
    cluster.add_namespace("blue", {"tenant": "blue"})
    release.install()
    with release.replica(tmp_path):
        cluster.wait_called(NAME, namespace)
        cluster.apply(deployment("train", namespace, replicas=2, labels=TRAINING))
        assert set(cluster.wait_all_bound(namespace, "app=train", 2).values()) == {"gpu-1"}
        cluster.create_pod("blue", pod("t"))
        assert cluster.wait_bound("blue", "t") == "of-blue"
        cluster.apply(daemon_set("agent", namespace, labels=TRAINING))
        assert set(cluster.wait_all_bound(namespace, "app=agent", 2).values()) == {"general-1", "of-blue"}
        networker = pod("net", labels=TRAINING, spec={"hostNetwork": True})
        refused = cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=networker, check=False)
    assert f'admission webhook "{WEBHOOK}" denied the request' in refused.stderr
    assert "no-host-network" in refused.stderr
    assert len(cluster.admission_patches(namespace)) == 2


def test_webhook_that_others_wait_for_can_start(release: Release, namespace: str) -> None:
    """Under failurePolicy Fail its own pods are created while it is away, and nobody else's."""
    cluster = release.cluster
    cluster.add_node("any")
    release.install(webhook={"failurePolicy": "Fail"})
    cluster.wait_called(WEBHOOK, namespace)
    with pytest.raises(ApiError, match=f'failed calling webhook "{WEBHOOK}"'):
        cluster.create_pod(namespace, pod("t"))
    cluster.api("DELETE", f"/api/v1/namespaces/{release.namespace}/pods", labelSelector=MINE, gracePeriodSeconds="0")
    cluster.wait_all_bound(release.namespace, MINE, 2)


def test_audit_comes_first_and_enforcing_is_an_upgrade(release: Release, namespace: str, tmp_path: Path) -> None:
    """With the chart's own bundle. The certificate outlives the upgrade."""
    cluster = release.cluster
    cluster.add_node("any", {"topology.kubernetes.io/zone": "eu-1a"})
    release.install(bundle={"archive": ""}, mode="audit")
    with release.replica(tmp_path / "audit") as serving:
        cluster.wait_called(NAME, namespace)
        cluster.apply(deployment("web", namespace))
        cluster.wait_all_bound(namespace, "app=web", 1)
        (decision,) = wait_for(lambda: serving.decisions(namespace), "the decision to be logged", serving.output)
    assert cluster.admission_patches(namespace) == []
    before = release.trusted()
    release.helm("upgrade", "--reuse-values", "--set", "mode=enforce")
    assert release.trusted() == before
    with release.replica(tmp_path / "enforce"):
        cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds="0")
        cluster.wait_all_bound(namespace, "app=web", 1)
    (patch,) = cluster.admission_patches(namespace)
    assert [operation["path"] for operation in patch] == ["/spec/topologySpreadConstraints", "/metadata/annotations"]
    assert patch == decision["patch"]


def test_certificate_of_somebody_else(release: Release, namespace: str, tmp_path: Path) -> None:
    cluster = release.cluster
    add_gpu(cluster, "gpu-1")
    certificate, key = cluster.authority.issue(f"{NAME}.{release.namespace}.svc")
    secret = ("create", "secret", "tls", "mine", f"--cert={certificate}", f"--key={key}")
    cluster.kubectl(*secret, "--namespace", release.namespace)
    authority = cluster.authority.bundle.read_text()
    release.install(tls={"secretName": "mine", "caBundle": authority})
    assert release.trusted() == authority
    with release.replica(tmp_path):
        cluster.wait_called(NAME, namespace)
        assert "affinity" in cluster.create_pod(namespace, pod("t", labels=TRAINING))["spec"]


def test_service_account_may_read_nodes_and_namespaces_and_nothing_else(release: Release) -> None:
    account = f"system:serviceaccount:{release.namespace}:{NAME}"

    def may(verb: str, resource: str, scope: str = f"--namespace={release.namespace}") -> bool:
        asked = ("auth", "can-i", verb, resource, "--as", account, scope)
        return release.cluster.kubectl(*asked, check=False).returncode == 0

    assert not may("list", "nodes")
    release.install()
    for resource in ("nodes", "namespaces"):
        assert may("list", resource)
        assert may("watch", resource)
        assert not may("patch", resource)
    assert not may("get", "secrets")
    assert not may("create", "pods")
    assert not may("list", "pods", "--all-namespaces")


@pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="the quick scenario is in test_reports.py")
def test_the_audit_reports_by_an_account_of_its_own_and_its_pods_wait_for_no_webhook(
    release: Release,
    openreports: ControlPlane,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a kubelet would run it, inside of the cluster, while no replica is there and pods must not be let by."""
    cluster = openreports
    add_general(cluster, "general-1")
    cluster.apply(deployment("train", namespace, labels=TRAINING))
    cluster.wait_all_bound(namespace, "app=train", 1)
    audit = {"schedule": "0 0 1 1 *", "reports": True, "namespaces": [namespace]}
    release.install(audit=audit, webhook={"failurePolicy": "Fail"})
    cluster.wait_called(WEBHOOK, namespace)
    cluster.kubectl("create", "job", "now", f"--from=cronjob/{NAME}-audit", "--namespace", release.namespace)
    cluster.wait_all_bound(release.namespace, "job-name=now", 1)
    job = cluster.api("GET", f"/apis/batch/v1/namespaces/{release.namespace}/jobs/now")
    account = f"{NAME}-audit"
    config = yaml.safe_load(cluster.account_kubeconfig(release.namespace, account).read_text())
    mounted = tmp_path / "serviceaccount"
    mounted.mkdir()
    (mounted / "token").write_text(config["users"][0]["user"]["token"])
    (mounted / "ca.crt").write_bytes(cluster.authority.bundle.read_bytes())
    (mounted / "namespace").write_text(release.namespace)
    host, _, port = cluster.url.removeprefix("https://").rpartition(":")
    monkeypatch.setattr("cluster.client.SERVICE_ACCOUNT", mounted)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    arguments = container_arguments(cluster, job, tmp_path / "root")
    status = main(arguments)
    said = capsys.readouterr()
    assert (status, said.err) == (0, "bayplan: reports: 1 written, 0 said so already, 0 removed\n")
    assert "Deployment" in said.out
    (report,) = cluster.api("GET", f"/apis/openreports.io/v1alpha1/namespaces/{namespace}/reports")["items"]
    assert report["scope"]["name"] == "train"

    def may(*what: str) -> bool:
        user = f"system:serviceaccount:{release.namespace}:{account}"
        return cluster.kubectl("auth", "can-i", *what, "-A", "--as", user, check=False).returncode == 0

    assert may("list", "pods")
    forbidden = (("get", "secrets"), ("list", "secrets"), ("patch", "pods"), ("create", "pods"))
    assert not any(may(*what) for what in forbidden)


def test_nothing_is_left_after_uninstalling(release: Release) -> None:
    def left() -> list[str]:
        kinds = "mutatingwebhookconfigurations,clusterroles,clusterrolebindings"
        return release.cluster.kubectl("get", kinds, "--selector", MINE, "--output", "name").stdout.splitlines()

    release.install()
    assert len(left()) == 3
    release.helm("uninstall")
    assert left() == []
