"""engine.pools.membership: whose a node is that the selectors of several pools match."""

from __future__ import annotations

from typing import Any

from engine.nodeselector import EVERYWHERE, EXISTS, one_of, term_of
from engine.pools.index import PoolIndex
from engine.pools.pool import Inventory
from tests.engine.builders import decide, outcomes
from tests.engine.pools.inventories import GKE, described
from tests.engine.terms import admits


def test_pools_whose_selectors_cross_are_told_apart() -> None:
    """A node that both match is of the declared one; of two such, of the one that says more, or comes first."""
    crossing = described(
        {"name": "pci", "selector": {"compliance": "pci"}},
        nodes=[{GKE: "g", "compliance": "pci"}, {GKE: "g"}],
    )
    assert selected(crossing) == {
        "g": [{GKE: ["g"], "compliance": "not pci"}],
        "pci": [{"compliance": ["pci"]}],
    }
    declared = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "1"}}, {"name": "B", "selector": {"y": "1"}}
    )
    assert selected(declared) == {"A": [{"x": ["1"]}], "B": [{"x": "not 1", "y": ["1"]}]}
    longer = described(
        {"name": "A", "selector": {"x": "1"}, "values": {"y": ["1", "2"]}, "labels": {"z": "1"}},
        {"name": "B", "selector": {"y": "1", "z": "1"}},
    )
    apart = [{"x": ["1"], "y": ["1"], "z": "not 1"}, {"x": ["1"], "y": "not 1"}]
    assert selected(longer) == {"A": apart, "B": [{"y": ["1"], "z": ["1"]}]}
    unlike = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "2"}}, {"name": "B", "selector": {"y": "1"}}
    )
    barred = described(
        {"name": "gke", "selector": {GKE: "b"}},
        {"name": "team", "selector": {"team": "a"}},
        nodes=[{"karpenter.sh/nodepool": "k", GKE: "b", "team": "a"}],
    )
    gke, team = barred.pools
    assert (gke.nodes, team.nodes, gke.without) == (0, 1, ("karpenter.sh/nodepool",))
    pool_index = PoolIndex(barred)
    for labels, home in (
        ({"karpenter.sh/nodepool": "k", GKE: "b", "team": "a"}, 0b10),
        ({GKE: "b", "team": "a"}, 0b01),
        ({"team": "a"}, 0b10),
        ({GKE: "b"}, 0b01),
    ):
        assert [admits(pool_index.selector(mask), labels) for mask in (0b01, 0b10)] == [home == 0b01, home == 0b10], (
            labels
        )
    assert selected(unlike) == {"A": [{"x": ["1"]}], "B": [{"y": ["1"]}]}
    partly = described(
        {"name": "A", "selector": {"x": "1"}, "labels": {"y": "1"}}, {"name": "B", "selector": {"y": "1", "z": "1"}}
    )
    assert selected(partly) == {"A": [{"x": ["1"]}], "B": [{"y": ["1"], "z": ["1"]}]}
    first = described(
        {"name": "gke", "selector": {GKE: "b"}},
        {"name": "team", "selector": {"team": "a"}},
        nodes=[{GKE: "b", "team": "a"}],
    )
    assert selected(first)["team"] == [{GKE: "not b", "team": ["a"]}]


def test_a_pool_all_of_whose_nodes_are_another_ones_is_counted_nowhere() -> None:
    """Neither before nor after something is written that says so."""
    for own in ({"labels": {"kind": "u", "tier": "gold"}}, {"values": {"kind": ["u"]}, "labels": {"tier": "gold"}}):
        base = {"name": "p0", "selector": {"kind": "u"}, "labels": {"tier": "base"}}
        found = described(base, {"name": "p1", "selector": {"team": "y"}, **own})
        pool_index = PoolIndex(found)
        assert (pool_index.shadowed, pool_index.possible(EVERYWHERE), pool_index.possible(term_of({"x": EXISTS}))) == (
            0b10,
            0b01,
            0b01,
        )
        assert PoolIndex(found, pool_index).shadowed == 0b10
        decision = decide("require: [{expression: pool.labels.tier == 'gold'}]\nwhenEmpty: ignore", pools=found)
        assert (outcomes(decision), decision.pools.before, decision.patch) == ({"one": "overruled"}, ("p0",), ())
    varying = {"name": "p1", "selector": {"team": "y"}, "values": {"kind": ["u", "v"]}}
    several = described({"name": "p0", "selector": {"kind": "u"}}, varying)
    assert (PoolIndex(several).shadowed, PoolIndex(several).possible(EVERYWHERE)) == (0, 0b11)


def test_the_configured_order_says_which_label_a_node_of_a_pool_lacks() -> None:
    """Its node may carry a label that comes later in the order, and none that comes before."""
    nodes = [{"kops.k8s.io/instancegroup": "a", "eks.amazonaws.com/nodegroup": "e"}]
    found = described(nodes=nodes, order=("kops.k8s.io/instancegroup",))
    pool_index = PoolIndex(found)
    assert pool_index.possible(term_of({"eks.amazonaws.com/nodegroup": one_of(["e"])})) == 1
    assert pool_index.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 0
    labelled = PoolIndex(described({"name": "t", "selector": {"team": "t"}}))
    assert labelled.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 1
    own = PoolIndex(described(nodes=[{"team": "t"}], order=("team",)))
    assert own.possible(term_of({"karpenter.sh/nodepool": one_of(["e"])})) == 0
    assert own.possible(term_of({GKE: one_of(["e"])})) == 1


def selected(inventory: Inventory) -> dict[str, list[dict[str, Any]]]:
    """What tells each pool's nodes from all others: values, or the one that must not be."""
    pool_index = PoolIndex(inventory)
    return {
        pool.name: [
            {k: sorted(v.odd) if not v.others else f"not {next(iter(v.odd))}" for k, v in one.requirements}
            for one in pool_index.selector(1 << i)
        ]
        for i, pool in enumerate(inventory.pools)
    }
