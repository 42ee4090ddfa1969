"""engine.evaluation.policy: where only a Namespace's name is known, what reads more of it fails, and nothing else."""

from __future__ import annotations

import pytest

from engine.decision import Decider
from engine.pods import IncomingPod
from engine.program.reads import reads_namespace
from engine.struct import replace
from tests.engine.builders import decider, incoming, outcomes, pod

WHY = "Namespace team could not be read (no answer in time); try again"
GOLD = 'require: [{expression: \'pool.labels["tier"] == "gold"\'}]'
BY_LABEL = "namespaceSelector: {matchLabels: {level: high}}"


def unknown(**more: object) -> IncomingPod:
    return replace(incoming(pod(**more)), namespace_unknown=WHY)


def outcome(spec: str, **more: object) -> str:
    engine = decider(f"failurePolicy: Fail\n{spec}")
    return outcomes(engine.decide(unknown(**more)))["one"]


READS = [
    f"{BY_LABEL}\n{GOLD}",
    "namespaceSelector: {matchExpressions: [{key: level, operator: DoesNotExist}]}\n" + GOLD,
    "namespaceSelector: {matchExpressions: [{key: level, operator: NotIn, values: [x]}]}\n" + GOLD,
    "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team, level: high}}\n" + GOLD,
    "matchConditions: [{name: c, expression: '!(\"level\" in namespaceObject.metadata.labels)'}]\n" + GOLD,
    "matchConditions: [{name: c, expression: 'has(namespaceObject.metadata.annotations)'}]\n" + GOLD,
    "deny: [{expression: 'namespaceObject.metadata.labels.size() > 5'}]",
    "deny: [{expression: 'namespaceObject == dyn(pod)'}]",
    'require: [{expression: \'namespaceObject.metadata.labels[?"tier"].orValue("x") == pool.labels["tier"]\'}]',
    "variables: [{name: n, expression: namespaceObject.metadata.labels}, {name: m, expression: variables.n.size()}]\n"
    'require: [{expression: \'variables.m < 7 && pool.labels["tier"] == "gold"\'}]',
    "prefer: [{weight: 5, expression: 'pool.name in namespaceObject.metadata.labels'}]",
    "prefer: [{expression: 'true', score: 'double(namespaceObject.metadata.labels.size())'}]",
    "fallback: [{expression: 'pool.name in namespaceObject.metadata.labels'}]",
    GOLD + "\ntolerate: [{expression: 'taint.key in namespaceObject.metadata.labels'}]",
    "split: [{share: 50, expression: 'pool.name in namespaceObject.metadata.labels'}, {share: 50, expression: 'true'}]",
    'deny: [{expression: \'namespaceObject.?status.?phase.orValue("") == "Terminating"\'}]',
]


@pytest.mark.parametrize("spec", READS)
def test_what_reads_the_namespace_fails(spec: str) -> None:
    engine = decider(f"failurePolicy: Fail\n{spec}", "require: [{expression: 'pool.name != \"x\"'}]")
    decision = engine.decide(unknown())
    assert outcomes(decision)["one"] == "failed"
    assert decision.message == f"policy one could not be decided: {WHY}"
    assert not decision.allowed
    lenient = decider(f"failurePolicy: Ignore\n{spec}", GOLD).decide(unknown())
    assert lenient.allowed
    assert outcomes(lenient) == {"one": "failed", "two": "applied"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (GOLD, "applied"),
        ("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team}}\n" + GOLD, "applied"),
        ("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other, level: high}}\n" + GOLD, "notMatched"),
        (f"podSelector: {{matchLabels: {{app: other}}}}\n{BY_LABEL}\n{GOLD}", "notMatched"),
        (f"{BY_LABEL}\nmatchConditions: [{{name: c, expression: 'has(pod.spec.hostNetwork)'}}]\n{GOLD}", "notMatched"),
        (f"{BY_LABEL}\nrollout: 0\n{GOLD}", "notRolledOut"),
        ("matchConditions: [{name: c, expression: 'namespaceObject.metadata.name == \"team\"'}]\n" + GOLD, "applied"),
        ("deny: [{expression: 'request.namespace == \"other\"'}]", "satisfied"),
        (
            'deny: [{expression: \'namespaceObject.metadata.labels["kubernetes.io/metadata.name"] == "team"\'}]',
            "denied",
        ),
        (f"mode: 'off'\n{BY_LABEL}\n{GOLD}", "off"),
    ],
)
def test_what_does_not_is_decided(spec: str, expected: str) -> None:
    assert outcome(spec) == expected


