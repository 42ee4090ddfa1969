"""What would follow, before a real Karpenter: whether a fresh pod finds a node is what Karpenter and the scheduler make
of it.

Random small clusters, of NodePools and a few nodes that nobody makes, with random policies; `bayplan audit` says of
pods in a file what would become of them, and then they are created under these policies.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .auditing import findings
from .controlplane import ControlPlane, unschedulable, wait_for
from .karpenter import CAPACITY_TYPE, FAMILY, POOL_LABEL, ZONE, ZONES, Karpenter, node_pool, requirement
from .placing import placing, write_policies
from .pods import pod

NIGHTLY = os.environ.get("BAYPLAN_NIGHTLY") == "1"
CLUSTERS, PODS = 20, 6
QUIET_SECONDS = 15.0
STATIC = "cloud.google.com/gke-nodepool"
NOWHERE = {"taint", "capacity", "noPool", "noNode"}
TAINTS = [{"key": key, "value": "v", "effect": effect} for key in "kj" for effect in ("NoSchedule", "NoExecute")]
SOFT = {"key": "k", "value": "v", "effect": "PreferNoSchedule"}
ATOMS = [
    'pool.labels[?"tier"].orValue("") == "gold"',
    'node.labels["tier"] == "base"',
    'node.labels[?"tier"].orValue("none") != "gold"',
    'node.zone == "eu-1b"',
    'node.zone in ["eu-1a", "us-1a"]',
    'node.zone != "eu-1a"',
    '"us-1a" in pool.zones',
    'node.capacityType == "spot"',
    'node.capacityType != "spot"',
    'pool.provider == "karpenter"',
    'pool.provider != "karpenter"',
    'pool.name in ["alpha", "static"]',
    'pool.name != "beta"',
    'node.labels["site"] == "here"',
]
Json = dict[str, Any]


@pytest.fixture
def cluster(karpenter: Karpenter) -> ControlPlane:
    """The control plane that Karpenter acts on."""
    return karpenter.cluster


def some_taints(dice: random.Random) -> list[dict[str, str]]:
    return dice.choice([[], [], [], [dice.choice(TAINTS)], [SOFT]])


def a_node_pool(dice: random.Random, name: str) -> Any:
    asked = [requirement(FAMILY, "In", "general")]
    if dice.random() < 0.5:
        asked.append(requirement(ZONE, "In", *dice.sample([*ZONES], dice.randint(1, 2))))
    if dice.random() < 0.5:
        asked.append(requirement(CAPACITY_TYPE, "In", dice.choice(["spot", "on-demand"])))
    labels = {}
    match dice.randrange(5):
        case 0:
            asked.append(requirement("tier", "In", "gold", "base"))
        case 1:
            asked.append(requirement("tier", "Exists"))
        case 2 | 3:
            labels = {"tier": dice.choice(["gold", "base"])}
    return node_pool(name, *asked, labels=labels, taints=some_taints(dice))


def add_static(dice: random.Random, cluster: ControlPlane) -> None:
    labels = {STATIC: "static", ZONE: dice.choice([*ZONES])}
    labels |= {"tier": dice.choice(["gold", "base"])} if dice.random() < 0.5 else {}
    labels |= {"site": "here"} if dice.random() < 0.5 else {}
    for number in range(dice.choice([0, 0, 1, 2])):
        cpu = dice.choice(["1", "32"])
        cluster.add_node(f"static-{number}", labels, some_taints(dice), {"cpu": cpu})


def a_policy(dice: random.Random) -> Json:
    first, second = dice.sample(ATOMS, 2)
    expression = dice.choice([first, first, f"({first}) && ({second})", f"({first}) || ({second})", f"!({first})"])
    spec: Json = {"require": [{"expression": expression}], "whenEmpty": dice.choice(["deny", "warn", "ignore"])}
    if dice.random() < 0.4:
        spec["tolerate"] = [{"expression": 'taint.key == "k"'}]
    if dice.random() < 0.3:
        spec["podSelector"] = {"matchLabels": {"team": "blue"}}
    return spec


def a_fresh_pod(dice: random.Random, number: int) -> Any:
    given = pod(f"pod-{number}", labels={"team": dice.choice(["blue", "red"])})
    spec = given["spec"]
    spec["containers"][0]["resources"] = {"requests": {"cpu": dice.choice(["100m", "2"])}}
    selectors = [
        {},
        {},
        {ZONE: dice.choice([*ZONES])},
        {"tier": dice.choice(["gold", "base", "tin"])},
        {CAPACITY_TYPE: dice.choice(["spot", "on-demand"])},
        {POOL_LABEL: dice.choice(["alpha", "beta"])},
        {STATIC: "static"},
    ]
    spec["nodeSelector"] = dice.choice(selectors)
    if dice.random() < 0.3:
        spec["tolerations"] = [dice.choice([{"key": "k", "operator": "Exists"}, {"operator": "Exists"}])]
    return given


def audited(cluster: ControlPlane, namespace: str, bundle: Path, pods: list[Any]) -> dict[str, Json]:
    """What `bayplan audit` says of pods that are not there yet, by name."""
    placed = [{**one, "metadata": {**one["metadata"], "namespace": namespace}} for one in pods]
    where = bundle.with_name("pods.json")
    where.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": placed}))
    found = findings("--bundle", bundle, "--kubeconfig", cluster.kubeconfig, "--pods", where)
    return {one["example"]: one for one in found}


def settled(karpenter: Karpenter, namespace: str, names: list[str]) -> dict[str, str | None]:
    """The node of each pod; None where neither the scheduler nor Karpenter finds one. Of pods that it takes for none of
    its own Karpenter says nothing: these have none once nothing has happened for a while."""
    cluster, since = karpenter.cluster, time.monotonic()
    before: tuple[object, ...] = ()

    def nodes() -> dict[str, str | None] | None:
        nonlocal before, since
        pods = {one["metadata"]["name"]: one for one in cluster.pods(namespace)}
        found = {name: pods[name]["spec"].get("nodeName") for name in names}
        now = found, len(karpenter.claims()), len(karpenter.nodes())
        if now != before:
            before, since = now, time.monotonic()
        left = [name for name in names if not found[name]]
        still = time.monotonic() - since > QUIET_SECONDS
        over = all(unschedulable(pods[name]) and (still or given_up(cluster, namespace, name)) for name in left)
        return found if over else None

    return wait_for(nodes, "pods to be bound or given up", karpenter.tail) if names else {}


def given_up(cluster: ControlPlane, namespace: str, name: str) -> bool:
    """Whether Karpenter has said that it makes no node for a pod."""
    events = cluster.api("GET", f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={name}")
    return any("Failed to schedule" in one["message"] for one in events["items"])


@pytest.mark.skipif(not NIGHTLY, reason="takes minutes")
@pytest.mark.timeout(1800)
def test_what_finds_no_node_is_what_karpenter_finds_none_for(karpenter: Karpenter, tmp_path: Path) -> None:
    counts, different = Counter[str](), list[str]()
    for seed in range(CLUSTERS):
        dice, cluster, namespace = random.Random(seed), karpenter.cluster, f"follows-{seed}"
        cluster.add_namespace(namespace)
        pools = [a_node_pool(dice, name) for name in dice.sample(["alpha", "beta", "gamma"], dice.randint(1, 3))]
        karpenter.add(*pools)
        add_static(dice, cluster)
        specs = [json.dumps(a_policy(dice)) for _ in range(dice.randint(1, 2))]
        pods = [a_fresh_pod(dice, number) for number in range(PODS)]
        (tmp_path / str(seed)).mkdir()
        found = audited(cluster, namespace, write_policies(tmp_path / str(seed) / "bundle", *specs), pods)
        admitted: list[str] = []
        with placing(cluster, namespace, tmp_path / str(seed), *specs, pool_of=lambda _: ""):
            for one in pods:
                name = one["metadata"]["name"]
                path = f"/api/v1/namespaces/{namespace}/pods"
                answer = cluster.request("POST", path, one)
                denied = answer.status_code == 403
                assert denied == (found[name]["outcome"] == "denied"), (seed, name, answer.text)
                assert denied or answer.is_success, answer.text
                if denied:
                    counts["denied"] += 1
                else:
                    admitted.append(name)
            nodes = settled(karpenter, namespace, admitted)
        for name in admitted:
            finding = found[name]
            follows = {str(one["what"]) for one in finding["follows"]}
            said = NOWHERE & follows
            if "unseen" in follows:  # whether Karpenter can make such a node is its cloud's affair
                counts["unseen, and placed" if nodes[name] else "unseen, and nowhere"] += 1
                continue
            if bool(said) == bool(nodes[name]):
                about = any(one["outcome"] in ("applied", "satisfied") for one in finding["policies"])
                if not about and not said:
                    counts["of its own accord"] += 1
                    continue
                different.append(
                    f"{seed} {name}: {finding['outcome']} {said or 'somewhere'}, and it is on {nodes[name]}"
                )
            counts["placed" if nodes[name] else "nowhere"] += 1
        karpenter.sweep()
        print(f"cluster {seed}: {dict(counts)}", *different, flush=True)
    assert not different, "\n".join(different)
    assert min(counts["placed"], counts["nowhere"]) > CLUSTERS / 2
