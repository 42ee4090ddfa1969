"""engine.pools.machines: which objects of Cluster API are pools here, which nodes are theirs, and what selects them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.pools.census import Census
from engine.pools.inventory import inventory_from_objects, live_inventory
from engine.pools.pool import Inventory, Labels, Pool, capacity_types

from .fleets import OWN, POOL_LABEL, Fleet, Truth, fleet
from .test_cluster_api import machines

Json = dict[str, Any]


def node(name: str, owner: str = "", labels: dict[str, str] | None = None, **annotations: str) -> Json:
    """A node of an owner, `Kind/name`, of the cluster fleet/prod."""
    kind, _, named = owner.partition("/")
    said = {"owner_kind": kind, "owner_name": named, "cluster_name": "prod", "cluster_namespace": "fleet"}
    told = {f"cluster.x-k8s.io/{key.replace('_', '-')}": value for key, value in {**said, **annotations}.items()}
    metadata = {"name": name, "labels": labels or {}, "annotations": told if owner else {}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def named(name: str, kind: str = "MachineDeployment", cluster: str = "prod", labels: Labels | None = None) -> Json:
    made = machines(kind, {"metadata": {"labels": dict(labels or {})}})
    made["metadata"]["name"] = name
    made["spec"]["clusterName"] = cluster
    return made


def part(name: str, deployment: str) -> Json:
    made = named(name, "MachineSet")
    made["metadata"]["labels"] = {"cluster.x-k8s.io/deployment-name": deployment}
    return made


def pools(inventory: Inventory) -> dict[str, tuple[Labels, int | None]]:
    return {pool.name: (pool.selector, pool.nodes) for pool in inventory.pools}


def remarks(inventory: Inventory, kind: str) -> list[str]:
    return [str(remark) for remark in inventory.remarks if remark.kind == kind]


def test_nodes_of_a_deployment_are_known_by_their_machine_set() -> None:
    nodes = [node("a", "MachineSet/md-1", {"rack": "1"}), node("b", "MachineSet/md-2", {"rack": "1"}), node("c")]
    found = inventory_from_objects([named("md"), part("md-1", "md"), part("md-2", "md"), *nodes])
    assert pools(found) == {"md": ({"rack": "1"}, 2)}
    assert found.strays == 1


def test_a_pool_that_no_label_tells_is_none_and_why_is_said() -> None:
    found = inventory_from_objects(
        [named("md"), part("md-1", "md"), node("a", "MachineSet/md-1"), named("mp", "MachinePool")]
    )
    assert pools(found) == {}
    deployment, pool = remarks(found, "untold")
    assert deployment.startswith("MachineDeployment fleet/md: no label tells its node from all others")
    assert f"put `{OWN}/".rstrip("/") + ": md` into spec.template.metadata.labels" in deployment
    assert pool.startswith("MachinePool fleet/mp: no label says which nodes will be its own")


def test_an_inventory_by_hand_can_say_it() -> None:
    """`name` says which pool is meant, `selector` what tells its nodes apart; what else it says wins."""
    from engine.documents import Source, parse_manifests
    from engine.pools import inventory_from_documents

    text = (
        "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n"
        "pools: [{name: md, selector: {rack: '1'}, cpu: 3, labels: {tier: gold}}]\n"
    )
    by_hand, _ = parse_manifests(Source("mine.yaml", text))
    cluster = [machines(template={"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}, cpu="8", memory="1Gi")]
    (pool,) = live_inventory(by_hand, Seen(cluster, []), Census()).pools
    assert (pool.name, pool.selector, pool.provider, pool.cpu, pool.memory) == (
        "md",
        {"rack": "1"},
        "cluster-api",
        3,
        2**30,
    )
    assert pool.labels == {"rack": "1", "tier": "gold", "node-role.kubernetes.io/x": ""}
    assert inventory_from_documents(by_hand).pools[0].cpu == 3


class Seen:
    """What was read of a cluster."""

    def __init__(self, resources: list[Json], nodes: list[Json], unread: tuple[str, ...] = ()) -> None:
        self.resources, self.nodes, self.unread = resources, nodes, unread


def test_contradictions_are_told_and_what_is_said_by_hand_wins() -> None:
    from engine.documents import Source, parse_manifests

    text = (
        "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n"
        "pools: [{name: md, selector: {node.cluster.x-k8s.io/pool: md}, labels: {disk: ssd}}]\n"
    )
    by_hand, _ = parse_manifests(Source("mine.yaml", text))
    cluster = [machines(template={"metadata": {"labels": {OWN: "md"}}}, labels="disk=hdd")]
    seen = [node("n", "MachineDeployment/md", {OWN: "md", "disk": "nvme"})]
    found = live_inventory(by_hand, Seen(cluster, seen), Census())
    (pool,) = found.pools
    assert pool.labels["disk"] == "ssd"
    by_source, by_nodes = remarks(found, "contradiction")
    assert by_source.startswith("md: `disk`: ")
    assert "hdd" in by_source
    assert "nvme" in by_nodes


def test_objects_of_other_clusters_are_no_pools_here() -> None:
    objects = [named("here", labels={OWN: "h"}), named("there", cluster="other", labels={OWN: "t"})]
    assert pools(inventory_from_objects(objects)).keys() == {"here", "there"}, "no node says where this is"
    found = inventory_from_objects([*objects, node("cp", "KubeadmControlPlane/cp")])
    assert pools(found).keys() == {"here"}
    assert remarks(found, "elsewhere") == ["cluster other: 1 of its pools are left out, its nodes are elsewhere"]


def test_a_cloud_s_label_and_a_machine_pool_are_one_pool() -> None:
    label = {"eks.amazonaws.com/nodegroup": "prod-mp", "eks.amazonaws.com/capacityType": "SPOT"}
    found = inventory_from_objects([named("mp", "MachinePool"), node("a", "MachinePool/mp", label)])
    (pool,) = found.pools
    assert (pool.name, pool.provider, pool.selector) == ("mp", "eks", {"eks.amazonaws.com/nodegroup": "prod-mp"})
    assert capacity_types(pool) == ("spot",)


def test_labels_of_a_machine_pool_count_until_nodes_show_that_they_do_not_reach() -> None:
    pool = named("mp", "MachinePool", labels={OWN: "mp"})
    assert pools(inventory_from_objects([pool])) == {"mp": ({OWN: "mp"}, None)}
    assert pools(inventory_from_objects([pool, node("a", "MachinePool/mp", {OWN: "mp"})])) == {"mp": ({OWN: "mp"}, 1)}
    found = inventory_from_objects([pool, node("a", "MachinePool/mp")])
    assert pools(found) == {}
    assert OWN in remarks(found, "unsynced")[0]


def test_without_its_machine_set_a_node_may_be_anybody_s() -> None:
    """MachineSets may not be readable: then the label decides, and its carriers are nobody else's."""
    found = inventory_from_objects([named("md", labels={OWN: "md"}), node("a", "MachineSet/md-1", {OWN: "md"})])
    assert pools(found) == {"md": ({OWN: "md"}, 1)}
    synced = {"cluster.x-k8s.io/deployment-name": "md"}
    assert pools(inventory_from_objects([named("md"), node("a", "MachineSet/md-1", synced)])) == {"md": (synced, 1)}
    assert pools(inventory_from_objects([node("a", "MachineSet/md-1", synced)])) == {"md": (synced, 1)}, (
        "by labels alone"
    )


