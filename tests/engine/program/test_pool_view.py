"""engine.program.pool_view: what expressions read of a pool; what was only observed is demanded of a node again."""

from __future__ import annotations

from typing import Any

import pytest

from engine.nodeselector import ABSENT, ANY, EXISTS, LabelStates, integers, none_of, one_of
from engine.pools import Fact, Read
from engine.program.pool_view import PoolView, Undecided
from tests.engine.builders import decide, patched, pools_of_nodes, required
from tests.engine.evaluation.builders import (
    CAPACITY,
    FLEET,
    NODEPOOL,
    ZONE,
)
from tests.engine.pools.inventories import pool


@pytest.mark.parametrize(
    ("labels", "capacity", "said"),
    [
        ({NODEPOOL: "k", CAPACITY: "spot"}, "spot", {"key": CAPACITY, "operator": "In", "values": ["spot"]}),
        (
            {"eks.amazonaws.com/nodegroup": "g", "eks.amazonaws.com/capacityType": "SPOT"},
            "spot",
            {"key": "eks.amazonaws.com/capacityType", "operator": "In", "values": ["SPOT"]},
        ),
        (
            {"cloud.google.com/gke-nodepool": "g", "cloud.google.com/gke-spot": "true"},
            "spot",
            {"key": "cloud.google.com/gke-spot", "operator": "In", "values": ["true"]},
        ),
        (
            {"kubernetes.azure.com/agentpool": "a"},
            "on-demand",
            {"key": "kubernetes.azure.com/scalesetpriority", "operator": "NotIn", "values": ["spot"]},
        ),
    ],
)
def test_the_capacity_type_of_nodes_that_are_there(labels: dict[str, str], capacity: str, said: dict[str, Any]) -> None:
    """Another may come, which is of another type."""
    decision = decide(
        f"require: [{{expression: '\"{capacity}\" in pool.capacityTypes'}}]", pools=pools_of_nodes(labels)
    )
    terms = patched(decision)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert any(said in one["matchExpressions"] for one in terms["nodeSelectorTerms"])


@pytest.mark.parametrize(
    ("expression", "demanded"),
    [
        ('pool.labels["ra" + string("ck")] == "r"', {"rack"}),
        ('pool.labels[params.key] == "r"', {"rack"}),
        ('params.key in pool.labels && pool.name == "k"', {"rack"}),
        ('pool.labels[?params.key].orValue("") == "r"', {"rack"}),
        ('pool.labels[?params.other].orValue("none") == "none" && pool.name == "k"', {"other"}),
        ("!(params.other in pool.labels) && pool.name == 'k'", {"other"}),
        ("size(pool.labels) == 3", {"rack", "disk", NODEPOOL}),
        ('pool.labels.exists(k, v, v == "r")', {"rack", "disk", NODEPOOL}),
        ('pool.labels.exists(k, k == "disk")', {"rack", "disk", NODEPOOL}),
        ('pool.labels == {"rack": "r", "disk": "ssd", "karpenter.sh/nodepool": "k"}', {"rack", "disk", NODEPOOL}),
        ('pool.values.exists(k, v, v == ["r"])', {"rack", "disk", NODEPOOL}),
        ("size(pool.values) == 3", {"rack", "disk", NODEPOOL}),
        ('pool.values.all(k, v, size(v) == 1) && pool.name == "k"', {"rack", "disk", NODEPOOL}),
        ('pool.values == {"rack": ["r"], "disk": ["ssd"], "karpenter.sh/nodepool": ["k"]}', {"rack", "disk", NODEPOOL}),
        ("pool.labels[params.key] == 'r' ? pool.labels[params.disk] == 'ssd' : false", {"rack", "disk"}),
        ("has(node.zone) && pool.labels[params.key] == 'r'", {"rack", ZONE}),
        ("node.zone == 'z' + pool.labels[params.key] && pool.name == 'k'", {"rack", ZONE}),
        ("pool.labels.exists(k, v, v == 'r' && has(node.zone))", {"rack", "disk", NODEPOOL, ZONE}),
    ],
)
def test_what_a_computed_key_reads_is_demanded_again(expression: str, demanded: set[str]) -> None:
    params = "{params: {key: rack, other: other, disk: disk}}"
    decision = decide(f"require: [{{expression: {expression!r}}}]", bundle=params, pools=FLEET)
    (one,) = required(decision)
    said: dict[str, Any] = {e["key"]: e for e in one["matchExpressions"]}
    assert set(said) == demanded | {NODEPOOL}
    assert said[NODEPOOL]["values"] == ["k"]
    for key in demanded - {NODEPOOL}:
        assert said[key]["operator"] in {"other": ("DoesNotExist",), ZONE: ("In", "Exists")}.get(key, ("In",))


