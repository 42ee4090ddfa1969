"""engine.pools.providers: which label says what."""

from __future__ import annotations

import pytest

from engine.names import is_label_key, is_label_value
from engine.pools.providers import (
    CAPACITY_TYPES,
    POOL_LABELS,
    PROVIDERS,
    WORDS,
    capacity,
    pool_label_of,
    pool_label_order,
    provider_of,
)


@pytest.mark.parametrize(
    ("provider", "labels", "expected"),
    [
        ("karpenter", {"karpenter.sh/capacity-type": "reserved"}, "reserved"),
        ("karpenter", {}, None),
        ("karpenter", {"karpenter.sh/capacity-type": "free"}, None),
        ("gke", {"cloud.google.com/gke-spot": "true"}, "spot"),
        ("gke", {"cloud.google.com/gke-preemptible": "true"}, "spot"),
        ("gke", {"cloud.google.com/gke-spot": "false"}, "on-demand"),
        ("gke", {}, "on-demand"),
        ("eks", {"eks.amazonaws.com/capacityType": "SPOT"}, "spot"),
        ("eks", {"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, "reserved"),
        ("eks", {}, None),
        ("aks", {"kubernetes.azure.com/scalesetpriority": "spot"}, "spot"),
        ("aks", {}, "on-demand"),
        ("cluster-api", {"cluster.x-k8s.io/interruptible": ""}, "spot"),
        ("cluster-api", {"cluster.x-k8s.io/interruptible": "false"}, "on-demand"),
        ("cluster-api", {}, "on-demand"),
    ],
)
def test_capacity_types(provider: str, labels: dict[str, str], expected: str | None) -> None:
    rule = capacity(provider)
    assert rule is not None
    assert rule.of(labels) == expected


def test_who_says_nothing_about_capacity() -> None:
    assert capacity("kops") is None
    assert capacity("someone") is None


def test_values_by_type() -> None:
    rule = capacity("eks")
    assert rule is not None
    assert [rule.markers[0].values(each) for each in CAPACITY_TYPES] == [("SPOT",), ("ON_DEMAND",), ("CAPACITY_BLOCK",)]
    assert rule.keys == ("eks.amazonaws.com/capacityType",)


def test_the_table_says_nothing_that_no_label_can_be() -> None:
    markers = [marker for provider in PROVIDERS if provider.capacity for marker in provider.capacity.markers]
    assert all(map(is_label_key, [*POOL_LABELS, *WORDS.values(), *(marker.key for marker in markers)]))
    assert all(is_label_value(value) for marker in markers for value in marker.types)
    assert {kind for marker in markers for kind in marker.types.values()} == set(CAPACITY_TYPES)
    assert len({provider.name for provider in PROVIDERS}) == len(set(POOL_LABELS)) == len(PROVIDERS)


def test_karpenter_comes_first_then_the_operators_own() -> None:
    assert POOL_LABELS[0] == "karpenter.sh/nodepool"
    order = pool_label_order(["pool", "eks.amazonaws.com/nodegroup"])
    assert order[:3] == ("karpenter.sh/nodepool", "pool", "eks.amazonaws.com/nodegroup")
    assert sorted(order) == sorted({*POOL_LABELS, "pool"})
    assert pool_label_order(order) == order


def test_the_first_label_with_a_value_identifies() -> None:
    labels = {"karpenter.sh/nodepool": "", "eks.amazonaws.com/nodegroup": "a", "pool": "b"}
    assert pool_label_of(labels) == "eks.amazonaws.com/nodegroup"
    assert pool_label_of(labels, pool_label_order(["pool"])) == "pool"
    assert pool_label_of({"other": "x"}) is None


def test_the_provider_follows_from_the_selector() -> None:
    assert provider_of({"kops.k8s.io/instancegroup": "nodes"}) == "kops"
    assert provider_of({"cluster.x-k8s.io/deployment-name": "nodes"}) == "cluster-api"
    assert provider_of({"eks.amazonaws.com/nodegroup": "a", "karpenter.sh/nodepool": "b"}) == "karpenter"
    assert provider_of({"pool": "a"}) == ""
