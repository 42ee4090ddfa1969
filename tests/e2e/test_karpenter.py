"""What Karpenter makes of patches: policies, the webhook, Karpenter and the scheduler together.

In each test a policy narrows pods, Karpenter makes nodes for them, and the scheduler binds them. Karpenter is the
judge: every pod ends in a pool that its decision predicted, or nowhere, where nothing that was left could be made.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .controlplane import ControlPlane, Json, wait_for
from .karpenter import CAPACITY_TYPE, CPU, FAMILY, POOL_LABEL, ZONE, Karpenter, node_pool, requirement
from .placing import Placing, placing
from .pods import deployment, pod

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
STATIC_LABEL = "cloud.google.com/gke-nodepool"
GENERAL = requirement(FAMILY, "In", "general")
ON_DEMAND = requirement(CAPACITY_TYPE, "In", "on-demand")
SPOT = requirement(CAPACITY_TYPE, "In", "spot")


@pytest.fixture
def cluster(karpenter: Karpenter) -> ControlPlane:
    """The control plane that Karpenter acts on."""
    return karpenter.cluster


def pool_of(node: Json) -> str:
    """The pool of a Node: the NodePool that it was made for, or else the static pool that its label names."""
    labels = node["metadata"]["labels"]
    pool: str = labels.get(POOL_LABEL, labels.get(STATIC_LABEL, ""))
    return pool


Place = Callable[..., AbstractContextManager[Placing]]


@pytest.fixture
def place(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Place:
    """Have policies, given by their specs in YAML, patch the pods of the namespace."""
    return functools.partial(placing, cluster, namespace, tmp_path, pool_of=pool_of)


def test_a_pool_without_nodes_is_picked_and_gets_one(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL), node_pool("critical", GENERAL, ON_DEMAND, labels={"tier": "critical"}))
    with place("""require: [{expression: 'pool.labels["tier"] == "critical"'}]""") as on:
        assert karpenter.nodes() == {}
        assert on.placed("p")["tier"] == "critical"
        assert on.predicted("p") == {"critical"}
    assert [*karpenter.nodes().values()] == ["critical"]


def test_a_tainted_pool_takes_what_a_policy_lets_tolerate(karpenter: Karpenter, place: Place) -> None:
    gpu = requirement(FAMILY, "In", "gpu")
    karpenter.add(node_pool("general", GENERAL), node_pool("gpu", gpu, taints=[GPU_TAINT], labels={"gpu": "a100"}))
    policy = """
    matchConditions:
      - {name: gpu, expression: 'pod.spec.containers.exists(c, "nvidia.com/gpu" in c.resources.requests)'}
    require: [{expression: 'pool.labels["gpu"] == "a100"'}]
    tolerate: [{expression: 'taint.key == "nvidia.com/gpu"'}]
    """
    with place(policy) as on:
        (container,) = pod("t")["spec"]["containers"]
        asks = {"nvidia.com/gpu": "4"}
        limited = {**container, "resources": {"requests": asks, "limits": asks}}
        assert on.placed("t", containers=[limited])[POOL_LABEL] == "gpu"
        assert on.placed("plain")[POOL_LABEL] == "general"


def test_without_tolerate_karpenter_makes_no_node_of_a_tainted_pool(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("gpu", requirement(FAMILY, "In", "gpu"), taints=[GPU_TAINT]))
    with place("""require: [{expression: 'pool.name == "gpu"'}]""") as on:
        on.create("t")
        assert on.predicted("t") == set()
        assert "did not tolerate taint" in karpenter.wait_told(on.namespace, "t")
    assert karpenter.claims() == []


@pytest.mark.parametrize(
    "policy",
    [
        """prefer: [{expression: 'node.capacityType == "spot"', weight: 100}]""",
        """fallback: [{expression: 'node.capacityType == "spot"'}, {expression: 'node.capacityType == "on-demand"'}]""",
    ],
    ids=["prefer", "fallback"],
)
def test_spot_first_and_on_demand_when_there_is_none(karpenter: Karpenter, place: Place, policy: str) -> None:
    """The spot pool has room for one small machine."""
    small = requirement(CPU, "In", "4")
    karpenter.add(
        node_pool("spot", GENERAL, SPOT, small, limits={"cpu": "4"}),
        node_pool("steady", GENERAL, ON_DEMAND, small, weight=50),
    )
    with place(policy) as on:
        assert on.placed("first", "3")[CAPACITY_TYPE] == "spot"
        assert on.placed("second", "3")[CAPACITY_TYPE] == "on-demand"
    assert sorted(karpenter.nodes().values()) == ["spot", "steady"]


def test_spot_of_one_mixed_pool_is_preferred(karpenter: Karpenter, place: Place) -> None:
    """Against the price: of its own accord Karpenter would take spot anyway, so the policy prefers on-demand."""
    karpenter.add(node_pool("mixed", GENERAL))
    policy = """prefer: [{expression: 'node.capacityType == "on-demand"', weight: 100}]"""
    with place(policy) as on:
        assert on.placed("p")[CAPACITY_TYPE] == "on-demand"


def test_required_capacity_type_of_a_mixed_pool(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("mixed", GENERAL), node_pool("spot", GENERAL, SPOT, weight=90))
    policy = """require: [{expression: 'node.capacityType == "on-demand"'}]"""
    with place(policy) as on:
        assert on.placed("p")[CAPACITY_TYPE] == "on-demand"
        assert on.predicted("p") == {"mixed"}


def test_static_nodes_are_filled_before_karpenter_makes_any(karpenter: Karpenter, place: Place) -> None:
    for number in range(2):
        karpenter.cluster.add_node(
            f"static-{number}", {STATIC_LABEL: "static", "tier": "base"}, allocatable={"cpu": "2"}
        )
    karpenter.add(node_pool("elastic", GENERAL, labels={"tier": "base"}), node_pool("other", GENERAL, weight=90))
    policy = """require: [{expression: 'pool.labels["tier"] == "base"'}]"""
    with place(policy) as on:
        for number in range(4):
            assert STATIC_LABEL in on.placed(f"early-{number}")
        assert set(karpenter.nodes().values()) == {""}
        assert on.placed("late")[POOL_LABEL] == "elastic"
        assert on.predicted("late") == {"static", "elastic"}


def test_zones_and_regions_are_made_to_measure(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("anywhere", GENERAL), node_pool("american", GENERAL, requirement(ZONE, "In", "us-1a")))
    zones = """
    podSelector: {matchLabels: {app: zonal}}
    require: [{expression: 'node.zone in ["eu-1b", "eu-1c"]'}]
    """
    regions = """
    podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [zonal]}]}
    require: [{expression: 'node.region == "us-1"'}]
    """
    with place(zones, regions) as on:
        assert on.placed("zonal")[ZONE] == "eu-1b"
        assert on.placed("regional")[ZONE] == "us-1a"


def test_weights_decide_between_pools_that_a_policy_leaves(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(
        node_pool("heaviest", GENERAL, weight=100),
        node_pool("heavy", GENERAL, weight=50, labels={"tier": "base"}),
        node_pool("light", GENERAL, weight=10, labels={"tier": "base"}),
    )
    base = """require: [{expression: 'pool.labels["tier"] == "base"'}]"""
    light = """
    podSelector: {matchLabels: {app: thrifty}}
    prefer: [{expression: 'pool.name == "light"', weight: 10}]
    """
    with place(base, light) as on:
        assert on.placed("p", "3")[POOL_LABEL] == "heavy"
        assert on.predicted("p") == {"heavy", "light"}
        assert on.placed("thrifty", "3")[POOL_LABEL] == "light"


def test_a_pod_that_fits_on_no_machine_stays_pending_and_is_told(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL), node_pool("gpu", requirement(FAMILY, "In", "gpu"), taints=[GPU_TAINT]))
    with place("""require: [{expression: 'pool.name == "general"'}]""") as on:
        on.create("huge", "100")
        on.create("fine", "1")
        assert "no instance type" in karpenter.wait_told(on.namespace, "huge")
        assert on.bound("fine")
        assert "nodeName" not in karpenter.cluster.pod(on.namespace, "huge")["spec"]
    assert [*karpenter.nodes().values()] == ["general"]


def test_replicas_are_spread_over_zones_that_have_no_nodes_yet(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL, requirement(ZONE, "In", "eu-1a", "eu-1b")))
    policy = """
    spread: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
    """
    with place(policy) as on:
        on.cluster.apply(deployment("web", on.namespace, replicas=4))
        nodes = on.cluster.wait_all_bound(on.namespace, "app=web", 4).values()
    zones = [karpenter.node(name)["metadata"]["labels"][ZONE] for name in nodes]
    assert sorted(zones) == ["eu-1a", "eu-1a", "eu-1b", "eu-1b"]


def test_bounds_are_narrowed_by_those_of_a_policy(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL, requirement(CPU, "Gt", "3")))
    policy = f"""require: [{{expression: 'int(node.labels["{CPU}"]) > 10'}}]"""
    with place(policy) as on:
        assert on.placed("p")[CPU] == "16"


def test_what_must_stay_apart_gets_nodes_of_its_own(karpenter: Karpenter, place: Place) -> None:
    """A hostname is the NodeClaim's name here, and no two nodes have the same."""
    karpenter.add(node_pool("general", GENERAL))
    policy = """
    podAntiAffinity: [{topologyKey: kubernetes.io/hostname, required: true}]
    """
    with place(policy) as on:
        on.cluster.apply(deployment("db", on.namespace, replicas=3))
        nodes = on.cluster.wait_all_bound(on.namespace, "app=db", 3)
    assert len({*nodes.values()}) == len(karpenter.nodes()) == 3


