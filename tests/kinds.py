"""The pools of an inventory as each kind of object would tell of them, and the nodes that they would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml

from engine.nodeselector import ABSENT
from engine.pools import Inventory, Pool
from engine.pools.inventory import inventory_from_objects
from engine.pools.providers import capacity, is_anybodys, provider_of
from tests.engine.builders import inventory as read

Json = dict[str, Any]
Labels = Mapping[str, str]

GPU = "nvidia.com/gpu"
OWN_LABEL = "example.com/node-group"
_PROMISED = "capacity.cluster-autoscaler.kubernetes.io/"
_CAPACITY = {"karpenter": "karpenter.sh/capacity-type", "cluster-api": "cluster.x-k8s.io/interruptible"}


@dataclass(frozen=True)
class Group:
    """A pool as it is: what one of its nodes of each sort carries, without what a kind of object adds of its own.

    `shown` are labels that its nodes have besides, and that nobody declares.
    """

    pool: Pool
    nodes: tuple[Labels, ...]
    shown: Labels

    @property
    def name(self) -> str:
        return self.pool.name

    @property
    def spot(self) -> list[bool]:
        """Of each of the nodes, whether it is a spot node by what the pool's own provider says."""
        rule = capacity(self.pool.provider)
        return [rule is not None and rule.of(labels) == "spot" for labels in self.nodes]

    @property
    def taints(self) -> list[Json]:
        return [{"key": t.key, "value": t.value, "effect": t.effect} for t in self.pool.taints]


@dataclass(frozen=True)
class Kind:
    """A fleet as one kind of object tells of it: the inventory, and by pool the labels of its nodes."""

    inventory: Inventory
    nodes: Mapping[str, Sequence[Labels]]


SHOWN: Mapping[str, Labels] = {name: {"karpenter.k8s.aws/instance-local-nvme": "1900"} for name in ("nvme", "nvme-md")}


def groups_of(inventory: Inventory) -> list[Group]:
    """The pools of an inventory with a node for every value that they may have."""
    return [Group(pool, tuple(_nodes(pool)), SHOWN.get(pool.name, {})) for pool in inventory.pools]


def _nodes(pool: Pool) -> Iterator[Labels]:
    known = {key: sorted(fact.values) for key, fact in pool.facts.items() if fact.values}
    for values in product(*known.values()):
        yield dict(zip(known, values, strict=True))


def as_they_are(inventory: Inventory) -> Kind:
    """The inventory itself."""
    return Kind(inventory, _as_shown(inventory, {group.name: group.nodes for group in groups_of(inventory)}))


def _as_shown(inventory: Inventory, nodes: Mapping[str, Sequence[Labels]]) -> dict[str, list[Labels]]:
    """The nodes with the labels that nobody declares."""
    return {group.name: [{**labels, **group.shown} for labels in nodes[group.name]] for group in groups_of(inventory)}


def _own(labels: Labels) -> dict[str, str]:
    """The labels that say neither whose a node is nor, by some provider's word, what it costs."""
    kinds = (*_CAPACITY.values(), "cloud.google.com/gke-spot", "karpenter.k8s.aws/ec2nodeclass")
    return {key: value for key, value in labels.items() if not provider_of({key: ""}) and key not in kinds}


def as_node_pools(inventory: Inventory, *, live: bool) -> Kind:
    """Karpenter NodePools, without nodes or with one of each sort."""
    objects, nodes = list[Json](), dict[str, list[Labels]]()
    for group in groups_of(inventory):
        nodes[group.name] = [
            {
                **_own(labels),
                **({"karpenter.k8s.aws/instance-gpu-count": str(group.pool.gpus)} if group.pool.gpus else {}),
                "karpenter.sh/nodepool": group.name,
                "karpenter.k8s.aws/ec2nodeclass": "default",
                _CAPACITY["karpenter"]: "spot" if spot else "on-demand",
            }
            for labels, spot in zip(group.nodes, group.spot, strict=True)
        ]
        objects += [_node_pool(group, nodes[group.name]), *(_node_objects(group, nodes[group.name]) if live else ())]
    return Kind(inventory_from_objects(objects), _as_shown(inventory, nodes))


def _node_pool(group: Group, nodes: Sequence[Labels]) -> Json:
    given = ("karpenter.sh/nodepool", "karpenter.k8s.aws/ec2nodeclass")
    known = {key: sorted({labels[key] for labels in nodes}) for key in nodes[0] if key not in given}
    own = {key: values[0] for key, values in known.items() if not is_anybodys(key)}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": group.name},
        "spec": {
            "template": {
                "metadata": {"labels": own},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    "requirements": [
                        {"key": key, "operator": "In", "values": values}
                        for key, values in known.items()
                        if key not in own
                    ],
                    "taints": group.taints,
                },
            }
        },
    }


