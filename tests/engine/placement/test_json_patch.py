"""engine.placement.json_patch: patches against an independent implementation of RFC 6902."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.nodeselector import EXISTS, Term, Terms, one_of, term_of
from engine.placement.json_patch import FIELDS
from engine.placement.placement import Placement, placed
from engine.placement.pod_affinity import pod_term
from engine.placement.spread import spread_constraint
from tests.engine.builders import patch_of
from tests.engine.matching import PREFERRED, REQUIRED
from tests.engine.placement.test_placement import pod_of, pods, policies, policy_terms, selector_terms

SELECTORS = [{"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "api"}}]
skews = st.builds(
    spread_constraint,
    st.sampled_from(["zone", "host"]),
    st.integers(1, 3),
    st.just("ScheduleAnyway"),
    st.sampled_from(SELECTORS),
)
tolerations = st.builds(
    lambda key, value: {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"},
    st.sampled_from("kj"),
    st.sampled_from("vw"),
)
weighted = st.tuples(
    st.one_of(st.none(), st.integers(1, 100)),
    st.builds(pod_term, st.sampled_from(["zone", "host"]), st.sampled_from(SELECTORS)),
)
placements = st.builds(
    Placement,
    policies,
    st.lists(st.tuples(st.integers(1, 100), policy_terms), max_size=2).map(tuple),
    st.lists(tolerations, max_size=2).map(tuple),
    st.lists(skews, max_size=2).map(tuple),
    st.lists(weighted, max_size=2).map(tuple),
    st.lists(weighted, max_size=2).map(tuple),
)


@st.composite
def whole_pods(draw: st.DrawFn) -> dict[str, Any]:
    """Pods with something, with nothing, or with null or empty parents everywhere that a patch may go."""
    pod: dict[str, Any] = copy.deepcopy(dict(draw(pods)))
    spec = pod["spec"]
    maybe: st.SearchStrategy[Any] = st.one_of(st.none(), st.builds(list))
    if draw(st.booleans()):
        spec["tolerations"] = draw(st.one_of(maybe, st.lists(tolerations, max_size=2)))
    if draw(st.booleans()):
        unique = st.lists(skews, max_size=2, unique_by=lambda one: one["topologyKey"])
        spec["topologySpreadConstraints"] = draw(st.one_of(maybe, unique))
    if draw(st.booleans()):
        affinity = spec.setdefault("affinity", {})
        affinity["podAntiAffinity"] = draw(
            st.sampled_from([None, {}, {REQUIRED: None}, {REQUIRED: [pod_term("host", SELECTORS[0])]}])
        )
        if draw(st.booleans()):
            preferred = [{"weight": 1, "preference": one} for one in draw(st.lists(selector_terms, max_size=2))]
            affinity.setdefault("nodeAffinity", {})[PREFERRED] = preferred
    return pod


@given(whole_pods(), placements)
def test_a_patch_applies_and_gives_the_placed_pod(pod: dict[str, Any], placement: Placement) -> None:
    pod = json.loads(json.dumps(pod))  # strategies may have made one object stand in two places, as JSON can't
    before = copy.deepcopy(pod)
    operations = patch_of(pod, placement)
    assert pod == before
    result = jsonpatch.apply_patch(pod, list(copy.deepcopy(operations)))
    assert result == placed(pod, placement)
    assert patch_of(result, placement) == ()
    assert json.loads(json.dumps(operations)) == list(operations)


@given(whole_pods(), placements)
def test_a_patch_is_confined_and_leaves_entries_alone(pod: dict[str, Any], placement: Placement) -> None:
    for operation in patch_of(pod, placement):
        assert operation["op"] in ("add", "replace")
        assert operation["path"].split("/")[1:3] in [["spec", field] for field in FIELDS]
        if operation["op"] == "replace":
            assert operation["path"].endswith(("/maxSkew", "/nodeSelectorTerms"))


@given(whole_pods(), placements)
def test_equal_inputs_give_byte_equal_patches(pod: dict[str, Any], placement: Placement) -> None:
    shuffled = {key: pod[key] for key in reversed(pod)}
    shuffled["metadata"] = {"labels": dict(reversed(pod["metadata"]["labels"].items()))}
    reordered = Placement(
        placement.required,
        placement.preferred[::-1],
        placement.tolerations[::-1],
        placement.spread,
        placement.pod_affinity[::-1],
        placement.pod_anti_affinity[::-1],
    )
    assert json.dumps(patch_of(shuffled, reordered)) == json.dumps(patch_of(pod, placement))


A: Term = term_of({"a": one_of("x")})
ONLY_A: Terms = (A,)


def test_the_smallest_operations() -> None:
    said = {"key": "b", "operator": "Exists"}
    new = {"key": "a", "operator": "In", "values": ["x"]}
    base = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
    pod = pod_of(None, [{}, {"matchExpressions": [said]}])
    assert patch_of(pod, Placement(ONLY_A)) == ({"op": "add", "path": f"{base}/1/matchExpressions/-", "value": new},)
    named = pod_of(None, [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}])
    assert patch_of(named, Placement(ONLY_A)) == ({"op": "add", "path": f"{base}/0/matchExpressions", "value": [new]},)
    either = Placement((A, term_of({"c": EXISTS})))
    paths = [operation["path"] for operation in patch_of(pod, either)]
    assert paths == [f"{base}/1/matchExpressions/-", f"{base}/-"]


@pytest.mark.parametrize(
    ("affinity", "path"),
    [
        (None, "/spec/affinity"),
        ({}, "/spec/affinity/nodeAffinity"),
        ({"nodeAffinity": None}, "/spec/affinity/nodeAffinity"),
        ({"nodeAffinity": {}}, f"/spec/affinity/nodeAffinity/{REQUIRED}"),
        ({"nodeAffinity": {REQUIRED: None}}, f"/spec/affinity/nodeAffinity/{REQUIRED}"),
    ],
)
def test_missing_parents_are_added_whole(affinity: dict[str, Any] | None, path: str) -> None:
    (operation,) = patch_of({"spec": {"affinity": affinity}}, Placement(ONLY_A))
    assert (operation["op"], operation["path"]) == ("add", path)


def test_a_stricter_skew_is_one_number() -> None:
    pod = {
        "metadata": {},
        "spec": {"topologySpreadConstraints": [spread_constraint("zone", 5, "ScheduleAnyway", SELECTORS[0])]},
    }
    wanted = Placement(spread=(spread_constraint("zone", 2, "ScheduleAnyway", SELECTORS[0]),))
    assert patch_of(pod, wanted) == (
        {"op": "replace", "path": "/spec/topologySpreadConstraints/0/maxSkew", "value": 2},
    )


def test_tolerations_are_appended() -> None:
    mine, new = ({"key": key, "operator": "Exists"} for key in "kj")
    assert patch_of({"spec": {"tolerations": [mine]}}, Placement(tolerations=(mine, new))) == (
        {"op": "add", "path": "/spec/tolerations/-", "value": new},
    )
    assert patch_of({"spec": {"tolerations": None}}, Placement(tolerations=(new,))) == (
        {"op": "add", "path": "/spec/tolerations", "value": [new]},
    )


def test_a_list_that_did_not_only_grow_is_replaced() -> None:
    """Entries that are dropped, or of which something is dropped, leave nothing to append to."""
    term_b = {"matchExpressions": [{"key": "b", "operator": "Exists"}, {"operator": "In", "key": "a", "values": ["y"]}]}
    pod = pod_of(None, [term_b, {"matchExpressions": [{"values": ["x", "z"], "operator": "In", "key": "a"}]}])
    base = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
    (operation,) = patch_of(pod, Placement((term_of({"a": one_of("x"), "c": EXISTS}),)))
    assert (operation["op"], operation["path"]) == ("replace", base)
    assert json.dumps(operation["value"]) == json.dumps(
        [
            {
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x", "z"]},
                    {"key": "a", "operator": "In", "values": ["x"]},
                    {"key": "c", "operator": "Exists"},
                ]
            }
        ]
    )


def test_as_many_entries_need_not_be_the_same_ones() -> None:
    """One is dropped, another becomes two."""
    gone = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["y"]}, {"key": "c", "operator": "Exists"}]}
    kept = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]}
    either = (term_of({"a": one_of("x"), "b": one_of("1")}), term_of({"a": one_of("x"), "c": one_of("1")}))
    (operation,) = patch_of(pod_of(None, [gone, kept]), Placement(either))
    base = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
    assert (operation["op"], operation["path"], len(operation["value"])) == ("replace", base, 2)


def test_what_the_first_of_two_terms_loses_is_no_reason_to_append() -> None:
    """Each continues in its own place where all do."""
    terms = [{"matchExpressions": [{"key": key, "operator": "Exists"}]} for key in "bc"]
    base = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
    operations = patch_of(pod_of(None, terms), Placement(ONLY_A))
    assert [(one["op"], one["path"]) for one in operations] == [
        ("add", f"{base}/0/matchExpressions/-"),
        ("add", f"{base}/1/matchExpressions/-"),
    ]
    fields = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}], "matchExpressions": None}]
    (operation,) = patch_of(pod_of(None, fields), Placement(ONLY_A))
    assert (operation["op"], operation["path"]) == ("add", f"{base}/0/matchExpressions")
