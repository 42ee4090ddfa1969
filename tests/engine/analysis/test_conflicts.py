"""engine.analysis.conflicts: policies that leave a pod nothing together, each with a pod that shows it."""

from __future__ import annotations

import json

import pytest

from engine.analysis.examination import examine, inventories_of
from engine.decision import Decider
from tests.engine.analysis.bundles import ARM, GOLD, bundle_of, examined, found


def test_two_policies_that_one_pod_can_meet_and_no_pool() -> None:
    bundle, program = bundle_of({"gold": GOLD, "arm": ARM})
    examination = examine(bundle, program, inventories_of(bundle))
    (conflict,) = examination.conflicts
    assert (conflict.policies, conflict.overruled, conflict.refused) == (("arm", "gold"), "gold", True)
    assert conflict.pools == {"arm": ("arm",), "gold": ("gold",)}
    incoming = conflict.witness.incoming
    assert incoming.pod["metadata"]["labels"] == {"arch": "arm", "class": "gold"}
    assert incoming.namespace["metadata"]["labels"]["team"] == "a"
    assert not Decider(program, inventories_of(bundle)[0][1]).decide(incoming).allowed
    (problem,) = examination.problems
    assert (problem.rule, problem.severity, str(problem.span)) == ("conflicting-policies", "warning", problem_place())
    for words in ("`arm` leaves arm", "`gold` leaves gold", "such a pod is refused", "`class: gold`", "`team: a`"):
        assert words in problem.message
    assert conflict.as_json()["witness"]["pod"] == incoming.pod


def problem_place() -> str:
    return "policies/gold.yaml:4:9"


def test_who_gives_way_is_told() -> None:
    (problem,) = examined({"gold": f"{GOLD}\nwhenEmpty: ignore", "arm": ARM}).problems
    assert "`gold` is left out for such a pod" in problem.message


@pytest.mark.parametrize(
    "other",
    [
        ARM.replace("key: arch, operator: In, values: [arm64, arm]", "key: class, operator: NotIn, values: [gold]"),
        ARM.replace("arm64'", "amd64'").replace('"arm64"', '"amd64"'),
        f"{ARM}\nmode: audit",
        f"{ARM}\nrollout: 0",
    ],
    ids=["other pods", "pools in common", "audited", "for nobody"],
)
def test_policies_that_get_along(other: str) -> None:
    assert found({"gold": GOLD, "arm": other}) == []


CONDITION = """
matchConditions: [{name: c, expression: CONDITION}]
require: [{expression: 'pool.labels["arch"] == "arm64"'}]
"""


@pytest.mark.parametrize(
    "condition",
    [
        'pod.spec.?priorityClassName.orValue("") == "batch"',
        'pod.spec.?priorityClassName.orValue("") in params.classes',
        'pod.metadata.?ownerReferences.orValue([]).exists(owner, owner.kind == "StatefulSet")',
        'pod.spec.containers.map(c, int(c.?resources.?limits[?"x/y"].orValue("0"))).sum() > 3',
        'requests[?"x/y"].orValue(0) > 3',
        "has(requests.cpu) && requests.cpu > 4.0",
        '"x/y" in requests && requests["x/y"] in [2, 3]',
        "has(pod.spec.volumes) && pod.spec.volumes.exists(v, has(v.persistentVolumeClaim))",
        'pod.metadata.?labels[?"size"].orValue("") == "large"',
        '"special" in pod.metadata.?annotations.orValue({})',
        "pod.spec.?hostNetwork.orValue(false)",
        'namespaceObject.metadata.labels[?"team"].orValue("") == "b"',
        'request.userInfo.username == "robot"',
        'pod.spec.containers.exists(c, c.image.startsWith("internal/"))',
    ],
)
def test_witnesses_are_made_of_what_conditions_compare(condition: str) -> None:
    arm = CONDITION.replace("CONDITION", json.dumps(condition))
    examination = examined({"gold": GOLD, "arm": arm}, params={"classes": ["batch"]})
    assert [conflict.policies for conflict in examination.conflicts] == [("arm", "gold")]


@pytest.mark.parametrize("kind", ["CronJob", "Deployment", "List", "PodList", "Namespace", "NamespaceList", "", "pod"])
@pytest.mark.parametrize(
    "policy",
    [
        "matchConditions: [{name: c, expression: 'pod.kind == \"KIND\"'}]\n"
        "require: [{expression: 'pool.name == \"a\"'}]",
        'require: [{expression: \'pod.kind != "KIND" || pool.name == "a"\'}]',
        'prefer: [{expression: \'pod.kind in ["KIND"] && pool.name == "a"\', weight: 5}]',
        "variables: [{name: k, expression: pod.kind}]\n"
        'require: [{expression: \'variables.k == "KIND" && pool.name == "a"\'}]',
        'matchConditions: [{name: c, expression: \'pod.apiVersion == "KIND" || pod.metadata.namespace == "KIND"\'}]\n'
        "require: [{expression: 'pool.name == \"a\"'}]",
    ],
)
def test_pods_are_made_up_of_whatever_is_compared(policy: str, kind: str) -> None:
    """What is of another kind is no pod, and none is made of it."""
    examination = examined({"gold": GOLD, "odd": policy.replace("KIND", kind)})
    assert all(conflict.witness.incoming.pod["kind"] == "Pod" for conflict in examination.conflicts)


