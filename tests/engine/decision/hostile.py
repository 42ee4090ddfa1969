"""Pods and policies that take as much work as they can, within what the API server takes: for tests of budgets.

A pod is drawn from a dozen numbers (how many terms, expressions, values, ...), so that a search can change one of them
and keep what takes more work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.documents import Source, parse_manifests
from engine.names import PREFERRED, REQUIRED
from engine.pods import IncomingPod
from engine.pools import Inventory, inventory_from_documents
from engine.program import Program, compile_bundle
from engine.struct import replace
from tests.engine.builders import incoming

Json = dict[str, Any]
LARGEST = 3 << 20
"""Bytes of an object that the API server reads (staging/src/k8s.io/apiserver, MaxRequestBodyBytes)."""

SIZES = (0, 1, 2, 5, 10, 30, 60, 100, 200, 400, 700, 1_000, 1_001, 3_000, 10_000, 40_000)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pod is made of. `kind` is how its match expressions look: a letter for each kind."""

    terms: int = 0
    expressions: int = 1
    values: int = 1
    keys: int = 1_000
    kind: str = "i"
    preferred: int = 0
    tolerations: int = 0
    spread: int = 0
    pod_terms: int = 0
    labels: int = 5
    containers: int = 1
    arguments: int = 0
    text: int = 0
    selector: int = 0


FIELDS: dict[str, tuple[Any, ...]] = {
    "terms": SIZES,
    "expressions": (1, 2, 3, 5, 10, 100, 9_000),
    "values": (1, 2, 5, 20, 100, 1_000, 9_000),
    "keys": (1, 2, 3, 5, 20, 1_000, 100_000),
    "kind": ("i", "n", "g", "e", "f", "in", "gl", "ing", "ie", "nef"),
    "preferred": SIZES,
    "tolerations": SIZES,
    "spread": SIZES,
    "pod_terms": SIZES,
    "labels": (0, 5, 100, 10_000),
    "containers": (1, 10, 1_000),
    "arguments": (0, 10, 1_000, 40_000),
    "text": (0, 1_000, 1_000_000),
    "selector": (0, 1, 10, 1_000),
}


def changed(shape: Shape, dice: Random) -> Shape:
    """The same with a field or two drawn anew."""
    fields = dice.sample(list(FIELDS), dice.choice((1, 1, 2)))
    return replace(shape, **{field: dice.choice(FIELDS[field]) for field in fields})


def drawn(dice: Random) -> Shape:
    """A shape of which most fields are small."""
    fields = dice.sample(list(FIELDS), 5)
    return replace(Shape(), **{field: dice.choice(FIELDS[field]) for field in fields})


def pod_of(shape: Shape) -> Json | None:
    """The pod; None where it is larger than what the API server reads."""
    if _least_size(shape) > LARGEST:
        return None
    labels = {"app": "web", **{f"l{i}": f"v{i}" for i in range(shape.labels)}}
    terms = [_term(shape, i) for i in range(shape.terms)]
    wishes = [{"weight": 1 + i % 100, "preference": _term(shape, i)} for i in range(shape.preferred)]
    node: Json = {REQUIRED: {"nodeSelectorTerms": terms}} if terms else {}
    node |= {PREFERRED: wishes} if wishes else {}
    selector = {"matchExpressions": [_expression(shape, i, 0) for i in range(shape.expressions)]} if wishes else {}
    near: list[Json] = [
        {"topologyKey": f"t{i}", "labelSelector": {"matchLabels": labels} | selector} for i in range(shape.pod_terms)
    ]
    arguments = ["x" * shape.text, *(f"a{i}" for i in range(shape.arguments))]
    spec: Json = {
        "containers": [{"name": f"c{i}", "image": "i", "args": arguments} for i in range(shape.containers)],
        "affinity": {"nodeAffinity": node, "podAntiAffinity": {REQUIRED: near}},
        "nodeSelector": {f"s{i}": "v" for i in range(shape.selector)},
        "tolerations": [{"key": f"t{i}", "operator": "Exists"} for i in range(shape.tolerations)],
        "topologySpreadConstraints": [_spread(i, labels) for i in range(shape.spread)],
    }
    made = {"metadata": {"name": "p", "labels": labels, "annotations": {"a": "<" * shape.text}}, "spec": spec}
    return made if len(json.dumps(made, separators=(",", ":"))) <= LARGEST else None


def _least_size(shape: Shape) -> int:
    """What a pod has in characters, at least: most that is drawn is far too large, and need not be written for that."""
    values = 5 * shape.values if set(shape.kind) <= set("in") else 0
    labels, expressions = 9 * shape.labels, shape.expressions * (30 + values)
    return (
        (shape.terms + shape.preferred) * expressions
        + shape.pod_terms * (40 + labels + (expressions if shape.preferred else 0))
        + shape.containers * (5 * shape.arguments + shape.text)
        + shape.spread * (80 + 9 * min(20, shape.labels))
        + 30 * shape.tolerations
        + labels
        + shape.text
    )


def _spread(i: int, labels: Mapping[str, str]) -> Json:
    selector = {"matchLabels": dict(list(labels.items())[:20])}
    return {"topologyKey": f"t{i}", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}


