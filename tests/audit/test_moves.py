"""audit.moves: what two revisions make of the same workloads."""

from __future__ import annotations

import pytest

from audit.moves import Move, moved
from tests.audit.test_words import of
from tests.engine.builders import BASE, GOLD, decider, incoming

DENY = "deny: [{expression: 'true', message: not here}]"
TOLERANT = f'{GOLD}\ntolerate: [{{expression: \'taint.key in ["team", "nvidia.com/gpu"]\'}}]'


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
    pod = incoming(of("web"))
    found = moved([(decider(before).decide(pod), decider(after).decide(pod))])
    assert [one.outcome for one in found] == ([outcome] if outcome else [])


def test_pods_of_one_owner_that_move_alike_are_one_line_and_what_hurts_most_is_first() -> None:
    old = decider(BASE)
    new = decider(TOLERANT, DENY.replace("'true'", "'pod.metadata.labels.app == \"b\"'"))
    pods = [incoming(of("a")), incoming(of("b")), incoming(of("a"))]
    found = moved(((old.decide(pod), new.decide(pod)) for pod in pods), {"one"})
    assert [(one.owner, one.outcome, one.pods, one.policies) for one in found] == [
        ("Deployment team/b", "would be refused", 1, ("one", "two")),
        ("Deployment team/a", "would be placed otherwise", 2, ("one",)),
    ]
    assert isinstance(found[0], Move)
    assert found[0].example[1].endswith("not here")
