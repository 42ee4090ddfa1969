"""What Karpenter makes of patches: policies, the webhook, Karpenter and the scheduler together.

In each test a policy narrows pods, Karpenter makes nodes for them, and the scheduler binds them. Karpenter is the
judge: every pod ends in a pool that its decision predicted, or nowhere, where nothing that was left could be made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .controlplane import ControlPlane, Json, wait_for
from .karpenter import CAPACITY_TYPE, CPU, FAMILY, POOL_LABEL, ZONE, Karpenter, node_pool, requirement
from .pods import deployment, pod
from .serving import Serving, admission
from .test_inventory import FRESH_SECONDS

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
STATIC_LABEL = "cloud.google.com/gke-nodepool"
GENERAL = requirement(FAMILY, "In", "general")
ON_DEMAND = requirement(CAPACITY_TYPE, "In", "on-demand")
SPOT = requirement(CAPACITY_TYPE, "In", "spot")


@pytest.fixture
def cluster(karpenter: Karpenter) -> ControlPlane:
    """The control plane that Karpenter acts on."""
    return karpenter.cluster


@dataclass(frozen=True)
class Placing:
    """Policies at work in one namespace."""

    karpenter: Karpenter
    serving: Serving
    namespace: str

    def create(self, name: str, cpu: str = "1", **spec: Json) -> Json:
        """Create a bare pod that asks for so many CPUs; the pod as it was admitted."""
        (container,) = pod(name)["spec"]["containers"]
        limited = {**container, "resources": {"requests": {"cpu": cpu, **spec.pop("requests", {})}}}
        given = pod(name, labels={"app": name}, spec={"containers": [limited], **spec})
        return self.karpenter.cluster.create_pod(self.namespace, given)

    def refused(self) -> bool:
        """Whether a pod like those of `create` would be refused now."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return not self.karpenter.cluster.request("POST", path, pod("dry"), dryRun="All").is_success

    def wait_refused(self, refused: bool) -> None:
        """Wait until a change of the NodePools has reached decisions."""
        wait_for(lambda: self.refused() == refused, "a change to be seen", self.serving.output, seconds=FRESH_SECONDS)

    def predicted(self, name: str) -> set[str]:
        """The pools in which the decision about a pod said that it may run."""
        found = wait_for(
            lambda: self.serving.decisions(self.namespace, name), f"a decision about `{name}`", self.serving.output
        )
        return {*found[-1]["pools"]["after"]} - {*found[-1]["pools"]["untolerated"]}

    def bound(self, name: str) -> Json:
        """Wait until a pod is bound, and see that it is where the decision said; its node."""
        node = self.karpenter.node(self.karpenter.cluster.wait_bound(self.namespace, name))
        labels = node["metadata"]["labels"]
        assert labels.get(POOL_LABEL, labels.get(STATIC_LABEL)) in self.predicted(name)
        return node

    def placed(self, name: str, cpu: str = "1", **spec: Json) -> dict[str, str]:
        """Create a pod and wait until it is bound, where the decision said; the labels of its node."""
        self.create(name, cpu, **spec)
        labels: dict[str, str] = self.bound(name)["metadata"]["labels"]
        return labels