def _term(shape: Shape, i: int) -> Json:
    return {"matchExpressions": [_expression(shape, i, j) for j in range(shape.expressions)]} | (
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [f"n{i}"]}]} if "f" in shape.kind else {}
    )


def _expression(shape: Shape, i: int, j: int) -> Json:
    kind, key = shape.kind[(i + j) % len(shape.kind)], f"k{(i * shape.expressions + j) % shape.keys}"
    if kind == "e":
        return {"key": key, "operator": "Exists"}
    if kind in "gl":
        return {"key": key, "operator": "Gt" if kind == "g" else "Lt", "values": [str(3 * i + j)]}
    values = [f"v{i}-{j}-{n}" for n in range(shape.values)]
    return {"key": key, "operator": "NotIn" if kind == "n" else "In", "values": values}


# Policies

PAIRS = " || ".join(f'(node.labels["k{i}"] == "a" && node.labels["k{i + 1}"] == "b")' for i in range(6))
BOUNDS = " && ".join(f'int(node.labels["k{i}"]) >= 0' for i in range(8))
APART = " && ".join(f'(!("k{i}" in node.labels) || node.labels["k{i}"] != "x")' for i in range(6))
HOSTILE: tuple[Json, ...] = (
    {"require": [{"expression": PAIRS}]},
    {"require": [{"expression": f"{BOUNDS} && size(pod.spec.containers) > 0"}]},
    {"require": [{"expression": f"{APART} && size(pod.metadata.labels) >= 0"}]},
    {"require": [{"expression": "pod.spec.containers.all(c, c.args.all(a, node.zone != a))"}]},
    {"require": [{"expression": "pod.metadata.labels.all(k, !(k in node.labels) || node.labels[k] != 'q')"}]},
    {"require": [{"expression": "pool.labels['tier'] == 'gold' || pool.name in pod.spec.containers[0].args"}]},
    {"deny": [{"expression": "pod.spec.containers.exists(c, c.args.exists(a, a.matches('^(a|b)*c$')))"}]},
    {"prefer": [{"expression": PAIRS, "weight": 5}, {"expression": APART, "weight": 7}]},
    {"fallback": [{"expression": PAIRS}, {"expression": "node.zone == 'a'"}, {"expression": APART}]},
    {"tolerate": [{"expression": "taint.key.startsWith('n') && pod.spec.containers.all(c, size(c.args) >= 0)"}]},
    {"spread": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]},
    {"podAntiAffinity": [{"topologyKey": "zone", "weight": 5}]},
)


def hostile_decider(count: int = 50, pools: int = 60) -> Decider:
    """An engine over hostile policies, each a little another, on pools of three providers."""
    specs = [json.dumps(HOSTILE[i % len(HOSTILE)]) for i in range(count)]
    specs = [spec.replace('\\"k', f'\\"p{i}k') if i >= 2 * len(HOSTILE) else spec for i, spec in enumerate(specs)]
    labels = ("karpenter.sh/nodepool", "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup")
    entries = [
        {
            "name": f"p{i}",
            "selector": {labels[i % 3]: f"p{i}"},
            "labels": {"tier": ("gold", "base")[i % 2], "k0": f"a{i}"},
            "values": {"topology.kubernetes.io/zone": ["a", "b"], "k1": [f"b{i}", "b"]},
            "taints": [{"key": f"n{i}", "effect": "NoSchedule"}],
        }
        for i in range(pools)
    ]
    document = json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": entries})
    manifests, _ = parse_manifests(Source("pools.yaml", document))
    return Decider(_program_of(specs), inventory_from_documents(manifests))


def program_decider(specs: Sequence[str]) -> Decider:
    """An engine over these policies, where no pool is known."""
    return Decider(_program_of(specs), Inventory((), 0))


def _open(spec: str) -> Json:
    """A policy that is left out where it fails, so that the others are decided all the same."""
    return {**json.loads(spec), "failurePolicy": "Ignore"}


def _program_of(specs: Sequence[str]) -> Program:
    header = {"apiVersion": "bayplan.dev/v1alpha1"}
    bundle = {**header, "kind": "Bundle", "metadata": {"name": "hostile"}, "spec": {"version": "1.0.0"}}
    policies = [
        {**header, "kind": "PlacementPolicy", "metadata": {"name": f"policy-{i:02}"}, "spec": _open(spec)}
        for i, spec in enumerate(specs)
    ]
    files = {"bundle.yaml": json.dumps(bundle), "policies/all.yaml": "\n---\n".join(map(json.dumps, policies))}
    parsed, problems = parse_bundle(files)
    assert parsed is not None, problems
    return compile_bundle(parsed)


def slowest(count: int, dice: Random, work: Callable[[IncomingPod], float], keep: int = 8) -> list[tuple[float, Shape]]:
    """`count` shapes that are tried, those that take most work first: each is a change of one of the worst so far."""
    tried: list[tuple[float, Shape]] = []
    while len(tried) < count:
        worst = tried[:keep]
        shape = drawn(dice) if len(worst) < keep or dice.random() < 0.2 else changed(dice.choice(worst)[1], dice)
        pod = pod_of(shape)
        if pod is not None:
            tried = sorted([*tried, (work(incoming(pod)), shape)], key=lambda one: -one[0])
    return tried
