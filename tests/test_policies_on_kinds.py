"""The sample bundles mean the same wherever pools are known from: NodePools, MachineDeployments, and Nodes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from delivery.folder import load_bundle
from engine.analysis.cases import FIELDS, _fits, incoming_pods, inventory_of
from engine.bundle import Bundle, Case
from engine.bundle import Test as PlacementTest
from engine.decision import Decider, Decision
from engine.pools import Inventory
from engine.pools.inventory import inventory_from_objects
from engine.program import compile_bundle
from tests.engine.builders import incoming, pod
from tests.engine.matching import PREFERRED, admits, matches_term, tolerates
from tests.kinds import (
    Kind,
    as_bare_nodes,
    as_machine_deployments,
    as_node_pools,
    as_nodes,
    as_they_are,
)

POLICIES = Path(__file__).parents[1] / "policies"
KINDS: Mapping[str, Callable[[Inventory], Kind]] = {
    "NodePools": lambda inventory: as_node_pools(inventory, live=False),
    "NodePools with nodes": lambda inventory: as_node_pools(inventory, live=True),
    "MachineDeployments": lambda inventory: as_machine_deployments(inventory, live=False),
    "MachineDeployments with nodes": lambda inventory: as_machine_deployments(inventory, live=True),
    "Nodes": as_nodes,
    "Nodes of no provider": lambda inventory: as_bare_nodes(inventory, grouped=True),
    "Nodes of no pool": lambda inventory: as_bare_nodes(inventory, grouped=False),
}
NEED_POOLS = ("gpu", "karpenter-migration", "scheduling-classes", "tenant-isolation")
"""Samples whose policies read `pool`: of nodes that belong to none they mean no one."""
DECLARING = [kind for kind in KINDS if not kind.startswith("Nodes")]
UNPRICED = ("Nodes of no provider", "Nodes of no pool")
"""Where nobody says what a node costs, so that none is preferred for it."""
JUDGED = ("allowed", "message", "policies", "shares", "overruled", "warnings", "tolerations")
"""What a case expects that is the same whatever tells of the pools; names of pools are judged apart."""


def cases(*names: str) -> Iterator[Any]:
    for name in names or sorted(folder.name for folder in POLICIES.iterdir()):
        bundle = load_bundle(POLICIES / name)
        for test in bundle.tests:
            for case in test.cases:
                yield pytest.param(bundle, test, case, id=f"{bundle.name}: {test.name}: {case.name}")


def cases_on_kinds() -> Iterator[Any]:
    """Each case on each kind that its sample is about."""
    for one in cases():
        for kind in KINDS:
            if kind != "Nodes of no pool" or one.values[0].name not in NEED_POOLS:
                yield pytest.param(*one.values, kind, id=f"{kind}: {one.id}")


def decisions(bundle: Bundle, test: PlacementTest, case: Case, inventory: Inventory) -> list[Decision]:
    decider = Decider(compile_bundle(bundle), inventory, cluster=test.cluster, params=test.params)
    return [decider.decide(each) for each in incoming_pods(bundle, test, case)]


def binds(decision: Decision, kind: Kind, pools: Inventory) -> set[tuple[str, int]]:
    """The nodes that the scheduler may bind the patched pod to, by pool and place; `pools` says what is tainted."""
    tolerations = decision.patched["spec"].get("tolerations") or []
    taints = {pool.name: [taint._asdict() for taint in pool.taints] for pool in pools.pools}
    return {
        (name, at)
        for name, nodes in kind.nodes.items()
        for at, labels in enumerate(nodes)
        if admits(decision.patched, labels, f"{name}-{at}")
        and all(
            any(tolerates(one, taint) for one in tolerations)
            for taint in taints[name]
            if taint["effect"] != "PreferNoSchedule"
        )
    }


def ranks(decision: Decision, kind: Kind, nodes: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The place of each of these nodes in the order of preference; those that are preferred alike share one."""
    affinity = ((decision.patched["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(PREFERRED) or []
    weights = {
        (name, at): sum(
            one["weight"] for one in affinity if matches_term(one["preference"], kind.nodes[name][at], f"{name}-{at}")
        )
        for name, at in nodes
    }
    order = sorted(set(weights.values()), reverse=True)
    return {node: order.index(weight) for node, weight in weights.items()}


@pytest.mark.parametrize(("bundle", "test", "case", "kind"), list(cases_on_kinds()))
def test_a_sample_means_the_same(bundle: Bundle, test: PlacementTest, case: Case, kind: str) -> None:
    """What the case expects holds, and the patched pod gets to the same nodes, in the same order of preference."""
    given = as_they_are(inventory_of(bundle, test))
    pools = given.inventory
    seen = KINDS[kind](pools)
    if kind == "Nodes of no pool":
        assert not seen.inventory.pools
    else:
        assert [pool.name for pool in seen.inventory.pools] == [pool.name for pool in pools.pools]
    both = zip(
        decisions(bundle, test, case, given.inventory), decisions(bundle, test, case, seen.inventory), strict=True
    )
    for meant, decision in both:
        expected = {name: said for name, said in case.expect.items() if name in JUDGED}
        actual = {name: FIELDS[name](decision) for name in expected}
        if "policies" in actual:
            actual["policies"] = {name: actual["policies"][name] for name in expected["policies"]}
        wrong = {name: (said, actual[name]) for name, said in expected.items() if not _fits(name, said, actual[name])}
        assert not wrong, decision.message
        left = [set(one.pools.after) - set(one.pools.untolerated) for one in (meant, decision)]
        if kind in DECLARING:
            assert left[1] == left[0], decision.message
        elif seen.inventory.pools:
            assert left[1] >= left[0], decision.message  # what is only observed contradicts nothing
        if decision.allowed:
            nodes = binds(meant, given, pools)
            assert binds(decision, seen, pools) == nodes
            if bundle.name != "spot-first" or kind not in UNPRICED:
                assert ranks(decision, seen, nodes) == ranks(meant, given, nodes)


@pytest.mark.parametrize(("bundle", "test", "case"), list(cases("tenant-isolation")))
@pytest.mark.parametrize("live", [False, True])
def test_tenants_are_apart_also_where_nobody_says_which_pools_are_shared(
    bundle: Bundle, test: PlacementTest, case: Case, live: bool
) -> None:
    """Of MachineDeployments alone it is not known that shared ones have no tenant: a pod may wait, and is told so."""
    given = as_they_are(inventory_of(bundle, test))
    seen = as_machine_deployments(given.inventory, live=live, beside=False)
    both = zip(
        decisions(bundle, test, case, given.inventory), decisions(bundle, test, case, seen.inventory), strict=True
    )
    for meant, decision in both:
        nodes = binds(meant, given, given.inventory) if meant.allowed else set()
        assert (binds(decision, seen, given.inventory) if decision.allowed else set()) == nodes
        assert decision.allowed == meant.allowed or decision.pools.unseen == "`tenant In [initech]`"


@pytest.mark.parametrize("label", list(load_bundle(POLICIES / "spot-first").params["spotLabels"].items()))
def test_what_must_not_be_on_spot_keeps_off_nodes_that_any_label_says_are(label: tuple[str, str]) -> None:
    bundle = load_bundle(POLICIES / "spot-first")
    objects = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"group": name, **labels}}}
        for name, labels in (("a", {}), ("b", dict([label])))
    ]
    incoming_pod = incoming(pod(priorityClassName="business-critical"))
    for keys in ([], ["group"]):
        decision = Decider(compile_bundle(bundle), inventory_from_objects(objects, keys)).decide(incoming_pod)
        assert decision.allowed
        assert admits(decision.patched, {"group": "a"}, "a")
        assert not admits(decision.patched, {"group": "b", **dict([label])}, "b")
