"""Pools and inventories: drawn, or described in a few words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from engine.documents import Source, parse_manifests
from engine.nodeselector import one_of
from engine.pools.inventory import inventory_from_documents
from engine.pools.pool import Fact, Inventory, Pool, Taint

GKE = "cloud.google.com/gke-nodepool"
SELECTOR = {"np": "p"}
COMPUTED = ("require: [{expression: 'pool.labels[params.key] == \"gold\"'}]",)
"""A policy that reads labels whose key no expression says."""


def facts(
    labels: Mapping[str, str], values: Mapping[str, Sequence[str]] | None = None, observed: Iterable[str] = ()
) -> dict[str, Fact]:
    """What is known of labels with one value, and of those with several; those that are only observed are named."""
    some = {**{key: (value,) for key, value in labels.items()}, **(values or {})}
    seen = frozenset(observed)
    return {
        key: Fact(one_of(each), key in seen, seen=tuple(each) if key in seen else (), each=key not in labels)
        for key, each in some.items()
    }


def a_pool(name: str, tier: str, gpus: int, declared: bool, tainted: bool) -> Pool:
    """A pool that may be anything."""
    selector = {"np": name}
    zones = {"topology.kubernetes.io/zone": ("a", "b")[: 1 + gpus % 2]}
    labels = {**selector, **({"tier": tier} if tier else {})}
    seen = frozenset() if declared else frozenset({*labels, *zones})
    taints = (Taint("t", "", "NoSchedule"),) if tainted else ()
    return Pool(name, "", selector, facts(labels, zones, seen), gpus=gpus, taints=taints, declared=declared)


POOLS = st.lists(
    st.builds(
        a_pool,
        st.sampled_from([f"p{i}" for i in range(6)]),
        st.sampled_from(["", "gold", "base", "web"]),
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
    ),
    unique_by=lambda pool: pool.name,
    max_size=6,
).map(lambda pools: Inventory(tuple(sorted(pools, key=lambda pool: pool.name))))


def pool(*observed: str, declared: bool = True, **labels: str | tuple[str, ...]) -> Pool:
    """A pool with these labels, several values where they vary; those that are observed are named."""
    constants = {key: value for key, value in labels.items() if isinstance(value, str)}
    values = {key: value for key, value in labels.items() if isinstance(value, tuple)}
    return Pool("p", "", SELECTOR, facts({**SELECTOR, **constants}, values, observed), declared=declared)


def described(*pools: dict[str, Any], nodes: Sequence[dict[str, str]] = (), order: Sequence[str] = ()) -> Inventory:
    documents: list[dict[str, Any]] = []
    documents += [{"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": list(pools)}] * bool(pools)
    documents += [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{i}", "labels": labels}, "spec": {}}
        for i, labels in enumerate(nodes)
    ]
    text = "\n---\n".join(json.dumps(one) for one in documents)
    return inventory_from_documents(parse_manifests(Source("pools.yaml", text))[0], order)
