"""engine.analysis.karpenter: for which policies Karpenter drops pods."""

from __future__ import annotations

import pytest

from tests.engine.analysis.bundles import POOLS, examined, told

KARPENTER = {"pools/p.yaml": POOLS.replace("selector: {pool:", "selector: {karpenter.sh/nodepool:")}
MIXED = {"pools/p.yaml": POOLS.replace("selector: {pool: gold}", "selector: {karpenter.sh/nodepool: gold}")}


def require(*expressions: str) -> str:
    return "require:\n" + "\n".join(f"  - expression: '{one}'" for one in expressions)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (require('node.labels["kubernetes.io/hostname"] == "n"'), "names `kubernetes.io/hostname`"),
        (require('node.labels["kubernetes.io/hostname"] == pod.metadata.name'), "names `kubernetes.io/hostname`"),
        (require("pool.gpus > 1", '!("karpenter.sh/do-not-sync-taints" in node.labels)'), "do-not-sync-taints`"),
        (require('node.labels["karpenter.sh/capacity-type"] == "cheap"'), "In cheap, and there is no such"),
        (require('node.labels["karpenter.sh/capacity-type"] in ["cheap", "spot"]'), ""),
        (require('node.labels["kubernetes.io/arch"] == "arm64"'), ""),
        ('prefer: [{expression: \'node.labels["kubernetes.io/hostname"] == "n"\', weight: 3}]', ""),
        ("mode: 'off'\n" + require('node.labels["kubernetes.io/hostname"] == "n"'), ""),
    ],
)
def test_of_what_is_required_the_first_thing_for_which_karpenter_makes_no_node(spec: str, why: str) -> None:
    examination = examined({"p": spec}, KARPENTER)
    said = [message for rule, message in told(examination) if rule == "karpenter-drops-pods"]
    assert [why in one for one in said] == ([True] if why else [])
    assert "karpenter-drops-pods" not in {rule for rule, _ in told(examined({"p": spec}))}


def test_a_term_for_nodes_of_another_kind_counts_beside_karpenter_s() -> None:
    both = require('pool.name == "gold" || node.labels["kubernetes.io/hostname"] == "n"')
    static = require('pool.name == "base" && node.labels["kubernetes.io/hostname"] == "n"')
    assert "karpenter-drops-pods" in {rule for rule, _ in told(examined({"p": both}, MIXED))}
    assert "karpenter-drops-pods" not in {rule for rule, _ in told(examined({"p": static}, MIXED))}


def test_the_requirement_that_names_the_label_is_pointed_at() -> None:
    spec = require("pool.gpus >= 0", 'node.labels["kubernetes.io/hostname"] == "n"')
    (problem,) = examined({"p": spec}, KARPENTER).problems
    assert "hostname" in problem.span.snippet()


TYPE, FAMILY, ZONE = (
    "node.kubernetes.io/instance-type",
    "karpenter.k8s.aws/instance-family",
    "topology.kubernetes.io/zone",
)


def node_pool(name: str, *requirements: str) -> str:
    listed = ", ".join(f"{{{one}}}" for one in requirements)
    return f"""---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {{name: {name}}}
spec: {{template: {{spec: {{requirements: [{listed}]}}}}}}
"""


FLEXIBLE = f"key: {TYPE}, operator: In, values: [m5.large, m6.large, c5.large, c6.large], minValues: 3"
EXISTS = f"key: {TYPE}, operator: Exists, minValues: 3"
FAMILIES = f"key: {FAMILY}, operator: Exists, minValues: 2"
ZONES = f"key: {ZONE}, operator: In, values: [a, b, c], minValues: 3"


@pytest.mark.parametrize(
    ("requirements", "expression", "why"),
    [
        ([FLEXIBLE], 'node.instanceType in ["m5.large", "m6.large"]', "3 values of node.kubernetes.io/instance-type"),
        ([FLEXIBLE], 'node.instanceType in ["m5.large", "m6.large", "x1.large"]', "and 2 are left"),
        ([FLEXIBLE], 'node.instanceType in ["m5.large", "m6.large", "c5.large"]', ""),
        ([FLEXIBLE], 'node.instanceType != "m5.large"', ""),
        (
            [FLEXIBLE, f"key: {TYPE}, operator: NotIn, values: [c6.large]"],
            'node.instanceType != "m5.large"',
            "2 are left",
        ),
        ([EXISTS], 'node.instanceType in ["m5.large", "m6.large"]', "2 are left"),
        ([EXISTS], "has(node.instanceType)", ""),
        ([FAMILIES], f'node.labels["{FAMILY}"] == "m5"', "asks for 2 values of karpenter.k8s.aws/instance-family"),
        ([FAMILIES], 'node.instanceType == "m5.large"', ""),
        ([ZONES], 'node.zone == "a"', ""),
    ],
)
def test_fewer_values_are_left_than_a_node_pool_asks_for(requirements: list[str], expression: str, why: str) -> None:
    """Karpenter counts values of the types of machines that are left; a type has one name, and several zones."""
    one = {"pools/p.yaml": node_pool("k", *requirements)}
    said = [message for rule, message in told(examined({"p": require(expression)}, one)) if "drops" in rule]
    assert [why in message for message in said] == ([True] if why else [])
    two = {"pools/p.yaml": node_pool("k", *requirements) + node_pool("other")}
    assert "karpenter-drops-pods" not in {rule for rule, _ in told(examined({"p": require(expression)}, two))}
