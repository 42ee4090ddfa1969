"""engine.pools.karpenter: what NodePools declare."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import RequestError
from engine.nodeselector import ABSENT, EXISTS, LabelStates, integers, none_of, one_of
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
    assert {key: fact.states for key, fact in said.facts.items()} == {
        "karpenter.sh/nodepool": one_of(["general"]),
        "karpenter.k8s.aws/ec2nodeclass": one_of(["default"]),
        "karpenter.k8s.aws/instance-cpu": integers(5),
        "team": one_of(["x"]),
        TYPE: one_of(["spot"]),
        ZONE: one_of(["a", "b"]),
    }
    assert said.cpu is None
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
    assert said.facts[ZONE].states == one_of("b")
    assert said.facts["x"].states == none_of("1")
    assert "y" not in said.facts


@pytest.mark.parametrize(
    ("requirement", "states"),
    [
        ({"operator": "In", "values": ["b", "a"]}, one_of(["a", "b"])),
        ({"operator": "NotIn", "values": ["b", "a"]}, none_of(["a", "b"])),
        ({"operator": "Exists"}, EXISTS),
        ({"operator": "DoesNotExist"}, ABSENT),
        ({"operator": "Gt", "values": ["4"]}, integers(5)),
        ({"operator": "Gte", "values": ["4"]}, integers(4)),
        ({"operator": "Lt", "values": ["4"]}, integers(0, 3)),
        ({"operator": "Lte", "values": ["4"]}, integers(0, 4)),
        ({"operator": "Exists", "minValues": 3}, EXISTS),
    ],
)
def test_all_operators_of_requirements(requirement: dict[str, Any], states: LabelStates) -> None:
    said = declared(node_pool([{"key": "example.com/x", **requirement}]))
    assert said.facts["example.com/x"].states == states
    assert not said.facts["example.com/x"].observed


@pytest.mark.parametrize(
    ("requirements", "cpu", "memory", "gpus"),
    [
        ([("karpenter.k8s.aws/instance-cpu", "In", ["4", "16", "8"])], 16, None, None),
        ([("karpenter.azure.com/sku-memory", "In", ["1024", "2048"])], None, 2 << 30, None),
        ([("karpenter.k8s.aws/instance-gpu-count", "In", ["1", "4"])], None, None, 4),
        ([("karpenter.k8s.aws/instance-gpu-count", "Gt", ["0"])], None, None, None),
        ([("karpenter.k8s.aws/instance-cpu", "Lt", ["9"])], None, None, None),
        ([("node.kubernetes.io/instance-type", "In", ["g4dn.xlarge", "g5.12xlarge"])], None, None, 4),
        ([("node.kubernetes.io/instance-type", "In", ["g5.xlarge", "m5.large"])], None, None, None),
        ([("beta.kubernetes.io/instance-type", "In", ["p4d.24xlarge"])], None, None, 8),
        ([("karpenter.k8s.aws/instance-cpu", "In", ["many"])], None, None, None),
    ],
)
def test_how_large_its_nodes_are_as_far_as_it_says_so(
    requirements: list[tuple[str, str, list[str]]], cpu: int | None, memory: int | None, gpus: int | None
) -> None:
    said = declared(node_pool([{"key": k, "operator": o, "values": v} for k, o, v in requirements]))
    assert (said.cpu, said.memory, said.gpus) == (cpu, memory, gpus)


def test_what_else_it_says() -> None:
    pool = node_pool()
    pool["metadata"]["annotations"] = {"note": "x", "karpenter.sh/nodepool-hash": "1", "kubectl.kubernetes.io/y": "z"}
    pool["spec"]["weight"] = 30
    pool["status"] = {"nodes": 4}
    said = declared(pool)
    assert (said.annotations, said.weight, said.nodes) == ({"note": "x"}, 30, 4)
    bare = declared({"metadata": {"name": "bare"}, "spec": {}})
    assert (bare.taints, bare.weight, bare.nodes) == ((), None, None)
    assert bare.facts.keys() == {"karpenter.sh/nodepool"}
    assert bare.closed


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
        (node_pool([{"key": "a", "operator": "Is"}]), "spec.template.spec.requirements[0].operator"),
        (node_pool([{"key": "a", "operator": "Gt", "values": ["x"]}]), "spec.template.spec.requirements[0].values"),
        (node_pool([{"key": "a", "operator": "Lte"}]), "spec.template.spec.requirements[0].values"),
        (node_pool(taints=[1]), "spec.template.spec.taints[0]"),
        (node_pool(taints={}), "spec.template.spec.taints"),
        (node_pool(taints=[{"key": "k"}]), "spec.template.spec.taints[0].effect"),
        (node_pool(taints=[{"key": "k", "effect": None}]), "spec.template.spec.taints[0].effect"),
        (node_pool(taints=[{"key": "k", "effect": "noschedule"}]), "spec.template.spec.taints[0].effect"),
        (
            node_pool(startupTaints=[{"key": "k", "effect": "NoExecute", "value": True}]),
            "spec.template.spec.startupTaints[0].value",
        ),
        (
            node_pool([{"key": "a", "operator": "In", "values": ["b", True]}]),
            "spec.template.spec.requirements[0].values[1]",
        ),
        (node_pool([{"key": "a", "operator": "Gt", "values": [4]}]), "spec.template.spec.requirements[0].values[0]"),
        (node_pool(nodeClassRef={"group": "g", "kind": "K", "name": 7}), "spec.template.spec.nodeClassRef.name"),
        *(
            (
                {"metadata": {"name": "x"}, "spec": {"template": {"metadata": {"labels": {"a": odd}}}}},
                "spec.template.metadata.labels.a",
            )
            for odd in (True, 1, 1.5, ["b"])
        ),
        ({"metadata": {"name": "x", "annotations": {"a": False}}}, "metadata.annotations.a"),
    ],
)
def test_what_is_not_shaped_like_one(broken: dict[str, Any], path: str) -> None:
    with pytest.raises(RequestError) as caught:
        declared(broken)
    assert caught.value.path == path


def test_nulls_are_as_if_nothing_was_said() -> None:
    """The API server takes them out of custom resources."""
    said = declared(
        {
            "metadata": {"name": "x", "annotations": {"a": None, "b": "c"}},
            "spec": {
                "template": {
                    "metadata": {"labels": {"a": None, "b": "c"}},
                    "spec": {
                        "taints": [{"key": "k", "value": None, "effect": "NoSchedule"}],
                        "nodeClassRef": {"group": None, "kind": "K", "name": "n"},
                    },
                }
            },
        }
    )
    assert said.annotations == {"b": "c"}
    assert said.facts.keys() == {"karpenter.sh/nodepool", "b"}
    assert said.taints == (Taint("k", "", "NoSchedule"),)
