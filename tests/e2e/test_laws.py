"""The laws of placement on the real API server and the real scheduler, on worlds of tests.engine.worlds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

from engine.decision import Decision
from engine.struct import replace
from tests.engine.laws import in_force, named_taints, patched
from tests.engine.matching import admits, tolerates
from tests.engine.worlds import NAMES, World, a_pod, a_world, as_triple, incoming

from .controlplane import ControlPlane, Json, unschedulable, wait_for

ACCEPTED, BOUND = 300, 300
NODES, PODS = 10, 20


def test_the_api_server_accepts_every_patched_pod(cluster: ControlPlane, namespace: str) -> None:
    """As dry runs: a patch that it refused would refuse the pod, whatever the failure policy says."""
    dice = random.Random(1)
    accepted = 0
    while accepted < ACCEPTED:
        engine = a_world(dice, nodes=0).decider()
        for pod in (acceptable(a_pod(dice)) for _ in range(PODS)):
            decision = engine.decide(incoming(pod))
            if decision.patch:
                new = bare(patched(pod, decision), "pod")
                made = cluster.create_pod(namespace, new, dry_run=True)
                assert made["spec"].get("affinity") == new["spec"].get("affinity")
                accepted += 1


@dataclass(frozen=True)
class Prediction:
    """A patched pod, the names of the nodes that the laws let it run on, and of those it could without policies."""

    pod: Json
    nodes: frozenset[str]
    alone: frozenset[str]


def test_the_scheduler_binds_where_the_laws_say(cluster: ControlPlane, namespace: str) -> None:
    """Each of 300 pods to a node of its set, and none of those whose set is empty."""
    dice = random.Random(2)
    predictions: dict[str, Prediction] = {}
    number = 0
    while sum(bool(prediction.nodes) for prediction in predictions.values()) < BOUND:
        number += 1
        world = apart(a_world(dice, nodes=NODES, topology=False), f"w{number}")
        for node in world.nodes:
            cluster.add_node(node["metadata"]["name"], node["metadata"]["labels"], node["spec"]["taints"])
        for prediction in predicted(world, f"w{number}", dice):
            predictions[prediction.pod["metadata"]["name"]] = prediction
    for prediction in predictions.values():
        cluster.create_pod(namespace, prediction.pod)
    waiting = {name for name, prediction in predictions.items() if prediction.nodes}
    bound: dict[str, str] = {}

    def settled() -> bool:
        pods = cluster.pods(namespace)
        bound.update({pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods if "nodeName" in pod["spec"]})
        return waiting <= bound.keys() and all("nodeName" in pod["spec"] or unschedulable(pod) for pod in pods)

    wait_for(settled, "all pods to be bound or given up", lambda: sorted(waiting - bound.keys()))
    assert {name: node for name, node in bound.items() if node not in predictions[name].nodes} == {}
    assert sum(bool(one.alone - one.nodes) for one in predictions.values()) > BOUND / 4
    assert sum(bool(one.nodes - one.alone) for one in predictions.values()) > BOUND / 20


def apart(world: World, name: str) -> World:
    """The possible nodes of a world, with names and a label that no other world's have."""
    nodes = []
    for place, node in enumerate(world.nodes):
        labels, taints = node["metadata"]["labels"], node["spec"]["taints"]
        if world.possible(labels):
            own = NAMES[place] if place < len(NAMES) - 1 else str(place)
            unique = {(taint["key"], taint["effect"]): taint for taint in taints}
            metadata = {"name": f"{name}-{own}", "labels": {**labels, "world": name}}
            nodes.append({"metadata": metadata, "spec": {"taints": list(unique.values())}})
    return replace(world, nodes=tuple(nodes))


def predicted(world: World, name: str, dice: random.Random) -> Iterator[Prediction]:
    """Pods of a world, kept to its nodes, that the engine lets in."""
    engine = world.decider()
    for number in range(PODS):
        pod = acceptable(a_pod(dice, topology=False))
        text = json.dumps(pod)
        for own in NAMES:
            text = text.replace(f'"{own}"', f'"{name}-{own}"')
        pod = json.loads(text)
        pod["spec"]["nodeSelector"] = {**pod["spec"].get("nodeSelector", {}), "world": name}
        decision = engine.decide(incoming(pod))
        if decision.allowed:
            alone = may_run_on(World((), (), world.nodes), pod, decision)
            new = bare(patched(pod, decision), f"{name}-{number}")
            yield Prediction(new, may_run_on(world, pod, decision), alone)


def may_run_on(world: World, pod: Json, decision: Decision) -> frozenset[str]:
    """The nodes that the pod asks for and all policies are satisfied with, whose taints it or a policy tolerates."""
    holding, app = in_force(world, decision), pod["metadata"]["labels"]["app"]
    named = named_taints(world, pod, decision)
    names = set()
    for place, node in enumerate(world.nodes):
        labels, name = node["metadata"]["labels"], node["metadata"]["name"]
        barred = [
            taint
            for taint in node["spec"]["taints"]
            if taint["effect"] != "PreferNoSchedule"
            and as_triple(taint) not in named
            and not any(tolerates(one, taint) for one in pod["spec"].get("tolerations", ()))
        ]
        if admits(pod, labels, name) and not barred and all(world.eligible(p, app, place) for p in holding):
            names.add(name)
    return frozenset(names)


def acceptable(pod: Json) -> Json:
    """The pod without tolerations that compare numbers: their feature gate is off by default."""
    spec = pod["spec"]
    kept = [one for one in spec.get("tolerations", ()) if one.get("operator") not in ("Gt", "Lt")]
    return {**pod, "spec": {**spec, "tolerations": kept}} if "tolerations" in spec else pod


def bare(pod: Json, name: str) -> Json:
    """The pod under another name, in whatever namespace."""
    return {**pod, "metadata": {"name": name, "labels": pod["metadata"]["labels"]}}
