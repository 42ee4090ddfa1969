"""engine.program.closed_words: words that something never says, wherever they are compared with it."""

from __future__ import annotations

import json

import pytest

from engine.documents import Problem
from tests.engine.builders import decider

BUNDLE = "params: {arch: x86_64, archs: [amd64, x86_64], deep: {types: {first: SPOT}}}"


def told(expression: str, field: str = "require", more: str = "") -> list[Problem]:
    entry = {"expression": expression} | ({"weight": 5} if field == "prefer" else {})
    taint = "" if field == "tolerate" or more else "\nrequire: [{expression: 'pool.nodes >= 0'}]"
    spec = f"{field}: {json.dumps([entry])}" + (taint if field != "require" else "") + more
    warnings = decider(spec, bundle=BUNDLE).program.warnings
    return [problem for problem in warnings if problem.rule == "word-never-said"]


def at(problem: Problem) -> str:
    """The characters that a problem points at."""
    return problem.span.source.text[problem.span.start : problem.span.end]


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ('node.capacityType == "SPOT"', "did you mean `spot`?"),
        ('node.capacityType != "SPOT"', "did you mean `spot`?"),
        ('"ON_DEMAND" == node.capacityType', "did you mean `on-demand`?"),
        ('node.capacityType == "on_demand"', "did you mean `on-demand`?"),
        ('node.capacityType == "ondemand"', "did you mean `on-demand`?"),
        ('node.capacityType == "CAPACITY_BLOCK"', "did you mean `reserved`?"),
        ('node.capacityType == "preemptible"', "did you mean `spot`?"),
        ('node.capacityType in ["spot", "On-Demand"]', "did you mean `on-demand`?"),
        ('node.?capacityType.orValue("") == "SPOT"', "did you mean `spot`?"),
        ('"SPOT" in pool.capacityTypes', "did you mean `spot`?"),
        ('pool.capacityTypes == ["SPOT"]', "did you mean `spot`?"),
        ('pool.capacityTypes.exists(c, c == "SPOT")', "did you mean `spot`?"),
        ('!pool.capacityTypes.all(c, c != "SPOT")', "did you mean `spot`?"),
        ('pool.capacityTypes[0] == "SPOT"', "did you mean `spot`?"),
        ('sets.contains(pool.capacityTypes, ["SPOT"])', "did you mean `spot`?"),
        ('["SPOT"].exists(c, c == node.capacityType)', "did you mean `spot`?"),
        ('node.capacityType in {"SPOT": 1}', "did you mean `spot`?"),
        ('node.capacityType == params.deep.types["first"]', "did you mean `spot`?"),
        ("node.arch == params.arch", "did you mean `amd64`?"),
        ("node.arch in params.archs", "did you mean `amd64`?"),
        ("params.archs.exists(a, node.arch == a)", "did you mean `amd64`?"),
        ('node.arch == "aarch64"', "did you mean `arm64`?"),
        ('node.os == "Linux"', "did you mean `linux`?"),
        ('"Windows" in pool.operatingSystems', "did you mean `windows`?"),
        ('node.labels["kubernetes.io/arch"] == "x86_64"', "did you mean `amd64`?"),
        ('pool.labels[?"kubernetes.io/os"].orValue("") == "Linux"', "did you mean `linux`?"),
        ('node.labels["eks.amazonaws.com/capacityType"] == "spot"', "did you mean `SPOT`?"),
        ('pool.taints.exists(t, t.effect == "NoExecution")', "did you mean `NoExecute`?"),
        ('pod.spec.restartPolicy == "always"', "did you mean `Always`?"),
        ('pod.spec.containers.all(c, c.imagePullPolicy == "ifNotPresent")', "did you mean `IfNotPresent`?"),
        ('pod.spec.?preemptionPolicy.orValue("none") == "never"', "did you mean `Never`?"),
        ('pod.spec.dnsPolicy in ["Default", "ClusterFirstt"]', "did you mean `ClusterFirst`?"),
        ('request.operation == "UPDATE"', "pods are placed when they are created"),
        ('request.operation == "create"', "did you mean `CREATE`?"),
        ('pod.kind == "CronJob"', "pods of a CronJob are owned by a Job"),
        ('pod.kind != "Deployment"', "pods of a Deployment are owned by a ReplicaSet"),
        ('pod.kind in ["Pod", "StatefulSet"]', 'exists(o, o.kind == "StatefulSet")'),
        ('pod.kind == "SparkApplication"', 'exists(o, o.kind == "SparkApplication")'),
        ('pod.apiVersion == "apps/v1"', 'exists(o, o.apiVersion == "apps/v1")'),
        ('pod.kind == "pod"', "did you mean `Pod`?"),
        ('pod.metadata.?ownerReferences.orValue([]).exists(o, o.kind == "Deployment")', "owned by a ReplicaSet"),
    ],
)
def test_a_word_that_is_never_said(expression: str, hint: str) -> None:
    problems = told(expression)
    assert problems
    assert all(hint in problem.hint and problem.severity == "warning" for problem in problems)


