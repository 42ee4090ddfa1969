"""engine.decision.weigh: what a node's matching preferences and tiers add up to, as the scheduler counts."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

import pytest

from engine.decision.decision import Decision
from engine.evaluation import NodeSet, WeightedNodes, heaviest_overlap
from engine.evaluation.preferences import _levels
from engine.nodeselector import TRUE, integers, one_of, term_of
from tests.engine.builders import decide, inventory, pod, pools_named
from tests.engine.builders import patched as patched_spec
from tests.engine.matching import PREFERRED, REQUIRED, matches_term

ONE_POOL = inventory("apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\npools: [{name: p, selector: {pool: p}}]")
LABELS: Mapping[str, tuple[str | None, ...]] = {
    "pool": ("p", None),
    "t": ("x", "y", None),
    "size": ("2", "8", None),
    "mem": ("4", "16", None),
    "w": ("y", None),
}
NODES = [
    {key: value for key, value in zip(LABELS, states, strict=True) if value is not None}
    for states in product(*LABELS.values())
]
TIERS: dict[str, Any] = {
    'node.labels["t"] == "x"': lambda node: node.get("t") == "x",
    'int(node.labels["size"]) > 4': lambda node: node.get("size") == "8",
    'int(node.labels["mem"]) > 8': lambda node: node.get("mem") == "16",
    'node.labels["w"] == "y"': lambda node: "w" in node,
    'has(node.labels.t) && int(node.labels["mem"]) > 8': lambda node: "t" in node and node.get("mem") == "16",
    'int(node.labels["size"]) > 4 || int(node.labels["mem"]) > 8': lambda node: (
        "8" in node.values() or "16" in node.values()
    ),
    'pool.name == "p"': lambda node: "pool" in node,
}


def patched(decision: Decision) -> dict[str, Any]:
    """The pod after the patch."""
    return {**decision.incoming.pod, "spec": patched_spec(decision)}


def score(decision: Decision, node: Mapping[str, str]) -> int:
    """What the scheduler adds up for a node of the patched pod's preferences."""
    affinity = (patched(decision)["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return sum(one["weight"] for one in affinity.get(PREFERRED) or () if matches_term(one["preference"], node, "n1"))


def preferring(*preferences: tuple[int, Mapping[str, str]]) -> dict[str, Any]:
    """A pod that prefers nodes with a label itself, by weight."""
    wishes = [
        {
            "weight": weight,
            "preference": {"matchExpressions": [{"key": k, "operator": "In", "values": [v]} for k, v in label.items()]},
        }
        for weight, label in preferences
    ]
    return pod(affinity={"nodeAffinity": {PREFERRED: wishes}})


def items(*expressions: str) -> str:
    return "".join(f"\n  - expression: {text!r}" for text in expressions)


@pytest.mark.parametrize("seed", range(40))
def test_a_better_tier_outweighs_all_that_worse_ones_and_wishes_come_to(seed: int) -> None:
    dice = random.Random(seed)
    tiers = dice.sample(sorted(TIERS), dice.randint(1, 4))
    wish = dice.choice(sorted(TIERS))
    spec = f"fallback: {items(*tiers)}\nprefer: [{{expression: {wish!r}, weight: {dice.randint(1, 100)}}}]"
    decision = decide(spec, pools=ONE_POOL)
    ranked: dict[int, list[int]] = {}
    for node in NODES:
        place = next((i for i, text in enumerate(tiers) if TIERS[text](node)), len(tiers))
        ranked.setdefault(place, []).append(score(decision, node))
    for (_, better), (_, worse) in pairwise(sorted(ranked.items())):
        assert min(better) > max(worse), (tiers, wish, ranked)


@pytest.mark.parametrize("text", sorted(TIERS))
def test_a_wish_counts_once_on_a_node(text: str) -> None:
    decision = decide(f"prefer: [{{expression: {text!r}, weight: 40}}]", pools=ONE_POOL)
    for node in NODES:
        assert score(decision, node) == (40 if TIERS[text](node) else 0), node


def test_where_bounds_overlap_a_label_that_is_no_integer_counts_for_one_of_them_only() -> None:
    text = 'int(node.labels["size"]) > 4 || int(node.labels["mem"]) > 8'
    decision = decide(f"prefer: [{{expression: {text!r}, weight: 40}}]", pools=ONE_POOL)
    assert [score(decision, {"size": "8", "mem": mem}) for mem in ("16", "4", "big")] == [40, 40, 0]
    assert score(decision, {"size": "big", "mem": "16"}) == 40


def test_a_weaker_wish_of_the_pod_does_not_stand_for_a_policys() -> None:
    tiers = "fallback: " + items(*(f'node.labels["t"] == "{t}"' for t in "abc"))
    given = preferring((1, {"t": "a"}))
    decision = decide(tiers, given=given, pools=ONE_POOL)
    assert [score(decision, {"t": t}) for t in "abcd"] == [100, 66, 33, 0]
    assert decide(tiers, given=patched(decision), pools=ONE_POOL).patch == ()


@pytest.mark.parametrize(("own", "sums"), [((80,), 80), ((81,), 81), ((50, 30), 80), ((79,), 159), ((50, 29), 159)])
def test_wishes_of_the_pod_that_come_to_as_much_are_enough(own: tuple[int, ...], sums: int) -> None:
    wish = 'prefer: [{expression: \'node.labels["t"] == "a"\', weight: 80}]'
    decision = decide(wish, given=preferring(*((weight, {"t": "a"}) for weight in own)), pools=ONE_POOL)
    assert score(decision, {"t": "a"}) == sums
    assert bool(decision.patch) == (sums == 159)


FLEET = inventory(
    "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n"
    "pools: [{name: a, selector: {pool: a}}, {name: b, selector: {pool: b}}]"
)
BOTH = 'prefer: [{expression: \'pool.name in ["a", "b"]\', weight: 60}, {expression: \'pool.name == "a"\', weight: 60}]'


@pytest.mark.parametrize(("own", "more"), [(60, True), (120, False)])
def test_what_is_preferred_in_other_words_counts_where_fewer_pools_are_left(own: int, more: bool) -> None:
    """The pod may go to `a` only: what it says of `a` and `b` is the same."""
    given = preferring((min(own, 100), {"pool": "a"}), *([(20, {"pool": "a"})] if own > 100 else []))
    given["spec"]["nodeSelector"] = {"pool": "a"}
    assert bool(decide(BOTH, given=given, pools=FLEET).patch) == more


@pytest.mark.parametrize(("own", "more"), [(1, True), (59, True), (60, False), (61, False)])
def test_what_was_said_of_more_pools_counts_as_much_as_it_weighs(own: int, more: bool) -> None:
    either = {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a", "b"]}]}
    given = pod(
        nodeSelector={"pool": "a"}, affinity={"nodeAffinity": {PREFERRED: [{"weight": own, "preference": either}]}}
    )
    spec = 'prefer: [{expression: \'pool.name in ["a", "b"]\', weight: 60}]'
    assert bool(decide(spec, given=given, pools=FLEET).patch) == more


def test_nothing_is_added_when_fewer_pools_are_left_than_when_it_was_said() -> None:
    """Equal wishes that pass 100 together make all lighter: also those of pools that are left out later."""
    three = f'{BOTH[:-1]}, {{expression: \'node.labels["t"] == "x"\', weight: 60}}]'
    decision = decide(three, pools=FLEET)
    for selected in ("a", "b"):
        again = patched(decision)
        again["spec"]["nodeSelector"] = {"pool": selected}
        assert decide(three, given=again, pools=FLEET).patch == ()
    assert [score(decision, node) for node in ({"pool": "a"}, {"pool": "b"}, {"t": "x"})] == [100, 50, 50]


def test_tiers_of_several_policies_stay_above_wishes() -> None:
    tier = 'fallback: [{expression: \'node.labels["t"] == "a"\'}]'
    other = 'fallback: [{expression: \'node.labels["t"] == "x"\'}]'
    wishes = "\nprefer: [" + ", ".join(f"{{expression: 'has(node.labels.w{i})', weight: 8}}" for i in range(12)) + "]"
    decision = decide(tier, tier, tier, other + wishes, pools=ONE_POOL)
    assert score(decision, {"t": "x"}) > score(decision, {f"w{i}": "y" for i in range(12)}) > 0
    assert score(decision, {"t": "a"}) == 3 * score(decision, {"t": "x"})


def test_of_many_wishes_that_pass_100_the_proportions_stay() -> None:
    wish = 'prefer: [{expression: \'node.labels["t"] == "a"\', weight: 60}]'
    other = 'prefer: [{expression: \'node.labels["t"] == "b"\', weight: 30}]'
    decision = decide(wish, wish, wish, other, pools=ONE_POOL)
    assert [score(decision, {"t": t}) for t in "abc"] == [100, 16, 0]
    least = decide(wish, wish, wish, other.replace("30", "1"), pools=ONE_POOL)
    assert [score(least, {"t": t}) for t in "abc"] == [100, 1, 0]


@pytest.mark.parametrize(
    ("shared", "levels"),
    [
        ([], []),
        ([False], [1]),
        ([False] * 3, [3, 2, 1]),
        ([False, True], [2, 1]),
        ([False, False, True], [4, 2, 1]),
        ([False, True, True], [4, 2, 1]),
        ([False, False, False, True], [6, 4, 2, 1]),
        ([False, True, False], [3, 2, 1]),
        ([False, False, True, False], [6, 3, 2, 1]),
    ],
)
def test_a_level_is_more_than_what_worse_tiers_come_to(shared: list[bool], levels: list[int]) -> None:
    assert _levels(shared) == levels


def test_wishes_for_the_same_nodes_are_stacked_pool_by_pool() -> None:
    a, b = (term_of({"k": one_of([value])}) for value in "ab")
    bound = term_of({"k": integers(3)})

    def wish(weight: int, *groups: tuple[int, Any], anywhere: Any = None) -> WeightedNodes:
        return WeightedNodes(NodeSet(groups, anywhere), weight)

    assert heaviest_overlap([]) == 0
    assert heaviest_overlap([wish(3, (0b11, (a,))), wish(4, (0b01, (a,))), wish(5, (0b10, (a,)))]) == 8
    assert heaviest_overlap([wish(3, (0b11, (a, b))), wish(4, (0b110, (b,))), wish(6, (0b100, (bound,)))]) == 7
    assert heaviest_overlap([wish(3, (0b1, TRUE)), wish(4, (0b10, TRUE)), wish(2, (0b111, TRUE))]) == 6
    assert heaviest_overlap([wish(1, (0b1, (a,)), anywhere=(b,)), wish(2, (0b1, (a,)), anywhere=(b,)), wish(9)]) == 3


def test_weights_do_not_depend_on_the_pools_that_are_left() -> None:
    texts = {
        'pool.name == "p1"': 49,
        'pool.name in ["p1", "p2"]': 49,
        'pool.name in ["p1", "p3"]': 52,
        'pool.name == "p4"': 100,
    }
    spec = (
        "prefer: [" + ", ".join(f"{{expression: {text!r}, weight: {weight}}}" for text, weight in texts.items()) + "]"
    )
    required_terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["p1", "p4"]}]}]
    given = pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": required_terms}}})
    pool_index = pools_named(4)
    again = patched(decide(spec, given=given, pools=pool_index))
    again["spec"]["nodeSelector"] = {"pool": "p4"}
    assert decide(spec, given=again, pools=pool_index).patch == ()


