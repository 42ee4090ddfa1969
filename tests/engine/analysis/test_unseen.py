"""engine.analysis.unseen: labels of which no pool says anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.analysis.bundles import POOLS, examined

OWN = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {example.com/pool: a}, labels: {example.com/tier: gold}, values: {rack: [r, s]}}
"""

KARPENTER = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: any}
spec:
  template:
    metadata: {labels: {team: blue}}
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
        - {key: example.com/tenant, operator: Exists}
        - {key: example.com/shelf, operator: Gt, values: ["3"]}
        - {key: example.com/shelf, operator: Lt, values: ["9"]}
        - {key: example.com/old, operator: DoesNotExist}
        - {key: example.com/size, operator: NotIn, values: [small]}
        - {key: example.com/rack, operator: In, values: [r, s]}
---
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: b, selector: {example.com/pool: b}, absent: [gone], present: [there]}
---
apiVersion: v1
kind: Node
metadata: {name: one, labels: {example.com/pool: b, rare: here}}
---
apiVersion: v1
kind: Node
metadata: {name: two, labels: {example.com/pool: b}}
---
apiVersion: v1
kind: Node
metadata: {name: lone, labels: {stand-alone: "yes"}}
"""
"""One label of each kind of fact, one on some nodes only, and one on a node of no pool."""


def unseen(expression: str, *, field: str = "require", **more: Any) -> list[tuple[str, str]]:
    """What is pointed at, and the hint, for each label that no pool of tier, arch, zone and pool speaks of."""
    tail = ", weight: 3" if field == "prefer" else ""
    found = examined({"p": f"{field}:\n  - {{expression: {expression!r}{tail}}}"}, **more).problems
    return [(one.span.snippet().splitlines()[0], one.hint) for one in found if one.rule == "unseen-label"]


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ('pool.labels["teir"] == "gold"', "did you mean `tier`?"),
        ('pool.labels[?"teir"].orValue("") != "gold"', "did you mean `tier`?"),
        ('!("teir" in pool.labels)', "did you mean `tier`?"),
        ('pool.labels.teir == "gold"', "did you mean `tier`?"),
        ("has(pool.labels.teir)", "did you mean `tier`?"),
        ('"a" in pool.values["zones"]', "did you mean `zone`?"),
        ('node.labels["teir"] == "gold"', "did you mean `tier`?"),
        ('!("teir" in node.labels)', "did you mean `tier`?"),
        ('["a"].exists(x, node.labels["teir"] == x)', "did you mean `tier`?"),
        ('node.labels["topology.kubernetes.io/zoen"] == "a"', "did you mean `topology.kubernetes.io/zone`?"),
        ('pool.labels["owner-team"] == "x"', "if nodes do carry `owner-team`, say so in the inventory"),
    ],
)
def test_a_key_that_no_pool_has_is_told_with_the_nearest_one(expression: str, hint: str) -> None:
    ((_, told),) = unseen(expression)
    assert hint in told


@pytest.mark.parametrize(
    "expression",
    [
        'pool.labels["tier"] == "gold" && "a" in pool.values["zone"]',
        'node.labels["pool"] == "gold"',
        'node.labels["kubernetes.io/hostname"] == "n"',
        'node.labels["karpenter.k8s.aws/instance-cpu"] == "4"',
        'node.labels["cloud.google.com/gke-spot"] == "true"',
        'node.labels["nvidia.com/gpu.product"] == "A100"',
        'node.labels["node-role.kubernetes.io/control-plane"] == ""',
        'pod.metadata.labels[?"teir"].orValue("") == ""',
        'pool.annotations[?"teir"].orValue("") == ""',
        'pool.labels[pod.metadata.name] == "x"',
        '[{"labels": {"teir": "x"}}].exists(o, o.labels["teir"] == "x")',
    ],
)
def test_nothing_is_said_of_labels_that_somebody_knows_and_of_other_maps(expression: str) -> None:
    assert unseen(expression) == []


def test_of_a_key_in_params_the_parameter_is_named() -> None:
    ((line, hint),) = unseen("pool.labels[params.key] == 'gold'".replace("'", '"'), params={"key": "teir"})
    assert "params.key" in line
    assert hint == "did you mean `tier`?"
    assert unseen('pool.labels[params.key] == "gold"', params={"key": "tier"}) == []


def test_preferences_and_variables_are_looked_through_as_well() -> None:
    assert len(unseen('pool.labels["teir"] == "gold"', field="prefer")) == 1
    assert len(unseen('pool.labels["teir"] == "gold"', field="fallback")) == 1


def test_one_inventory_that_speaks_of_it_is_enough() -> None:
    assert unseen('pool.labels["tier"] == "gold"', more={"pools/q.yaml": OWN}) == []
    assert unseen('pool.labels["rack"] == "r"', more={"pools/q.yaml": OWN}) == []


KNOWN = [
    *(f"example.com/{name}" for name in ("tenant", "shelf", "old", "size", "rack", "pool")),
    *("team", "gone", "there", "rare", "stand-alone"),
]


@pytest.mark.parametrize("key", KNOWN)
@pytest.mark.parametrize(
    "expression", ['pool.labels["{}"] == "x"', '!("{}" in pool.labels)', 'node.labels["{}"] == "x"']
)
def test_whatever_is_known_of_a_label_it_is_no_typo(key: str, expression: str) -> None:
    assert unseen(expression.format(key), more={"pools/q.yaml": KARPENTER}) == []


@pytest.mark.parametrize("key", KNOWN)
def test_what_looks_like_any_of_them_is_told_with_it(key: str) -> None:
    ((_, hint),) = unseen(f'pool.labels["{key[:-2]}{key[-1]}{key[-2]}"] == "x"', more={"pools/q.yaml": KARPENTER})
    assert hint == f"did you mean `{key}`?"


def test_pools_are_not_said_to_have_what_none_of_their_nodes_carries() -> None:
    ((_, hint),) = unseen('pool.labels["zzz"] == "x"', more={"pools/p.yaml": KARPENTER})
    assert "`example.com/pool`" in hint
    assert not [key for key in ("gone", "old", "stand-alone") if f"`{key}`" in hint or f"/{key}`" in hint]


def test_in_a_domain_names_are_compared_without_it() -> None:
    ((_, hint),) = unseen('pool.labels["example.com/pol"] == "a"', more={"pools/q.yaml": OWN})
    assert hint == "did you mean `example.com/pool`?"


def test_without_pools_nothing_is_said() -> None:
    empty = POOLS.split("pools:")[0] + "pools: []\n"
    assert unseen('pool.labels["teir"] == "gold"', more={"pools/p.yaml": empty}) == []
