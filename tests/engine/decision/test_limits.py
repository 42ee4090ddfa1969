"""engine.decision at its limits: too many terms, spent budgets, weights that don't fit, errors in every place."""

from __future__ import annotations

import json
from itertools import pairwise, product
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision.decision import PoolNames
from engine.decision.words import FEWER
from engine.language import Budget
from engine.nodeselector import parse_term
from tests.engine.builders import (
    BASE,
    GOLD,
    decide,
    decider,
    incoming,
    inventory,
    outcomes,
    patched,
    pod,
    pools_named,
    pools_of_nodes,
    preferred,
    required,
)
from tests.engine.terms import admits
from tests.examples import examples

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def asking(terms: list[Any]) -> dict[str, Any]:
    """A pod with these node selector terms."""
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}})


def unlike(count: int) -> list[dict[str, Any]]:
    """Terms that can't be made one."""
    return [
        {
            "matchExpressions": [
                {"key": f"k{i}", "operator": "In", "values": ["v"]},
                {"key": f"j{i}", "operator": "Exists"},
            ]
        }
        for i in range(count)
    ]


@pytest.fixture
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets that nothing here spends, where what is looked for is another limit."""
    for name in ("POLICY_BUDGET", "REQUEST_BUDGET"):
        monkeypatch.setattr(f"engine.evaluation.pod_facts.{name}", 10**8)
    monkeypatch.setattr("engine.decision.decide.COMBINING_BUDGET", 10**8)


# Terms

BOUNDS = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(11))  # 2 to the 11th alternatives
PAIR = '(node.labels["a"] == "x" && node.labels["b"] == "y") || (node.labels["c"] == "x" && node.labels["d"] == "y")'


@pytest.mark.usefixtures("plenty")
@pytest.mark.parametrize("count", [600, 1001])
def test_a_pod_with_more_terms_than_can_be_multiplied_fails_the_policy(count: int) -> None:
    """It is told, let through only under `Ignore`, and never an exception."""
    spec = f"require: [{{expression: '{PAIR}'}}]"
    ignored, failed = (
        decide(f"{spec}\nfailurePolicy: Ignore", given=asking(unlike(count))),
        decide(spec, given=asking(unlike(count))),
    )

    assert (ignored.allowed, ignored.patch, outcomes(ignored)) == (True, (), {"one": "failed"})
    assert "of which at most 1000 are allowed" in ignored.policies[0].error
    assert not failed.allowed


def test_a_pod_whose_own_terms_are_too_many_is_told_so() -> None:
    other = "matchConditions: [{name: never, expression: 'false'}]\nrequire: [{expression: 'true'}]"
    decision = decide(f"{GOLD}\nfailurePolicy: Ignore", other, given=asking(unlike(1001)))
    path = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
    reason = f"the pod's own constraints: 1001 node selector terms, of which at most 1000 are allowed ({path})"
    assert (decision.message, outcomes(decision)) == (reason, {"one": "failed", "two": "notMatched"})
    assert [(policy.message, policy.error) for policy in decision.policies[:1]] == [(FEWER, reason)]
    refusal = decide(GOLD, other, given=asking(unlike(1001)))
    assert (refusal.allowed, refusal.message) == (False, f"policy one could not be decided: {reason}; {FEWER}")


@pytest.mark.parametrize(
    "effect", [f"require: [{{expression: '{BOUNDS}'}}]", f"prefer: [{{weight: 5, expression: '{BOUNDS}'}}]"]
)
@pytest.mark.parametrize("priority", [-1, 0, 1])
def test_only_the_policy_that_brings_too_many_terms_fails(effect: str, priority: int) -> None:
    """Whatever comes before or after it stays in force."""
    decision = decide(f"{effect}\npriority: {priority}\nfailurePolicy: Ignore", GOLD)

    assert outcomes(decision) == {"one": "failed", "two": "applied"}
    assert "gpu" in str(required(decision))


@pytest.mark.usefixtures("plenty")
def test_it_is_told_whose_alternatives_multiply() -> None:
    """Not only that of one policy there are too many."""
    other = PAIR.replace('["', '["m')
    decision = decide(
        f"require: [{{expression: '{PAIR}'}}]",
        GOLD,
        f"require: [{{expression: '{other}'}}]\npriority: -1\nfailurePolicy: Ignore",
        given=asking(unlike(300)),
    )

    assert outcomes(decision) == {"one": "applied", "two": "applied", "three": "failed"}
    assert decision.policies[-1].error == (
        "1200 node selector terms of the pod, of which at most 1000 are allowed "
        "(300 of the pod's own, times 2 of policy one, times 2 of policy three)"
    )


@pytest.mark.usefixtures("plenty")
def test_each_that_brings_too_much_fails_and_none_that_does_not() -> None:
    """One after the other: the pair of the second and the third would do, but the first is there already."""
    pairs = [PAIR.replace('["', f'["{prefix}') for prefix in "xyz"]
    decision = decide(
        *(f"require: [{{expression: '{pair}'}}]\npriority: {-i}" for i, pair in enumerate(pairs)),
        "prefer: [{expression: pool.gpus > 0, weight: 5}]\npriority: -9",
        given=asking(unlike(300)),
    )
    assert outcomes(decision) == {"one": "applied", "two": "failed", "three": "failed", "four": "applied"}
    assert [policy.error for policy in decision.policies[1:3]] == [
        "1200 node selector terms of the pod, of which at most 1000 are allowed "
        f"(300 of the pod's own, times 2 of policy one, times 2 of policy {name})"
        for name in ("two", "three")
    ]


def test_one_term_of_the_pods_own_multiplies_nothing() -> None:
    nine = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(9))
    other = nine.replace('"a', '"b')
    decision = decide(
        f"require: [{{expression: '{nine}'}}]",
        f"require: [{{expression: '{other}'}}]\npriority: -1",
        given=asking(unlike(1)),
    )
    assert "of the pod's own" not in decision.policies[1].error
    assert "512 of policy one, times 512 of policy two" in decision.policies[1].error


def test_wishes_say_that_they_are_the_ones_that_are_too_many() -> None:
    decision = decide(f"prefer: [{{weight: 5, expression: '{BOUNDS}'}}]", GOLD, given=asking(unlike(2)))
    assert decision.policies[0].error == "2048 preferences, of which at most 1000 are allowed"


def test_a_wish_that_is_another_on_each_pool_may_be_too_much() -> None:
    pools = pools_named(1001)
    decision = decide("prefer: [{weight: 5, expression: 'node.labels[pool.name] == \"x\"'}]", pools=pools)
    assert decision.policies[0].error == "1001 preferences, of which at most 1000 are allowed"


def test_what_is_too_much_alone_and_is_not_beside_others_is_applied() -> None:
    pools = pools_named(1001)
    spec = "require: [{expression: 'node.labels[pool.name] == \"x\"'}]"
    decision = decide(
        spec, "require: [{expression: pool.name == 'p1'}]", given=pod(nodeSelector={"a": "b"}), pools=pools
    )
    assert outcomes(decision) == {"one": "applied", "two": "applied"}


def test_only_what_multiplies_is_named() -> None:
    """Neither one term of the pod's, nor a policy without any, nor the number that is told already."""
    alone = decide(f"require: [{{expression: '{BOUNDS}'}}]", given=asking(unlike(1)))
    assert alone.policies[0].error == "2048 node selector terms, of which at most 1000 are allowed"
    nine = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(9))
    twice = decide(
        f"require: [{{expression: '{nine}'}}]",
        "prefer: [{expression: pool.gpus > 0, weight: 5}]\npriority: 1",
        given=asking(unlike(2)),
    )
    assert [policy.error for policy in twice.policies if policy.name == "one"] == [
        "1024 node selector terms of the pod, of which at most 1000 are allowed "
        "(2 of the pod's own, times 512 of policy one)"
    ]


