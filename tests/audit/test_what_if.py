"""What would follow: whether a fresh pod would find a node is what Kubernetes' own code says of its nodes."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from audit.findings import Finding
from audit.nodes import places_of
from audit.parallel import rows
from audit.replay import Replay
from engine.decision import Decider
from engine.documents import parse_quantity
from engine.pods import IncomingPod, incoming_of
from engine.pools.inventory import inventory_from_objects
from engine.program import compile_bundle
from tests.engine.builders import BASE, decider
from tests.engine.oracle import built
from tests.engine.worlds import ALPHABET, CAPACITY, GKE, KARPENTER, TIER, ZONE, a_pod, a_policy, a_taint
from tests.engine.worlds import _bundle as bundle_of

CLUSTERS = 300 if os.environ.get("BAYPLAN_NIGHTLY") == "1" else 60
NOWHERE = {"taint", "capacity", "noPool", "unseen", "noNode"}
LIFECYCLE = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
Json = dict[str, Any]


def a_cluster(dice: random.Random) -> list[Json]:
    """The nodes of one to three pools, some of which look alike."""
    nodes: list[Json] = []
    for number in range(dice.randint(1, 3)):
        key = dice.choice([KARPENTER, KARPENTER, GKE])
        common = {key: dice.choice(ALPHABET[key])}
        common |= {TIER: dice.choice(ALPHABET[TIER])} if dice.random() < 0.7 else {}
        taints = [a_taint(dice) for _ in range(dice.choice([0, 0, 1]))]
        room = {"cpu": dice.choice(["1", "4", "16"]), "memory": dice.choice(["2Gi", "8Gi"]), "pods": "110"}
        for i in range(dice.randint(1, 3)):
            labels = {**common, ZONE: dice.choice(ALPHABET[ZONE])}
            labels |= {CAPACITY: dice.choice(ALPHABET[CAPACITY])} if key == KARPENTER else {}
            metadata = {"name": f"n{number}-{i}", "labels": labels}
            spec, status = {"taints": taints}, {"allocatable": room}
            nodes.append({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status})
    return nodes


def a_fresh_pod(dice: random.Random, number: int) -> Json:
    pod = a_pod(dice, topology=False)
    requests = {"cpu": dice.choice(["100m", "2", "8"]), "memory": dice.choice(["1Gi", "4Gi"])}
    pod["spec"]["containers"][0]["resources"] = {"requests": requests}
    metadata = {**pod["metadata"], "name": f"pod-{number}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def found(engine: Decider, nodes: list[Json], pods: list[Json]) -> dict[str, Finding]:
    """What a replay says of pods, by name."""
    replay = Replay(engine, time="", places=places_of(nodes, engine.pool_index))
    for one in pods:
        replay.given.take(one)
    return {row.finding.example: row.told() for row in rows(replay, 1, lambda _: None)}


def fits(node: Json, requests: dict[str, int]) -> bool:
    """Whether an empty node has what the scheduler counts."""
    has = {name: parse_quantity(amount) for name, amount in node["status"]["allocatable"].items()}
    return all((amount / 1000 if name == "cpu" else amount) <= has.get(name, 0) for name, amount in requests.items())


def test_what_finds_no_node_is_what_kubernetes_finds_none_for() -> None:
    told: list[tuple[int, str, set[str], bool]] = []
    cases: list[tuple[list[Any], list[Json]]] = []
    nodes_of: list[list[Json]] = []
    for seed in range(CLUSTERS):
        dice = random.Random(seed)
        nodes = a_cluster(dice)
        policies = [a_policy(dice, name, topology=False) for name in dice.sample(["one", "two"], dice.randint(1, 2))]
        engine = Decider(compile_bundle(bundle_of(policies)), inventory_from_objects(nodes))
        pods = [a_fresh_pod(dice, number) for number in range(5)]
        findings = found(engine, nodes, pods)
        patched: list[Any] = []
        for one in pods:
            finding = findings[one["metadata"]["name"]]
            if finding.outcome == "denied":
                continue
            incoming = incoming_of("", one, {})
            assert isinstance(incoming, IncomingPod)
            patched.append(engine.decide(incoming).patched)
            about = bool(finding.effect.policies)
            nowhere: set[str] = NOWHERE & {str(each.what) for each in finding.effect.follows}
            told.append((seed, finding.example, nowhere, about))
            nodes_of.append(nodes)
        cases.append((patched, nodes))
    answers = [answer for each in built().ask(cases) for answer in each]
    counts = {True: 0, False: 0}
    for (seed, name, said, about), answer, nodes in zip(told, answers, nodes_of, strict=True):
        takes = [
            admits and tolerates and fits(node, answer.requests)
            for admits, tolerates, node in zip(answer.admits, answer.tolerates, nodes, strict=True)
        ]
        if about or said:
            assert bool(said) != any(takes), (seed, name, said, takes)
            counts[any(takes)] += 1
    assert min(counts.values()) > CLUSTERS / 4


def node(name: str, taints: list[Json] | None = None, **room: str) -> Json:
    labels = {"karpenter.sh/nodepool": "plain"}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}, "status": {"allocatable": room}}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([node("a", cpu="4", memory="1Gi")], ""),
        ([node("a")], ""),  # nobody knows what it has
        ([node("a", [LIFECYCLE], cpu="4", memory="1Gi")], ""),  # it will be ready one day
        ([node("a", [{"key": "x", "effect": "PreferNoSchedule"}], cpu="4", memory="1Gi")], ""),
        ([node("a", cpu="1", memory="1Gi")], "of 1 nodes that there are none would take it: 1 are too small"),
        (
            [node("a", [{"key": "x", "effect": "NoExecute"}]), node("b", cpu="1"), {"metadata": {"name": "c"}}],
            "of 3 nodes that there are none would take it: 1 are not those that it may be on, 1 have taints that "
            "it does not tolerate, 1 are too small",
        ),
        ([], ""),
    ],
)
def test_why_no_node_that_there_is_would_do(nodes: list[Json], said: str) -> None:
    engine = decider(BASE.replace('pool.labels["tier"] == "base"', 'pool.name == "plain"'))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2", "example.com/thing": "1"}}  # type: ignore[index]
    (finding,) = found(engine, nodes, [pod]).values()
    assert [each.text for each in finding.effect.follows if each.what == "noNode"] == [said] * bool(said)
