"""What policies do to each other: each kind of finding by hand, and random bundles against the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from delivery import load_bundle
from engine.analysis.conflicts import clashes
from engine.analysis.examination import Examination, examine, inventories_of
from engine.bundle import Bundle, parse_bundle
from engine.decision import Decider
from engine.documents import Problem
from engine.nodeselector import parse_term
from engine.nodeselector.term import admits
from engine.placement import own
from engine.pods import IncomingPod, named
from engine.pools import Inventory
from engine.program import Program, compile_bundle
from tests.engine.builders import decide, inventory, patched
from tests.engine.matching import PREFERRED
from tests.examples import examples

POLICIES = Path(__file__).parents[3] / "policies"
POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {pool: gold}, labels: {tier: gold, arch: amd64}, values: {zone: [a, b]}}
  - {name: base, selector: {pool: base}, labels: {tier: base, arch: amd64}, values: {zone: [b, c]}}
  - {name: arm, selector: {pool: arm}, labels: {tier: base, arch: arm64}, gpus: 2}
"""


def files_of(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> dict[str, str]:
    """A bundle's files: specs of policies by name, pools, and whatever else."""
    header = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "test"}}
    files = {"bundle.yaml": yaml.safe_dump({**header, "spec": {"version": "1.0.0", **spec}}), "pools/p.yaml": POOLS}
    for name, given_spec in policies.items():
        policy = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": name}}
        files[f"policies/{name}.yaml"] = yaml.safe_dump({**policy, "spec": yaml.safe_load(given_spec)})
    return {**files, **(more or {})}


