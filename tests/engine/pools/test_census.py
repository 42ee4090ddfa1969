"""engine.pools.census: remembering changes nothing: the pools of a census are those that all Nodes make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.pools import POOL_LABELS
from engine.pools.census import Census
from engine.pools.nodes import inventory_from_nodes

LABELS = ("team/pool", *POOL_LABELS)
NODE_LABELS = st.dictionaries(
    st.sampled_from(["team/pool", "karpenter.sh/nodepool", "cloud.google.com/gke-nodepool", "zone", "accelerator"]),
    st.sampled_from(["a", "b", "c"]),
    max_size=4,
)
CHANGES = st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3", "n4"]), st.none() | NODE_LABELS), max_size=12)


def node(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {},
        "status": {"allocatable": {"cpu": str(len(labels))}},
    }


@given(CHANGES)
def test_equal_to_making_all_pools_again(changes: list[tuple[str, dict[str, str] | None]]) -> None:
    census, nodes = Census(LABELS), dict[str, dict[str, Any]]()
    for name, labels in changes:
        if labels is None:
            nodes.pop(name, None)
        else:
            nodes[name] = node(name, labels)
        now = [nodes[each] for each in sorted(nodes)]
        assert census.inventory([], now) == inventory_from_nodes(now, LABELS)


def test_pools_of_the_same_nodes_are_kept() -> None:
    census = Census(LABELS)
    nodes = [node(name, {"team/pool": pool}) for name, pool in (("n1", "a"), ("n2", "b"), ("n3", "b"))]
    before = census.inventory([], nodes)
    after = census.inventory([], [nodes[0], nodes[1], node("n3", {"team/pool": "b", "zone": "z"})])
    assert after.pools[0] is before.pools[0]
    assert after.pools[1] != before.pools[1]
