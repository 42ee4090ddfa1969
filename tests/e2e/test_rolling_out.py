"""Every command of the page on rolling out, as it stands there, with a webhook that follows the tags."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .controlplane import ControlPlane, wait_for
from .fleet import add_general, add_gpu
from .pods import Json, deployment, pod, pod_spec
from .serving import BAYPLAN, Serving, admission
from .test_getting_started import BLOCK, COMMAND, at_a_shell, run
from .test_replay import without_kubelets

PAGE = (Path(__file__).parents[2] / "docs" / "rolling-out.md").read_text()
FILE = re.compile(r"^```yaml\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAINING = {"workload": "training"}
PLAIN = {"automountServiceAccountToken": False}
BUNDLE = """\
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata: {name: placement}
spec:
  version: 1.0.0
"""
SPREAD = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: spread}
spec:
  podSelector: {matchLabels: {app: web}}
  spread: [{topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]
"""


@pytest.fixture
def repository(cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with version 1.0.0, and a shell that finds programs and the page's context."""
    at_a_shell(cluster, tmp_path, monkeypatch)
    repository = tmp_path / "repository"
    (repository / "policies/placement/policies").mkdir(parents=True)
    (repository / "token").write_text("let-me\n")
    (repository / "policies/placement/bundle.yaml").write_text(BUNDLE)
    (repository / "policies/placement/policies/spread.yaml").write_text(SPREAD)
    monkeypatch.chdir(repository)
    run("git init --quiet --initial-branch=main && git config user.name a && git config user.email a@example.com")
    run("git add policies && git commit --quiet --message First && git tag v1.0.0")
    return repository


def commands() -> Iterator[str]:
    return (command for kind, text in BLOCK.findall(PAGE) if kind == "console" for command in COMMAND.findall(text))


def serves(serving: Serving, repository: Path, version: str) -> None:
    """Wait until a version decides."""
    url = f"http://127.0.0.1:{serving.plain_port}"

    def said() -> bool:
        command: list[str | Path] = [BAYPLAN, "status", "--url", url, "--token-file", repository / "token"]
        return version in subprocess.run(command, capture_output=True, text=True, check=False).stdout

    wait_for(said, f"version {version} to decide", serving.tail)


def confined(cluster: ControlPlane, namespace: str) -> list[bool]:
    """Which of forty bare pods would be confined to nodes with GPUs."""
    made: list[Json] = [
        cluster.create_pod(namespace, pod(f"train-{i}", labels=TRAINING, spec=PLAIN), dry_run=True) for i in range(40)
    ]
    return ["nodeAffinity" in one["spec"].get("affinity", {}) for one in made]


def test_the_page_is_followed_from_an_idea_to_all_and_back(
    cluster: ControlPlane, namespace: str, repository: Path
) -> None:
    page = commands()
    add_general(cluster, "general-1")
    source = f"git+file://{repository}//policies/placement?semver=>=1.0.0"
    more = ("--poll", "1", "--status-token-file", repository / "token", "--operator-token-file", repository / "token")
    cluster.apply(deployment("train", namespace, replicas=2, labels=TRAINING, spec=pod_spec(PLAIN)))
    cluster.wait_all_bound(namespace, "app=train", 2)
    add_gpu(cluster, "gpu-1")
    with admission(cluster, namespace, bundle=source, more=more) as serving:
        serves(serving, repository, "1.0.0")
        ((file, text),) = FILE.findall(PAGE)
        Path(file).write_text(text)
        run("sed -i 's/version: 1.0.0/version: 1.1.0/' policies/placement/bundle.yaml")
        for begins in ("bayplan check", "bayplan diff"):
            command = next(page)
            assert command.startswith(begins)
            run(command, *((0, 1) if "diff" in begins else (0,)))
        assert "ready to enforce" in run(next(page))
        run(next(page))
        assert "<title>" in Path("report.html").read_text()
        run(next(page))
        serves(serving, repository, "1.1.0")
        assert not any(confined(cluster, namespace))

        for _ in range(4):
            run(next(page))
        serves(serving, repository, "2.0.0")
        some = confined(cluster, namespace)
        assert 0 < sum(some) < len(some)

        for _ in range(4):
            run(next(page))
        serves(serving, repository, "3.0.0")
        assert all(confined(cluster, namespace))

        run(next(page))
        assert f"deployment/train -n {namespace}" in Path("move.sh").read_text()
        run(next(page))

        def moved() -> bool:
            nodes = [one["spec"].get("nodeName") for one in cluster.pods(namespace, "app=train")]
            return nodes == ["gpu-1"] * 2 or without_kubelets(cluster, namespace)

        wait_for(moved, "the pods to run on gpu-1", lambda: cluster.pods(namespace, "app=train"))
        run(next(page).replace("127.0.0.1:8080", f"127.0.0.1:{serving.plain_port}"))
        serves(serving, repository, "2.0.0")
        assert confined(cluster, namespace) == some
    assert list(page) == []
