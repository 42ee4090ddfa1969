"""engine.pools.karpenter: what NodePools declare."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import RequestError
from engine.pools.karpenter import declared, is_node_pool
from engine.pools.pool import Taint

ZONE, TYPE = "topology.kubernetes.io/zone", "karpenter.sh/capacity-type"


def node_pool(requirements: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"team": "x"}}, "spec": {"requirements": requirements or [], **spec}}
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "general"},
        "spec": {"template": template},
    }


def test_labels_values_and_taints() -> None:
    said = declared(
        node_pool(
            [
                {"key": ZONE, "operator": "In", "values": ["b", "a"]},
                {"key": TYPE, "operator": "In", "values": ["spot"]},
                {"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"]},
                {"key": "team", "operator": "In", "values": ["x", "y"]},
            ],
            taints=[{"key": "b", "effect": "NoSchedule"}, {"key": "a", "value": "v", "effect": "NoExecute"}],
            startupTaints=[{"key": "cni", "effect": "NoSchedule"}],
            nodeClassRef={"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
        )
    )
    assert (said.name, said.provider, said.selector) == ("general", "karpenter", {"karpenter.sh/nodepool": "general"})
    assert said.labels == {
        "karpenter.sh/nodepool": "general",
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "team": "x",
        TYPE: "spot",
    }
    assert said.values == {ZONE: ("a", "b")}
    assert said.taints == (Taint("a", "v", "NoExecute"), Taint("b", "", "NoSchedule"))


def test_requirements_on_one_key_meet() -> None:
    some = [
        {"key": ZONE, "operator": "In", "values": ["a", "b", "c"]},
        {"key": ZONE, "operator": "In", "values": ["b", "c", "d"]},
        {"key": ZONE, "operator": "NotIn", "values": ["c"]},
        {"key": "x", "operator": "NotIn", "values": ["1"]},
        {"key": "y", "operator": "In", "values": ["1"]},
        {"key": "y", "operator": "In", "values": ["2"]},
    ]
    said = declared(node_pool(some))
    assert said.labels[ZONE] == "b"
    assert said.values == {"y": ()}


def test_what_else_it_says() -> None:
    pool = node_pool()
    pool["metadata"]["annotations"] = {"note": "x", "karpenter.sh/nodepool-hash": "1", "kubectl.kubernetes.io/y": "z"}
    pool["spec"]["weight"] = 30
    pool["status"] = {"nodes": 4}
    said = declared(pool)
    assert (said.annotations, said.weight, said.nodes) == ({"note": "x"}, 30, 4)
    bare = declared({"metadata": {"name": "bare"}, "spec": {}})
    assert (bare.taints, bare.weight, bare.nodes, bare.values) == ((), None, None, {})


def test_which_objects_are_node_pools() -> None:
    assert is_node_pool(node_pool())
    assert is_node_pool({"apiVersion": "karpenter.sh/v1beta1", "kind": "NodePool"})
    assert not is_node_pool({"apiVersion": "example.com/v1", "kind": "NodePool"})
    assert not is_node_pool({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim"})
    assert not is_node_pool([])


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": {"name": "x"}, "spec": []}, "spec"),
        (
            {"metadata": {"name": "x"}, "spec": {"template": {"metadata": {"labels": "a"}}}},
            "spec.template.metadata.labels",
        ),
        (node_pool([{"operator": "In"}]), "spec.template.spec.requirements[0]"),
        (node_pool([{"key": "a", "operator": "In", "values": "x"}]), "spec.template.spec.requirements[0].values"),
        (node_pool(taints=[1]), "spec.template.spec.taints[0]"),
        (node_pool(taints={}), "spec.template.spec.taints"),
    ],
)
def test_what_is_not_shaped_like_one(broken: dict[str, Any], path: str) -> None:
    with pytest.raises(RequestError) as caught:
        declared(broken)
    assert caught.value.path == path