def test_the_pods_own_terms_do_not_multiply_what_is_too_much_already() -> None:
    """Neither does a preference."""
    spec = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(10))
    decision = decide(f"require: [{{expression: '{spec}'}}]", given=asking(unlike(3)))
    assert decision.policies[0].error == "1024 node selector terms, of which at most 1000 are allowed"
    wish = f"prefer: [{{weight: 5, expression: '{spec}'}}]"
    decision = decide(f"require: [{{expression: '{PAIR}'}}]", f"{wish}\npriority: -1", given=asking(unlike(3)))
    assert decision.policies[1].error == "1024 preferences, of which at most 1000 are allowed"
    wishing = pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": unlike(1)[0]}]}})
    assert decide(wish, given=wishing).policies[0].error == "1024 preferences, of which at most 1000 are allowed"
    other = PAIR.replace('["', '["x')
    both = f"require: [{{expression: '{other}'}}]\n{wish}\npriority: -1"
    decision = decide(f"require: [{{expression: '{PAIR}'}}]", both)
    assert decision.policies[1].error == "1024 preferences, of which at most 1000 are allowed"


def test_terms_of_the_pods_own_that_say_the_same_do_not_multiply() -> None:
    """But each is written as often as a policy has alternatives."""
    nine = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(9))
    decision = decide(f"require: [{{expression: '{nine}'}}]", given=asking(unlike(1) * 3))
    assert decision.policies[0].error == "1536 node selector terms of the pod, of which at most 1000 are allowed"


