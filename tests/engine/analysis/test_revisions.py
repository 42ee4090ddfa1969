"""engine.analysis.revisions: what changes between bundles, by meaning; a second opinion decides pods by both."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis import Revisions, Version, inventories_of, revised
from engine.bundle import parse_bundle
from engine.decision import Decider
from engine.pods import IncomingPod
from engine.program import compile_bundle
from engine.struct import replace
from tests.engine.analysis.bundles import ARM, GOLD, STRICT, WIDE, bundle_of
from tests.engine.matching import PREFERRED, REQUIRED, admits, matches_term, tolerates
from tests.engine.worlds import TAINTED, a_pod, a_policy, a_tree, a_world, as_text, incoming, text_of
from tests.examples import examples

Json = dict[str, Any]


def changes(
    old: dict[str, str],
    new: dict[str, str],
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
) -> Revisions:
    """From one bundle of policies to another; `before` and `after` are more of what the bundles say."""
    first, second = bundle_of(old, **(before or {})), bundle_of(new, **(after or before or {}))
    return revised(Version(*first), Version(*second), inventories_of(second[0]), cluster)


def kinds(revisions: Revisions) -> dict[str, str]:
    return {one.name: one.kind for one in revisions.policies}


def requiring(expression: str, more: str = "") -> str:
    return f"require: [{{expression: {json.dumps(expression)}}}]\n{more}"


SAME = {
    "double negation": ('pool.labels["tier"] == "gold"', '!!(pool.labels["tier"] == "gold")'),
    "a field or a key": ('pool.labels["tier"] == "gold"', 'pool.labels.tier == "gold"'),
    "sides of an equation": ('pool.labels["tier"] == "gold"', '"gold" == pool.labels["tier"]'),
    "not equal": ('pool.labels["tier"] != "gold"', '!(pool.labels["tier"] == "gold")'),
    "a list of one": ('pool.labels["tier"] in ["gold"]', 'pool.labels["tier"] == "gold"'),
    "a list in another order": ('node.zone in ["a", "b"]', 'node.zone in ["b", "a", "b"]'),
    "a list or alternatives": ('node.zone in ["a", "b"]', 'node.zone == "b" || node.zone == "a"'),
    "De Morgan": ('!(pool.gpus > 0 || node.zone == "a")', '!(node.zone == "a") && !(0 < pool.gpus)'),
    "distribution": (
        'pool.gpus > 0 && (node.zone == "a" || node.zone == "b")',
        '(pool.gpus > 0 && node.zone == "a") || (node.zone == "b" && pool.gpus > 0)',
    ),
    "a condition": ('pool.gpus > 0 ? node.zone == "a" : false', 'pool.gpus > 0 && node.zone == "a"'),
    "a macro's variable": ('pool.zones.all(z, z in ["a"])', 'pool.zones.all(zone, zone == "a")'),
    "macros in macros": (
        "pool.zones.all(z, pool.zones.exists(y, y == z))",
        "pool.zones.all(a, pool.zones.exists(b, a == b))",
    ),
    "presence": ("has(pool.labels.tier)", '"tier" in pool.labels'),
    "space and comments": ("pool.gpus > 0", "pool.gpus  >\n 0 // as many as it takes"),
    "the algebra over pools": ('pool.labels["tier"] == "gold"', 'pool.labels["tier"] != "base"'),
    "the algebra over nodes": ('node.labels[?"x"].orValue("") == "1"', 'has(node.labels.x) && node.labels.x == "1"'),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_written_otherwise_and_means_the_same_is_no_change(case: str) -> None:
    revisions = changes({"a": requiring(SAME[case][0])}, {"a": requiring(SAME[case][1])})
    assert kinds(revisions) == {"a": "rewritten"}
    assert revisions.level == "patch"
    assert not revisions.decides_otherwise


DIFFERENT = {
    "another value": ('pool.labels["tier"] == "gold"', 'pool.labels["tier"] == "base"'),
    "an error is not false": ('!("size" in node.labels) || node.labels["size"] != "1"', 'node.labels["size"] != "1"'),
    "variables of macros in another order": (
        '["gold"].exists(x, ["base"].exists(y, x != y && x == pool.labels["tier"]))',
        '["gold"].exists(x, ["base"].exists(y, x != y && y == pool.labels["tier"]))',
    ),
    "a macro's variable that hides another": (
        '["gold"].exists(x, ["base"].exists(x, x == pool.labels["tier"]))',
        '["gold"].exists(x, ["base"].exists(y, x == pool.labels["tier"]))',
    ),
    "a number and a text": ("string(pool.gpus) == '2'", "pool.gpus == 0"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_means_something_else_comes_with_a_pod(case: str) -> None:
    revisions = changes({"a": requiring(DIFFERENT[case][0])}, {"a": requiring(DIFFERENT[case][1])})
    (one,) = revisions.policies
    assert (one.kind, one.level) == ("changed", "major")
    assert [each.field for each in one.fields] == ["require"]
    assert one.example is not None
    assert not one.example.alone
    assert one.example.before.patch != one.example.after.patch


def test_an_example_says_what_the_pod_is_and_what_becomes_of_it() -> None:
    (one,) = changes({"a": GOLD}, {"a": GOLD.replace("class: gold", "class: silver")}).policies
    assert one.fields[0] == (
        "podSelector, namespaceSelector",
        "pods with `class` In [gold]",
        "pods with `class` In [silver]",
    )
    assert one.example is not None
    assert one.example.words == "a pod labelled `class: silver`"
    assert (bool(one.example.before.patch), bool(one.example.after.patch)) == (False, True)


def test_a_selector_that_also_matches_others_is_shown_on_one_of_these() -> None:
    wider = GOLD.replace("{matchLabels: {class: gold}}", "{matchExpressions: [{key: class, operator: Exists}]}")
    (one,) = changes({"a": GOLD}, {"a": wider}).policies
    assert one.example is not None
    assert one.example.words == "a pod labelled `class: some`"


@pytest.mark.parametrize(
    ("old", "new", "kind", "level"),
    [
        (STRICT, STRICT.replace("priority: 5", "priority: 6"), "rewritten", "patch"),
        (STRICT, STRICT + "\nmode: audit", "changed", "major"),
        (STRICT, STRICT + "\nmode: 'off'", "changed", "major"),
        (STRICT + "\nmode: audit", STRICT + "\nmode: 'off'", "changed", "minor"),
        (STRICT + "\nmode: 'off'", requiring("pool.gpus > 0", "mode: 'off'"), "changed", "patch"),
        (STRICT + "\nrollout: 10", STRICT + "\nrollout: 50", "changed", "minor"),
        (STRICT + "\nrollout: 0", requiring("pool.gpus > 0", "rollout: 0"), "changed", "patch"),
        (requiring("pool.gpus > 99"), requiring("pool.gpus > 99", "whenEmpty: warn"), "changed", "major"),
        (
            requiring("pool.gpus > 99", "whenEmpty: warn"),
            requiring("pool.gpus > 99", "whenEmpty: ignore"),
            "rewritten",
            "patch",
        ),
        (STRICT, STRICT + "\nfailurePolicy: Ignore", "undecided", "major"),
        (
            'prefer: [{expression: node.zone == "a", weight: 5}]',
            'prefer: [{expression: node.zone == "a", weight: 6}]',
            "changed",
            "major",
        ),
        (
            "deny: [{expression: has(pod.spec.nodeName)}]",
            'deny: [{expression: "has(pod.spec.nodeName) || pod.spec.?priorityClassName.orValue(\\"\\") == \\"x\\""}]',
            "changed",
            "major",
        ),
    ],
)
def test_how_much_of_a_step_a_change_is(old: str, new: str, kind: str, level: str) -> None:
    revisions = changes({"a": old}, {"a": new})
    assert [(one.kind, one.level) for one in revisions.policies] == [(kind, level)]
    assert revisions.level == level


@pytest.mark.parametrize(
    ("spec", "level"),
    [
        (STRICT, "major"),
        ("deny: [{expression: has(pod.spec.nodeName)}]", "major"),
        ('prefer: [{expression: node.zone == "a", weight: 5}]', "minor"),
        ("spread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]", "minor"),
        ("spread: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]", "major"),
        (STRICT + "\nmode: audit", "minor"),
        (STRICT + "\nmode: 'off'", "patch"),
    ],
)
def test_a_new_policy_is_minor_if_it_keeps_nobody_out(spec: str, level: str) -> None:
    revisions = changes({"a": WIDE}, {"a": WIDE, "b": spec})
    assert kinds(revisions) == {"b": "added"}
    assert revisions.level == level


def test_a_policy_that_is_gone_or_called_otherwise() -> None:
    assert [(one.kind, one.level) for one in changes({"a": WIDE, "b": GOLD}, {"a": WIDE}).policies] == [
        ("removed", "major")
    ]
    (one,) = changes({"a": WIDE, "b": GOLD}, {"a": WIDE, "c": GOLD}).policies
    assert (one.name, one.kind, one.was, one.level) == ("c", "renamed", "b", "minor")
    plain = STRICT.replace("priority: 5", "")
    (one,) = changes({"b": WIDE, "c": plain}, {"b": WIDE, "a": plain}).policies
    assert one.kind == "undecided", "it is taken before the other one now"
    assert [each.field for each in one.fields] == ["priority"]
    sides = changes({"b": f"{GOLD}rollout: 50"}, {"c": f"{GOLD}rollout: 50"})
    assert {one.kind for one in sides.policies} == {"added", "removed"}, "its name decides which workloads it reaches"


def test_who_is_taken_first_matters_where_pods_may_meet() -> None:
    other = STRICT.replace('"gold"', '"base"').replace("priority: 5", "priority: 6\nwhenEmpty: warn")
    strict = STRICT + "\nwhenEmpty: warn"
    (one,) = changes({"a": strict, "b": other}, {"a": strict, "b": other.replace(": 6", ": 4")}).policies
    assert one.kind == "undecided" or one.example is not None
    apart = changes({"a": GOLD, "b": ARM.replace("[arm64, arm]", "[arm64]")}, {"a": GOLD, "b": ARM})
    assert kinds(apart) == {"b": "changed"}


def test_variables_are_what_they_say() -> None:
    big = "variables: [{name: big, expression: pod.spec.containers.size() > 3}]"
    huge = "variables: [{name: huge, expression: 3 < size(pod.spec.containers)}]"
    old = requiring("variables.big && pool.gpus > 0", big)
    new = requiring("pool.gpus > 0 && variables.huge", huge)
    assert kinds(changes({"a": old}, {"a": new})) == {"a": "rewritten"}
    assert kinds(changes({"a": old}, {"a": new.replace("3 <", "4 <")}))["a"] != "rewritten"


def test_constants_count_by_their_values_and_by_who_may_change_them() -> None:
    given = {"a": requiring("node.zone in params.zones")}
    zones = {"params": {"zones": ["a", "b"]}}
    assert kinds(changes(given, given, zones, {"params": {"zones": ["b", "a"]}})) == {}
    changed = changes(given, given, zones, {"params": {"zones": ["a", "c"]}})
    assert kinds(changed) == {"a": "changed"}
    assert [(one.field, one.level) for one in changed.bundle] == [("params.zones", "patch")]
    for before, after in (
        (1, "1"),
        ([1], ["1"]),
        ({"a": 1}, {"a": True}),
        (None, 1),
    ):  # what a cluster has laid over it
        (retyped,) = changes({"a": GOLD}, {"a": GOLD}, {"params": {"x": before}}, {"params": {"x": after}}).bundle
        assert (retyped.field, retyped.level) == ("params.x", "major")
    fixed = {"a": requiring('node.zone in ["a", "b"]')}
    (one,) = changes(given, fixed, zones, zones).policies
    assert ([each.field for each in one.fields], one.kind, one.level) == (["params"], "undecided", "major")
    freed = changes(fixed, given, {"params": {"x": 1}}, {"params": {"x": 1, "zones": ["a", "b"]}})
    assert (kinds(freed), freed.level) == ({"a": "rewritten"}, "minor")
    assert [(one.field, one.level) for one in freed.bundle] == [("params.zones", "minor")]


def test_what_reads_the_cluster_is_decided_where_that_is_known() -> None:
    old, new = requiring('cluster.name == "x" && pool.gpus > 0'), requiring('cluster.name == "y" && pool.gpus > 0')
    (one,) = changes({"a": old}, {"a": new}).policies
    assert (one.kind, one.reason.partition(":")[0]) == ("undecided", "it depends on `cluster`")
    (one,) = changes({"a": old}, {"a": new}, cluster={"name": "x"}).policies
    assert one.kind == "changed"


def test_exemptions_count_for_whom_they_are_about() -> None:
    exemption = {"name": "e", "reason": "r", "policies": ["a"], "namespaceSelector": {"matchLabels": {"free": "yes"}}}
    revisions = changes({"a": STRICT, "b": WIDE}, {"a": STRICT, "b": WIDE}, {}, {"exemptions": [exemption]})
    (one,) = revisions.policies
    assert (one.name, one.kind, [each.field for each in one.fields]) == ("a", "changed", ["exemptions"])
    assert one.example is not None
    assert one.example.words == "a pod in a namespace labelled `free: yes`"
    words = {**exemption, "reason": "another", "name": "f"}
    assert not changes({"a": WIDE}, {"a": WIDE}, {"exemptions": [exemption]}, {"exemptions": [words]}).policies


def test_the_bundle_itself() -> None:
    after = {"mode": "audit", "requires": {"bayplan": ">=1"}, "handsOn": {"daemonSets": True}, "annotate": False}
    levels = {one.field: one.level for one in changes({"a": WIDE}, {"a": WIDE}, {}, after).bundle}
    assert levels == {"mode": "major", "handsOn": "major", "requires": "minor", "annotate": "minor"}
    assert changes({"a": WIDE}, {"a": STRICT}, {"mode": "audit"}).level == "minor", "nobody is placed otherwise"
    assert changes({"a": WIDE}, {"a": WIDE}).level == "none"


# A second opinion


def document(files: dict[str, Json], **spec: Any) -> Version:
    head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "laws"}}
    head["spec"] = {"version": "1.0.0", "params": {"on": True, "off": False}, **spec}
    texts = {f"policies/{name}.yaml": json.dumps(policy) for name, policy in files.items()}
    bundle, problems = parse_bundle({"bundle.yaml": json.dumps(head), **texts})
    assert bundle is not None, problems
    return Version(bundle, compile_bundle(bundle))


def reworded(dice: random.Random, expression: str) -> str:
    """The same in other words."""
    other: list[Callable[[str], str]] = [
        lambda e: f"!(!({e}))",
        lambda e: f"({e}) && ({e})",
        lambda e: f"({e}) || ({e})",
        lambda e: f"true && ({e})",
        lambda e: f"({e}) ? true : false",
        lambda e: e.replace(" == ", "  ==  "),
        lambda e: e.replace("z, z in", "zz, zz in"),
        lambda e: e.replace('"gold", "tin"', '"tin", "gold"'),
        lambda e: e,
    ]
    return dice.choice(other)(expression)


def altered(dice: random.Random, spec: Json) -> Json:
    """A policy's spec with one thing otherwise: mostly the same in other words, or else anything."""
    new: Json = json.loads(json.dumps(spec))
    lists = [name for name in ("require", "prefer", "fallback", "tolerate", "split") if new.get(name)]
    if not lists:
        return {**new, "priority": dice.choice([0, 5])}
    name = dice.choice(lists)
    item = dice.choice(new[name])
    roll = dice.random()
    if roll < 0.55:
        item["expression"] = reworded(dice, item["expression"])
        dice.shuffle(new["require"]) if name == "require" else None
    elif roll < 0.65 and name != "tolerate":
        item["expression"] = text_of(a_tree(dice))
    elif roll < 0.75:
        new["priority"] = dice.choice([0, 3, 5])
    elif roll < 0.8 and len(lists) > 1 and not new.get("tolerate"):
        del new[name]
    elif roll < 0.9:
        new["whenEmpty"] = dice.choice(["deny", "warn", "ignore"])
    elif "weight" in item:
        item["weight"] = dice.randint(1, 60)
    else:
        new[name].reverse()
    return new


