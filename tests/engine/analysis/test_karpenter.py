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