@pytest.mark.usefixtures("plenty")
def test_equal_preferences_are_counted_once() -> None:
    wishes = [
        {"weight": 5, "expression": f'int(node.labels["a"]) == {i} || node.labels["b{i}"] == "x"'} for i in range(400)
    ]
    decision = decide(*[json.dumps({"prefer": wishes})] * 3)
    assert set(outcomes(decision).values()) == {"applied"}
    assert len(patched(decision)["affinity"]["nodeAffinity"][PREFERRED]) == 800


def test_what_is_false_may_take_any_number_of_terms() -> None:
    """Nobody asked where the condition does not hold; where somebody does, it is too much."""
    pairs = " || ".join(f'node.labels["x"] == "a{i}" && node.labels["y"] == "b{i}"' for i in range(10))
    assert len(required(decide(f"require: [{{expression: '{pairs}'}}]"))) == 10
    decision = decide(f"require: [{{expression: '!({pairs})'}}]")
    assert outcomes(decision) == {"one": "failed"}
    assert "more than 12000 steps to combine alternatives" in decision.policies[0].error


def test_of_many_policies_each_that_is_too_much_fails() -> None:
    """And only these, in one go."""
    wide = " && ".join(f'int(node.labels["a{i}"]) >= 0' for i in range(9))  # 512 terms
    two = 'node.labels["b{0}"] == "x" && node.labels["c{0}"] == "x" || node.labels["d{0}"] == "x"'
    specs = [f"require: [{{expression: '{wide}'}}]\npriority: 9"]
    specs += [f"require: [{{expression: '{two.format(i)}'}}]" for i in range(3)]
    assert list(outcomes(decide(*specs)).values()) == ["applied", "failed", "failed", "failed"]


@pytest.mark.parametrize(
    "expression",
    [
        '!("/metadata.name" in node.labels) && node.zone == "a"',
        'node.zone == "a" || int(node.labels["/metadata.name"]) > 3',
        '!(pod.metadata.labels["key"] in node.labels) && node.zone == "a"',
        'node.zone == "a" || node.labels["/metadata.name"] == "x"',
        'node.zone == "a" || "/metadata.name" in node.labels',
    ],
)
def test_no_label_is_called_as_the_nodes_name_is(expression: str) -> None:
    given = pod(metadata={"labels": {"key": "/metadata.name"}})
    (one,) = required(decide(f"require: [{{expression: '{expression}'}}]", given=given))
    assert one == {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}


