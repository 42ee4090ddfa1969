"""Wishes from public reports: a bundle, pools and pods as somebody has them, and the nodes where the pods may run.

Each folder of `cases` says in `source.md` where it is from. `pools.yaml` is what Bayplan is shown, `nodes.yaml` the
nodes that are there later. `expect.yaml` says, by pod or workload: `allowed`; `nodes`, exactly those that the scheduler
may bind the patched pod to, taints included; `counts`, labels of other pods that each spread constraint must count;
`unchanged`; `tolerations` that it has; `karpenter: sees`, Karpenter would make a node of one of the NodePools for it.
Kubernetes' matching is written out in tests/engine/matching.py, Karpenter's in tests/engine/karpenter.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import main
from tests.engine.karpenter import serves, template
from tests.engine.matching import admits, matches_selector, tolerates

CASES = Path(__file__).parent / "cases"


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, Lists taken apart; none where there is no such file."""
    found = list(yaml.safe_load_all(path.read_text())) if path.exists() else []
    return [one for each in found if each for one in each.get("items", [each])]


def explained(case: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `explain` says of the case's pods, by their names."""
    arguments = ["explain", "--bundle", str(case / "bundle"), "--pools", str(case / "pools.yaml")]
    if (case / "namespaces.yaml").exists():
        arguments += ["--namespace", str(case / "namespaces.yaml")]
    if (case / "args").exists():
        arguments += shlex.split((case / "args").read_text())
    assert main([*arguments, str(case / "pods.yaml"), "-o", "json", "--show-pod"]) == 0
    return {decision["pod"]["name"]: decision for decision in json.loads(capsys.readouterr().out)}


def _expectations() -> Iterator[Any]:
    for case in sorted(path.parent for path in CASES.glob("*/expect.yaml")):
        for pod, expected in yaml.safe_load((case / "expect.yaml").read_text()).items():
            yield pytest.param(case, pod, expected, id=f"{case.name}-{pod}")


def runs_on(pod: dict[str, Any], node: dict[str, Any]) -> bool:
    """Whether the scheduler may bind a pod to a node: selectors, affinity and taints."""
    taints = (node.get("spec") or {}).get("taints") or []
    tolerations = pod["spec"].get("tolerations") or []
    barring = (taint for taint in taints if taint["effect"] != "PreferNoSchedule")
    return admits(pod, node["metadata"].get("labels") or {}, node["metadata"]["name"]) and all(
        any(tolerates(one, taint) for one in tolerations) for taint in barring
    )


@pytest.mark.parametrize(("case", "pod", "expected"), list(_expectations()))
def test_a_wish_comes_true(case: Path, pod: str, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    decision = explained(case, capsys)[pod]
    assert decision["allowed"] == expected["allowed"], decision["message"]
    patched = decision["patched"]
    if "nodes" in expected:
        shown = documents(case / "nodes.yaml") or [
            one for one in documents(case / "pools.yaml") if one["kind"] == "Node"
        ]
        assert sorted(node["metadata"]["name"] for node in shown if runs_on(patched, node)) == sorted(expected["nodes"])
    if expected.get("unchanged"):
        assert decision["patch"] == []
    for toleration in expected.get("tolerations", ()):
        assert toleration in patched["spec"]["tolerations"]
    for labels in expected.get("counts", ()):
        spread = patched["spec"]["topologySpreadConstraints"]
        assert spread
        assert all(matches_selector(one.get("labelSelector"), labels) for one in spread)
    if expected.get("karpenter") == "sees":
        node_pools = [template(one) for one in documents(case / "pools.yaml") if one["kind"] == "NodePool"]
        assert serves(patched, node_pools)


@pytest.mark.parametrize("said", sorted(CASES.glob("*/check.txt")), ids=lambda said: said.parent.name)
def test_check_says_so(said: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of `check.txt` is a part of what `check` prints."""
    bundle, pools = str(said.parent / "bundle"), str(said.parent / "pools.yaml")
    assert [main(["check", bundle, "--pools", pools, *flags]) for flags in ([], ["--strict"])] == [0, 1]
    printed = capsys.readouterr().out
    assert [line for line in said.read_text().splitlines() if line not in printed] == []
