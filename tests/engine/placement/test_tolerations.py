"""engine.placement.tolerations: against Kubernetes' ToleratesTaint, exhaustively over a small alphabet."""

from __future__ import annotations

import copy
from itertools import permutations, product
from typing import Any

import pytest

from engine.placement.tolerations import (
    added_tolerations,
    covers,
    stay,
    tolerates,
    toleration_for,
    toleration_identity,
    united_tolerations,
)
from tests.engine import matching

EFFECTS = ["NoSchedule", "NoExecute", "PreferNoSchedule"]
TAINTS: list[dict[str, str]] = [
    {"key": key, "value": value, "effect": effect} for key, value, effect in product("kj", ["", "v", "w"], EFFECTS)
]


def legal() -> list[dict[str, Any]]:
    """Every legal toleration over the alphabet, with each way to leave out what is empty."""
    found: list[dict[str, Any]] = []
    for key, operator, value, effect in product(
        [None, "", "k", "j"], [None, "", "Equal", "Exists"], [None, "", "v", "w"], [None, "", *EFFECTS[:2]]
    ):
        if (not key and operator != "Exists") or (operator == "Exists" and value):
            continue
        made = {"key": key, "operator": operator, "value": value, "effect": effect}
        found.append({field: said for field, said in made.items() if said is not None})
    return found


@pytest.mark.parametrize("taint", TAINTS)
def test_the_toleration_for_a_taint_tolerates_it_and_nothing_else(taint: dict[str, str]) -> None:
    toleration = toleration_for(taint)
    assert [other for other in TAINTS if matching.tolerates(toleration, other)] == [taint]
    assert toleration.get("value") != ""


def test_a_taint_without_a_value_is_tolerated_the_same() -> None:
    assert toleration_for({"key": "k", "effect": "NoSchedule"}) == {
        "key": "k",
        "operator": "Equal",
        "effect": "NoSchedule",
    }


def test_tolerates_as_kubernetes_does() -> None:
    for toleration, taint in product(legal(), TAINTS):
        assert tolerates(toleration, taint) == matching.tolerates(toleration, taint), (toleration, taint)


def test_covers_means_tolerates_every_taint_that_the_other_does() -> None:
    cases = legal()
    opened = [{i for i, taint in enumerate(TAINTS) if matching.tolerates(one, taint)} for one in cases]
    for (a, of_a), (b, of_b) in product(zip(cases, opened, strict=True), repeat=2):
        all_effects = not b.get("effect") and a.get("effect")
        assert covers(a, b) == (of_a >= of_b and not all_effects), (a, b)


def test_seconds_do_not_matter() -> None:
    timed = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert covers(timed, {"key": "k", "value": "v", "effect": "NoExecute"})


MOST = str(2**63 - 1)
NUMBERS = ["", "v", "0", "-0", "7", "07", "+7", "-7", "10", "1e1", MOST, str(2**63), f"-{2**63}", f"-{2**63 + 1}"]


@pytest.mark.parametrize("operator", ["Gt", "Lt", "Foo"])
def test_operators_that_compare_numbers_count_as_in_kubernetes(operator: str) -> None:
    """core/v1/toleration.go with its feature gate; one that nobody knows never tolerates."""
    opened = 0
    for bound, value in product(NUMBERS, repeat=2):
        numeric = {"key": "k", "operator": operator, "value": bound, "effect": "NoSchedule"}
        taint = {"key": "k", "value": value, "effect": "NoSchedule"}
        assert tolerates(numeric, taint) == matching.tolerates(numeric, taint), (numeric, taint)
        opened += tolerates(numeric, taint)
        assert not tolerates(numeric, {**taint, "key": "j"})
        assert not tolerates(numeric, {**taint, "effect": "NoExecute"})
        assert covers(numeric, dict(numeric))
        assert covers({"key": "k", "operator": "Exists"}, numeric)
    assert opened == (0 if operator == "Foo" else 15)


def test_above_is_above_the_tolerations_value() -> None:
    taint = {"key": "k", "value": "10", "effect": "NoSchedule"}
    for operator, bounds in (("Gt", ("5", "-3")), ("Lt", ("15",))):
        assert all(tolerates({"key": "k", "operator": operator, "value": bound}, taint) for bound in bounds)
        assert not tolerates({"key": "k", "operator": operator, "value": "10"}, taint)


def test_seconds_are_written_for_no_execute_alone() -> None:
    """The API server refuses them for other effects."""
    for effect in EFFECTS:
        toleration = toleration_for({"key": "k", "effect": effect}, 0)
        assert toleration.get("tolerationSeconds") == (0 if effect == "NoExecute" else None)
    assert "tolerationSeconds" not in toleration_for({"key": "k", "effect": "NoExecute"})


NOT_READY = "node.kubernetes.io/not-ready"
OTHER = {"key": "x", "operator": "Exists"}


@pytest.mark.parametrize(
    ("own", "after"),
    [
        ([], [stay(NOT_READY, 30)]),
        ([stay(NOT_READY, 300)], [stay(NOT_READY, 30)]),
        ([OTHER, {**stay(NOT_READY, 300), "value": ""}, OTHER], [OTHER, {**stay(NOT_READY, 30), "value": ""}, OTHER]),
        ([stay(NOT_READY, 60)], [stay(NOT_READY, 60)]),
        ([stay(NOT_READY, 30)], [stay(NOT_READY, 30)]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
        ([{"operator": "Exists"}, stay(NOT_READY, 300)], [{"operator": "Exists"}, stay(NOT_READY, 300)]),
        ([{"key": NOT_READY, "operator": "Exists"}], [{"key": NOT_READY, "operator": "Exists"}]),
        ([stay("k", 300)], [stay("k", 300), stay(NOT_READY, 30)]),
        (
            [{"key": NOT_READY, "operator": "Equal", "value": "v", "effect": "NoExecute"}],
            [{"key": NOT_READY, "operator": "Equal", "value": "v", "effect": "NoExecute"}, stay(NOT_READY, 30)],
        ),
    ],
)
def test_only_what_the_api_server_said_is_replaced(own: list[Any], after: list[Any]) -> None:
    """In its place; twice is as once."""
    before = copy.deepcopy(own)
    found = united_tolerations(own, [stay(NOT_READY, 30)])
    assert list(found or ()) == after
    assert own == before
    assert united_tolerations(found, [stay(NOT_READY, 30)]) is found
    assert united_tolerations(own, []) is own


def test_the_seconds_that_are_there_already_change_nothing() -> None:
    own = [stay(NOT_READY, 300)]
    assert united_tolerations(own, [stay(NOT_READY, 300)]) is own
    assert united_tolerations(None, []) is None


def test_what_is_added_is_missing_needed_and_in_a_fixed_order() -> None:
    wanted = [toleration_for(taint) for taint in (TAINTS[4], TAINTS[0], TAINTS[10], TAINTS[0])]
    wide = {"key": "j", "operator": "Exists"}
    before = copy.deepcopy(wanted)
    results = {repr(added_tolerations([], order)) for order in permutations([*wanted, wide])}
    assert len(results) == 1
    found = added_tolerations([], [*wanted, wide])
    assert wanted == before
    assert wide in found
    assert [toleration_identity(one)[0] for one in found] == ["j", "k", "k"]
    assert added_tolerations(found, wanted) == ()
    assert added_tolerations([{"operator": "Exists"}], wanted) == ()
