"""engine.analysis.examination: what is claimed of a bundle, by hand, and for random bundles against the engine."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from delivery.folder import load_bundle
from engine.analysis.conflicts import clashes
from engine.analysis.examination import Examination, examine, inventories_of
from engine.decision import Decider
from engine.documents import Problem
from engine.language import Budget
from engine.nodeselector import parse_term
from engine.placement import own
from engine.pods import IncomingPod, named
from engine.pools import Inventory
from engine.program import compile_bundle
from engine.struct import replace
from tests.engine.analysis.bundles import POOLS, bundle_of, examined, found, told
from tests.engine.terms import admits
from tests.examples import examples

POLICIES = Path(__file__).parents[3] / "policies"


@pytest.mark.parametrize(
    ("spec", "certain"),
    [
        ('require: [{expression: \'pool.labels["tier"] == "silver"\'}]', True),
        ('require: [{expression: \'pool.labels["none"] == "x"\'}]', False),  # nobody says anything of it
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
    assert [one for one in found({"p": spec}) if one[0] != "unseen-label"] == expected


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
    if problem.span.start in starts:
        by = Weighing(spec, spec["prefer"][starts.index(problem.span.start)])
        for incoming in UNIVERSE:
            weights = by.weights(incoming)
            assert len(set(weights)) < 2
            assert "no node" not in problem.message or not any(weights)
        return
    place = tiers.index(problem.span.start)
    by_tiers = [Weighing(spec, {**tier, "weight": 1}) for tier in (spec["fallback"][place], *spec["fallback"][:place])]
    for incoming in UNIVERSE:
        mine, *earlier = (by.weights(incoming) for by in by_tiers)
        assert all(any(others) for own, *others in zip(mine, *earlier, strict=True) if own) or place == 0
        assert place or len(set(mine)) < 2


class Weighing:
    """A policy that prefers one item only, compiled once for all pods."""

    def __init__(self, spec: dict[str, Any], item: dict[str, Any]) -> None:
        alone = {**spec, "prefer": [item], "fallback": [], "priority": 0}
        bundle, program = bundle_of({"alone": yaml.safe_dump(alone)})
        self.decider = Decider(program, inventories_of(bundle)[0][1])

    def weights(self, incoming: IncomingPod) -> list[int]:
        """The weight that each node that the policy leaves to a pod gets; none where it does not apply."""
        decision = self.decider.decide(incoming)
        if decision.policies[0].outcome not in ("applied", "satisfied"):
            return []
        affinity = decision.patched["spec"].get("affinity", {}).get("nodeAffinity", {})
        wishes = [
            (one["weight"], parse_term(one["preference"]))
            for one in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", ())
        ]
        here = [labels for labels in NODES if admits(own(decision.patched), labels)]
        return [sum(weight for weight, wish in wishes if admits((wish,), labels)) for labels in here]


def effect(decider: Decider, incoming: IncomingPod) -> Any:
    """What becomes of a pod; that a policy could not be decided is said by each that could not, and places nothing.

    Nor does it place anything which of the policies that want the same are named by a warning.
    """
    decision = decider.decide(incoming)
    told = (said for said in decision.warnings if "is left out, for it could not be decided" not in said)
    warnings = tuple(re.sub(r"^policy p\d.*?: (?=the pod )", "", said) for said in told)
    return decision.allowed, decision.pools, decision.placement_patch, warnings


@examples(100)
@given(st.lists(specs(), min_size=2, max_size=3))
def test_no_conflict_of_constant_policies_is_missed(given_specs: list[dict[str, Any]]) -> None:
    """Brute force over all pods that these selectors and conditions tell apart."""
    policies = {f"p{i}": yaml.safe_dump(spec) for i, spec in enumerate(given_specs)}
    bundle, program = bundle_of(policies)
    ((_, inventory),) = inventories_of(bundle)
    decider = Decider(program, inventory)
    there = {
        frozenset(f.policy.name for f in clash.evaluations)
        for each in UNIVERSE
        for clash in clashes(decider, each, Budget(10**9))
    }
    told = {frozenset(conflict.policies) for conflict in examine(bundle, program, [("", inventory)]).conflicts}
    assert there <= told


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