@pytest.mark.parametrize(
    "expression",
    [
        'node.capacityType in ["spot", "on-demand", "reserved"]',
        'node.?capacityType.orValue("none") == "none"',
        '"spot" in pool.capacityTypes && node.capacityType == "spot"',
        'node.os == "windows" && node.arch != "s390x"',
        'node.zone == "SPOT" || node.instanceType == "x86_64"',
        'node.labels["arch"] == "x86_64" || pool.labels[?"os"].orValue("") == "Linux"',
        'node.labels["kubernetes.io/arch"] == "arm64"',
        'pod.kind == "Pod" && pod.apiVersion == "v1" && request.operation == "CREATE"',
        'pod.metadata.?ownerReferences.orValue([]).exists(o, o.kind in ["ReplicaSet", "SparkApplication", "Job"])',
        '["SPOT"].exists(c, c == pod.metadata.name)',
        'pool.capacityTypes.size() > 0 && ["SPOT"].exists(spot, ["a"].exists(spot, spot == "SPOT"))',
        'pod.spec.containers.exists(c, c.name == "Linux")',
        'optional.of(pod.kind).value() == "Pod" || optional.none().hasValue()',
    ],
)
def test_nothing_is_said_of_what_may_be(expression: str) -> None:
    assert told(expression) == []


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("require", 'node.os == "Linux"'),
        ("prefer", 'node.os == "Linux"'),
        ("fallback", 'node.os == "Linux"'),
        ("tolerate", 'taint.key == "a" && taint.effect == "NoSchedul"'),
        ("deny", 'pod.spec.restartPolicy == "never"'),
    ],
)
def test_in_every_effect(field: str, expression: str) -> None:
    (problem,) = told(expression, field)
    assert str(problem.span).startswith("policies/one.yaml:")
    assert at(problem).strip('"') in ("Linux", "NoSchedul", "never")


def test_in_shares() -> None:
    split = "split: [{share: 70, expression: node.capacityType == 'SPOT'}, {share: 30, expression: node.os == 'linux'}]"
    (problem,) = (p for p in decider(split).program.warnings if p.rule == "word-never-said")
    assert at(problem) == "'SPOT'"


def test_in_conditions_and_through_variables() -> None:
    more = (
        "\nmatchConditions: [{name: c, expression: 'pod.kind == \"Job\"'}]"
        "\nvariables: [{name: k, expression: pod.kind}]"
    )
    problems = told('variables.k == "StatefulSet"', more=more)
    assert sorted(map(at, problems)) == ['"Job"', '"StatefulSet"']


def test_what_it_comes_to_is_said() -> None:
    compared = ('node.os == "Mac"', 'node.os != "Mac"', '"Mac" in pool.operatingSystems')
    assert [told(text)[0].message for text in compared] == [
        "`os` is never `Mac`, so this never holds",
        "`os` is never `Mac`, so this always holds",
        "`operatingSystems` never has `Mac`, so this never holds",
    ]
