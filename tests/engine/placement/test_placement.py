"""engine.placement: the laws of placements and pods, judged by Kubernetes' own matching over a universe of nodes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector import (
    ABSENT,
    EVERYWHERE,
    EXISTS,
    FALSE,
    MAX_TERMS,
    NOWHERE,
    TRUE,
    LabelStates,
    Term,
    Terms,
    TooMany,
    both,
    implies,
    integers,
    none_of,
    one_of,
    parse_term,
    simplify,
    term_of,
)
from engine.nodeselector.states import NODE_NAME
from engine.nodeselector.term import named
from engine.placement.placement import NOTHING, Placement, placed
from engine.placement.pod_affinity import pod_term
from engine.placement.preferred import preferences
from engine.placement.required import narrowed, own
from tests.engine import matching
from tests.engine.matching import PREFERRED, REQUIRED
from tests.engine.terms import admits

Pod = Mapping[str, Any]

# Every value that is mentioned anywhere below, one that is not, and an integer between any two bounds.
STATES: dict[str, list[str | None]] = {
    "a": [None, "x", "y", "1", "zz"],
    "b": [None, "", "x", "y", "0", "1", "01", "02", "3", "7", "8"],
    "c": [None, "x", "y", "1", "zz"],
}
UNIVERSE = list(matching.nodes(STATES, ("n1", "n2", "n3", "n4")))

expressions = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        st.sampled_from("abc"),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(["x", "y", "1"]), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, op: {"key": key, "operator": op},
        st.sampled_from("abc"),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
    st.builds(
        lambda op, value: {"key": "b", "operator": op, "values": [value]},
        st.sampled_from(["Gt", "Lt"]),
        st.sampled_from(["0", "1", "3"]),
    ),
)
fields = st.builds(
    lambda op, name: {"key": "metadata.name", "operator": op, "values": [name]},
    st.sampled_from(["In", "NotIn"]),
    st.sampled_from(["n1", "n2", "n3"]),
)
selector_terms = st.one_of(
    st.just({}),
    st.lists(expressions, max_size=2).map(lambda es: {"matchExpressions": es}),
    st.builds(
        lambda es, fs: {"matchExpressions": es, "matchFields": fs},
        st.lists(expressions, max_size=1),
        st.lists(fields, max_size=1),
    ),
)
node_selectors = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "1"]), max_size=1)


def pod_of(selector: Mapping[str, str] | None, terms: list[dict[str, Any]] | None, **spec: Any) -> dict[str, Any]:
    affinity = {} if terms is None else {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"nodeSelector": selector or {}, **affinity, **spec}}


pods = st.builds(pod_of, node_selectors, st.one_of(st.none(), st.lists(selector_terms, min_size=1, max_size=3)))
said = {
    "a": [one_of("x"), one_of("xy"), none_of("x"), EXISTS, ABSENT, ABSENT | one_of("y")],
    "b": [integers(1), integers(0, 2), one_of("x1"), none_of("7"), ABSENT | integers(3) | one_of("x")],
    "c": [one_of("x"), ABSENT],
    NODE_NAME: [named(["n1"]), named(["n1", "n2"])],
}
policy_terms = st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in said.items()}).map(term_of)
policies = st.lists(policy_terms, max_size=3).map(simplify)


def where(pod: Pod) -> set[int]:
    return {i for i, (labels, name) in enumerate(UNIVERSE) if matching.admits(pod, labels, name)}


def allowed(terms: Terms) -> set[int]:
    return {i for i, (labels, name) in enumerate(UNIVERSE) if admits(terms, labels, name)}


def terms_of(pod: Pod) -> list[dict[str, Any]] | None:
    node = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    return node[REQUIRED]["nodeSelectorTerms"] if REQUIRED in node else None


@given(pods)
def test_own_is_what_kubernetes_admits(pod: Pod) -> None:
    assert allowed(own(pod)) == where(pod)


@given(pods, policies)
def test_never_wider_sound_and_complete(pod: Pod, required: Terms) -> None:
    """Laws 1, 2 and 3 at once: the nodes left are exactly those that both sides admit."""
    assert where(placed(pod, Placement(required))) == where(pod) & allowed(required)


@given(pods, policies)
def test_idempotent(pod: Pod, required: Terms) -> None:
    once = placed(pod, Placement(required))
    assert placed(once, Placement(required)) is once


@given(pods, policies, selector_terms, node_selectors)
def test_idempotent_after_others_narrowed_further(
    pod: Pod, required: Terms, added: dict[str, Any], selector: dict[str, str]
) -> None:
    once = copy.deepcopy(placed(pod, Placement(required)))
    for one in terms_of(once) or ():
        if one.get("matchExpressions") or one.get("matchFields"):
            one.setdefault("matchExpressions", []).extend(added.get("matchExpressions", []))
    other = {**once, "spec": {**once["spec"], "nodeSelector": {**once["spec"]["nodeSelector"], **selector}}}
    if where(other) <= allowed(required):
        assert placed(other, Placement(required)) is other


@given(pods, policies, policies)
def test_order_of_policies_does_not_matter(pod: Pod, first: Terms, second: Terms) -> None:
    together = Placement(both(first, second))
    assert together == Placement(both(second, first))
    one_by_one = placed(placed(pod, Placement(second)), Placement(first))
    assert where(placed(pod, together)) == where(one_by_one)


@given(pods, policies)
def test_nothing_is_written_that_holds_already(pod: Pod, required: Terms) -> None:
    result = placed(pod, Placement(required))
    if where(pod) <= allowed(required):
        assert result is pod
    before, after = terms_of(pod), terms_of(result)
    if result is pod or after is None:
        return
    selector = own(pod_of(pod["spec"]["nodeSelector"], None))
    for new in after:
        old = {} if before is None else max((one for one in before if prefix(one, new)), key=lambda one: len(repr(one)))
        meaning = selector[0] & (parse_term(old) if before is not None else EVERYWHERE)
        for field in ("matchExpressions", "matchFields"):
            for extra in (new.get(field) or [])[len(old.get(field) or []) :]:
                key = NODE_NAME if field == "matchFields" else extra["key"]
                assert not meaning[key] <= parse_term({field: [extra]})[key], extra


@given(pods, policies)
def test_entries_stay_in_place_and_order(pod: Pod, required: Terms) -> None:
    """Each of the pod's terms is still there, perhaps with more in it, in the order it had; only dead ones may go."""
    before, after = terms_of(pod), terms_of(placed(pod, Placement(required)))
    if before is None or after is None:
        return
    alone = [where(pod_of(pod["spec"]["nodeSelector"], [one])) for one in before]
    droppable = [bool(nodes) and not nodes & allowed(required) for nodes in alone]
    assert aligned(before, droppable, after), (before, after)


