"""audit.words: decisions as lines, one for each owner and effect."""

from __future__ import annotations

from typing import Any

import pytest

from audit.words import Tally, aggregated, changes, effect
from tests.engine.builders import BASE, GOLD, decide, decider, incoming, pod

TOLERATES = "tolerate: [{expression: 'taint.key == \"team\"'}]"
DENIES = "deny: [{expression: 'true', message: not here}]"
DENIES_B = DENIES.replace("true", 'pod.metadata.labels.app == "b"')
AUDITED = f"{GOLD}\nmode: audit"


def of(owner: str, **labels: str) -> dict[str, Any]:
    """A pod of a Deployment's ReplicaSet."""
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{owner}-5d9c", "controller": True, "uid": "1"}
    labels |= {"app": owner, "pod-template-hash": "5d9c"}
    return pod(metadata={"labels": labels, "ownerReferences": [reference]})


@pytest.mark.parametrize(
    ("specs", "said", "told"),
    [
        ((GOLD,), "gets affinity, pools 3 → 1, would stay Pending", True),
        ((GOLD, TOLERATES), "gets affinity, tolerations, pools 3 → 1, would stay Pending", True),
        ((DENIES,), "would be refused", True),
        ((AUDITED,), "audited: gets affinity, pools 3 → 1, would stay Pending", True),
        ((GOLD, f"{BASE}\nwhenEmpty: warn\npriority: -1"), "gets affinity, pools 3 → 1, would stay Pending", True),
        (("prefer: [{expression: 'pool.gpus > 0', weight: 7}]",), "gets affinity", True),
        ((f"{GOLD}\npodSelector: {{matchLabels: {{app: other}}}}",), "stays as it is", False),
    ],
)
def test_an_effect_in_a_few_words(specs: tuple[str, ...], said: str, told: bool) -> None:
    decision = decide(*specs)
    assert (effect(decision), changes(decision)) == (said, told)


def test_a_policy_that_fails_or_gives_way_is_worth_a_line_though_the_pod_stays() -> None:
    failing = decide("deny: [{expression: 'size(pod.metadata.labels.nobody) > 1'}]\nfailurePolicy: Ignore")
    assert (failing.patch, effect(failing), changes(failing)) == ((), "stays as it is", True)
    nowhere = decide("require: [{expression: 'pool.gpus > 100'}]\nwhenEmpty: ignore")
    assert (nowhere.patch, effect(nowhere), changes(nowhere)) == ((), "stays as it is", True)


def test_pods_of_one_owner_that_fare_alike_are_one_line() -> None:
    engine = decider(f"{GOLD}\npodSelector: {{matchLabels: {{tier: gold}}}}", DENIES_B)
    pods = [of("b"), of("a", tier="gold"), of("a", tier="gold"), of("a"), of("b", tier="gold"), pod()]
    assert aggregated(engine.decide(incoming(one)) for one in pods) == [
        Tally("Deployment team/a", "gets affinity, pools 3 → 1, would stay Pending", ("one",), False, 2),
        Tally("Deployment team/a", "stays as it is", (), False, 1),
        Tally("Deployment team/b", "would be refused", ("two",), True, 1),
        Tally("Deployment team/b", "would be refused", ("one", "two"), True, 1),
        Tally("Pod team/web-0", "stays as it is", (), False, 1),
    ]


def test_no_decision_is_no_line() -> None:
    assert aggregated([]) == []


def test_that_a_pod_is_told_who_placed_it_is_no_effect_beside_others() -> None:
    assert effect(decide(BASE, bundle="annotate: true")) == effect(decide(BASE))