def test_lists_of_a_pod_are_paid_for() -> None:
    """What an expression over the node unrolls costs as much as anything else, or is done at once."""
    given = pod(containers=[{"name": "c", "image": "i", "args": [str(3 * i) for i in range(1000)]}])
    said = {
        "int(node.labels.n) in pod.spec.containers[0].args.map(a, int(a))": "applied",  # a thousand terms
        "pod.spec.containers[0].args.exists(a, node.labels.n == a)": "applied",
        "pod.spec.containers[0].args.all(a, node.zone != a)": "applied",
        "pod.spec.containers[0].args.all(a, pod.spec.containers[0].args.all(b, node.zone != a + b))": "failed",
    }
    for expression, outcome in said.items():
        decision = decide(f"require: [{{expression: '{expression}'}}]", given=given)
        assert outcomes(decision) == {"one": outcome}, expression


# Values

MANY = ", ".join(f'"v{i}"' for i in range(400))


@pytest.mark.parametrize(("terms", "outcome"), [(25, "applied"), (26, "failed")])
def test_values_are_counted_before_they_are_written(terms: int, outcome: str) -> None:
    """Few terms with long lists are a large pod, too; what the pod says itself is not counted."""
    spec = f"require: [{{expression: 'node.labels[\"q\"] in [{MANY}]'}}]"
    decision = decide(spec, given=asking(unlike(terms)))

    assert outcomes(decision) == {"one": outcome}
    assert decision.policies[0].error == (
        ""
        if outcome == "applied"
        else "10400 values in node selector terms of the pod, of which at most 10000 are allowed"
    )


def test_values_of_a_term_that_is_dropped_make_no_room() -> None:
    gone = {"matchExpressions": [{"key": "q", "operator": "In", "values": [f"w{i}" for i in range(9_000)]}]}
    decision = decide(f"require: [{{expression: 'node.labels[\"q\"] in [{MANY}]'}}]", given=asking([*unlike(26), gone]))
    assert outcomes(decision) == {"one": "failed"}


def test_what_a_policy_asks_for_is_limited_though_the_pod_has_it_already() -> None:
    """For the decision says it in full."""
    narrow = [{"key": f"a{i}", "operator": "In", "values": ["1"]} for i in range(11)]
    decision = decide(f"require: [{{expression: '{BOUNDS}'}}]", given=asking([{"matchExpressions": narrow}]))

    assert outcomes(decision) == {"one": "failed"}
    assert "2048 node selector terms" in decision.policies[0].error


def test_values_of_preferences_are_limited() -> None:
    """A policy that passes the limit fails, the one before it stays."""
    wish = "prefer:\n" + "".join(
        f'  - {{weight: 5, expression: \'node.labels["q"] in [{MANY}] && node.arch == "x{i}"\'}}\n' for i in range(25)
    )
    decision = decide(f"{wish}\npriority: -1", GOLD, "prefer: [{weight: 1, expression: 'node.os == \"a\"'}]")

    assert outcomes(decision) == {"one": "failed", "two": "applied", "three": "applied"}
    assert decision.policies[-1].error == "10026 values in preferences, of which at most 10000 are allowed"


# Budgets

WALK = "pool.labels.all(a, pool.labels.all(b, a + b != a))"


@pytest.mark.parametrize("expression", [WALK, f'{WALK} == (pod.metadata.name == "web-0")'])
def test_an_expression_over_pools_that_costs_too_much_fails_its_policy_alone(expression: str) -> None:
    """Also where it is decided once for all pods, when the inventory is taken in."""
    labels = {f"l{i}": "v" for i in range(400)}
    pool_index = pools_of_nodes(*({"karpenter.sh/nodepool": f"p{i}", **labels} for i in range(2)))
    decision = decide(
        f"require: [{{expression: '{expression}'}}]", "require: [{expression: pool.nodes == 1}]", pools=pool_index
    )

    assert outcomes(decision) == {"one": "failed", "two": "applied"}
    assert "budget" in decision.policies[1].error + decision.policies[0].error


