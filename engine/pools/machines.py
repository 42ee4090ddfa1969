"""The pools of Cluster API: which of its objects are pools of this cluster, which nodes are theirs, and what says so.

A node's pool is known from its annotations: they name the MachinePool or MachineSet that it belongs to, whose label
names the MachineDeployment. No affinity can ask for annotations, so a pool can be chosen only where a label tells its
nodes apart (`apart.py`). Where none does, it is no pool of the inventory, which says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.nodeselector import one_of
from engine.pools.apart import Crowd, selectors
from engine.pools.cluster_api import NAME_LABELS, OWN_DOMAIN, Machines, Owner
from engine.pools.evidence import Declared
from engine.pools.nodes import Node, annotations_of, labels_of, text_in
from engine.pools.objects import LEAVING
from engine.pools.pool import Fact, Labels, Remark, constants
from engine.pools.providers import ZONE, pool_label_of, provider_of
from engine.struct import replace

PROVIDER = "cluster-api"
_OWNER = "cluster.x-k8s.io/owner-"
_CLUSTER = "cluster.x-k8s.io/cluster-"


class MachinePools(NamedTuple):
    """The pools that can be chosen, and what is worth knowing of them and of those that can't be."""

    declared: Sequence[Declared]
    remarks: Sequence[Remark]


def machine_pools(
    found: Sequence[Machines], nodes: Sequence[Node], by_hand: Sequence[Declared], order: Sequence[str]
) -> MachinePools:
    """The pools of these objects, given all nodes.

    What somebody declared `by_hand` under a pool's name says what selects its nodes. `order` are the labels that
    identify a pool.
    """
    if not found:
        return MachinePools((), ())
    remarks: list[Remark] = []
    pools = list(_pools(found, nodes, remarks))
    members = _Members(found, pools, nodes, order)
    pools = [_corrected(pool, members.of.get(pool.owner, ())) for pool in pools]
    told = _by_hand(by_hand)
    crowds = [_crowd(pool, members.of.get(pool.owner, ())) for pool in pools]
    declared = []
    for pool, crowd, selector in zip(pools, crowds, selectors(crowds, members.others, order), strict=True):
        selector = told.get(pool.owner.name, selector)
        remarks += _remarks(pool, crowd, selector)
        if selector:
            declared.append(_declared(pool, selector, members.zones))
    return MachinePools(declared, remarks)


def _pools(found: Sequence[Machines], nodes: Sequence[Node], remarks: list[Remark]) -> Iterator[Machines]:
    """Those of the objects that are pools here: no part of another, not about to go, and of the cluster of the nodes.

    A cluster that manages others has their objects, too, but not their nodes. Where no node says of which cluster it
    is, all objects count.
    """
    here = {
        (text_in(said, f"{_CLUSTER}namespace"), name)
        for node in nodes
        if (said := annotations_of(node)) and (name := text_in(said, f"{_CLUSTER}name"))
    }
    elsewhere: dict[str, int] = {}
    for pool in sorted(found, key=lambda pool: pool.owner):
        if pool.deployment:
            continue
        if pool.leaving:
            remarks.append(Remark("leaving", str(pool.owner), LEAVING))
        elif here and (pool.owner.namespace, pool.cluster) not in here:
            elsewhere[pool.cluster] = elsewhere.get(pool.cluster, 0) + 1
        else:
            yield pool
    for cluster, count in elsewhere.items():
        text = f"{count} of its pools are left out, its nodes are elsewhere"
        remarks.append(Remark("elsewhere", f"cluster {cluster}", text))


class _Members:
    """The labels of each pool's nodes (`of`), those of nodes that are certainly of no such pool, and all zones.

    A node that belongs to something that is not known (its MachineSet may not be read) may be of any pool; so may nodes
    that say nothing, neither by annotations nor by a provider's label, as long as no node has such annotations.
    """

    def __init__(
        self, found: Sequence[Machines], pools: Sequence[Machines], nodes: Sequence[Node], order: Sequence[str]
    ) -> None:
        sets = {each.owner: each.deployment for each in found if each.owner.kind == "MachineSet"}
        known, leaving = {pool.owner for pool in pools}, {each.owner for each in found if each.leaving}
        self.of: dict[Owner, list[Labels]] = {}
        self.zones = frozenset(filter(None, (labels_of(node).get(ZONE) for node in nodes)))
        foreign: list[Labels] = []
        provided: list[Labels] = []
        silent: list[Labels] = []
        for node in nodes:
            owner = owner_of(node, sets)
            if owner is None:
                (silent if pool_label_of(labels_of(node), order) is None else provided).append(labels_of(node))
            elif owner in known:
                self.of.setdefault(owner, []).append(labels_of(node))
            elif owner in leaving or owner.kind not in NAME_LABELS or owner.kind == "MachineDeployment":
                foreign.append(labels_of(node))
        self.others = [*foreign, *provided, *(silent if foreign or self.of else ())]


