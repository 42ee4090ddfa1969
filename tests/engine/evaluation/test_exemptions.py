"""engine.evaluation.policy: who is let off, who may say so, and what is touched only where a person asked for it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.bundle import parse_bundle
from engine.documents import BundleError
from engine.program import compile_bundle
from tests.engine.builders import (
    DAEMON_SET_CONTROLLER,
    GOLD,
    JANE,
    KUBELET,
    decider,
    incoming,
    mirror,
    of_a_daemon_set,
    outcomes,
    pod,
    required,
)

BASE = 'require: [{expression: \'pool.labels["tier"] == "base"\'}]'


def exemption(rest: str) -> str:
    return f"exemptions:\n  - name: night\n    reason: on-call may\n{rest}"


LABELLED = exemption(
    "    namespaceSelector: {matchLabels: {incident: 'yes'}}\n    podSelector: {matchLabels: {skip: 'yes'}}"
)


@pytest.mark.parametrize(
    ("labels", "namespace", "exempt"),
    [({"skip": "yes"}, {"incident": "yes"}, True), ({"skip": "yes"}, {}, False), ({}, {"incident": "yes"}, False)],
)
def test_both_must_say_so(labels: dict[str, str], namespace: dict[str, str], exempt: bool) -> None:
    engine = decider(GOLD, "deny: [{expression: 'true'}]", bundle=LABELLED)
    decision = engine.decide(incoming(pod(metadata={"labels": labels}), "team", JANE, **namespace))
    assert decision.allowed == exempt
    if exempt:
        assert outcomes(decision) == {"one": "notMatched", "two": "notMatched"}
        assert {said.message for said in decision.policies} == {"exempt by `night`: on-call may"}
        assert decision.patch == ()


def test_an_exemption_is_about_the_policies_that_it_names() -> None:
    engine = decider(GOLD, BASE, bundle=f"{LABELLED}\n    policies: [two]")
    decision = engine.decide(incoming(pod(metadata={"labels": {"skip": "yes"}}), incident="yes"))
    assert outcomes(decision) == {"one": "applied", "two": "notMatched"}
    assert decision.pools.after == ("gpu",)


@pytest.mark.parametrize(
    ("condition", "exempt"),
    [
        ('"dev" in request.userInfo.groups', True),
        ('request.userInfo.username == "root"', False),
        ('namespaceObject.metadata.name == "team"', True),
        ('params.open && namespaceObject.metadata.name == "team"', True),
    ],
)
def test_conditions(condition: str, exempt: bool) -> None:
    text = exemption(f"    matchConditions: [{{name: c, expression: '{condition}'}}]\nparams: {{open: true}}")
    decision = decider(GOLD, bundle=text).decide(incoming())
    assert outcomes(decision) == {"one": "notMatched" if exempt else "applied"}


def test_a_condition_that_fails_exempts_nobody_and_is_recorded() -> None:
    text = exemption('    matchConditions: [{name: c, expression: \'namespaceObject.metadata.labels["x"] == "y"\'}]')
    (said,) = decider(GOLD, bundle=text).decide(incoming()).policies
    assert said.outcome == "applied"
    assert "exemption night" in said.error
    assert "no such key" in said.error


def test_a_condition_that_fails_is_told_of_the_policies_that_it_is_about() -> None:
    condition = 'namespaceObject.metadata.labels["x"] == "y"'
    failing = f"    matchConditions: [{{name: c, expression: {condition!r}}}]\n    policies: [two]"
    one, two = decider(GOLD, GOLD, bundle=exemption(failing)).decide(incoming()).policies
    assert (one.error, "exemption night" in two.error) == ("", True)


def problems(text: str) -> list[tuple[str, str]]:
    header = "apiVersion: bayplan.dev/v1alpha1\nkind: Bundle\nmetadata: {name: b}\nspec:\n  version: 1.0.0\n"
    spec = "".join(f"  {line}\n" for line in text.splitlines())
    policy = "apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: one}\nspec:\n"
    files = {"bundle.yaml": header + spec, "policies/one.yaml": f"{policy}  {GOLD.strip()}\n"}
    bundle, found = parse_bundle(files)
    assert bundle is not None
    try:
        return [(problem.rule, str(problem.span)) for problem in (*found, *compile_bundle(bundle).warnings)]
    except BundleError as error:
        return [(problem.rule, str(problem.span)) for problem in (*found, *error.problems)]


@pytest.mark.parametrize(
    ("rest", "rule"),
    [
        ("    podSelector: {matchLabels: {skip: 'yes'}}", "author-alone"),
        ("    namespaceSelector: {}", "author-alone"),
        ("    matchConditions: [{name: c, expression: 'has(pod.spec.nodeName)'}]", "author-alone"),
        ("    matchConditions: [{name: c, expression: 'request.operation == \"CREATE\"'}]", "author-alone"),
        (
            "    matchConditions: [{name: c, expression: 'request.userInfo.username == pod.spec.hostname'}]",
            "author-alone",
        ),
        (
            '    matchConditions: [{name: c, expression: \'request.userInfo.username == "x" && "cpu" in requests\'}]',
            "author-alone",
        ),
        ("    matchConditions: [{name: c, expression: 'request.userInfo.name == \"x\"'}]", "unknown-field"),
        ("    namespaceSelector: {matchLabels: {a: b}}\n    policies: [on]", "unknown-policy"),
        ("    namespaceSelector: {matchLabels: {a: b}}\n    until: tomorrow", "unknown-field"),
    ],
)
def test_never_the_author_alone_and_other_mistakes(rest: str, rule: str) -> None:
    assert rule in {found for found, _ in problems(exemption(rest))}


def test_names_and_reasons() -> None:
    assert problems("exemptions: [{name: a, namespaceSelector: {matchLabels: {a: b}}}]") == [
        ("missing-field", "bundle.yaml:6:17")
    ]
    one = "{name: a, reason: r, namespaceSelector: {matchLabels: {a: b}}}"
    assert [rule for rule, _ in problems(f"exemptions: [{one}, {one}]")] == ["duplicate-name"]
    assert [rule for rule, _ in problems("handsOn: {namespaces: [default]}")] == ["unknown-word"]
    for said in ("templates", "'yes'", "yes", "1", "[template]"):
        (found,) = problems(f"handsOn: {{daemonSets: {said}}}")
        assert found[0] in ("unknown-word", "wrong-type"), said
    for said in ("true", "false", "template", "'template'", "'true'", "'false'"):
        assert problems(f"handsOn: {{daemonSets: {said}}}") == []


def test_a_daemon_set_may_be_opted_in_and_stays_on_its_node() -> None:
    given = of_a_daemon_set()
    assert decider(GOLD).decide(incoming(given, user=DAEMON_SET_CONTROLLER)).patch == ()

    engine = decider(
        GOLD, "tolerate: [{expression: 'taint.key == \"nvidia.com/gpu\"'}]", bundle="handsOn: {daemonSets: true}"
    )
    decision = engine.decide(incoming(given, user=DAEMON_SET_CONTROLLER))
    (term,) = required(decision)
    assert term == {
        "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}],
        "matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["gpu"]}],
    }
    assert engine.decide(incoming({**given, "spec": decision.patched["spec"]})).patch == ()


@pytest.mark.parametrize(
    ("given", "namespace", "user", "touched"),
    [
        (pod(), "kube-system", JANE, True),
        (pod(), "kube-node-lease", JANE, False),
        (pod(), "bayplan-system", JANE, False),
        (mirror(), "kube-system", KUBELET, False),
        (of_a_daemon_set(), "kube-system", DAEMON_SET_CONTROLLER, False),
        (of_a_daemon_set(), "kube-system", JANE, True),
        (pod(nodeName="n"), "kube-system", JANE, False),
    ],
)
def test_namespaces_may_be_opted_in(given: dict[str, Any], namespace: str, user: dict[str, Any], touched: bool) -> None:
    engine = decider(GOLD, bundle="handsOn: {namespaces: [kube-system]}", namespaces=["bayplan-system"])
    assert bool(engine.decide(incoming(given, namespace, user)).patch) == touched


def test_the_webhook_s_own_namespace_can_not_be_opted_in() -> None:
    engine = decider(GOLD, bundle="handsOn: {namespaces: [kube-system]}", namespaces=["kube-system"])
    assert engine.decide(incoming(namespace="kube-system")).patch == ()