def bundle_of(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> tuple[Bundle, Program]:
    bundle, problems = parse_bundle(files_of(policies, more, **spec))
    assert bundle is not None
    assert not problems, "\n".join(map(str, problems))
    return bundle, compile_bundle(bundle)


def examined(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> Examination:
    bundle, program = bundle_of(policies, more, **spec)
    return examine(bundle, program, inventories_of(bundle))


def found(policies: dict[str, str], more: dict[str, str] | None = None, **spec: Any) -> list[tuple[str, str]]:
    """Rule and file of every problem."""
    examination = examined(policies, more, **spec)
    return [(problem.rule, problem.span.source.name) for problem in examination.problems]


GOLD = """
podSelector: {matchLabels: {class: gold}}
require: [{expression: 'pool.labels["tier"] == "gold"'}]
"""
ARM = """
podSelector: {matchExpressions: [{key: arch, operator: In, values: [arm64, arm]}]}
namespaceSelector: {matchLabels: {team: a}}
require: [{expression: 'pool.labels["arch"] == "arm64"'}]
"""


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
    assert found(policies) == [("conflicting-policies", "policies/b.yaml")]


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


@pytest.mark.parametrize(
    ("spec", "certain"),
    [
        ('require: [{expression: \'pool.labels["tier"] == "silver"\'}]', True),
        ('require: [{expression: \'pool.labels["none"] == "x"\'}]', True),
        ("require: [{expression: 'pool.gpus > 0'}, {expression: 'pool.labels[\"tier\"] == \"gold\"'}]", True),
        ("require: [{expression: 'pool.gpus > 2 && pod.metadata.namespace == pool.name'}]", True),
        ("require: [{expression: 'pool.gpus > 2 || pod.metadata.namespace == pool.name'}]", False),
        ("require: [{expression: 'pod.metadata.namespace == pool.name'}]", False),
        ('require: [{expression: \'node.labels["arch"] == "riscv"\'}]', True),
        ('require: [{expression: \'node.labels["other"] == "riscv"\'}]', False),
        ('require: [{expression: \'pool.labels["tier"] == "silver"\'}]\nmode: audit', True),
        ("require: [{expression: 'pool.labels[\"tier\"] == \"silver\"'}]\nmode: 'off'", False),
    ],
)
def test_a_policy_that_no_pool_satisfies(spec: str, certain: bool) -> None:
    expected = [("unsatisfiable-policy", "policies/p.yaml")] if certain else []
    assert found({"p": spec}) == expected


def test_what_depends_on_the_pod_is_undecided_until_a_pod_shows_it() -> None:
    policies = {"p": "require: [{expression: 'pod.metadata.namespace == pool.name'}]"}
    assert "no pod was found" in examined(policies).undecided["p"]
    shown = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: gold}\nspec: {containers: [{name: c, image: i}]}"
    assert examined(policies, {"examples/pod.yaml": shown}).undecided == {}


def test_on_several_inventories_a_claim_holds_for_each() -> None:
    other = POOLS.replace("tier: gold", "tier: silver")
    policies = {"p": 'require: [{expression: \'pool.labels["tier"] == "silver"\'}]'}
    assert found(policies) == [("unsatisfiable-policy", "policies/p.yaml")]
    assert found(policies, {"pools/q.yaml": other}) == []


def test_without_pools_nothing_is_claimed() -> None:
    bundle, program = bundle_of({"p": 'require: [{expression: \'pool.labels["tier"] == "silver"\'}]'})
    assert examine(bundle, program, [("", Inventory())]) == Examination()


WIDE = 'require: [{expression: \'pool.labels["arch"] == "amd64"\'}]'
STRICT = 'require: [{expression: \'pool.labels["tier"] == "gold"\'}]\npriority: 5'
DEPENDS = "require: [{expression: 'pod.metadata.namespace != pool.name'}]"


@pytest.mark.parametrize(
    ("strict", "wide", "redundant"),
    [
        (STRICT, WIDE, True),
        (STRICT, WIDE.replace("require", "podSelector: {matchLabels: {a: b}}\nrequire"), True),
        (STRICT.replace("require", "podSelector: {matchLabels: {a: b}}\nrequire"), WIDE, False),
        (STRICT.replace("priority: 5", "priority: -5"), WIDE, False),
        (STRICT + "\nwhenEmpty: warn", WIDE, False),
        (STRICT + "\nrollout: 50", WIDE, False),
        (STRICT + "\nmode: audit", WIDE, False),
        (STRICT + '\ndeny: [{expression: \'pod.metadata.labels["x"] == "y"\'}]', WIDE, False),
        (STRICT, WIDE + "\ntolerate: [{expression: 'true'}]", False),
        (
            STRICT,
            WIDE + "\nfailurePolicy: Fail\nmatchConditions: [{name: c, expression: 'pod.spec.hostNetwork'}]",
            False,
        ),
        (DEPENDS, DEPENDS, True),
        (DEPENDS, DEPENDS.replace("!=", "=="), False),
    ],
)
def test_a_policy_that_another_makes_redundant(strict: str, wide: str, redundant: bool) -> None:
    rules = [rule for rule in found({"a": strict, "b": wide}) if rule[0] == "redundant-policy"]
    assert rules == ([("redundant-policy", "policies/b.yaml")] if redundant else [])


@pytest.mark.parametrize(("policies", "redundant"), [(["a"], False), (["b"], True), ([], True)])
def test_an_exemption_may_be_what_another_policy_is_for(policies: list[str], redundant: bool) -> None:
    selector = {"matchLabels": {"open": "yes"}}
    exemption = {"name": "e", "reason": "r", "namespaceSelector": selector, "policies": policies}
    rules = [rule for rule, _ in found({"a": STRICT, "b": WIDE}, exemptions=[exemption])]
    assert rules == (["redundant-policy"] if redundant else [])


@pytest.mark.parametrize(
    ("spec", "idle"),
    [
        ("prefer: [{expression: 'pool.gpus > 2', weight: 5}]", "on no node"),
        ("prefer: [{expression: 'pool.gpus >= 0', weight: 5}]", "on every node"),
        ('prefer: [{expression: \'node.labels["arch"] in ["amd64", "arm64"]\', weight: 5}]', "on every node"),
        ("prefer: [{expression: 'pool.gpus > 0', weight: 5}]", ""),
        ('prefer: [{expression: \'node.labels["zone"] == "a"\', weight: 5}]', ""),
        (f"{WIDE}\nprefer: [{{expression: 'pool.gpus > 0', weight: 5}}]", "on no node"),
        (f"{WIDE}\nprefer: [{{expression: 'pool.gpus == 0', weight: 5}}]", "on every node"),
        ("prefer: [{expression: 'pool.gpus > 2 && pod.metadata.namespace == pool.name', weight: 5}]", "on no node"),
        ("prefer: [{expression: 'pool.gpus > 0 && pod.metadata.namespace == pool.name', weight: 5}]", ""),
        ("prefer: [{expression: 'true', score: pool.gpus}]", ""),
        ("prefer: [{expression: 'pool.gpus > 0', score: pool.gpus}]", ""),
        ("prefer: [{expression: 'true', score: pool.gpus * 0 + 7}]", "scores the same on every node"),
        ("prefer: [{expression: 'pool.gpus >= 0', score: '7'}]", "scores the same on every node"),
        ("prefer: [{expression: 'true', score: size(pod.spec.containers)}]", ""),
        ("prefer: [{expression: 'true', score: '-pool.gpus'}]", "scores nothing on any node"),
        ("prefer: [{expression: 'pool.gpus == 0', score: pool.gpus}]", "scores nothing on any node"),
        ("prefer: [{expression: 'true', score: int(pool.price)}]", "scores nothing on any node"),
        (f"{WIDE}\nprefer: [{{expression: 'true', score: pool.gpus + 1}}]", "scores the same on every node"),
        ("prefer: [{expression: 'true', score: 'node.labels[\"zone\"] == \"a\" ? 5 : 6'}]", ""),
        ("prefer: [{expression: 'true', score: 'node.labels[\"arch\"] == \"s390x\" ? 5 : 6'}]", "scores the same"),
        ("fallback: [{expression: 'pool.gpus > 2'}]", ""),
        ("fallback: [{expression: 'pool.gpus > 0'}, {expression: 'pool.gpus == 0'}]", ""),
        ("fallback: [{expression: 'pool.gpus > 0'}, {expression: 'pool.gpus > 1'}]", "only on nodes of an earlier one"),
        ("fallback: [{expression: 'pool.gpus >= 0'}]", "tier is true on every node"),
        ("fallback: [{expression: 'pool.gpus > 1'}, {expression: 'true'}]", ""),
        (f"{WIDE}\nfallback: [{{expression: 'pool.gpus == 0'}}]", "tier is true on every node"),
        (
            'fallback: [{expression: \'node.labels["zone"] in ["a", "b"]\'}, '
            '{expression: \'node.labels["zone"] == "b"\'}]',
            "only on nodes of an earlier one",
        ),
        (
            'fallback: [{expression: \'node.labels["zone"] == "a"\'}, '
            '{expression: \'node.labels["zone"] in ["a", "b"]\'}]',
            "",
        ),
        ("fallback: [{expression: pool.name == pod.metadata.namespace}, {expression: pool.gpus > 0}]", ""),
        (
            "fallback: [{expression: pool.gpus > 0}, "
            "{expression: pool.gpus > 1 && pool.name == pod.metadata.namespace}]",
            "only on nodes of an earlier one",
        ),
        ("fallback: [{expression: pool.name != pod.metadata.namespace}]", ""),
    ],
)
def test_a_preference_that_never_matters(spec: str, idle: str) -> None:
    problems = examined({"p": spec}).problems
    assert [problem.rule for problem in problems] == (["idle-preference"] if idle else [])
    assert all(idle in problem.message for problem in problems)


CLUSTER = "'cluster.name == \"prod\" && pool.gpus > 2'"


@pytest.mark.parametrize(
    "spec",
    [
        f"require: [{{expression: {CLUSTER}}}]",
        f"prefer: [{{expression: {CLUSTER}, weight: 5}}]",
        "prefer: [{expression: 'true', score: 'cluster.name == \"prod\" ? 0 : 0'}]",
        f"fallback: [{{expression: 'pool.gpus >= 0'}}, {{expression: {CLUSTER}}}]",
        "variables: [{name: v, expression: cluster.name}]\n"
        "require: [{expression: 'pool.gpus > 2 && variables.v == \"prod\"'}]",
    ],
)
def test_what_depends_on_the_cluster_is_undecided_until_it_is_named(spec: str) -> None:
    bundle, program = bundle_of({"p": spec})
    unnamed = examine(bundle, program, inventories_of(bundle))
    named_one = examine(bundle, program, inventories_of(bundle), {"name": "prod", "labels": {}})

    assert (unnamed.problems, list(unnamed.undecided)) == ((), ["p"])
    assert "--cluster-name" in unnamed.undecided["p"]
    assert examine(bundle, program, inventories_of(bundle), {"labels": {}}).problems == ()
    assert examine(bundle, program, inventories_of(bundle), {"name": "prod"}).problems == named_one.problems
    assert [problem.severity for problem in named_one.problems] == ["warning"]


def test_a_leading_dot_hides_nothing() -> None:
    assert examined({"p": "require: [{expression: '.cluster.name == \"x\"'}]"}).problems == ()
    score = "'pool.name == \"gold\" ? .pod.spec.containers.size() : 0'"
    assert examined({"p": f"prefer: [{{expression: 'pool.name != \"\"', score: {score}}}]"}).problems[1:] == ()
    require = "require: [{{expression: 'pool.labels[\"tier\"] == .variables.t'}}]"
    variables = "variables: [{{name: t, expression: '\"{}\"'}}]\n" + require
    rules = [rule for rule, _ in found({"a": variables.format("gold"), "b": variables.format("base")})]
    assert "redundant-policy" not in rules


def test_a_policy_that_is_off_leaves_no_doubt() -> None:
    assert examined({"p": f"require: [{{expression: {CLUSTER}}}]\nmode: 'off'"}).undecided == {}


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


def test_karpenter_takes_preferences_as_required() -> None:
    pools = POOLS.replace("selector: {pool:", "selector: {karpenter.sh/nodepool:")
    policies = {
        "p": "prefer: [{expression: 'pool.gpus > 0', weight: 5}]",
        "q": "fallback: [{expression: 'pool.gpus > 0'}]",
    }
    (problem,) = examined(policies, {"pools/p.yaml": pools}).problems
    assert (problem.rule, problem.severity) == ("karpenter-preference", "info")
    assert "`p` and `q` prefer" in problem.message
    assert examined(policies).problems == ()


@pytest.mark.parametrize("name", sorted(path.name for path in POLICIES.iterdir()))
def test_samples_have_none(name: str) -> None:
    bundle = load_bundle(POLICIES / name)
    examination = examine(bundle, compile_bundle(bundle), inventories_of(bundle))
    assert {problem.rule for problem in examination.problems} <= {"karpenter-preference"}


# Random bundles over a small universe

LABELS = [dict(zip(("x", "y"), values, strict=True)) for values in product(("1", "2", ""), repeat=2)]
SELECTORS: list[Any] = [
    {},
    {"matchLabels": {"x": "1"}},
    {"matchLabels": {"x": "2", "y": "1"}},
    {"matchExpressions": [{"key": "x", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "y", "operator": "NotIn", "values": ["1"]}]},
]
CONDITIONS = ['pod.metadata.?labels[?"y"].orValue("") == "2"', 'pod.metadata.labels["x"] == "1"']
REQUIREMENTS = [
    'pool.labels["tier"] == "gold"',
    'pool.labels["arch"] == "amd64"',
    'pool.name in ["base", "arm"]',
    'node.labels["zone"] in ["a", "b"]',
    'node.labels["zone"] == "c"',
    'node.labels["free"] == "1"',
    '!("free" in node.labels)',
    "pool.gpus >= 0",
    'pool.labels["tier"] == pod.metadata.labels["x"]',
]
SCORES = ["pool.gpus", "7", "pool.gpus * 0", 'node.labels["zone"] == "a" ? 3 : 4', "size(pod.metadata.name)"]
NODES = [
    {**base, **({"zone": zone} if zone else {}), **({"free": free} if free else {})}
    for base, zones in [
        ({"pool": "gold", "tier": "gold", "arch": "amd64"}, ["a", "b"]),
        ({"pool": "base", "tier": "base", "arch": "amd64"}, ["b", "c"]),
        ({"pool": "arm", "tier": "base", "arch": "arm64"}, ["", "a", "c"]),
    ]
    for zone in zones
    for free in ("", "1")
]


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "podSelector": draw(st.sampled_from(SELECTORS)),
        "matchConditions": [
            {"name": f"c{i}", "expression": text}
            for i, text in enumerate(draw(st.lists(st.sampled_from(CONDITIONS), max_size=1)))
        ],
        "whenEmpty": draw(st.sampled_from(["deny", "deny", "warn", "ignore"])),
        "failurePolicy": draw(st.sampled_from(["Ignore", "Ignore", "Fail"])),
        "priority": draw(st.sampled_from([0, 0, 1])),
    }
    rules = draw(st.lists(st.sampled_from(REQUIREMENTS), min_size=0, max_size=2, unique=True))
    wishes = draw(st.lists(st.sampled_from(REQUIREMENTS), min_size=0 if rules else 1, max_size=1))
    spec["require"] = [{"expression": text} for text in rules]
    spec["prefer"] = [{"expression": text, "weight": 7} for text in wishes]
    if draw(st.booleans()):
        scored = {"expression": draw(st.sampled_from(REQUIREMENTS)), "score": draw(st.sampled_from(SCORES))}
        spec["prefer"].append(scored)
    tiers = draw(st.lists(st.sampled_from(REQUIREMENTS), max_size=3, unique=True))
    spec["fallback"] = [{"expression": text} for text in tiers]
    return spec


