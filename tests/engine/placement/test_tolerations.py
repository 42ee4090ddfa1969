"""engine.placement.tolerations: against Kubernetes' ToleratesTaint, exhaustively over a small alphabet."""

from __future__ import annotations

import copy
from itertools import permutations, product
from typing import Any

import pytest

from engine.placement.tolerations import added_tolerations, covers, tolerates, toleration_for, toleration_identity
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


@pytest.mark.parametrize("operator", ["Gt", "Lt"])
def test_the_alpha_operators_cover_only_themselves(operator: str) -> None:
    numeric = {"key": "k", "operator": operator, "value": "5", "effect": "NoSchedule"}
    assert covers(numeric, dict(numeric))
    assert not tolerates(numeric, {"key": "k", "value": "9", "effect": "NoSchedule"})
    assert covers({"key": "k", "operator": "Exists"}, numeric)


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
