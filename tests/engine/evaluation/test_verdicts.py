"""Verdicts against three-valued logic, pool by pool and node by node, and what was read of pools on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import product
from math import nan
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.pool_lookup import PoolLookup
from engine.evaluation.read_tracking import _Noted
from engine.evaluation.verdicts import ByNode, ByPool, Verdict, both_hold, choice, invert, truths
from engine.language import Budget
from engine.nodeselector import ABSENT, EXISTS, Terms, one_of, term_of
from engine.nodeselector.term import admits
from engine.pools import PoolIndex, Read
from engine.program import CONTAINS, NO, UNKNOWN, YES, Both, Choice, Leaf, Not, Reads, Tree, Truth, leaves_of
from tests.engine.builders import decide, inventory, required
from tests.engine.decision.test_limits import pools_of_nodes

POOLS = 3
EVERY = (1 << POOLS) - 1
NODES: tuple[dict[str, str], ...] = ({}, {"x": "1"}, {"x": "2"})
ONE: Terms = (term_of({"x": one_of(["1"])}),)
NONE: Terms = (term_of({"x": ABSENT}),)
SOME: Terms = (term_of({"x": EXISTS}),)
TRUTHS: list[Truth] = [YES, NO, UNKNOWN, (ONE, NONE), (NONE, SOME), (SOME, ()), ((), ONE)]

reads = st.frozensets(st.sampled_from([Read("labels", "a"), Read("values", "b"), Read("capacity")]), max_size=2)
computed = st.dictionaries(st.integers(0, POOLS - 1), reads, max_size=2)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """Flat or cased; where no pool matters all pools are alike, and nothing was read of them."""
    if draw(st.booleans()):
        truth = draw(st.sampled_from(TRUTHS))
        if truth in (YES, NO, UNKNOWN) and draw(st.booleans()):
            return ByPool(EVERY * (truth == YES), EVERY * (truth == NO), truth)
        return ByNode(((EVERY, truth),), truth)
    if draw(st.booleans()):
        true = draw(st.integers(0, EVERY))
        return ByPool(true, draw(st.integers(0, EVERY)) & ~true, None, draw(reads), draw(computed))
    split: dict[Truth, int] = {}
    for i in range(POOLS):
        truth = draw(st.sampled_from(TRUTHS))
        split[truth] = split.get(truth, 0) | 1 << i
    return ByNode(tuple((mask, truth) for truth, mask in split.items()), None, draw(reads), draw(computed))


def said(truth: Truth, node: dict[str, str]) -> bool | None:
    return True if admits(truth[0], node) else False if admits(truth[1], node) else None


def table(verdict: Verdict) -> list[bool | None]:
    """What it is on every node of every pool; each pool is in exactly one case."""
    rows: list[bool | None] = []
    for i in range(POOLS):
        (truth,) = (truth for mask, truth in verdict.cases(EVERY) if mask >> i & 1)
        rows += [said(truth, node) for node in NODES]
    return rows


def anywhere(verdict: Verdict) -> list[bool | None] | None:
    return None if verdict.anywhere is None else [said(verdict.anywhere, node) for node in NODES]


def conjunction(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


def chosen(test: bool | None, yes: bool | None, no: bool | None) -> bool | None:
    return None if test is None else yes if test else no


def united(*many: Verdict) -> tuple[Reads, dict[int, Reads]]:
    """All that was read of the pools."""
    by_pool: dict[int, Reads] = {}
    for one in many:
        for pool, read in one.computed.items():
            by_pool[pool] = by_pool.get(pool, frozenset()) | read
    return frozenset().union(*(one.reads for one in many)), by_pool


@given(verdicts())
def test_not(verdict: Verdict) -> None:
    opposite = invert(verdict)
    assert table(opposite) == [None if one is None else not one for one in table(verdict)]
    mine = anywhere(verdict)
    assert anywhere(opposite) == (None if mine is None else [None if one is None else not one for one in mine])
    assert united(opposite) == united(verdict)
    assert invert(opposite) == verdict


@given(verdicts(), verdicts())
def test_and(a: Verdict, b: Verdict) -> None:
    both = both_hold(a, lambda: b, EVERY)
    assert table(both) == [conjunction(x, y) for x, y in zip(table(a), table(b), strict=True)]
    if NO in (a.anywhere, b.anywhere):
        assert (anywhere(both), united(both)) == ([False] * len(NODES), (frozenset(), {}))
        return
    mine, its = anywhere(a), anywhere(b)
    neither = mine is None or its is None
    expected = None if neither else [conjunction(x, y) for x, y in zip(mine or (), its or (), strict=True)]
    assert anywhere(both) == expected
    assert united(both) == united(a, b)


def possible(tree: Tree, place: int, seen: Mapping[int, Verdict]) -> set[bool | None]:
    """What an expression can be on a pool, or, past the last of them, on a node of none."""
    match tree:
        case Leaf():
            verdict = seen[tree.number]
            here = [truth for mask, truth in verdict.cases(EVERY) if mask >> place & 1]
            if place == POOLS:
                here = [verdict.anywhere] if verdict.anywhere else [YES, NO]
            found = {value for truth in here for value, terms in zip((True, False), truth, strict=True) if terms}
            return found | ({None} if UNKNOWN in here else set())
        case Not():
            return {None if value is None else not value for value in possible(tree.inner, place, seen)}
        case Both():
            pairs = product(possible(tree.left, place, seen), possible(tree.right, place, seen))
            return {False if False in pair else None if None in pair else True for pair in pairs}
        case Choice():
            tests = possible(tree.test, place, seen)
            yes = possible(tree.yes, place, seen) if True in tests else set()
            no = possible(tree.no, place, seen) if False in tests else set()
            return yes | no | tests & {None}


LEAVES = st.integers(0, 3).map(lambda number: Leaf(number, reads_pod=False, reads_pool=True))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Both, inner, inner), st.builds(Choice, inner, inner, inner)
    ),
    max_leaves=6,
)


@given(TREES, st.lists(verdicts(), min_size=4, max_size=4))
def test_where_an_expression_can_be_true_false_or_an_error(tree: Tree, leaves: list[Verdict]) -> None:
    seen = dict(enumerate(leaves))
    pool_facts = PoolFacts(PoolIndex(pools_of_nodes(*({NODEPOOL: name} for name in "klm"))), (), lambda: (Budget(0),))
    outlook = Inputs(pool_facts, (), seen)._outlook(tree)
    for place in range(POOLS + 1):
        found = {value for value, mask in zip((True, False, None), outlook, strict=True) if mask >> place & 1}
        assert found == possible(tree, place, seen)


def test_two_errors_that_no_pool_decides_are_one() -> None:
    unknown = ByPool(0, 0, UNKNOWN)
    assert both_hold(unknown, lambda: unknown, EVERY) == unknown


def test_every_leaf_of_a_tree_is_found() -> None:
    a, b, c, d = (Leaf(number, reads_pod=False, reads_pool=True) for number in range(4))
    assert list(leaves_of(Choice(Not(a), Both(b, Not(c)), d))) == [a, b, c, d]


def test_pools_on_which_it_is_false_do_not_hide_those_on_which_it_is_true() -> None:
    verdict = ByNode(((0b001, NO), (0b010, YES), (0b100, (ONE, NONE))))
    pool_index = PoolIndex(pools_of_nodes(*({NODEPOOL: name} for name in "klm")))
    assert truths(verdict, pool_index) == [(0b010, YES[0]), (0b100, ONE)]


def test_and_does_not_ask_for_what_can_not_matter() -> None:
    def asked() -> Verdict:
        raise AssertionError

    no = ByPool(0, EVERY, NO)
    assert both_hold(no, asked, EVERY) == no


@given(verdicts(), verdicts(), verdicts())
def test_choice(test: Verdict, yes: Verdict, no: Verdict) -> None:
    whole = choice(test, yes, no, EVERY)
    assert table(whole) == [chosen(*three) for three in zip(table(test), table(yes), table(no), strict=True)]
    parts = [anywhere(part) for part in (test, yes, no)]
    known = [part for part in parts if part is not None]
    expected = [chosen(*three) for three in zip(*known, strict=True)] if len(known) == len(parts) else None
    assert anywhere(whole) == expected
    assert united(whole) == united(test, yes, no)


@pytest.mark.parametrize("truths", list(product((YES, NO, UNKNOWN), repeat=3)))
def test_a_choice_that_no_pool_decides(truths: tuple[Truth, Truth, Truth]) -> None:
    test, yes, no = (ByPool(EVERY * (truth == YES), EVERY * (truth == NO), truth) for truth in truths)
    whole = choice(test, yes, no, EVERY)
    assert anywhere(whole) == table(whole)[: len(NODES)]
    assert anywhere(whole) == [chosen(*(said(truth, node) for truth in truths)) for node in NODES]


# Indexes

COMPARED: dict[str, Callable[[Any, Any], bool]] = {"_==_": eq, "_!=_": ne, "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge}


@pytest.mark.parametrize("operator", COMPARED)
@given(values=st.lists(st.one_of(st.none(), st.sampled_from([0, 1, 2, 2.5, 7])), max_size=5))
def test_an_index_compares_with_every_pool(operator: str, values: list[float | None]) -> None:
    """A pool without a value is neither true nor false."""
    masks: dict[Any, int] = {}
    for i, value in enumerate(values):
        if value is not None:
            masks[value] = masks.get(value, 0) | 1 << i
    index = PoolLookup(operator, masks, sum(1 << i for i, value in enumerate(values) if value is not None))
    for mine in (-1, 0, 1, 2, 2.25, 2.5, 7, 8):
        said = {i: COMPARED[operator](mine, value) for i, value in enumerate(values) if value is not None}
        true, false = index(mine)
        assert true == sum(1 << i for i, one in said.items() if one)
        assert false == sum(1 << i for i, one in said.items() if not one)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=2), max_size=4), st.sampled_from("abcd"))
def test_an_index_finds_the_pools_whose_list_has_a_value(lists: list[list[str]], mine: str) -> None:
    masks: dict[Any, int] = {}
    for i, values in enumerate(lists):
        for value in set(values):
            masks[value] = masks.get(value, 0) | 1 << i
    every = (1 << len(lists)) - 1
    true = sum(1 << i for i, values in enumerate(lists) if mine in values)
    assert PoolLookup("@in", masks, every)(mine) == (true, every & ~true)


def test_an_index_of_a_pods_list() -> None:
    """The pool's one value in the list of the pod."""
    index = PoolLookup(CONTAINS, {"a": 0b001, "b": 0b110}, 0b111)
    assert index(["a"]) == (0b001, 0b110)
    assert index(["a", "b", "z"]) == (0b111, 0)
    assert index([]) == (0, 0b111)