def universe() -> list[IncomingPod]:
    pods = []
    for labels in LABELS:
        kept = {key: value for key, value in labels.items() if value}
        metadata = {"name": "p", "namespace": "n", **({"labels": kept} if kept else {})}
        spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
        for each in (spec, {**spec, "nodeSelector": {"arch": "amd64"}}):
            pod = {"metadata": metadata, "spec": each}
            pods.append(IncomingPod(pod, named("n"), {"operation": "CREATE", "namespace": "n"}))
    return pods


UNIVERSE = universe()


@examples(150)
@given(st.lists(specs(), min_size=1, max_size=4))
def test_what_is_claimed_holds(given_specs: list[dict[str, Any]]) -> None:
    policies = {f"p{i}": yaml.safe_dump(spec) for i, spec in enumerate(given_specs)}
    bundle, program = bundle_of(policies)
    ((_, inventory),) = inventories_of(bundle)
    examination = examine(bundle, program, [("", inventory)])
    decider = Decider(program, inventory)
    for conflict in examination.conflicts:
        only = replace(program, policies=tuple(p for p in program.policies if p.name in conflict.policies))
        for some in (program, only):
            decision = Decider(some, inventory).decide(conflict.witness.incoming)
            assert any(said.outcome == "overruled" for said in decision.policies)
        for name in conflict.policies:
            alone = replace(program, policies=tuple(p for p in program.policies if p.name == name))
            alone_decision = Decider(alone, inventory).decide(conflict.witness.incoming)
            assert alone_decision.pools.after == conflict.pools[name]
            assert alone_decision.pools.after
        real = decider.decide(conflict.witness.incoming)
        assert real.allowed is not conflict.refused
        assert {said.name: said.outcome for said in real.policies}[conflict.overruled] == "overruled"
    for problem in examination.problems:
        name = Path(problem.span.source.name).stem
        if problem.rule == "unsatisfiable-policy":
            allowed = [decision for each in UNIVERSE if (decision := decider.decide(each)).allowed]
            outcomes = {said.outcome for decision in allowed for said in decision.policies if said.name == name}
            assert not outcomes & {"applied", "satisfied"}
        elif problem.rule == "idle-preference":
            tells_nothing_apart(problem, given_specs[int(name[1:])], name)
        elif problem.rule == "redundant-policy":
            fewer = Decider(replace(program, policies=tuple(p for p in program.policies if p.name != name)), inventory)
            assert [effect(decider, each) for each in UNIVERSE] == [effect(fewer, each) for each in UNIVERSE]