# Weights


@examples(40)
@given(st.lists(st.integers(1, 100), max_size=30), st.integers(1, 30))
def test_a_tier_outweighs_all_wishes_together(weights: list[int], tiers: int) -> None:
    """Whatever a node has besides; and a wish keeps its rank among wishes."""
    spec = "fallback:\n" + "".join(f"  - expression: node.labels['t'] == 't{i}'\n" for i in range(tiers))
    if weights:
        spec += "prefer:\n"
    spec += "".join(
        f'  - {{expression: \'node.labels["w{i}"] == "w{i}"\', weight: {w}}}\n' for i, w in enumerate(weights)
    )
    written = preferred(decide(spec))
    wishes = [written.get(f"w{i}", 0) for i in range(len(weights))]
    steps = [*(written[f"t{i}"] for i in range(tiers)), 0]

    assert all(better > worse + sum(wishes) for better, worse in pairwise(steps))
    assert max(written.values()) <= 100
    assert all(wishes[i] <= wishes[j] for i, a in enumerate(weights) for j, b in enumerate(weights) if a <= b)


def test_scores_keep_their_order_beneath_a_tier() -> None:
    """No node has two of them, so that only the highest must fit."""
    pools = "\n".join(f"  - {{name: p{i}, selector: {{karpenter.sh/nodepool: p{i}}}, gpus: {i}}}" for i in range(11))
    pool_index = inventory(f"apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools:\n{pools}")
    spec = "prefer: [{expression: 'true', score: pool.gpus * 10}]\nfallback: [{expression: 'node.zone == \"a\"'}]"
    weights = preferred(decide(spec, pools=pool_index))

    ranked = [weights[f"p{i}"] for i in range(1, 11)]
    assert ranked == sorted(set(ranked))
    assert ranked[-1] < weights["a"]


# Errors


@pytest.mark.parametrize(
    "effect",
    [
        'require: [{expression: \'pool.annotations["rack"] == "r" && node.zone == "a"\'}]\nwhenEmpty: ignore',
        'prefer: [{weight: 5, expression: \'pool.annotations["rack"] == "r"\'}]',
        "prefer: [{expression: 'true', score: 'int(pool.annotations[\"rack\"])'}]",
        'fallback: [{expression: \'node.zone == "a" && pool.annotations["rack"] == pod.metadata.name\'}]',
    ],
)
def test_an_error_over_pools_is_recorded_wherever_it_stands(effect: str) -> None:
    """design: an error in `require`, `prefer` or `fallback` counts as not true, and is recorded."""
    assert 'no such key: "rack" (pool `gpu`)' in decide(effect).policies[0].error


def test_a_key_that_is_computed_is_named_where_an_observed_pool_lacks_it() -> None:
    seen = pools_of_nodes({"karpenter.sh/nodepool": "gpu"})
    score = "prefer: [{expression: 'true', score: 'int(pool.labels[\"ra\" + \"ck\"])'}]"
    assert decide(score, pools=seen).policies[0].error.endswith('no such key: "rack" (pool `gpu`)')


def test_an_error_that_has_nothing_to_do_with_pools_names_none() -> None:
    wish = 'prefer: [{weight: 5, expression: \'pod.metadata.labels["rack"] == "r"\'}]'
    assert decide(wish).policies[0].error.partition(": ")[2].startswith('no such key: "rack"; the pod has no ')