def as_machine_deployments(inventory: Inventory, *, live: bool, beside: bool = True) -> Kind:
    """Cluster API's MachineDeployments, scaled to zero or with one node of each sort.

    What all nodes carry is promised to the cluster autoscaler. That none carries a label nothing of Cluster API can
    say: an inventory `beside` it does.
    """
    objects, nodes = list[Json](), dict[str, list[Labels]]()
    for group in groups_of(inventory):
        nodes[group.name] = [
            {
                **_own(labels),
                "node.cluster.x-k8s.io/pool": group.name,
                **({_CAPACITY["cluster-api"]: ""} if spot else {}),
            }
            for labels, spot in zip(group.nodes, group.spot, strict=True)
        ]
        objects += [_machine_deployment(group, nodes[group.name])]
        objects += _node_objects(group, nodes[group.name]) if live else ()
    absent = _said_to_be_absent(inventory) if beside else []
    return Kind(read("\n---\n".join(map(yaml.safe_dump, [*objects, *absent]))), _as_shown(inventory, nodes))


def _said_to_be_absent(inventory: Inventory) -> list[Json]:
    """An inventory that says which labels no node of a pool carries; none where there is nothing to say."""
    pools = [
        {"name": pool.name, "selector": {"node.cluster.x-k8s.io/pool": pool.name}, "absent": absent}
        for pool in inventory.pools
        if (absent := [key for key, fact in pool.facts.items() if fact.states == ABSENT])
    ]
    return [{"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pools}] if pools else []


def _machine_deployment(group: Group, nodes: Sequence[Labels]) -> Json:
    shared = {k: v for k, v in nodes[0].items() if all(labels.get(k) == v for labels in nodes)}
    pool, promised = group.pool, {f"{_PROMISED}labels": ",".join(f"{key}={value}" for key, value in shared.items())}
    promised |= {f"{_PROMISED}cpu": f"{pool.cpu:g}"} if pool.cpu else {}
    promised |= {f"{_PROMISED}memory": str(pool.memory)} if pool.memory else {}
    promised |= {f"{_PROMISED}gpu-count": str(pool.gpus), f"{_PROMISED}gpu-type": GPU} if pool.gpus else {}
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {"name": group.name, "namespace": "fleet", "annotations": promised},
        "spec": {
            "clusterName": "prod",
            "template": {
                "metadata": {"labels": {"node.cluster.x-k8s.io/pool": group.name, "team": "not-on-nodes"}},
                "spec": {"taints": [{**taint, "propagation": "Always"} for taint in group.taints]},
            },
        },
    }


def as_nodes(inventory: Inventory) -> Kind:
    """Nodes alone, labelled as the pools' own providers label them."""
    objects, nodes = list[Json](), dict[str, list[Labels]]()
    for group in groups_of(inventory):
        name = {} if provider_of(group.pool.selector) else {"cluster.x-k8s.io/deployment-name": group.name}
        nodes[group.name] = [{**labels, **name} for labels in group.nodes]
        objects += _node_objects(group, nodes[group.name])
    return Kind(inventory_from_objects(objects), _as_shown(inventory, nodes))


def as_bare_nodes(inventory: Inventory, *, grouped: bool) -> Kind:
    """Nodes alone, of no provider: a label of one's own says to which group each belongs, if Bayplan is told so."""
    objects, nodes = list[Json](), dict[str, list[Labels]]()
    for group in groups_of(inventory):
        nodes[group.name] = [
            {**_own(labels), OWN_LABEL: group.name, **({"node.kubernetes.io/lifecycle": "spot"} if spot else {})}
            for labels, spot in zip(group.nodes, group.spot, strict=True)
        ]
        objects += _node_objects(group, nodes[group.name])
    return Kind(inventory_from_objects(objects, [OWN_LABEL] if grouped else []), _as_shown(inventory, nodes))


def _node_objects(group: Group, nodes: Sequence[Labels]) -> list[Json]:
    pool = group.pool
    allocatable = {"cpu": f"{pool.cpu or 4:g}", "memory": str(pool.memory or 2**34)}
    allocatable |= {GPU: str(pool.gpus)} if pool.gpus else {}
    annotations = {
        "cluster.x-k8s.io/cluster-name": "prod",
        "cluster.x-k8s.io/cluster-namespace": "fleet",
        "cluster.x-k8s.io/owner-kind": "MachineDeployment",
        "cluster.x-k8s.io/owner-name": group.name,
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"{group.name}-{at}",
                "labels": {**labels, **group.shown},
                "annotations": annotations if "node.cluster.x-k8s.io/pool" in labels else {},
            },
            "spec": {"taints": group.taints},
            "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
        }
        for at, labels in enumerate(nodes)
    ]