def test_three_that_get_along_two_by_two() -> None:
    policies = {
        "a": 'require: [{expression: \'pool.name in ["gold", "base"]\'}]',
        "b": 'require: [{expression: \'pool.name in ["gold", "arm"]\'}]',
        "c": 'require: [{expression: \'pool.name in ["base", "arm"]\'}]',
    }
    (conflict,) = examined(policies).conflicts
    assert conflict.policies == ("a", "b", "c")


def test_conditions_on_nodes_conflict_within_a_pool() -> None:
    policies = {
        "a": 'require: [{expression: \'node.labels["disk"] == "ssd"\'}]',
        "b": "require: [{expression: '!(\"disk\" in node.labels)'}]",
    }
    conflicts = [one for one in found(policies) if one[0] != "unseen-label"]
    assert conflicts == [("conflicting-policies", "policies/b.yaml")]


CASE = """
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: known}
spec:
  pools: pools/p.yaml
  namespaces: [{metadata: {name: n, labels: {team: a}}}]
  cases:
    - name: both
      namespace: n
      pod: {metadata: {name: p, labels: {class: gold, arch: arm}}, spec: {containers: [{name: c, image: i}]}}
      expect: EXPECT
"""


@pytest.mark.parametrize("expect", ["{allowed: false}", "{overruled: [gold]}", "{policies: {gold: overruled}}"])
def test_a_conflict_that_a_test_expects_is_meant(expect: str) -> None:
    assert found({"gold": GOLD, "arm": ARM}, {"tests/t.yaml": CASE.replace("EXPECT", expect)}) == []


def test_a_pod_of_a_test_is_the_better_witness() -> None:
    (conflict,) = examined(
        {"gold": GOLD, "arm": ARM}, {"tests/t.yaml": CASE.replace("EXPECT", "{warnings: []}")}
    ).conflicts
    assert conflict.witness.words == "the pod of test case `known: both`"


def test_a_pod_that_is_refused_anyway_is_no_witness() -> None:
    policies = {"gold": GOLD, "arm": ARM, "none": "deny: [{expression: 'true'}]"}
    assert [rule for rule, _ in found(policies)] == []


def test_a_conflict_in_one_cluster() -> None:
    prod = GOLD.replace("require", "matchConditions: [{name: prod, expression: 'cluster.name == \"prod\"'}]\nrequire")
    bundle, program = bundle_of({"a": prod, "b": ARM})
    conflicts = [
        examine(bundle, program, inventories_of(bundle), cluster).conflicts
        for cluster in (None, {"name": "dev", "labels": {}}, {"name": "prod", "labels": {}})
    ]

    assert [len(found) for found in conflicts] == [0, 0, 1]


def test_many_conflicts_of_one_policy_are_counted() -> None:
    ways = {f"gold{i}": f"{GOLD}\npriority: 1" for i in range(8)}
    examination = examined({"arm": ARM, **ways})
    told = [problem.message for problem in examination.problems if problem.rule == "conflicting-policies"]

    assert len(examination.conflicts) == 8
    assert len(told) == 6
    assert "`arm` leaves no pool together with `gold5`, `gold6` and `gold7`, either" in told


def test_a_conflict_that_a_third_policy_forestalls_is_none() -> None:
    """`c` gives way to `a` and is left out, so `b` has its way: nobody refuses that pod for `b`."""
    policies = {
        "a": "{require: [{expression: 'pool.name == \"gold\"'}], priority: 10}",
        "b": '{require: [{expression: \'pool.name in ["gold", "arm"]\'}], priority: 5}',
        "c": "{require: [{expression: 'pool.name == \"base\"'}], priority: 7, whenEmpty: warn}",
    }
    (conflict,) = examined(policies).conflicts
    assert (conflict.policies, conflict.overruled, conflict.refused) == (("a", "c"), "c", False)


def test_three_policies_that_only_together_leave_nothing_are_found() -> None:
    pairs = {"a": ["gold", "base"], "b": ["gold", "arm"], "c": ["base", "arm"]}
    rules = {name: f"require: [{{expression: 'pool.name in {json.dumps(two)}'}}]" for name, two in pairs.items()}
    policies = {name: f"podSelector: {{matchLabels: {{{name}: x}}}}\n{rule}" for name, rule in rules.items()}
    (conflict,) = examined(policies).conflicts
    assert (conflict.policies, conflict.overruled, conflict.refused) == (("a", "b", "c"), "c", True)
