"""engine.program.advice: what is warned of, and what is not."""

import pytest

from tests.engine.builders import decider

GOOD = 'require: [{expression: \'"a" in pool.zones && node.zone == "a"\'}]'
MIXED = "require: [{expression: '\"spot\" in pool.capacityTypes'}]"
READS = "require: [{expression: 'true'}]\nmatchConditions: [{name: n, expression: '!has(pod.spec.affinity)'}]"

VARIABLE = "variables:\n  - {name: own, expression: 'pod.spec.?tolerations.orValue([])'}\n"
NAMED = "deny: [{expression: has(pod.spec.nodeName)}]\n"

CREATED, THEN = "namespaceObject.metadata.creationTimestamp", 'timestamp("2026-01-01T00:00:00Z")'
BORN = f"has({CREATED})"


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        (MIXED, ["mixed-pool"]),
        (GOOD, []),
        ("prefer: [{expression: '\"spot\" in pool.capacityTypes', weight: 5}]", []),
        ("spread: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]", ["topology-key"]),
        ("spread: [{topologyKey: topology.kubernetes.io/zones, whenUnsatisfiable: ScheduleAnyway}]", ["topology-key"]),
        ("podAffinity: [{topologyKey: failure-domain.beta.kubernetes.io/zone, weight: 5}]", ["topology-key"]),
        ("podAntiAffinity: [{topologyKey: hostname, weight: 5}]", ["topology-key"]),
        ("podAntiAffinity: [{topologyKey: topology.kubernetes.io/hostname, weight: 5}]", ["topology-key"]),
        ("podAntiAffinity: [{topologyKey: kubernetes.io/hostname, weight: 5}]", []),
        ("podAntiAffinity: [{topologyKey: rack, weight: 5}]", []),
        ("podAntiAffinity: [{topologyKey: topology.ebs.csi.aws.com/zone, weight: 5}]", []),
        (READS, ["reads-what-policies-write"]),
        ("require: [{expression: 'size(pod.spec.?tolerations.orValue([])) == 0'}]", ["reads-what-policies-write"]),
        (f"deny: [{{expression: '{BORN} && {CREATED} < {THEN}'}}]", ["text-for-timestamp"]),
        (f"deny: [{{expression: '{BORN} && {CREATED}.getFullYear() < 2000'}}]", ["text-for-timestamp"]),
        (
            f"variables: [{{name: t, expression: '{BORN} ? {CREATED} : {THEN}'}}]\n"
            "deny: [{expression: variables.t < variables.t}]",
            ["text-for-timestamp"],
        ),
        (f"deny: [{{expression: '{BORN} && timestamp(dyn({CREATED})) < {THEN}'}}]", []),
        (f"deny: [{{expression: '{BORN}'}}]", []),
        (f"deny: [{{expression: '{THEN} < {THEN}'}}]", []),
        ("variables: [{name: x, expression: '1'}]\nrequire: [{expression: 'true'}]", ["unused-variable"]),
    ],
)
def test_warnings(spec: str, rules: list[str]) -> None:
    """They do not stop the bundle."""
    assert [problem.rule for problem in decider(spec).program.warnings] == rules


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("deny: [{expression: 'size(pod.spec.?tolerations.orValue([])) > 2'}]", True),
        ("deny: [{expression: 'has(pod.spec.tolerations)'}]", True),
        (VARIABLE + "deny: [{expression: 'size(variables.own) > 2'}]", True),
        (
            VARIABLE + "  - {name: many, expression: 'size(variables.own) > 2'}\ndeny: [{expression: variables.many}]",
            True,
        ),
        (VARIABLE + "matchConditions: [{name: n, expression: 'size(variables.own) > 2'}]\n" + NAMED, False),
        (
            VARIABLE
            + "  - {name: many, expression: 'size(variables.own) > 2'}\n"
            + NAMED
            + "require: [{expression: variables.many}]",
            False,
        ),
        ("deny: [{expression: 'has(pod.spec.affinity)'}]", False),
        ("require: [{expression: 'size(pod.spec.?tolerations.orValue([])) == 0'}]", False),
        ("deny: [{expression: has(pod.spec.nodeName)}]\n" + READS.replace("affinity", "tolerations"), False),
    ],
)
def test_deny_of_tolerations_is_told_that_they_can_be_added_later(spec: str, told: bool) -> None:
    hints = [problem.hint for problem in decider(spec).program.warnings]
    assert hints == [
        "tolerations can be added to a pod later, when nothing judges them: keep pods off nodes by `require`"
        if told
        else ""
    ]


NOT_READY, CORDON = "node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        (f"taint.key == '{NOT_READY}'", [NOT_READY]),
        (f"'{CORDON}' == taint.key", [CORDON]),
        (f"taint.key in ['gpu', '{NOT_READY}', '{CORDON}']", [NOT_READY, CORDON]),
        (f"taint.key == 'gpu' || (taint.value == 'x' && taint.key == '{CORDON}')", [CORDON]),
        (f"taint.key != '{CORDON}'", []),
        (f"taint.key == 'gpu' && !(taint.key in ['{CORDON}'])", []),
        (f"taint.value == '{CORDON}' && taint.key == 'gpu'", []),
        ("taint.key.startsWith('node.kubernetes.io/')", []),
        ("taint.key == 'readiness.k8s.io/network'", ["readiness.k8s.io/network"]),
    ],
)
def test_what_can_never_be_tolerated_is_told(entry: str, keys: list[str]) -> None:
    """With seconds the two that every pod says something of may be named."""
    for seconds, expected in (("", keys), (", seconds: 5", [key for key in keys if key != NOT_READY])):
        problems = decider(f'tolerate: [{{expression: "{entry}"{seconds}}}]').program.warnings
        assert [problem.rule for problem in problems] == ["lifecycle-taint"] * len(expected)
        assert [problem.message.split("`")[1] for problem in problems] == expected


@pytest.mark.parametrize(
    ("spec", "refuses"),
    [
        ("deny: [{expression: pod.spec.hostNetwork}]", True),
        ("require: [{expression: 'true'}]\nmatchConditions: [{name: m, expression: pod.spec.hostNetwork}]", True),
        ("deny: [{expression: pod.spec.hostNetwork}]\nfailurePolicy: Ignore", False),
        ("prefer: [{expression: pod.spec.hostNetwork, weight: 5}]", False),
        ("require: [{expression: pod.spec.hostNetwork}]", False),
        (
            "require: [{expression: 'true'}]\ntolerate: [{expression: 'pod.spec.hostNetwork && taint.key == \"gpu\"'}]",
            True,
        ),
    ],
)
def test_who_forgets_that_a_field_may_be_absent_is_told_that_pods_are_refused(spec: str, refuses: bool) -> None:
    """An error in `require` is not true, and refuses nobody by itself; one in a wish never does."""
    (problem,) = decider(spec).program.warnings
    assert problem.rule == "unguarded-optional"
    assert ("`one` refuses pods for which it can't be decided" in problem.message) is refuses
