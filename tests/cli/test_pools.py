"""cli.pools: what `bayplan pools` tells of an inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import POLICIES, Bayplan, sample

FILES = sorted(POLICIES.glob("*/pools/*.yaml"))


def node(name: str, labels: dict[str, str]) -> dict[str, Any]:
    status = {
        "allocatable": {"cpu": "7910m", "memory": "30Gi"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


NODES = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            node("a", {"karpenter.sh/nodepool": "general", "tier": "one", "topology.kubernetes.io/zone": "z1"}),
            node("b", {"karpenter.sh/nodepool": "general", "tier": "one", "topology.kubernetes.io/zone": "z2"}),
            node("c", {"team": "ml"}),
        ],
    }
)


def test_a_table_of_what_nodes_show(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin=NODES)
    header, line, _, strays = ran.out.splitlines()
    assert header.split() == [
        "POOL",
        "PROVIDER",
        "NODES",
        "READY",
        "CPU",
        "MEMORY",
        "GPUS",
        "ZONES",
        "CAPACITY",
        "TAINTS",
    ]
    assert line.split() == ["general", "karpenter", "2", "2", "7.91", "30Gi", "-", "z1,z2", "-", "-"]
    assert strays == "1 node in no pool: see --pool-label"


def test_a_label_of_ones_own(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", "--pool-label", "team", stdin=NODES)
    assert [line.split()[0] for line in ran.out.splitlines()] == ["POOL", "general", "ml"]


def test_json_is_what_expressions_see(bayplan: Bayplan) -> None:
    (pool,) = bayplan("pools", "--pools", "-", "-o", "json", stdin=NODES).json
    assert pool["zones"] == ["z1", "z2"]
    assert pool["labels"]["tier"] == "one"
    assert pool["readyNodes"] == 2


def test_yaml_of_nodes_says_what_was_only_observed(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", "-o", "yaml", stdin=NODES)
    assert ran.out.startswith("# Made from Nodes")
    assert "labels: {tier: one}\n" in ran.out


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_yaml_read_again_is_the_same_pools(bayplan: Bayplan, path: Path) -> None:
    first = bayplan("pools", "--pools", path, "-o", "json").json
    inventory = bayplan("pools", "--pools", path, "-o", "yaml").out
    assert bayplan("pools", "--pools", "-", "-o", "json", stdin=inventory).json == first


def test_mistakes_point(bayplan: Bayplan, tmp_path: Path) -> None:
    path = tmp_path / "pools.yaml"
    path.write_text(sample("gpu", "pools", "gke.yaml").read_text().replace("gpus: 8", "gpu: 8"))
    ran = bayplan("pools", "--pools", path)
    assert ran.status == 2
    assert f"{path}:34:5: error: `gpu` is not a field of a pool" in ran.err
    assert "did you mean `gpus`?" in ran.err


def test_it_must_be_told_where_they_are(bayplan: Bayplan) -> None:
    assert "--pools FILE, or --context NAME" in bayplan("pools").err


def test_no_pools(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin="{apiVersion: v1, kind: NodeList, items: []}")
    assert (ran.status, ran.out) == (0, "")
    assert "no pools are known" in ran.err