def test_start_up_taints_need_no_toleration(karpenter: Karpenter, place: Place) -> None:
    """Karpenter makes the node, and the pod waits until whom the taint is for takes it away."""
    starting = {"key": "example.com/starting", "value": "yes", "effect": "NoSchedule"}
    karpenter.add(node_pool("general", GENERAL, startup_taints=[starting], labels={"tier": "base"}))
    policy = """
    require: [{expression: 'pool.labels["tier"] == "base"'}]
    tolerate: [{expression: 'taint.key == "example.com/starting"'}]
    """
    with place(policy) as on:
        admitted = on.create("p")
        assert on.predicted("p") == {"general"}
        assert "example.com/starting" not in str(admitted["spec"]["tolerations"])
        (node,) = wait_for(karpenter.nodes, "a node", karpenter.tail)
        path = f"/api/v1/nodes/{node}"
        registered = wait_for(
            lambda: "karpenter.sh/registered" in karpenter.node(node)["metadata"]["labels"], "it to register"
        )
        assert registered
        assert starting in karpenter.node(node)["spec"]["taints"]
        assert on.dry_run()["spec"]["tolerations"] == admitted["spec"]["tolerations"]
        on.cluster.api("PATCH", path, {"spec": {"taints": None}}, content_type="application/merge-patch+json")
        assert on.bound("p")