def fares(decider: Decider, pod: IncomingPod, nodes: Sequence[Json]) -> object:
    """What becomes of a pod, on nodes, by nothing but Kubernetes' own matching of what is written."""
    decision = decider.decide(pod)
    if not decision.allowed:
        return "refused"
    spec = decision.patched["spec"]
    wishes = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or []
    tolerations = spec.get("tolerations") or []
    there = [
        (
            admits(decision.patched, node["metadata"]["labels"], node["metadata"]["name"]),
            sum(
                wish["weight"]
                for wish in wishes
                if matches_term(wish["preference"], node["metadata"]["labels"], node["metadata"]["name"])
            ),
            [any(tolerates(one, taint) for one in tolerations) for taint in node["spec"]["taints"]],
        )
        for node in nodes
    ]
    affinity = spec.get("affinity") or {}
    near = [
        sorted(map(str, (affinity.get(name) or {}).get(kind) or []))
        for name in ("podAffinity", "podAntiAffinity")
        for kind in (REQUIRED, PREFERRED)
    ]
    return there, sorted(map(str, spec.get("topologySpreadConstraints") or [])), near


@examples(120)
@given(st.randoms(use_true_random=False))
def test_what_is_called_the_same_is_the_same_for_every_pod(dice: random.Random) -> None:
    world = a_world(dice, nodes=30)
    before = {policy.name: policy.document() for policy in world.policies}
    after: dict[str, Json] = {}
    for name, policy in before.items():
        roll = dice.random()
        called = f"{name}-b" if roll < 0.15 else name
        if roll > 0.05:
            head = {**policy, "metadata": {"name": called}}
            after[called] = head if roll < 0.3 else {**head, "spec": altered(dice, policy["spec"])}
    if dice.random() < 0.1 or not after:
        after["more"] = a_policy(dice, "more").document()
    old, new = document(before), document(after)
    inventory = replace(world.decider().pool_index.inventory)
    revisions = revised(old, new, [("pools", inventory)])
    first, second = Decider(old.program, inventory), Decider(new.program, inventory)
    for one in revisions.policies:
        if one.example and not one.example.alone:
            a, b = (side.decide(one.example.incoming) for side in (first, second))
            assert as_text(a) != as_text(b)
    touched = {one.name for one in revisions.policies if one.kind in ("changed", "undecided", "added", "removed")}
    if touched:
        return
    nodes = [*world.nodes, *TAINTED]
    for _ in range(12):
        pod = incoming(a_pod(dice))
        assert fares(first, pod, nodes) == fares(second, pod, nodes)