def tells_nothing_apart(problem: Problem, spec: dict[str, Any], name: str) -> None:
    """Brute force over pods and nodes: what weight does each node get of the one item, and of the tiers before it?"""
    policy = bundle_of({name: yaml.safe_dump(spec)})[0].policies[0]
    starts = [item.expression.excerpt.whole.start for item in policy.prefer]
    tiers = [item.excerpt.whole.start for item in policy.fallback]
    for incoming in UNIVERSE:
        if problem.span.start in starts:
            weights = weighed(spec, spec["prefer"][starts.index(problem.span.start)], incoming)
            assert len(set(weights)) < 2
            assert "no node" not in problem.message or not any(weights)
        else:
            place = tiers.index(problem.span.start)
            mine, *earlier = (
                weighed(spec, {**tier, "weight": 1}, incoming)
                for tier in (spec["fallback"][place], *spec["fallback"][:place])
            )
            assert all(any(others) for own, *others in zip(mine, *earlier, strict=True) if own) or place == 0
            assert place or len(set(mine)) < 2


def weighed(spec: dict[str, Any], item: dict[str, Any], incoming: IncomingPod) -> list[int]:
    """The weight that each node that a policy leaves to a pod gets of one preference; none where it does not apply."""
    alone = {**spec, "prefer": [item], "fallback": [], "priority": 0}
    bundle, program = bundle_of({"alone": yaml.safe_dump(alone)})
    decision = Decider(program, inventories_of(bundle)[0][1]).decide(incoming)
    if decision.policies[0].outcome not in ("applied", "satisfied"):
        return []
    affinity = decision.patched["spec"].get("affinity", {}).get("nodeAffinity", {})
    wishes = [
        (one["weight"], parse_term(one["preference"]))
        for one in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", ())
    ]
    here = [labels for labels in NODES if admits(own(decision.patched), labels)]
    return [sum(weight for weight, wish in wishes if wish.admits(labels)) for labels in here]