@pytest.mark.parametrize(
    ("domains", "zones"), [(["z1"], ("z1",)), (["z1", "z2"], ("z1", "z2")), (["1"], None), (["z1", "rack-7"], None)]
)
def test_failure_domains_are_zones_where_a_node_says_so(domains: list[str], zones: tuple[str, ...] | None) -> None:
    pool = named("mp", "MachinePool", labels={OWN: "mp"})
    pool["spec"]["failureDomains"] = domains
    seen = [node(f"n{zone}", "KubeadmControlPlane/cp", {"topology.kubernetes.io/zone": zone}) for zone in ("z1", "z2")]
    (found,) = inventory_from_objects([pool, *seen]).pools
    assert found.fact("topology.kubernetes.io/zone").values == zones


def test_a_resource_of_no_use_is_left_out_and_told() -> None:
    broken = named("broken")
    broken["spec"]["template"] = 7
    twice = [named("md", labels={OWN: "md"})] * 2
    odd: list[Any] = [{"kind": "NodePool", "apiVersion": "karpenter.sh/v1", "metadata": 3}, {"kind": ["x"]}]
    found = live_inventory([], Seen([broken, *twice, *odd], [], ("nodeclaims can't be read: 403",)), Census())
    assert pools(found).keys() == {"md"}
    assert remarks(found, "unread") == ["nodeclaims can't be read: 403"]
    assert "MachineDeployment fleet/broken: spec.template: this must be a map, so it is left out" in remarks(
        found, "unusable"
    )


def homes(truth: Fleet, told: set[str]) -> dict[str, str]:
    """Each node's pool, of those that can be chosen, said without the engine."""
    return {each["metadata"]["name"]: pool.name for pool in truth.pools if pool.name in told for each in pool.nodes}