@pytest.mark.parametrize("walk", ["__iter__", "__len__", "keys", "items", "values"])
def test_whoever_walks_a_pools_labels_has_read_them_all(walk: str) -> None:
    view, reads = PoolView(pool("a", a="b", declared=False)).noting()
    getattr(view["labels"], walk)()
    assert reads == {Read("all")}


@pytest.mark.parametrize(
    "expression",
    [
        "pool.labels.rack == pod.metadata.labels.app",
        "pod.metadata.labels.app in [pool.labels.rack]",
        "pool.labels.rack == pod.metadata.labels.nobody || pool.name == 'k'",
    ],
)
def test_what_is_compared_with_the_pods_own_is_demanded_again(expression: str) -> None:
    """Also where the pod has nothing to compare: what is read is what the text says."""
    seen = pools_of_nodes({NODEPOOL: "k", "rack": "web"}, {NODEPOOL: "l", "rack": "q"})
    (one,) = required(decide(f"require: [{{expression: {expression!r}}}]", pools=seen))
    assert {e["key"]: e["values"] for e in one["matchExpressions"]} == {NODEPOOL: ["k"], "rack": ["web"]}


def test_what_each_pool_was_asked_for_is_demanded_of_its_own_nodes() -> None:
    """By a key that another label of the pool names."""
    named = pools_of_nodes(
        {NODEPOOL: "k", "key": "disk", "disk": "ssd"},
        {NODEPOOL: "l", "key": "rack", "rack": "ssd"},
        {NODEPOOL: "m", "key": "rack", "rack": "ssd"},
        {NODEPOOL: "n", "key": "rack", "rack": "hdd"},
    )
    terms = required(decide("require: [{expression: 'pool.labels[pool.labels.key] == \"ssd\"'}]", pools=named))
    said = [{e["key"]: e["values"] for e in one["matchExpressions"]} for one in terms]
    assert sorted(said, key=str) == [
        {"disk": ["ssd"], "key": ["disk"], NODEPOOL: ["k"]},
        {"key": ["rack"], NODEPOOL: ["l", "m"], "rack": ["ssd"]},
    ]


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (ANY, "it is not known whether the nodes carry `k`: say it under `labels:` or `values:` in an inventory"),
        (EXISTS, "the nodes carry `k`, and with which value is not known"),
        (one_of(["a"]), "the nodes that are there carry `a` as `k`, and the next one may carry another value"),
        (one_of(["a"]) | ABSENT, "the nodes carry `a` as `k`, or do not carry it"),
        (one_of(["b", "a"]), "the nodes carry `a` or `b` as `k`, and not all the same"),
        (one_of(map(str, range(30))), "the nodes carry one of 30 values as `k`"),
        (none_of(["a"]) & EXISTS, "the nodes carry `k`, and with which value is not known (Exists, NotIn [a])"),
        (integers(5, 9), "the nodes carry `k`, and with which value is not known (Gt 4, Lt 10)"),
        (none_of(["a"]), "some nodes carry `k`, and with which value is not known"),
    ],
)
def test_why_nobody_can_tell_which_value_all_nodes_carry(states: LabelStates, words: str) -> None:
    assert str(Undecided("k", Fact(states))).startswith(words)