def effect(decider: Decider, incoming: IncomingPod) -> Any:
    decision = decider.decide(incoming)
    return decision.allowed, decision.pools, decision.patch, decision.warnings


@examples(100)
@given(st.lists(specs(), min_size=2, max_size=3))
def test_no_conflict_of_constant_policies_is_missed(given_specs: list[dict[str, Any]]) -> None:
    """Brute force over all pods that these selectors and conditions tell apart."""
    policies = {f"p{i}": yaml.safe_dump(spec) for i, spec in enumerate(given_specs)}
    bundle, program = bundle_of(policies)
    ((_, inventory),) = inventories_of(bundle)
    decider = Decider(program, inventory)
    there = {
        frozenset(f.policy.name for f in clash.evaluations) for each in UNIVERSE for clash in clashes(decider, each)
    }
    told = {frozenset(conflict.policies) for conflict in examine(bundle, program, [("", inventory)]).conflicts}
    assert there <= told


def told(examination: Examination) -> list[tuple[str, str]]:
    return [(problem.rule, problem.message) for problem in examination.problems]


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


SEEN = {
    "pools/p.yaml": """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: gold, selector: {pool: gold}, labels: {tier: gold}}
  - name: seen
    selector: {cloud.google.com/gke-nodepool: seen}
    taints: [{key: k, value: v, effect: NoSchedule}]
"""
}


