"""engine.pools.cluster_api: what one MachineDeployment, MachinePool or MachineSet says of its nodes."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import RequestError
from engine.pools.cluster_api import Owner, is_machines, read
from engine.pools.pool import Taint

CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"
Json = dict[str, Any]


def machines(kind: str = "MachineDeployment", template: Json | None = None, **annotations: str) -> Json:
    """A pool of Cluster API; an annotation `max_pods` is the cluster autoscaler's `max-pods`."""
    told = {f"{CAPACITY}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": kind,
        "metadata": {"name": "md", "namespace": "fleet", "annotations": told},
        "spec": {"clusterName": "prod", "template": template or {}},
    }


def with_labels(**labels: str) -> Json:
    return {"metadata": {"labels": labels}}


@pytest.mark.parametrize(
    ("key", "reaches"),
    [
        ("node-role.kubernetes.io/worker", True),
        ("node-role.kubernetes.io", True),
        ("x.node-role.kubernetes.io/worker", False),
        ("node-restriction.kubernetes.io/tenant", True),
        ("team.node-restriction.kubernetes.io/tenant", True),
        ("xnode-restriction.kubernetes.io/tenant", False),
        ("node.cluster.x-k8s.io/pool", True),
        ("my.node.cluster.x-k8s.io/pool", True),
        ("cluster.x-k8s.io/pool", False),
        ("topology.kubernetes.io/zone", False),
        ("pool", False),
        ("node.cluster.x-k8s.io.evil.com/pool", False),
    ],
)
def test_which_labels_of_a_template_reach_a_node(key: str, reaches: bool) -> None:
    found = read(machines(template=with_labels(**{key: "v"})))
    assert found.labels == ({key: "v"} if reaches else {})
    told = reaches or key.startswith("cluster.x-k8s.io/")  # its own bookkeeping nobody misses
    assert found.unsynced == (() if told else (key,))


def test_what_the_cluster_autoscaler_is_told_for_scaling_from_zero() -> None:
    said = machines(
        template=with_labels(**{"node.cluster.x-k8s.io/pool": "gpu"}),
        cpu="15500m",
        memory="64Gi",
        gpu_count="8",
        gpu_type="nvidia.com/gpu",
        labels="disk=ssd,node.cluster.x-k8s.io/pool=other,empty=",
        taints="a=b:NoSchedule,c:NoExecute,d=:PreferNoSchedule",
    )
    found = read(said)
    assert (found.cpu, found.memory, found.gpus) == (15.5, 64 * 2**30, 8)
    assert found.labels == {"disk": "ssd", "empty": "", "node.cluster.x-k8s.io/pool": "gpu"}
    assert found.taints == (
        Taint("a", "b", "NoSchedule"),
        Taint("c", "", "NoExecute"),
        Taint("d", "", "PreferNoSchedule"),
    )
    assert found.annotations == {}
    assert found.notes == ()


def test_what_is_not_said_is_not_known() -> None:
    found = read(machines())
    assert (found.cpu, found.memory, found.gpus, found.failure_domains) == (None, None, None, ())
    assert read(machines(gpu_count="8")).gpus is None, "the cluster autoscaler asks for the resource's name"
    assert read(machines(gpu_count="0", gpu_type="nvidia.com/gpu")).gpus == 0
    assert read(machines(cpu="0", memory="")).cpu is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu", "many"),
        ("memory", "64 GB"),
        ("gpu_count", "-1"),
        ("gpu_count", "1.5"),
        ("gpu_count", "99999999999999999999"),
        ("gpu_count", "9" * 5000),
        ("labels", "nothing"),
        ("labels", "a b=c"),
        ("labels", f"a={'x' * 64}"),
        ("taints", "a=b"),
        ("taints", "a=b:Never"),
        ("taints", "=b:NoSchedule"),
    ],
)
def test_an_annotation_that_can_not_be_used_is_left_out_and_told(name: str, value: str) -> None:
    said: Json = {name: value, "gpu_type": "nvidia.com/gpu"}
    found = read(machines(**said))
    (note,) = found.notes
    assert value in note
    assert f"{CAPACITY}/{name.replace('_', '-')}" in note
    assert (found.cpu, found.memory, found.gpus, found.labels, found.taints) == (None, None, None, {}, ())


def test_taints_that_stay_and_taints_that_pass() -> None:
    taints = [
        {"key": "gpu", "value": "yes", "effect": "NoSchedule", "propagation": "Always"},
        {"key": "boot", "effect": "NoExecute", "propagation": "OnInitialization"},
    ]
    found = read(machines(template={"spec": {"taints": taints}}))
    assert found.taints == (Taint("gpu", "yes", "NoSchedule"),)
    assert found.passing_taints == (Taint("boot", "", "NoExecute"),)


def test_failure_domains_of_either_shape() -> None:
    assert read(machines(template={"spec": {"failureDomain": "eu-1a"}})).failure_domains == ("eu-1a",)
    pool = machines("MachinePool")
    pool["spec"]["failureDomains"] = ["b", "a", "b"]
    assert read(pool).failure_domains == ("a", "b")


def test_whose_part_a_machine_set_is() -> None:
    part = machines("MachineSet")
    part["metadata"]["labels"] = {"cluster.x-k8s.io/deployment-name": "md"}
    assert read(part).deployment == "md"
    assert read(machines("MachineSet")).deployment == ""
    assert read(machines()).owner == Owner("MachineDeployment", "fleet", "md")
    assert str(read(machines()).owner) == "MachineDeployment fleet/md"


@pytest.mark.parametrize(
    ("data", "yes"),
    [
        (machines(), True),
        (machines("MachinePool"), True),
        ({**machines(), "apiVersion": "cluster.x-k8s.io/v1beta1"}, True),
        ({**machines(), "apiVersion": "machine.openshift.io/v1beta1"}, False),
        ({**machines(), "kind": "Machine"}, False),
        ({**machines(), "kind": ["MachineDeployment"]}, False),
        ("MachineDeployment", False),
        (None, False),
    ],
)
def test_what_it_is(data: object, yes: bool) -> None:
    assert is_machines(data) is yes


ODD: list[object] = [7, "x", True, ["a"], {"a": 1}, [7], [[]], [{}], [{"key": 7}], {"labels": {"a": 1}}, {"labels": 7}]
PLACES = [
    "metadata", "metadata.labels", "metadata.annotations", "metadata.name", "metadata.namespace", "spec",
    "spec.clusterName", "spec.failureDomains", "spec.template", "spec.template.metadata",
    "spec.template.metadata.labels", "spec.template.spec", "spec.template.spec.taints",
    "spec.template.spec.failureDomain",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_odd_shapes_are_read_or_refused_with_their_place(place: str, odd: object) -> None:
    data: Any = machines(template={"metadata": {"labels": {"a": "b"}}, "spec": {"taints": []}})
    *path, last = place.split(".")
    inner = data
    for key in path:
        inner = inner[key]
    inner[last] = odd
    told = place
    try:
        read(data)
    except RequestError as error:
        told = error.path
    assert told.startswith(place)
