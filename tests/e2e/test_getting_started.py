"""Every command of the page for newcomers, as it stands there, against the real API server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .controlplane import CONTEXT, PATIENCE_SECONDS, ControlPlane, wait_for
from .pods import deployment
from .serving import BAYPLAN, running

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"
BLOCK = re.compile(r"^```(console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
BEFORE = ("git clone ", "make setup", "export PATH=", "pipx install ", "make wheel")
"""What has happened already when a test runs."""
ELSEWHERE = ("docker build ",)
"""What takes more than an API server."""
STEADY = {"karpenter.sh/nodepool": "steady", "steady": "true", "topology.kubernetes.io/zone": "zone-a"}
TAINT = {"key": "steady", "value": "true", "effect": "NoSchedule"}


def commands() -> list[str]:
    found = []
    for kind, text in BLOCK.findall(PAGE.read_text()):
        found += [text] if kind == "bash" else COMMAND.findall(text)
    return [command for command in found if not command.startswith((*BEFORE, *ELSEWHERE))]


@pytest.fixture
def place(helm: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, as far as the page needs one, and a shell that finds programs and the page's contexts."""
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "deployment.yaml").write_text(
        yaml.safe_dump(deployment("payments", "default", labels={"tier": "critical"}))
    )
    config = yaml.safe_load(helm.kubeconfig.read_text())
    context = {"cluster": CONTEXT, "user": CONTEXT}
    config["contexts"] = [{"name": name, "context": context} for name in ("my-cluster", "kind-dev")]
    config["current-context"] = "my-cluster"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    programs = {str(helm.programs[name].parent): None for name in ("kubectl", "helm")}
    monkeypatch.setenv("PATH", os.pathsep.join([str(BAYPLAN.parent), *programs, os.environ["PATH"]]))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_page_does_what_it_says(helm: ControlPlane, place: Path) -> None:
    helm.add_node("steady-1", STEADY, [TAINT])
    helm.add_node("general-1", {"karpenter.sh/nodepool": "general"})
    page = iter(commands())
    look(page)
    try_it(page, helm, place)
    install(page, helm)
    assert list(page) == []


def look(page: Iterator[str]) -> None:
    """Steps 1 to 4: nothing is put into the cluster."""
    assert run(next(page)).startswith("bayplan ")
    assert "steady" in run(next(page))
    for command in ("init", "check", "test"):
        script = next(page)
        assert script.startswith(f"bayplan {command} ")
        run(script)
    run(next(page))
    pools = yaml.safe_load(Path("policies/mine/pools/cluster.yaml").read_text())["pools"]
    assert {pool["name"] for pool in pools} == {"steady", "general"}
    assert "payments may run in steady" in run(next(page))
    assert run(next(page), 0, 1)


def try_it(page: Iterator[str], cluster: ControlPlane, place: Path) -> None:
    """Step 5a."""
    run(next(page))
    serve = next(page).replace("\\\n", " ").split()
    assert serve[:2] == ["bayplan", "serve"]
    with running(cluster, serve[1:]):
        assert "bayplan-try" in (place / "bayplan-dev.yaml").read_text()
        run(next(page))
        cluster.wait_called("bayplan-dev", "bayplan-try")
        admitted = yaml.safe_load(run(next(page)))
    (term,) = admitted["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert {"key": "karpenter.sh/nodepool", "operator": "In", "values": ["steady"]} in term["matchExpressions"]
    assert TAINT.items() <= admitted["spec"]["tolerations"][-1].items()
    run(next(page))
    run(f"{next(page)} --wait=false")


def install(page: Iterator[str], cluster: ControlPlane) -> None:
    """Step 5b, and its end."""
    run(next(page))
    assert "audit" in run(next(page))
    logs = next(page)
    assert " logs --follow " in logs
    mode, replicas = mode_and_replicas(cluster)
    followed = logs.replace(" logs --follow ", " get pods --output name ")
    wait_for(lambda: len(run(followed).split()) == replicas, "the pods that are followed")
    assert mode == "--mode=audit"
    run(next(page))
    assert mode_and_replicas(cluster)[0] == "--mode=enforce"
    run(next(page))
    assert not run("kubectl get mutatingwebhookconfigurations --output name")


def mode_and_replicas(cluster: ControlPlane) -> tuple[str, int]:
    spec = cluster.api("GET", "/apis/apps/v1/namespaces/bayplan/deployments/bayplan")["spec"]
    (mode,) = (a for a in spec["template"]["spec"]["containers"][0]["args"] if a.startswith("--mode"))
    return mode, spec["replicas"]
