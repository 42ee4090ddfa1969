"""engine.decision.contradiction: a policy and the pod itself that contradict each other in one label, in words."""

from __future__ import annotations

from typing import Any

import pytest

from engine.decision.contradiction import in_words, labelled
from engine.nodeselector import ABSENT, EXISTS, LabelStates, integers, one_of
from engine.pools import Inventory

from ..builders import GOLD, decide, pod, pools_named

ZONE = "topology.kubernetes.io/zone"


def affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod's required node affinity of these terms."""
    selector = {"nodeSelectorTerms": [{"matchExpressions": expressions} for expressions in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def asking(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pod(nodeSelector={ZONE: "c"}), "zones a, b, but the pod's nodeSelector asks for zone c"),
        (
            pod(affinity=affinity([asking(ZONE, "In", "c", "d")])),
            "zones a, b, but the pod's node affinity asks for zones c, d",
        ),
        (
            pod(affinity=affinity([asking(ZONE, "In", "c")], [asking(ZONE, "In", "e"), asking("x", "Exists")])),
            "zones a, b, but the pod's node affinity asks for zones c, e",
        ),
        (
            pod(affinity=affinity([asking(ZONE, "NotIn", "a", "b")])),
            f"zones a, b, but the pod's node affinity asks for {ZONE} NotIn [a, b]",
        ),
        (
            pod(nodeSelector={"tier": "base"}),
            "tier=gold, but the pod's nodeSelector asks for tier=base",
        ),
        (
            pod(affinity=affinity([asking("tier", "NotIn", "gold")])),
            "tier=gold, but the pod's node affinity asks for tier NotIn [gold]",
        ),
        (
            pod(
                affinity=affinity([asking(ZONE, "In", "a", "c")], [asking(ZONE, "In", "b", "c")]),
                nodeSelector={ZONE: "c"},
            ),
            "zones a, b, but the pod's nodeSelector asks for zone c",
        ),
    ],
)
def test_the_values_on_both_sides_are_told(given: dict[str, Any], said: str) -> None:
    decision = decide(GOLD, given=given)
    assert not decision.allowed
    assert decision.message == f"policy one: gold nodes only: that allows {said}, so nothing is left"


def test_selector_and_affinity_only_together() -> None:
    """Each alone goes together with the policy."""
    both = pod(
        nodeSelector={"tier": "base"} | {ZONE: "a"},
        affinity=affinity([asking("karpenter.sh/nodepool", "In", "gpu", "plain"), asking(ZONE, "In", "a", "b")]),
    )
    message = decide("require: [{expression: 'pool.gpus > 0', message: GPUs}]", given=both).message
    assert "that allows tier=gold, but the pod's nodeSelector asks for tier=base" in message


@pytest.mark.parametrize(
    "given",
    [
        pod(affinity=affinity([asking(ZONE, "In", "c")], [asking("tier", "In", "base")])),
        pod(affinity=affinity([asking("tier", "In", "base")], [asking("karpenter.sh/nodepool", "In", "plain")])),
    ],
)
def test_alternatives_that_fail_in_different_labels_are_told_by_pools(given: dict[str, Any]) -> None:
    message = decide(GOLD, given=given).message
    assert "gold nodes only: that leaves gpu, but the pod's own constraints leave" in message


def test_where_the_policy_is_about_nodes_of_any_pool() -> None:
    policy = 'require: [{expression: \'node.zone in ["a", "b"]\', message: near}]'
    message = decide(policy, given=pod(nodeSelector={ZONE: "c"}), pools=Inventory()).message
    assert (
        message
        == "policy one: near: that allows zones a, b, but the pod's nodeSelector asks for zone c, so nothing is left"
    )


def test_of_many_values_the_first_are_told() -> None:
    pools = pools_named(12)
    policy = "require: [{expression: 'pool.name != \"p3\"', message: not the third}]"
    message = decide(policy, given=pod(nodeSelector={"pool": "p3"}), pools=pools).message
    assert "that allows pool In [p1, p10, p11, p12, p2, 6 more], but the pod's nodeSelector asks for pool=p3" in message


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (one_of(["a"]), "x=a"),
        (one_of(["b", "a"]), "x In [a, b]"),
        (ABSENT, "no x"),
        (EXISTS, "x Exists"),
        (integers(5), "x Gt 4"),
        (one_of(["a"]) | ABSENT, "x In [a] or DoesNotExist"),
    ],
)
def test_what_is_known_of_a_label(states: LabelStates, said: str) -> None:
    assert labelled("x", states) == in_words("x", states) == said
