"""Every command of the page for newcomers, as it stands there, in real clusters: each time, pods are placed by it.

No kubelet runs what Helm installs, so a process here stands for it, as in `test_chart.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .cluster_api import ClusterApi, machine_deployment
from .controlplane import CONTEXT, PATIENCE_SECONDS, ControlPlane, wait_for
from .karpenter import CAPACITY_TYPE, Karpenter, node_pool, requirement
from .mounts import container_arguments
from .processes import free_ports
from .serving import BAYPLAN, Serving, running

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"
BLOCK = re.compile(r"^```(console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
BEFORE = ("git clone ", "make setup", "export PATH=", "pipx install ", "make wheel")
"""What has happened already when a test runs."""
ELSEWHERE = ("docker build ",)
"""What takes more than an API server."""
DEPLOYMENT = "/apis/apps/v1/namespaces/bayplan/deployments/bayplan"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NOT_FOR_PODS = {"key": CONTROL_PLANE, "effect": "NoSchedule"}
MANIFEST = Path("policies/mine/examples/pod.yaml")
Labels = Mapping[str, str]
nightly = pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="half a minute for the same page")
"""In every run the page is followed on plain nodes; of what else pools are known from, each kind has tests of its own.
"""


def commands() -> list[str]:
    found = []
    for kind, text in BLOCK.findall(PAGE.read_text()):
        found += [text] if kind == "bash" else COMMAND.findall(text)
    return [command for command in found if not command.startswith((*BEFORE, *ELSEWHERE))]


@dataclass
class Reader:
    """Somebody who types what the page says, one command after the other, in a cluster."""

    cluster: ControlPlane
    folder: Path
    right: Callable[[Labels], bool]
    """Whether a critical pod is right on a node with these labels."""
    page: Iterator[str]
    port: int

    def next(self, begins: str = "", more: str = "", statuses: tuple[int, ...] = (0,)) -> str:
        """Type the next command, which begins so, with more arguments where a test needs them; what it prints."""
        command = next(self.page)
        assert command.startswith(begins)
        return run(command.rstrip() + more, *statuses)

    def follow(self) -> None:
        """The whole page."""
        self.look()
        self.try_it()
        self.install()
        assert list(self.page) == []

    def look(self) -> None:
        """Steps 1 to 4: nothing is put into the cluster."""
        assert self.next().startswith("bayplan ")
        self.next("bayplan pools ")
        self.next("bayplan init ")
        assert "  ok\n" in self.next("bayplan check ", " --strict")
        assert "all passed" in self.next("bayplan test ")
        written = Path("policies/mine/pools/cluster.yaml")
        before = written.read_text()
        self.next("bayplan pools ")
        assert written.read_text() == before
        run("bayplan check --strict policies/mine && bayplan test policies/mine")
        assert "Pod default/payments may run" in self.next("bayplan explain ")
        run("kubectl create deployment there --image registry.invalid/web --replicas 0")  # as in any real cluster
        assert "Deployment default/there" in self.next("bayplan audit ", " --all", statuses=(0, 1))
        run("kubectl delete deployment there")

    def try_it(self) -> None:
        """Step 5a."""
        self.next("kubectl ")
        serve = next(self.page).replace("\\\n", " ").split()
        assert serve[:2] == ["bayplan", "serve"]
        with running(self.cluster, serve[1:]) as serving:
            assert "bayplan-try" in (self.folder / "bayplan-dev.yaml").read_text()
            self.next("kubectl ")
            self.cluster.wait_called("bayplan-dev", "bayplan-try")
            self.place(serving, "bayplan-try")
        self.next("kubectl ")
        self.next("kubectl ", " --wait=false")
        self.forget("bayplan-try")

    def install(self) -> None:
        """Step 5b, and its end."""
        self.next("bayplan bundle ")
        given = f" --set service.port={self.port},webhook.timeoutSeconds=20"
        assert "audit" in self.next("helm install ", given)
        logs = next(self.page)
        assert " logs --follow " in logs
        mode, replicas = self.mode_and_replicas()
        followed = logs.replace(" logs --follow ", " get pods --output name ")
        wait_for(lambda: len(run(followed).split()) == replicas, "the pods that are followed")
        assert mode == "--mode=audit"
        self.next("helm upgrade ")
        assert self.mode_and_replicas()[0] == "--mode=enforce"
        with self.replica() as serving:
            self.cluster.wait_called("bayplan", "default")
            self.place(serving, "default")
        self.next("kubectl delete pod ", " --wait=false")
        self.forget("default")
        self.next("helm uninstall ")
        assert not run("kubectl get mutatingwebhookconfigurations --output name")

    def place(self, serving: Serving, namespace: str) -> None:
        """Create the example's pod, and see that it was patched and is where it should be."""
        created = yaml.safe_load(self.next("kubectl "))
        assert created["spec"] != yaml.safe_load(MANIFEST.read_text())["spec"]
        assert created["spec"]["topologySpreadConstraints"]
        assert "condition met" in self.next("kubectl ")
        assert "payments" in self.next("kubectl ")
        node = self.cluster.pod(namespace, "payments")["spec"]["nodeName"]
        assert self.right(self.cluster.api("GET", f"/api/v1/nodes/{node}")["metadata"]["labels"])
        (decision,) = wait_for(lambda: serving.decisions(namespace, "payments"), "the decision", serving.tail)
        assert decision["allowed"]
        assert decision["policies"][0]["outcome"] == "applied"

    def forget(self, namespace: str) -> None:
        """Have the pods of a namespace go at once, for no kubelet says that they have ended."""
        self.cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds="0")

    def replica(self) -> AbstractContextManager[Serving]:
        """One pod of what was installed, which the API server finds here."""
        self.cluster.redirect_service("bayplan", "bayplan")
        installed = self.cluster.api("GET", DEPLOYMENT)
        account = self.cluster.account_kubeconfig("bayplan", "bayplan")
        arguments = container_arguments(self.cluster, installed, self.folder / "mounts")
        return running(self.cluster, [*arguments, "--kubeconfig", account], self.port)

    def mode_and_replicas(self) -> tuple[str, int]:
        spec = self.cluster.api("GET", DEPLOYMENT)["spec"]
        (mode,) = (a for a in spec["template"]["spec"]["containers"][0]["args"] if a.startswith("--mode"))
        return mode, spec["replicas"]


