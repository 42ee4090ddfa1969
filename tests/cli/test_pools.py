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
    assert line.split() == ["general", "karpenter", "2", "2", "7.91", "30Gi", "0", "z1,z2", "?", "-"]
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
    """But for who says so."""
    first = bayplan("pools", "--pools", path, "-o", "json").json
    inventory = bayplan("pools", "--pools", path, "-o", "yaml").out
    again = bayplan("pools", "--pools", "-", "-o", "json", stdin=inventory).json
    assert [{**pool, "sources": None} for pool in again] == [{**pool, "sources": None} for pool in first]


OPEN = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: k}
spec:
  template:
    spec:
      requirements:
        - {key: tenant, operator: In, values: [blue, green]}
        - {key: slots, operator: Gt, values: ["8"]}
        - {key: rack, operator: NotIn, values: [r1]}
        - {key: team, operator: Exists}
        - {key: gone, operator: DoesNotExist}
---
kind: Node
metadata: {name: n, labels: {karpenter.sh/nodepool: k, tenant: red, topology.kubernetes.io/zone: eu-a, slots: "9"}}
"""


def test_yaml_says_in_comments_what_an_entry_can_not_say(bayplan: Bayplan) -> None:
    comments = {
        line for line in bayplan("pools", "--pools", "-", "-o", "yaml", stdin=OPEN).out.splitlines() if line[0] == "#"
    }
    for words in (
        "#   k: `rack` NotIn [r1]",
        "#   k: `slots` Gt 8",
        "#   k: `topology.kubernetes.io/zone` is left open, eu-a now",
        "#   k: labels that its NodePool does not mention are on none of its nodes",
    ):
        assert words in comments
    assert not any("tenant" in line or "`team`" in line or "gone" in line for line in comments)


def test_a_comment_stays_on_its_line(bayplan: Bayplan) -> None:
    odd = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "k\nkind: Node"},
        "spec": {"template": {"spec": {"requirements": [{"key": "a\nb: c", "operator": "NotIn", "values": ["x"]}]}}},
    }
    ran = bayplan("pools", "--pools", "-", "-o", "yaml", stdin=json.dumps(odd))
    assert "#   k kind: Node: `a b: c` NotIn [x]" in ran.out
    assert "\nkind: Node" not in ran.out


def test_yaml_keeps_that_a_label_of_spot_nodes_may_be_missing(bayplan: Bayplan) -> None:
    entry = {
        "name": "g",
        "selector": {"cloud.google.com/gke-nodepool": "g"},
        "values": {"cloud.google.com/gke-spot": ["true"]},
    }
    given = json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [entry]})
    assert (
        "values: {cloud.google.com/gke-spot: ['true']}"
        in bayplan("pools", "--pools", "-", "-o", "yaml", stdin=given).out
    )


def test_what_a_node_pool_leaves_open_is_told_as_it_is_now(bayplan: Bayplan) -> None:
    assert " eu-a,… " in bayplan("pools", "--pools", "-", stdin=OPEN).out
    told = [" ".join(line.split()) for line in bayplan("pools", "--pools", "-", "-v", stdin=OPEN).out.splitlines()]
    assert "label one node topology.kubernetes.io/zone is eu-a now, left open" in told
    assert "label the NodePool team is not on all nodes" in told
    assert "k: `tenant`: In [blue, green] says the NodePool, there are nodes with red; so a node is asked" in told
    (pool,) = bayplan("pools", "--pools", "-", "-o", "json", stdin=OPEN).json
    assert pool["zones"] is None


def test_mistakes_point(bayplan: Bayplan, tmp_path: Path) -> None:
    path = tmp_path / "pools.yaml"
    path.write_text(sample("gpu", "pools", "gke.yaml").read_text().replace("gpus: 8", "gpu: 8"))
    ran = bayplan("pools", "--pools", path)
    assert ran.status == 2
    assert f"{path}:34:5: error: `gpu` is not a field of a pool" in ran.err
    assert "did you mean `gpus`?" in ran.err


def test_without_a_cluster_there_is_a_hint(bayplan: Bayplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    ran = bayplan("pools")
    assert ran.status == 2
    assert "there is no cluster to connect to" in ran.err
    assert ran.err.strip().endswith("with --pools FILE none is needed")


def deployment(name: str, carried: dict[str, str], **annotations: str) -> dict[str, Any]:
    told = {f"capacity.cluster-autoscaler.kubernetes.io/{key}": value for key, value in annotations.items()}
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {"name": name, "namespace": "fleet", "annotations": told},
        "spec": {"clusterName": "prod", "template": {"metadata": {"labels": carried}, "spec": {}}},
    }


def listing(*objects: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


LOGICAL = listing(
    node("a", {"karpenter.sh/nodepool": "general-spot", "pool": "general", "pool-provider": "karpenter"}),
    node("b", {"cluster.x-k8s.io/deployment-name": "general-md", "pool": "general", "pool-provider": "capi"}),
    node("c", {"cluster.x-k8s.io/deployment-name": "general-md", "pool": "general", "pool-provider": "capi"}),
    node("d", {"karpenter.sh/nodepool": "alone", "pool": "alone"}),
)


def test_pools_of_one_logical_pool_stand_together(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin=LOGICAL)
    rows = [line.split()[:4] for line in ran.out.splitlines()[1:]]
    assert rows == [
        ["alone", "karpenter", "1", "1"],
        ["general/", "3", "3"],
        ["general-md", "cluster-api", "2", "2"],
        ["general-spot", "karpenter", "1", "1"],
    ]
    said = bayplan("pools", "--pools", "-", "-o", "json", stdin=LOGICAL).json
    assert {pool["name"]: pool["logicalPool"] for pool in said} == {
        "alone": None,
        "general-md": "general",
        "general-spot": "general",
    }


def test_details_say_what_is_known_and_from_where(bayplan: Bayplan) -> None:
    md = deployment("md", {"node.cluster.x-k8s.io/pool": "md", "team": "a"}, cpu="8", labels="disk=ssd")
    seen = [node(name, {"eks.amazonaws.com/nodegroup": "g", "rack": rack}) for name, rack in (("a", "1"), ("b", "2"))]
    ran = bayplan("pools", "--pools", "-", "-v", stdin=listing(md, *seen))
    told = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "md, of cluster-api" in told
    assert "selected by node.cluster.x-k8s.io/pool=md" in told
    assert "label the MachineDeployment disk=ssd" in told
    assert "label 2 nodes rack is 1 or 2" in told
    *_, unknown = [line for line in told if line.startswith("not known")]
    assert "gpus" in unknown
    assert "cpu" not in unknown
    assert "Said, but no fact:" in told


def test_nodes_of_no_pool_and_what_could_tell_them_apart(bayplan: Bayplan) -> None:
    strays = [node(name, {"team": team, "serial": name}) for name, team in (("a", "ml"), ("b", "web"), ("c", "ml"))]
    ran = bayplan("pools", "--pools", "-", "-v", stdin=listing(*strays))
    assert ran.out.splitlines() == [
        "3 nodes in no pool: a, b, c",
        "  --pool-label team would make of them: ml (2), web (1)",
    ]
    apart = bayplan("pools", "--pools", "-", "--pool-label", "team", "-o", "json", stdin=listing(*strays)).json
    assert {pool["name"]: pool["nodes"] for pool in apart} == {"ml": 2, "web": 1}


def test_what_can_not_be_used_is_told_without_asking(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin=listing(deployment("md", {}), deployment("odd", {}, cpu="many")))
    assert "No pools, for no label tells their nodes apart:" in ran.out
    assert "put `node.cluster.x-k8s.io/pool: md` into spec.template.metadata.labels" in " ".join(ran.out.split())
    assert "`many` in the annotation `capacity.cluster-autoscaler.kubernetes.io/cpu` is no quantity" in " ".join(
        ran.out.split()
    )


def test_no_pools(bayplan: Bayplan) -> None:
    ran = bayplan("pools", "--pools", "-", stdin="{apiVersion: v1, kind: NodeList, items: []}")
    assert (ran.status, ran.out) == (0, "")
    assert "no pools are known" in ran.err
