"""Karpenter's NodeClaims: machines that are on their way, whose Nodes are not there yet.

Karpenter writes into a NodeClaim's status what pods may use of the machine that it launched (`status.allocatable`),
and the Node's name once it has come (pkg/apis/v1/nodeclaim_status.go, 1.14). Until then nothing else says how large the
nodes of a pool are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import NamedTuple

from engine.documents import RequestError
from engine.pools.karpenter import POOL_LABEL
from engine.pools.nodes import GPU_RESOURCES, amount_of
from engine.pools.objects import Object, map_at


class Size(NamedTuple):
    """What the largest of some nodes have for pods: cores, bytes and a count."""

    cpu: float
    memory: int
    gpus: int

    def or_more(self, other: Size) -> Size:
        """The larger of both, of each resource."""
        return Size(max(self.cpu, other.cpu), max(self.memory, other.memory), max(self.gpus, other.gpus))


class Claim(NamedTuple):
    """A machine of a NodePool, its Node's name (empty until there is one), and its size."""

    pool: str
    node: str
    size: Size


def is_node_claim(data: object) -> bool:
    """Whether this is a NodeClaim of Karpenter, of any version."""
    if not isinstance(data, Mapping) or data.get("kind") != "NodeClaim":
        return False
    return str(data.get("apiVersion", "")).startswith("karpenter.sh/")


def read(data: Object) -> Claim | None:
    """What a NodeClaim says, None where it belongs to no NodePool or says no size yet.

    Raises RequestError where it is not shaped like one.
    """
    labels = map_at(map_at(data, "metadata", ""), "labels", "metadata")
    status = map_at(data, "status", "")
    amounts = {}
    for name, amount in map_at(status, "allocatable", "status").items():
        try:
            amounts[name] = amount_of(str(amount))
        except ValueError as error:
            raise RequestError(f"status.allocatable.{name}", str(error)) from None
    pool = labels.get(POOL_LABEL)
    if not pool or not amounts:
        return None
    gpus = int(sum(amounts.get(name, 0) for name in GPU_RESOURCES))
    size = Size(float(amounts.get("cpu", 0)), ceil(amounts.get("memory", 0)), gpus)
    return Claim(str(pool), str(status.get("nodeName") or ""), size)


def coming(claims: Iterable[Claim], nodes: Collection[str]) -> Mapping[tuple[str, str], Size]:
    """By the label of each NodePool: the largest of its machines, of each resource, whose Node is not among `nodes`."""
    found: dict[tuple[str, str], Size] = {}
    for claim in claims:
        if claim.node not in nodes:
            label = (POOL_LABEL, claim.pool)
            found[label] = claim.size.or_more(found.get(label, claim.size))
    return found