@pytest.mark.parametrize("spec", READS)
def test_a_namespace_that_is_known_fails_nothing(spec: str) -> None:
    decision = decider(f"failurePolicy: Fail\n{spec}").decide(incoming(level="high"))
    assert outcomes(decision)["one"] != "failed"


def exempting(condition: str) -> Decider:
    exemption = f"exemptions: [{{name: night, reason: on-call may, policies: [one], {condition}}}]"
    return decider(GOLD + "\nfailurePolicy: Fail", "deny: [{expression: 'false'}]", bundle=exemption)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("namespaceSelector: {matchLabels: {incident: 'yes'}}", "failed"),
        (
            "matchConditions: [{name: c, expression: '\"incident\" in namespaceObject.metadata.labels'}]",
            "failed",
        ),
        ("namespaceSelector: {matchLabels: {incident: 'yes', kubernetes.io/metadata.name: other}}", "applied"),
        ("namespaceSelector: {matchLabels: {incident: 'yes'}}, podSelector: {matchLabels: {app: other}}", "applied"),
        (
            "namespaceSelector: {matchLabels: {incident: 'yes'}}, "
            "matchConditions: [{name: c, expression: '\"sre\" in request.userInfo.groups'}]",
            "applied",
        ),
        ("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team}}", "notMatched"),
        ("matchConditions: [{name: c, expression: '\"dev\" in request.userInfo.groups'}]", "notMatched"),
    ],
)
def test_an_exemption_that_reads_it_is_not_known_either(condition: str, expected: str) -> None:
    """The policy would be wrong if it applied, and wrong if it did not; others are not concerned."""
    decision = exempting(condition).decide(unknown())
    assert outcomes(decision) == {"one": expected, "two": "applied" if expected == "failed" else "satisfied"}
    if expected == "failed":
        assert decision.message == f"policy one could not be decided: exemption night: {WHY}"


def test_namespaces_that_are_left_alone_are_known_by_name() -> None:
    engine = decider("failurePolicy: Fail\n" + READS[0], namespaces=["team"])
    assert engine.decide(unknown()).allowed


def test_a_policy_that_reads_the_environment_says_why_too() -> None:
    spec = "deny: [{expression: 'pod.spec.containers.exists(c, has(c.env))'}]"
    decision = decider(f"failurePolicy: Fail\n{BY_LABEL}\n{spec}").decide(unknown())
    assert WHY in decision.message


def test_variables_of_one_policy_are_not_those_of_another() -> None:
    reads = "variables: [{name: v, expression: namespaceObject.metadata.labels.size()}]\n"
    plain = "variables: [{name: v, expression: pod.spec.containers.size()}]\n"
    rest = 'require: [{expression: \'variables.v < 100 && pool.labels["tier"] == "gold"\'}]'
    decision = decider("failurePolicy: Ignore\n" + reads + rest, plain + rest).decide(unknown())
    assert outcomes(decision) == {"one": "failed", "two": "applied"}


def test_shadowed_names_are_read_carefully() -> None:
    from engine.documents import Excerpt
    from engine.language import parse

    for text, expected in [
        ("namespaceObject.metadata.name", False),
        ("has(namespaceObject.metadata.name)", False),
        ('namespaceObject.metadata.?name.orValue("") == "x"', False),
        ('namespaceObject.metadata.?uid.orValue("") == "x"', True),
        ('namespaceObject.metadata.labels[?"kubernetes.io/metadata.name"].hasValue()', False),
        ("[namespaceObject].size() == 1", True),
        (".namespaceObject.spec.finalizers.size() == 0", True),
        ("variables.a", True),
        ("variables.b", False),
        ("has(variables.a)", True),
    ]:
        node, problems = parse(Excerpt.of(text))
        assert node is not None, problems
        assert reads_namespace(node, {"a"}) is expected, text