def at_a_shell(cluster: ControlPlane, folder: Path, monkeypatch: pytest.MonkeyPatch, *more: Path) -> None:
    """Be in a folder, at a shell that finds Bayplan, kubectl and `more` programs, and the context of the pages."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["contexts"] = [{"name": "my-cluster", "context": {"cluster": CONTEXT, "user": CONTEXT}}]
    config["current-context"] = "my-cluster"
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    programs = {str(program.parent): None for program in (BAYPLAN, cluster.programs["kubectl"], *more)}
    monkeypatch.setenv("PATH", os.pathsep.join([*programs, os.environ["PATH"]]))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)


Start = Callable[[ControlPlane, Callable[[Labels], bool]], Reader]


@pytest.fixture
def reader(helm_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A clone, as far as the page needs one, and a shell that finds programs and the page's context."""

    def reads(cluster: ControlPlane, right: Callable[[Labels], bool]) -> Reader:
        (tmp_path / "charts").symlink_to(ROOT / "charts")
        at_a_shell(cluster, tmp_path, monkeypatch, helm_program)
        made = {"bayplan", "bayplan-try"}
        wait_for(lambda: made.isdisjoint(namespaces(cluster)), "the namespaces of an earlier reader to go")
        return Reader(cluster, tmp_path, right, iter(commands()), free_ports(1)[0])

    return reads


def namespaces(cluster: ControlPlane) -> list[str]:
    """Their names, those included that are about to go."""
    return [each["metadata"]["name"] for each in cluster.api("GET", "/api/v1/namespaces")["items"]]


def run(script: str, *expected: int) -> str:
    """What a script prints; `expected` are the exit statuses that are fine, 0 if none is given."""
    done = subprocess.run(
        ["bash", "-euc", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode in (expected or (0,)), f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_on_plain_nodes(cluster: ControlPlane, reader: Start) -> None:
    """As kubeadm makes them: no label says a pool."""
    cluster.add_node("control-1", {CONTROL_PLANE: ""}, [NOT_FOR_PODS])
    cluster.add_node("worker-1", {"disktype": "ssd"})
    cluster.add_node("worker-2")
    reader(cluster, lambda labels: labels.get("disktype") == "ssd").follow()


@nightly
def test_on_one_node_that_is_like_no_other(cluster: ControlPlane, reader: Start) -> None:
    """As k3s makes it."""
    cluster.add_node("k3s-1", {CONTROL_PLANE: "true"})
    reader(cluster, lambda labels: labels["kubernetes.io/hostname"] == "k3s-1").follow()


@nightly
def test_on_node_pools_without_nodes(karpenter: Karpenter, reader: Start) -> None:
    karpenter.add(
        node_pool("cheap", requirement(CAPACITY_TYPE, "In", "spot"), weight=50),
        node_pool("steady", requirement(CAPACITY_TYPE, "In", "on-demand")),
    )
    reader(karpenter.cluster, lambda labels: labels[CAPACITY_TYPE] == "on-demand").follow()
    assert {*karpenter.nodes().values()} == {"steady"}


@nightly
def test_on_machine_deployments(cluster_api: ClusterApi, reader: Start) -> None:
    purpose = "node.cluster.x-k8s.io/purpose"
    cluster_api.cluster.apply(
        machine_deployment("general", 2, labels={purpose: "general"}),
        machine_deployment("memory", 1, labels={purpose: "memory"}),
    )
    cluster_api.wait_nodes("general", 2)
    cluster_api.wait_nodes("memory", 1)
    reader(cluster_api.cluster, lambda labels: labels.get(purpose) == "general").follow()