def test_what_has_no_place_in_the_order_is_neither() -> None:
    index = PoolLookup("_<_", {1: 0b01, nan: 0b10}, 0b11)
    assert index(0) == (0b01, 0)
    assert index(nan) == (0, 0)


# What was read through a key that is computed is demanded again

NODEPOOL, ZONE = "karpenter.sh/nodepool", "topology.kubernetes.io/zone"
FLEET = pools_of_nodes(
    {NODEPOOL: "k", "rack": "r", "disk": "ssd"},
    {NODEPOOL: "k", "rack": "r", "disk": "ssd"},
    {NODEPOOL: "l", "rack": "q"},
)


@pytest.mark.parametrize(
    ("expression", "demanded"),
    [
        ('pool.labels["ra" + string("ck")] == "r"', {"rack"}),
        ('pool.labels[params.key] == "r"', {"rack"}),
        ('params.key in pool.labels && pool.name == "k"', {"rack"}),
        ('pool.labels[?params.key].orValue("") == "r"', {"rack"}),
        ('pool.labels[?params.other].orValue("none") == "none" && pool.name == "k"', {"other"}),
        ("!(params.other in pool.labels) && pool.name == 'k'", {"other"}),
        ("size(pool.labels) == 3", {"rack", "disk", NODEPOOL}),
        ('pool.labels.exists(k, v, v == "r")', {"rack", "disk", NODEPOOL}),
        ('pool.labels.exists(k, k == "disk")', {"rack", "disk", NODEPOOL}),
        ('pool.labels == {"rack": "r", "disk": "ssd", "karpenter.sh/nodepool": "k"}', {"rack", "disk", NODEPOOL}),
        ("pool.labels[params.key] == 'r' ? pool.labels[params.disk] == 'ssd' : false", {"rack", "disk"}),
        ("has(node.zone) && pool.labels[params.key] == 'r'", {"rack", ZONE}),
        ("node.zone == 'z' + pool.labels[params.key] && pool.name == 'k'", {"rack", ZONE}),
        ("pool.labels.exists(k, v, v == 'r' && has(node.zone))", {"rack", "disk", NODEPOOL, ZONE}),
    ],
)
def test_what_a_computed_key_reads_is_demanded_again(expression: str, demanded: set[str]) -> None:
    params = "{params: {key: rack, other: other, disk: disk}}"
    decision = decide(f"require: [{{expression: {expression!r}}}]", bundle=params, pools=FLEET)
    (one,) = required(decision)
    said: dict[str, Any] = {e["key"]: e for e in one["matchExpressions"]}
    assert set(said) == demanded | {NODEPOOL}
    assert said[NODEPOOL]["values"] == ["k"]
    for key in demanded - {NODEPOOL}:
        assert said[key]["operator"] in {"other": ("DoesNotExist",), ZONE: ("In", "Exists")}.get(key, ("In",))


