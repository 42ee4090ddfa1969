"""engine.analysis.tolerance: entries of `tolerate` that fail on a pool."""

from __future__ import annotations

import pytest

from tests.engine.analysis.bundles import found
from tests.engine.builders import decide, inventory, outcomes

POOLS = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - {name: a, selector: {pool: a}, labels: {team: x}, gpus: 1, taints: [{key: k, effect: NoSchedule}]}
  - name: b
    selector: {pool: b}
    values: {team: [x, y]}
    taints: [{key: k, effect: NoSchedule}, {key: p, effect: NoExecute, partial: true}]
  - {name: c, selector: {pool: c}}
"""
TO_B = "require: [{expression: 'pool.name == \"b\"'}]\n"


@pytest.mark.parametrize(
    ("spec", "fails"),
    [
        (TO_B + 'tolerate: [{expression: \'pool.labels["team"] == "x"\'}]', True),
        (TO_B + 'tolerate: [{expression: \'pool.labels["disk"] == "x"\'}]', True),
        (TO_B + "tolerate: [{expression: 'taint.key == \"k\" && pool.gpus > 0'}]", True),
        (TO_B + 'tolerate: [{expression: \'taint.key == "k" && "e" in pool.zones\'}]', True),
        (TO_B + "tolerate: [{expression: 'taint.key == \"k\"'}, {expression: pool.gpus > 0}]", False),
        (TO_B + "tolerate: [{expression: 'taint.key == \"p\" && pool.gpus > 0'}]", True),
        (TO_B + "tolerate: [{expression: pool.gpus > 0}]", True),
        (TO_B + "tolerate: [{expression: 'taint.key == \"no\" && pool.gpus > 0'}]", False),
        (TO_B + "tolerate: [{expression: 'has(pool.gpus) && pool.gpus > 0'}]", False),
        (TO_B + 'tolerate: [{expression: taint.key == "k"}]', False),
        ('require: [{expression: \'pool.name in ["a", "c"]\'}]\ntolerate: [{expression: pool.gpus > 0}]', False),
        ("require: [{expression: 'pool.name == \"c\"'}]\ntolerate: [{expression: pool.gpus > 0}]", False),
    ],
)
def test_what_fails_is_told_and_does_fail(spec: str, fails: bool) -> None:
    """The pod of the decision is an ordinary one: what is told is so for any."""
    told = [rule for rule, _ in found({"one": spec}, {"pools/p.yaml": POOLS})]
    assert ("failing-tolerate" in told) is fails
    assert (outcomes(decide(spec, pools=inventory(POOLS)))["one"] == "failed") is fails


def test_it_is_told_once_for_each_entry() -> None:
    spec = TO_B + "tolerate: [{expression: pool.gpus > 0}, {expression: pool.cpu > 0.0}]"
    told = [rule for rule, _ in found({"one": spec}, {"pools/p.yaml": POOLS, "pools/q.yaml": POOLS})]
    assert told.count("failing-tolerate") == 1, "the second is never asked"


def test_what_is_up_to_the_pod_is_not_told() -> None:
    spec = TO_B + "tolerate: [{expression: 'pod.metadata.name == \"x\" && pool.gpus > 0'}]"
    assert "failing-tolerate" not in [rule for rule, _ in found({"one": spec}, {"pools/p.yaml": POOLS})]
