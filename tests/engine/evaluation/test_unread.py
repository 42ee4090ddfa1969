"""engine.evaluation.policy: of a pod that was not read, all policies fail that may be about it, and no others."""

from __future__ import annotations

import pytest

from engine.pods import IncomingPod
from engine.struct import replace
from tests.engine.builders import GOLD, JANE, decider, incoming, outcomes

WHY = "the pod has more than 100,000 values and is not read, for that alone would take too long"


def unread(namespace: str = "team", node: str = "", **labels: str) -> IncomingPod:
    spec = {"nodeName": node} if node else {}
    return replace(incoming({"metadata": {"name": "p"}, "spec": spec}, namespace, JANE, **labels), unread=WHY)


@pytest.mark.parametrize(
    "spec",
    [
        GOLD,
        f"podSelector: {{matchLabels: {{app: other}}}}\n{GOLD}",
        f"matchConditions: [{{name: c, expression: 'false'}}]\n{GOLD}",
        "deny: [{expression: 'false'}]",
        f"namespaceSelector: {{matchLabels: {{level: high}}}}\n{GOLD}",
        f"rollout: 1\n{GOLD}",
    ],
)
def test_what_may_be_about_it_fails(spec: str) -> None:
    """What it selects by, and asks of the pod, is not known: it is not absent."""
    decision = decider(f"failurePolicy: Fail\n{spec}").decide(unread(level="high"))
    assert outcomes(decision) == {"one": "failed"}
    assert not decision.allowed
    assert decision.message.startswith(f"policy one could not be decided: {WHY}")
    assert "have fewer entries" in decision.message
    lenient = decider(f"failurePolicy: Ignore\n{spec}").decide(unread(level="high"))
    assert (lenient.allowed, lenient.patch, outcomes(lenient)) == (True, (), {"one": "failed"})
    assert lenient.warnings


@pytest.mark.parametrize(
    ("spec", "outcome"),
    [
        (f"namespaceSelector: {{matchLabels: {{level: high}}}}\n{GOLD}", "notMatched"),
        (f"mode: 'off'\n{GOLD}", "off"),
        (f"rollout: 0\n{GOLD}", "notRolledOut"),
    ],
)
def test_what_can_not_be_is_as_ever(spec: str, outcome: str) -> None:
    decision = decider(f"failurePolicy: Fail\n{spec}").decide(unread())
    assert (decision.allowed, outcomes(decision)) == (True, {"one": outcome})


def test_where_the_namespace_is_not_known_either_its_name_is() -> None:
    named = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s, level: high}}\n" + GOLD
    engine = decider(named % "other", named % "team")
    decision = engine.decide(replace(unread(), namespace_unknown="no answer in time"))
    assert outcomes(decision) == {"one": "notMatched", "two": "failed"}


def test_a_pod_that_names_its_node_is_placed_by_nobody() -> None:
    decision = decider(f"failurePolicy: Fail\n{GOLD}").decide(unread(node="n"))
    assert decision.patch == ()


def test_namespaces_that_are_left_alone_stay_so() -> None:
    decision = decider(f"failurePolicy: Fail\n{GOLD}").decide(unread("kube-system"))
    assert decision.allowed