def test_a_policy_that_leaves_fewer_pools_is_not_redundant() -> None:
    """What `b` leaves out decides on which taints `c` tolerates."""
    policies = {
        "a": 'require: [{expression: \'node.labels["pool"] == "gold"\'}]',
        "b": 'require: [{expression: \'pool.labels["tier"] == "gold"\'}]',
        "c": "tolerate: [{expression: 'taint.key == \"k\"'}]",
    }
    assert "redundant-policy" not in dict(told(examined(policies, SEEN)))


@pytest.mark.parametrize(
    "more",
    [
        "tolerate: [{expression: 'taint.key == \"k\"'}]",
        'require: [{expression: \'pod.metadata.name == "p" || pool.labels["tier"] == "gold"\'}]',
    ],
)
def test_a_preference_for_the_only_pool_matters_beside_nodes_of_none(more: str) -> None:
    stray = "apiVersion: v1\nkind: Node\nmetadata: {name: s, labels: {rack: a}}\nspec: {}\n"
    pools = SEEN["pools/p.yaml"].split("  - name: seen")[0] + "---\n" + stray
    wish = 'prefer: [{expression: \'pool.labels["tier"] == "gold"\', weight: 7}]'
    assert "idle-preference" not in dict(told(examined({"a": f"{wish}\n{more}"}, {"pools/p.yaml": pools})))