def test_residency_by_what_a_pool_declares(karpenter: Karpenter, place: Place) -> None:
    """That all nodes so far are where they should be says nothing of the next one."""
    karpenter.add(
        node_pool("anywhere", GENERAL, weight=90),
        node_pool("european", GENERAL, requirement(ZONE, "In", "eu-1a", "eu-1b")),
    )
    policy = """
    podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [first]}]}
    require: [{expression: 'pool.zones.all(zone, zone.startsWith("eu-"))'}]
    """
    with place(policy) as on:
        assert on.placed("first", nodeSelector={ZONE: "eu-1a"})[POOL_LABEL] == "anywhere"
        assert on.placed("second")[ZONE] in {"eu-1a", "eu-1b"}
        assert on.placed("third", "14")[ZONE] in {"eu-1a", "eu-1b"}


SPLIT = """
split:
  - {share: 70, expression: 'node.capacityType == "spot"'}
  - {share: 30, expression: 'node.capacityType == "on-demand"'}
"""
SOFT_SPLIT = SPLIT.replace("share:", "whenUnsatisfiable: ScheduleAnyway, share:")
CHANCE = range(16, 40)
"""How many of 40 pods may fall into a share of 70 per cent by chance: more than four standard deviations each way."""


def capacity_types(on: Placing, selector: str, count: int) -> Counter[str]:
    """How many of the pods of a workload are on which kind of capacity; each on that which its decision predicted."""
    bound = on.cluster.wait_all_bound(on.namespace, selector, count)
    nodes = {name: on.cluster.api("GET", f"/api/v1/nodes/{name}") for name in {*bound.values()}}
    for decision in on.serving.decisions(on.namespace):
        assert {on.pool_of(node) for node in nodes.values()} == {*decision["pools"]["after"]}
    return Counter(nodes[name]["metadata"]["labels"][CAPACITY_TYPE] for name in bound.values())