def selected(pool: Pool, labels: Labels, rivals: list[Pool]) -> bool:
    """Whether a node is this pool's by selectors alone: the longest one wins, but a provider's label comes first."""
    mine = [each for each in rivals if each.selector.items() <= labels.items()]
    first = next((label for label in (*POOL_LABEL.values(), OWN) if label in labels), "")
    provided = [each for each in mine if first in each.selector and first != OWN]
    best = max(provided or mine, key=lambda each: len(each.selector), default=None)
    return best is pool


def can_be_told(truth: Fleet, pool: Truth) -> bool:
    """Whether some labels tell a pool's nodes from all others, now and, by what is declared, later."""
    if not pool.of_cluster_api:
        return True
    others = [each["metadata"]["labels"] for other in truth.pools if other is not pool for each in other.nodes]
    others += [each["metadata"]["labels"] for each in truth.strays]
    declared = [other.labels for other in truth.pools if other is not pool and other.of_cluster_api]
    if pool.labels and pool.labels not in declared and not any(pool.labels.items() <= some.items() for some in others):
        return True
    rack = {each["metadata"]["labels"].get("rack") for each in pool.nodes}
    return bool(rack - {None}) and all(some.get("rack") not in rack for some in others)


@pytest.mark.parametrize("seed", range(300))
def test_a_random_fleet_is_what_an_independent_reader_says(seed: int) -> None:
    truth = fleet(seed)
    found = inventory_from_objects(truth.objects)
    told = {pool.name for pool in truth.pools if can_be_told(truth, pool)}
    assert {pool.name for pool in found.pools} == told
    home = homes(truth, told)
    everybody = [each for each in truth.objects if each["kind"] == "Node"]
    assert found.strays == len(everybody) - len(home)
    rivals = list(found.pools)
    for each in everybody:
        about = each["metadata"]
        mine = [pool.name for pool in rivals if selected(pool, about["labels"], rivals)]
        assert mine == ([home[about["name"]]] if about["name"] in home else []), about
    for pool in found.pools:
        (said,) = [each for each in truth.pools if each.name == pool.name]
        ready = sum(each["status"]["conditions"][0]["status"] == "True" for each in said.nodes)
        assert (pool.nodes, pool.ready_nodes) == ((len(said.nodes), ready) if everybody else (None, None))
        seen = [int(each["status"]["allocatable"]["cpu"]) for each in said.nodes]
        assert (pool.cpu or None) == (said.cpu or max(seen, default=None))
        assert said.labels.items() <= pool.labels.items()
        assert not said.unsynced.keys() & pool.labels.keys() - said.labels.keys()
        assert {taint.key for taint in pool.taints} == {taint["key"] for taint in said.taints}
    if not any(pool.of_cluster_api for pool in truth.pools):
        assert found.remarks == ()


def leaving(made: Json) -> Json:
    return {**made, "metadata": {**made["metadata"], "deletionTimestamp": "2026-01-02T00:00:00Z"}}


@pytest.mark.parametrize("kind", ["MachineDeployment", "MachineSet", "MachinePool"])
def test_what_is_being_deleted_is_no_pool_and_its_nodes_are_nobody_elses(kind: str) -> None:
    """Its machines are drained, and no more come. A label that its nodes carry, too, tells no other pool apart."""
    old, new = named("old", kind, labels={OWN: "a"}), named("new", kind, labels={OWN: "b"})
    nodes = [
        node("a", f"{kind}/old", {OWN: "a", "rack": "1"}),
        node("b", f"{kind}/new", {OWN: "b", "rack": "1"}),
    ]
    both = inventory_from_objects([old, new, *nodes])
    assert pools(both) == {"old": ({OWN: "a"}, 1), "new": ({OWN: "b"}, 1)}
    found = inventory_from_objects([leaving(old), new, *nodes])
    assert pools(found) == {"new": ({OWN: "b"}, 1)}
    assert (found.strays, found.stray_names) == (1, ("a",))
    words = "it is being deleted: its nodes count as long as they are there, and no more come"
    assert remarks(found, "leaving") == [f"{kind} fleet/old: {words}"]


def test_nodes_of_a_deployment_that_is_being_deleted_are_told_from_others_by_their_machine_set() -> None:
    nodes = [node("a", "MachineSet/old-1", {"rack": "1"}), node("b", "MachineSet/new-1", {"rack": "1"})]
    sets = [part("old-1", "old"), part("new-1", "new")]
    assert pools(inventory_from_objects([leaving(named("old")), named("new"), *sets, *nodes])) == {}


def test_a_provider_s_label_keeps_the_nodes_of_a_deleted_pool_together() -> None:
    nodes = [node("a", "MachinePool/old", {"eks.amazonaws.com/nodegroup": "g", "team": "x"})]
    found = inventory_from_objects([leaving(named("old", "MachinePool", labels={OWN: "a"})), *nodes])
    (pool,) = found.pools
    assert (pool.name, pool.declared, pool.labels["team"]) == ("g", False, "x")