def test_one_question_does_not_spend_the_budget_of_the_next() -> None:
    many = "\n".join(
        f"  - {{name: p{i}, selector: {{pool: p{i}}}, values: {{topology.kubernetes.io/zone: [a, b, c]}}}}"
        for i in range(100)
    )
    pools = {"pools/p.yaml": f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n{many}\n"}
    policies = {
        f"q{i:02}": f"require: [{{expression: 'pool.zones.exists(z, node.zone == z && z != \"q{i}\")'}}]"
        for i in range(20)
    }
    policies["z"] = "require: [{expression: 'pool.gpus > 7'}]"
    assert "unsatisfiable-policy" in dict(told(examined(policies, pools)))


def pools_named(count: int) -> str:
    pools = [{"name": f"p{i}", "selector": {"pool": f"p{i}"}} for i in range(count)]
    return json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": pools})


def of_pools(places: Iterable[int]) -> list[str]:
    return [f'pool.name == "p{i}"' for i in places]


@pytest.mark.parametrize(
    ("tiers", "tied"),
    [
        (of_pools(range(100)), False),
        (of_pools(range(101)), True),
        ([*of_pools([0]), *of_pools(range(200, 299)), *of_pools([1])], False),  # most have no node
        ([*of_pools(range(100)), 'pool.name == "nobody"'], False),
        ([f'int(node.labels["b{i}"]) > 1' for i in range(7)], False),
        ([f'int(node.labels["b{i}"]) > 1' for i in range(8)], True),
        ([f'int(node.labels["b{i}"]) > 1 || node.labels["z"] == "s"' for i in range(6)], False),
        ([f'int(node.labels["b{i}"]) > 1 || node.labels["z"] == "s"' for i in range(7)], True),
    ],
)
def test_tiers_that_come_out_equal(tiers: list[str], tied: bool) -> None:
    """It is told exactly where two weights in a pod are equal."""
    spec = json.dumps({"fallback": [{"expression": tier} for tier in tiers]})
    said = [rule for rule, _ in told(examined({"a": spec}, {"pools/p.yaml": pools_named(101)}))]
    assert [rule for rule in said if rule == "tied-tiers"] == (["tied-tiers"] if tied else [])
    affinity = patched(decide(spec, pools=inventory(pools_named(101))))["affinity"]["nodeAffinity"]
    weights = [wish["weight"] for wish in affinity[PREFERRED]]
    assert tied == (len(set(weights)) < len(weights))


def test_tiers_that_only_some_pods_have() -> None:
    """They are none for any pod that is tried, so nothing is told of them."""
    spec = {"fallback": [{"expression": f"int(node.labels.b{i}) > int(pod.metadata.labels.app)"} for i in range(8)]}
    assert told(examined({"a": json.dumps(spec)}, {"pools/p.yaml": pools_named(2)})) == []


@pytest.mark.parametrize(
    ("tiers", "require"),
    [
        (of_pools(range(101)), '!(pool.name in ["p99", "p100"])'),
        (of_pools(range(101)), 'pool.name in ["p0", "p1"]'),
        ([f'node.labels["r{i}"] == "v"' for i in range(150)], ""),  # more values than a pod can carry
    ],
)
def test_tiers_of_which_no_two_that_are_left_come_out_equal(tiers: list[str], require: str) -> None:
    spec: dict[str, Any] = {"fallback": [{"expression": tier} for tier in tiers]}
    if require:
        spec["require"] = [{"expression": require}]
    found = told(examined({"a": json.dumps(spec)}, {"pools/p.yaml": pools_named(101)}))
    assert "tied-tiers" not in dict(found)


def test_tiers_that_come_out_equal_in_one_inventory_only() -> None:
    spec = json.dumps({"fallback": [{"expression": tier} for tier in of_pools(range(101))]})
    both = {"pools/p.yaml": pools_named(101), "pools/few.yaml": pools_named(2)}
    assert told(examined({"a": spec}, both)) == []