@contextmanager
def placing(karpenter: Karpenter, namespace: str, folder: Path, *specs: str) -> Iterator[Placing]:
    """Have policies, given by their specs in YAML, patch the pods of a namespace."""
    bundle = folder / "bundle"
    header = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "karpenter"}}
    documents = [{**header, "spec": {"version": "1.0.0"}}]
    for number, spec in enumerate(specs):
        named = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": f"p{number}"}}
        documents.append({**named, "spec": yaml.safe_load(spec)})
    for number, document in enumerate(documents):
        path = bundle / ("policies" if number else "") / ("bundle.yaml" if not number else f"p{number}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document))
    with admission(karpenter.cluster, namespace, bundle=bundle, more=("--log-decisions", "all")) as serving:
        yield Placing(karpenter, serving, namespace)


def test_a_pool_without_nodes_is_picked_and_gets_one(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    karpenter.add(node_pool("general", GENERAL), node_pool("critical", GENERAL, ON_DEMAND, labels={"tier": "critical"}))
    with placing(
        karpenter, namespace, tmp_path, """require: [{expression: 'pool.labels["tier"] == "critical"'}]"""
    ) as on:
        assert karpenter.nodes() == {}
        assert on.placed("p")["tier"] == "critical"
        assert on.predicted("p") == {"critical"}
    assert [*karpenter.nodes().values()] == ["critical"]


def test_a_tainted_pool_takes_what_a_policy_lets_tolerate(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    gpu = requirement(FAMILY, "In", "gpu")
    karpenter.add(node_pool("general", GENERAL), node_pool("gpu", gpu, taints=[GPU_TAINT], labels={"gpu": "a100"}))
    policy = """
    matchConditions:
      - {name: gpu, expression: 'pod.spec.containers.exists(c, "nvidia.com/gpu" in c.resources.requests)'}
    require: [{expression: 'pool.labels["gpu"] == "a100"'}]
    tolerate: [{expression: 'taint.key == "nvidia.com/gpu"'}]
    """
    with placing(karpenter, namespace, tmp_path, policy) as on:
        (container,) = pod("t")["spec"]["containers"]
        asks = {"nvidia.com/gpu": "4"}
        limited = {**container, "resources": {"requests": asks, "limits": asks}}
        assert on.placed("t", containers=[limited])[POOL_LABEL] == "gpu"
        assert on.placed("plain")[POOL_LABEL] == "general"


def test_without_tolerate_karpenter_makes_no_node_of_a_tainted_pool(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
    karpenter.add(node_pool("gpu", requirement(FAMILY, "In", "gpu"), taints=[GPU_TAINT]))
    with placing(karpenter, namespace, tmp_path, """require: [{expression: 'pool.name == "gpu"'}]""") as on:
        on.create("t")
        assert on.predicted("t") == set()
        assert "did not tolerate taint" in karpenter.wait_told(namespace, "t")
    assert karpenter.claims() == []


@pytest.mark.parametrize(
    "policy",
    [
        """prefer: [{expression: 'node.capacityType == "spot"', weight: 100}]""",
        """fallback: [{expression: 'node.capacityType == "spot"'}, {expression: 'node.capacityType == "on-demand"'}]""",
    ],
    ids=["prefer", "fallback"],
)
def test_spot_first_and_on_demand_when_there_is_none(
    karpenter: Karpenter, namespace: str, tmp_path: Path, policy: str
) -> None:
    """The spot pool has room for one small machine."""
    small = requirement(CPU, "In", "4")
    karpenter.add(
        node_pool("spot", GENERAL, SPOT, small, limits={"cpu": "4"}),
        node_pool("steady", GENERAL, ON_DEMAND, small, weight=50),
    )
    with placing(karpenter, namespace, tmp_path, policy) as on:
        assert on.placed("first", "3")[CAPACITY_TYPE] == "spot"
        assert on.placed("second", "3")[CAPACITY_TYPE] == "on-demand"
    assert sorted(karpenter.nodes().values()) == ["spot", "steady"]


def test_spot_of_one_mixed_pool_is_preferred(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    """Against the price: of its own accord Karpenter would take spot anyway, so the policy prefers on-demand."""
    karpenter.add(node_pool("mixed", GENERAL))
    policy = """prefer: [{expression: 'node.capacityType == "on-demand"', weight: 100}]"""
    with placing(karpenter, namespace, tmp_path, policy) as on:
        assert on.placed("p")[CAPACITY_TYPE] == "on-demand"


def test_required_capacity_type_of_a_mixed_pool(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    karpenter.add(node_pool("mixed", GENERAL), node_pool("spot", GENERAL, SPOT, weight=90))
    policy = """require: [{expression: 'node.capacityType == "on-demand"'}]"""
    with placing(karpenter, namespace, tmp_path, policy) as on:
        assert on.placed("p")[CAPACITY_TYPE] == "on-demand"
        assert on.predicted("p") == {"mixed"}


def test_static_nodes_are_filled_before_karpenter_makes_any(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
    for number in range(2):
        karpenter.cluster.add_node(
            f"static-{number}", {STATIC_LABEL: "static", "tier": "base"}, allocatable={"cpu": "2"}
        )
    karpenter.add(node_pool("elastic", GENERAL, labels={"tier": "base"}), node_pool("other", GENERAL, weight=90))
    policy = """require: [{expression: 'pool.labels["tier"] == "base"'}]"""
    with placing(karpenter, namespace, tmp_path, policy) as on:
        for number in range(4):
            assert STATIC_LABEL in on.placed(f"early-{number}")
        assert set(karpenter.nodes().values()) == {""}
        assert on.placed("late")[POOL_LABEL] == "elastic"
        assert on.predicted("late") == {"static", "elastic"}


def test_zones_and_regions_are_made_to_measure(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    karpenter.add(node_pool("anywhere", GENERAL), node_pool("american", GENERAL, requirement(ZONE, "In", "us-1a")))
    zones = """
    podSelector: {matchLabels: {app: zonal}}
    require: [{expression: 'node.zone in ["eu-1b", "eu-1c"]'}]
    """
    regions = """
    podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [zonal]}]}
    require: [{expression: 'node.region == "us-1"'}]
    """
    with placing(karpenter, namespace, tmp_path, zones, regions) as on:
        assert on.placed("zonal")[ZONE] == "eu-1b"
        assert on.placed("regional")[ZONE] == "us-1a"


def test_weights_decide_between_pools_that_a_policy_leaves(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
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
    with placing(karpenter, namespace, tmp_path, base, light) as on:
        assert on.placed("p", "3")[POOL_LABEL] == "heavy"
        assert on.predicted("p") == {"heavy", "light"}
        assert on.placed("thrifty", "3")[POOL_LABEL] == "light"


def test_a_pod_that_fits_on_no_machine_stays_pending_and_is_told(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
    karpenter.add(node_pool("general", GENERAL), node_pool("gpu", requirement(FAMILY, "In", "gpu"), taints=[GPU_TAINT]))
    with placing(karpenter, namespace, tmp_path, """require: [{expression: 'pool.name == "general"'}]""") as on:
        on.create("huge", "100")
        on.create("fine", "1")
        assert "no instance type" in karpenter.wait_told(namespace, "huge")
        assert on.bound("fine")
        assert "nodeName" not in karpenter.cluster.pod(namespace, "huge")["spec"]
    assert [*karpenter.nodes().values()] == ["general"]


def test_replicas_are_spread_over_zones_that_have_no_nodes_yet(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
    karpenter.add(node_pool("general", GENERAL, requirement(ZONE, "In", "eu-1a", "eu-1b")))
    policy = """
    spread: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
    """
    with placing(karpenter, namespace, tmp_path, policy):
        karpenter.cluster.apply(deployment("web", namespace, replicas=4))
        nodes = karpenter.cluster.wait_all_bound(namespace, "app=web", 4).values()
    zones = [karpenter.node(name)["metadata"]["labels"][ZONE] for name in nodes]
    assert sorted(zones) == ["eu-1a", "eu-1a", "eu-1b", "eu-1b"]


def test_bounds_are_narrowed_by_those_of_a_policy(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    karpenter.add(node_pool("general", GENERAL, requirement(CPU, "Gt", "3")))
    policy = f"""require: [{{expression: 'int(node.labels["{CPU}"]) > 10'}}]"""
    with placing(karpenter, namespace, tmp_path, policy) as on:
        assert on.placed("p")[CPU] == "16"


CRITICAL = """require: [{expression: 'pool.labels["tier"] == "critical"'}]"""


def test_a_node_pool_that_is_created_is_used(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    karpenter.add(node_pool("general", GENERAL))
    with placing(karpenter, namespace, tmp_path, CRITICAL) as on:
        assert on.refused()
        karpenter.add(node_pool("critical", GENERAL, labels={"tier": "critical"}))
        on.wait_refused(False)
        assert on.placed("p")["tier"] == "critical"
        assert on.predicted("p") == {"critical"}


def test_a_node_pool_that_is_deleted_is_not_used(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    critical = node_pool("critical", GENERAL, labels={"tier": "critical"})
    karpenter.add(node_pool("general", GENERAL), critical)
    with placing(karpenter, namespace, tmp_path, CRITICAL) as on:
        on.placed("p")
        karpenter.cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds="0")
        karpenter.remove("critical")
        on.wait_refused(True)
        karpenter.add(critical)
        on.wait_refused(False)
        assert on.placed("again")["tier"] == "critical"


def test_a_taint_that_a_node_pool_gets_is_tolerated_from_then_on(
    karpenter: Karpenter, namespace: str, tmp_path: Path
) -> None:
    karpenter.add(node_pool("gpu", GENERAL))
    policy = """
    require: [{expression: 'pool.name == "gpu"'}]
    tolerate: [{expression: 'taint.key == "nvidia.com/gpu"'}]
    """
    tolerated = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}

    with placing(karpenter, namespace, tmp_path, policy) as on:
        assert tolerated not in on.create("early")["spec"]["tolerations"]
        karpenter.add(node_pool("gpu", GENERAL, taints=[GPU_TAINT]))
        path = f"/api/v1/namespaces/{namespace}/pods"

        def seen() -> bool:
            made = karpenter.cluster.api("POST", path, pod("dry"), dryRun="All")
            return tolerated in made["spec"]["tolerations"]

        wait_for(seen, "the taint to be seen", on.serving.output, seconds=FRESH_SECONDS)
        assert on.placed("late", "14")[POOL_LABEL] == "gpu"
        assert [*on.bound("late")["spec"]["taints"]] == [GPU_TAINT]


def test_static_nodes_are_preferred_and_full(karpenter: Karpenter, namespace: str, tmp_path: Path) -> None:
    """Karpenter takes the heaviest preference for a requirement at first; it must not drop the pod over it."""
    karpenter.cluster.add_node("static", {STATIC_LABEL: "static"}, allocatable={"cpu": "1"})
    karpenter.add(node_pool("elastic", GENERAL))
    policies = (
        """prefer: [{expression: 'pool.name == "static"', weight: 100}]""",
        """prefer: [{expression: 'pool.provider != "karpenter"', weight: 50}]""",
    )
    with placing(karpenter, namespace, tmp_path, *policies) as on:
        assert STATIC_LABEL in on.placed("first")
        assert on.placed("second")[POOL_LABEL] == "elastic"