def test_forty_pods_are_split_over_spot_and_on_demand(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("mixed", GENERAL))
    with place(SPLIT) as on:
        on.cluster.apply(deployment("web", on.namespace, replicas=40, spec=asking("500m")))
        found = capacity_types(on, "app=web", 40)
        on.cluster.apply(indexed_job("batch", on.namespace, 40, spec=asking("500m")))
        dealt = capacity_types(on, "app=batch", 40)
    assert found["spot"] in CHANCE
    assert found.total() == 40
    assert dealt == {"spot": 28, "on-demand": 12}


def test_a_wished_share_goes_elsewhere_where_there_is_no_room(karpenter: Karpenter, place: Place) -> None:
    """There is room for one spot machine, with three of the seven pods that would have been there, at most."""
    small = requirement(CPU, "In", "4")
    karpenter.add(
        node_pool("spot", GENERAL, SPOT, small, limits={"cpu": "4"}),
        node_pool("steady", GENERAL, ON_DEMAND, small),
    )
    with place(SOFT_SPLIT) as on:
        on.cluster.apply(indexed_job("batch", on.namespace, 10, spec=asking("1")))
        placed = capacity_types(on, "app=batch", 10)
        assert 1 <= placed["spot"] <= 3
        assert placed["on-demand"] == 10 - placed["spot"]


def asking(cpu: str) -> Json:
    """The spec of a pod that asks for so many CPUs."""
    (container,) = pod("any")["spec"]["containers"]
    return {"containers": [{**container, "resources": {"requests": {"cpu": cpu}}}]}


