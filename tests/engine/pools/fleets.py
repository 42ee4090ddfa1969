"""Random fleets, drawn together with what is true of them: NodePools, Cluster API's pools, and Nodes in any mix."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

Json = dict[str, Any]
KINDS = ("NodePool", "MachineDeployment", "MachinePool", "MachineSet", "NodeGroup")
POOL_LABEL = {"NodePool": "karpenter.sh/nodepool", "NodeGroup": "eks.amazonaws.com/nodegroup"}
OWN = "node.cluster.x-k8s.io/pool"


@dataclass
class Truth:
    """A pool as it is: who makes its nodes, what is declared of them, and the nodes."""

    kind: str
    name: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """What all its nodes carry, and what it declares."""
    unsynced: dict[str, str] = field(default_factory=dict)
    taints: list[Json] = field(default_factory=list)
    cpu: int | None = None
    nodes: list[Json] = field(default_factory=list)

    @property
    def of_cluster_api(self) -> bool:
        return self.kind in ("MachineDeployment", "MachinePool", "MachineSet")


@dataclass
class Fleet:
    """Pools, nodes of none, and the objects that tell of all of them."""

    pools: list[Truth]
    strays: list[Json]
    objects: list[Json]


def fleet(seed: int) -> Fleet:
    """The fleet of a seed."""
    random = Random(seed)
    pools = [_pool(random, at) for at in range(random.randrange(6))]
    strays = [_node(random, f"stray-{i}", {}, {}) for i in range(random.randrange(3))]
    objects = [each for pool in pools for each in _objects(pool)] + strays
    random.shuffle(objects)
    return Fleet(pools, strays, objects)


def _pool(random: Random, at: int) -> Truth:
    kind = random.choice(KINDS)
    pool = Truth(kind, f"{kind.lower()}-{at}")
    if kind in POOL_LABEL:
        pool.labels = {POOL_LABEL[kind]: pool.name}
    if pool.of_cluster_api:
        pool.namespace = "fleet"
        pool.labels = random.choice([{}, {OWN: pool.name}, {OWN: "shared"}, {"node-role.kubernetes.io/worker": ""}])
        pool.unsynced = random.choice([{}, {"team": "a"}])
    if kind == "NodePool":
        pool.labels |= random.choice([{}, {"team": "a"}, {OWN: "shared"}])
    if kind != "NodeGroup":
        pool.taints = random.choice([[], [{"key": "dedicated", "value": pool.name, "effect": "NoSchedule"}]])
    pool.cpu = random.choice([None, 8]) if pool.of_cluster_api else None
    seen = dict(random.choice([{}, {"rack": pool.name}, {"rack": "same"}]))
    least = 1 if kind == "NodeGroup" else 0
    for i in range(random.randrange(least, 4)):
        pool.nodes.append(_node(random, f"{pool.name}-{i}", {**pool.labels, **seen}, _annotations(pool), pool.taints))
    return pool


def _annotations(pool: Truth) -> dict[str, str]:
    if not pool.of_cluster_api:
        return {}
    kind, name = ("MachineSet", f"{pool.name}-x1") if pool.kind == "MachineDeployment" else (pool.kind, pool.name)
    said = {"cluster-name": "prod", "cluster-namespace": pool.namespace, "owner-kind": kind, "owner-name": name}
    return {f"cluster.x-k8s.io/{key}": value for key, value in said.items()}


def _node(
    random: Random, name: str, labels: dict[str, str], annotations: dict[str, str], taints: list[Json] | None = None
) -> Json:
    more = {"topology.kubernetes.io/zone": random.choice(["z1", "z2"]), "kubernetes.io/hostname": name}
    ready = {"type": "Ready", "status": random.choice(["True", "False"])}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**labels, **more}, "annotations": annotations},
        "spec": {"taints": [*(taints or ()), {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": str(random.choice([4, 16]))}, "conditions": [ready]},
    }


def _objects(pool: Truth) -> list[Json]:
    if pool.kind == "NodeGroup":
        return pool.nodes
    labels = {key: value for key, value in pool.labels.items() if key not in POOL_LABEL.values()} | pool.unsynced
    about: Json = {"name": pool.name}
    spec: Json = {"taints": [{**taint, "propagation": "Always"} for taint in pool.taints], "requirements": []}
    made: Json = {
        "kind": pool.kind,
        "metadata": about,
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    if not pool.of_cluster_api:
        return [{"apiVersion": "karpenter.sh/v1", **made}, *pool.nodes]
    about["namespace"] = pool.namespace
    made["spec"]["clusterName"] = "prod"
    if pool.cpu:
        about["annotations"] = {"capacity.cluster-autoscaler.kubernetes.io/cpu": str(pool.cpu)}
    made["apiVersion"] = "cluster.x-k8s.io/v1beta2"
    sets = [_machine_set(made)] if pool.kind == "MachineDeployment" else []
    return [made, *sets, *pool.nodes]


def _machine_set(deployment: Json) -> Json:
    about = deployment["metadata"]
    labels = {"cluster.x-k8s.io/deployment-name": about["name"]}
    name = {"name": f"{about['name']}-x1", "namespace": about["namespace"]}
    return {**deployment, "kind": "MachineSet", "metadata": {**name, "labels": labels}}