@pytest.mark.parametrize(
    "expression",
    [
        '"rack" in pool.labels && (pool.labels["rack"] == pod.metadata.name && node.zone == "a") || true',
        '!("rack" in pool.labels) || (pool.labels["rack"] == pod.metadata.name && node.zone == "a")',
        '"rack" in pool.labels ? pool.labels["rack"] == pod.metadata.name && node.zone == "a" : node.zone == "b"',
        'node.labels["rack"] == "r"',
        'pod.metadata.name == "other" && pool.labels["rack"] == pod.metadata.name || node.zone == "a"',
    ],
)
def test_an_error_that_something_absorbs_is_none(expression: str) -> None:
    """And that a node may lack a label is no finding."""
    assert decide(f"prefer: [{{weight: 5, expression: '{expression}'}}]").policies[0].error == ""


def test_what_fails_in_audit_says_why() -> None:
    """Also where it fails only once the pools that are left are known."""
    tolerate = 'tolerate: [{expression: \'taint.key == "team" && pool.annotations["no"] == "x"\'}]'
    decision = decide(f"{tolerate}\nmode: audit", GOLD)

    assert decision.policies[0].outcome == "audited"
    assert decision.policies[0].message.startswith("would be failed: policies/one.yaml")
    assert 'no such key: "no"' in decision.policies[0].error


def test_an_error_on_pools_that_are_not_left_fails_nothing() -> None:
    """Whether a policy alone would change the pod is asked of more pools, and may not fail it."""
    pool_index = inventory("""
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: b, selector: {pool: b}, labels: {tier: base}, taints: [{key: x, effect: NoSchedule}]}
  - {name: a, selector: {pool: a}, labels: {rack: q, tier: gold}, taints: [{key: x, effect: NoExecute}]}
""")
    tolerate = 'tolerate: [{expression: \'taint.key == "x" && pool.labels["rack"] == "q"\'}]'
    for specs in ((tolerate, GOLD), (f"{tolerate}\npriority: 2", GOLD)):
        decision = decide(*specs, pools=pool_index)
        assert outcomes(decision) == {"one": "applied", "two": "applied"}
        assert patched(decision)["tolerations"][0]["effect"] == "NoExecute"


# Pools whose selectors overlap

NESTED = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: general, selector: {team: ml}}
  - {name: gpu, selector: {team: ml, gpu: "true"}}
  - {name: large, selector: {team: ml, size: l, disk: ssd}}
  - {name: other, selector: {team: web}}
"""


@pytest.mark.parametrize(
    "wanted", [("general",), ("gpu",), ("general", "gpu"), ("general", "large", "other"), ("large",)]
)
def test_a_node_belongs_to_the_pool_whose_selector_says_most_about_it(wanted: tuple[str, ...]) -> None:
    """So what selects the general pool leaves out the nodes of the more special ones."""
    names = ", ".join(f'"{name}"' for name in wanted)
    terms = tuple(
        map(
            parse_term,
            required(decide(f"require: [{{expression: 'pool.name in [{names}]'}}]", pools=inventory(NESTED))),
        )
    )
    for team, gpu, size, disk in product(("ml", "web"), ("", "true", "no"), ("", "l", "s"), ("", "ssd")):
        labels = {key: value for key, value in (("team", team), ("gpu", gpu), ("size", size), ("disk", disk)) if value}
        large = size == "l" and disk == "ssd"
        if large and gpu == "true" and team == "ml":
            continue  # as much is said by both
        home = "other" if team == "web" else "large" if large else "gpu" if gpu == "true" else "general"
        assert admits(terms, labels) == (home in wanted), labels


def test_a_pod_that_asks_for_a_special_pool_can_not_go_to_the_general_one() -> None:
    """Though its nodes match the general selector."""
    spec = "require: [{expression: 'pool.name == \"general\"'}]"
    decision = decide(spec, given=pod(nodeSelector={"gpu": "true"}), pools=inventory(NESTED))

    assert not decision.allowed
    assert decision.pools.before == ("gpu", "large", "other")


# Somebody else's edits in between


@pytest.mark.parametrize(
    ("spec", "selector"),
    [
        ("prefer: [{expression: 'node.capacityType == \"spot\"', weight: 60}]", {"karpenter.sh/nodepool": "gpu"}),
        ("prefer: [{expression: 'pool.gpus < 4', weight: 60}]", {"tier": "base", "karpenter.sh/nodepool": "plain"}),
        ("prefer: [{expression: 'true', score: pool.gpus + 10}]", {"tier": "base"}),
        ("fallback: [{expression: 'node.capacityType == \"spot\"'}, {expression: pool.gpus < 4}]", {"tier": "gold"}),
        (f"{BASE}\nprefer: [{{expression: 'pool.gpus < 4 && node.zone == \"a\"', weight: 6}}]", {"tier": "base"}),
    ],
)
def test_what_is_preferred_is_not_said_again_when_fewer_pools_are_left(spec: str, selector: dict[str, str]) -> None:
    """Law 4: a node selector that another webhook adds changes which pools a wish names, not what it says."""
    first = patched(decide(spec))
    again = decide(spec, given=pod(**{**first, "nodeSelector": selector}))

    assert again.patch == ()
    assert outcomes(again) == {"one": "satisfied"}


def test_what_is_preferred_only_elsewhere_is_still_written() -> None:
    """A pod's own wish for one pool is not one for two."""
    own = {"weight": 1, "preference": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [own]}}

    assert decide("prefer: [{expression: pool.gpus < 4, weight: 6}]", given=pod(affinity=affinity)).patch