def indexed_job(name: str, namespace: str, completions: int, spec: Json) -> Json:
    """A Job whose pods carry `app: <name>` and an index, all at once."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {**spec, "restartPolicy": "Never"}}
    counts = {"completions": completions, "parallelism": completions, "completionMode": "Indexed"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**counts, "template": template},
    }


CRITICAL = """require: [{expression: 'pool.labels["tier"] == "critical"'}]"""


def test_a_node_pool_that_is_created_is_used(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("general", GENERAL))
    with place(CRITICAL) as on:
        assert on.dry_run() is None
        karpenter.add(node_pool("critical", GENERAL, labels={"tier": "critical"}))
        on.wait_refused(False)
        assert on.placed("p")["tier"] == "critical"
        assert on.predicted("p") == {"critical"}


def test_a_node_pool_that_is_deleted_is_not_used(karpenter: Karpenter, place: Place) -> None:
    critical = node_pool("critical", GENERAL, labels={"tier": "critical"})
    karpenter.add(node_pool("general", GENERAL), critical)
    with place(CRITICAL) as on:
        on.placed("p")
        karpenter.cluster.api("DELETE", f"/api/v1/namespaces/{on.namespace}/pods", gracePeriodSeconds="0")
        karpenter.remove("critical")
        on.wait_refused(True)
        karpenter.add(critical)
        on.wait_refused(False)
        assert on.placed("again")["tier"] == "critical"


def test_a_taint_that_a_node_pool_gets_is_tolerated_from_then_on(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(node_pool("gpu", GENERAL))
    policy = """
    require: [{expression: 'pool.name == "gpu"'}]
    tolerate: [{expression: 'taint.key == "nvidia.com/gpu"'}]
    """
    tolerated = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}

    with place(policy) as on:
        assert tolerated not in on.create("early")["spec"]["tolerations"]
        karpenter.add(node_pool("gpu", GENERAL, taints=[GPU_TAINT]))
        on.wait_seen(lambda admitted: tolerated in admitted["spec"]["tolerations"])
        assert on.placed("late", "14")[POOL_LABEL] == "gpu"
        assert [*on.bound("late")["spec"]["taints"]] == [GPU_TAINT]


def test_static_nodes_are_preferred_and_full(karpenter: Karpenter, place: Place) -> None:
    """Karpenter takes the heaviest preference for a requirement at first; it must not drop the pod over it."""
    karpenter.cluster.add_node("static", {STATIC_LABEL: "static"}, allocatable={"cpu": "1"})
    karpenter.add(node_pool("elastic", GENERAL))
    policies = (
        """prefer: [{expression: 'pool.name == "static"', weight: 100}]""",
        """prefer: [{expression: 'pool.provider != "karpenter"', weight: 50}]""",
    )
    with place(*policies) as on:
        assert STATIC_LABEL in on.placed("first")
        assert on.placed("second")[POOL_LABEL] == "elastic"


TENANT = {
    "facts of the pool": 'pool.labels["team"] == "blue"',
    "facts of the node": 'node.labels["team"] == "blue"',
}


@pytest.mark.parametrize("expression", TENANT.values(), ids=TENANT)
@pytest.mark.parametrize(
    "team",
    [requirement("team", "In", "blue", "green"), requirement("team", "Exists"), requirement("team", "NotIn", "red")],
    ids=["In", "Exists", "NotIn"],
)
def test_a_label_that_varies_is_made_as_the_policy_wants_it(
    karpenter: Karpenter, place: Place, team: Json, expression: str
) -> None:
    """Karpenter labels each node with the one value that its first pod's terms leave.

    Nodes of a NodePool that does not speak of the label may be given it by hand, and then are what `node` asks for.
    """
    karpenter.add(
        node_pool("shared", GENERAL, team),
        node_pool("nobody", GENERAL, weight=90),
        node_pool("red", GENERAL, weight=90, labels={"team": "red"}),
    )
    with place(f"require: [{{expression: '{expression}'}}]") as on:
        labels = on.placed("p")
        assert (labels["team"], labels[POOL_LABEL]) == ("blue", "shared")
        assert on.predicted("p") == ({"shared"} if "pool." in expression else {"shared", "nobody"})


def test_who_wants_a_label_absent_is_kept_off_pools_that_may_carry_it(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(
        node_pool("some", GENERAL, requirement("team", "Exists"), weight=90),
        node_pool("two", GENERAL, requirement("team", "In", "blue", "green"), weight=80),
        node_pool("plain", GENERAL),
    )
    with place("""require: [{expression: '!("team" in pool.labels)'}]""") as on:
        labels = on.placed("p")
        assert labels[POOL_LABEL] == "plain"
        assert "team" not in labels
        assert on.predicted("p") == {"plain"}


def test_who_wants_a_label_whatever_its_value_gets_it(karpenter: Karpenter, place: Place) -> None:
    karpenter.add(
        node_pool("plain", GENERAL, weight=90),
        node_pool("two", GENERAL, requirement("team", "In", "blue", "green")),
    )
    with place("""require: [{expression: '"team" in pool.labels'}]""") as on:
        assert on.placed("p")["team"] in {"blue", "green"}
        assert on.predicted("p") == {"two"}


@pytest.mark.parametrize("word", ["pool", "node"])
def test_bounds_of_requirements_are_known(karpenter: Karpenter, place: Place, word: str) -> None:
    karpenter.add(
        node_pool("small", GENERAL, requirement(CPU, "Lt", "8"), weight=90),
        node_pool("large", GENERAL, requirement(CPU, "Gt", "8")),
    )
    policy = f"""require: [{{expression: 'int({word}.labels["{CPU}"]) > 8'}}]"""
    with place(policy) as on:
        labels = on.placed("p")
        assert (labels[POOL_LABEL], labels[CPU]) == ("large", "16")
        assert on.predicted("p") == {"large"}


def test_a_label_that_somebody_puts_on_a_node_keeps_away_who_wants_it_absent(
    karpenter: Karpenter, place: Place
) -> None:
    karpenter.add(node_pool("plain", GENERAL))
    with place("""require: [{expression: '!("team" in pool.labels)'}]""") as on:
        first = on.placed("first", "100m")
        (node,) = karpenter.nodes()
        merge = "application/merge-patch+json"
        labels = {"metadata": {"labels": {"team": "blue"}}}
        karpenter.cluster.api("PATCH", f"/api/v1/nodes/{node}", labels, content_type=merge)
        second = on.placed("second", "100m")
        assert "team" not in second
        assert first["kubernetes.io/hostname"] != second["kubernetes.io/hostname"]


def test_a_node_pool_that_is_edited_is_used_as_it_is_now(karpenter: Karpenter, place: Place) -> None:
    """Nodes that were made before have the label of before, and are not what the policy asks for."""
    karpenter.add(node_pool("general", GENERAL, labels={"tier": "base"}))
    base = """
    podSelector: {matchLabels: {app: early}}
    require: [{expression: 'pool.labels["tier"] == "base"'}]
    """
    critical = """
    podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [early]}]}
    require: [{expression: 'pool.labels["tier"] == "critical"'}]
    """
    with place(base, critical) as on:
        assert on.placed("early")["tier"] == "base"
        assert on.dry_run() is None
        karpenter.add(node_pool("general", GENERAL, labels={"tier": "critical"}))
        on.wait_refused(False)
        assert on.placed("late")["tier"] == "critical"
    assert [*karpenter.nodes().values()] == ["general", "general"]
