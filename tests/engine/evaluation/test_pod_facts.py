"""engine.evaluation.pod_facts: `requests`, computed once, by who reads it, and at its expense."""

from __future__ import annotations

from typing import Any

import pytest

from engine.evaluation import pod_facts
from engine.evaluation.pod_facts import QUANTITY, Requests
from engine.language import Budget, BudgetExceeded, CelError
from tests.engine.builders import decide, decider, incoming, outcomes, pod


def asking(requests: Any, count: int = 1) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    return pod(containers=[container] * count)


def test_pools_that_have_as_much() -> None:
    policy = (
        "matchConditions: [{name: gpus, expression: '\"nvidia.com/gpu\" in requests'}]\n"
        "require: [{expression: 'requests[\"nvidia.com/gpu\"] <= pool.gpus'}]"
    )
    assert decide(policy, given=asking({"nvidia.com/gpu": "4"}, 2)).pools.after == ("gpu",)
    assert not decide(policy, given=asking({"nvidia.com/gpu": "4"}, 3)).allowed
    assert outcomes(decide(policy, given=asking({"cpu": "4"}))) == {"one": "notMatched"}


@pytest.mark.parametrize(
    "policy",
    [
        "deny: [{expression: 'has(requests.cpu) && requests.cpu > 4.0'}]",
        "variables: [{name: big, expression: 'has(requests.cpu) && requests.cpu > 4.0'}]\n"
        "deny: [{expression: variables.big}]",
        "deny: [{expression: 'requests.exists(k, k == \"cpu\" && double(requests[k]) > 4.0)'}]",
    ],
)
def test_it_can_be_denied(policy: str) -> None:
    assert [decide(policy, given=asking({"cpu": cpu})).allowed for cpu in ("4", "4001m", 5)] == [True, False, False]


@pytest.mark.parametrize(
    ("effect", "read"),
    [
        ("prefer: [{expression: 'has(requests.memory) && node.zone == \"a\"', weight: 5}]", "preferred"),
        ("prefer: [{expression: pool.gpus > 1, score: 'requests.?cpu.orValue(0.0) * 10.0'}]", "preferred"),
        ("fallback: [{expression: 'requests.size() > 1 && pool.name == \"gpu\"'}]", "preferred"),
        (
            "tolerate: [{expression: 'taint.key == \"nvidia.com/gpu\" && requests.size() > 1'}]",
            "tolerations",
        ),
    ],
)
def test_every_effect_may_read_it(effect: str, read: str) -> None:
    some = decide(effect, given=asking({"cpu": "1", "memory": "1Gi"})).placement
    none = decide(effect, given=pod()).placement
    assert some is not None
    assert getattr(some, read)
    assert not getattr(none, read, ())


def test_a_quantity_that_is_none_fails_who_reads_it_and_nobody_else() -> None:
    decision = decide(
        "deny: [{expression: 'requests.size() > 9'}]",
        "require: [{expression: 'pool.name == \"gpu\"'}]",
        given=asking({"cpu": "much"}),
    )
    assert outcomes(decision) == {"one": "failed", "two": "applied"}
    error = decision.policies[0].error
    assert "spec.containers[0].resources.requests.cpu: `much` is not a quantity" in error


def test_it_is_computed_once_and_only_if_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counted(given: Any) -> dict[str, Any]:
        computed.append(given)
        return {"cpu": 8.0}

    monkeypatch.setattr(pod_facts, "requests_of", counted)
    one, two = "deny: [{expression: requests.cpu > 9.0}]", "deny: [{expression: requests.cpu > 10.0}]"
    other = "podSelector: {matchLabels: {app: other}}\n" + one
    decider(other, "deny: [{expression: has(pod.spec.nodeName)}]").decide(incoming())
    assert computed == []
    decider(one, two, one).decide(incoming())
    assert len(computed) == 1


def test_who_reads_it_first_pays_for_every_quantity() -> None:
    requests, budget = Requests(asking({"cpu": "1", "memory": "1"}, 100)), Budget(100_000)
    first = requests(budget)
    assert budget.left == 100_000 - QUANTITY * 201
    assert requests(budget) is first
    assert budget.left == 100_000 - QUANTITY * 201
    with pytest.raises(BudgetExceeded):
        Requests(asking({"cpu": "1"}, 1000))(Budget(1000))
    broken = Requests(asking({"cpu": "x"}))
    for _ in range(2):
        with pytest.raises(CelError, match="not a quantity"):
            broken(Budget(1000))


def test_as_many_quantities_as_a_request_can_hold_end_in_a_failed_policy() -> None:
    decision = decide("deny: [{expression: requests.size() > 9}]", given=asking({"cpu": "1", "memory": "1"}, 20_000))
    assert outcomes(decision) == {"one": "failed"}