# Spread constraints that give way


def spreading(skew: int, selector: str = "") -> str:
    """A policy that does nothing else."""
    return f"spread: [{{topologyKey: z, maxSkew: {skew}, whenUnsatisfiable: ScheduleAnyway{selector}}}]"


OTHERS = ", labelSelector: {matchLabels: {z: y}}"


def test_a_policy_whose_only_spread_gives_way_is_overruled() -> None:
    """Neither applied nor satisfied: what it asks for does not hold."""
    own = {"topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1, "labelSelector": {}}
    decision = decide(spreading(3), given=pod(topologySpreadConstraints=[own]))
    assert outcomes(decision) == {"one": "overruled"}
    assert decision.policies[0].message == "the pod's own constraint on `z` (ScheduleAnyway) counts other pods"
    assert decision.allowed
    assert not decision.patch

    decision = decide(spreading(3), f"{spreading(2, OTHERS)}\npriority: 5")
    assert outcomes(decision) == {"two": "applied", "one": "overruled"}
    assert "one" not in decision.message

    assert outcomes(decide(spreading(3), spreading(2))) == {"one": "applied", "two": "applied"}
    assert outcomes(decide(f"{spreading(3)}\n{GOLD}", f"{spreading(2, OTHERS)}\npriority: 5"))["one"] == "applied"


def test_a_pod_that_matches_no_pool_leaves_none_untolerated() -> None:
    """`pools.untolerated` are among those that are left."""
    decision = decide(GOLD, given=pod(nodeSelector={"karpenter.sh/nodepool": "nope"}))

    assert decision.pools == PoolNames()


# What was observed


def test_no_capacity_type_observed_is_demanded_again() -> None:
    """It is asked of the node, as any label is of which nothing is known."""
    pool_index = pools_of_nodes({"karpenter.sh/nodepool": "k"}, {"eks.amazonaws.com/nodegroup": "g"})
    terms = required(decide("require: [{expression: '!(\"spot\" in pool.capacityTypes)'}]", pools=pool_index))

    assert all(any("apacity" in e["key"] and e["operator"] == "In" for e in t["matchExpressions"]) for t in terms)


# Patches


def test_how_the_pod_spells_its_fields_leaves_no_trace() -> None:
    """Terms that are dropped make the whole list be written again."""
    terms = [
        {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]},
        {"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["plain"]}]},
    ]
    turned = [{"matchExpressions": [dict(reversed(e.items())) for e in t["matchExpressions"]]} for t in terms]
    one, other = decide(BASE, given=asking(terms)), decide(BASE, given=asking(turned))

    assert str(one.patch) == str(other.patch)
    assert jsonpatch.apply_patch(one.incoming.pod, list(one.patch)) == jsonpatch.apply_patch(
        other.incoming.pod, list(other.patch)
    )


def test_a_request_has_a_budget_beside_each_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies within their own bounds may be too much together: the later ones fail, by priority and name."""
    costly = "variables: [{name: n, expression: '[1, 2, 3, 4].map(x, x + size(pod.spec.containers)).sum()'}]\n"
    spec = costly + "require: [{expression: 'variables.n > 0'}]\nfailurePolicy: Ignore"
    assert set(outcomes(decide(spec, spec, spec)).values()) == {"satisfied"}

    monkeypatch.setattr("engine.evaluation.pod_facts.REQUEST_BUDGET", 15)
    said = outcomes(decide(spec, spec, spec))
    assert said["one"] == "satisfied"
    assert list(said.values()).count("failed") >= 1


def test_policies_that_spend_little_do_not_use_up_what_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a policy leaves of its own is there for the others."""
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 60)
    monkeypatch.setattr("engine.evaluation.pod_facts.REQUEST_BUDGET", 100)
    count = "[1, 2].map(x, x + size(pod.spec.containers)).sum()"
    spec = f"variables: [{{name: n, expression: '{count}'}}]\nrequire: [{{expression: 'variables.n > -%d'}}]"
    assert set(outcomes(decide(*(spec % i for i in range(4)))).values()) == {"satisfied"}