@pytest.mark.parametrize("walk", ["__iter__", "__len__", "keys", "items", "values"])
def test_whoever_walks_a_pools_labels_has_read_them_all(walk: str) -> None:
    noted = _Noted("labels", {"a": "b"}, reads := set[Read]())
    getattr(noted, walk)()
    assert reads == {Read("all")}


@pytest.mark.parametrize(
    "expression",
    [
        "pool.labels.rack == pod.metadata.labels.app",
        "pod.metadata.labels.app in [pool.labels.rack]",
        "pool.labels.rack == pod.metadata.labels.nobody || pool.name == 'k'",
    ],
)
def test_what_is_compared_with_the_pods_own_is_demanded_again(expression: str) -> None:
    """Also where the pod has nothing to compare: what is read is what the text says."""
    seen = pools_of_nodes({NODEPOOL: "k", "rack": "web"}, {NODEPOOL: "l", "rack": "q"})
    (one,) = required(decide(f"require: [{{expression: {expression!r}}}]", pools=seen))
    assert {e["key"]: e["values"] for e in one["matchExpressions"]} == {NODEPOOL: ["k"], "rack": ["web"]}


def test_what_each_pool_was_asked_for_is_demanded_of_its_own_nodes() -> None:
    """By a key that another label of the pool names."""
    named = pools_of_nodes(
        {NODEPOOL: "k", "key": "disk", "disk": "ssd"},
        {NODEPOOL: "l", "key": "rack", "rack": "ssd"},
        {NODEPOOL: "m", "key": "rack", "rack": "ssd"},
        {NODEPOOL: "n", "key": "rack", "rack": "hdd"},
    )
    terms = required(decide("require: [{expression: 'pool.labels[pool.labels.key] == \"ssd\"'}]", pools=named))
    said = [{e["key"]: e["values"] for e in one["matchExpressions"]} for one in terms]
    assert sorted(said, key=str) == [
        {"disk": ["ssd"], "key": ["disk"], NODEPOOL: ["k"]},
        {"key": ["rack"], NODEPOOL: ["l", "m"], "rack": ["ssd"]},
    ]


