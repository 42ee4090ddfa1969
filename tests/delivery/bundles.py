"""A small bundle and its pools, as text and as a folder."""

from __future__ import annotations

from pathlib import Path

from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.documents import Source, parse_manifests
from engine.pools import inventory_from_documents
from engine.program import compile_bundle

BUNDLE = """\
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata: {name: small}
spec: {version: VERSION, mode: enforce}
"""
TRAINING = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: training}
spec:
  podSelector: {matchLabels: {workload: training}}
  require:
    - expression: pool.labels["accelerator"] == "a100"
      message: training needs A100 nodes
  tolerate:
    - expression: taint.key == "gpu"
"""
NAMED = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: no-node-names}
spec:
  deny:
    - expression: has(pod.spec.nodeName)
      message: nodeName goes around the scheduler
"""
TEAMS = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: teams}
spec:
  failurePolicy: Ignore
  namespaceSelector: {matchLabels: {team: b}}
  require:
    - expression: pool.name == "general"
"""
POOLS = """\
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: general
    selector: {pool: general}
    absent: [accelerator]
    nodes: 3
  - name: gpu
    selector: {pool: gpu}
    labels: {accelerator: a100}
    taints: [{key: gpu, value: "true", effect: NoSchedule}]
    nodes: 2
"""


def files(version: str = "1.0.0", **policies: str) -> dict[str, str]:
    """The bundle's files by name; keywords add or replace policies."""
    own = {"training": TRAINING, "named": NAMED, "teams": TEAMS, **policies}
    return {
        "bundle.yaml": BUNDLE.replace("VERSION", version),
        **{f"policies/{name}.yaml": text for name, text in own.items()},
    }


def write(folder: Path, version: str = "1.0.0", **policies: str) -> Path:
    """Write the bundle into a folder, over what is there."""
    for name, text in files(version, **policies).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def write_pools(folder: Path) -> Path:
    path = folder / "pools.yaml"
    path.write_text(POOLS)
    return path


def decider(mode: str = "enforce", **policies: str) -> Decider:
    """The bundle and its pools, ready to decide."""
    bundle, problems = parse_bundle(files(**policies))
    assert bundle is not None, problems
    documents, problems = parse_manifests(Source("pools.yaml", POOLS))
    assert not problems
    return Decider(compile_bundle(bundle), inventory_from_documents(documents), mode=mode)
