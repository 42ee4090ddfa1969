"""delivery.inventory: the inventory of a running webhook, and what of its making is logged."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import Fleet
from delivery.inventory import MOST_TOLD, LiveInventory


def drifted(count: int) -> Fleet:
    """As many NodePools as said, each with a node from before it was edited."""
    names = [f"k{number:03}" for number in range(count)]
    node_pools: list[dict[str, Any]] = [
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {"template": {"metadata": {"labels": {"team": "new"}}}},
        }
        for name in names
    ]
    nodes = [
        {"kind": "Node", "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": name, "team": "old"}}}
        for name in names
    ]
    return Fleet(nodes, node_pools)


@pytest.mark.parametrize("count", [MOST_TOLD - 1, MOST_TOLD, MOST_TOLD + 1, 300])
def test_of_many_contradictions_the_first_are_logged_and_how_many_more_there_are(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveInventory(lambda: drifted(count), (), ())
    found = live.take()
    assert found is not None
    assert len(found.remarks) == count
    told = [record.getMessage() for record in caplog.records]
    assert told[:MOST_TOLD] == [str(remark) for remark in found.remarks[:MOST_TOLD]]
    more = count - MOST_TOLD
    assert told[MOST_TOLD:] == ([f"and {more} more such: `bayplan pools` lists them"] if more > 0 else [])
    caplog.clear()
    live.take()
    assert not caplog.records