@pytest.mark.parametrize(
    "score",
    ["pool.labels[params.key] == 'r' ? 7 : 0", "node.capacityType == 'spot' || pool.labels[params.key] == 'r' ? 7 : 0"],
)
def test_what_a_score_reads_is_demanded_again(score: str) -> None:
    wish = f"prefer: [{{expression: 'true', score: {score!r}}}]"
    decision = decide(wish, bundle="{params: {key: rack}}", pools=FLEET)
    wishes = [one["preference"] for one in decision.as_json()["placement"]["preferred"]]
    assert wishes
    for one in wishes:
        by_key = {e["key"]: e for e in one["matchExpressions"]}
        assert by_key["rack"]["operator"] == "In"
        assert set(by_key) <= {NODEPOOL, "rack", "karpenter.sh/capacity-type"}


def test_a_pool_and_its_node_are_compared_in_the_words_of_its_provider() -> None:
    declared = [
        {"name": "g", "selector": {"cloud.google.com/gke-nodepool": "g"}, "labels": {"want": "spot"}},
        {"name": "k", "selector": {NODEPOOL: "k"}, "labels": {"want": "on-demand"}},
    ]
    pools = inventory(json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": declared}))
    terms = required(decide("require: [{expression: node.capacityType == pool.labels.want}]", pools=pools))
    assert [{e["key"]: e["values"] for e in one["matchExpressions"]} for one in terms] == [
        {"cloud.google.com/gke-nodepool": ["g"], "cloud.google.com/gke-preemptible": ["true"]},
        {"cloud.google.com/gke-nodepool": ["g"], "cloud.google.com/gke-spot": ["true"]},
        {NODEPOOL: ["k"], "karpenter.sh/capacity-type": ["on-demand"]},
    ]