def owner_of(node: Node, sets: Mapping[Owner, str]) -> Owner | None:
    """What a node belongs to, by its annotations; `sets` has the MachineDeployment of each MachineSet that has one."""
    said = annotations_of(node)
    kind, name = (text_in(said, f"{_OWNER}kind"), text_in(said, f"{_OWNER}name")) if said else ("", "")
    if not kind or not name:
        return None
    owner = Owner(kind, text_in(said, f"{_CLUSTER}namespace"), name)
    deployment = sets.get(owner) or labels_of(node).get(NAME_LABELS["MachineDeployment"], "")
    if kind == "MachineSet" and deployment:
        return Owner("MachineDeployment", owner.namespace, deployment)
    return owner


def _by_hand(declared: Sequence[Declared]) -> dict[str, Labels]:
    """The selectors that somebody gave pools of Cluster API, by name."""
    return {
        said.name: said.selector
        for said in declared
        if (said.provider or provider_of(said.selector) or PROVIDER) == PROVIDER
    }


def _corrected(pool: Machines, members: Sequence[Labels]) -> Machines:
    """A MachinePool with those of its template's labels that reach its nodes; without nodes, all that may do so.

    Who writes them there means its nodes to carry them, and the cluster autoscaler takes that for granted, too.
    """
    if pool.owner.kind != "MachinePool" or not members:
        return pool
    missed = {key for key, value in pool.labels.items() if any(labels.get(key) != value for labels in members)}
    kept = {key: value for key, value in pool.labels.items() if key not in missed}
    return replace(pool, labels=kept, unsynced=tuple(sorted({*pool.unsynced, *missed})))


def _crowd(pool: Machines, members: Sequence[Labels]) -> Crowd:
    return Crowd(pool.labels, (NAME_LABELS[pool.owner.kind], pool.owner.name), members)


def _declared(pool: Machines, selector: Labels, zones: frozenset[str]) -> Declared:
    """A failure domain is a zone where some node says so: what it is called is up to each infrastructure provider."""
    source = f"the {pool.owner.kind}"
    facts = constants({**pool.labels, **selector}, source=source)
    if pool.failure_domains and zones.issuperset(pool.failure_domains):
        facts.setdefault(ZONE, Fact(one_of(pool.failure_domains), source=source))
    return Declared(
        name=pool.owner.name,
        selector=selector,
        provider=provider_of(selector) or PROVIDER,
        facts=facts,
        source=source,
        annotations=pool.annotations,
        taints=pool.taints or None,
        cpu=pool.cpu,
        memory=pool.memory,
        gpus=pool.gpus,
    )


def _remarks(pool: Machines, crowd: Crowd, selector: Labels | None) -> Iterator[Remark]:
    about = str(pool.owner)
    yield from (Remark("unusable", about, note) for note in pool.notes)
    if not selector:
        yield Remark("untold", about, _untold(pool, len(crowd.members)))
    unsynced = [key for key in pool.unsynced if not all(key in labels for labels in crowd.members) or not crowd.members]
    if unsynced:
        yield Remark("unsynced", about, _unsynced(pool, unsynced))
    for taint in pool.passing_taints:
        text = f"the taint {taint.key} is set at initialisation only, so it counts where the nodes have it"
        yield Remark("unsynced", about, text)


def _untold(pool: Machines, nodes: int) -> str:
    known = "its node from all others" if nodes == 1 else f"its {nodes} nodes from all others"
    said = f"no label tells {known}" if nodes else "no label says which nodes will be its own"
    remedy = f"put `{OWN_DOMAIN}/pool: {pool.owner.name}` into spec.template.metadata.labels"
    if pool.owner.kind == "MachinePool" and nodes:
        remedy = "have its bootstrap configuration give each node a label of its own"
    return f"{said}, so no policy can choose it: {remedy}, or say it in an inventory, by `name` and `selector`"


def _unsynced(pool: Machines, keys: Sequence[str]) -> str:
    named = ", ".join(f"`{key}`" for key in keys)
    if pool.owner.kind == "MachinePool":
        return f"of its template no node has {named}, for not every provider makes Machines for a MachinePool"
    return f"of its template no node gets {named}, unless the manager's --additional-sync-machine-labels says so"
