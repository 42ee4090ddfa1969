"""audit.moves: what two revisions make of the same workloads."""

from __future__ import annotations

from typing import Any

import pytest

from audit.moves import Move, moved
from tests.engine.builders import BASE, GOLD, decider, incoming, pod

DENY = "deny: [{expression: 'true', message: not here}]"
TOLERANT = f'{GOLD}\ntolerate: [{{expression: \'taint.key in ["team", "nvidia.com/gpu"]\'}}]'


def of(owner: str) -> dict[str, Any]:
    """A pod of a Deployment's ReplicaSet."""
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{owner}-5d9c", "controller": True, "uid": "1"}
    labels = {"app": owner, "pod-template-hash": "5d9c"}
    return pod(metadata={"labels": labels, "ownerReferences": [reference]})


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (GOLD, GOLD, None),
        (BASE, DENY, "would be refused"),
        (DENY, BASE, "would no longer be refused"),
        (TOLERANT, GOLD, "would stay Pending"),
        (GOLD, TOLERANT, "would no longer stay Pending"),
        (TOLERANT, BASE, "would be placed otherwise"),
        (f"{BASE}\nmode: audit", f"{DENY}\nmode: audit", "would be audited otherwise"),
    ],
)
def test_what_becomes_of_a_pod(before: str, after: str, outcome: str | None) -> None:
    given = incoming(of("web"))
    found = moved([(decider(before).decide(given), decider(after).decide(given))])
    assert [one.outcome for one in found] == ([outcome] if outcome else [])


def test_pods_of_one_owner_that_move_alike_are_one_line_and_what_hurts_most_is_first() -> None:
    old = decider(BASE)
    new = decider(TOLERANT, DENY.replace("'true'", "'pod.metadata.labels.app == \"b\"'"))
    pods = [incoming(of("a")), incoming(of("b")), incoming(of("a"))]
    found = moved(((old.decide(one), new.decide(one)) for one in pods), {"one"})
    assert [(one.owner, one.outcome, one.pods, one.policies) for one in found] == [
        ("Deployment team/b", "would be refused", 1, ("one", "two")),
        ("Deployment team/a", "would be placed otherwise", 2, ("one",)),
    ]
    assert isinstance(found[0], Move)
    assert found[0].example[1].endswith("not here")