def test_no_policy_pays_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for the one before it, nor for one that came before another with variables of its own."""
    costly = "deny: [{expression: '[1, 2, 3].exists(x, [1, 2, 3].exists(y, x + y + size(pod.spec.containers) < 0))'}]"
    between = (
        "variables: [{name: n, expression: '1'}]\nspread: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]"
    )
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 50)
    for others in ([costly], [costly, f"{between}\npriority: 1"]):
        said = outcomes(decide(f"{costly}\npriority: 2", *others))
        assert "failed" not in said.values()
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 25)
    assert outcomes(decide(costly)) == {"one": "failed"}


def test_a_budget_that_another_policy_spent_fails_no_tolerations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tolerations are judged after all policies were; what the others cost is none of their business."""
    monkeypatch.setattr("engine.evaluation.pod_facts.POLICY_BUDGET", 40)
    tolerating = 'tolerate: [{expression: \'pod.spec.containers.all(c, c.name != "z") && taint.key == "team"\'}]'
    spending = "deny: [{expression: '[1, 2, 3, 4].all(x, [1, 2, 3, 4].all(y, x + y + size(pod.spec.containers) > 0))'}]"

    assert outcomes(decide(tolerating, f"{GOLD}\n{spending}"))["one"] == "applied"


# What is decided again


def test_what_is_decided_again_costs_no_more_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a pod is let through, and refused when another webhook has it sent once more.

    Each wish was compared with each that the pod had got, on each of its own terms.
    """
    wishes = [f'node.labels["a{i}"] == "x" && (node.zone == "a" || node.labels["b{i}"] == "y")' for i in range(12)]
    items = "\n".join(f"  - {{expression: '{wish}', weight: {i + 1}}}" for i, wish in enumerate(wishes))
    engine = decider(f"require: [{{expression: 'has(node.labels.ssd)'}}]\nprefer:\n{items}")
    made: list[Budget] = []

    def counted(_: int) -> Budget:
        made.append(Budget(10**8))
        return made[-1]

    monkeypatch.setattr("engine.decision.decide.Budget", counted)
    first = engine.decide(incoming(asking(unlike(20))))
    assert len(patched(first)["affinity"]["nodeAffinity"][PREFERRED]) == 24
    before = 10**8 - made.pop().left
    assert not made
    again = engine.decide(incoming({**first.incoming.pod, "spec": patched(first)}))
    assert (again.allowed, again.patch) == (True, ())
    assert 10**8 - made.pop().left <= 2 * before