def test_many_tiers_that_can_not_be_told_apart_are_not_said_again() -> None:
    bounds = [f'int(node.labels["{label}"]) > 1' for label in "bcdefgh"]
    spec = "fallback: " + items('pool.name == "p1" && int(node.labels["a"]) > 1', *bounds)
    pool_index = pools_named(2)
    decision = decide(spec, pools=pool_index)
    assert score(decision, {"pool": "p1", "a": "2"}) >= score(decision, dict.fromkeys("bcdefgh", "2")) > 0
    again = patched(decision)
    again["spec"]["nodeSelector"] = {"pool": "p2"}
    assert decide(spec, given=again, pools=pool_index).patch == ()


def test_a_wish_that_takes_two_terms_is_not_said_again_where_fewer_pools_are_left() -> None:
    spec = 'prefer: [{expression: \'pool.name in ["p1", "p2"] && int(node.labels["g"]) != 2\', weight: 50}]'
    pool_index = pools_named(3)
    again = patched(decide(spec, pools=pool_index))
    again["spec"]["nodeSelector"] = {"pool": "p1"}
    assert decide(spec, given=again, pools=pool_index).patch == ()


def test_a_tier_that_can_be_told_apart_shares_no_nodes() -> None:
    decision = decide(
        "fallback: " + items('node.labels["t"] == "x"', 'node.labels["t"] == "y"', 'int(node.labels["size"]) > 4'),
        pools=ONE_POOL,
    )
    nodes = ({"t": "x", "size": "8"}, {"t": "y", "size": "8"}, {"t": "z", "size": "8"}, {"t": "z"})
    assert [score(decision, node) for node in nodes] == [99, 66, 33, 0]


