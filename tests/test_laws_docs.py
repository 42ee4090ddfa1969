"""The page about the laws: its examples are run, its traps are traps, and the tests that it names are there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml

from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.documents import Source, parse_manifests
from engine.pods import DAEMON_SET_CONTROLLERS, IncomingPod
from engine.pools import inventory_from_documents
from engine.program import compile_bundle
from tests.engine.matching import REQUIRED, admits, tolerates

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "laws.md"
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml example\n(.*?)^```$", PAGE.read_text(), re.M | re.S)]
TRAPS = {"widened", "unsound", "starved", "doubled"}
ZONE, POOL = "topology.kubernetes.io/zone", "karpenter.sh/nodepool"
FLEET = f"""
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {{name: general, selector: {{{POOL}: general}}}}
  - name: gpu
    selector: {{{POOL}: gpu}}
    gpus: 8
    taints:
      - {{key: nvidia.com/gpu, value: "true", effect: NoSchedule}}
      - {{key: team, value: ml, effect: NoSchedule}}
"""
TAINTS = [
    {"key": key, "value": value, "effect": effect}
    for key, value in (("nvidia.com/gpu", "true"), ("team", "ml"))
    for effect in ("NoSchedule", "NoExecute")
]
STATES = {
    "disk": (None, "ssd", "hdd"),
    "team": (None, "ml", "web"),
    ZONE: (None, "eu-1a", "us-1a"),
    POOL: (None, "general", "gpu"),
}
Json = dict[str, Any]


def whole(part: Mapping[str, Any], owner: str | None) -> Json:
    """The pod that an example shows a part of."""
    spec: Json = {"containers": [{"name": "main", "image": "image"}]}
    if "nodeSelectorTerms" in part:
        spec["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": part["nodeSelectorTerms"]}}}
    if "tolerations" in part:
        spec["tolerations"] = part["tolerations"]
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": "o", "uid": "u", "controller": True}] if owner else []
    return {"metadata": {"name": "pod", "namespace": "team", "ownerReferences": owners}, "spec": spec}


def part(pod: Json) -> Json:
    """What an example would show of a pod."""
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    shown = {"tolerations": pod["spec"]["tolerations"]} if "tolerations" in pod["spec"] else {}
    return shown | ({"nodeSelectorTerms": required["nodeSelectorTerms"]} if required else {})


def placed(example: Json, pod: Json) -> tuple[Json, tuple[Json, ...]]:
    """The pod as the policy of an example leaves it, and the patch."""
    spec: Json = {effect: [{"expression": example[effect]}] for effect in ("require", "tolerate") if effect in example}
    spec |= {"prefer": [{"expression": example["prefer"], "weight": 1}]} if "prefer" in example else {}
    head = {"apiVersion": "bayplan.dev/v1alpha1", "metadata": {"name": "laws"}}
    bundle, problems = parse_bundle(
        {
            "bundle.yaml": yaml.safe_dump({**head, "kind": "Bundle", "spec": {"version": "1.0.0"}}),
            "policies/p.yaml": yaml.safe_dump({**head, "kind": "PlacementPolicy", "spec": spec}),
        }
    )
    assert bundle is not None, problems
    manifests, _ = parse_manifests(Source("pools.yaml", FLEET))
    user = {"username": DAEMON_SET_CONTROLLERS[0] if "owner" in example else "u", "groups": []}
    request = {"operation": "CREATE", "namespace": "team", "dryRun": False, "userInfo": user}
    incoming = IncomingPod(pod, {"metadata": {"name": "team", "labels": {}}}, request)
    decision = Decider(compile_bundle(bundle), inventory_from_documents(manifests)).decide(incoming)
    assert decision.allowed, decision.message
    assert "failed" not in [policy.outcome for policy in decision.policies], decision.policies
    return jsonpatch.apply_patch(pod, list(decision.patch)), decision.patch


def nodes(pod: Json) -> set[Any]:
    """Where a pod may run, of all nodes that could be told apart."""
    labelled = [
        {key: state for key, state in zip(STATES, states, strict=True) if state} for states in product(*STATES.values())
    ]
    every = product(labelled, ("worker-7", "other"))
    return {(*sorted(labels.items()), name) for labels, name in every if admits(pod, labels, name)}


def taints(pod: Json) -> set[Any]:
    """What a pod tolerates."""
    own = pod["spec"].get("tolerations") or []
    return {tuple(taint.values()) for taint in TAINTS if any(tolerates(one, taint) for one in own)}


def opened(pod: Json) -> set[Any]:
    return nodes(pod) | taints(pod)


def entries(pod: Json) -> int:
    """How much a pod says."""
    terms = part(pod).get("nodeSelectorTerms", [])
    return sum(len(term.get("matchExpressions", [])) for term in terms) + len(part(pod).get("tolerations", []))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: next(iter(TRAPS & example.keys())))
def test_examples_are_run_and_their_traps_are_traps(example: Json) -> None:
    owner = example.get("owner") or example.get("claims")
    pod, patched = whole(example["pod"], owner), whole(example["patched"], owner)
    result, _ = placed(example, pod)
    again, patch = placed(example, result)
    assert part(result) == example["patched"]
    assert (again, patch) == (result, ())

    (kind,) = TRAPS & example.keys()
    trap = whole(example[kind], owner)
    match kind:
        case "widened":
            assert opened(trap) - opened(pod) - taints(patched)
        case "unsound":
            assert (nodes(trap) & nodes(pod)) - nodes(patched)
        case "starved":
            assert nodes(patched)
            assert not nodes(trap)
        case "doubled":
            assert opened(trap) == opened(patched)
            assert entries(trap) > entries(patched)


def test_all_laws_are_there_with_an_example_where_it_helps() -> None:
    text = PAGE.read_text()
    titles = re.findall(r"^## (\d+)\. (.+)$", text, re.M)
    assert [int(number) for number, _ in titles] == list(range(1, 14))
    assert {kind for example in EXAMPLES for kind in TRAPS & example.keys()} == TRAPS
    for number, title in titles:
        anchor = f"{number}-{title.lower().replace(' ', '-')}"
        assert f"[{number}](#{anchor})" in text
    for section in text.split("\n## ")[1:]:
        assert "*The trap.*" in section
        assert "*Proof.*" in section


def test_the_tests_that_are_named_are_there() -> None:
    named = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[^)]+)\)", PAGE.read_text())
    assert len(named) > 30
    for name, file in named:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.M), (name, file)