def aligned(before: list[dict[str, Any]], droppable: list[bool], after: list[dict[str, Any]]) -> bool:
    """Can `after` be read as each entry of `before` in turn, extended in one or several ways, or dropped?"""
    if not before:
        return not after
    extended = 0
    while extended < len(after) and prefix(before[0], after[extended]):
        extended += 1
    counts = range(0 if droppable[0] else 1, extended + 1)
    return any(aligned(before[1:], droppable[1:], after[count:]) for count in counts)


def prefix(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Is the new term the old one, with requirements appended? An empty term is only itself."""
    kinds = ("matchExpressions", "matchFields")
    if not any(old.get(kind) for kind in kinds):
        return old == new
    return all((new.get(kind) or [])[: len(old.get(kind) or [])] == (old.get(kind) or []) for kind in kinds)


@given(pods, policies)
def test_what_is_written_is_legal(pod: Pod, required: Terms) -> None:
    result = placed(pod, Placement(required))
    after = terms_of(result)
    if after is not None and result is not pod:
        assert after
        assert [matching.refused_term(one) for one in after] == [""] * len(after)
        assert sum(not one for one in after) <= sum(not one for one in terms_of(pod) or ())


@given(pods, policies)
def test_the_pod_itself_is_not_changed(pod: Pod, required: Terms) -> None:
    before = copy.deepcopy(pod)
    placed(pod, Placement(required, ((1, EVERYWHERE),), ({"key": "k", "operator": "Exists"},)))
    assert pod == before


SMALL: list[dict[str, Any]] = [
    {},
    {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]},
    {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]},
    {"matchExpressions": [{"key": "b", "operator": "Gt", "values": ["1"]}]},
    {"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]},
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
    {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "DoesNotExist"}]},
]
SMALL_POLICY = [
    EVERYWHERE,
    term_of({"a": one_of("x")}),
    term_of({"a": one_of("y")}),
    term_of({"a": ABSENT | one_of("x")}),
    term_of({"b": integers(2)}),
    term_of({"a": one_of("x"), "b": integers(0, 1)}),
]


def test_every_small_pod_under_every_small_policy() -> None:
    """Exhaustive: up to two of seven terms, with and without a selector, under up to two of six policy terms."""
    shapes = [None, *([one] for one in SMALL), *([one, two] for one, two in product(SMALL, SMALL))]
    wanted = {simplify(ts) for ts in [(), *((t,) for t in SMALL_POLICY), *product(SMALL_POLICY, SMALL_POLICY)]}
    nodes = [i for i, (labels, name) in enumerate(UNIVERSE) if "c" not in labels and name in ("n1", "n2")]
    for terms, selector, required in product(shapes, [{}, {"a": "x"}], sorted(wanted, key=repr)):
        pod = pod_of(selector, terms)
        result = placed(pod, Placement(required))
        for i in nodes:
            labels, name = UNIVERSE[i]
            both_say = matching.admits(pod, labels, name) and admits(required, labels, name)
            assert matching.admits(result, labels, name) == both_say, (pod, required)
        assert placed(result, Placement(required)) is result


# Named cases: the traps


def test_an_empty_term_stays_empty() -> None:
    pod = pod_of(None, [{}])
    assert placed(pod, Placement((term_of({"a": one_of("x")}),))) is pod
    beside = [{}, {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
    assert narrowed(pod_of(None, beside), (term_of({"a": one_of("x")}),)) == [
        {},
        {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "In", "values": ["x"]}]},
    ]


@pytest.mark.parametrize("required", [{}, {"nodeSelectorTerms": []}, {"nodeSelectorTerms": None}])
def test_an_affinity_without_terms_is_left_to_the_api_server(required: dict[str, Any]) -> None:
    pod = {"spec": {"affinity": {"nodeAffinity": {REQUIRED: required}}}}
    assert own(pod) == FALSE
    assert placed(pod, Placement((term_of({"a": one_of("x")}),))) is pod


@pytest.mark.parametrize(
    "affinity", [None, {}, {"nodeAffinity": None}, {"nodeAffinity": {}}, {"nodeAffinity": {REQUIRED: None}}]
)
def test_null_and_empty_parents_are_no_constraint(affinity: dict[str, Any] | None) -> None:
    result = placed({"spec": {"affinity": affinity}}, Placement((term_of({"a": one_of("x")}),)))
    assert terms_of(result) == [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]}]


def test_what_the_node_selector_says_is_not_written_again() -> None:
    pod = pod_of({"a": "x"}, None)
    assert placed(pod, Placement((term_of({"a": one_of("xy")}),))) is pod
    assert narrowed(pod, (term_of({"a": one_of("xy"), "b": integers(3)}),)) == [
        {"matchExpressions": [{"key": "b", "operator": "Gt", "values": ["2"]}]}
    ]
    assert narrowed(pod, simplify([term_of({"a": one_of("x"), "c": EXISTS}), term_of({"a": one_of("y")})])) == [
        {"matchExpressions": [{"key": "c", "operator": "Exists"}]}
    ]


def test_what_follows_from_several_terms_together_is_not_written_again() -> None:
    pod = pod_of(None, [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}])
    split = (term_of({"a": one_of("x"), "b": EXISTS}), term_of({"b": ABSENT}), term_of({"a": one_of("y"), "b": EXISTS}))
    assert narrowed(pod, split) is None


def test_only_the_bound_that_is_missing_is_added() -> None:
    pod = pod_of(None, [{"matchExpressions": [{"key": "b", "operator": "Gt", "values": ["5"]}]}])
    assert narrowed(pod, (term_of({"b": integers(3, 9)}),)) == [
        {
            "matchExpressions": [
                {"key": "b", "operator": "Gt", "values": ["5"]},
                {"key": "b", "operator": "Lt", "values": ["10"]},
            ]
        }
    ]


def test_terms_that_can_not_be_met_go_if_others_remain() -> None:
    x, y = ({"matchExpressions": [{"key": "a", "operator": "In", "values": [v]}]} for v in "xy")
    assert narrowed(pod_of(None, [x, y]), (term_of({"a": one_of("y")}),)) == [y]
    only = narrowed(pod_of(None, [x]), (term_of({"a": one_of("y")}),))
    assert only == [{"matchExpressions": [*x["matchExpressions"], *y["matchExpressions"]]}]


@pytest.mark.parametrize("terms", [None, [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]])
def test_a_requirement_that_nothing_meets_leaves_nothing(terms: list[dict[str, Any]] | None) -> None:
    pod = pod_of(None, terms)
    result = placed(pod, Placement(FALSE))
    assert where(pod)
    assert not where(result)
    assert placed(result, Placement(FALSE)) is result


def test_a_daemon_set_pod_keeps_its_node() -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    assert narrowed(pod_of(None, [{"matchFields": [field]}]), (term_of({"a": one_of("x")}),)) == [
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}], "matchFields": [field]}
    ]


def test_two_hundred_terms_are_narrowed_and_too_many_refused_before_they_are_built() -> None:
    pod = pod_of(None, unlike(200))
    alternatives = simplify([term_of({"a": one_of("x"), "b": EXISTS}), term_of({"c": ABSENT})])
    assert len(narrowed(pod, alternatives) or ()) == 400
    with pytest.raises(TooMany, match="1002 node selector terms of the pod, of which at most 1000"):
        narrowed(pod_of(None, unlike(501)), alternatives)
    assert len(narrowed(pod_of(None, unlike(500)), alternatives) or ()) == 1000


def unlike(count: int) -> list[dict[str, Any]]:
    return [{"matchExpressions": [{"key": "k", "operator": "In", "values": [str(i)]}]} for i in range(count)]


def test_one_key_with_several_alternatives_multiplies_only_where_it_must() -> None:
    wanted = (term_of({"a": ABSENT | one_of("x")}),)
    assert len(narrowed(pod_of(None, None), wanted) or ()) == 2
    present = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
    assert narrowed(pod_of(None, [present]), wanted) == [
        {"matchExpressions": [*present["matchExpressions"], {"key": "a", "operator": "In", "values": ["x"]}]}
    ]


# Preferences


@given(st.lists(st.tuples(st.integers(1, 100), policy_terms), max_size=4), st.lists(selector_terms, max_size=2))
def test_preferences_are_legal_new_and_written_once(
    wishes: list[tuple[int, Term]], own_wishes: list[dict[str, Any]]
) -> None:
    existing = [{"weight": 7, "preference": one} for one in own_wishes]
    written = preferences(wishes, existing)
    assert preferences(wishes, [*existing, *written]) == []
    assert preferences(list(reversed(wishes)), existing) == written
    meanings = [parse_term(one["preference"]) for one in written]
    assert len(set(meanings)) == len(meanings)
    own = Counter(parse_term(one) for one in own_wishes)  # what the pod prefers as much is not written again
    assert all(7 * own[meaning] < one["weight"] for meaning, one in zip(meanings, written, strict=True))
    for one in written:
        assert 1 <= one["weight"] <= 100
        assert one["preference"]
        assert matching.refused_term(one["preference"]) == ""


@given(st.lists(st.tuples(st.integers(1, 30), policy_terms), max_size=3))
def test_a_node_gets_the_weight_of_every_wish_that_it_meets(wishes: list[tuple[int, Term]]) -> None:
    written = preferences(wishes)
    for labels, name in UNIVERSE:
        meant = sum(weight for weight, wish in wishes if wish != EVERYWHERE and admits((wish,), labels, name))
        got = sum(one["weight"] for one in written if matching.matches_term(one["preference"], labels, name))
        assert got == meant


def test_as_many_preferences_as_are_allowed() -> None:
    wishes = [(1, term_of({"k": one_of([str(i)])})) for i in range(MAX_TERMS + 1)]
    assert len(preferences(wishes[1:])) == MAX_TERMS
    with pytest.raises(TooMany, match=r"1001 preferences, of which at most 1000"):
        preferences(wishes)


def test_equal_preferences_are_united_and_scaled_together() -> None:
    x, y = term_of({"a": one_of("x")}), term_of({"a": one_of("y")})
    written = preferences([(80, x), (50, y), (80, parse_term(x.alternatives()[0])), (3, NOWHERE), (9, EVERYWHERE)])
    assert [(one["weight"], one["preference"]["matchExpressions"][0]["values"]) for one in written] == [
        (100, ["x"]),
        (31, ["y"]),
    ]


def test_the_pods_own_preferences_come_first_and_stay() -> None:
    mine = {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]}}
    pod = {"spec": {"affinity": {"nodeAffinity": {PREFERRED: [mine]}}}}
    for weight in (1, 2, 50):
        new = placed(pod, Placement(preferred=((weight, term_of({"a": one_of("xy")})),)))
        wish = {"weight": weight, "preference": term_of({"a": one_of("xy")}).alternatives()[0]}
        assert new["spec"]["affinity"]["nodeAffinity"][PREFERRED] == ([mine, wish] if weight > 1 else [mine])
        assert (new is pod) == (weight == 1)
        assert placed(new, Placement(preferred=((weight, term_of({"a": one_of("xy")})),))) is new
    result = placed(pod, Placement(preferred=((50, term_of({"a": one_of("x")})),)))
    assert result["spec"]["affinity"]["nodeAffinity"][PREFERRED] == [
        mine,
        {"weight": 50, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]}},
    ]


# Nothing twice


@given(pods, policies)
def test_no_term_that_is_made_is_within_another_of_the_same_origin(pod: Pod, required: Terms) -> None:
    """Where each of the policy's takes one node selector term; what takes several may overlap when it is said."""
    required = tuple(one for one in required if one.width == 1)
    selector, mine = own(pod_of(pod["spec"]["nodeSelector"], None)), terms_of(pod)
    for one in mine or [{}]:
        made = narrowed(pod_of(pod["spec"]["nodeSelector"], None if mine is None else [one]), required) or ()
        meanings = [meaning for meaning in (both(selector, (parse_term(new),)) for new in made) if meaning]
        assert not any(implies(a, b) for a, b in permutations(meanings, 2))


@pytest.mark.parametrize(
    ("first", "second", "mine", "made"),
    [
        ({"a": "xy", "b": "123"}, {"a": "xz", "b": "1"}, {"a": "x"}, {"b": "123"}),
        ({"a": "xy", "b": "1"}, {"a": "xz", "b": "123"}, {"a": "x"}, {"b": "123"}),
        ({"a": "xz", "b": "123"}, {"a": "xy", "b": "1"}, {"a": "x"}, {"b": "123"}),
        ({"a": "xy", "b": "12", "c": "1"}, {"a": "xz", "b": "13", "c": "1"}, {"a": "x", "b": "1"}, {"c": "1"}),
    ],
)
def test_of_policy_terms_that_come_to_less_one_is_enough(
    first: dict[str, str], second: dict[str, str], mine: dict[str, str], made: dict[str, str]
) -> None:
    def listed(values: dict[str, str]) -> list[dict[str, Any]]:
        return [{"key": key, "operator": "In", "values": [*some]} for key, some in values.items()]

    wanted = simplify([term_of({key: one_of(some) for key, some in values.items()}) for values in (first, second)])
    assert len(wanted) == 2
    result = narrowed(pod_of(None, [{"matchExpressions": listed(mine)}]), wanted)
    assert result == [{"matchExpressions": listed(mine) + listed(made)}]


@pytest.mark.parametrize(
    ("mine", "wanted", "made"),
    [
        # of the policy's alternatives those that can be, as it spells them
        ({"operator": "In", "values": ["x", "z"]}, ABSENT | one_of("xy"), [{"operator": "In", "values": ["x", "y"]}]),
        # fewer, where what is left takes fewer
        ({"operator": "Gt", "values": ["5"]}, integers() & none_of("7"), [{"operator": "NotIn", "values": ["7"]}]),
        # of several that contradict the pod the first
        ({"operator": "In", "values": ["x"]}, ABSENT | one_of("y"), [{"operator": "In", "values": ["y"]}]),
    ],
)
def test_alternatives_for_one_key(mine: dict[str, Any], wanted: LabelStates, made: list[dict[str, Any]]) -> None:
    said = {"key": "a", **mine}
    result = narrowed(pod_of(None, [{"matchExpressions": [said]}]), (term_of({"a": wanted}),))
    assert result == [{"matchExpressions": [said, *({"key": "a", **one} for one in made)]}]


# Everything together


def test_pod_terms_go_behind_those_that_are_there() -> None:
    """Each of the two kinds by itself, beside a node affinity that stays."""
    mine, wanted = pod_term("host", {"matchLabels": {"app": "a"}}), pod_term("zone", {"matchLabels": {"app": "b"}})
    weighted = [{"weight": 5, "podAffinityTerm": mine}]
    node = {PREFERRED: [{"weight": 1, "preference": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}]}
    for field, given_placement in (
        ("podAffinity", Placement(pod_affinity=((None, wanted), (7, mine), (9, wanted)))),
        ("podAntiAffinity", Placement(pod_anti_affinity=((None, wanted), (7, mine), (9, wanted)))),
    ):
        affinities: list[Any] = [
            {"nodeAffinity": node},
            {field: {REQUIRED: [mine], PREFERRED: weighted}},
            {field: {}},
            None,
        ]
        for before in affinities:
            pod = {"spec": {"affinity": before}}
            affinity = placed(pod, given_placement)["spec"]["affinity"]
            there = (before or {}).get(field) or {}
            heavier = [] if there else [{"weight": 7, "podAffinityTerm": mine}]
            assert affinity == {
                **(before or {}),
                field: {
                    REQUIRED: [*there.get(REQUIRED, ()), wanted],
                    **({PREFERRED: [*there.get(PREFERRED, ()), *heavier]} if there or heavier else {}),
                },
            }
            assert placed({"spec": {"affinity": affinity}}, given_placement) == {"spec": {"affinity": affinity}}


def test_no_intent_changes_nothing() -> None:
    pod = pod_of({"a": "x"}, None)
    assert placed(pod, NOTHING) is pod
    assert Placement().required == TRUE