def test_a_tier_that_can_not_be_told_apart_keeps_all_its_nodes() -> None:
    """Also those whose label is no integer, where a better tier compares it as one."""
    decision = decide("fallback: " + items('int(node.labels["size"]) > 4', 'pool.name == "p"'), pools=ONE_POOL)
    whole: list[dict[str, str]] = [
        {"pool": "p", "size": "8"},
        {"size": "8"},
        {"pool": "p", "size": "big"},
        {"pool": "p"},
        {},
    ]
    assert [score(decision, node) for node in whole] == [150, 100, 50, 50, 0]


def test_a_hundred_tiers_all_differ() -> None:
    pools = pools_named(100)
    decision = decide("fallback: " + items(*(f'pool.name == "p{i}"' for i in range(1, 101))), pools=pools)
    assert [score(decision, {"pool": f"p{i}"}) for i in range(1, 101)] == list(range(100, 0, -1))


def test_where_tiers_leave_no_room_wishes_are_left_out() -> None:
    """Rather than that one comes up to the last of the tiers."""
    names = [f"p{i}" for i in range(1, 61)]
    wish = '\nprefer: [{expression: \'node.labels["t"] == "x"\', weight: 50}]'
    decision = decide("fallback: " + items(*(f'pool.name == "{name}"' for name in names)) + wish, pools=pools_named(60))
    assert [score(decision, {"pool": name}) for name in names] == list(range(60, 0, -1))
    assert score(decision, {"t": "x"}) == 0


def test_wishes_for_nodes_of_any_pool_are_stacked_on_those_of_each() -> None:
    (b,) = anywhere = (term_of({"k": one_of("b")}),)
    apart = [
        WeightedNodes(NodeSet(((1 << i, (term_of({"k": one_of("a")}),)),), anywhere), weight)
        for i, weight in enumerate((1, 2))
    ]
    assert heaviest_overlap(apart) == 3
    for mask in (0b001, 0b100):
        assert heaviest_overlap([*apart, WeightedNodes(NodeSet(((mask, (b,)),)), 5)]) == 8
