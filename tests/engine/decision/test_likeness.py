"""engine.decision.likeness: whether two decisions about a pod come to the same."""

from __future__ import annotations

import pytest

from engine.decision import decided_alike, placed_alike
from tests.engine.builders import BASE, GOLD, decide

DENY = "deny: [{expression: 'true', message: not here}]"
ZONES = 'require: [{expression: \'node.zone in ["a", "b"]\'}]'
SPREAD = "spread: [{topologyKey: kubernetes.io/hostname, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}]"


@pytest.mark.parametrize(
    ("one", "other", "placed", "decided"),
    [
        (GOLD, GOLD, True, True),
        (GOLD, GOLD.replace("gold nodes only", "in other words"), True, True),
        (ZONES, 'require: [{expression: \'node.zone == "b" || node.zone == "a"\'}]', True, True),
        (GOLD, BASE, False, False),
        (GOLD, DENY, False, False),
        (DENY, DENY.replace("not here", "nor there"), True, True),
        (GOLD, f"{GOLD}\nmode: audit", False, False),
        (f"{GOLD}\nmode: audit", f"{BASE}\nmode: audit", True, False),
        (f"{GOLD}\nmode: audit", f"{GOLD}\nmode: 'off'", True, False),
        (GOLD, f"{GOLD}\n{SPREAD}", False, False),
        (SPREAD, SPREAD.replace("maxSkew: 1", "maxSkew: 2"), False, False),
        (GOLD, f"{GOLD}\ntolerate: [{{expression: 'taint.key == \"team\"'}}]", False, False),
        (
            "prefer: [{expression: 'node.zone == \"a\"', weight: 5}]",
            "prefer: [{expression: 'node.zone == \"a\"', weight: 6}]",
            False,
            False,
        ),
    ],
)
def test_what_the_api_server_is_told_and_what_would_be(one: str, other: str, placed: bool, decided: bool) -> None:
    a, b = decide(one), decide(other)
    assert (placed_alike(a, b), placed_alike(b, a)) == (placed, placed)
    assert (decided_alike(a, b), decided_alike(b, a)) == (decided, decided)
