# ruff: noqa: E501 - policies on one line
"""engine.pools.index: a decider on a changed inventory says what a new one would, however pools came and went."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.pools.index import CarriedOver, PoolIndex
from engine.pools.pool import Inventory
from tests.engine.builders import decider, incoming, pod
from tests.engine.pools.inventories import POOLS, a_pool
from tests.examples import examples

SPECS = (
    'require: [{expression: \'pool.labels["tier"] == "gold" || pool.gpus >= size(pod.spec.containers)\'}]\nwhenEmpty: ignore',
    'require: [{expression: \'pod.metadata.labels["app"] == pool.labels["tier"] || "a" in pool.zones\'}]\nwhenEmpty: warn',
    'prefer: [{expression: \'pool.labels["ti" + "er"] == "base" && node.zone == "a"\', weight: 7}]',
    "tolerate: [{expression: 'taint.key == \"t\" && pool.gpus > 0'}]",
)

PODS = [
    pod(),
    pod(metadata={"labels": {"app": "gold"}}),
    pod(nodeSelector={"tier": "gold"}),
    pod(nodeSelector={"np": "p1"}),
]


@examples(100, mutation=5)
@given(st.lists(POOLS, min_size=2, max_size=4))
def test_renewed_is_as_good_as_new(inventories: list[Inventory]) -> None:
    """Decisions are compared as data, after each step of a chain of renewals."""
    engine = decider(*SPECS, pools=inventories[0])
    for inventory in inventories[1:]:
        engine = engine.renewed(inventory)
        fresh = decider(*SPECS, pools=inventory)
        for given_pod in PODS:
            assert data(engine.decide(incoming(given_pod))) == data(fresh.decide(incoming(given_pod)))


def data(decision: Any) -> dict[str, Any]:
    """All that a reader sees."""
    seen: dict[str, Any] = decision.as_json(show_pod=True)
    return seen


def test_runs_of_equal_pools_move_together() -> None:
    """Of a thousand pools one changes, one goes and one comes: four runs, two fresh."""
    before = [a_pool(f"p{i:03}", "gold", 1, declared=True, tainted=False) for i in range(1000)]
    after = [*before[:10], a_pool("p010", "base", 2, declared=True, tainted=True), *before[11:500], *before[501:]]
    after.append(a_pool("z", "", 0, declared=True, tainted=False))
    old = PoolIndex(Inventory(tuple(before)))

    assert PoolIndex(Inventory(tuple(after)), old).carried_over == CarriedOver(
        ((0, 10, 0), (11, 489, 11), (501, 499, 500)), (10, 999)
    )
