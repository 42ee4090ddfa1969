"""engine.pools.node_claims: how large the machines are that are on their way."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents import RequestError
from engine.pools.inventory import inventory_from_objects
from engine.pools.node_claims import Claim, Size, coming, is_node_claim, read

Json = dict[str, Any]
GIB = 2**30


def claim(pool: str = "gpu", node: str = "", **allocatable: str) -> Json:
    named = {key.replace("_", "/").replace("nvidia/", "nvidia.com/"): value for key, value in allocatable.items()}
    labels = {"karpenter.sh/nodepool": pool} if pool else {}
    status: Json = {"nodeName": node, "allocatable": named} if node else {"allocatable": named}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"labels": labels}, "status": status}


def node_pool(name: str) -> Json:
    spec: Json = {"template": {"spec": {"requirements": []}}}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


def node(name: str, pool: str, cpu: str) -> Json:
    metadata = {"name": name, "labels": {"karpenter.sh/nodepool": pool}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"allocatable": {"cpu": cpu}}}


def test_what_a_claim_says() -> None:
    said = claim(node="n", cpu="7910m", memory="30Gi", nvidia_gpu="4")
    assert is_node_claim(said)
    assert read(said) == Claim("gpu", "n", Size(7.91, 30 * GIB, 4))


@pytest.mark.parametrize("said", [claim(), claim(pool="", cpu="1"), {**claim(), "status": None}])
def test_a_claim_that_says_nothing_yet(said: Json) -> None:
    assert read(said) is None


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({**claim(), "status": 7}, "status"),
        ({**claim(), "metadata": []}, "metadata"),
        ({**claim(), "status": {"allocatable": [1]}}, "status.allocatable"),
        (claim(cpu="many"), "status.allocatable.cpu"),
    ],
)
def test_odd_shapes_are_refused_with_their_place(said: Json, path: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(said)
    assert caught.value.path == path


def test_machines_whose_nodes_are_there_are_not_coming() -> None:
    claims = [Claim("a", "n1", Size(9, 9, 9)), Claim("a", "", Size(1, 5, 0)), Claim("a", "n2", Size(2, 3, 0))]
    assert coming(claims, {"n1"}) == {("karpenter.sh/nodepool", "a"): Size(2, 5, 0)}


def sizes(*objects: Json) -> tuple[float | None, int | None, int | None]:
    (pool,) = inventory_from_objects(objects).pools
    return pool.cpu, pool.memory, pool.gpus


def test_a_pool_without_nodes_is_as_large_as_what_is_coming() -> None:
    assert sizes(node_pool("gpu"), claim(cpu="8", memory="1Gi", nvidia_gpu="2"), claim(cpu="4")) == (8, GIB, 2)


def test_the_larger_of_nodes_and_what_is_coming() -> None:
    assert sizes(node_pool("gpu"), claim(cpu="8"), node("n", "gpu", "4"))[0] == 8
    assert sizes(node_pool("gpu"), claim(cpu="2"), node("n", "gpu", "4"))[0] == 4
    assert sizes(node_pool("gpu"), claim(node="n", cpu="8"), node("n", "gpu", "4"))[0] == 4, (
        "the node itself knows better"
    )


def test_a_claim_alone_is_no_pool() -> None:
    assert inventory_from_objects([claim(cpu="8")]).pools == ()
